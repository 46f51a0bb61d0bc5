//! Scripts and what comes back: conversions, `redis.*`, errors with their place.

mod common;

use common::{Small, engine, error_of, eval, eval3, run_in};
use protocol::Dialect;
use script::{Flags, LogLevel, Replicate, Script, ScriptId};

#[test]
fn keys_and_arguments_arrive() {
    let mut engine = engine();
    let mut host = Small::default();
    let source = b"return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV}";
    let shown = run_in(&mut engine, &mut host, Dialect::Resp2, source, &[b"k\0"], &[b"a", b""]);
    assert_eq!(shown, "*5 $2 k\0 $1 a $0  :1 :2");
}

#[test]
fn values_become_replies() {
    let cases = [
        ("return 3.99", ":3", ":3"),
        ("return -3.99", ":-3", ":-3"),
        ("return 1e300", ":-9223372036854775808", ":-9223372036854775808"),
        ("return 0/0", ":-9223372036854775808", ":-9223372036854775808"),
        ("return 'a\\0b'", "$3 a\0b", "$3 a\0b"),
        ("return true", ":1", ":1"),
        ("return false", "$-1", "_"),
        ("redis.setresp(3) return true", ":1", "#t"),
        ("redis.setresp(3) return false", ":0", "#f"),
        ("return nil", "$-1", "_"),
        ("return", "$-1", "_"),
        ("return print == nil", "-", "-"),
        ("return {1, 'a', {2, {}}, nil, 5}", "*3 :1 $1 a *2 :2 *0", "*3 :1 $1 a *2 :2 *0"),
        ("return {ok = 'fine\\r\\nx'}", "+fine  x", "+fine  x"),
        ("return {err = 'MY error'}", "-MY error", "-MY error"),
        ("return {1, {err = 'X y'}, {ok = 'k'}}", "*3 :1 -X y +k", "*3 :1 -X y +k"),
        ("return {double = 3.5}", "$3 3.5", ",3.5"),
        ("return {double = 1e20}", "$5 1e+20", ",1e+20"),
        ("return {big_number = '123\\n4'}", "$5 123 4", "(123 4"),
        ("return {verbatim_string = {format = 'txt', string = 'hi'}}", "$2 hi", "=6 txt:hi"),
        ("return {map = {a = 1}}", "*2 $1 a :1", "%1 $1 a :1"),
        ("return {set = {a = true}}", "*1 $1 a", "~1 $1 a"),
        ("return {map = {}}", "*0", "%0"),
        ("return {err = 1}", "*0", "*0"),
        ("return {{map = {x = {set = {}}}}}", "*1 *2 $1 x *0", "*1 %1 $1 x ~0"),
        ("return cjson.null", "$-1", "_"),
        ("return function() end", "$-1", "_"),
        ("return coroutine.create(function() end)", "$-1", "_"),
    ];
    for (source, resp2, resp3) in cases {
        if resp2 == "-" {
            assert!(eval(source).contains("nonexistent global variable 'print'"), "{source}");
            continue;
        }
        assert_eq!(eval(source), resp2, "{source}");
        assert_eq!(eval3(source), resp3, "{source}");
    }
}

#[test]
fn replies_become_values() {
    let kinds = [
        (":42\r\n", "number 42"),
        (":-9223372036854775808\r\n", "number -9.2233720368548e+18"),
        ("$3\r\na\r\n\r\n", "string a\r\n"),
        ("$-1\r\n", "boolean false"),
        ("*-1\r\n", "boolean false"),
        ("_\r\n", "nil nil"),
        ("#t\r\n", "boolean true"),
        ("#f\r\n", "boolean false"),
    ];
    for (raw, expected) in kinds {
        let source =
            format!("local v = redis.call('raw', {raw:?}) return type(v)..' '..tostring(v)");
        let expected = format!("${} {}", expected.len(), expected.replace("\r\n", " "));
        assert_eq!(eval(&source), expected.trim_end(), "{raw:?}");
    }
    let fields = [
        ("+OK\r\n", ".ok", "OK"),
        (",3.25\r\n", ".double", "3.25"),
        (",inf\r\n", ".double", "inf"),
        ("(12345678901234567890\r\n", ".big_number", "12345678901234567890"),
        ("%1\r\n+a\r\n:1\r\n", ".map", "table"),
        ("%1\r\n$1\r\na\r\n:1\r\n", ".map.a", "1"),
        ("~1\r\n$1\r\na\r\n", ".set.a", "true"),
        ("=7\r\ntxt:abc\r\n", ".verbatim_string.string", "abc"),
        ("=7\r\ntxt:abc\r\n", ".verbatim_string.format", "txt"),
        ("|1\r\n+k\r\n:1\r\n*1\r\n:5\r\n", "[1]", "5"),
        ("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", "[2][1]", "x"),
        ("*1\r\n-ERR in a list\r\n", "[1].err", "ERR in a list"),
    ];
    for (raw, path, expected) in fields {
        let source =
            format!("return (tostring(redis.call('raw', {raw:?}){path}):gsub(': .*', ''))");
        assert_eq!(eval(&source), format!("${} {expected}", expected.len()), "{raw:?}");
    }
}

