//! What is known of an entry beside its value: OBJECT, and MEMORY USAGE.
//!
//! None of them counts as a use of the key. OBJECT counts as a look-up that hits or misses.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, parse_integer,
};
use keyspace::{Access, Layout, Stored, access};
use value::Big;

pub(super) const OBJECT: Command = Command {
    name: "OBJECT",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    group: Group::Generic,
    since: "2.2.3",
    summary: "What the server knows of a key beside its value.",
    subcommands: &[ENCODING, FREQ, IDLETIME, REFCOUNT, HELP],
    ..Command::BASE
};

const ENCODING: Command = Command {
    name: "ENCODING",
    run: Run::Read(encoding),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(2, KeyUse::LOOK)],
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "2.2.3",
    summary: "Returns how a value is laid out, in Redis' words.",
    syntax: "key",
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn encoding(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    match keys.look(key.0).zip(keys.stored(key.0)) {
        Some((info, stored)) => reply.bulk(encoding_of_stored(stored, info.raw).as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

/// The name that Redis has for how a value is laid out. `raw`: see `encoding_of`.
#[must_use]
pub fn encoding_of_stored(stored: Stored<'_>, raw: bool) -> &'static str {
    match stored {
        Stored::Str(text) => encoding_of(text.as_bytes(), raw),
        Stored::Packed(kind, bytes) => kind.packed_encoding(bytes),
        Stored::Big(big) => big.encoding(),
    }
}

/// What DEBUG OBJECT tells of a list of several nodes, with a space before it; nothing of others.
#[must_use]
pub fn nodes_of_stored(stored: Stored<'_>, layout: &Layout) -> String {
    /// What a node of Redis takes beside its elements.
    const NODE_BYTES: usize = 7;
    let Stored::Big(Big::List(list)) = stored else { return String::new() };
    if !list.is_long() {
        return String::new();
    }
    let (nodes, elements) = (list.chunks(), list.len());
    format!(
        " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} \
         ql_uncompressed_size:{}",
        elements as f64 / nodes.max(1) as f64,
        layout.list_fill.setting(),
        u8::from(layout.list_fill.compresses()),
        list.element_bytes() + nodes * NODE_BYTES,
    )
}

/// The name that Redis has for a string's encoding. `raw`: whether it was edited in place.
fn encoding_of(text: &[u8], raw: bool) -> &'static str {
    /// The longest string that Redis keeps in one allocation with its header.
    const EMBEDDED_BYTES_MAX: usize = 44;
    match text {
        _ if raw => "raw",
        _ if parse_integer(text).is_some() => "int",
        _ if text.len() <= EMBEDDED_BYTES_MAX => "embstr",
        _ => "raw",
    }
}

const FREQ: Command = Command {
    name: "FREQ",
    run: Run::Read(freq),
    since: "4.0.0",
    summary: "Returns how often a key is used: the counter of an LFU policy, which is logarithmic.",
    ..ENCODING
};

fn freq(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let Some(info) = keys.look(key.0) else {
        reply.null();
        return Ok(());
    };
    let Access::Lfu { decay_minutes, .. } = keys.frame().access else {
        return Err(CommandError::NotLfu);
    };
    reply.integer(i64::from(access::frequency(info.access, keys.now(), decay_minutes)));
    Ok(())
}

const IDLETIME: Command = Command {
    name: "IDLETIME",
    run: Run::Read(idletime),
    summary: "Returns the seconds since a key was used last.",
    ..ENCODING
};

fn idletime(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    let Some(info) = keys.look(key.0) else {
        reply.null();
        return Ok(());
    };
    if let Access::Lfu { .. } = keys.frame().access {
        return Err(CommandError::IsLfu);
    }
    reply.integer(access::idle_seconds(info.access, keys.now()) as i64);
    Ok(())
}

const REFCOUNT: Command = Command {
    name: "REFCOUNT",
    run: Run::Read(refcount),
    summary: "Returns 1 for every key: values are not shared between keys where clients can see it.",
    ..ENCODING
};

fn refcount(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key,): (Key<'_>,) = args.parse()?;
    match keys.look(key.0) {
        Some(_) => reply.integer(1),
        None => reply.null(),
    }
    Ok(())
}

const HELP: Command = Command {
    name: "HELP",
    run: Run::Read(help),
    arity: Arity::Exactly(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::READS_NOTHING),
    category: Category::KEYSPACE,
    group: Group::Generic,
    since: "6.2.0",
    summary: "Tells which subcommands there are.",
    ..Command::BASE
};

fn help(args: Args<'_>, _: &View<'_>, reply: &mut Reply<'_>) -> Done {
    const LINES: [&str; 11] = [
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    How the value of <key> is laid out.",
        "FREQ <key>",
        "    How often <key> is used: a logarithmic counter, kept under an LFU policy.",
        "IDLETIME <key>",
        "    Seconds since <key> was used last; not known under an LFU policy.",
        "REFCOUNT <key>",
        "    How many keys share the value of <key>: always 1.",
        "HELP",
        "    Prints this help.",
    ];
    args.end()?;
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

/// `MEMORY USAGE key`: a row for the container that the server has.
pub const USAGE: Command = Command {
    name: "USAGE",
    run: Run::Read(usage),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(2, KeyUse::LOOK)],
    group: Group::Server,
    since: "4.0.0",
    summary: "Returns the bytes that a key and its value take.",
    syntax: "key [SAMPLES count]",
    ..Command::BASE
};

fn usage(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    while !args.is_empty() {
        // Sizes are counted, not estimated, so there is nothing to take samples of.
        let samples: i64 = match args.word_with_value("SAMPLES") {
            true => args.take()?,
            false => return Err(CommandError::Syntax),
        };
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
    }
    match keys.info(key.0) {
        Some(info) => reply.integer(info.bytes as i64),
        None => reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_the_names_and_bounds_of_redis() {
        assert_eq!(encoding_of(b"12345", false), "int");
        assert_eq!(encoding_of(b"9223372036854775808", false), "embstr", "no 64-bit integer");
        assert_eq!(encoding_of(b"012", false), "embstr");
        assert_eq!(encoding_of(&[b'x'; 44], false), "embstr");
        assert_eq!(encoding_of(&[b'x'; 45], false), "raw");
        assert_eq!(encoding_of(b"12345", true), "raw");
    }
}
