//! The binary `anax`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: packed::heap::CountingAlloc = packed::heap::CountingAlloc;

fn main() -> ExitCode {
    server::start::run(std::env::args_os().skip(1), std::env::vars_os())
}
