//! Numbers as C writes and reads them, which is what Lua's libraries do.
//!
//! # Safety contract
//!
//! `snprintf` is given a buffer with its length and the two arguments that its format names;
//! `strtod` a text that ends with NUL, into which the end that it tells points.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

/// The longest text of a number, in bytes: sign, 14 digits, point, exponent, NUL, rounded up.
const TEXT_BYTES_MAX: usize = 32;

/// The longest number that is read without an allocation, in bytes.
const SHORT_BYTES: usize = 64;

/// A number as text.
pub(crate) struct NumberText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl NumberText {
    /// As `printf` writes it with `%.Ng`.
    pub(crate) fn general(number: f64, digits: c_int) -> Self {
        let mut bytes = [0; TEXT_BYTES_MAX];
        let format = c"%.*g".as_ptr();
        let into = bytes.as_mut_ptr().cast::<c_char>();
        // SAFETY: the buffer is as long as is told, and the format takes an int and a double.
        let len = unsafe { libc::snprintf(into, TEXT_BYTES_MAX, format, digits, number) };
        let len = usize::try_from(len).unwrap_or(0).min(TEXT_BYTES_MAX - 1);
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The number that `text` begins with and how long it is, as `strtod` reads it: also
/// hexadecimal, infinite or not a number. The length is 0 if there is none.
pub(crate) fn read(text: &[u8]) -> (f64, usize) {
    let may_belong = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let len = text.iter().position(|byte| !may_belong(byte)).unwrap_or(text.len());
    if len < SHORT_BYTES {
        let mut copy = [0; SHORT_BYTES];
        copy[..len].copy_from_slice(&text[..len]);
        return read_ended(&copy[..=len]);
    }
    let mut copy = text[..len].to_vec();
    copy.push(0);
    read_ended(&copy)
}

fn read_ended(text: &[u8]) -> (f64, usize) {
    let Ok(text) = CStr::from_bytes_with_nul(text) else { return (0.0, 0) };
    let mut end: *mut c_char = ptr::null_mut();
    // SAFETY: the text ends with NUL, and there is room for the end.
    let number = unsafe { libc::strtod(text.as_ptr(), &raw mut end) };
    (number, end.addr().saturating_sub(text.as_ptr().addr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        let text = |number, digits| {
            String::from_utf8(NumberText::general(number, digits).as_bytes().to_vec()).unwrap()
        };
        assert_eq!(text(0.1, 14), "0.1");
        assert_eq!(text(1e15, 14), "1e+15");
        assert_eq!(text(-1.0 / 3.0, 3), "-0.333");
        assert_eq!(text(f64::INFINITY, 14), "inf");
        assert_eq!(text(-1.797_693_134_862_315_7e308, 14), "-1.7976931348623e+308");
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        assert_eq!(read(b"12,"), (12.0, 2));
        assert_eq!(read(b"-0x10]"), (-16.0, 5));
        assert_eq!(read(b"1e5e6"), (1e5, 3));
        assert_eq!(read(b"e5"), (0.0, 0));
        assert_eq!(read(b""), (0.0, 0));
        assert_eq!(read("9".repeat(400).as_bytes()), (f64::INFINITY, 400));
        assert!(read(b"nan").0.is_nan());
    }
}
