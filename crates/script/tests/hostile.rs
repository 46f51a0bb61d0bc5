//! Scripts that mean harm: they end, and the process lives.
//!
//! Everything here runs on a thread with as little stack as a worker may have.

mod common;

use common::{Small, engine, error_of, eval, run_in};
use protocol::Dialect;

/// How much stack the threads of these tests have, in bytes.
const STACK_BYTES: usize = 1 << 20;

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.expect("a thread starts").join().expect("it does not panic");
}

/// Runs a script that the host stops after it was asked some times.
fn stopped(source: &str) -> String {
    let mut host = Small { patience: Some(3), ..Small::default() };
    run_in(&mut engine(), &mut host, Dialect::Resp2, source.as_bytes(), &[], &[])
}

#[test]
fn what_never_ends_is_stopped() {
    on_a_small_stack(|| {
        let endless = [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "while true do pcall(error) end",
            "local function f() pcall(f) return f() end f()",
            "while true do xpcall(function() while true do end end, function(e) return e end) end",
            "xpcall(function() while true do end end, function() while true do end end)",
            "xpcall(error, function() while true do end end)",
            "coroutine.wrap(function() while true do end end)()",
            "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
            "while true do pcall(coroutine.wrap(function() while true do pcall(error) end end)) end",
            "while true do redis.call('ping') end",
            "while true do redis.pcall('nothing') end",
            "repeat until false",
            "for i = 1, math.huge do end",
            "while true do loadstring('return 1')() end",
            "string.gsub(('a'):rep(1e6), '.', function() while true do end end)",
            "table.sort({1, 2, 3}, function() while true do end end)",
            "while true do local s = ('x'):rep(100) s = s .. s end",
        ];
        for source in endless {
            let shown = stopped(source);
            let expected = "-ERR Script killed by user with SCRIPT KILL... script: ";
            assert!(shown.starts_with(expected), "{source}: {shown}");
        }
    });
}

#[test]
fn what_works_long_inside_a_function_is_stopped() {
    on_a_small_stack(|| {
        let long = [
            "return (('a'):rep(30) .. 'b'):find(('a*'):rep(30) .. 'c')",
            "return ('x'):rep(5000):match(('.-'):rep(12) .. 'y')",
            "return ('('):rep(200000):gsub('%b()', '')",
            "table.insert({}, -2147483648, 1)",
            "local a = {} local b = a for i = 1, 60 do b = {b, b} end return b",
            "local b = {1} for i = 1, 60 do b = {b, b} end return cjson.encode(b)",
            "local t = {} for i = 1, 300000 do t[i] = (i * 7919) % 300007 end
             while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end",
        ];
        for source in long {
            let shown = stopped(source);
            let is_ended = shown.contains("SCRIPT KILL") || shown.contains("not enough memory");
            assert!(is_ended, "{source}: {shown}");
        }
    });
}

#[test]
fn memory_has_a_limit_and_the_engine_lives() {
    on_a_small_stack(|| {
        let mut engine = engine();
        let greedy = [
            "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
            "return ('x'):rep(2147483647)",
            "local s = 'x' while true do s = s .. s end",
            "local t = {} for i = 1, 1e9 do t[i] = i end",
            "return #table.concat((function() local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(100) end return t end)())",
            "local s = ('x'):rep(1e6) return s:gsub('x', ('y'):rep(1000))",
            "return cjson.encode((function() local t = {} for i = 1, 100 do t[i] = ('\\1'):rep(1e6) end return t end)())",
            "local s = ('x'):rep(1e6) return cmsgpack.pack(s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s)",
            "local t = {} for i = 1, 255 do t[i] = 'c0' end local s = ('x'):rep(1e6)
             for i = 1, 200 do t[i] = s end return struct.pack(('c0'):rep(200), unpack(t, 1, 200))",
            "local f = coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end) f()",
        ];
        for source in greedy {
            let mut host = Small::default();
            let shown = run_in(&mut engine, &mut host, Dialect::Resp2, source.as_bytes(), &[], &[]);
            let is_refused = shown.contains("not enough memory");
            assert!(is_refused, "{source}: {}", &shown[..shown.len().min(200)]);
            let shown = run_in(&mut engine, &mut host, Dialect::Resp2, b"return 1", &[], &[]);
            assert_eq!(shown, ":1", "after {source}");
        }
        let source = "local n = 0 for i = 1, 100 do
            local ok = pcall(function() return ('x'):rep(2e9) end) n = n + (ok and 0 or 1) end return n";
        assert_eq!(eval(source), ":100");
    });
}

