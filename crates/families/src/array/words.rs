//! Words of requests and parts of replies that several commands of arrays have.

use std::ops::ControlFlow;

use command::{Arg, Args, CommandError, Reply, View};
use keyspace::ArrayRef;
use keyspace::array::{INDEX_MAX, Run};
use smallvec::SmallVec;
use value::entries::Element;

use super::error::ArrayError;
use crate::element::tell;
use crate::work;

/// An index of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotIndex(pub(super) u64);

impl Arg<'_> for SlotIndex {
    fn parse(raw: &[u8]) -> Result<SlotIndex, CommandError> {
        let index = parse_unsigned(raw).filter(|&index| index <= INDEX_MAX);
        Ok(SlotIndex(index.ok_or(ArrayError::Index)?))
    }
}

/// An integer of 64 bits without a sign, in the one way that it is written.
pub(super) fn parse_unsigned(raw: &[u8]) -> Option<u64> {
    match raw {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    raw.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.is_ascii_digit().then_some(u64::from(digit & 0x0f))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Indexes, of which there mostly are few.
pub(super) type Indexes = SmallVec<[u64; 16]>;

/// All words left, as indexes.
pub(super) fn indexes<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Indexes, CommandError> {
    words.map(|word| SlotIndex::parse(word).map(|index| index.0)).collect()
}

/// The value of `LIMIT`.
pub(super) fn limit(raw: &[u8]) -> Result<u64, CommandError> {
    let limit = i64::parse(raw)?;
    let limit = u64::try_from(limit).ok().filter(|&limit| limit > 0);
    Ok(limit.ok_or(ArrayError::LimitNotPositive)?)
}

/// Takes `LIMIT limit` if it is next.
pub(super) fn take_limit(args: &mut Args<'_>) -> Result<Option<u64>, CommandError> {
    if !args.word_with_value("LIMIT") {
        return Ok(None);
    }
    limit(args.bytes()?).map(Some)
}

/// How many values a request means at most whose second and third words are the ends of a range,
/// which may be `-` and `+`.
pub(super) fn meant(args: Args<'_>, keys: &View<'_>) -> u64 {
    work::part(args, keys, |key| keys.elements(key).min(width(args.skip(1))))
}

/// How many indexes lie between pairs of ends, both included.
pub(super) fn width(bounds: Args<'_>) -> u64 {
    let end = |at| match bounds.get(at) {
        Some(b"+") => INDEX_MAX,
        word => word.and_then(parse_unsigned).unwrap_or(0),
    };
    end(0).abs_diff(end(1)).saturating_add(1)
}

/// Replies with an index or a number of them.
pub(super) fn tell_index(index: u64, reply: &mut Reply<'_>) {
    match i64::try_from(index) {
        Ok(index) => reply.integer(index),
        Err(_) => reply.big_number(itoa::Buffer::new().format(index)),
    }
}

/// Replies with a value, or that there is none.
pub(super) fn tell_maybe(element: Option<Element<'_>>, reply: &mut Reply<'_>) {
    match element {
        Some(element) => tell(element, reply),
        None => reply.null(),
    }
}

/// Replies with all slots of a run, used or not, from its end on if `back`.
pub(super) fn tell_run(array: Option<ArrayRef<'_>>, run: Run, back: bool, reply: &mut Reply<'_>) {
    let Some(last) = run.last() else { return };
    let (start, end) = if back { (last, run.start) } else { (run.start, last) };
    let mut told = 0;
    if let Some(array) = array {
        let _: ControlFlow<()> = each_used(array, start, end, |index, element| {
            let place = index.abs_diff(start);
            reply.nulls((place - told) as usize);
            tell(element, reply);
            told = place + 1;
            ControlFlow::Continue(())
        });
    }
    reply.nulls((run.len - told) as usize);
}

/// Shows the used slots from one index to another, both included, in the order of the two.
pub(super) fn each_used<B>(
    array: ArrayRef<'_>,
    start: u64,
    end: u64,
    mut show: impl FnMut(u64, Element<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    if start <= end {
        array.range(start, end).try_for_each(|(index, element)| show(index, element))
    } else {
        array.range(end, start).rev().try_for_each(|(index, element)| show(index, element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_one_spelling_and_ends_before_the_last_number() {
        for index in [0, 1, 9, 10, 1 << 63, INDEX_MAX] {
            let text = index.to_string();
            assert_eq!(SlotIndex::parse(text.as_bytes()), Ok(SlotIndex(index)));
        }
        let bad = ["", "-", "-1", "+1", "01", "00", " 1", "1 ", "1.0", "a", "18446744073709551615"];
        for text in bad.into_iter().chain(["18446744073709551616", "99999999999999999999", "1:"]) {
            assert_eq!(SlotIndex::parse(text.as_bytes()), Err(ArrayError::Index.into()), "{text}");
        }
        assert_eq!(parse_unsigned(b"18446744073709551615"), Some(u64::MAX));
    }
}
