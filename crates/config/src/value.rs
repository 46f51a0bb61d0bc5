//! From what an operator or a client wrote to the value that is kept.
//!
//! A value is kept as the text that `CONFIG GET` prints: `1gb` becomes
//! `1073741824`, `TRUE` becomes `yes`. So comparing, printing and rewriting
//! need no second form, and the typed view is read from text that is known to
//! be well-formed.

use std::borrow::Cow;

use crate::rules::{Repeats, Rule};
use crate::setting::{Kind, Setting, Unit};
use crate::words;

/// Why a value is not taken: the text of the wire.
pub(crate) type Refusal = Cow<'static, str>;

impl Setting {
    /// The value that `words` mean, where `old` is the present one.
    pub(crate) fn parse(&self, old: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
        if let Kind::Custom(rule) = self.kind {
            return (rule.parse)(old, words);
        }
        let [word] = words else { return Err("wrong number of arguments".into()) };
        self.kind.parse_word(word)
    }

    /// The value that one text means, as `CONFIG SET` and the environment give it.
    pub(crate) fn parse_text(&self, old: &[u8], text: &[u8]) -> Result<Vec<u8>, Refusal> {
        if self.takes_many_words() {
            let words: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
            return self.parse(old, &words);
        }
        self.parse(old, &[text])
    }

    /// The value that a line of a file or the command line means. `repeated`
    /// says that an earlier line of the same source gave the present value.
    pub(crate) fn parse_line(
        &self,
        old: &[u8],
        repeated: bool,
        words: &[Vec<u8>],
    ) -> Result<Vec<u8>, Refusal> {
        let resplit = match words {
            [all] if self.takes_many_words() && !all.is_empty() => {
                Some(words::split(all).ok_or("Unbalanced quotes in configuration line")?)
            }
            _ => None,
        };
        let words = resplit.as_deref().unwrap_or(words);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let parsed = self.parse(old, &words)?;
        let appends = matches!(self.kind, Kind::Custom(Rule { repeats: Repeats::Append, .. }));
        if appends && repeated && !old.is_empty() && !parsed.is_empty() {
            return Ok([old, &parsed].join(&b' '));
        }
        Ok(parsed)
    }

    /// Whether a line may carry more than one word for it.
    pub(crate) fn takes_many_words(&self) -> bool {
        matches!(self.kind, Kind::Custom(Rule { many_words: true, .. }))
    }
}

impl Kind {
    /// The value that one word means, by itself.
    fn parse_word(self, word: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Kind::Bool => {
                let on = truth(word).ok_or("argument must be 'yes' or 'no'")?;
                Ok(if on { b"yes".to_vec() } else { b"no".to_vec() })
            }
            Kind::Int { min, max, .. } => print(integer_in(min, max, word)?),
            Kind::Bytes { min, max } => {
                let count = bytes(word).ok_or("argument must be a memory value")?;
                within(count, min, max)?;
                print(count)
            }
            Kind::BytesOrPercent => bytes_or_percent(word),
            Kind::Float { min, max } => {
                let number = float(word).ok_or("argument couldn't be parsed into a number")?;
                within(number, min, max)?;
                Ok(decimal(number).into_bytes())
            }
            Kind::Octal { max } => octal(word, max),
            Kind::Choice(choices) => Ok(choice(choices, word)?.as_bytes().to_vec()),
            Kind::Text | Kind::Secret => Ok(word.to_vec()),
            Kind::Custom(rule) => (rule.parse)(b"", &[word]),
        }
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn expects(self) -> Cow<'static, str> {
        match self {
            Kind::Bool => "yes or no".into(),
            Kind::Int { min, max, unit } => numbers(min, max, unit).into(),
            Kind::Bytes { min, max } => byte_counts(min, max).into(),
            Kind::BytesOrPercent => "bytes, with a unit if wanted, or a percentage".into(),
            Kind::Float { min, max } => format!("a number from {min} to {max}").into(),
            Kind::Octal { max } => format!("octal digits, at most {max:o}").into(),
            Kind::Choice(choices) => format!("one of {}", listed(choices)).into(),
            Kind::Text => "any text".into(),
            Kind::Secret => "any text, never logged".into(),
            Kind::Custom(rule) => rule.expects.into(),
        }
    }
}

