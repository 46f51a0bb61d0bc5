//! COMMAND: what commands there are, computed from their rows.
//!
//! The shapes of the replies are those of Redis 8: flags, categories, tips and key specs are sets
//! in RESP3, descriptions are maps.

use command::{
    Args, Argument, ArgumentKind, Arity, Begin, Category, Command, CommandError, Find, Flags,
    Group, KeySpec, KeyUse, Run, arguments,
};
use families::glob;
use protocol::Reply;

use super::{Call, HELP, Next, SessionRow};
use crate::execute::called;
use crate::info::full_name;
use crate::server::Server;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: COMMAND, run: command }];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::AtLeast(2),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL),
    category: Category::CONNECTION,
    group: Group::Server,
    since: "2.8.13",
    ..Command::BASE
};

const COMMAND: Command = Command {
    name: "COMMAND",
    arity: Arity::AtLeast(1),
    summary: "Describes all commands.",
    complexity: "O(N) where N is the number of commands",
    tips: &["nondeterministic_output_order"],
    subcommands: &[
        COUNT,
        DOCS,
        GETKEYS,
        GETKEYSANDFLAGS,
        Command { flags: BASE.flags, category: Category::CONNECTION, ..HELP },
        INFO,
        LIST,
    ],
    ..BASE
};

const COUNT: Command = Command {
    name: "COUNT",
    arity: Arity::Exactly(2),
    summary: "Returns how many commands there are.",
    ..BASE
};

const DOCS: Command = Command {
    name: "DOCS",
    since: "7.0.0",
    summary: "Returns what the manual says of some commands, or of all.",
    complexity: "O(N) where N is the number of commands named",
    syntax: "[command-name ...]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

const GETKEYS: Command = Command {
    name: "GETKEYS",
    arity: Arity::AtLeast(3),
    summary: "Returns the keys among the words of a request.",
    complexity: "O(N) where N is the number of words",
    syntax: "command [arg ...]",
    ..BASE
};

const GETKEYSANDFLAGS: Command = Command {
    name: "GETKEYSANDFLAGS",
    arity: Arity::AtLeast(3),
    since: "7.0.0",
    summary: "Returns the keys among the words of a request, and what would happen to them.",
    complexity: "O(N) where N is the number of words",
    syntax: "command [arg ...]",
    ..BASE
};

const INFO: Command = Command {
    name: "INFO",
    summary: "Describes some commands, or all.",
    complexity: "O(N) where N is the number of commands named",
    syntax: "[command-name ...]",
    tips: &["nondeterministic_output_order"],
    history: &[("7.0.0", "Without a name: all commands.")],
    ..BASE
};

const LIST: Command = Command {
    name: "LIST",
    since: "7.0.0",
    summary: "Returns the names of commands.",
    complexity: "O(N) where N is the number of commands",
    syntax: "[FILTERBY (MODULE module-name | ACLCAT category | PATTERN pattern)]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

fn command(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let server = call.batch.server;
    let args = call.args();
    match call.command.name {
        "COUNT" => call.reply().integer(server.table.callable().count() as i64),
        "DOCS" => docs(call, args),
        "GETKEYS" => keys(call, false)?,
        "GETKEYSANDFLAGS" => keys(call, true)?,
        "HELP" => return Ok(call.help()),
        "LIST" => list(call, args)?,
        _ if args.is_empty() => {
            let mut reply = call.reply();
            reply.array(server.table.callable().count());
            server
                .table
                .callable()
                .for_each(|entry| describe(&mut reply, entry.command, entry.command));
        }
        _ => {
            let mut reply = call.reply();
            reply.array(args.len());
            for name in args.rest() {
                match find(server, name) {
                    Some((container, command)) => describe(&mut reply, container, command),
                    None => reply.null(),
                }
            }
        }
    }
    Ok(Next::Done)
}

/// A command by its name, or a subcommand by `container|name`; with its container, if it has one,
/// or itself.
fn find(server: &Server, name: &[u8]) -> Option<(&'static Command, &'static Command)> {
    let mut parts = name.splitn(2, |&byte| byte == b'|');
    let container = server.table.find(parts.next()?)?.command;
    match parts.next() {
        None => Some((container, container)),
        Some(sub) => container.subcommand(sub).map(|sub| (container, sub)),
    }
}

/// Ten things that COMMAND INFO tells of a command.
fn describe(reply: &mut Reply<'_>, container: &Command, command: &Command) {
    reply.array(10);
    reply.bulk(full_name(container, command).as_bytes());
    reply.integer(command.arity.number());
    let flags: Vec<&str> = command.flag_names().collect();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    let (first, last, step) = command.legacy_range();
    [first, last, step].into_iter().for_each(|number| reply.integer(number));
    let categories: Vec<&str> = command.categories().names().collect();
    reply.set(categories.len());
    categories.iter().for_each(|name| reply.simple(&format!("@{name}")));
    reply.set(command.tips.len());
    command.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command.keys.iter().for_each(|spec| describe_keys(reply, spec));
    // The key specs are a set in RESP3, the subcommands a list.
    reply.array(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| describe(reply, command, sub));
}

fn describe_keys(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3 + usize::from(!spec.note.is_empty()));
    if !spec.note.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(spec.note.as_bytes());
    }
    reply.bulk(b"flags");
    show_usage(reply, spec.usage);
    reply.bulk(b"begin_search");
    match (spec.find, spec.begin) {
        (Find::Behind(_) | Find::Unknown, _) => step(reply, "unknown", &[]),
        (_, Begin::Index(begin)) => step(reply, "index", &[("index", i64::from(begin))]),
        (_, Begin::Keyword { word, from } | Begin::Option { word, from, .. }) => {
            keyword_step(reply, word, from);
        }
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step: by } => {
            let last = ("lastkey", i64::from(last));
            step(reply, "range", &[last, ("keystep", i64::from(by)), ("limit", 0)]);
        }
        Find::Counted { first, step: by } => {
            let first = ("firstkey", i64::from(first));
            step(reply, "keynum", &[("keynumidx", 0), first, ("keystep", i64::from(by))]);
        }
        Find::Behind(_) | Find::Unknown => step(reply, "unknown", &[]),
        Find::FirstHalf => {
            step(reply, "range", &[("lastkey", -1), ("keystep", 1), ("limit", 2)]);
        }
    }
}

