//! One bit: GETBIT and SETBIT.

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View, event, parse_integer,
};

use super::BitOffset;
use super::rules::{bit_at, put_bit};
use crate::string::room;
use crate::work;

pub(super) const GETBIT: Command = Command {
    name: "GETBIT",
    run: Run::Read(getbit),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::BITMAP,
    group: Group::Bitmap,
    since: "2.2.0",
    summary: "Returns one bit of a string.",
    syntax: "key offset",
    ..Command::BASE
};

fn getbit(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, at): (Key<'_>, BitOffset) = args.parse()?;
    let bit = keys.str(key.0)?.is_some_and(|text| bit_at(text.as_bytes(), at.0));
    reply.integer(i64::from(bit));
    Ok(())
}

pub(super) const SETBIT: Command = Command {
    name: "SETBIT",
    run: Run::Write(setbit),
    work: Some(|args, keys| work::moved(args.get(0), written(args), 0, keys)),
    prepare: Some(|args, keys, _| Ok(room::made(args, keys, (written(args), 0), setbit))),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::DENY_OOM,
    category: Category::BITMAP,
    group: Group::Bitmap,
    since: "2.2.0",
    summary: "Writes one bit of a string, which grows to reach it; returns the bit that was there.",
    syntax: "key offset value-bit",
    ..Command::BASE
};

/// Up to where SETBIT writes.
fn written(args: Args<'_>) -> usize {
    let at = args.get(1).and_then(|raw| BitOffset::parse(raw).ok());
    at.map_or(0, |at| at.bytes_to_hold(1))
}

fn setbit(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, at, Bit(bit)): (Key<'_>, BitOffset, Bit) = args.parse()?;
    let mut entry = keys.str_entry(key.0)?;
    let old = bit_at(entry.bytes(), at.0);
    entry.edit_if(at.bytes_to_hold(1), event::SETBIT, |text| put_bit(text, at.0, bit))?;
    reply.integer(i64::from(old));
    Ok(())
}

/// The value of a bit, `0` or `1`.
struct Bit(bool);

impl Arg<'_> for Bit {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        match parse_integer(raw) {
            Some(0) => Ok(Bit(false)),
            Some(1) => Ok(Bit(true)),
            _ => Err(CommandError::BitValue),
        }
    }
}