fn numbers(min: i64, max: i64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Count => "a whole number",
        Unit::Seconds => "seconds",
        Unit::Millis => "milliseconds",
        Unit::Micros => "microseconds",
        Unit::Bytes => "bytes",
        Unit::Percent => "percent",
    };
    match max {
        i64::MAX => format!("{unit}, at least {min}"),
        _ => format!("{unit} from {min} to {max}"),
    }
}

fn byte_counts(min: u64, max: u64) -> String {
    let no_limit = i64::MAX.unsigned_abs();
    match (min, max) {
        (0, max) if max >= no_limit => "bytes, with a unit if wanted".to_owned(),
        (_, max) if max >= no_limit => format!("bytes, with a unit if wanted, at least {min}"),
        _ => format!("bytes, with a unit if wanted, from {min} to {max}"),
    }
}

fn listed(choices: &[&str]) -> String {
    let shown =
        |choice: &&str| if choice.is_empty() { "\"\"".to_owned() } else { (*choice).to_owned() };
    choices.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// A value in the form of `CONFIG GET`.
#[expect(clippy::unnecessary_wraps, reason = "it ends a chain of refusals")]
fn print(number: impl ToString) -> Result<Vec<u8>, Refusal> {
    Ok(number.to_string().into_bytes())
}

fn within<T: PartialOrd + std::fmt::Display>(value: T, min: T, max: T) -> Result<(), Refusal> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(format!("argument must be between {min} and {max} inclusive").into())
}

/// A truth in any of the spellings of Redis, Dragonfly and gflags.
pub(crate) fn truth(word: &[u8]) -> Option<bool> {
    let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    if ["yes", "true", "1"].into_iter().any(is) {
        return Some(true);
    }
    ["no", "false", "0"].into_iter().any(is).then_some(false)
}

/// A whole number as the protocol writes it: no blanks, plus sign or leading zeros.
pub(crate) fn integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical =
        digits == b"0" && digits.len() == word.len() || matches!(digits.first(), Some(b'1'..=b'9'));
    let text = std::str::from_utf8(word).ok().filter(|_| canonical)?;
    text.parse().ok()
}

/// A whole number between two bounds, both included.
pub(crate) fn integer_in(min: i64, max: i64, word: &[u8]) -> Result<i64, Refusal> {
    let number = integer(word).ok_or("argument couldn't be parsed into an integer")?;
    within(number, min, max)?;
    Ok(number)
}

/// A number of bytes with its unit.
pub(crate) fn bytes(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = word.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    number.checked_mul(factor)
}

/// A decimal number that is not infinite.
pub(crate) fn float(word: &[u8]) -> Option<f64> {
    let starts_well = matches!(word.first(), Some(b'-' | b'.' | b'0'..=b'9'));
    let text = std::str::from_utf8(word).ok().filter(|_| starts_well)?;
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number without needless zeros, six digits after the point at most.
pub(crate) fn decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bytes_or_percent(word: &[u8]) -> Result<Vec<u8>, Refusal> {
    if let Some(count) = bytes(word) {
        return print(count);
    }
    let share = word.strip_suffix(b"%").and_then(integer).filter(|share| *share >= 0);
    match share.ok_or("argument must be a memory or percent value")? {
        0 => print(0),
        share @ ..=100 => Ok(format!("{share}%").into_bytes()),
        _ => Err("percentage argument must be less or equal to 100".into()),
    }
}

fn octal(word: &[u8], max: u32) -> Result<Vec<u8>, Refusal> {
    let digits = std::str::from_utf8(word).ok().filter(|text| !text.starts_with('+'));
    let mode = digits.and_then(|text| i64::from_str_radix(text, 8).ok());
    let mode = mode.ok_or("argument couldn't be parsed as an octal number")?;
    if !(0..=i64::from(max)).contains(&mode) {
        return Err(format!("argument must be between 0 and {max:o} inclusive").into());
    }
    Ok(format!("{mode:o}").into_bytes())
}

/// The choice that `word` names.
pub(crate) fn choice<'c>(choices: &[&'c str], word: &[u8]) -> Result<&'c str, Refusal> {
    let named = |choice: &&&str| word.eq_ignore_ascii_case(choice.as_bytes());
    choices.iter().find(named).copied().ok_or_else(|| {
        format!("argument(s) must be one of the following: {}", choices.join(", ")).into()
    })
}