fn keyword_step(reply: &mut Reply<'_>, word: &str, from: u8) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"keyword");
    reply.bulk(b"spec");
    reply.map(2);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    reply.bulk(b"startfrom");
    reply.integer(i64::from(from));
}

fn show_usage(reply: &mut Reply<'_>, usage: KeyUse) {
    reply.set(usage.0.len());
    usage.0.iter().for_each(|flag| reply.simple(flag));
}

fn step(reply: &mut Reply<'_>, kind: &str, numbers: &[(&str, i64)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(numbers.len());
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}

fn docs(call: &mut Call<'_>, args: Args<'_>) {
    let server = call.batch.server;
    let asked: Vec<_> = if args.is_empty() {
        server.table.callable().map(|entry| (entry.command, entry.command)).collect()
    } else {
        args.rest().filter_map(|name| find(server, name)).collect()
    };
    let mut reply = call.reply();
    reply.map(asked.len());
    asked.iter().for_each(|(container, command)| explain(&mut reply, container, command));
}

/// The name of a command, and what its row says of it.
fn explain(reply: &mut Reply<'_>, container: &Command, command: &Command) {
    let (about, replaced) = (manual_lines(command), replacement(command));
    let flags = manual_flags(command);
    let arguments = arguments(command.syntax);
    let lists = [flags.len(), command.history.len(), arguments.len(), command.subcommands.len()];
    reply.bulk(full_name(container, command).as_bytes());
    let lists = lists.into_iter().filter(|&length| length > 0).count();
    reply.map(about.len() + replaced.len() + lists);
    tell_lines(reply, &about);
    if !flags.is_empty() {
        reply.bulk(b"doc_flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    tell_lines(reply, &replaced);
    if !command.history.is_empty() {
        reply.bulk(b"history");
        explain_history(reply, command.history);
    }
    if !arguments.is_empty() {
        let mut keys = Keys { next: 0, specs: command.keys.len() };
        reply.bulk(b"arguments");
        explain_arguments(reply, &arguments, &mut keys);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|sub| explain(reply, command, sub));
    }
}

/// What the manual says of a command in a line each.
fn manual_lines(command: &Command) -> Vec<(&'static str, &'static str)> {
    let mut lines = vec![
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ];
    lines.retain(|(_, text)| !text.is_empty());
    lines
}

/// Since when another command should be used, and which.
fn replacement(command: &Command) -> Vec<(&'static str, &'static str)> {
    let told = command
        .deprecated
        .map(|(since, replacement)| [("deprecated_since", since), ("replaced_by", replacement)]);
    told.into_iter().flatten().collect()
}

fn tell_lines(reply: &mut Reply<'_>, lines: &[(&str, &str)]) {
    for (name, text) in lines {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
}

/// What the manual warns of.
fn manual_flags(command: &Command) -> Vec<&'static str> {
    let system = command.flags.has(Flags::SYSTEM);
    let all = [("deprecated", command.deprecated.is_some()), ("syscmd", system)];
    all.into_iter().filter_map(|(flag, holds)| holds.then_some(flag)).collect()
}

/// The versions that changed a command, each with the change.
fn explain_history(reply: &mut Reply<'_>, history: &[(&str, &str)]) {
    reply.set(history.len());
    for (version, change) in history {
        reply.array(2);
        reply.bulk(version.as_bytes());
        reply.bulk(change.as_bytes());
    }
}

/// Gives the arguments that are keys the numbers of their key specs, in order.
struct Keys {
    next: usize,
    specs: usize,
}

impl Keys {
    fn take(&mut self) -> i64 {
        let index = self.next.min(self.specs.saturating_sub(1));
        self.next += 1;
        index as i64
    }
}

fn explain_arguments(reply: &mut Reply<'_>, arguments: &[Argument], keys: &mut Keys) {
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| explain_argument(reply, argument, keys));
}

