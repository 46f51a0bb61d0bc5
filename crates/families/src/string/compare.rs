//! Strings compared with what the client expects: the conditions of `SET`, `DELEX` and
//! `DELIFEQ`, and `DIGEST`, which spares the client to send the whole value.
//!
//! A digest is the 64-bit XXH3 hash of the value (Collet 2019, seed 0), written as 16 hexadecimal
//! digits.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, Words, event,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::work;

/// Hexadecimal digits of a digest.
const DIGEST_DIGITS: usize = 16;

/// What must hold of a key's value for a command to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// Nothing.
    Always,
    /// `NX`: there is none.
    IfNew,
    /// `XX`: there is one.
    IfThere,
    /// `IFEQ`: there is one, and it is this.
    IfEqual(&'a [u8]),
    /// `IFNE`: there is none, or another.
    IfNotEqual(&'a [u8]),
    /// `IFDEQ`: there is one, and this is its digest.
    IfDigest(&'a [u8]),
    /// `IFDNE`: there is none, or one of another digest.
    IfNotDigest(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// Whether it looks at the value, so that there must be a string or nothing.
    pub(super) const fn compares(&self) -> bool {
        !matches!(self, Condition::Always | Condition::IfNew | Condition::IfThere)
    }

    /// Takes the words of a condition into `given`; tells whether there was one. `NX` and `XX`
    /// may be repeated.
    ///
    /// # Errors
    /// A syntax error if there was another one before, or the value to compare with is missing.
    pub(super) fn take(
        args: &mut Args<'a>,
        given: &mut Option<Condition<'a>>,
    ) -> Result<bool, CommandError> {
        let condition = if args.word("NX") {
            Condition::IfNew
        } else if args.word("XX") {
            Condition::IfThere
        } else if let Some(comparison) = Condition::comparison(args)? {
            comparison
        } else {
            return Ok(false);
        };
        let is_repeated =
            matches!(condition, Condition::IfNew | Condition::IfThere) && *given == Some(condition);
        if given.is_some() && !is_repeated {
            return Err(CommandError::Syntax);
        }
        *given = Some(condition);
        Ok(true)
    }

    fn comparison(args: &mut Args<'a>) -> Result<Option<Condition<'a>>, CommandError> {
        let make = if args.word("IFEQ") {
            Condition::IfEqual
        } else if args.word("IFNE") {
            Condition::IfNotEqual
        } else if args.word("IFDEQ") {
            Condition::IfDigest
        } else if args.word("IFDNE") {
            Condition::IfNotDigest
        } else {
            return Ok(None);
        };
        Ok(Some(make(args.bytes()?)))
    }

    /// The condition, if its digest can be one.
    pub(super) fn checked(self) -> Result<Condition<'a>, CommandError> {
        match self {
            Condition::IfDigest(digest) | Condition::IfNotDigest(digest)
                if parse_digest(digest).is_none() =>
            {
                Err(CommandError::InvalidDigest)
            }
            condition => Ok(condition),
        }
    }

    /// Whether it holds of a value, or of there being none.
    pub(super) fn holds(self, value: Option<&[u8]>) -> bool {
        let has_digest = |digest| value.map(xxh3_64) == parse_digest(digest);
        match self {
            Condition::Always => true,
            Condition::IfNew => value.is_none(),
            Condition::IfThere => value.is_some(),
            Condition::IfEqual(wanted) => value == Some(wanted),
            Condition::IfNotEqual(unwanted) => value != Some(unwanted),
            Condition::IfDigest(digest) => has_digest(digest),
            Condition::IfNotDigest(digest) => !has_digest(digest),
        }
    }
}

/// The hash that 16 hexadecimal digits of either case name.
fn parse_digest(digits: &[u8]) -> Option<u64> {
    if digits.len() != DIGEST_DIGITS {
        return None;
    }
    digits.iter().try_fold(0, |sum, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(sum << 4 | u64::from(value))
    })
}

/// The digits of a hash, in lower case, zeros in front.
fn write_digest(hash: u64) -> [u8; DIGEST_DIGITS] {
    let digit = |at: usize| b"0123456789abcdef"[(hash >> (60 - 4 * at) & 0xF) as usize];
    std::array::from_fn(digit)
}

pub(super) const DIGEST: Command = Command {
    name: "DIGEST",
    work: Some(work::looks_at_bytes),
    run: Run::Read(digest),
    arity: Arity::Exactly(2),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    category: Category::STRING,
    group: Group::String,
    since: "8.4.0",
    summary: "Returns the XXH3 hash of a string as 16 hexadecimal digits.",
    complexity: "O(N) where N is the length of the string",
    syntax: "key",
    ..Command::BASE
};

fn digest(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    match keys.str(key.0)? {
        None => reply.null(),
        Some(text) => reply.bulk(&write_digest(xxh3_64(text.as_bytes()))),
    }
    Ok(())
}

pub(super) const DELEX: Command = Command {
    name: "DELEX",
    run: Run::Write(delex),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "delete", "variable_flags"]))
        .noting("The value is read only for a condition.")],
    key_use: Some(delex_use),
    summary: "Deletes a key if its value is, or is not, what is expected.",
    complexity: "O(1) for IFEQ and IFNE, O(N) for IFDEQ and IFDNE where N is the length of the \
                 string",
    syntax: "key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
    ..DIGEST
};