#[test]
fn a_long_value_that_is_shared_arrives_whole() {
    let source = "local r = redis.call('shared', ('x'):rep(40000)) return {#r[1], r[2]}";
    assert_eq!(eval(source), "*2 :40000 :7");
}

#[test]
fn a_reply_that_is_broken_is_an_error_and_no_more() {
    for raw in ["*3\r\n:1\r\n", "$10\r\nabc\r\n", "?\r\n", ":x\r\n", "*1", ""] {
        let source = format!("return redis.call('raw', {raw:?})");
        assert_eq!(error_of(&source), "the reply of the command cannot be read", "{raw:?}");
    }
}

#[test]
fn numbers_are_given_to_commands_without_loss() {
    let source = "return redis.call('words', 1, -0.5, 1e15, 2^53, 1e100, 3.0, 0.1)";
    let shown = eval(source);
    assert_eq!(
        shown,
        "*7 $1 1 $4 -0.5 $16 1000000000000000 $16 9007199254740992 $6 1e+100 $1 3 $3 0.1"
    );
}

#[test]
fn many_words_arrive_in_order() {
    let source = "local t = {} for i = 1, 1000 do t[i] = i end
        local r = redis.call('words', unpack(t)) return {#r, r[1], r[1000]}";
    assert_eq!(eval(source), "*3 :1000 $1 1 $4 1000");
}

#[test]
fn an_error_tells_where_it_was() {
    let source = "\nreturn redis.call('nothing')";
    let id = ScriptId::of(source.as_bytes());
    let text = "-ERR Unknown Redis command called from script";
    assert_eq!(eval(source), format!("{text} script: {id}, on @user_script:2."));
    let source = "error('boom')";
    let id = ScriptId::of(source.as_bytes());
    let text = "-ERR user_script:1: boom";
    assert_eq!(eval(source), format!("{text} script: {id}, on @user_script:1."));
    let source = "error({err = 'My Err'})";
    let id = ScriptId::of(source.as_bytes());
    assert_eq!(eval(source), format!("-My Err script: {id}, on @user_script:1."));
}

#[test]
fn errors_are_those_of_redis() {
    let cases = [
        ("redis.call()", "Please specify at least one argument for this redis lib call"),
        ("redis.call({})", "Lua redis lib command arguments must be strings or integers"),
        ("redis.call('get')", "Wrong number of args calling Redis command from script"),
        ("error()", "nil"),
        ("error({})", "unknown error"),
        ("return x", "user_script:1: Script attempted to access nonexistent global variable 'x'"),
        ("x = 1", "user_script:1: Attempt to modify a readonly table"),
        (
            "return return",
            "Error compiling script (new function): user_script:1: unexpected symbol near 'return'",
        ),
        ("redis.sha1hex()", "wrong number of arguments"),
        ("redis.log(1)", "redis.log() requires two arguments or more."),
        ("redis.log('x', 1)", "First argument must be a number (log level)."),
        ("redis.log(9, 1)", "Invalid log level."),
        ("redis.setresp(4)", "RESP version must be 2 or 3."),
        ("redis.setresp()", "redis.setresp() requires one argument."),
        (
            "redis.set_repl(9)",
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        ),
        ("redis.acl_check_cmd('x')", "Invalid command passed to redis.acl_check_cmd()"),
        ("local a = nil; return a.b", "user_script:1: attempt to index local 'a' (a nil value)"),
        ("math.random(0)", "user_script:1: bad argument #1 to 'random' (interval is empty)"),
    ];
    for (source, expected) in cases {
        assert_eq!(error_of(source), expected, "{source}");
    }
}

#[test]
fn results_that_nobody_takes_are_not_made_but_errors_are_raised() {
    assert_eq!(eval("redis.call('set', 'k', 'v') return redis.call('get', 'k')"), "$1 v");
    assert_eq!(eval("redis.call('words', 'a', 'b') redis.pcall('nothing') return 1"), ":1");
    assert_eq!(eval("local none = (function() redis.call('ping') end)() return none"), "$-1");
    assert!(eval("redis.call('nothing') return 1").starts_with('-'));
    let garbage = "collectgarbage('stop')
        local before = collectgarbage('count')
        for i = 1, 100 do redis.call('ping') end
        return collectgarbage('count') - before";
    assert_eq!(eval(garbage), ":0");
    assert!(eval(&garbage.replace("redis.call", "local reply = redis.call")) != ":0");
}

#[test]
fn pcall_gives_texts_and_redis_pcall_tables() {
    let source = "redis.call('set', 's', 'x')
        local ok, text = pcall(redis.call, 'incr', 's')
        local reply = redis.pcall('incr', 's')
        return {tostring(ok), text, reply.err, tostring(reply.ignore_error_stats_update)}";
    let text = "ERR value is not an integer or out of range";
    assert_eq!(eval(source), format!("*4 $5 false $43 {text} $43 {text} $4 true"));
    assert_eq!(eval("return redis.pcall('nothing')"), format!("-{}", script::UNKNOWN_COMMAND));
    assert_eq!(
        eval("return redis.pcall({})"),
        "-ERR Lua redis lib command arguments must be strings or integers"
    );
    assert_eq!(
        eval("return {xpcall(function() error('x', 0) end, function(e) return 'h' .. e end)}"),
        "*2 $-1 $2 hx"
    );
}

#[test]
fn a_counted_error_is_told_from_one_of_the_script() {
    let mut engine = engine();
    let mut fail = |source: &[u8]| {
        let mut output = protocol::Output::new();
        let mut reply = protocol::Reply::new(&mut output, Dialect::Resp2);
        let script = Script::new(source).unwrap();
        engine.run(&script, &[], &[], &mut Small::default(), &mut reply).unwrap_err().is_counted
    };
    assert!(fail(b"return redis.call('nothing')"));
    assert!(!fail(b"error('x')"));
    assert!(!fail(b"redis.call()"));
}

#[test]
fn replies_can_be_made() {
    assert_eq!(eval("return redis.error_reply('My Err')"), "-My Err");
    assert_eq!(eval("return redis.error_reply('-My Err')"), "-My Err");
    assert_eq!(eval("return redis.error_reply('Oops')"), "-ERR Oops");
    assert_eq!(eval("return redis.error_reply({})"), "-ERR wrong number or type of arguments");
    assert_eq!(eval("return redis.status_reply('fine')"), "+fine");
    assert_eq!(eval("return redis.sha1hex('')"), "$40 da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(
        eval("return {redis.acl_check_cmd('get', 'k'), redis.acl_check_cmd('set')}"),
        "*2 :1 $-1"
    );
    assert_eq!(eval("return {redis.breakpoint(), redis.debug('x'), 1}"), "*1 $-1");
    assert_eq!(eval("return redis.replicate_commands()"), ":1");
    assert_eq!(eval("return server.call('ping')"), "+PONG");
}

#[test]
fn what_a_script_sets_ends_with_it() {
    let mut engine = engine();
    let mut host = Small::default();
    let mut run =
        |source: &str| run_in(&mut engine, &mut host, Dialect::Resp2, source.as_bytes(), &[], &[]);
    run("redis.setresp(3) redis.set_repl(redis.REPL_AOF) return redis.call('ping')");
    run(
        "redis.set_repl(redis.REPL_NONE) cjson.encode_max_depth(1) collectgarbage('stop') return redis.call('ping')",
    );
    run("return redis.call('ping')");
    assert_eq!(run("return cjson.encode({{{1}}})"), "$7 [[[1]]]");
    assert_eq!(run("return math.random(1000000)"), run("return math.random(1000000)"));
    let calls = host.calls;
    assert_eq!(calls[0].dialect, Dialect::Resp3);
    assert_eq!(calls[0].replicate, Replicate { to_log: true, to_replicas: false });
    assert_eq!(calls[1].replicate, Replicate { to_log: false, to_replicas: false });
    assert_eq!(calls[2].dialect, Dialect::Resp2);
    assert_eq!(calls[2].replicate, Replicate::ALL);
}

#[test]
fn chance_is_the_same_everywhere() {
    let source = "return {tostring(math.random()), math.random(10), math.random(-5, 5)}";
    assert_eq!(eval(source), "*3 $16 0.17082803611217 :8 :-4");
    assert_eq!(eval("math.randomseed(42) return tostring(math.random())"), "$16 0.74452500033403");
}

#[test]
fn the_log_is_written() {
    let mut host = Small::default();
    let source = b"redis.log(redis.LOG_WARNING, 'a', 1, {}, 'b') redis.log(redis.LOG_DEBUG, 'c')";
    run_in(&mut engine(), &mut host, Dialect::Resp2, source, &[], &[]);
    let expected = [(LogLevel::Warning, "a 1 b".to_owned()), (LogLevel::Debug, "c".to_owned())];
    assert_eq!(host.log, expected);
}

#[test]
fn a_panic_of_the_host_goes_through_and_the_engine_lives() {
    let mut engine = engine();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let source = b"pcall(redis.call, 'panic') while true do end";
        run_in(&mut engine, &mut Small::default(), Dialect::Resp2, source, &[], &[])
    }));
    let panic = result.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug of the host"));
    let shown = run_in(&mut engine, &mut Small::default(), Dialect::Resp2, b"return 1", &[], &[]);
    assert_eq!(shown, ":1");
}

