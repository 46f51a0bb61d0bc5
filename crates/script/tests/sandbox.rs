//! What scripts must not reach, and what they must not leave behind.

mod common;

use common::{Small, engine, error_of, eval, run_in};
use protocol::Dialect;

const READ_ONLY: &str = "Attempt to modify a readonly table";

#[test]
fn only_the_globals_of_redis_are_there() {
    let source = "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t)
        return table.concat(t, ' ')";
    let expected = "ARGV KEYS _G _VERSION __redis__err__handler __server__err__handler assert bit \
        cjson cmsgpack collectgarbage coroutine error gcinfo getmetatable ipairs load loadstring \
        math next os pairs pcall rawequal rawget rawset redis select server setmetatable string \
        struct table tonumber tostring type unpack xpcall";
    assert_eq!(eval(source), format!("${} {expected}", expected.len()));
    let source =
        "local t = {} for _, l in ipairs({'string', 'table', 'math', 'os', 'coroutine'}) do
        for k in pairs(_G[l]) do t[#t + 1] = l .. '.' .. k end end table.sort(t)
        return table.concat(t, ' ')";
    let expected = "coroutine.create coroutine.resume coroutine.running coroutine.status \
        coroutine.wrap coroutine.yield math.abs math.acos math.asin math.atan math.atan2 \
        math.ceil math.cos math.cosh math.deg math.exp math.floor math.fmod math.frexp math.huge \
        math.ldexp math.log math.log10 math.max math.min math.mod math.modf math.pi math.pow \
        math.rad math.random math.randomseed math.sin math.sinh math.sqrt math.tan math.tanh \
        os.clock string.byte string.char string.dump string.find string.format string.gfind \
        string.gmatch string.gsub string.len string.lower string.match string.rep string.reverse \
        string.sub string.upper table.concat table.foreach table.foreachi table.getn table.insert \
        table.maxn table.remove table.setn table.sort";
    assert_eq!(eval(source), format!("${} {expected}", expected.len()));
}

#[test]
fn nothing_that_leads_out_is_there() {
    for name in [
        "print", "dofile", "loadfile", "require", "module", "package", "io", "debug", "newproxy",
        "getfenv", "setfenv",
    ] {
        let expected = format!(
            "user_script:1: Script attempted to access nonexistent global variable '{name}'"
        );
        assert_eq!(error_of(&format!("return {name}")), expected);
    }
    for name in ["os.execute", "os.exit", "os.getenv", "os.time", "string.gfindx"] {
        assert_eq!(eval(&format!("return {name}")), "$-1", "{name}");
    }
}

#[test]
fn nothing_shared_can_be_written() {
    let placed = [
        "x = 1",
        "_G.x = 1",
        "_G['string'] = nil",
        "string.x = 1",
        "string.rep = nil",
        "redis.call = nil",
        "server.x = 1",
        "cjson.encode = 1",
        "cmsgpack.x = 1",
        "struct.x = 1",
        "bit.x = 1",
        "math.x = 1",
        "os.x = 1",
        "table.x = 1",
        "coroutine.x = 1",
        "KEYS = {}",
        "getmetatable('').__index = nil",
        "getmetatable('').x = 1",
        "getmetatable(_G).__index = nil",
        "getmetatable(_G).__newindex = nil",
    ];
    for source in placed {
        assert_eq!(error_of(source), format!("user_script:1: {READ_ONLY}"), "{source}");
    }
    let wrappings = [
        ("local function f() ", " end f()"),
        ("local function f() return function() ", " end end f()()"),
        ("local t = {f = function(...) if ... then ", " end end} t.f(true)"),
        ("coroutine.wrap(function() for _ = 1, 2 do ", " end end)()"),
    ];
    for (before, after) in wrappings {
        for write in ["x = 1", "KEYS = 1", "redis = nil", "function pairs() end"] {
            let source = format!("{before}{write}{after} return 'written'");
            let error = error_of(&source);
            assert!(error.ends_with(&format!("user_script:1: {READ_ONLY}")), "{source}: {error}");
        }
    }
    let by_functions = [
        "rawset(_G, 'x', 1)",
        "rawset(string, 'x', 1)",
        "rawset(redis, 'call', 1)",
        "setmetatable(_G, {})",
        "setmetatable(string, {})",
        "table.insert(string, 1)",
        "table.remove(redis)",
        "table.sort(_G)",
        "rawset(getmetatable(''), '__index', 1)",
    ];
    for source in by_functions {
        assert_eq!(error_of(source), READ_ONLY, "{source}");
    }
}

#[test]
fn tables_that_may_only_be_read_read_like_any_other() {
    let source =
        "local n = 0 for k, v in pairs(string) do n = n + (type(v) == 'function' and 1 or 0) end
        return {n, type(next(redis)), type(rawget(string, 'rep')), tostring(getmetatable(string)),
                type(getmetatable(_G)), tostring(getmetatable('').__index == string)}";
    assert_eq!(eval(source), "*6 :15 $6 string $8 function $3 nil $5 table $4 true");
    assert_eq!(
        eval("return table.foreach(bit, function(k, v) if k == 'bor' then return 7 end end)"),
        ":7"
    );
}

#[test]
fn own_tables_work_as_ever() {
    let source = "local t = setmetatable({}, {__index = function(_, k) return k .. '!' end})
        rawset(t, 'a', 1) local p = setmetatable({}, {__metatable = 'no'})
        return {t.b, t.a, getmetatable(p), tostring((pcall(setmetatable, p, {}))), #{unpack({1, 2, 3}, 2)}}";
    assert_eq!(eval(source), "*5 $2 b! :1 $2 no $5 false :2");
}

#[test]
fn compiled_code_is_not_loaded() {
    let source = "local f, e = loadstring('\\27Lua') return {tostring(f), e}";
    assert_eq!(
        eval(source),
        "*2 $3 nil $52 [string \"\u{1b}Lua\"]:1: unexpected symbol near 'char(27)'"
    );
    let source = "local f, e = loadstring(string.dump(function() return 1 end)) return tostring(f)";
    assert_eq!(eval(source), "$3 nil");
    let source = "local code = string.dump(function() return 1 end) local given = false
        local f = load(function() if given then return nil end given = true return code end)
        return tostring(f)";
    assert_eq!(eval(source), "$3 nil");
}

#[test]
fn source_is_loaded_and_sees_the_same_globals() {
    assert_eq!(eval("return loadstring('return 1 + 1')()"), ":2");
    assert_eq!(error_of("loadstring('y = 1', '@z')()"), format!("z:1: {READ_ONLY}"));
    let source = "local parts = {'return ', '4', '2', ''} local i = 0
        return load(function() i = i + 1 return parts[i] end)()";
    assert_eq!(eval(source), ":42");
    let source = "local f, e = load(function() error('bad', 0) end) return {tostring(f), e}";
    assert_eq!(eval(source), "*2 $3 nil $3 bad");
    let source = "local f, e = load(function() return {} end) return {tostring(f), e}";
    assert_eq!(eval(source), "*2 $3 nil $36 reader function must return a string");
}

// Lua 5.1's compiler does not hold the name of what it compiles from the beginning. Code that
// ran while it read the source could have that name collected, and used after that.
#[test]
fn no_code_runs_inside_the_compiler() {
    let source = "for i = 1, 200 do
            local n = 0
            load(function() n = n + 1 collectgarbage() if n < 3 then return ' ' end end,
                 string.rep('n', 50) .. i .. '\\0' .. i)
        end return 1";
    assert_eq!(eval(source), ":1");
}

#[test]
fn unpack_counts_without_overflow() {
    for range in ["0, 2147483647", "-2147483648, 2147483647", "1, 1e8", "-1, 9000"] {
        let text = error_of(&format!("return unpack({{}}, {range})"));
        assert_eq!(text, "user_script:1: too many results to unpack", "{range}");
    }
    assert_eq!(eval("return {unpack({1, 2}, 2, 1)}"), "*0");
}

#[test]
fn one_run_leaves_nothing_for_the_next() {
    let mut engine = engine();
    let mut run = |source: &str, keys: &[&[u8]]| {
        let mut host = Small::default();
        run_in(&mut engine, &mut host, Dialect::Resp2, source.as_bytes(), keys, &[])
    };
    run("KEYS[2] = 'left' KEYS.x = 1 return 1", &[b"k"]);
    assert_eq!(run("return {#KEYS, tostring(KEYS.x)}", &[b"k"]), "*2 :1 $3 nil");
    run("collectgarbage('stop') collectgarbage('setpause', 100000) return 1", &[]);
    for _ in 0..50 {
        assert_eq!(
            run("local s for i = 1, 1000 do s = ('x'):rep(10000) .. i end return #s", &[]),
            ":10004"
        );
    }
}

#[test]
fn the_error_handler_of_the_server_does_no_harm() {
    for call in
        ["__redis__err__handler()", "__redis__err__handler({})", "__redis__err__handler(1, 2)"]
    {
        assert!(eval(&format!("{call} return 1")).starts_with([':', '-']), "{call}");
    }
    assert_eq!(eval("return __redis__err__handler('x').err"), "$5 ERR x");
    assert!(eval("__redis__err__handler(string) return string.err").starts_with(['$', '-']));
    assert_eq!(eval("return tostring(string.rep ~= nil)"), "$4 true");
    assert!(eval("error(redis)").starts_with("-ERR unknown error"));
}
