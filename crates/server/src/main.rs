//! The server binary `anax`.

fn main() {}