#[test]
fn first_lines_are_read() {
    let flags = |source: &str| {
        let script = Script::new(source.as_bytes());
        script.map(|script| script.flags()).map_err(|failure| failure.message().into_owned())
    };
    assert_eq!(flags("return 1"), Ok(None));
    assert_eq!(flags("#!lua\nreturn 1"), Ok(Some(Flags::default())));
    let some = Flags { no_writes: true, allow_oom: true, ..Flags::default() };
    assert_eq!(flags("#!lua flags=no-writes,allow-oom\nreturn 1"), Ok(Some(some)));
    assert_eq!(some.names(), ["no-writes", "allow-oom"]);
    assert_eq!(flags("#!lua flags=\nreturn 1"), Ok(Some(Flags::default())));
    let refused = [
        ("#!lua", "ERR Invalid script shebang"),
        ("#!lua flags=x\n", "ERR Unexpected flag in script shebang: x"),
        ("#!lua flags=no-writes,\n", "ERR Unexpected flag in script shebang: "),
        ("#!lua name=x\n", "ERR Unknown lua shebang option: name=x"),
        ("#!LUA\n", "ERR Unexpected engine in script shebang: #!LUA"),
        ("#!\n", "ERR Unexpected engine in script shebang: #!"),
        ("#!lua \"flags=no-writes\n", "ERR Invalid engine in script shebang"),
    ];
    for (source, text) in refused {
        assert_eq!(flags(source), Err(text.to_owned()), "{source}");
    }
    let error = eval("#!lua flags=no-writes\nerror('x')");
    assert!(error.starts_with("-ERR user_script:2: x script: "), "{error}");
}

