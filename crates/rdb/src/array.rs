//! Arrays out of payloads.
//!
//! # Layout
//!
//! ```text
//! n | 0, or 1 and the index where a value was inserted last | slot*n
//!
//! slot:   index | kind | value
//! kind:   1 integer, 8 bytes LE | 2 double | 3 short string | 0 string
//! ```
//!
//! # Invariants
//!
//! 1. Indexes rise; the greatest one is 2^64 - 2.
//! 2. An array has a slot.

use crate::error::RdbError;
use crate::primitives::Reader;
use crate::sink::{Kind, Sink, Slot};

/// The kinds of values.
pub(crate) const STRING: u64 = 0;
pub(crate) const INTEGER: u64 = 1;
pub(crate) const DOUBLE: u64 = 2;
pub(crate) const SHORT_STRING: u64 = 3;

/// The fewest bytes of a slot: index, kind and an empty string.
const SLOT_BYTES_MIN: usize = 3;

pub(crate) fn decode(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let count = from.count(1)?;
    let inserted = match from.length()? {
        0 => None,
        1 => Some(index(from)?),
        _ => return Err(RdbError::Encoding),
    };
    if count == 0 {
        return Err(RdbError::Empty);
    }
    from.holds(count, SLOT_BYTES_MIN)?;
    to.begin(Kind::Array, count)?;
    to.inserted(inserted)?;
    let mut last = None;
    for _ in 0..count {
        let index = index(from)?;
        if last.is_some_and(|last| index <= last) {
            return Err(RdbError::Order);
        }
        last = Some(index);
        slot(index, from, to)?;
    }
    Ok(())
}

fn slot(index: u64, from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    match from.length()? {
        INTEGER => to.slot(index, Slot::Integer(i64::from_le_bytes(from.array()?))),
        DOUBLE => to.slot(index, Slot::Double(from.double()?)),
        STRING | SHORT_STRING => to.slot(index, Slot::Text(from.string()?)),
        _ => Err(RdbError::Encoding),
    }
}

/// An index; one more than the greatest is none.
fn index(from: &mut Reader<'_>) -> Result<u64, RdbError> {
    Some(from.length()?).filter(|&index| index != u64::MAX).ok_or(RdbError::Length)
}
