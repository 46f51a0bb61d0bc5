//! BITOP: several strings combined bit by bit.

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View, event,
};
use keyspace::Expiry;
use smallvec::SmallVec;

use super::rules::{Operation, combine};
use crate::work;

pub(super) const BITOP: Command = Command {
    name: "BITOP",
    work: Some(|args, keys| work::all(args.skip(2), keys)),
    run: Run::Write(bitop),
    arity: Arity::AtLeast(4),
    keys: &[KeySpec::one(2, KeyUse::OVERWRITE), KeySpec::from(3, KeyUse::READ)],
    flags: Flags::DENY_OOM,
    category: Category::BITMAP,
    group: Group::Bitmap,
    since: "2.6.0",
    summary: "Combines strings bit by bit and stores what comes out; returns its length in bytes.",
    complexity: "O(N)",
    syntax: "(AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) destkey key ...",
    history: &[("8.2.0", "`DIFF`, `DIFF1`, `ANDOR` and `ONE` (Redis).")],
    ..Command::BASE
};

fn bitop(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let Named { operation, name } = args.take()?;
    let destination: Key<'_> = args.take()?;
    let many = args.len() > 1;
    match operation {
        Operation::Not if many => return Err(CommandError::BitopNot),
        Operation::Diff | Operation::Diff1 | Operation::AndOr if !many => {
            return Err(CommandError::BitopSources(name));
        }
        _ => {}
    }

    let combined = combine_keys(operation, args, keys)?;
    let mut entry = keys.str_over(destination.0);
    if combined.is_empty() {
        entry.remove(event::DEL);
    } else {
        entry.replace(&combined, Expiry::Clear, event::SET)?;
    }
    reply.integer(combined.len() as i64);
    Ok(())
}

fn combine_keys(
    operation: Operation,
    names: Args<'_>,
    keys: &View<'_>,
) -> Result<Vec<u8>, CommandError> {
    let mut sources: SmallVec<[&[u8]; 8]> = SmallVec::with_capacity(names.len());
    for key in names.rest() {
        sources.push(keys.str(key)?.map_or(&[], |text| text.as_bytes()));
    }
    Ok(combine(operation, &sources))
}

/// An operation with its name in upper case.
struct Named {
    operation: Operation,
    name: &'static str,
}

impl Arg<'_> for Named {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        const NAMES: [(&str, Operation); 8] = [
            ("AND", Operation::And),
            ("OR", Operation::Or),
            ("XOR", Operation::Xor),
            ("NOT", Operation::Not),
            ("DIFF", Operation::Diff),
            ("DIFF1", Operation::Diff1),
            ("ANDOR", Operation::AndOr),
            ("ONE", Operation::One),
        ];
        let named = NAMES.iter().find(|(name, _)| raw.eq_ignore_ascii_case(name.as_bytes()));
        let (name, operation) = *named.ok_or(CommandError::Syntax)?;
        Ok(Named { operation, name })
    }
}
