//! SUBSCRIBE, PUBLISH and their relatives: how they are called; what they do is in
//! [`crate::pubsub`].
//!
//! A confirmation is a push message and takes the way of all messages, the client's outbox, so
//! that it comes before the first message of its channel and behind the last. In EXEC it stands
//! among the replies, as clients expect it.

use command::{Arity, Category, Command, CommandError, Flags, Group, KeySpec, KeyUse, Run};
use families::glob;
use protocol::Dialect;

use super::{Call, HELP as HELP_ROW, Next, SessionRow};
use crate::pubsub::{Kind, confirmation};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: SUBSCRIBE, run: |call| subscribe(call, Kind::Channel) },
    SessionRow { command: UNSUBSCRIBE, run: |call| unsubscribe(call, Kind::Channel) },
    SessionRow { command: PSUBSCRIBE, run: |call| subscribe(call, Kind::Pattern) },
    SessionRow { command: PUNSUBSCRIBE, run: |call| unsubscribe(call, Kind::Pattern) },
    SessionRow { command: SSUBSCRIBE, run: |call| subscribe(call, Kind::ShardChannel) },
    SessionRow { command: SUNSUBSCRIBE, run: |call| unsubscribe(call, Kind::ShardChannel) },
    SessionRow { command: PUBLISH, run: publish },
    SessionRow { command: SPUBLISH, run: publish_on_shard },
    SessionRow { command: PUBSUB, run: pubsub },
];

/// The flags of those that only look.
const LOOKS: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);

/// The flags of those that subscribe.
const SUBSCRIBES: Flags = LOOKS.and(Flags::NO_SCRIPT);

const BASE: Command =
    Command { run: Run::Session, flags: LOOKS, group: Group::PubSub, ..Command::BASE };

const SUBSCRIBE: Command = Command {
    name: "SUBSCRIBE",
    arity: Arity::AtLeast(2),
    flags: SUBSCRIBES.and(Flags::SENTINEL),
    since: "2.0.0",
    summary: "Has the connection told of what is published on channels.",
    complexity: "O(N) where N is the number of channels to subscribe to",
    syntax: "channel [channel ...]",
    ..BASE
};

const UNSUBSCRIBE: Command = Command {
    name: "UNSUBSCRIBE",
    arity: Arity::AtLeast(1),
    summary: "Ends subscriptions of channels, or of all of them.",
    complexity: "O(N) where N is the number of channels to unsubscribe from",
    syntax: "[channel [channel ...]]",
    ..SUBSCRIBE
};

const PSUBSCRIBE: Command = Command {
    name: "PSUBSCRIBE",
    summary: "Has the connection told of what is published on channels whose names match.",
    complexity: "O(N) where N is the number of patterns to subscribe to",
    syntax: "pattern [pattern ...]",
    ..SUBSCRIBE
};

const PUNSUBSCRIBE: Command = Command {
    name: "PUNSUBSCRIBE",
    summary: "Ends subscriptions of patterns, or of all of them.",
    complexity: "O(N) where N is the number of patterns to unsubscribe from",
    syntax: "[pattern [pattern ...]]",
    ..UNSUBSCRIBE
};

const SSUBSCRIBE: Command = Command {
    name: "SSUBSCRIBE",
    keys: &[KeySpec::from(1, KeyUse::NO_KEY)],
    flags: SUBSCRIBES,
    since: "7.0.0",
    summary: "Has the connection told of what is published on shard channels.",
    complexity: "O(N) where N is the number of shard channels to subscribe to",
    syntax: "shardchannel [shardchannel ...]",
    ..SUBSCRIBE
};

const SUNSUBSCRIBE: Command = Command {
    name: "SUNSUBSCRIBE",
    arity: Arity::AtLeast(1),
    summary: "Ends subscriptions of shard channels, or of all of them.",
    complexity: "O(N) where N is the number of shard channels to unsubscribe from",
    syntax: "[shardchannel [shardchannel ...]]",
    ..SSUBSCRIBE
};

