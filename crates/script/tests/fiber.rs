//! Runs that are put aside in their midst and go on on other threads.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use common::{MEMORY_BYTES, Restless, Small, bytes, resume_elsewhere, run_in, show};
use protocol::{Dialect, Reply, Words};
use script::{
    Call, Called, Engine, Finished, Host, KILLED, LibrarySource, LogLevel, Paused, Program,
    Progress, Script, Verdict,
};

/// What a host with orders answers at each look, in turn; the last one again and again.
struct Ordered {
    orders: Vec<Verdict>,
    looks: usize,
    calls: Arc<AtomicUsize>,
    /// Whoever else has one of it sees when the host is dropped.
    held: Arc<()>,
}

impl Ordered {
    fn new(orders: &[Verdict]) -> Self {
        Self { orders: orders.to_vec(), looks: 0, calls: Arc::default(), held: Arc::default() }
    }
}

impl Host for Ordered {
    fn call(&mut self, words: Words<'_>, _: Call, reply: &mut Reply<'_>) -> Called {
        self.calls.fetch_add(1, Ordering::Relaxed);
        assert_ne!(&words[0], b"panic", "a bug of the host");
        reply.ok();
        Called::Answered
    }

    fn may_call(&mut self, _: Words<'_>) -> Option<bool> {
        None
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn look(&mut self) -> Verdict {
        let order = self.orders[self.looks.min(self.orders.len() - 1)];
        self.looks += 1;
        order
    }
}

const PAUSE: Verdict = Verdict::Pause;
const STOP: Verdict = Verdict::Stop(KILLED);

fn boxed() -> Box<Engine> {
    Box::new(common::engine())
}

fn start<H: Host + Send + 'static>(source: &str, host: H) -> Progress<H> {
    let script = Script::new(source.as_bytes()).expect("its first line is well");
    boxed().start(Program::Script(&script), &[], &[], Dialect::Resp2, host)
}

fn paused<H>(progress: Progress<H>) -> Paused<H> {
    match progress {
        Progress::Paused(paused) => paused,
        Progress::Done(_) => panic!("it should have paused"),
    }
}

/// Goes on on one new thread after the other; says how often.
fn finish<H: Send + 'static>(mut progress: Progress<H>) -> (Finished<H>, usize) {
    for pauses in 0.. {
        match progress {
            Progress::Paused(paused) => progress = resume_elsewhere(paused),
            Progress::Done(finished) => return (finished, pauses),
        }
    }
    unreachable!("it ends")
}

fn shown<H>(finished: Finished<H>) -> String {
    let Finished { mut engine, done, .. } = finished;
    show(&bytes(done, engine.reply()))
}

