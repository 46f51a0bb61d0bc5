//! Start-up time, memory when empty, memory for an idle connection.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use socket2::Socket;

use super::process::Running;
use super::results::{Results, StartRow};
use super::servers::Server;
use super::{Context, Step, median};

/// Idle connections, if the limit of open files allows as many.
const CONNECTIONS: u64 = 10_000;

/// Open files that this process needs for other things.
const FILES_SPARE: u64 = 100;

/// How long a server gets to come to rest before its memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// How long the answer on a new connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long all connections together may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);

/// The name of the part in the progress.
const PART: &str = "start";

/// How long it takes to open the connections, about, in seconds.
const CONNECT_S: f64 = 1.0;

/// Plans a step for each server.
pub(crate) fn plan(context: &Context<'_>) {
    let settle_s = 2.0 * context.wait(SETTLE).as_secs_f64();
    context.progress.plan(PART, context.servers.len(), settle_s + CONNECT_S);
}

/// Measures every server.
pub(crate) fn measure(context: &Context<'_>, results: &mut Results) -> Result<(), String> {
    for server in &context.servers {
        context.progress.announce(&format!("{PART}: {}", server.name));
        let step = Step { part: PART, what: PART, server };
        let row = context.attempt(results, step, || one(context, server))?;
        results.start.extend(row);
    }
    context.progress.close(PART);
    Ok(())
}

fn one(context: &Context<'_>, server: &Server) -> Result<StartRow, String> {
    let workers = context.workers();
    let cores = context.machine.divide(usize::from(workers)).server;
    let start = || Running::start(server, workers, &cores, context.stop);
    let mut first_pong_ms = Vec::new();
    for _ in 1..context.rounds {
        first_pong_ms.push(start()?.first_pong.as_secs_f64() * 1e3);
    }
    let running = start()?;
    first_pong_ms.push(running.first_pong.as_secs_f64() * 1e3);
    context.pause(context.wait(SETTLE))?;
    let empty_bytes = running.resident_bytes()?;
    let connections = connect(context, &running)?;
    context.pause(context.wait(SETTLE))?;
    let grown = running.resident_bytes()?.saturating_sub(empty_bytes);
    Ok(StartRow {
        server: server.name.clone(),
        first_pong_ms: median(first_pong_ms),
        empty_bytes,
        connections: connections.len() as u64,
        connection_bytes: grown as f64 / connections.len().max(1) as f64,
    })
}

/// Opens connections, each of which has been used once.
fn connect(context: &Context<'_>, running: &Running) -> Result<Vec<Socket>, String> {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = CONNECTIONS.min(files.saturating_sub(FILES_SPARE));
    let (begin, mut sockets) = (Instant::now(), Vec::new());
    for at in 0..count {
        context.check_stop()?;
        if begin.elapsed() > CONNECT_PATIENCE {
            return Err(format!("only {at} connections in {CONNECT_PATIENCE:?}"));
        }
        let socket = ping(running).map_err(|e| format!("connection {at}: {e}"))?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn ping(running: &Running) -> std::io::Result<Socket> {
    let mut socket = running.target.connect()?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(b"PING\r\n")?;
    let mut pong = [0; 7];
    socket.read_exact(&mut pong)?;
    if pong == *b"+PONG\r\n" { Ok(socket) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}
