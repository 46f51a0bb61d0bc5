//! CLIENT TRACKING and what belongs to it: being told when a key that was read may be another.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use command::{Args, Arity, Command, CommandError};

use super::super::Call;
use super::{ALWAYS, BASE, PLAIN};
use crate::acl::{Reason, Refusal};
use crate::client::{Client, ClientId};
use crate::session::Session;
use crate::tracking::{Mode, Terms};

const TELLS: command::Flags = ALWAYS.and(command::Flags::SENTINEL);

pub(super) const CACHING: Command = Command {
    name: "CACHING",
    arity: Arity::Exactly(3),
    flags: TELLS,
    since: "6.0.0",
    summary: "Says whether keys are remembered that the next command reads.",
    syntax: "YES | NO",
    ..BASE
};

pub(super) const GETREDIR: Command = Command {
    name: "GETREDIR",
    arity: Arity::Exactly(2),
    flags: TELLS,
    since: "6.0.0",
    summary: "Answers the number of the connection that is told in place of this one.",
    ..BASE
};

pub(super) const TRACKING: Command = Command {
    name: "TRACKING",
    arity: Arity::AtLeast(3),
    flags: PLAIN.and(command::Flags::SENTINEL),
    since: "6.0.0",
    summary: "Tells the connection when a key that it has read may have another value.",
    complexity: "O(1). Some options may introduce additional complexity.",
    syntax: "(ON | OFF) [REDIRECT client-id] [PREFIX prefix] ... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    ..BASE
};

pub(super) const TRACKINGINFO: Command = Command {
    name: "TRACKINGINFO",
    arity: Arity::Exactly(2),
    flags: PLAIN.and(command::Flags::SENTINEL),
    since: "6.2.0",
    summary: "Answers what CLIENT TRACKING has set.",
    ..BASE
};

fn refusal(text: impl Into<String>) -> CommandError {
    CommandError::text(format!("ERR {}", text.into()))
}

/// What CLIENT TRACKING is given behind ON or OFF.
#[derive(Default)]
struct Options<'a> {
    redirect: ClientId,
    target: Option<Arc<Client>>,
    prefixes: Vec<&'a [u8]>,
    broadcasts: bool,
    opt_in: bool,
    opt_out: bool,
    noloop: bool,
}

