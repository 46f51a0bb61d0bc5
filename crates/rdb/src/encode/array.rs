//! Arrays; `crate::array` draws the layout.

use super::{Format, Options};
use crate::array::{DOUBLE, INTEGER, SHORT_STRING, STRING};
use crate::error::RdbError;
use crate::primitives::{put_length, put_string};
use crate::types;

/// Integers beyond these are written as strings: a reader keeps others in 62 bits.
const INTEGER_MAX: i64 = (1 << 61) - 1;
const INTEGER_MIN: i64 = -(1 << 61);

/// The longest short string.
const SHORT_BYTES_MAX: usize = 7;

/// Writes an array of a known number of slots.
pub struct ArrayEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    left: u64,
    last: Option<u64>,
}

impl<'o> ArrayEncoder<'o> {
    /// Begins an array of `count` slots at the end of `out`; the last value was inserted at
    /// `inserted`, if one ever was.
    ///
    /// # Errors
    ///
    /// [`RdbError::Array`] if the format has no arrays, [`RdbError::Empty`] if there are no slots.
    pub fn new(
        count: u64,
        inserted: Option<u64>,
        options: Options,
        out: &'o mut Vec<u8>,
    ) -> Result<Self, RdbError> {
        if options.format != Format::Redis14 {
            return Err(RdbError::Array);
        }
        if count == 0 {
            return Err(RdbError::Empty);
        }
        out.push(types::ARRAY);
        put_length(count, out);
        put_length(inserted.is_some().into(), out);
        if let Some(index) = inserted {
            put_length(index, out);
        }
        Ok(Self { out, options, left: count, last: None })
    }

    /// Appends a slot with an integer.
    ///
    /// # Errors
    ///
    /// As [`ArrayEncoder::text`].
    pub fn integer(&mut self, index: u64, value: i64) -> Result<(), RdbError> {
        if !(INTEGER_MIN..=INTEGER_MAX).contains(&value) {
            return self.text(index, itoa::Buffer::new().format(value).as_bytes());
        }
        self.head(index, INTEGER)?;
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Appends a slot with a double.
    ///
    /// # Errors
    ///
    /// As [`ArrayEncoder::text`]; [`RdbError::NotANumber`] if it is none.
    pub fn double(&mut self, index: u64, value: f64) -> Result<(), RdbError> {
        if value.is_nan() {
            return Err(RdbError::NotANumber);
        }
        self.head(index, DOUBLE)?;
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Appends a slot with any bytes.
    ///
    /// # Errors
    ///
    /// [`RdbError::Order`] if its index is not above the one before, [`RdbError::Length`] if it is
    /// none, [`RdbError::Count`] if no slot is to come.
    pub fn text(&mut self, index: u64, text: &[u8]) -> Result<(), RdbError> {
        self.head(index, if text.len() <= SHORT_BYTES_MAX { SHORT_STRING } else { STRING })?;
        put_string(text, self.options.compress, self.out);
        Ok(())
    }

    fn head(&mut self, index: u64, kind: u64) -> Result<(), RdbError> {
        self.left = self.left.checked_sub(1).ok_or(RdbError::Count)?;
        if index == u64::MAX {
            return Err(RdbError::Length);
        }
        if self.last.is_some_and(|last| index <= last) {
            return Err(RdbError::Order);
        }
        self.last = Some(index);
        put_length(index, self.out);
        put_length(kind, self.out);
        Ok(())
    }

    /// Ends the array.
    ///
    /// # Errors
    ///
    /// [`RdbError::Count`] if a slot is missing.
    pub fn finish(self) -> Result<(), RdbError> {
        if self.left == 0 { Ok(()) } else { Err(RdbError::Count) }
    }
}