/// What DELEX does to its key follows from whether there is a condition.
fn delex_use(words: Words<'_>) -> KeyUse {
    if words.len() > 2 { KeyUse(&["RW", "delete"]) } else { KeyUse::DELETE }
}

fn delex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    if args.is_empty() {
        let removed = keys.remove(key.0, event::DEL);
        reply.integer(i64::from(removed));
        return Ok(());
    }
    if args.len() != 2 {
        return Err(CommandError::WrongArity("delex".into()));
    }
    let condition = Condition::comparison(&mut args)?.ok_or(CommandError::Syntax)?.checked()?;
    delete_if(condition, key, keys, reply)
}

pub(super) const DELIFEQ: Command = Command {
    name: "DELIFEQ",
    run: Run::Write(delifeq),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(1, KeyUse::DELETE)],
    since: "9.0.0",
    summary: "Deletes a key if its value is what is expected.",
    complexity: "O(1)",
    syntax: "key value",
    ..DIGEST
};

fn delifeq(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, wanted): (Key<'_>, &[u8]) = args.parse()?;
    delete_if(Condition::IfEqual(wanted), key, keys, reply)
}

/// Removes a string of which the condition holds. A key that is not there cannot be removed.
fn delete_if(
    condition: Condition<'_>,
    key: Key<'_>,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let mut entry = keys.str_over(key.0);
    if entry.holds_other() && condition.compares() {
        return Err(CommandError::WrongType);
    }
    let removed =
        entry.exists() && condition.holds(Some(entry.bytes())) && entry.remove(event::DEL);
    reply.integer(i64::from(removed));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_leading_zeros_and_is_read_in_either_case() {
        assert_eq!(&write_digest(0x6c38_adf3_1777), b"00006c38adf31777");
        assert_eq!(parse_digest(b"00006C38adf31777"), Some(0x6c38_adf3_1777));
        for bad in ["", "6c38adf31777", "00006c38adf3177g", "+0006c38adf31777"] {
            assert_eq!(parse_digest(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_digest_is_that_of_other_servers() {
        let value = b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkf\
                      zkjytls2kwlj7626sd";
        assert_eq!(&write_digest(xxh3_64(value)), b"00006c38adf31777");
    }

    #[test]
    fn a_negative_condition_is_the_opposite_of_its_positive_one() {
        let digest = write_digest(xxh3_64(b"a"));
        for value in [None, Some(&b"a"[..]), Some(b"b"), Some(b"")] {
            let equal = Condition::IfEqual(b"a").holds(value);
            assert_eq!(equal, value == Some(b"a"));
            assert_eq!(Condition::IfNotEqual(b"a").holds(value), !equal);
            assert_eq!(Condition::IfDigest(&digest).holds(value), equal);
            assert_eq!(Condition::IfNotDigest(&digest).holds(value), !equal);
            assert_ne!(Condition::IfNew.holds(value), Condition::IfThere.holds(value));
        }
    }
}
