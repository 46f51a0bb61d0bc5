//! DEBUG: what tests need to see and to do, and nobody else.
//!
//! Allowed only where `enable-debug-command` allows it. Subcommands that look at keys have rows of
//! their own that say which shards they enter, so that what they tell is of one moment. Switches of
//! parts that this server does not have are taken and do nothing, since test suites set them; what
//! would break the server (SEGFAULT, PANIC, LEAK ...) is not there.

mod digest;
mod digits;

use std::sync::atomic::Ordering;
use std::time::Duration;

use command::{
    Args, Arity, Command, CommandError, Done, Enter, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event, parse_float, parse_integer,
};
use families::generic::{encoding_of_stored, nodes_of_stored, saved_len};
use families::glob;
use keyspace::{Access, Expiry, Mode, Plan, access};
use protocol::Dialect;

use super::config::tell_rewritten;
use super::{Call, HELP, Next, SessionRow};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: DEBUG, run: debug }];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::PROTECTED),
    group: Group::Server,
    complexity: "",
    ..Command::BASE
};

const DEBUG: Command = Command {
    name: "DEBUG",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    flags: BASE.flags.and(Flags::SYSTEM),
    summary: "Shows and changes the inner state of the server, for tests.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        sub("ADVANCE-TIME", 3, "milliseconds", "Moves the server's clock ahead."),
        sub("CHANGE-REPL-ID", 2, "", "Gives the data another replication id."),
        sub("CLIENT-ENFORCE-REPLY-LIST", 3, "0|1", "Does nothing: replies have no fixed buffer."),
        sub("CONFIG-REWRITE-FORCE-ALL", 2, "", "Writes every setting into the configuration file."),
        Command {
            run: Run::Read(digest::digest),
            enter: Enter::All,
            ..sub("DIGEST", 2, "", "Returns a digest of all databases.")
        },
        Command {
            run: Run::Read(digest::digest_value),
            keys: &[KeySpec::from(2, KeyUse::LOOK)],
            arity: Arity::AtLeast(2),
            ..sub("DIGEST-VALUE", 2, "[key ...]", "Returns a digest of each key's value.")
        },
        sub("DICT-RESIZING", 3, "0|1", "Does nothing: tables grow and shrink by segments."),
        sub("ERROR", 3, "text", "Answers this text as an error."),
        HELP,
        Command {
            run: Run::Read(tables),
            enter: Enter::All,
            arity: Arity::AtLeast(3),
            ..sub("HTSTATS", 3, "dbid [full]", "Tells how full the tables of a database are.")
        },
        Command {
            run: Run::Read(table_of_key),
            keys: &[KeySpec::one(2, KeyUse::LOOK)],
            arity: Arity::AtLeast(3),
            ..sub("HTSTATS-KEY", 3, "key [full]", "The same of a key's value, if it is a table.")
        },
        sub("LOADAOF", 2, "", "Is refused: nothing is saved yet."),
        sub("LOG", 3, "message", "Writes a message to the log."),
        Command {
            run: Run::Read(object),
            keys: &[KeySpec::one(2, KeyUse::LOOK)],
            arity: Arity::AtLeast(3),
            ..sub("OBJECT", 3, "key [fast]", "Tells how a key's value is kept.")
        },
        sub("PAUSE-CRON", 3, "0|1", "1: nothing is done any more that nobody asks for."),
        Command {
            arity: Arity::AtLeast(3),
            ..sub("POPULATE", 3, "count [prefix] [size]", "Makes keys that are not there yet.")
        },
        sub("PROTOCOL", 3, "type", "Answers an example of a type of the protocol."),
        sub("QUICKLIST-PACKED-THRESHOLD", 3, "size", "Does nothing."),
        Command {
            run: Run::Write(reload),
            enter: Enter::All,
            arity: Arity::AtLeast(2),
            ..sub(
                "RELOAD",
                2,
                "[MERGE] [NOFLUSH] [NOSAVE]",
                "Has every value written as a snapshot holds it, and read back.",
            )
        },
        Command {
            arity: Arity::AtLeast(3),
            ..sub("REPLICATE", 3, "argument ...", "Does nothing: there are no replicas.")
        },
        Command {
            arity: Arity::AtLeast(3),
            ..sub("REPLYBUFFER", 3, "what value", "Does nothing: replies have no fixed buffer.")
        },
        Command {
            run: Run::Read(lengths),
            keys: &[KeySpec::one(2, KeyUse::LOOK)],
            ..sub("SDSLEN", 3, "key", "Returns the lengths of a key and of its string.")
        },
        sub("SET-ACTIVE-EXPIRE", 3, "0|1", "0: what has expired is removed only when asked for."),
        sub("SET-DISABLE-DENY-SCRIPTS", 3, "0|1", "Lets scripts call DEBUG, or not."),
        sub("SET-SKIP-CHECKSUM-VALIDATION", 3, "0|1", "1: RESTORE takes a wrong checksum."),
        sub(
            "SLEEP",
            3,
            "seconds",
            "Answers after a while. Other connections are served meanwhile.",
        ),
        sub("STOP-TIME", 2, "", "Stops the server's clock and returns what it shows, in ms."),
        sub("STRINGMATCH-LEN", 4, "pattern text", "Tells whether a text matches a pattern."),
    ],
    ..BASE
};

