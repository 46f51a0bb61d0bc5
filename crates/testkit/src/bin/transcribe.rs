//! Fills the replies of a transcript in from a running server.
//!
//! `transcribe FILE HOST:PORT` writes the file with its replies to standard
//! output. The server loses all its keys.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::{env, error, fs, io};

use testkit::executor::{Passing, SocketExecutor};
use testkit::transcript::{Target, transcribe};
use testkit::{Client, server};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, address] = &arguments[..] else {
        return complain("usage: transcribe FILE HOST:PORT");
    };
    match filled(Path::new(file), address) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error.to_string()),
        },
        Err(error) => complain(&format!("{file}: {error}")),
    }
}

fn filled(file: &Path, address: &str) -> Result<String, Box<dyn error::Error>> {
    let address: SocketAddr =
        address.to_socket_addrs()?.next().ok_or("the address names no host")?;
    let target = server::identify(&mut Client::connect(address)?)?;
    let passing = if target == Target::anax() { Passing::Command } else { Passing::Waiting };
    let text = fs::read_to_string(file)?;
    let mut executor = SocketExecutor::new(address, passing);
    Ok(transcribe(file, &text, &target, &mut executor)?)
}

/// Says on standard error why it ended.
fn complain(what: &str) -> ExitCode {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "transcribe: {what}");
    ExitCode::FAILURE
}
