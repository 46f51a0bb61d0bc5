//! Builds Lua 5.1 from the sources that `lua-src` carries, with `lua/number.h` in front of each.
//!
//! `mlua-sys` would build the same sources, but has no place for a compiler's option.

use std::env;

/// The compiler's options, as they are named in the environment.
const OPTIONS: &str = "CFLAGS";

fn main() {
    println!("cargo:rerun-if-changed=lua/number.h");
    println!("cargo:rerun-if-env-changed={OPTIONS}");
    let given = env::var(OPTIONS).unwrap_or_default();
    // The compiler runs in the package's directory, as this does.
    // SAFETY: nothing else runs in this program that could read the environment meanwhile.
    unsafe { env::set_var(OPTIONS, format!("{given} -include lua/number.h")) };
    let lua = lua_src::Build::new().build(lua_src::Lua51);
    println!("cargo:rustc-link-search=native={}", lua.lib_dir().display());
    for library in lua.libs() {
        // Whole, because the crate that declares Lua's functions comes behind this one.
        println!("cargo:rustc-link-lib=static:+whole-archive={library}");
    }
}