/// What a confirmation begins with.
fn verb(kind: Kind, ends: bool) -> &'static str {
    match (kind, ends) {
        (Kind::Channel, false) => "subscribe",
        (Kind::Channel, true) => "unsubscribe",
        (Kind::Pattern, false) => "psubscribe",
        (Kind::Pattern, true) => "punsubscribe",
        (Kind::ShardChannel, false) => "ssubscribe",
        (Kind::ShardChannel, true) => "sunsubscribe",
    }
}

/// `SUBSCRIBE channel..` and its like. What is subscribed to already is confirmed again.
fn subscribe(call: &mut Call<'_>, kind: Kind) -> Result<Next, CommandError> {
    if kind == Kind::ShardChannel && call.session.executing {
        let text = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client";
        return Err(CommandError::text(text));
    }
    for name in call.args().rest() {
        let subscriptions = call.session.subscriptions.get_or_insert_default();
        let is_new = !subscriptions.has(kind, name);
        confirm(call, kind, false, Some(name), usize::from(is_new));
        let session = &mut *call.session;
        if let Some(subscriptions) = session.subscriptions.as_mut().filter(|_| is_new) {
            call.batch.server.pubsub.subscribe(&session.client, subscriptions, kind, name);
        }
    }
    show(call);
    Ok(Next::Done)
}

/// `UNSUBSCRIBE [channel..]` and its like. Each is confirmed, whether it was subscribed to or not.
fn unsubscribe(call: &mut Call<'_>, kind: Kind) -> Result<Next, CommandError> {
    let args = call.args();
    if !args.is_empty() {
        args.rest().for_each(|name| unsubscribe_one(call, kind, name));
    } else {
        let subscriptions = call.session.subscriptions.as_ref();
        let names = subscriptions.map(|subscriptions| subscriptions.names(kind));
        let names = names.unwrap_or_default();
        names.iter().for_each(|name| unsubscribe_one(call, kind, name));
        if names.is_empty() {
            confirm(call, kind, true, None, 0);
        }
    }
    show(call);
    Ok(Next::Done)
}

fn unsubscribe_one(call: &mut Call<'_>, kind: Kind, name: &[u8]) {
    let session = &mut *call.session;
    if let Some(subscriptions) = &mut session.subscriptions {
        call.batch.server.pubsub.unsubscribe(&session.client, subscriptions, kind, name);
    }
    confirm(call, kind, true, Some(name), 0);
}

/// Tells of one name; `more` are about to be subscribed to.
fn confirm(call: &mut Call<'_>, kind: Kind, ends: bool, name: Option<&[u8]>, more: usize) {
    let subscriptions = call.session.subscriptions.as_ref();
    let count = subscriptions.map_or(0, |subscriptions| subscriptions.told(kind)) + more;
    let null: &[u8] = match call.session.dialect {
        Dialect::Resp2 => b"$-1\r\n",
        Dialect::Resp3 => b"_\r\n",
    };
    call.push(confirmation(verb(kind, ends), name, null, count));
}

/// Shows others how many subscriptions there are now.
fn show(call: &mut Call<'_>) {
    let counts = call.session.subscriptions.as_ref().map(|subscriptions| subscriptions.counts());
    let counts = counts.unwrap_or_default();
    call.batch.server.pubsub.show(&call.session.client, counts);
    if !counts.is_any() {
        call.session.subscriptions = None;
    }
}

const PUBLISH: Command = Command {
    name: "PUBLISH",
    arity: Arity::Exactly(3),
    flags: LOOKS.and(Flags::FAST).and(Flags::SENTINEL),
    since: "2.0.0",
    summary: "Sends a message to all who are subscribed to a channel.",
    complexity: "O(N+M) where N is the number of clients subscribed to the channel and M is the \
                 number of patterns that may match its name",
    syntax: "channel message",
    ..BASE
};

fn publish(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    let (channel, message) = (args.bytes()?, args.bytes()?);
    let receivers = call.batch.server.pubsub.publish(channel, message);
    call.reply().integer(receivers as i64);
    Ok(Next::Done)
}

const SPUBLISH: Command = Command {
    name: "SPUBLISH",
    keys: &[KeySpec::one(1, KeyUse::NO_KEY)],
    flags: LOOKS.and(Flags::FAST),
    since: "7.0.0",
    summary: "Sends a message to all who are subscribed to a shard channel.",
    complexity: "O(N) where N is the number of clients subscribed to the shard channel",
    syntax: "shardchannel message",
    ..PUBLISH
};

