//! Libraries of functions: loading, calling, and what is said of what is wrong.

mod common;

use common::{Small, call, engine, load};
use protocol::{Dialect, Output, Reply};
use script::{Flags, LibrarySource};

#[test]
fn functions_are_registered_and_called() {
    let mut engine = engine();
    let mut host = Small::default();
    let body = "redis.register_function('one', function(keys, args) return {keys[1], args[2], #args} end)
        redis.register_function{function_name = 'two', callback = function() return redis.call('ping') end,
            flags = {'no-writes', 'ALLOW-OOM'}, description = 'says so'}";
    let source = LibrarySource::new(format!("#!lua name=lib\n{body}").as_bytes()).unwrap();
    let functions = engine.load(&source, &mut host).unwrap();
    assert_eq!(functions[0].name, "one");
    assert_eq!(functions[0].flags, Flags::default());
    assert_eq!(functions[1].name, "two");
    assert_eq!(functions[1].description.as_deref(), Some(&b"says so"[..]));
    assert_eq!(functions[1].flags.names(), ["no-writes", "allow-oom"]);
    assert_eq!(call(&mut engine, &mut host, body, "one"), "*3 $1 k $1 b :2");
    assert_eq!(call(&mut engine, &mut host, body, "two"), "+PONG");
    assert_eq!(call(&mut engine, &mut host, body, "three"), "-ERR Function not found");
}

#[test]
fn a_library_keeps_its_locals_until_it_is_another_one() {
    let mut engine = engine();
    let mut host = Small::default();
    let body = "local n = 0 redis.register_function('f', function() n = n + 1 return n end)";
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":1");
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":2");
    assert_eq!(call(&mut engine, &mut host, &format!("{body} "), "f"), ":1");
    engine.unload("lib");
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":1");
    engine.unload_all();
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":1");
}

#[test]
fn a_library_that_does_not_load_leaves_the_old_one() {
    let mut engine = engine();
    let mut host = Small::default();
    let body = "local n = 0 redis.register_function('f', function() n = n + 1 return n end)";
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":1");
    load(&mut engine, &mut host, "redis.register_function('f', 1)").unwrap_err();
    assert_eq!(call(&mut engine, &mut host, body, "f"), ":2");
}

