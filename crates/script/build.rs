//! Builds Lua 5.1 from the sources that `lua-src` carries, with `lua/number.h` in front of each.
//!
//! `mlua-sys` would build the same sources, but has no place for a compiler's option.

use std::env;

/// The compiler's options, as they are named in the environment.
const OPTIONS: &str = "CFLAGS";

/// How many lists Lua's table of strings begins with. It has as many as there are strings, halves
/// itself with each collection down to twice this, and grows again before the next: with Lua's
/// own 32, brief scripts would have all strings moved twice from one collection to the next.
const STRING_LISTS: usize = 2_048;

fn main() {
    println!("cargo:rerun-if-changed=lua/number.h");
    println!("cargo:rerun-if-env-changed={OPTIONS}");
    let given = env::var(OPTIONS).unwrap_or_default();
    let options = format!("{given} -include lua/number.h -DMINSTRTABSIZE={STRING_LISTS}");
    // The compiler runs in the package's directory, as this does.
    // SAFETY: nothing else runs in this program that could read the environment meanwhile.
    unsafe { env::set_var(OPTIONS, options) };
    let lua = lua_src::Build::new().build(lua_src::Lua51);
    println!("cargo:rustc-link-search=native={}", lua.lib_dir().display());
    for library in lua.libs() {
        // Whole, because the crate that declares Lua's functions comes behind this one.
        println!("cargo:rustc-link-lib=static:+whole-archive={library}");
    }
}
