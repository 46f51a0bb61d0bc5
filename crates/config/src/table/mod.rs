//! The registry: every setting that Redis, Valkey or Dragonfly knows and
//! those of our own, a row each, one file a group or a few.
//!
//! Where two of them mean the same it is one row, under Redis' name and with
//! Redis' default. Names that Redis only still reads from files are listed in
//! [`RETIRED`].

mod data;
mod disk;
mod distribution;
mod engine;
mod front;
mod host;

use crate::setting::{Group, Setting};

/// A group and its rows.
type Chapter = (Group, &'static [Setting]);

const CHAPTERS: &[Chapter] = &[
    (Group::Network, front::NETWORK),
    (Group::Clients, front::CLIENTS),
    (Group::Security, front::SECURITY),
    (Group::Memory, engine::MEMORY),
    (Group::Threads, engine::THREADS),
    (Group::Types, data::TYPES),
    (Group::Scripts, data::SCRIPTS),
    (Group::Observability, host::OBSERVABILITY),
    (Group::Persistence, disk::PERSISTENCE),
    (Group::Replication, distribution::REPLICATION),
    (Group::Cluster, distribution::CLUSTER),
    (Group::Search, data::SEARCH),
    (Group::Tiering, disk::TIERING),
    (Group::Tls, host::TLS),
    (Group::Process, host::PROCESS),
];

const COUNT: usize = {
    let (mut count, mut at) = (0, 0);
    while at < CHAPTERS.len() {
        count += CHAPTERS[at].1.len();
        at += 1;
    }
    count
};

/// All rows, one chapter after the other, each with its group.
const fn joined() -> [Setting; COUNT] {
    let mut all = [front::NETWORK[0]; COUNT];
    let (mut filled, mut chapter) = (0, 0);
    while chapter < CHAPTERS.len() {
        let (group, rows) = CHAPTERS[chapter];
        let mut row = 0;
        while row < rows.len() {
            all[filled] = rows[row];
            all[filled].group = group;
            filled += 1;
            row += 1;
        }
        chapter += 1;
    }
    all
}

static JOINED: [Setting; COUNT] = joined();

/// Every setting there is.
pub static SETTINGS: &[Setting] = &JOINED;

/// Names that files of older servers carry and that mean nothing any more:
/// they are read over.
pub(crate) const RETIRED: &[&str] = &[
    "events-per-io-thread",
    "hash-max-zipmap-entries",
    "hash-max-zipmap-value",
    "io-threads-do-reads",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];

/// The row that has this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    place(name).map(|at| &SETTINGS[at])
}

/// The place of the row that has this name.
pub(crate) fn place(name: &str) -> Option<usize> {
    SETTINGS.iter().position(|setting| setting.is_named(name))
}
