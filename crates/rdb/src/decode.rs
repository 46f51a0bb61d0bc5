//! Payloads into calls of a [`Sink`]: one function for each way to store a value.
//!
//! # Layout
//!
//! | type | layout |
//! |---|---|
//! | 0 string | string |
//! | 1, 2 list, set | n, strings |
//! | 3, 5 sorted set | n, (member, old double or double) |
//! | 4 hash | n, (field, value) |
//! | 9 | zipmap in a string |
//! | 10, 12, 13 list, sorted set, hash | ziplist in a string |
//! | 11 set | intset in a string |
//! | 14 list | n, ziplists in strings |
//! | 15, 19, 21, 26, 27 stream | see `stream` |
//! | 16, 17, 20 hash, sorted set, set | listpack in a string |
//! | 18 list | n, (1, element) or (2, listpack in a string) |
//! | 22 hash, version 80 | n, (field, value, deadline 8 bytes or -1) |
//! | 22 hash, before | n, (deadline as length or 0, field, value) |
//! | 23 hash | listpack of field, value, deadline or 0 |
//! | 24 hash | earliest deadline 8 bytes, n, (0 or 1 + what it is later, field, value) |
//! | 25 hash | earliest deadline 8 bytes, listpack as in 23 |
//! | 28 array | see `array` |
//! | 29 to 32 hash | see `template` |
//!
//! Values of modules (6, 7) are refused. Types 30 and 32 refer to a template that
//! stands elsewhere in a file, and in no dump: [`decode_body`] is given it.
//!
//! No server with types 28 to 32 was at hand; what is said of them is what librdb
//! reads, the library that Redis' makers publish for this.

use crate::dump::VALKEY_VERSION;
use crate::error::RdbError;
use crate::listpack::Item;
use crate::number::parse_score;
use crate::primitives::Reader;
use crate::sink::{Kind, Sink};
use crate::template::{self, Templates};
use crate::{array, intset, listpack, stream, types, ziplist, zipmap};

/// A node of a list that is one element.
pub(crate) const NODE_PLAIN: u64 = 1;

/// A node of a list that is a listpack.
pub(crate) const NODE_PACKED: u64 = 2;

/// The fewest bytes of a string: its length.
const STRING_BYTES_MIN: usize = 1;

/// The fewest bytes of a score in its old form.
const OLD_DOUBLE_BYTES_MIN: usize = 1;

const DOUBLE_BYTES: usize = 8;
const MILLISECONDS_BYTES: usize = 8;

/// How much a payload may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest string, packed collections included.
    pub string_bytes_max: usize,
    /// How many bytes may come out of it that do not stand in it: compressed
    /// strings, and names of fields that a stream says once for many entries.
    pub unpacked_bytes_max: usize,
}

impl Default for Limits {
    /// What servers take: strings of 512 MB, 4 GB in all.
    fn default() -> Self {
        Self { string_bytes_max: 512 << 20, unpacked_bytes_max: u32::MAX as usize }
    }
}

/// Decodes a whole payload of this RDB version: a type and a value.
///
/// # Errors
///
/// What is wrong with the payload, or what `sink` refused it for.
pub fn decode(
    payload: &[u8],
    version: u16,
    limits: &Limits,
    sink: &mut impl Sink,
) -> Result<(), RdbError> {
    let (&kind, body) = payload.split_first().ok_or(RdbError::Truncated)?;
    let rest = decode_body(kind, body, version, limits, &Templates::new(), sink)?;
    if rest.is_empty() { Ok(()) } else { Err(RdbError::Trailing) }
}

/// Decodes the value of type `kind` at the start of `body`, and returns what follows it.
///
/// In a file the key stands between the type and the value, and the templates that hashes refer to
/// before them.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_body<'a>(
    kind: u8,
    body: &'a [u8],
    version: u16,
    limits: &Limits,
    templates: &Templates,
    sink: &mut impl Sink,
) -> Result<&'a [u8], RdbError> {
    let mut reader = Reader::new(body, limits);
    if kind <= types::STREAM_3 {
        decode_shared(kind, &mut reader, sink)?;
    } else if version >= VALKEY_VERSION {
        decode_valkey(kind, &mut reader, sink)?;
    } else {
        decode_redis(kind, version, &mut reader, templates, sink)?;
    }
    Ok(reader.rest())
}

