//! Why a connection is closed: what came is not a request.

use std::fmt;

/// What came is not a request. The client is told, then the connection is closed.
///
/// The text is wire contract: it is what follows `ERR ` in the last reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The line of an inline request exceeds its limit.
    TooBigInline,
    /// The line that tells the number of words exceeds the limit of a line.
    TooBigMultibulkCount,
    /// The number of words is not a number, or beyond the limit.
    InvalidMultibulkLength,
    /// The number of words is beyond what an unauthenticated client may send.
    UnauthenticatedMultibulkLength,
    /// The line that tells the length of a word exceeds the limit of a line.
    TooBigBulkCount,
    /// A word begins with this byte instead of a dollar sign.
    ExpectedDollar(u8),
    /// The length of a word is not a number, negative, or beyond the limit.
    InvalidBulkLength,
    /// The length of a word is beyond what an unauthenticated client may send.
    UnauthenticatedBulkLength,
    /// A line or a word does not end with CR LF.
    InvalidCrlf,
    /// An inline request has an open quote, or text right after a closing one.
    UnbalancedQuotes,
    /// The request as a whole is beyond the 4 GiB that offsets can tell.
    TooBigRequest,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Self::TooBigInline => "too big inline request",
            Self::TooBigMultibulkCount => "too big mbulk count string",
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::ExpectedDollar(got) => {
                return write!(f, "expected '$', got '{}'", printable(*got));
            }
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::InvalidCrlf => "invalid CRLF in request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::TooBigRequest => "too big request",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// A byte as it may stand in a line of text: a space in place of what would break it.
fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() { char::from(byte) } else { ' ' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_was_not_a_dollar_sign_cannot_break_the_line() {
        for byte in 0..=u8::MAX {
            let text = ProtocolError::ExpectedDollar(byte).to_string();
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
        }
        assert_eq!(
            ProtocolError::ExpectedDollar(b'x').to_string(),
            "Protocol error: expected '$', got 'x'"
        );
        assert_eq!(
            ProtocolError::ExpectedDollar(b'\r').to_string(),
            "Protocol error: expected '$', got ' '"
        );
    }
}
