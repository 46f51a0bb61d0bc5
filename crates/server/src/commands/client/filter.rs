//! Which clients CLIENT LIST and CLIENT KILL are to take.
//!
//! A filter is a list of conditions, all of which must hold; `NOT-` before an option's name turns
//! its condition round. An option that is given again replaces itself, but for ID, whose numbers
//! add up.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::sync::atomic::Ordering;

use command::{Args, CommandError, parse_integer};
use keyspace::Millis;

use super::line;
use crate::client::{Client, ClientId, Kind, Names};
use crate::server::Server;

/// See the module's page.
pub(super) struct Filter<'a> {
    tests: Vec<Test<'a>>,
    skips_own: bool,
}

/// A condition, and whether it must hold or must not.
struct Test<'a> {
    condition: Condition<'a>,
    wanted: bool,
}

/// What can be asked of a client.
enum Condition<'a> {
    Ids(BTreeSet<ClientId>),
    Kind(Kind),
    Address(&'a [u8]),
    LocalAddress(&'a [u8]),
    User(&'a [u8]),
    /// At least so many seconds old.
    Age(u64),
    /// Idle for at least so many seconds.
    Idle(u64),
    /// All these letters are among its flags.
    Flags(&'a [u8]),
    Name(&'a [u8]),
    LibName(&'a [u8]),
    LibVersion(&'a [u8]),
    Db(u16),
    /// All these letters are among what it is able to do.
    Capa(&'a [u8]),
    Ip(&'a [u8]),
}

impl<'a> Filter<'a> {
    /// Takes the clients that come from an address.
    pub(super) fn address(address: &'a [u8]) -> Filter<'a> {
        let test = Test { condition: Condition::Address(address), wanted: true };
        Filter { tests: vec![test], skips_own: false }
    }

    /// Reads options of KILL, which spares who asks unless SKIPME says otherwise, or of LIST.
    ///
    /// # Errors
    /// Those of the first option that is none, or has a value that is none.
    pub(super) fn parse(
        mut args: Args<'a>,
        is_kill: bool,
        server: &Server,
    ) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter { tests: Vec::new(), skips_own: is_kill };
        while !args.is_empty() {
            if args.word_with_value("SKIPME") {
                filter.skips_own = yes_or_no(args.bytes()?)?;
            } else {
                filter.add(test(&mut args, is_kill, server)?);
            }
        }
        Ok(filter)
    }

    fn add(&mut self, mut test: Test<'a>) {
        let same = |other: &Test<'_>| {
            other.wanted == test.wanted
                && discriminant(&other.condition) == discriminant(&test.condition)
        };
        let before = self.tests.iter().position(same).map(|at| self.tests.swap_remove(at));
        if let (Some(Condition::Ids(before)), Condition::Ids(ids)) =
            (before.map(|test| test.condition), &mut test.condition)
        {
            ids.extend(before);
        }
        self.tests.push(test);
    }

    /// Whether the filter takes a client; `own` is the id of who asks.
    pub(super) fn takes(&self, client: &Client, own: ClientId, now: Millis) -> bool {
        let names = client.names();
        !(self.skips_own && client.id == own)
            && self
                .tests
                .iter()
                .all(|test| test.condition.holds(client, &names, now) == test.wanted)
    }
}

/// Takes one option with its value, or its numbers.
fn test<'a>(args: &mut Args<'a>, is_kill: bool, server: &Server) -> Result<Test<'a>, CommandError> {
    let option = args.bytes()?.to_ascii_uppercase();
    let (wanted, name) = match option.strip_prefix(b"NOT-") {
        Some(name) => (false, name),
        None => (true, &option[..]),
    };
    if name == b"ID" {
        return Ok(Test { condition: Condition::Ids(ids(args, is_kill)?), wanted });
    }
    let value = args.bytes()?;
    let condition = match name {
        b"TYPE" => Condition::Kind(kind(value)?),
        b"ADDR" => Condition::Address(value),
        b"LADDR" => Condition::LocalAddress(value),
        b"USER" => Condition::User(known_user(value, server)?),
        b"MAXAGE" if wanted => Condition::Age(seconds("maxage", value)?),
        b"IDLE" if wanted => Condition::Idle(seconds("idle", value)?),
        b"FLAGS" => Condition::Flags(letters("flags", wanted, value, line::FLAG_LETTERS)?),
        b"NAME" => Condition::Name(value),
        b"LIB-NAME" => Condition::LibName(value),
        b"LIB-VER" => Condition::LibVersion(value),
        b"DB" => Condition::Db(db(
            &String::from_utf8_lossy(&option),
            value,
            server.keyspace.databases(),
        )?),
        b"CAPA" => Condition::Capa(letters("capa", wanted, value, b"r")?),
        b"IP" => Condition::Ip(value),
        _ => return Err(CommandError::Syntax),
    };
    Ok(Test { condition, wanted })
}

/// Takes numbers as long as there are any; KILL takes at least one.
fn ids(args: &mut Args<'_>, is_kill: bool) -> Result<BTreeSet<ClientId>, CommandError> {
    let mut ids = BTreeSet::new();
    let wrong = || error("client-id should be greater than 0");
    if is_kill && args.get(0).is_some_and(|first| parse_integer(first).is_none()) {
        return Err(wrong());
    }
    while let Some(id) = args.get(0).and_then(parse_integer) {
        let id = u64::try_from(id).ok().filter(|&id| id > 0);
        ids.insert(id.ok_or_else(wrong)?);
        args.bytes()?;
    }
    Ok(ids)
}

fn yes_or_no(value: &[u8]) -> Result<bool, CommandError> {
    let yes = value.eq_ignore_ascii_case(b"yes");
    if yes || value.eq_ignore_ascii_case(b"no") { Ok(yes) } else { Err(CommandError::Syntax) }
}

fn kind(value: &[u8]) -> Result<Kind, CommandError> {
    match &value.to_ascii_lowercase()[..] {
        b"normal" => Ok(Kind::Normal),
        b"slave" | b"replica" => Ok(Kind::Replica),
        b"pubsub" => Ok(Kind::PubSub),
        b"master" | b"primary" => Ok(Kind::Primary),
        _ => Err(error(format!("Unknown client type '{}'", String::from_utf8_lossy(value)))),
    }
}

fn known_user<'a>(value: &'a [u8], server: &Server) -> Result<&'a [u8], CommandError> {
    if server.acl.find(value).is_some() {
        return Ok(value);
    }
    Err(error(format!("No such user '{}'", String::from_utf8_lossy(value))))
}

fn seconds(name: &str, value: &[u8]) -> Result<u64, CommandError> {
    let seconds = parse_integer(value);
    let seconds = seconds.ok_or_else(|| error(format!("{name} is not an integer or out of range")));
    let seconds = u64::try_from(seconds?).ok().filter(|&seconds| seconds > 0);
    seconds.ok_or_else(|| error(format!("{name} should be greater than 0")))
}

fn letters<'a>(
    name: &str,
    wanted: bool,
    value: &'a [u8],
    known: &[u8],
) -> Result<&'a [u8], CommandError> {
    if value.iter().all(|letter| known.contains(letter)) {
        return Ok(value);
    }
    let filter = if wanted { "provided".into() } else { format!("NOT-{}", name.to_uppercase()) };
    let given = String::from_utf8_lossy(value);
    Err(error(format!("Unknown {name} found in the {filter} filter: {given}")))
}

fn db(option: &str, value: &[u8], databases: u16) -> Result<u16, CommandError> {
    let number = parse_integer(value).and_then(|number| i32::try_from(number).ok());
    let number =
        number.ok_or_else(|| error(format!("{option} is not an integer or out of range")))?;
    let number = u16::try_from(number).ok().filter(|&number| number < databases);
    let last = databases - 1;
    number.ok_or_else(|| error(format!("{option} number should be between 0 and {last}")))
}

fn error(text: impl std::fmt::Display) -> CommandError {
    CommandError::text(format!("ERR {text}"))
}

impl Condition<'_> {
    fn holds(&self, client: &Client, names: &Names, now: Millis) -> bool {
        let all_in = |letters: &[u8], set: &str| letters.iter().all(|l| set.as_bytes().contains(l));
        match self {
            Condition::Ids(ids) => ids.contains(&client.id),
            Condition::Kind(kind) => client.kind() == *kind,
            Condition::Address(address) => client.address.as_bytes() == *address,
            Condition::LocalAddress(address) => client.local_address.as_bytes() == *address,
            Condition::User(user) => line::user(names) == *user,
            Condition::Age(seconds) => line::age_seconds(client, now) >= *seconds,
            Condition::Idle(seconds) => line::idle_seconds(client, now) >= *seconds,
            Condition::Flags(letters) => all_in(letters, &line::flags(client, names)),
            // Who has given no name has none, not an empty one.
            Condition::Name(name) => !name.is_empty() && names.name == *name,
            Condition::LibName(name) => !name.is_empty() && names.lib_name == *name,
            Condition::LibVersion(version) => !version.is_empty() && names.lib_version == *version,
            Condition::Db(db) => client.db.load(Ordering::Relaxed) == u32::from(*db),
            Condition::Capa(letters) => all_in(letters, line::capa(client)),
            Condition::Ip(ip) => client.ip().is_some_and(|own| own.as_bytes() == *ip),
        }
    }
}