/// The types that all servers share.
fn decode_shared(kind: u8, from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    match kind {
        types::STRING => to.string(from.string()?),
        types::LIST => list(from, to),
        types::SET => set(from, to),
        types::ZSET => sorted_set(from, OLD_DOUBLE_BYTES_MIN, Reader::old_double, to),
        types::ZSET_2 => sorted_set(from, DOUBLE_BYTES, Reader::double, to),
        types::HASH => hash(from, to),
        types::MODULE_PRE_GA | types::MODULE_2 => Err(RdbError::Module),
        types::HASH_ZIPMAP => hash_zipmap(&from.string()?, to),
        types::LIST_ZIPLIST => list_ziplist(&from.string()?, to),
        types::SET_INTSET => set_intset(&from.string()?, to),
        types::ZSET_ZIPLIST => scored_items(&mut Ziplist::new(&from.string()?)?, to),
        types::HASH_ZIPLIST => pairs(&mut Ziplist::new(&from.string()?)?, to),
        types::LIST_QUICKLIST => quicklist(from, to),
        types::LIST_QUICKLIST_2 => quicklist_2(from, to),
        types::STREAM_1 => stream::decode(from, stream::Layout::One, to),
        types::STREAM_2 => stream::decode(from, stream::Layout::Two, to),
        types::STREAM_3 => stream::decode(from, stream::Layout::Three, to),
        types::HASH_LISTPACK => pairs(&mut Listpack::new(&from.string()?)?, to),
        types::ZSET_LISTPACK => scored_items(&mut Listpack::new(&from.string()?)?, to),
        types::SET_LISTPACK => set_listpack(&from.string()?, to),
        _ => Err(RdbError::UnknownType),
    }
}

fn decode_valkey(kind: u8, from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    match kind {
        types::VALKEY_HASH_2 => hash_2(from, to),
        _ => Err(RdbError::UnknownType),
    }
}

fn decode_redis(
    kind: u8,
    version: u16,
    from: &mut Reader<'_>,
    templates: &Templates,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    if version < types::since(kind) {
        return Err(RdbError::UnknownType);
    }
    match kind {
        types::HASH_DEADLINES_PRE_GA => hash_deadlines(from, None, to),
        types::HASH_LISTPACK_DEADLINES_PRE_GA => triples(&from.string()?, to),
        types::HASH_DEADLINES => {
            let earliest = u64::from_le_bytes(from.array()?);
            hash_deadlines(from, Some(earliest), to)
        }
        types::HASH_LISTPACK_DEADLINES => {
            // The listpack says each deadline in full.
            from.take(MILLISECONDS_BYTES)?;
            triples(&from.string()?, to)
        }
        types::STREAM_4 => stream::decode(from, stream::Layout::Four, to),
        types::STREAM_5 => stream::decode(from, stream::Layout::Five, to),
        types::ARRAY => array::decode(from, to),
        types::HASH_TEMPLATE_LISTPACK..=types::HASH_TEMPLATE_REF => {
            template::decode(kind, from, templates, to)
        }
        _ => Err(RdbError::UnknownType),
    }
}

/// How many elements a collection has, which cannot be none.
fn count(from: &mut Reader<'_>, bytes_min: usize) -> Result<usize, RdbError> {
    match from.count(bytes_min)? {
        0 => Err(RdbError::Empty),
        count => Ok(count),
    }
}

fn list(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let count = count(from, STRING_BYTES_MIN)?;
    to.begin(Kind::List, count)?;
    (0..count).try_for_each(|_| to.element(&from.string()?))
}

fn set(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let count = count(from, STRING_BYTES_MIN)?;
    to.begin(Kind::Set, count)?;
    (0..count).try_for_each(|_| to.member(&from.string()?))
}

fn sorted_set<'a>(
    from: &mut Reader<'a>,
    score_bytes_min: usize,
    score: impl Fn(&mut Reader<'a>) -> Result<f64, RdbError>,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    let count = count(from, STRING_BYTES_MIN + score_bytes_min)?;
    to.begin(Kind::ZSet, count)?;
    (0..count).try_for_each(|_| {
        let member = from.string()?;
        to.scored(&member, score(from)?)
    })
}

fn hash(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let count = count(from, 2 * STRING_BYTES_MIN)?;
    to.begin(Kind::Hash, count)?;
    (0..count).try_for_each(|_| {
        let (field, value) = (from.string()?, from.string()?);
        to.field(&field, &value, None)
    })
}

fn hash_2(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let count = count(from, 2 * STRING_BYTES_MIN + MILLISECONDS_BYTES)?;
    to.begin(Kind::Hash, count)?;
    (0..count).try_for_each(|_| {
        let (field, value) = (from.string()?, from.string()?);
        to.field(&field, &value, from.milliseconds()?)
    })
}

/// Deadlines count from one before `earliest`; without one they are absolute.
fn hash_deadlines(
    from: &mut Reader<'_>,
    earliest: Option<u64>,
    to: &mut impl Sink,
) -> Result<(), RdbError> {
    let count = count(from, 1 + 2 * STRING_BYTES_MIN)?;
    to.begin(Kind::Hash, count)?;
    (0..count).try_for_each(|_| {
        let deadline = match (from.length()?, earliest) {
            (0, _) => None,
            (deadline, None) => Some(valid_deadline(Some(deadline))?),
            (later, Some(earliest)) => Some(valid_deadline(earliest.checked_add(later - 1))?),
        };
        let (field, value) = (from.string()?, from.string()?);
        to.field(&field, &value, deadline)
    })
}

/// A deadline that did not overflow, not even as a signed number.
fn valid_deadline(deadline: Option<u64>) -> Result<u64, RdbError> {
    deadline.filter(|&deadline| i64::try_from(deadline).is_ok()).ok_or(RdbError::NotANumber)
}