const fn sub(
    name: &'static str,
    words: u8,
    syntax: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, arity: Arity::Exactly(words), syntax, summary, ..BASE }
}

fn debug(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    let debugging = &call.batch.server.debugging;
    match call.command.name {
        "ADVANCE-TIME" => {
            let millis: i64 = args.take()?;
            let millis = u64::try_from(millis).map_err(|_| CommandError::NotPositive)?;
            call.batch.server.clock.advance(millis);
        }
        "CHANGE-REPL-ID" => {
            debugging.renamings.fetch_add(1, Ordering::Relaxed);
        }
        "ERROR" => return Err(CommandError::text(String::from_utf8_lossy(args.bytes()?))),
        "HELP" => return Ok(call.help()),
        "LOG" => tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.bytes()?)),
        "PAUSE-CRON" => debugging.cron_paused.store(is_on(args.bytes()?), Ordering::Relaxed),
        "POPULATE" => return populate(call, args),
        "PROTOCOL" => {
            show_type(call, args.bytes()?)?;
            return Ok(Next::Done);
        }
        "LOADAOF" => return Err(unsaved("LOADAOF")),
        "CONFIG-REWRITE-FORCE-ALL" => {
            let written = call.batch.server.config.rewrite_all(&call.batch.server.user_lines());
            return tell_rewritten(call, written);
        }
        "SET-ACTIVE-EXPIRE" => {
            debugging.expiry_paused.store(!is_on(args.bytes()?), Ordering::Relaxed);
        }
        "SET-DISABLE-DENY-SCRIPTS" => {
            debugging.scripts_may_debug.store(is_on(args.bytes()?), Ordering::Relaxed);
        }
        "SET-SKIP-CHECKSUM-VALIDATION" => {
            debugging.checksums_skipped.store(is_on(args.bytes()?), Ordering::Relaxed);
        }
        "SLEEP" => return sleep(call, args.bytes()?),
        "STOP-TIME" => {
            let now = call.batch.server.clock.stop();
            call.reply().integer(i64::try_from(now).unwrap_or(i64::MAX));
            return Ok(Next::Done);
        }
        "STRINGMATCH-LEN" => {
            let (pattern, text): (&[u8], &[u8]) = args.parse()?;
            call.reply().integer(i64::from(glob::matches(pattern, text, false)));
            return Ok(Next::Done);
        }
        // A switch of something that is not there.
        _ => {}
    }
    call.reply().ok();
    Ok(Next::Done)
}

fn unsaved(what: &str) -> CommandError {
    let reason = "is not possible: this server does not save its data";
    CommandError::text(format!("ERR DEBUG {what} {reason}"))
}