#[test]
fn what_is_wrong_with_a_library_is_said_as_redis_does() {
    let registering = [
        (
            "redis.register_function('f')",
            "ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        ),
        ("redis.register_function()", "ERR wrong number of arguments to redis.register_function"),
        (
            "redis.register_function('f', 1)",
            "ERR second argument to redis.register_function must be a function",
        ),
        (
            "redis.register_function({}, function() end)",
            "ERR first argument to redis.register_function must be a string",
        ),
        (
            "redis.register_function('f-1', function() end)",
            "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ),
        (
            "redis.register_function('f', function() end) redis.register_function('f', function() end)",
            "ERR Function already exists in the library",
        ),
        (
            "redis.register_function{function_name = 'o'}",
            "ERR redis.register_function must get a callback argument",
        ),
        (
            "redis.register_function{callback = function() end}",
            "ERR redis.register_function must get a function name argument",
        ),
        (
            "redis.register_function{function_name = 'o', callback = 1}",
            "ERR callback argument given to redis.register_function must be a function",
        ),
        (
            "redis.register_function{function_name = 'o', callback = function() end, flags = 1}",
            "ERR flags argument to redis.register_function must be a table representing function flags",
        ),
        (
            "redis.register_function{function_name = 'o', callback = function() end, flags = {'x'}}",
            "ERR unknown flag given",
        ),
        (
            "redis.register_function{function_name = 'o', callback = function() end, descriptionx = 1}",
            "ERR unknown argument given to redis.register_function",
        ),
        (
            "redis.register_function{function_name = 'o', callback = function() end, description = {}}",
            "ERR description argument given to redis.register_function must be a string",
        ),
        (
            "redis.register_function{[{}] = 1}",
            "ERR named argument key given to redis.register_function is not a string",
        ),
        (
            "local s = string",
            "ERR user_function:2: Script attempted to access nonexistent global variable 'string'",
        ),
        (
            "redis.call('ping')",
            "ERR user_function:2: Script attempted to access nonexistent global variable 'call'",
        ),
        (
            "local g = _G",
            "ERR user_function:2: Script attempted to access nonexistent global variable '_G'",
        ),
        ("a = 1", "ERR user_function:2: Attempt to modify a readonly table"),
        ("redis.a = 1", "ERR user_function:2: Attempt to modify a readonly table"),
        ("return ({}).x.y", "ERR user_function:2: attempt to index field 'x' (a nil value)"),
        ("redis.log()", "ERR redis.log() requires two arguments or more."),
    ];
    for (body, expected) in registering {
        let error = load(&mut engine(), &mut Small::default(), body).unwrap_err();
        assert_eq!(error, format!("ERR Error registering functions: {expected}"), "{body}");
    }
    let others = [
        (
            "rubbish rubbish",
            "ERR Error compiling function: user_function:2: '=' expected near 'rubbish'",
        ),
        ("return 1", "ERR No functions registered"),
    ];
    for (body, expected) in others {
        let error = load(&mut engine(), &mut Small::default(), body).unwrap_err();
        assert_eq!(error, expected, "{body}");
    }
}

#[test]
fn the_first_line_of_a_library_is_checked() {
    let cases = [
        ("foo\n", "ERR Missing library metadata"),
        ("#!lua name=zz", "ERR Invalid library metadata"),
        ("#!lua\n", "ERR Library name was not given"),
        (
            "#!lua name=\n",
            "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ),
        (
            "#!lua name=a name=b\n",
            "ERR Invalid metadata value, name argument was given multiple times",
        ),
        ("#!lua foo=1\n", "ERR Invalid metadata value given: foo=1"),
        ("#!luax name=a\n", "ERR Engine 'luax' not found"),
        ("#! name=a\n", "ERR Engine '' not found"),
        ("#!lua name=\"q\n", "ERR Invalid library metadata"),
    ];
    for (source, expected) in cases {
        let error = LibrarySource::new(source.as_bytes()).unwrap_err();
        assert_eq!(error.message(), expected, "{source}");
    }
    assert_eq!(LibrarySource::new(b"#!LUA NAME='zz'\n").unwrap().name(), "zz");
}

#[test]
fn functions_have_the_api_without_what_belongs_to_scripts() {
    let body = "redis.register_function('api', function() local t = {}
            for k in pairs(redis) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ') end)
        redis.register_function('globals', function() local t = {}
            for k in pairs(_G) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ') end)
        redis.register_function('keys', function() return KEYS end)
        redis.register_function('set', function() x = 1 end)
        redis.register_function('late', function() redis.register_function('z', function() end) end)
        redis.register_function('fails', function() return redis.call('nothing') end)
        redis.register_function('raw', function() rawset(_G, 'x', 1) end)";
    let mut engine = engine();
    let mut host = Small::default();
    let mut call = |name: &str| call(&mut engine, &mut host, body, name);
    let api = "LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM REPL_ALL \
        REPL_AOF REPL_NONE REPL_REPLICA REPL_SLAVE SERVER_NAME SERVER_VERSION SERVER_VERSION_NUM \
        acl_check_cmd call error_reply log pcall set_repl setresp sha1hex status_reply";
    assert_eq!(call("api"), format!("${} {api}", api.len()));
    let globals = call("globals");
    assert!(globals.contains(" redis ") && !globals.contains("KEYS"), "{globals}");
    assert_eq!(
        call("keys"),
        "-ERR user_function:6: Script attempted to access nonexistent global variable 'KEYS' script: keys, on @user_function:6."
    );
    assert_eq!(
        call("set"),
        "-ERR user_function:7: Attempt to modify a readonly table script: set, on @user_function:7."
    );
    assert_eq!(
        call("late"),
        "-ERR user_function:8: attempt to call field 'register_function' (a nil value) script: late, on @user_function:8."
    );
    assert_eq!(
        call("fails"),
        "-ERR Unknown Redis command called from script script: fails, on @user_function:9."
    );
    assert_eq!(
        call("raw"),
        "-ERR Attempt to modify a readonly table script: raw, on @user_function:10."
    );
}

#[test]
fn loading_that_never_ends_is_stopped() {
    let mut engine = engine();
    let mut host = Small { patience: Some(1), ..Small::default() };
    let error = load(&mut engine, &mut host, "while true do end").unwrap_err();
    assert_eq!(error, format!("ERR Error registering functions: ERR {}", script::KILLED));
}

#[test]
fn an_engine_may_move_to_another_thread() {
    let mut engine = engine();
    let body = "redis.register_function('f', function() return 7 end)";
    assert_eq!(call(&mut engine, &mut Small::default(), body, "f"), ":7");
    let moved = std::thread::Builder::new().spawn(move || {
        let source = LibrarySource::new(format!("#!lua name=lib\n{body}").as_bytes()).unwrap();
        let mut output = Output::new();
        let mut reply = Reply::new(&mut output, Dialect::Resp2);
        engine.call(&source, "f", &[], &[], &mut Small::default(), &mut reply).unwrap();
        common::bytes(Ok(()), &output)
    });
    assert_eq!(moved.unwrap().join().unwrap(), b":7\r\n");
}