#[test]
fn comments_of_the_first_lines_are_read() {
    let script = |source: &str| Script::new(source.as_bytes()).unwrap();
    let plain = script("return 1 --!df flags=allow-undeclared-keys");
    assert!(!plain.is_not_atomic() && !plain.allows_undeclared_keys());
    let both = script("--!df flags=disable-atomicity,allow-undeclared-keys\nreturn 1");
    assert!(both.is_not_atomic() && both.allows_undeclared_keys());
    let late = script("-- a script\n\n  --!df flags=allow-undeclared-keys\nreturn 1");
    assert!(!late.is_not_atomic() && late.allows_undeclared_keys());
}

#[test]
fn names_of_scripts_are_read_and_written() {
    let id = ScriptId::of(b"return 1");
    assert_eq!(id.to_string(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    assert_eq!(ScriptId::parse(&id.hex().to_ascii_uppercase()), Some(id));
    assert_eq!(ScriptId::parse(&id.hex()[1..]), None);
    assert_eq!(ScriptId::parse(&[b'g'; 40]), None);
}

#[test]
fn compiled_scripts_are_kept_and_forgotten() {
    let mut engine = engine();
    let script = Script::new(b"return 5").unwrap();
    engine.compile(&script).unwrap();
    let wrong = Script::new(b"return (").unwrap();
    let text = engine.compile(&wrong).unwrap_err();
    assert!(
        text.message().starts_with("ERR Error compiling script (new function): user_script:1:")
    );
    // More than are kept.
    for number in 0..1_500 {
        let source = format!("return {number}");
        let shown =
            run_in(&mut engine, &mut Small::default(), Dialect::Resp2, source.as_bytes(), &[], &[]);
        assert_eq!(shown, format!(":{number}"));
    }
    engine.forget_scripts();
    engine.compile(&script).unwrap();
    assert!(engine.memory_bytes() < common::MEMORY_BYTES);
}