/// There is no file to be read, so what would be in it is read as soon as it is written.
fn reload(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    while !args.is_empty() {
        if args.word("NOSAVE") {
            return Err(unsaved("RELOAD NOSAVE"));
        }
        if !args.word("MERGE") && !args.word("NOFLUSH") {
            let options = "MERGE, NOFLUSH and NOSAVE";
            let text = format!("ERR DEBUG RELOAD only supports the {options} options.");
            return Err(CommandError::text(text));
        }
    }
    let (own, chance) = (keys.db(), keys.frame().chance);
    for db in 0..keys.databases() {
        let mut found: Vec<Box<[u8]>> = Vec::new();
        keys.each(db, |met| found.push(met.key.into()));
        keys.turn_to(db, chance);
        for key in &found {
            families::generic::reload(key, keys)?;
        }
    }
    keys.turn_to(own, chance);
    reply.ok();
    Ok(())
}

fn is_on(raw: &[u8]) -> bool {
    parse_integer(raw).is_some_and(|number| number != 0)
}

/// Waits without keeping the worker, but for a transaction or a script: in Redis nobody is served
/// meanwhile. The time counts as the command's own, so that the slow log and LATENCY can be tested
/// with it.
fn sleep(call: &mut Call<'_>, seconds: &[u8]) -> Result<Next, CommandError> {
    const SECONDS_MAX: f64 = 86_400.0;
    let seconds = parse_float(seconds).unwrap_or(0.0).clamp(0.0, SECONDS_MAX);
    let length_micros = (seconds * 1e6) as u64;
    if call.session.executing || call.session.is_in_script {
        // What EXEC or a script runs holds its shards, so there is nobody to give way to.
        std::thread::sleep(Duration::from_micros(length_micros));
        call.reply().ok();
        return Ok(Next::Done);
    }
    let now = call.batch.server.clock.micros();
    if call.session.progress == 0 {
        call.session.progress = now + length_micros;
    }
    let end = call.session.progress;
    if now < end {
        // The next call is measured from the beginning of the first.
        call.session.began_nanos = (end - length_micros) * 1000;
        return Ok(Next::Later((end - now).div_ceil(1000)));
    }
    call.reply().ok();
    Ok(Next::Done)
}

/// Keys that one step of POPULATE makes: others have their turn between two steps.
const STEP_KEYS: u64 = 512;

fn populate(call: &mut Call<'_>, mut args: Args<'_>) -> Result<Next, CommandError> {
    const SIZE_MAX: i64 = 512 << 20;
    let count = parse_integer(args.bytes()?).and_then(|count| u64::try_from(count).ok());
    let count = count.ok_or(CommandError::NotPositive)?;
    let prefix = if args.is_empty() { &b"key"[..] } else { args.bytes()? };
    let size = match args.is_empty() {
        true => None,
        false => parse_integer(args.bytes()?).filter(|size| (0..=SIZE_MAX).contains(size)),
    };
    if call.words.len() > 5 {
        return Err(CommandError::Syntax);
    }
    if call.words.len() == 5 && size.is_none() {
        return Err(CommandError::NotPositive);
    }
    let first = call.session.progress;
    for nth in first..count.min(first + STEP_KEYS) {
        if call.batch.is_out_of_memory() {
            return Err(CommandError::OutOfMemory);
        }
        let key = [prefix, b":", nth.to_string().as_bytes()].concat();
        let mut value = format!("value:{nth}").into_bytes();
        if let Some(size) = size {
            value.resize(size as usize, 0);
        }
        if !make(call, &key, &value)? {
            return Ok(Next::Busy);
        }
        call.session.progress = nth + 1;
    }
    if call.session.progress < count {
        return Ok(Next::Busy);
    }
    call.reply().ok();
    Ok(Next::Done)
}

/// Makes a key if it is not there; `false` if its shard is busy.
fn make(call: &mut Call<'_>, key: &[u8], value: &[u8]) -> Result<bool, CommandError> {
    let keyspace = &call.batch.server.keyspace;
    let plan = Plan::One(keyspace.shard_of(keyspace.hash(key)));
    let frame = call.batch.frame(call.session);
    let Some(mut view) = keyspace.try_enter(frame, &plan, Mode::Exclusive) else {
        return Ok(false);
    };
    let mut entry = view.str_entry(key)?;
    let made = if entry.exists() { Ok(()) } else { entry.set(value, Expiry::Clear, event::SET) };
    call.batch.settle(view.publish(), call.command);
    made?;
    Ok(true)
}