/// Each looks more than once, in the midst of what it is about.
const LONG: &[&str] = &[
    // A plain loop.
    "local n = 0 for i = 1, 100000 do n = n + i end return n",
    // In coroutines, one inside the other.
    "local function deep(n) if n == 0 then for i = 1, 30000 do end coroutine.yield(7) return 8 end
       local f = coroutine.wrap(deep) local a = f(n - 1) for i = 1, 3000 do end return a + f() end
     local f = coroutine.wrap(deep) return f(20)",
    // Below pcall and xpcall, with errors after the pause.
    "local ok, why = pcall(function() for i = 1, 50000 do end error('late') end)
     local fine, told = xpcall(function() for i = 1, 50000 do end error('later') end,
       function(e) for i = 1, 50000 do end return e .. '!' end)
     return {tostring(ok), why, tostring(fine), told}",
    // In an order.
    "local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end
     table.sort(t, function(a, b) for i = 1, 10 do end return a > b end)
     return {t[1], t[2], t[1999], t[2000]}",
    // In Lua's own order, without Lua code.
    "local t = {} for i = 1, 60000 do t[i] = (i * 7919) % 60013 end table.sort(t)
     return {t[1], t[2], t[30000], t[60000]}",
    // In a metamethod.
    "local m = {} m.__lt = function(a, b) for i = 1, 300 do end return a[1] < b[1] end
     m.__index = function(t, k) for i = 1, 50000 do end return k end
     local t = {} for i = 1, 100 do t[i] = setmetatable({(i * 37) % 101}, m) end
     table.sort(t) return {t[1][1], t[100][1], t[1].nothing}",
    // In replacements, one inside the other.
    "local r = (('ab'):rep(300)):gsub('a', function(c)
       return (('xy'):rep(20)):gsub('y', function() for i = 1, 10 do end return 'z' end) end)
     return {#r, r:sub(1, 50)}",
    // In a pattern that takes long.
    "return {(('a'):rep(300) .. 'b'):find(('a*'):rep(3) .. 'c') == nil and 1 or 2}",
    "local n = 0 for w in (('ab '):rep(3000)):gmatch('%a+') do for i = 1, 20 do end n = n + 1 end return n",
    // In what is put together for the compiler.
    "local n = 0 local f = load(function() for i = 1, 5000 do end n = n + 1
       if n < 50 then return 'local x' .. n .. ' = ' .. n .. ' ' end
       if n == 50 then return 'return x49' end end)
     return f()",
    // Large values, there and back.
    "local t = {} for i = 1, 30000 do t[i] = {i, 'v' .. i} end local s = cjson.encode(t)
     local u = cjson.decode(s) return {#s, #u, u[30000][2]}",
    "local t = {} for i = 1, 30000 do t[i] = {i, 'v' .. i} end local s = cmsgpack.pack(t)
     local u = cmsgpack.unpack(s) return {#s, #u, u[30000][2]}",
    "local t = {} for i = 1, 200000 do t[i] = i end
     for i = 1, 3 do table.insert(t, 1, i) end for i = 1, 3 do table.remove(t, 1) end return #t",
    // A large reply, which is written with pauses.
    "local t = {} for i = 1, 50000 do t[i] = {i, 'a text', {ok = 'fine'}, false} end return t",
    "local t = {} for i = 1, 50000 do t['k' .. i] = 'a' end return {map = t}",
    "table.foreach({1, 2, 3}, function() for i = 1, 30000 do end end) return 1",
    // Commands before, between and after.
    "local t = {} for i = 1, 300 do redis.call('set', 'k' .. i, i) for j = 1, 100 do end
       t[i] = redis.call('get', 'k' .. i) end return t",
    // Garbage.
    "local s = '' for i = 1, 3000 do s = s .. i local t = {} for j = 1, 20 do t[j] = j .. s:sub(1, 9) end end
     return #s",
    // Too deep, too much, and wrong.
    "local function f(n) return 1 + f(n + 1) end return f(1)",
    "local t = {} while true do t[#t + 1] = ('x'):rep(100) .. #t end",
    "for i = 1, 50000 do end return nothing",
];

#[test]
fn a_run_that_pauses_gives_what_one_that_does_not_gives() {
    for &source in LONG {
        let (mut engine, mut host) = (common::engine(), Small::default());
        let expected = run_in(&mut engine, &mut host, Dialect::Resp2, source.as_bytes(), &[], &[]);
        let (finished, pauses) = finish(start(source, Restless::new(Small::default())));
        assert!(pauses > 0, "{source}");
        assert_eq!(pauses, host.asked as usize + host.calls.len(), "{source}");
        assert_eq!(finished.host.0.strings, host.strings, "{source}");
        assert_eq!(shown(finished), expected, "{source}");
    }
}

#[test]
fn keys_and_arguments_are_not_needed_after_the_start() {
    let source = "for i = 1, 30000 do end return {KEYS[1], ARGV[1], #KEYS, #ARGV}";
    let script = Script::new(source.as_bytes()).unwrap();
    let progress = {
        let (key, argument) = (b"a key".to_vec(), b"an argument".to_vec());
        let (keys, arguments) = ([&key[..]], [&argument[..], &argument[..]]);
        let program = Program::Script(&script);
        boxed().start(program, &keys, &arguments, Dialect::Resp2, Restless::new(Small::default()))
    };
    drop(script);
    let (finished, pauses) = finish(progress);
    assert!(pauses > 0);
    assert_eq!(shown(finished), "*4 $5 a key $11 an argument :1 :2");
}

#[test]
fn functions_pause_and_errors_name_them() {
    let body = "#!lua name=lib\nlocal n = 0
        redis.register_function('f', function(keys, args) for i = 1, 30000 do end n = n + 1
            return {n, keys[1], args[1]} end)
        redis.register_function('fails', function() for i = 1, 30000 do end error('x') end)";
    let library = LibrarySource::new(body.as_bytes()).unwrap();
    let mut engine = boxed();
    let cases = [
        ("f", "*3 :1 $1 k $1 a"),
        ("f", "*3 :2 $1 k $1 a"),
        ("fails", "-ERR user_function:5: x script: fails, on @user_function:5."),
        ("g", "-ERR Function not found"),
    ];
    for (name, expected) in cases {
        let program = Program::Function { library: &library, name };
        let host = Restless::new(Small::default());
        let (finished, pauses) =
            finish(engine.start(program, &[b"k"], &[b"a"], Dialect::Resp2, host));
        assert_eq!(pauses > 0, name != "g");
        engine = finished.engine;
        assert_eq!(show(&bytes(finished.done, engine.reply())), expected);
    }
}

#[test]
fn what_does_not_compile_gives_engine_and_host_back() {
    let Progress::Done(finished) = start("return (", Ordered::new(&[PAUSE])) else {
        panic!("it cannot pause")
    };
    assert_eq!(finished.host.looks, 0);
    let text = shown(finished);
    assert!(
        text.starts_with("-ERR Error compiling script (new function): user_script:1:"),
        "{text}"
    );
}

#[test]
fn an_engine_serves_one_run_after_the_other() {
    let mut engine = boxed();
    for round in 0..60 {
        let source = format!("for i = 1, {} do end return {{{round}, 'x'}}", (round % 3) * 10_000);
        let script = Script::new(source.as_bytes()).unwrap();
        let program = Program::Script(&script);
        let progress =
            engine.start(program, &[], &[], Dialect::Resp3, Restless::new(Small::default()));
        let (finished, _) = finish(progress);
        engine = finished.engine;
        assert_eq!(show(&bytes(finished.done, engine.reply())), format!("*2 :{round} $1 x"));
    }
    // What failed leaves nothing of the one before.
    let script = Script::new(b"error('x')").unwrap();
    let program = Program::Script(&script);
    let progress = engine.start(program, &[], &[], Dialect::Resp3, Restless::new(Small::default()));
    let (mut finished, _) = finish(progress);
    finished.done.unwrap_err();
    assert!(finished.engine.reply().is_empty());
}

#[test]
fn a_script_that_has_paused_can_be_stopped() {
    let endless = [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(redis.call, 'ping') end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "while true do table.sort({3, 2, 1}, function() return false end) end",
    ];
    for source in endless {
        let (finished, pauses) = finish(start(source, Ordered::new(&[PAUSE, PAUSE, PAUSE, STOP])));
        assert_eq!(pauses, 3, "{source}");
        let text = shown(finished);
        assert!(text.starts_with("-ERR Script killed by user with SCRIPT KILL... "), "{text}");
    }
}

#[test]
fn a_script_that_must_stop_calls_no_command_any_more() {
    // The inner loop notices first; the outer one has instructions left until its next look.
    let source = "local function spin() while true do end end
        while true do coroutine.resume(coroutine.create(spin))
            for i = 1, 10 do pcall(redis.call, 'set', 'k', i) end end";
    let (finished, _) = finish(start(source, Ordered::new(&[PAUSE, STOP])));
    finished.done.unwrap_err();
    assert_eq!(finished.host.calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_run_that_is_dropped_ends_and_frees_its_host() {
    let sources = [
        "while true do redis.call('ping') end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(coroutine.wrap(function() while true do pcall(error) end end)) end",
        "while true do table.sort({3, 2, 1}, function() for i = 1, 100 do end return false end) end",
        "while true do (('a'):rep(100)):gsub('a', function() for i = 1, 100 do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do load(function() while true do end end) end",
        "local t = {} for i = 1, 30000 do t[i] = i end while true do cjson.encode(t) end",
        "local b = {1} for i = 1, 60 do b = {b, b} end return b",
        "return (('a'):rep(30) .. 'b'):find(('a*'):rep(30) .. 'c')",
    ];
    for source in sources {
        for pauses in [1, 3] {
            let host = Ordered::new(&[PAUSE]);
            let (held, calls) = (Arc::clone(&host.held), Arc::clone(&host.calls));
            let mut run = paused(start(source, host));
            for _ in 1..pauses {
                run = paused(resume_elsewhere(run));
            }
            assert!(run.memory_bytes() > 0);
            assert_eq!(Arc::strong_count(&held), 2);
            let called = calls.load(Ordering::Relaxed);
            let thread = std::thread::Builder::new().spawn(move || drop(run));
            thread.unwrap().join().unwrap();
            assert_eq!(Arc::strong_count(&held), 1, "{source}");
            assert_eq!(calls.load(Ordering::Relaxed), called, "{source}");
        }
    }
}

#[test]
fn a_run_may_be_dropped_while_a_panic_unwinds() {
    let host = Ordered::new(&[PAUSE]);
    let held = Arc::clone(&host.held);
    let run = paused(start("while true do pcall(error) end", host));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _run = run;
        panic!("elsewhere");
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"elsewhere"));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_panic_of_the_host_goes_on_where_the_run_was_resumed() {
    let host = Ordered::new(&[PAUSE]);
    let held = Arc::clone(&host.held);
    let source = "for i = 1, 30000 do end pcall(redis.call, 'panic') while true do end";
    let mut progress = start(source, host);
    let panic = loop {
        let run = paused(progress);
        match catch_unwind(AssertUnwindSafe(|| resume_elsewhere(run))) {
            Ok(next) => progress = next,
            Err(panic) => break panic,
        }
    };
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("a bug of the host"), "{text}");
    assert_eq!(Arc::strong_count(&held), 1);
    let panic = catch_unwind(|| start("redis.call('panic')", Ordered::new(&[PAUSE])));
    assert!(panic.is_err());
}

#[test]
fn without_a_stack_of_its_own_a_run_goes_on() {
    let mut host = Ordered::new(&[PAUSE, PAUSE, STOP]);
    let mut engine = common::engine();
    let mut output = protocol::Output::new();
    let mut reply = Reply::new(&mut output, Dialect::Resp2);
    let script = Script::new(b"while true do end").unwrap();
    let failure = engine.run(&script, &[], &[], &mut host, &mut reply).unwrap_err();
    assert!(failure.message().contains(KILLED));
    assert_eq!(host.looks, 3);
}

#[test]
fn memory_counts_while_a_run_is_paused() {
    let source = "local s = ('x'):rep(1000000) for i = 1, 30000 do end return #s";
    let run = paused(start(source, Ordered::new(&[PAUSE])));
    assert!(run.memory_bytes() > 1_000_000 && run.memory_bytes() < MEMORY_BYTES);
}

/// Two threads hand each other runs, each of which pauses many times.
#[test]
fn many_runs_go_to_and_fro_between_two_threads() {
    const RUNS: usize = 60;
    let (to_one, one) = mpsc::channel();
    let (to_other, other) = mpsc::channel();
    let done = Arc::new(Mutex::new(Vec::new()));
    let source = "local t, n = {}, tonumber(ARGV[1])
        for i = 1, 3000 do t[i] = (i * 7919 + n) % 3001 end
        table.sort(t, function(a, b) return a < b end)
        local f = coroutine.wrap(function() for i = 1, 20000 do end coroutine.yield(n) end)
        local s = cjson.encode(t):gsub('1', function() return 'x' end)
        return {f(), t[1], #s, redis.call('echo', 'e' .. n)}";
    let script = Script::new(source.as_bytes()).unwrap();
    let run_alone = |number: usize| {
        let (mut engine, argument) = (common::engine(), number.to_string());
        let words = [argument.as_bytes()];
        let source = source.as_bytes();
        run_in(&mut engine, &mut Small::default(), Dialect::Resp2, source, &[], &words)
    };
    for number in 0..RUNS {
        let argument = number.to_string();
        let (program, host) = (Program::Script(&script), Restless::new(Small::default()));
        let progress = boxed().start(program, &[], &[argument.as_bytes()], Dialect::Resp2, host);
        to_one.send((number, paused(progress))).unwrap();
    }
    let serve = |mine: mpsc::Receiver<(usize, Paused<Restless>)>, theirs: mpsc::Sender<_>| {
        let done = Arc::clone(&done);
        let work = move || {
            // Ends when the other one has gone, or has been told to go.
            while let Ok((number, run)) = mine.recv() {
                match run.resume() {
                    Progress::Paused(run) => {
                        if theirs.send((number, run)).is_err() {
                            panic!("the other one waits for this run");
                        }
                    }
                    Progress::Done(finished) => {
                        let mut done = done.lock().unwrap();
                        done.push((number, shown(finished)));
                        if done.len() == RUNS {
                            return;
                        }
                    }
                }
            }
        };
        std::thread::Builder::new().spawn(work).unwrap()
    };
    let threads = [serve(one, to_other), serve(other, to_one)];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut done = std::mem::take(&mut *done.lock().unwrap());
    done.sort();
    assert_eq!(done.len(), RUNS);
    for (number, shown) in done {
        assert_eq!(shown, run_alone(number));
    }
}
