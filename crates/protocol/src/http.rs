//! Tells a web client from a client of the data store by its first line.
//!
//! `GET /key` is an inline request too, so the method is not enough: the whole line
//! must be an HTTP one. Waiting for its end costs nothing, since an inline request
//! could not be answered before either.

/// The longest request line that is waited for, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// How a request to a path begins.
const BEGINNINGS: [&[u8]; 6] =
    [b"GET /", b"HEAD /", b"POST /", b"PUT /", b"DELETE /", b"OPTIONS /"];

/// Whether a connection that begins with `input` speaks HTTP/1.x: `GET /metrics HTTP/1.1`.
/// `None` if that takes more bytes to tell.
#[must_use]
pub fn looks_like_http(input: &[u8]) -> Option<bool> {
    if BEGINNINGS.iter().any(|beginning| input.starts_with(beginning)) {
        return is_http_line(&input[..input.len().min(LINE_BYTES_MAX)]);
    }
    let may_become = BEGINNINGS.iter().any(|beginning| beginning.starts_with(input));
    if may_become { None } else { Some(false) }
}

/// Whether the first line ends with a version of HTTP.
fn is_http_line(input: &[u8]) -> Option<bool> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() < LINE_BYTES_MAX { None } else { Some(false) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    Some(line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_client_is_told_by_its_whole_first_line() {
        let line = b"GET /metrics HTTP/1.1\r\n";
        for end in 0..line.len() {
            assert_eq!(looks_like_http(&line[..end]), None, "{end}");
        }
        assert_eq!(looks_like_http(line), Some(true));
        assert_eq!(looks_like_http(b"POST / HTTP/1.0\nHost: x\n"), Some(true));
    }

    #[test]
    fn a_request_for_a_key_that_looks_like_a_path_is_not_http() {
        assert_eq!(looks_like_http(b"GET /metrics\r\n"), Some(false));
        assert_eq!(looks_like_http(b"*1\r\n"), Some(false));
        assert_eq!(looks_like_http(b"GET k"), Some(false));
        assert_eq!(looks_like_http(b"PING\r\n"), Some(false));
    }

    #[test]
    fn a_line_that_never_ends_is_not_waited_for() {
        let mut line = b"GET /".to_vec();
        line.resize(LINE_BYTES_MAX - 1, b'a');
        assert_eq!(looks_like_http(&line), None);
        line.push(b'a');
        assert_eq!(looks_like_http(&line), Some(false));
    }
}
