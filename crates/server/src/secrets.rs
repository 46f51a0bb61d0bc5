//! Words of requests that nobody is shown, in MONITOR and in the command logs: passwords, and
//! which users there are.

use protocol::Words;

/// What stands in the place of a secret, as in Redis.
const REDACTED: &[u8] = b"(redacted)";

/// The words of a request, its secrets replaced. `name`: that of its command, in upper case.
pub fn shown<'a>(
    name: &'a str,
    words: Words<'a>,
) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
    let show = move |(at, word)| if is_secret(name, words, at) { REDACTED } else { word };
    words.iter().enumerate().map(show)
}

fn is_secret(name: &str, words: Words<'_>, at: usize) -> bool {
    let says = |at: usize, word: &str| {
        words.get(at).is_some_and(|given| given.eq_ignore_ascii_case(word.as_bytes()))
    };
    match name {
        "AUTH" => at >= 1,
        // Also where the protocol's number was left out, and the request is refused for it.
        "HELLO" => (at.saturating_sub(2).max(1)..at).any(|before| says(before, "AUTH")),
        "ACL" => at >= 2 && ["SETUSER", "GETUSER", "DELUSER"].iter().any(|sub| says(1, sub)),
        "CONFIG" => {
            let setting = words.get(at.saturating_sub(1)).unwrap_or_default();
            at >= 3 && at % 2 == 1 && says(1, "SET") && is_secret_setting(setting)
        }
        _ => false,
    }
}

fn is_secret_setting(name: &[u8]) -> bool {
    let name = std::str::from_utf8(name).unwrap_or_default();
    config::find(name).is_some_and(config::Setting::is_secret)
}

#[cfg(test)]
mod tests {
    use protocol::Span;

    use super::*;

    fn shown_as(request: &str) -> String {
        let mut spans = Vec::new();
        let mut start = 0;
        for word in request.split(' ') {
            let end = start + word.len();
            spans.push(Span { start: start as u32, end: end as u32 });
            start = end + 1;
        }
        let words = Words::new(request.as_bytes(), &spans);
        let name = request.split(' ').next().unwrap().to_uppercase();
        let shown: Vec<_> = shown(&name, words).map(String::from_utf8_lossy).collect();
        shown.join(" ")
    }

    #[test]
    fn passwords_are_not_shown_and_everything_else_is() {
        let cases = [
            ("AUTH secret", "AUTH (redacted)"),
            ("auth ann secret", "auth (redacted) (redacted)"),
            ("HELLO 3 AUTH ann secret SETNAME me", "HELLO 3 AUTH (redacted) (redacted) SETNAME me"),
            (
                "CONFIG SET maxmemory 1 requirepass secret port 2",
                "CONFIG SET maxmemory 1 requirepass (redacted) port 2",
            ),
            ("HELLO AUTH ann secret", "HELLO AUTH (redacted) (redacted)"),
            ("HELLO 3 AUTH auth secret", "HELLO 3 AUTH (redacted) (redacted)"),
            ("HELLO 3 SETNAME me", "HELLO 3 SETNAME me"),
            ("CONFIG SET a 1 masterauth secret", "CONFIG SET a 1 masterauth (redacted)"),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            ("ACL SETUSER ann on", "ACL SETUSER (redacted) (redacted)"),
            ("ACL GETUSER ann", "ACL GETUSER (redacted)"),
            ("ACL LOG 1", "ACL LOG 1"),
            ("SET AUTH secret", "SET AUTH secret"),
        ];
        for (request, shown) in cases {
            assert_eq!(shown_as(request), shown);
        }
    }
}
