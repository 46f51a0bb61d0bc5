//! How much requests come to: what the rows say of it ([`command::Work`]).
//!
//! A step is about 100 ns. Estimates err on the high side, and ask each key once.

use command::{Args, COPIED_BYTES, View};

/// With fewer steps than this nobody needs to know more exactly.
const FEW: u64 = 1000;

/// Steps for an element that goes into a new set.
pub(crate) const INSERT_STEPS: u64 = 3;

/// Steps for an element that goes into a new sorted set, or is sorted.
pub(crate) const SORT_STEPS: u64 = 6;

/// Steps for an element that is taken out of a collection.
pub(crate) const REMOVE_STEPS: u64 = 2;

/// Elements that are only looked at in a step.
pub(crate) const LOOKS: u64 = 8;

/// To go through all that the first key holds.
pub(crate) fn whole(args: Args<'_>, keys: &View<'_>) -> u64 {
    args.get(0).map_or(0, |key| keys.weight(key))
}

/// To look at all elements that the first key holds.
pub(crate) fn looks(args: Args<'_>, keys: &View<'_>) -> u64 {
    args.get(0).map_or(0, |key| keys.elements(key) / LOOKS)
}

/// To copy a string that a request changes, where it cannot be changed in place: by writing up to
/// `end`, or so many bytes `more`.
pub(crate) fn moved(key: Option<&[u8]>, end: usize, more: usize, keys: &View<'_>) -> u64 {
    key.map_or(0, |key| keys.bytes_moved(key, end, more) as u64 / COPIED_BYTES)
}

/// To look at all bytes of the first key's string.
pub(crate) fn looks_at_bytes(args: Args<'_>, keys: &View<'_>) -> u64 {
    whole(args, keys) / 2
}

/// To go through the registers of several HyperLogLogs.
pub(crate) fn registers(args: Args<'_>, _: &View<'_>) -> u64 {
    const STEPS: u64 = 100;
    STEPS * args.len() as u64
}

/// To go through all that these keys hold.
pub(crate) fn all(names: Args<'_>, keys: &View<'_>) -> u64 {
    names.rest().map(|key| keys.weight(key)).fold(0, u64::saturating_add)
}

/// To look up the elements of the smallest of these keys in the others.
pub(crate) fn smallest(names: Args<'_>, keys: &View<'_>) -> u64 {
    let least = names.rest().map(|key| keys.elements(key)).min();
    least.unwrap_or(0).saturating_mul(names.len() as u64)
}

/// To look up the elements of the first of these keys in the others.
pub(crate) fn first(names: Args<'_>, keys: &View<'_>) -> u64 {
    let first = names.get(0).map_or(0, |key| keys.elements(key));
    first.saturating_mul(names.len() as u64)
}

/// The keys behind their number.
pub(crate) fn counted(args: Args<'_>) -> Args<'_> {
    let count = number_in(args.get(0)).map_or(0, i64::unsigned_abs);
    args.skip(1).first(usize::try_from(count).unwrap_or(usize::MAX))
}

/// To draw as many elements of the first key as the second word says, of which a negative number
/// may draw more than there are.
pub(crate) fn drawn(args: Args<'_>, keys: &View<'_>) -> u64 {
    match number_in(args.get(1)) {
        None => 1,
        Some(count) if count < 0 => match args.get(0) {
            Some(key) if keys.elements(key) > 0 => count.unsigned_abs(),
            _ => 0,
        },
        Some(_) => taken(args, keys),
    }
}

/// To take as many elements out of the first key as the second word says.
pub(crate) fn taken(args: Args<'_>, keys: &View<'_>) -> u64 {
    some(number_in(args.get(1)).map_or(1, i64::unsigned_abs), args, keys)
}

/// To go through so many elements of the first key, of which it may hold fewer.
pub(crate) fn some(count: u64, args: Args<'_>, keys: &View<'_>) -> u64 {
    if count < FEW { count } else { args.get(0).map_or(0, |key| keys.weight_of(key, count)) }
}

/// The least of a number that a word says and what there is, which is asked for only if the number
/// is not small.
pub(crate) fn at_most(count: u64, there: impl FnOnce() -> u64) -> u64 {
    if count < FEW { count } else { count.min(there()) }
}

/// To take as many elements out of one of several keys as a word behind COUNT says.
pub(crate) fn taken_of_any(args: Args<'_>, keys: &View<'_>) -> u64 {
    let names = counted(args);
    let count = count_in(args.skip(1 + names.len())).unwrap_or(1);
    at_most(count, || all(names, keys))
}

/// To meet as many elements of the first key as a word behind COUNT says.
pub(crate) fn met(args: Args<'_>, keys: &View<'_>) -> u64 {
    some(count_in(args.skip(2)).unwrap_or(1), args, keys)
}

/// To meet as many keys as a word behind COUNT says.
pub(crate) fn met_keys(args: Args<'_>, keys: &View<'_>) -> u64 {
    let count = count_in(args.skip(1)).unwrap_or(1);
    at_most(count, || keys.len(keys.db()) as u64)
}

/// Exactly as many as `exact` says, where the first key holds many elements.
pub(crate) fn part(args: Args<'_>, keys: &View<'_>, exact: impl FnOnce(&[u8]) -> u64) -> u64 {
    let Some(key) = args.get(0) else { return 0 };
    let all = keys.elements(key);
    if all < FEW { all } else { exact(key) }
}

/// The elements between the positions that the second and the third word say, both included; `None`
/// if they are counted from different ends, or may be many. No key is looked for.
pub(crate) fn few_between(args: Args<'_>) -> Option<u64> {
    let (first, last) = number_in(args.get(1)).zip(number_in(args.get(2)))?;
    if (first < 0) != (last < 0) {
        return None;
    }
    let count = u64::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
    (count < FEW).then_some(count)
}

pub(crate) fn number_in(word: Option<&[u8]>) -> Option<i64> {
    word.and_then(command::parse_integer)
}

/// The number behind COUNT; without one there is no limit.
pub(crate) fn limit(options: Args<'_>) -> u64 {
    count_in(options).unwrap_or(u64::MAX)
}

/// The number behind COUNT.
fn count_in(options: Args<'_>) -> Option<u64> {
    let mut words = options.rest();
    words.find(|word| word.eq_ignore_ascii_case(b"COUNT"))?;
    number_in(words.next()).map(i64::unsigned_abs)
}
