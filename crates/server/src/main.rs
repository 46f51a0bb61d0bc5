//! The binary `anax`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use server::server::Server;
use server::settings::Settings;
use server::{listen, threads, worker};

#[global_allocator]
static ALLOCATOR: packed::heap::CountingAlloc = packed::heap::CountingAlloc;

fn main() -> ExitCode {
    let mut port = 6379;
    let mut workers = std::thread::available_parallelism().map_or(1, usize::from);
    for argument in std::env::args().skip(1) {
        if let Some(value) = argument.strip_prefix("--port=") {
            port = value.parse().unwrap_or(port);
        }
        if let Some(value) = argument.strip_prefix("--proactor_threads=") {
            workers = value.parse().unwrap_or(workers);
        }
    }
    let shards = (16 * workers).max(64);
    let server = Server::new(workers, shards, 16, Settings::default(), [1, 2], "0".repeat(40));
    let server = Arc::new(server);
    let (doors, arriving): (Vec<_>, Vec<_>) = (0..workers).map(|_| worker::door()).unzip();
    for (index, arriving) in arriving.into_iter().enumerate() {
        let server = Arc::clone(&server);
        threads::start(&format!("anax-{index}"), None, move || {
            worker::run(server, index, arriving, index as u64 + 77);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async move {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listener = listen::bind_tcp(address, 511).expect("the port is free");
        listen::accept_tcp(server, listener, doors, false).await;
    });
    ExitCode::SUCCESS
}
