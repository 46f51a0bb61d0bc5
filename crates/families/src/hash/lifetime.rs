//! Fields and their deadlines in one command: HGETEX, HSETEX.

use command::{
    Args, Arity, Command, CommandError, Done, Flags, Key, KeySpec, KeyUse, Reply, Run, Unit, View,
    deadline_of, event,
};
use keyspace::{HashEntry, Millis, Refused, count_done};
use value::map::Until;

use super::expire::not_negative;
use super::fields::{HSET, take_fields};
use super::tell_maybe;
use crate::generic::fields::in_seconds;

pub(super) const HGETEX: Command = Command {
    name: "HGETEX",
    member: Some(4),
    run: Run::Write(hgetex),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::UPDATE)],
    flags: Flags::FAST,
    since: "8.0.0",
    summary: "Returns the values of fields, and sets when they expire.",
    syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT \
             unix-time-milliseconds | PERSIST] FIELDS numfields field ...",
    history: &[],
    ..HSET
};

fn hgetex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let now = keys.now();
    let mut entry = keys.hash_entry(key.0)?;
    let until = match args.word("PERSIST") {
        true => Until::Never,
        false => take_deadline(&mut args, now, "hgetex")?.map_or(Until::Same, Until::At),
    };
    take_fields(&mut args, "ERR Number of fields must be a positive integer")?;
    reply.array(args.len());
    let (changed, outcome) = count_done(args.rest(), |field| {
        entry.drop_lapsed(field);
        tell_maybe(entry.get().and_then(|map| map.get(field)), reply);
        change_deadline(&mut entry, field, until)
    });
    if changed > 0 {
        entry.noted(match until {
            Until::Never => event::HPERSIST,
            Until::At(deadline) if deadline <= now => event::HDEL,
            _ => event::HEXPIRE,
        });
    }
    entry.noted_lapsed();
    outcome
}

/// Gives a field another deadline, or takes it out if that has passed; tells whether something
/// changed.
fn change_deadline(
    entry: &mut HashEntry<'_>,
    field: &[u8],
    until: Until,
) -> Result<bool, CommandError> {
    let Some(old) = entry.get().and_then(|map| map.deadline(field)) else { return Ok(false) };
    let new = match until {
        Until::Same => old,
        Until::Never => None,
        Until::At(deadline) if deadline <= entry.now() => return Ok(entry.remove(field)?),
        Until::At(deadline) => Some(deadline),
    };
    if new == old {
        return Ok(false);
    }
    entry.set_deadline(field, new)?;
    Ok(true)
}

/// Takes `EX`, `PX`, `EXAT` or `PXAT` with its number, if one of them is next.
fn take_deadline(
    args: &mut Args<'_>,
    now: Millis,
    command: &'static str,
) -> Result<Option<Millis>, CommandError> {
    let words = [
        ("EX", Unit::Seconds, now),
        ("PX", Unit::Millis, now),
        ("EXAT", Unit::Seconds, 0),
        ("PXAT", Unit::Millis, 0),
    ];
    for (word, unit, base) in words {
        if args.word(word) {
            let number = not_negative(args.bytes()?)?;
            return deadline_of(number, unit, base, command).map(Some);
        }
    }
    Ok(None)
}

pub(super) const HSETEX: Command = Command {
    name: "HSETEX",
    member: Some(4),
    run: Run::Write(hsetex),
    arity: Arity::AtLeast(5),
    since: "8.0.0",
    summary: "Sets fields of a hash, and when they expire.",
    syntax: "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
             PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields (field value) ...",
    history: &[],
    ..HSET
};

/// A form of Redis and Valkey; that of Dragonfly where a number stands in the place of FIELDS.
fn hsetex(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let now = keys.now();
    if let Some(brief) = Brief::parse(&mut args, now)? {
        reply.integer(brief.set(args, &mut keys.hash_entry(key.0)?)?);
        return Ok(());
    }
    if args.len() < FIELDS_WORDS_MIN {
        return Err(CommandError::WrongArity("hsetex".into()));
    }
    let wishes = Wishes::parse(&mut args, now)?;
    let mut entry = keys.hash_entry(key.0)?;
    let is_met = wishes.are_met(&mut entry, args);
    let set = match is_met {
        true => set_until(&mut entry, args, wishes.until.unwrap_or(Until::Never)),
        false => Ok(()),
    };
    entry.noted_lapsed();
    set?;
    reply.integer(i64::from(is_met));
    Ok(())
}

/// Sets fields; those whose deadline has passed already are taken out instead.
fn set_until(entry: &mut HashEntry<'_>, args: Args<'_>, until: Until) -> Done {
    let pairs = || args.rest().step_by(2).zip(args.skip(1).rest().step_by(2));
    let (done, outcome) = match until {
        Until::Never => (entry.set_all(pairs())?.max(1), Ok(())),
        Until::At(deadline) if deadline <= entry.now() => {
            return set_too_late(entry, pairs().map(|(field, _)| field));
        }
        until => {
            count_done(pairs(), |(field, value)| entry.set_until(field, value, until).map(|_| true))
        }
    };
    if done > 0 && matches!(until, Until::At(_)) {
        entry.also(event::HSET);
        entry.noted(event::HEXPIRE);
    } else if done > 0 {
        entry.noted(event::HSET);
    }
    Ok(outcome?)
}

