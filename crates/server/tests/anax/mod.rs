//! Anax itself, as its users start it: the binary, behind a socket.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;

use testkit::server::ServerProcess;

/// How a server is cut up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Threads that serve connections.
    pub(crate) workers: usize,
    /// Parts of the keyspace.
    pub(crate) shards: usize,
    /// Whether every command leaves its worker, as long ones do.
    pub(crate) away: bool,
}

/// Nothing happens at once, and all keys meet.
pub(crate) const NARROW: Shape = Shape { workers: 1, shards: 1, away: false };

/// Things happen at once, and hardly two keys meet.
pub(crate) const WIDE: Shape = Shape { workers: 2, shards: 64, away: false };

/// Every command runs as one that takes long.
pub(crate) const AWAY: Shape = Shape { workers: 2, shards: 64, away: true };

impl Shape {
    /// Starts a server of this shape, whose clock can be moved.
    pub(crate) fn start(self) -> ServerProcess {
        let workers = format!("--proactor_threads={}", self.workers);
        let shards = format!("--num_shards={}", self.shards);
        let arguments = [
            "--port={port}",
            "--bind=127.0.0.1",
            "--enable-debug-command=yes",
            workers.as_str(),
            shards.as_str(),
            if self.away { "--long-command-steps=0" } else { "--long-command-steps=10000" },
        ];
        ServerProcess::start(Path::new(env!("CARGO_BIN_EXE_anax")), &arguments)
            .unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}
