//! A client as CLIENT LIST describes it: `name=value`, separated by blanks, on one line.
//!
//! Which fields there are, and in which order, is what Redis and Valkey write together; `capa`,
//! which only Valkey has, stands there for clients that are able to do something. Fields of things
//! that a connection here does not have, such as a reply buffer of its own, say so with 0. A buffer
//! for requests is a connection's own while one of them has come in part; else it is the worker's,
//! and shown for the client that asks.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyspace::Millis;
use protocol::Words;

use crate::acl::DEFAULT_USER;
use crate::client::{Client, Kill, Names, Progress, Subscribed};
use crate::worker::READ_BYTES;

/// All letters that a filter may ask for, though some stand for what no client here can be.
pub(super) const FLAG_LETTERS: &[u8] = b"OSMPxbtRBdcuAUreTIiEN";

/// Adds the line of a client, its end included.
pub(super) fn write(client: &Client, now: Millis, into: &mut String) {
    let at = Moment { now, running: None };
    try_write(client, &client.names(), at, into).expect("writing to a string does not fail");
}

/// Adds the line of the client that asks, in this request. It lies in the worker's buffer.
pub(super) fn write_own(client: &Client, now: Millis, words: Words<'_>, into: &mut String) {
    let at = Moment { now, running: Some(request_bytes(words)) };
    try_write(client, &client.names(), at, into).expect("writing to a string does not fail");
}

/// When a client is described.
struct Moment {
    now: Millis,
    /// Bytes of its request that runs just then, if one does.
    running: Option<usize>,
}

/// How long a request is on the wire.
fn request_bytes(words: Words<'_>) -> usize {
    let header = |count: usize| 3 + count.checked_ilog10().map_or(1, |digits| 1 + digits as usize);
    let words = words.iter();
    header(words.len()) + words.map(|word| header(word.len()) + word.len() + 2).sum::<usize>()
}

fn try_write(client: &Client, names: &Names, at: Moment, into: &mut String) -> fmt::Result {
    let Moment { now, running } = at;
    let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let waiting = load(&client.output_bytes) + client.outbox_bytes();
    let query = load(&client.query_bytes) + running.unwrap_or(0) as u64;
    let rest = running.map_or(0, |running| READ_BYTES.saturating_sub(running)) as u64;
    let query_free = load(&client.query_free_bytes) + rest;
    write!(into, "id={} addr={}", client.id, client.address)?;
    write!(into, " laddr={} fd={}", client.local_address, client.fd)?;
    write!(into, " name={}", text(&names.name))?;
    write!(into, " age={} idle={}", age_seconds(client, now), idle_seconds(client, now))?;
    write!(into, " flags={}", flags(client, names))?;
    if !capa(client).is_empty() {
        write!(into, " capa={}", capa(client))?;
    }
    write!(into, " db={}", client.db.load(Ordering::Relaxed))?;
    let Progress { queued, queued_bytes, watched } = names.progress;
    let queued = queued.map_or(-1, usize::cast_signed);
    let Subscribed { channels, patterns, shard_channels } = names.subscribed;
    write!(into, " sub={channels} psub={patterns} ssub={shard_channels}")?;
    write!(into, " multi={queued} watch={watched}")?;
    write!(into, " qbuf={query} qbuf-free={query_free}")?;
    write!(into, " argv-mem={}", load(&client.argument_bytes))?;
    write!(into, " multi-mem={queued_bytes} rbs=0 rbp=0 obl=0")?;
    write!(into, " oll={} omem={waiting}", u8::from(waiting > 0))?;
    write!(into, " tot-mem={}", client.memory_bytes())?;
    write!(into, " events={}", if waiting > 0 { "rw" } else { "r" })?;
    into.push_str(" cmd=");
    write_command(client, into);
    let redirect = names.tracking.as_ref().map_or(-1, |terms| terms.redirect as i64);
    write!(into, " user={} redir={redirect}", String::from_utf8_lossy(user(names)))?;
    write!(into, " resp={}", client.dialect.load(Ordering::Relaxed))?;
    write!(into, " lib-name={}", text(&names.lib_name))?;
    write!(into, " lib-ver={}", text(&names.lib_version))?;
    write!(into, " io-thread={}", client.worker)?;
    write!(into, " tot-net-in={}", client.bytes_in.get())?;
    write!(into, " tot-net-out={}", client.bytes_out.get())?;
    writeln!(into, " tot-cmds={}", client.commands.get())
}

/// Names are made of printable ASCII alone, or they would not have been taken.
fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

fn write_command(client: &Client, into: &mut String) {
    let Some((command, sub)) = client.last_command() else { return into.push_str("NULL") };
    let lower = |name: &'static str| name.chars().map(|letter| letter.to_ascii_lowercase());
    into.extend(lower(command.name));
    if let Some(sub) = sub {
        into.push('|');
        into.extend(lower(sub.name));
    }
}

/// How long a client has been there, in seconds.
pub(super) fn age_seconds(client: &Client, now: Millis) -> u64 {
    now.saturating_sub(client.connected_at) / 1000
}

/// How long nothing has been heard of a client, in seconds.
pub(super) fn idle_seconds(client: &Client, now: Millis) -> u64 {
    now.saturating_sub(client.last_seen.load(Ordering::Relaxed)) / 1000
}

/// The user of a client of these names.
pub(super) fn user(names: &Names) -> &[u8] {
    if names.user.is_empty() { DEFAULT_USER } else { &names.user }
}

/// What a client is and does just now, a letter each; `N`: nothing special.
pub(super) fn flags(client: &Client, names: &Names) -> String {
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    let terms = names.tracking.as_deref();
    let killed = client.killed();
    let letters = [
        ('O', is(&client.monitor)),
        ('P', is(&client.subscribed)),
        ('b', is(&client.blocked)),
        ('t', terms.is_some()),
        ('R', terms.is_some_and(|terms| is(&terms.broken))),
        ('B', terms.is_some_and(|terms| terms.prefixes().is_some())),
        ('c', killed == Kill::AfterReply),
        ('A', killed == Kill::Now),
        ('U', client.unix),
        ('e', is(&client.no_evict)),
        ('T', is(&client.no_touch)),
        ('I', is(&client.imports)),
    ];
    let set: String =
        letters.into_iter().filter(|(_, set)| *set).map(|(letter, _)| letter).collect();
    if set.is_empty() { "N".into() } else { set }
}

/// What a client has said that it is able to do, a letter each.
pub(super) fn capa(client: &Client) -> &'static str {
    if client.follows_redirects.load(Ordering::Relaxed) { "r" } else { "" }
}