#[test]
fn garbage_is_not_mistaken_for_use() {
    let source = "local n = 0 for i = 1, 200 do n = n + #(('x'):rep(4e6)) end return n";
    assert_eq!(eval(source), ":800000000");
    let source =
        "local a, n = ('x'):rep(1e6), 0 for i = 1000, 1999 do n = n + #(a .. i) end return n";
    assert_eq!(eval(source), ":1000004000");
    let source = "local a, n = ('x'):rep(1e6), 0
        for i = 1, 500 do local t = {} for j = 1, 10 do t[j] = a:upper() end end return 1";
    assert_eq!(eval(source), ":1");
}

#[test]
fn what_goes_deep_is_an_error() {
    on_a_small_stack(|| {
        let deep = [
            "local function f() return 1 + f() end return f()",
            "local t = {} for i = 1, 100000 do t = {t} end return t",
            "local t = {} t[1] = t return t",
            "local t = {} t[1] = t return cjson.encode(t)",
            "cjson.encode_max_depth(100000) local t = {} t[1] = t return cjson.encode(t)",
            "return cjson.decode(('['):rep(100000))",
            "cjson.decode_max_depth(1000000) return cjson.decode(('['):rep(100000))",
            "return cmsgpack.unpack(('\\145'):rep(1000000))",
            "return cmsgpack.unpack(('\\129'):rep(1000000))",
            "return loadstring('return ' .. ('('):rep(100000) .. '1' .. (')'):rep(100000))()",
            "return loadstring(('{'):rep(100000))()",
            "return loadstring('return ' .. ('- '):rep(100000) .. '1')()",
            "local function f(s) return s:gsub('.', f) end return f('x')",
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
            "local function f() return coroutine.wrap(f)() end return f()",
            "local function f() return pcall(f) end local a, b = f() error(b)",
            "local function f(a, b) table.sort({1, 2, 3}, f) return a < b end f(1, 2)",
            "return ('a'):rep(100000):find(('a?'):rep(100000))",
            "return ('a'):rep(100000):find(('(a)'):rep(31) .. ('a-'):rep(100000) .. 'b')",
            "local function f() return load(f) end f() error('ended')",
            "local t = {} local u = t for i = 1, 300 do u = setmetatable({}, {__index = u}) end return u.x.y",
            "return ('%s'):rep(10000):format(unpack({}, 1, 7000))",
            "return string.char(unpack({}, 1, 7999))",
        ];
        for source in deep {
            let shown = eval(source);
            assert!(shown.starts_with('-'), "{source}: {}", &shown[..shown.len().min(200)]);
        }
    });
}

