//! DEBUG DIGEST and DEBUG DIGEST-VALUE: whether two servers hold the same data.
//!
//! Values are mixed in as Redis does it, so that the same data has the same digest there: what has
//! an order by feeding one digest into the next, what has none by xor of the digests of its parts.

use command::{Args, Done, Reply, View};
use keyspace::entries::Digits;
use keyspace::{
    KeyHasher, Millis, Stored, Type, array_of, list_of, map_of, set_of, stream, stream_of, zset_of,
};
use script::{Digest, sha1};

use super::digits;

/// What stands for a key that expires, whenever that is.
const KEY_EXPIRES: &[u8] = b"!!expire!!";

/// The same of a field of a hash.
const FIELD_EXPIRES: &[u8] = b"!!hexpire!!";

/// `digest = sha1(digest xor sha1(bytes))`: the order of what is mixed in matters.
fn mix(digest: &mut Digest, bytes: &[u8]) {
    xor(digest, bytes);
    *digest = sha1(digest);
}

/// `digest = digest xor sha1(bytes)`: the order does not matter.
fn xor(digest: &mut Digest, bytes: &[u8]) {
    digest.iter_mut().zip(sha1(bytes)).for_each(|(into, byte)| *into ^= byte);
}

/// The digest of parts whose order matters.
fn of_parts(parts: &[&[u8]]) -> Digest {
    let mut digest = Digest::default();
    parts.iter().for_each(|part| mix(&mut digest, part));
    digest
}

/// The number by which Redis knows a type.
const fn number_of(kind: Type) -> u32 {
    match kind {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::ZSet => 3,
        Type::Hash => 4,
        Type::Stream => 6,
        Type::Array => 7,
    }
}

/// Mixes in a value.
fn mix_value(
    digest: &mut Digest,
    stored: Stored<'_>,
    expires: bool,
    (hasher, now): (&KeyHasher, Millis),
) {
    mix(digest, &number_of(stored.kind()).to_be_bytes());
    match stored.kind() {
        Type::String => mix(digest, stored.str_bytes().unwrap_or_default()),
        Type::List => mix_list(digest, stored),
        Type::Set => mix_set(digest, stored, hasher, now),
        Type::ZSet => mix_zset(digest, stored, hasher),
        Type::Hash => mix_hash(digest, stored, hasher, now),
        Type::Stream => mix_stream(digest, stored),
        Type::Array => mix_array(digest, stored),
    }
    if expires {
        xor(digest, KEY_EXPIRES);
    }
}

fn mix_list(digest: &mut Digest, stored: Stored<'_>) {
    let Some(list) = list_of(stored) else { return };
    list.iter().for_each(|element| mix(digest, element.to_text(&mut Digits::new())));
}

fn mix_set(digest: &mut Digest, stored: Stored<'_>, hasher: &KeyHasher, now: Millis) {
    let Some(set) = set_of(stored, hasher, now) else { return };
    set.iter().for_each(|member| xor(digest, member.to_text(&mut Digits::new())));
}

fn mix_zset(digest: &mut Digest, stored: Stored<'_>, hasher: &KeyHasher) {
    let Some(set) = zset_of(stored, hasher) else { return };
    for (member, score) in set.iter() {
        let score = digits::text(score);
        xor(digest, &of_parts(&[member.to_text(&mut Digits::new()), score.as_bytes()]));
    }
}

fn mix_hash(digest: &mut Digest, stored: Stored<'_>, hasher: &KeyHasher, now: Millis) {
    let Some(map) = map_of(stored, hasher, now) else { return };
    for (field, value, deadline) in map.iter_dated() {
        let (mut digits, mut others) = (Digits::new(), Digits::new());
        let mut own = of_parts(&[field.to_text(&mut digits), value.to_text(&mut others)]);
        if deadline.is_some() {
            xor(&mut own, FIELD_EXPIRES);
        }
        xor(digest, &own);
    }
}

/// Entries only: groups do not count.
fn mix_stream(digest: &mut Digest, stored: Stored<'_>) {
    let (first, last) = (stream::StreamId::ZERO, stream::StreamId::MAX);
    let Some(stream) = stream_of(stored) else { return };
    for entry in stream.log.range(first, last) {
        mix(digest, format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
        for (name, value) in entry.fields() {
            mix(digest, name);
            mix(digest, value);
        }
    }
}

/// Slots and what they hold; Redis' way is not known.
fn mix_array(digest: &mut Digest, stored: Stored<'_>) {
    let Some(array) = array_of(stored) else { return };
    for (index, element) in array.range(0, u64::MAX) {
        xor(digest, &of_parts(&[&index.to_be_bytes(), element.to_text(&mut Digits::new())]));
    }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `DEBUG DIGEST`: of all databases; zeros if they are empty.
pub(super) fn digest(_: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let mut all = Digest::default();
    for db in (0..keys.databases()).filter(|&db| !keys.is_empty(db)) {
        mix(&mut all, &u32::from(db).to_be_bytes());
        keys.each(db, |met| {
            let mut own = Digest::default();
            mix(&mut own, met.key);
            let expires = met.info().deadline.is_some();
            mix_value(&mut own, met.stored(), expires, (keys.hasher(), keys.now()));
            xor(&mut all, &own);
        });
    }
    reply.simple(&hex(&all));
    Ok(())
}

/// `DEBUG DIGEST-VALUE key ...`: of each value; zeros if there is none.
pub(super) fn digest_value(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    reply.array(args.len());
    for key in args.rest() {
        let mut own = Digest::default();
        if let (Some(stored), Some(info)) = (keys.stored(key), keys.info(key)) {
            let expires = info.deadline.is_some();
            mix_value(&mut own, stored, expires, (keys.hasher(), keys.now()));
        }
        reply.simple(&hex(&own));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_matters_where_parts_are_mixed_and_not_where_they_are_xored() {
        assert_ne!(of_parts(&[b"a", b"b"]), of_parts(&[b"b", b"a"]));
        assert_ne!(of_parts(&[b"a", b"b"]), of_parts(&[b"ab"]));
        let both = |first, second| {
            let mut digest = Digest::default();
            xor(&mut digest, first);
            xor(&mut digest, second);
            digest
        };
        assert_eq!(both(b"a", b"b"), both(b"b", b"a"));
    }
}