fn set_intset(blob: &[u8], to: &mut impl Sink) -> Result<(), RdbError> {
    let mut integers = intset::integers(blob)?;
    if integers.len() == 0 {
        return Err(RdbError::Empty);
    }
    to.begin(Kind::Set, integers.len())?;
    integers.try_for_each(|integer| to.member(&Item::Integer(integer).text()))
}

fn set_listpack(blob: &[u8], to: &mut impl Sink) -> Result<(), RdbError> {
    let mut items = Listpack::new(blob)?;
    to.begin(Kind::Set, 0)?;
    let mut is_empty = true;
    while let Some(item) = items.next()? {
        to.member(&item.text())?;
        is_empty = false;
    }
    refuse_if(is_empty)
}

fn list_ziplist(blob: &[u8], to: &mut impl Sink) -> Result<(), RdbError> {
    to.begin(Kind::List, 0)?;
    refuse_if(elements(&mut Ziplist::new(blob)?, to)? == 0)
}

fn quicklist(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let nodes = count(from, STRING_BYTES_MIN)?;
    to.begin(Kind::List, 0)?;
    let mut seen = 0;
    for _ in 0..nodes {
        seen += elements(&mut Ziplist::new(&from.string()?)?, to)?;
    }
    refuse_if(seen == 0)
}

fn quicklist_2(from: &mut Reader<'_>, to: &mut impl Sink) -> Result<(), RdbError> {
    let nodes = count(from, 1 + STRING_BYTES_MIN)?;
    to.begin(Kind::List, 0)?;
    let mut seen = 0;
    for _ in 0..nodes {
        seen += match from.length()? {
            NODE_PLAIN => to.element(&from.string()?).map(|()| 1)?,
            NODE_PACKED => elements(&mut Listpack::new(&from.string()?)?, to)?,
            _ => return Err(RdbError::Packed),
        };
    }
    refuse_if(seen == 0)
}

/// Hands on all elements and says how many they are. Nodes may be empty, lists not.
fn elements<'a>(items: &mut impl Items<'a>, to: &mut impl Sink) -> Result<usize, RdbError> {
    let mut seen = 0;
    while let Some(item) = items.next()? {
        to.element(&item.text())?;
        seen += 1;
    }
    Ok(seen)
}

fn hash_zipmap(blob: &[u8], to: &mut impl Sink) -> Result<(), RdbError> {
    let mut pairs = zipmap::Pairs::new(blob)?;
    to.begin(Kind::Hash, 0)?;
    let mut is_empty = true;
    while let Some((field, value)) = pairs.next()? {
        to.field(field, value, None)?;
        is_empty = false;
    }
    refuse_if(is_empty)
}

fn pairs<'a>(items: &mut impl Items<'a>, to: &mut impl Sink) -> Result<(), RdbError> {
    to.begin(Kind::Hash, 0)?;
    let mut is_empty = true;
    while let Some(field) = items.next()? {
        let value = items.next()?.ok_or(RdbError::Pairs)?;
        to.field(&field.text(), &value.text(), None)?;
        is_empty = false;
    }
    refuse_if(is_empty)
}

fn scored_items<'a>(items: &mut impl Items<'a>, to: &mut impl Sink) -> Result<(), RdbError> {
    to.begin(Kind::ZSet, 0)?;
    let mut is_empty = true;
    while let Some(member) = items.next()? {
        let score = items.next()?.ok_or(RdbError::Pairs)?;
        to.scored(&member.text(), score_of(score)?)?;
        is_empty = false;
    }
    refuse_if(is_empty)
}

fn score_of(item: Item<'_>) -> Result<f64, RdbError> {
    match item {
        Item::Integer(score) => Ok(score as f64),
        Item::Slice(text) => parse_score(text).ok_or(RdbError::NotANumber),
    }
}

/// A listpack of fields, values and absolute deadlines, 0 for none.
fn triples(blob: &[u8], to: &mut impl Sink) -> Result<(), RdbError> {
    let mut items = Listpack::new(blob)?;
    to.begin(Kind::Hash, 0)?;
    let mut is_empty = true;
    while let Some(field) = items.next()? {
        let value = items.next()?.ok_or(RdbError::Pairs)?;
        let deadline = items.next()?.ok_or(RdbError::Pairs)?.integer();
        let deadline = deadline.and_then(|deadline| u64::try_from(deadline).ok());
        let deadline = deadline.ok_or(RdbError::NotANumber)?;
        to.field(&field.text(), &value.text(), (deadline > 0).then_some(deadline))?;
        is_empty = false;
    }
    refuse_if(is_empty)
}

fn refuse_if(is_empty: bool) -> Result<(), RdbError> {
    if is_empty { Err(RdbError::Empty) } else { Ok(()) }
}

/// What listpacks and ziplists have in common.
trait Items<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, RdbError>;
}

type Listpack<'a> = listpack::Items<'a>;
type Ziplist<'a> = ziplist::Items<'a>;

impl<'a> Items<'a> for Listpack<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, RdbError> {
        self.next()
    }
}

impl<'a> Items<'a> for Ziplist<'a> {
    fn next(&mut self) -> Result<Option<Item<'a>>, RdbError> {
        self.next()
    }
}