fn explain_argument(reply: &mut Reply<'_>, argument: &Argument, keys: &mut Keys) {
    let (kind, parts) = match &argument.kind {
        ArgumentKind::Value(kind) => (*kind, None),
        ArgumentKind::PureToken => ("pure-token", None),
        ArgumentKind::OneOf(parts) => ("oneof", Some(parts)),
        ArgumentKind::Block(parts) => ("block", Some(parts)),
    };
    let mut flags = Vec::new();
    if argument.optional {
        flags.push("optional");
    }
    if argument.multiple {
        flags.push("multiple");
    }
    if argument.multiple_token {
        flags.push("multiple_token");
    }
    let is_key = kind == "key" && keys.specs > 0;
    let fields =
        [parts.is_none(), is_key, argument.token.is_some(), !flags.is_empty(), parts.is_some()];
    reply.map(2 + fields.iter().filter(|&&field| field).count());
    let text = |reply: &mut Reply<'_>, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "name", &argument.name);
    text(reply, "type", kind);
    if parts.is_none() {
        text(reply, "display_text", &argument.name);
    }
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.integer(keys.take());
    }
    if let Some(token) = &argument.token {
        text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if let Some(parts) = parts {
        reply.bulk(b"arguments");
        explain_arguments(reply, parts, keys);
    }
}

/// Which names COMMAND LIST shows.
enum Filter<'a> {
    All,
    /// There are no modules, so none has commands.
    Module,
    Category(Option<Category>),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(mut args: Args<'a>) -> Result<Filter<'a>, CommandError> {
        if args.is_empty() {
            return Ok(Filter::All);
        }
        if args.len() != 3 || !args.word("FILTERBY") {
            return Err(CommandError::Syntax);
        }
        if args.word("MODULE") {
            return Ok(Filter::Module);
        }
        if args.word("PATTERN") {
            return args.bytes().map(Filter::Pattern);
        }
        if !args.word("ACLCAT") {
            return Err(CommandError::Syntax);
        }
        let name = args.bytes()?;
        let mut all = Category::ALL.iter();
        let found = all.find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        Ok(Filter::Category(found.map(|(category, _)| *category)))
    }

    fn lets(&self, name: &str, command: &Command) -> bool {
        match self {
            Filter::All => true,
            Filter::Module => false,
            Filter::Category(category) => {
                category.is_some_and(|category| command.categories().has(category))
            }
            Filter::Pattern(pattern) => glob::matches(pattern, name.as_bytes(), true),
        }
    }
}

fn list(call: &mut Call<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let filter = Filter::parse(args)?;
    let all = call.batch.server.table.callable().flat_map(|entry| {
        entry.numbered().map(move |(_, command)| (full_name(entry.command, command), command))
    });
    let names: Vec<_> = all.filter(|(name, command)| filter.lets(name, command)).collect();
    let mut reply = call.reply();
    reply.array(names.len());
    names.iter().for_each(|(name, _)| reply.bulk(name.as_bytes()));
    Ok(())
}

/// The keys of a request that stands behind `COMMAND GETKEYS`.
fn keys(call: &mut Call<'_>, with_flags: bool) -> Result<(), CommandError> {
    let error = |text: &str| Err(CommandError::text(format!("ERR {text}")));
    let words = call.words.tail(2);
    let entry = call.batch.server.table.find(words.get(0).unwrap_or_default());
    let Some(entry) = entry else { return error("Invalid command specified") };
    let command = called(entry.command, words);
    let unknown = matches!(command.run, Run::Container) && words.len() > 1;
    if unknown {
        return error("Invalid command specified");
    }
    let specs = || command.keys.iter().filter(|spec| spec.usage.is_of_key());
    if specs().next().is_none() {
        return error("The command has no key arguments");
    }
    if !command.arity.allows(words.len()) {
        return error("Invalid number of arguments specified for command");
    }
    let mut found = Vec::new();
    for spec in specs() {
        let Ok(positions) = spec.positions(words) else {
            if matches!(command.run, Run::Script) {
                // A script need not have keys.
                call.reply().array(0);
                return Ok(());
            }
            return error("Invalid arguments specified for command");
        };
        let usage = spec.usage.of(command, words);
        found.extend(positions.filter_map(|at| words.get(at)).map(|key| (key, usage)));
    }
    let mut reply = call.reply();
    reply.array(found.len());
    for (key, usage) in found {
        if with_flags {
            reply.array(2);
        }
        reply.bulk(key);
        if with_flags {
            show_usage(&mut reply, usage);
        }
    }
    Ok(())
}
