//! The first byte of a payload. Numbers are persisted: they never change.

pub(crate) const STRING: u8 = 0;
pub(crate) const LIST: u8 = 1;
pub(crate) const SET: u8 = 2;
pub(crate) const ZSET: u8 = 3;
pub(crate) const HASH: u8 = 4;
pub(crate) const ZSET_2: u8 = 5;
pub(crate) const MODULE_PRE_GA: u8 = 6;
pub(crate) const MODULE_2: u8 = 7;
pub(crate) const HASH_ZIPMAP: u8 = 9;
pub(crate) const LIST_ZIPLIST: u8 = 10;
pub(crate) const SET_INTSET: u8 = 11;
pub(crate) const ZSET_ZIPLIST: u8 = 12;
pub(crate) const HASH_ZIPLIST: u8 = 13;
pub(crate) const LIST_QUICKLIST: u8 = 14;
pub(crate) const STREAM_1: u8 = 15;
pub(crate) const HASH_LISTPACK: u8 = 16;
pub(crate) const ZSET_LISTPACK: u8 = 17;
pub(crate) const LIST_QUICKLIST_2: u8 = 18;
pub(crate) const STREAM_2: u8 = 19;
pub(crate) const SET_LISTPACK: u8 = 20;
pub(crate) const STREAM_3: u8 = 21;
/// From version 80 on: Valkey's hash with deadlines.
pub(crate) const VALKEY_HASH_2: u8 = 22;
/// Before version 80: what a release candidate of Redis 7.4 wrote.
pub(crate) const HASH_DEADLINES_PRE_GA: u8 = 22;
pub(crate) const HASH_LISTPACK_DEADLINES_PRE_GA: u8 = 23;
pub(crate) const HASH_DEADLINES: u8 = 24;
pub(crate) const HASH_LISTPACK_DEADLINES: u8 = 25;
/// Streams with messages of producers, and with pending entries that were given back.
pub(crate) const STREAM_4: u8 = 26;
pub(crate) const STREAM_5: u8 = 27;
pub(crate) const ARRAY: u8 = 28;
pub(crate) const HASH_TEMPLATE_LISTPACK: u8 = 29;
pub(crate) const HASH_TEMPLATE_LISTPACK_REF: u8 = 30;
pub(crate) const HASH_TEMPLATE: u8 = 31;
pub(crate) const HASH_TEMPLATE_REF: u8 = 32;

/// The version of Redis from which on a type above 21 exists.
pub(crate) fn since(kind: u8) -> u16 {
    match kind {
        ..=STREAM_3 => 1,
        HASH_DEADLINES_PRE_GA..=HASH_LISTPACK_DEADLINES => 12,
        STREAM_4 => 13,
        STREAM_5 | ARRAY => 14,
        _ => 15,
    }
}