/// Takes fields out that are set when their deadline has passed. Subscribers are told that they
/// came and went, those that were not there, too.
fn set_too_late<'a>(
    entry: &mut HashEntry<'_>,
    fields: impl Iterator<Item = &'a [u8]> + Clone,
) -> Done {
    let is_new = !entry.exists();
    fields.clone().for_each(|field| entry.name(field));
    entry.also(event::HSET);
    let (removed, outcome) = count_done(fields, |field| entry.take_out(field));
    if removed > 0 {
        entry.noted(event::HDEL);
    } else {
        entry.also(event::HDEL);
    }
    if is_new {
        entry.also(event::DEL);
    }
    Ok(outcome?)
}

/// The words behind the key in the forms of Redis and Valkey: `FIELDS 1 field value`.
const FIELDS_WORDS_MIN: usize = 4;

/// The options of HSETEX in Dragonfly's form: `[NX|FNX|FXX] [KEEPTTL] seconds field value ...`.
struct Brief {
    /// Whether all fields must be there (`FXX`), or none may (`FNX`).
    fields: Option<bool>,
    /// Fields that are there stay as they are (`NX`).
    only_new: bool,
    /// Fields that are there keep their deadlines (`KEEPTTL`).
    keeps: bool,
    deadline: Millis,
}

impl Brief {
    /// Takes the options up to the first field; `None` if the request has another form.
    fn parse(args: &mut Args<'_>, now: Millis) -> Result<Option<Brief>, CommandError> {
        let mut words = *args;
        let only_new = words.word("NX");
        let mut conditions = [("FNX", false), ("FXX", true)].into_iter();
        let given = conditions.find(|(word, _)| !only_new && words.word(word));
        let fields = given.map(|(_, there)| there);
        let keeps = words.word("KEEPTTL");
        let Some(number) = words.get(0).filter(|raw| command::parse_integer(raw).is_some()) else {
            return Ok(None);
        };
        let pairs = words.skip(1);
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(CommandError::WrongArity("hsetex".into()));
        }
        *args = pairs;
        Ok(Some(Brief { fields, only_new, keeps, deadline: in_seconds(number, now)? }))
    }

    /// Sets the fields; returns how many are new.
    fn set(&self, pairs: Args<'_>, entry: &mut HashEntry<'_>) -> Result<i64, CommandError> {
        let wishes = Wishes { fields: self.fields, ..Wishes::default() };
        if !wishes.are_met(entry, pairs) {
            entry.noted_lapsed();
            return Ok(0);
        }
        let mut added = 0;
        let pairs = pairs.rest().step_by(2).zip(pairs.skip(1).rest().step_by(2));
        let (changed, outcome) = count_done(pairs, |(field, value)| {
            let is_there = entry.get().is_some_and(|map| map.deadline(field).is_some());
            if is_there && self.only_new {
                return Ok(false);
            }
            let until = match is_there && self.keeps {
                true => Until::Same,
                false => Until::At(self.deadline),
            };
            added += i64::from(entry.set_until(field, value, until)?);
            Ok::<_, Refused>(true)
        });
        if changed > 0 {
            entry.also(event::HSET);
            entry.noted(event::HEXPIRE);
        }
        outcome?;
        Ok(added)
    }
}

/// The options of HSETEX in the forms of Redis and Valkey.
#[derive(Default)]
struct Wishes {
    /// Whether the key must be there (`XX`), or must not (`NX`).
    key: Option<bool>,
    /// Whether all fields must be there (`FXX`), or none may (`FNX`).
    fields: Option<bool>,
    until: Option<Until>,
}

impl Wishes {
    /// Takes the options up to the first field.
    fn parse(args: &mut Args<'_>, now: Millis) -> Result<Wishes, CommandError> {
        let mut wishes = Wishes::default();
        while !args.word("FIELDS") {
            wishes.take(args, now)?;
        }
        let count = command::parse_positive(args.bytes()?);
        let count = count.ok_or_else(|| CommandError::text("ERR invalid number of fields"))?;
        if count.checked_mul(2) != Some(args.len()) {
            return Err(CommandError::WrongArity("hsetex".into()));
        }
        Ok(wishes)
    }

    fn take(&mut self, args: &mut Args<'_>, now: Millis) -> Done {
        const CONDITIONS: [(&str, bool); 2] = [("FXX", true), ("FNX", false)];
        const KEY_CONDITIONS: [(&str, bool); 2] = [("XX", true), ("NX", false)];
        if let Some((_, there)) = CONDITIONS.into_iter().find(|(word, _)| args.word(word)) {
            return set_once(
                &mut self.fields,
                there,
                "ERR Only one of FXX or FNX arguments can be specified",
            );
        }
        if let Some((_, there)) = KEY_CONDITIONS.into_iter().find(|(word, _)| args.word(word)) {
            return set_once(
                &mut self.key,
                there,
                "ERR Only one of XX or NX arguments can be specified",
            );
        }
        let until = match args.word("KEEPTTL") {
            true => Some(Until::Same),
            false => take_deadline(args, now, "hsetex")?.map(Until::At),
        };
        let Some(until) = until else {
            let word = String::from_utf8_lossy(args.bytes()?);
            return Err(CommandError::text(format!("ERR unknown argument: {word}")));
        };
        set_once(
            &mut self.until,
            until,
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        )
    }

    /// Whether key and fields are as they must be; the fields are those of `args`.
    fn are_met(&self, entry: &mut HashEntry<'_>, args: Args<'_>) -> bool {
        if self.key.is_some_and(|must| must == entry.is_empty()) {
            return false;
        }
        self.fields.is_none_or(|must| {
            args.rest().step_by(2).all(|field| {
                entry.drop_lapsed(field);
                entry.get().is_some_and(|map| map.deadline(field).is_some()) == must
            })
        })
    }
}

fn set_once<T>(place: &mut Option<T>, value: T, twice: &'static str) -> Done {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::text(twice)),
    }
}
