//! The binary `anax`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: memory::heap::CountingAlloc = memory::heap::CountingAlloc;

fn main() -> ExitCode {
    server::start::run(std::env::args_os().skip(1), std::env::vars_os())
}
