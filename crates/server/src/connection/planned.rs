//! A batch's requests before they run: their commands and the keys that they will look up.

use command::{Run, Shape};
use protocol::Words;

use crate::execute::Request;
use crate::server::{CommandEntry, Server};

/// A request of a batch on its way.
pub(super) struct Planned<'a> {
    /// `None`: an empty line.
    pub(super) words: Option<Words<'a>>,
    pub(super) entry: Option<&'a CommandEntry>,
    /// The hash of its key, or of a script's first one.
    pub(super) hash: u64,
    /// Whether its key is its first word.
    pub(super) keyed: bool,
    /// Whether its key's memory is to be asked for.
    pub(super) is_ahead: bool,
    /// The hash of the member it names.
    pub(super) member: Option<u64>,
}

impl Planned<'_> {
    /// An empty line.
    pub(super) const NOTHING: Self =
        Planned { words: None, entry: None, hash: 0, keyed: false, is_ahead: false, member: None };
}

/// Finds a request's command; most requests of a batch have that of the one before.
#[inline]
pub(super) fn find<'a>(
    server: &'a Server,
    words: Words<'_>,
    last: Option<&'a CommandEntry>,
) -> Option<&'a CommandEntry> {
    let name = words.get(0)?;
    match last {
        Some(entry) if entry.called.as_bytes().eq_ignore_ascii_case(name) => Some(entry),
        _ => server.table.find(name),
    }
}

#[inline]
pub(super) fn plan<'a>(
    server: &Server,
    words: Words<'a>,
    entry: Option<&'a CommandEntry>,
) -> Planned<'a> {
    let shape = entry.map(|entry| entry.shape);
    let key = words.get(1).filter(|_| shape == Some(Shape::FirstWord));
    if key.is_none()
        && let Some(entry) = entry
        && matches!(entry.command.run, Run::Script)
    {
        return plan_script(server, words, entry);
    }
    let hash = key.map_or(0, |key| server.keyspace.hash(key));
    let member = key.and(entry).and_then(|entry| words.get(usize::from(entry.command.member?)));
    let member = member.map(|member| server.keyspace.hash(member));
    let keyed = key.is_some();
    Planned { words: Some(words), entry, hash, keyed, is_ahead: keyed, member }
}

/// A script's first key is likely to be looked up.
fn plan_script<'a>(server: &Server, words: Words<'a>, entry: &'a CommandEntry) -> Planned<'a> {
    let key = words.get(3).filter(|_| words.get(2) != Some(b"0"));
    let hash = key.map_or(0, |key| server.keyspace.hash(key));
    let (words, entry, is_ahead) = (Some(words), Some(entry), key.is_some());
    Planned { words, entry, hash, is_ahead, ..Planned::NOTHING }
}

/// A request, with its command and the hash of its key.
pub fn look_up<'a>(server: &'a Server, words: Words<'a>) -> Request<'a> {
    let planned = plan(server, words, find(server, words, None));
    Request { words, entry: planned.entry, hash: planned.hash }
}

/// Whether a request is a line of HTTP behind the first one. Browsers can be made to send such
/// lines to any port, with commands among them.
#[cold]
pub(super) fn is_of_a_browser(words: Words<'_>) -> bool {
    let name = words.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"host:")
}