impl<'a> Options<'a> {
    fn parse(mut args: Args<'a>, call: &Call<'_>) -> Result<Options<'a>, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if args.word_with_value("REDIRECT") {
                if options.redirect != 0 {
                    return Err(refusal("A client can only redirect to a single other client"));
                }
                let id: i64 = args.take()?;
                let id = ClientId::try_from(id).unwrap_or(ClientId::MAX);
                options.redirect = id;
                options.target = call.batch.server.clients.get(id);
                if options.target.is_none() {
                    return Err(refusal("The client ID you want redirect to does not exist"));
                }
            } else if args.word_with_value("PREFIX") {
                options.prefixes.push(args.bytes()?);
            } else if args.word("BCAST") {
                options.broadcasts = true;
            } else if args.word("OPTIN") {
                options.opt_in = true;
            } else if args.word("OPTOUT") {
                options.opt_out = true;
            } else if args.word("NOLOOP") {
                options.noloop = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// The mode they ask for, after the one there is.
    fn mode(&self, before: Option<&Mode>) -> Result<Mode, CommandError> {
        const SWITCH: &str = "before disabling tracking for this client, and then re-enabling it with a different \
             mode.";
        if !self.broadcasts && !self.prefixes.is_empty() {
            return Err(refusal("PREFIX option requires BCAST mode to be enabled"));
        }
        let broadcast = before.is_some_and(|mode| matches!(mode, Mode::Broadcast(_)));
        if before.is_some() && broadcast != self.broadcasts {
            return Err(refusal(format!("You can't switch BCAST mode on/off {SWITCH}")));
        }
        if self.broadcasts && (self.opt_in || self.opt_out) {
            return Err(refusal("OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(refusal("You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if self.opt_in && before == Some(&Mode::OptOut)
            || self.opt_out && before == Some(&Mode::OptIn)
        {
            return Err(refusal(format!("You can't switch OPTIN/OPTOUT mode {SWITCH}")));
        }
        match (self.broadcasts, self.opt_in, self.opt_out) {
            (true, ..) => self.with_prefixes(before).map(Mode::Broadcast),
            (_, true, _) => Ok(Mode::OptIn),
            (.., true) => Ok(Mode::OptOut),
            _ => Ok(Mode::Read),
        }
    }

    /// The prefixes there are and those that are given, none of which may begin another.
    fn with_prefixes(&self, before: Option<&Mode>) -> Result<BTreeSet<Vec<u8>>, CommandError> {
        let mut all = match before {
            Some(Mode::Broadcast(prefixes)) => prefixes.clone(),
            _ => BTreeSet::new(),
        };
        let clash = |prefix: &[u8], other: &[u8], what: &str| {
            let (prefix, other) = (String::from_utf8_lossy(prefix), String::from_utf8_lossy(other));
            refusal(format!(
                "Prefix '{prefix}' overlaps with {what} prefix '{other}'. Prefixes for a single \
                 client must not overlap."
            ))
        };
        let provided = first_overlap(&self.prefixes);
        for (at, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = overlapping(&all, prefix) {
                return Err(clash(prefix, other, "an existing"));
            }
            if let Some((_, other)) = provided.filter(|&(first, _)| first == at) {
                return Err(clash(prefix, other, "another provided"));
            }
        }
        match &self.prefixes[..] {
            [] => drop(all.insert(Vec::new())),
            given => all.extend(given.iter().map(|prefix| prefix.to_vec())),
        }
        Ok(all)
    }
}

fn overlap(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The first of several prefixes, none of which begins another, that one overlaps with.
fn overlapping<'a>(all: &'a BTreeSet<Vec<u8>>, prefix: &[u8]) -> Option<&'a [u8]> {
    let bounds = |from: Bound<&[u8]>, to: Bound<&[u8]>| all.range::<[u8], _>((from, to));
    // What begins it is the last one up to it: whatever stands between begins so, too.
    let begins = bounds(Bound::Unbounded, Bound::Included(prefix)).next_back();
    let begins = begins.filter(|other| prefix.starts_with(other));
    let goes_on = bounds(Bound::Included(prefix), Bound::Unbounded).next();
    let goes_on = goes_on.filter(|other| other.starts_with(prefix));
    begins.or(goes_on).map(Vec::as_slice)
}

/// The place of the first prefix that overlaps with another behind it, and the first of those.
fn first_overlap<'a>(prefixes: &[&'a [u8]]) -> Option<(usize, &'a [u8])> {
    let mut sorted: Vec<(&[u8], usize)> = prefixes.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    let mut first: Option<usize> = None;
    let mut outer: Option<(&[u8], usize)> = None;
    for (prefix, at) in sorted {
        match outer {
            // It begins as the one before does, so both overlap.
            Some((begin, begun)) if prefix.starts_with(begin) => {
                first = Some(first.unwrap_or(at).min(at).min(begun));
            }
            _ => outer = Some((prefix, at)),
        }
    }
    let at = first?;
    let other = prefixes[at + 1..].iter().find(|other| overlap(prefixes[at], other));
    other.map(|other| (at, *other))
}

/// Who is told of every change to keys that begin so must be allowed to read all of them.
fn permit_prefixes(call: &Call<'_>, prefixes: &BTreeSet<Vec<u8>>) -> Result<(), CommandError> {
    let Session { user, client, .. } = &*call.session;
    let refused = prefixes.iter().find(|prefix| !user.rules.may_read_all(prefix));
    let Some(object) = refused else { return Ok(()) };
    let (reason, context) = (Reason::Key, call.session.context());
    call.batch.note_refusal(Refusal { reason, context, object, user: &user.name }, client);
    Err(CommandError::text("NOPERM No permissions to access a key"))
}

/// Who has become another user that may not is told of nothing any more.
pub(in super::super) fn end_forbidden(call: &mut Call<'_>) {
    let Session { user, tracking, .. } = &*call.session;
    let prefixes = tracking.as_ref().and_then(|terms| terms.prefixes()).into_iter().flatten();
    if { prefixes }.all(|prefix| user.rules.may_read_all(prefix)) {
        return;
    }
    call.session.tracking = None;
    let server = call.batch.server;
    server.tracking.leave(server.keyspace, &call.session.client);
}

