//! Walking a database in steps: SCAN, and RM, which removes what it meets.
//!
//! Every key that is there from the first step of a walk to its last is met at least once,
//! whatever happens to others meanwhile ([`keyspace::ScanCursor`]).

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Enter, Flags, Group, Reply, Run, View,
    event,
};
use keyspace::{Info, ScanCursor, Type};

use crate::glob;
use crate::work;

pub(super) const SCAN: Command = Command {
    name: "SCAN",
    work: Some(work::met_keys),
    run: Run::Read(scan),
    arity: Arity::AtLeast(2),
    enter: Enter::All,
    flags: Flags::ARBITRARY_KEYS,
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "2.8.0",
    summary: "One step of a walk over the keys of the database; the next one starts at its cursor.",
    syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type] [ATTR (v | p)] [MINMSZ bytes]",
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    history: &[("6.0.0", "`TYPE`.")],
    ..Command::BASE
};

fn scan(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (cursor, filter) = parse_step(args)?;
    let (next, met) = step(cursor, &filter, keys);
    reply.array(2);
    tell_cursor(next, reply);
    reply.array(met.len());
    met.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

pub(super) const RM: Command = Command {
    name: "RM",
    run: Run::Write(rm),
    since: "1.0.0",
    flags: Flags::ARBITRARY_KEYS,
    category: Category::KEYSPACE.and(Category::DANGEROUS),
    summary: "One step of a walk as SCAN makes it, which removes the keys that it meets.",
    tips: &["nondeterministic_output"],
    history: &[],
    ..SCAN
};

fn rm(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (cursor, filter) = parse_step(args)?;
    let (next, met) = step(cursor, &filter, keys);
    let met: Vec<Box<[u8]>> = met.into_iter().map(Box::from).collect();
    let removed = met.iter().filter(|key| keys.remove(key, event::DEL)).count();
    reply.array(2);
    tell_cursor(next, reply);
    reply.integer(removed as i64);
    Ok(())
}

/// The keys that one step meets and the filter lets through, and where the next step starts.
fn step<'v>(
    cursor: ScanCursor,
    filter: &Filter<'_>,
    keys: &'v View<'_>,
) -> (ScanCursor, Vec<&'v [u8]>) {
    let mut met = Vec::new();
    let next = keys.scan(cursor, filter.count, |entry| {
        if filter.takes(entry.key, || entry.info()) {
            met.push(entry.key);
        }
    });
    (next, met)
}

fn tell_cursor(cursor: ScanCursor, reply: &mut Reply<'_>) {
    reply.bulk(itoa::Buffer::new().format(cursor.0).as_bytes());
}

/// Which keys a step returns.
struct Filter<'a> {
    /// About how many it meets, the ones that do not pass included.
    count: usize,
    pattern: Option<&'a [u8]>,
    /// Keys of this type; `None`: of any.
    of_type: Option<Type>,
    lifetime: Option<Lifetime>,
    /// Entries must take as many bytes.
    bytes_min: usize,
}

/// Whether keys expire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    Volatile,
    Persistent,
}

impl Filter<'_> {
    fn takes(&self, key: &[u8], info: impl FnOnce() -> Info) -> bool {
        if self.pattern.is_some_and(|pattern| !glob::matches(pattern, key, false)) {
            return false;
        }
        if self.of_type.is_none() && self.lifetime.is_none() && self.bytes_min == 0 {
            return true;
        }
        let Info { kind, deadline, bytes, .. } = info();
        let wanted = self.lifetime.is_none_or(|wanted| match wanted {
            Lifetime::Volatile => deadline.is_some(),
            Lifetime::Persistent => deadline.is_none(),
        });
        wanted && bytes >= self.bytes_min && self.of_type.is_none_or(|of_type| of_type == kind)
    }
}

fn parse_step(mut args: Args<'_>) -> Result<(ScanCursor, Filter<'_>), CommandError> {
    const COUNT: usize = 10;
    let cursor = args.take::<Cursor>()?.0;
    let mut filter =
        Filter { count: COUNT, pattern: None, of_type: None, lifetime: None, bytes_min: 0 };
    while !args.is_empty() {
        if args.word_with_value("COUNT") {
            filter.count = parse_positive(args.take()?)?;
        } else if args.word_with_value("MATCH") {
            // What lets everything through costs nothing.
            filter.pattern = Some(args.bytes()?).filter(|&pattern| pattern != b"*");
        } else if args.word_with_value("TYPE") {
            filter.of_type = Some(parse_type(args.bytes()?)?);
        } else if args.word_with_value("ATTR") {
            filter.lifetime = Some(args.take()?);
        } else if args.word_with_value("MINMSZ") {
            filter.bytes_min = parse_positive(args.take()?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((cursor, filter))
}

fn parse_positive(number: i64) -> Result<usize, CommandError> {
    let number = usize::try_from(number).ok().filter(|&number| number > 0);
    number.ok_or(CommandError::Syntax)
}

/// The type of this name.
fn parse_type(name: &[u8]) -> Result<Type, CommandError> {
    let mut types = Type::ALL.into_iter();
    let found = types.find(|kind| name.eq_ignore_ascii_case(kind.name().as_bytes()));
    found.ok_or_else(|| CommandError::UnknownType(String::from_utf8_lossy(name).into()))
}

impl Arg<'_> for Lifetime {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        match raw {
            b"v" | b"V" => Ok(Lifetime::Volatile),
            b"p" | b"P" => Ok(Lifetime::Persistent),
            _ => Err(CommandError::Syntax),
        }
    }
}

/// A cursor as C's number reader takes it: spaces and a plus sign before it do no harm.
struct Cursor(ScanCursor);

impl Arg<'_> for Cursor {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(raw).map(str::trim_ascii_start);
        let number = text.ok().and_then(|text| text.parse().ok());
        number.map(|number| Cursor(ScanCursor(number))).ok_or(CommandError::InvalidCursor)
    }
}