#[test]
fn formats_and_numbers_at_their_ends_do_no_harm() {
    let sources = [
        "return string.format('%99.99f', 1e308)",
        "return #string.format('%99.99f', -1.7976931348623157e308)",
        "return string.format('%100d', 1)",
        "return string.format('%.20s', ('x'):rep(1e6))",
        "return string.format('%q', ('\\0\\r\\n'):rep(1000))",
        "return string.format('%', 1)",
        "return string.format('%-+ #0-+ #0d', 1)",
        "return string.format('%d', 0/0)",
        "return string.byte(('x'):rep(1e6), 1, -1)",
        "return ('x'):sub(-2^53, 2^53)",
        "return ('x'):rep(-1) .. ('x'):rep(0) .. (''):rep(2147483647)",
        "return struct.pack('i99999999999', 1)",
        "return struct.pack('c2147483647', 'x')",
        "return struct.unpack('c2147483647', 'x')",
        "return struct.unpack('i4', 'xxxx', -1)",
        "return struct.unpack('i4', 'xxxx', 2^62)",
        "return struct.unpack('bc0', '\\255')",
        "return struct.unpack('dc0', struct.pack('d', -1))",
        "return struct.size(('i32'):rep(100000))",
        "return struct.size('c2147483647' .. ('c2147483647'):rep(1000))",
        "return struct.pack('!1073741824i4', 1)",
        "return bit.tohex(1, -2147483648)",
        "return bit.lshift(1, -1)",
        "return bit.tobit(0/0)",
        "return cmsgpack.unpack_limit('\\1', 2^62, 2^62)",
        "return cmsgpack.unpack_one('\\1', -1)",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255\\192\\192')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255')",
        "return cjson.encode({[1e10] = 1})",
        "cjson.encode_sparse_array(true, 0, 0) return cjson.encode({[1e10] = 1, 2})",
        "return cjson.decode('\"\\\\ud800\\\\u')",
        "return cjson.decode(('9'):rep(100000))",
        "return math.random(-2147483648, 2147483647)",
        "return math.ldexp(1, 2^31) + math.fmod(1, 0) + math.frexp(0/0)",
        "return tostring(2^63) .. tonumber('0x7fffffffffffffff') .. tostring(tonumber('z', 36))",
        "return tonumber('1', 99)",
        "return table.concat({}, 'x', -2147483648, 2147483647)",
        "return table.concat({1}, 'x', 1, 1e18)",
        "return table.remove({}, 2^31)",
        "return table.maxn({[1e300] = 1})",
        "return select(-1)",
        "return select(2^31, 1)",
        "return string.rep(nil)",
        "return ('x'):find('[')",
        "return ('x'):find('%')",
        "return ('x'):find('[%')",
        "return ('x'):find('%f')",
        "return ('x'):find('%b')",
        "return ('x'):find('(()')",
        "return ('x'):find(')')",
        "return ('x'):find('%1')",
        "return ('x'):find('()%1')",
        "return ('x'):gsub('x', '%9')",
        "return ('x'):gsub('x', '%')",
        "return ('x'):gsub('(x', '%1')",
        "return ('x'):gsub('x', function() return {} end)",
        "return collectgarbage('step', -2147483648)",
        "return collectgarbage('nothing')",
        "return coroutine.resume(coroutine.running())",
        "return coroutine.yield(1)",
        "return pcall(coroutine.yield, 1)",
        "return next({}, 'missing')",
        "return rawset({}, nil, 1)",
        "return rawset({}, 0/0, 1)",
        "return setmetatable({}, {__gc = function() error('x') end}) and collectgarbage()",
        "return error(setmetatable({}, {__tostring = error}))",
        "return error(coroutine.create(function() end))",
        "return error(setmetatable({}, {__index = error, __newindex = error}))",
        "return redis.call(('x'):rep(1e6))",
        "return redis.call('words', unpack({}, 1, 7000))",
        "return setmetatable({}, {__index = error})",
        "return redis.status_reply(('x'):rep(1e6))",
        "return redis.error_reply('')",
        "return redis.error_reply('-')",
        "return redis.error_reply('- ')",
    ];
    for source in sources {
        let shown = eval(source);
        assert!(shown.starts_with(['-', ':', '$', '*', '+']), "{source}: {shown}");
    }
}

#[test]
fn a_stopped_script_does_not_stop_the_next() {
    let mut engine = engine();
    let mut host = Small { patience: Some(1), ..Small::default() };
    let shown = run_in(&mut engine, &mut host, Dialect::Resp2, b"while true do end", &[], &[]);
    assert!(shown.contains("SCRIPT KILL"));
    let source = b"local n = 0 for i = 1, 1e6 do n = n + 1 end return n";
    let shown = run_in(&mut engine, &mut Small::default(), Dialect::Resp2, source, &[], &[]);
    assert_eq!(shown, ":1000000");
}

#[test]
fn a_bad_order_is_an_error() {
    let source = "local t = {} for i = 1, 100 do t[i] = i end
        table.sort(t, function(a, b) return true end) return 1";
    assert_eq!(error_of(source), "user_script:2: invalid order function for sorting");
}

#[test]
fn a_fresh_engine_needs_little_and_refuses_less() {
    let engine = script::Engine::new(0).unwrap();
    assert!(engine.memory_bytes() < 256 * 1024, "{}", engine.memory_bytes());
    assert!(!eval("return 1").is_empty());
    let _ = error_of("error('x')");
}