pub(super) fn tracking(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = call.args();
    let switch = args.bytes()?;
    let options = Options::parse(args, call)?;
    let server = call.batch.server;
    if switch.eq_ignore_ascii_case(b"ON") {
        let before = call.session.tracking.as_deref().map(|terms| &terms.mode);
        let mode = options.mode(before)?;
        if let Mode::Broadcast(prefixes) = &mode {
            permit_prefixes(call, prefixes)?;
        }
        let Options { redirect, target, noloop, .. } = options;
        let terms = Arc::new(Terms { mode, noloop, redirect, broken: AtomicBool::new(false) });
        call.session.tracking = Some(Arc::clone(&terms));
        server.tracking.follow(server.keyspace, &call.session.client, target, terms);
    } else if switch.eq_ignore_ascii_case(b"OFF") {
        call.session.tracking = None;
        call.session.caching = false;
        server.tracking.leave(server.keyspace, &call.session.client);
    } else {
        return Err(CommandError::Syntax);
    }
    call.reply().ok();
    Ok(())
}

pub(super) fn caching(call: &mut Call<'_>) -> Result<(), CommandError> {
    let Some(terms) = &call.session.tracking else {
        return Err(refusal(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
             OPTOUT mode enabled",
        ));
    };
    let only = |word: &str, mode: &str| {
        let text =
            format!("CLIENT CACHING {word} is only valid when tracking is enabled in {mode}");
        Err(refusal(format!("{text} mode.")))
    };
    let word = call.args().bytes()?;
    match (word.to_ascii_uppercase().as_slice(), &terms.mode) {
        (b"YES", Mode::OptIn) | (b"NO", Mode::OptOut) => {}
        (b"YES", _) => return only("YES", "OPTIN"),
        (b"NO", _) => return only("NO", "OPTOUT"),
        _ => return Err(CommandError::Syntax),
    }
    call.session.caching = true;
    call.reply().ok();
    Ok(())
}

/// Who is told in place of a session's client: -1 if nobody is told, 0 if it is itself.
fn redirect(session: &Session) -> i64 {
    session.tracking.as_ref().map_or(-1, |terms| terms.redirect as i64)
}

pub(super) fn redirection(call: &mut Call<'_>) {
    let id = redirect(call.session);
    call.reply().integer(id);
}

pub(super) fn information(call: &mut Call<'_>) {
    let (terms, caching) = (call.session.tracking.clone(), call.session.caching);
    let flags = flags(terms.as_deref(), caching);
    let redirect = redirect(call.session);
    let prefixes = terms.as_ref().and_then(|terms| terms.prefixes());
    let mut reply = call.reply();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect);
    reply.bulk(b"prefixes");
    reply.array(prefixes.map_or(0, BTreeSet::len));
    prefixes.into_iter().flatten().for_each(|prefix| reply.bulk(prefix));
}

fn flags(terms: Option<&Terms>, caching: bool) -> Vec<&'static str> {
    let Some(terms) = terms else { return vec!["off"] };
    let is = |mode: &Mode| terms.mode == *mode;
    let all = [
        ("on", true),
        ("bcast", terms.prefixes().is_some()),
        ("optin", is(&Mode::OptIn)),
        ("caching-yes", is(&Mode::OptIn) && caching),
        ("optout", is(&Mode::OptOut)),
        ("caching-no", is(&Mode::OptOut) && caching),
        ("noloop", terms.noloop),
        ("broken_redirect", terms.broken.load(Ordering::Relaxed)),
    ];
    all.into_iter().filter_map(|(flag, holds)| holds.then_some(flag)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(prop::sample::select(&b"ab"[..]), 1..6)
    }

    proptest! {
        #[test]
        fn overlaps_are_those_that_trying_each_pair_finds(given in vec(text(), 0..12)) {
            let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
            let pairs = given.iter().enumerate().find_map(|(at, prefix)| {
                let other = given[at + 1..].iter().find(|other| overlap(prefix, other))?;
                Some((at, *other))
            });
            prop_assert_eq!(first_overlap(&given), pairs);

            let mut apart: BTreeSet<Vec<u8>> = BTreeSet::new();
            for prefix in given {
                let tried = apart.iter().find(|other| overlap(prefix, other)).map(Vec::as_slice);
                prop_assert_eq!(overlapping(&apart, prefix), tried);
                if tried.is_none() {
                    apart.insert(prefix.to_vec());
                }
            }
        }
    }
}