fn publish_on_shard(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut args = call.args();
    let (channel, message) = (args.bytes()?, args.bytes()?);
    let receivers = call.batch.server.pubsub.publish_on_shard(channel, message);
    call.reply().integer(receivers as i64);
    Ok(Next::Done)
}

const PUBSUB: Command = Command {
    name: "PUBSUB",
    run: Run::Container,
    category: Category::NONE,
    arity: Arity::AtLeast(2),
    flags: Flags::NONE,
    since: "2.8.0",
    summary: "Commands that tell who is subscribed to what.",
    complexity: "Depends on subcommand.",
    subcommands: &[CHANNELS, HELP, NUMPAT, NUMSUB, SHARDCHANNELS, SHARDNUMSUB],
    ..BASE
};

const HELP: Command = Command { group: Group::PubSub, since: "6.2.0", ..HELP_ROW };

const CHANNELS: Command = Command {
    name: "CHANNELS",
    arity: Arity::AtLeast(2),
    since: "2.8.0",
    summary: "Lists channels that have a subscriber.",
    complexity: "O(N) where N is the number of channels that have a subscriber",
    syntax: "[pattern]",
    ..BASE
};

const NUMPAT: Command = Command {
    name: "NUMPAT",
    arity: Arity::Exactly(2),
    since: "2.8.0",
    summary: "Counts the different patterns that have a subscriber.",
    ..BASE
};

const NUMSUB: Command = Command {
    name: "NUMSUB",
    arity: Arity::AtLeast(2),
    since: "2.8.0",
    summary: "Counts the subscribers of channels, those of patterns left out.",
    complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    syntax: "[channel [channel ...]]",
    ..BASE
};

const SHARDCHANNELS: Command = Command {
    name: "SHARDCHANNELS",
    arity: Arity::AtLeast(2),
    since: "7.0.0",
    summary: "Lists shard channels that have a subscriber.",
    complexity: "O(N) where N is the number of shard channels that have a subscriber",
    syntax: "[pattern]",
    ..BASE
};

const SHARDNUMSUB: Command = Command {
    name: "SHARDNUMSUB",
    arity: Arity::AtLeast(2),
    since: "7.0.0",
    summary: "Counts the subscribers of shard channels.",
    complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested channels",
    syntax: "[shardchannel [shardchannel ...]]",
    ..BASE
};

fn pubsub(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "CHANNELS" => names(call, Kind::Channel)?,
        "NUMPAT" => {
            let patterns = call.batch.server.pubsub.figures().patterns;
            call.reply().integer(patterns as i64);
        }
        "NUMSUB" => subscribers(call, Kind::Channel),
        "SHARDCHANNELS" => names(call, Kind::ShardChannel)?,
        "SHARDNUMSUB" => subscribers(call, Kind::ShardChannel),
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

/// `PUBSUB CHANNELS [pattern]`.
fn names(call: &mut Call<'_>, kind: Kind) -> Result<(), CommandError> {
    let args = call.args();
    if args.len() > 1 {
        let given = String::from_utf8_lossy(call.words.get(1).unwrap_or_default());
        return Err(CommandError::text(format!(
            "ERR unknown subcommand or wrong number of arguments for '{given}'. Try PUBSUB HELP."
        )));
    }
    let matches =
        |name: &[u8]| args.get(0).is_none_or(|pattern| glob::matches(pattern, name, false));
    let mut names = call.batch.server.pubsub.names(kind);
    names.retain(|name| matches(name));
    let mut reply = call.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(())
}

/// `PUBSUB NUMSUB [channel..]`: each with its number behind it, in RESP3, too.
fn subscribers(call: &mut Call<'_>, kind: Kind) {
    let (args, server) = (call.args(), call.batch.server);
    let mut reply = call.reply();
    reply.array(2 * args.len());
    for name in args.rest() {
        reply.bulk(name);
        reply.integer(server.pubsub.subscribers(kind, name) as i64);
    }
}