fn tables(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let db = u16::try_from(args.take::<i64>()?).ok().filter(|&db| db < keys.databases());
    let db = db.ok_or_else(|| CommandError::text("ERR Out of range database"))?;
    let text = format!(
        "[Dictionary HT]\nHash table 0 stats (main hash table):\n table size: {}\n \
         number of elements: {}\n[Expires HT]\nnumber of elements: {} (in the main hash table)\n",
        keys.capacity(db),
        keys.len(db),
        keys.volatile(db),
    );
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn table_of_key(mut args: Args<'_>, keys: &View<'_>, _: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    keys.info(key.0).ok_or(CommandError::NoSuchKey)?;
    Err(CommandError::text(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))
}

/// The address is not told, since that would help who wants to break in.
fn object(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    // What has expired is shown as long as it is there.
    let (info, stored) = keys.kept(key.0).ok_or(CommandError::NoSuchKey)?;
    let encoding = encoding_of_stored(stored, info.raw);
    let idle = match keys.frame().access {
        Access::Lfu { .. } => 0,
        Access::Lru => access::idle_seconds(info.access, keys.now()),
    };
    reply.simple(&format!(
        "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{} lru:{} \
         lru_seconds_idle:{idle}{}",
        saved_len(stored, keys.hasher(), keys.now()),
        info.access,
        nodes_of_stored(stored, &keys.frame().layout),
    ));
    Ok(())
}

fn lengths(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let known = keys.info(key.0).zip(keys.peek(key.0));
    let (info, text) = known.ok_or(CommandError::NoSuchKey)?;
    reply.simple(&format!(
        "key_sds_len:{} key_sds_avail:0 obj_alloc:{} val_sds_len:{} val_sds_avail:0 val_alloc:0",
        key.0.len(),
        info.bytes,
        text.as_bytes().len(),
    ));
    Ok(())
}

/// Examples of each type, those of Redis, as clients test themselves with them.
fn show_type(call: &mut Call<'_>, name: &[u8]) -> Result<(), CommandError> {
    const BIG: &str = "1234567999999999999999999999999999999";
    const TYPES: &str = "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|\
                         true|false";
    let name = name.to_ascii_lowercase();
    let resp3 = call.session.dialect == Dialect::Resp3;
    match &name[..] {
        b"string" => call.reply().bulk(b"Hello World"),
        b"integer" => call.reply().integer(12_345),
        b"double" => call.reply().double(f64::from(3141) / 1000.0),
        b"null" => call.reply().null(),
        b"bignum" if resp3 => call.raw(format!("({BIG}\r\n").as_bytes()),
        b"bignum" => call.reply().bulk(BIG.as_bytes()),
        b"array" => {
            call.reply().array(3);
            (0..3).for_each(|number| call.reply().integer(number));
        }
        b"set" => {
            call.reply().set(3);
            (0..3).for_each(|number| call.reply().integer(number));
        }
        b"map" => {
            call.reply().map(3);
            for number in 0..3 {
                call.reply().integer(number);
                call.reply().boolean(number == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                call.raw(b"|1\r\n");
                call.reply().bulk(b"key-popularity");
                call.reply().array(2);
                call.reply().bulk(b"key:123");
                call.reply().integer(90);
            }
            call.reply().bulk(b"Some real reply following the attribute");
        }
        b"push" if !resp3 => {
            return Err(CommandError::text("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            call.reply().bulk(b"Some real reply following the push reply");
            call.reply().push(2);
            call.reply().bulk(b"server-cpu-usage");
            call.reply().integer(42);
        }
        b"verbatim" => call.reply().verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => call.reply().boolean(true),
        b"false" => call.reply().boolean(false),
        _ => {
            return Err(CommandError::text(format!(
                "ERR Wrong protocol type name. Please use one of the following: {TYPES}"
            )));
        }
    }
    Ok(())
}
