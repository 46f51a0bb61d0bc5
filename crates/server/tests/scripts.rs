//! Scripts beside each other, and scripts that do not end.
//!
//! Nothing is timed: a state that is about to come is asked for until it is there. How long a
//! script may keep others waiting until they are told is set to a moment.

mod anax;

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anax::{AWAY, NARROW, Shape, WIDE};
use testkit::random::Random;
use testkit::server::ServerProcess;
use testkit::{Client, Value, notation};

/// How often a state that is about to come is asked for.
const ASKS_MAX: u32 = 1_000_000;

/// Adds to a key, or never ends: it keeps to its key.
const LOOP: &str =
    "if ARGV[1] == 'loop' then while true do end end return redis.call('incr', KEYS[1])";

/// The same of one that only reads.
const READING_LOOP: &str =
    "if ARGV[1] == 'loop' then while true do end end return redis.call('exists', KEYS[1])";

/// Writes and then never ends.
const ACTING_LOOP: &str = "redis.call('set', KEYS[1], 1) while true do end";

/// The end of the error of a script that was killed.
const KILLED: &[u8] = b"ERR Script killed by user with SCRIPT KILL... script: ";

fn connect(server: &ServerProcess) -> Client {
    server.client().expect("the server listens")
}

fn say<W: AsRef<[u8]>>(client: &mut Client, words: &[W]) -> Value {
    client.command(words).expect("the server answers")
}

fn say_line(client: &mut Client, line: &str) -> Value {
    say(client, &line.split(' ').collect::<Vec<_>>())
}

fn number(reply: &Value) -> i64 {
    let text = || std::str::from_utf8(reply.as_bytes()?).ok()?.parse().ok();
    reply.as_integer().or_else(text).unwrap_or_else(|| panic!("{reply} is no number"))
}

fn items(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(items) => items,
        other => panic!("{other} is no array"),
    }
}

fn is_error(reply: &Value, start: &[u8]) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with(start))
}

/// Asks until the answer is as wanted.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let comes = (0..ASKS_MAX).any(|_| {
        thread::yield_now();
        is_so()
    });
    assert!(comes, "this does not come: {what}");
}

/// A number that INFO tells.
fn info(client: &mut Client, section: &str, name: &str) -> u32 {
    let info = say_line(client, &format!("INFO {section}"));
    let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
    let told = info.lines().filter_map(|line| line.split_once(':'));
    let number = told.filter(|(told, _)| *told == name).find_map(|(_, text)| text.parse().ok());
    number.expect("INFO tells it")
}

/// Bytes of all Luas.
fn lua_bytes(client: &mut Client) -> u32 {
    info(client, "memory", "used_memory_vm_eval")
}

/// How many clients have a script on a thread of its own.
fn away(client: &mut Client) -> u32 {
    info(client, "clients", "long_command_clients")
}

fn until_away(client: &mut Client, count: u32) {
    until(&format!("{count} scripts are away"), || away(client) == count);
}

/// Has whoever waits for a script told so at once.
fn be_impatient(client: &mut Client) {
    assert_eq!(say_line(client, "CONFIG SET busy-reply-threshold 1"), Value::ok());
}

/// Ends the script that runs.
fn kill(client: &mut Client) {
    until("SCRIPT KILL finds it", || say_line(client, "SCRIPT KILL") == Value::ok());
}

fn assert_killed(client: &mut Client) {
    let reply = client.reply().expect("the server answers");
    assert!(is_error(&reply, KILLED), "{reply}");
}

/// Begins a script that does not end, of which is known that it keeps to its keys.
fn begin_loop(client: &mut Client, key: &str) {
    number(&say(client, &["EVAL", LOOP, "1", key, "once"]));
    client.send_command(&["EVAL", LOOP, "1", key, "loop"]).expect("the server listens");
}

/// A key that lies elsewhere than what is busy.
fn free_key(client: &mut Client) -> String {
    let mut keys = (0..100).map(|nth| format!("free:{nth}"));
    let free = keys.find(|key| say(client, &["SET", key, "0"]) == Value::ok());
    free.expect("not all keys lie in one place")
}

const ACCOUNTS: u64 = 12;
const MONEY: i64 = 1000;

fn account(random: &mut Random) -> String {
    format!("account:{}", random.below(ACCOUNTS))
}

/// A text that makes a script another one, of which nothing is known.
fn fresh() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("-- {}\n", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Moves money between two keys that it is given.
const KEEPS: &str = "redis.call('decr', KEYS[1]) redis.call('incr', KEYS[2]) return 1";

/// Moves money to a key that it reads first, though it was not given it.
const STRAYS_EARLY: &str = "redis.call('get', ARGV[1])
    redis.call('decr', KEYS[1]) redis.call('incr', ARGV[1]) return 1";

/// Moves money to a key that it was not given; if it cannot have it, it takes all back.
const STRAYS_LATE: &str = "redis.call('decr', KEYS[1])
    for i = 1, tonumber(ARGV[2]) do end
    local done = redis.pcall('incr', ARGV[1])
    if type(done) == 'table' then redis.call('incr', KEYS[1]) return done end
    return 1";

/// Counts all keys between taking and giving.
const WIDENS: &str = "redis.call('decr', KEYS[1])
    local keys = redis.pcall('dbsize')
    if type(keys) == 'table' then redis.call('incr', KEYS[1]) return keys end
    redis.call('incr', ARGV[1]) return 1";

/// Reads all accounts, of which it was given none.
const SUMS: &str = "local sum = 0
    for at = 0, tonumber(ARGV[1]) - 1 do sum = sum + redis.call('get', 'account:' .. at) end
    return sum";

/// Runs a script twice: so that it keeps to its key, and then otherwise, as nobody expects of it.
fn surprise(client: &mut Client, source: &str, from: &str, to: &str, spins: &str) {
    let source = fresh() + source;
    say(client, &["EVAL", &source, "1", from, from, "0"]);
    let moved = say(client, &["EVAL", &source, "1", from, to, spins]);
    let is_late = is_error(&moved, b"ERR the script has written already");
    assert!(is_late || moved == Value::Integer(1), "{moved}");
}

fn transact(client: &mut Client, from: &str, to: &str) {
    let script = ["EVAL", STRAYS_LATE, "1", from, to, "0"].map(str::to_owned).to_vec();
    let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let batch = [
        words("MULTI".to_owned()),
        words(format!("DECR {from}")),
        script,
        words(format!("INCR {to}")),
        words("EXEC".to_owned()),
    ];
    let replies = client.pipeline(&batch).expect("the server answers");
    let done = items(replies[4].clone());
    assert_eq!(done[1], Value::Integer(1));
    assert_eq!(done.len(), 3);
}

/// Does something that leaves the sum as it is, or looks whether it is as it was.
fn work(client: &mut Client, random: &mut Random) {
    let (from, to) = (account(random), account(random));
    let sum = ACCOUNTS as i64 * MONEY;
    let spins = random.pick(&["0", "1000", "200000"]);
    match random.below(10) {
        0 | 1 => {
            let moved = say(client, &["EVAL", KEEPS, "2", &from, &to]);
            assert_eq!(moved, Value::Integer(1));
        }
        2 => {
            let source = fresh() + STRAYS_EARLY;
            let moved = say(client, &["EVAL", &source, "1", &from, &to]);
            assert_eq!(moved, Value::Integer(1));
        }
        3 | 4 => surprise(client, STRAYS_LATE, &from, &to, spins),
        5 => surprise(client, WIDENS, &from, &to, "0"),
        6 => transact(client, &from, &to),
        7 => {
            let accounts = ACCOUNTS.to_string();
            assert_eq!(number(&say(client, &["EVAL_RO", SUMS, "0", &accounts])), sum);
        }
        8 => {
            let mut request = vec!["MGET".to_owned()];
            request.extend((0..ACCOUNTS).map(|nth| format!("account:{nth}")));
            let seen: i64 = items(say(client, &request)).iter().map(number).sum();
            assert_eq!(seen, sum, "MGET has seen half of something");
        }
        _ => {
            assert_eq!(say_line(client, "MSET other:1 1 other:2 2 other:3 3"), Value::ok());
            assert_eq!(say_line(client, "DBSIZE"), Value::Integer(ACCOUNTS as i64 + 3));
        }
    }
}

#[test]
fn scripts_of_all_kinds_neither_mix_nor_lock_up() {
    const CLIENTS: u64 = 6;
    const ROUNDS: usize = 250;
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let mut first = connect(&server);
        say_line(&mut first, "MSET other:1 1 other:2 2 other:3 3");
        for nth in 0..ACCOUNTS {
            say_line(&mut first, &format!("SET account:{nth} {MONEY}"));
        }
        let start = &Barrier::new(CLIENTS as usize);
        thread::scope(|scope| {
            for seed in 0..CLIENTS {
                let mut client = connect(&server);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    start.wait();
                    (0..ROUNDS).for_each(|_| work(&mut client, &mut random));
                });
            }
        });
        let accounts = ACCOUNTS.to_string();
        let sum = number(&say(&mut first, &["EVAL", SUMS, "0", &accounts]));
        assert_eq!(sum, ACCOUNTS as i64 * MONEY);
        assert!(is_error(&say_line(&mut first, "SCRIPT KILL"), b"NOTBUSY"));
    }
}

#[test]
fn of_two_that_stray_late_at_once_one_is_refused_and_ends() {
    const ROUNDS_MAX: i64 = 300;
    // The one that is refused says so, and what it has done stays done.
    const SOURCE: &str = "redis.call('incr', KEYS[1])
        if KEYS[1] ~= ARGV[1] then for i = 1, 400000 do end end
        return redis.call('incr', ARGV[1])";
    let server = WIDE.start();
    let mut clients = [connect(&server), connect(&server)];
    let mut effects = 0;
    for round in 0..ROUNDS_MAX {
        let (one, other) = (format!("one:{round}"), format!("other:{round}"));
        let source = fresh() + SOURCE;
        let keys = [(&one, &other), (&other, &one)];
        for (client, (own, _)) in clients.iter_mut().zip(keys) {
            say(client, &["EVAL", &source, "1", own, own]);
        }
        for (client, (own, foreign)) in clients.iter_mut().zip(keys) {
            let words = ["EVAL", &source, "1", own, foreign];
            client.send_command(&words).expect("the server listens");
        }
        let replies = clients.each_mut().map(|client| client.reply().expect("it answers"));
        let refused = replies
            .iter()
            .filter(|reply| is_error(reply, b"ERR the script has written already"))
            .count();
        let answered = replies.iter().filter(|reply| reply.as_integer().is_some()).count();
        assert_eq!(refused + answered, 2, "{replies:?}");
        assert!(answered > 0, "both were refused");
        let values = items(say(&mut clients[0], &["MGET", &one, &other]));
        let sum: i64 = values.iter().map(number).sum();
        assert_eq!(sum, 4 + 4 - refused as i64);
        effects += refused;
        if effects > 1 {
            return;
        }
    }
    panic!("they have never met");
}

#[test]
fn a_script_that_does_not_end_keeps_only_those_waiting_who_need_its_keys() {
    let server = WIDE.start();
    let (mut client, mut other) = (connect(&server), connect(&server));
    be_impatient(&mut other);
    begin_loop(&mut client, "key");
    until_away(&mut other, 1);
    assert_eq!(say_line(&mut other, "PING"), Value::simple("PONG"));
    for needs_it in ["GET key", "SET key 1", "DBSIZE", "FLUSHALL", "MGET key a b c"] {
        let reply = say_line(&mut other, needs_it);
        assert!(is_error(&reply, b"BUSY Redis is busy running a script."), "{needs_it}: {reply}");
    }
    let reply = say(&mut other, &["EVAL", LOOP, "1", "key", "once"]);
    assert!(is_error(&reply, b"BUSY "), "{reply}");
    assert_eq!(say_line(&mut other, "MULTI"), Value::ok());
    say_line(&mut other, "GET key");
    let reply = say_line(&mut other, "EXEC");
    assert!(is_error(&reply, b"EXECABORT Transaction discarded because of: BUSY "), "{reply}");
    let free = free_key(&mut other);
    assert_eq!(say_line(&mut other, &format!("INCR {free}")), Value::Integer(1));
    assert_eq!(say(&mut other, &["EVAL", LOOP, "1", &free, "once"]), Value::Integer(2));
    let reply = say_line(&mut other, "FUNCTION KILL");
    assert!(is_error(&reply, b"BUSY "), "{reply}");
    kill(&mut other);
    assert_killed(&mut client);
    assert_eq!(say_line(&mut other, "GET key"), Value::bulk("1"));
    assert!(is_error(&say_line(&mut other, "SCRIPT KILL"), b"NOTBUSY"));
}

/// Tools take clients that are shown as blocked for those of queues that are empty.
#[test]
fn who_runs_a_script_or_sleeps_is_not_shown_as_one_who_waits_for_keys() {
    let server = WIDE.start();
    let mut other = connect(&server);
    let exec = ["MULTI", "EVAL_RO 'while true do end' 0", "EXEC"];
    for lines in [&["EVAL_RO 'while true do end' 1 key"][..], &["DEBUG SLEEP 1000"], &exec] {
        let mut client = connect(&server);
        let id = number(&say_line(&mut client, "CLIENT ID")).to_string();
        for line in lines {
            client.send_command(&notation::words(line)).expect("the server listens");
        }
        until_away(&mut other, 1);
        assert_eq!(info(&mut other, "clients", "blocked_clients"), 0, "{lines:?}");
        let listed = say(&mut other, &["CLIENT", "LIST", "ID", &id]);
        let listed = String::from_utf8_lossy(listed.as_bytes().unwrap_or_default()).into_owned();
        let flags = listed.split(' ').find_map(|field| field.strip_prefix("flags="));
        assert!(!flags.expect("it has flags").contains('b'), "{listed}");
        assert_eq!(say(&mut other, &["CLIENT", "KILL", "ID", &id]), Value::Integer(1));
        if lines[0] != "DEBUG SLEEP 1000" {
            kill(&mut other);
        }
        until_away(&mut other, 0);
    }
}

#[test]
fn a_script_that_has_taken_more_keys_keeps_those_waiting_who_need_them() {
    const SOURCE: &str = "redis.call('incr', KEYS[1]) redis.call('incr', ARGV[1])
        while ARGV[2] == 'loop' do end";
    let mut server = WIDE.start();
    let (mut client, mut other) = (connect(&server), connect(&server));
    be_impatient(&mut other);
    say(&mut client, &["EVAL", SOURCE, "1", "first", "first", "once"]);
    let words = ["EVAL", SOURCE, "1", "first", "second", "loop"];
    client.send_command(&words).expect("the server listens");
    until_away(&mut other, 1);
    for key in ["first", "second"] {
        let reply = say_line(&mut other, &format!("GET {key}"));
        assert!(is_error(&reply, b"BUSY "), "{key}: {reply}");
    }
    free_key(&mut other);
    let reply = say_line(&mut other, "SCRIPT KILL");
    assert!(is_error(&reply, b"UNKILLABLE Sorry the script already executed"), "{reply}");
    other.send_command(&["SHUTDOWN", "NOSAVE"]).expect("the server listens");
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn whoever_has_written_is_not_killed_and_ends_with_the_server() {
    for shape in [NARROW, WIDE] {
        let mut server = shape.start();
        let (mut client, mut other) = (connect(&server), connect(&server));
        let words = ["EVAL", ACTING_LOOP, "1", "key"];
        client.send_command(&words).expect("the server listens");
        until("it cannot be killed", || {
            is_error(&say_line(&mut other, "SCRIPT KILL"), b"UNKILLABLE ")
        });
        other.send_command(&["SHUTDOWN", "NOSAVE"]).expect("the server listens");
        assert!(server.wait().expect("it ends").success());
    }
}

#[test]
fn the_server_ends_though_scripts_run() {
    let mut server = WIDE.start();
    let mut clients = [connect(&server), connect(&server), connect(&server)];
    let mut other = connect(&server);
    say(&mut other, &["EVAL_RO", READING_LOOP, "1", "key", "once"]);
    for client in &mut clients {
        let words = ["EVAL_RO", READING_LOOP, "1", "key", "loop"];
        client.send_command(&words).expect("the server listens");
    }
    until_away(&mut other, 3);
    other.send_command(&["SHUTDOWN"]).expect("the server listens");
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn a_script_of_a_transaction_is_killed_alone() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let (mut client, mut other) = (connect(&server), connect(&server));
        let batch = ["MULTI", "SET before 1"].map(|line| line.split(' ').collect::<Vec<_>>());
        client.pipeline(&batch).expect("the server answers");
        assert_eq!(say(&mut client, &["EVAL", LOOP, "1", "key", "loop"]), Value::simple("QUEUED"));
        assert_eq!(say_line(&mut client, "SET after 1"), Value::simple("QUEUED"));
        client.send_command(&["EXEC"]).expect("the server listens");
        // Killing it in a transaction is killing it.
        until("EXEC finds it", || {
            let batch = ["MULTI", "SCRIPT KILL", "EXEC"];
            let batch = batch.map(|line| line.split(' ').collect::<Vec<_>>());
            let replies = other.pipeline(&batch).expect("the server answers");
            items(replies[2].clone())[0] == Value::ok()
        });
        let replies = items(client.reply().expect("the server answers"));
        assert_eq!((&replies[0], &replies[2]), (&Value::ok(), &Value::ok()));
        assert!(is_error(&replies[1], KILLED), "{}", replies[1]);
        assert_eq!(
            say_line(&mut other, "MGET before after key"),
            say_line(&mut client, "MGET before after key")
        );
        assert_eq!(say_line(&mut client, "GET after"), Value::bulk("1"));
    }
}

#[test]
fn a_script_whose_client_has_gone_runs_until_it_is_killed() {
    let server = WIDE.start();
    let mut other = connect(&server);
    for is_killed in [false, true] {
        let mut client = connect(&server);
        let id = number(&say_line(&mut client, "CLIENT ID")).to_string();
        begin_loop(&mut client, "key");
        until_away(&mut other, 1);
        if is_killed {
            assert_eq!(say(&mut other, &["CLIENT", "KILL", "ID", &id]), Value::Integer(1));
        }
        drop(client);
        kill(&mut other);
        until_away(&mut other, 0);
        until("its client is gone", || {
            say(&mut other, &["CLIENT", "LIST", "ID", &id]).as_bytes().is_some_and(<[u8]>::is_empty)
        });
        number(&say(&mut other, &["EVAL", LOOP, "1", "key", "once"]));
    }
}

#[test]
fn more_scripts_than_may_run_at_once_wait_and_all_are_killed() {
    const SCRIPTS: usize = 80;
    let server = WIDE.start();
    let mut other = connect(&server);
    say(&mut other, &["EVAL_RO", READING_LOOP, "1", "key", "once"]);
    let mut clients: Vec<Client> = (0..SCRIPTS).map(|_| connect(&server)).collect();
    for (nth, client) in clients.iter_mut().enumerate() {
        let key = format!("key:{nth}");
        let words = ["EVAL_RO", READING_LOOP, "1", &key, "loop"];
        client.send_command(&words).expect("the server listens");
    }
    // A worker may have begun one more.
    until("as many run as may", || away(&mut other) >= 64);
    // Who runs no script goes on, whoever does is told.
    assert_eq!(say_line(&mut other, "DBSIZE"), Value::Integer(0));
    be_impatient(&mut other);
    let reply = say(&mut other, &["EVAL_RO", READING_LOOP, "1", "key", "once"]);
    assert!(is_error(&reply, b"BUSY "), "{reply}");
    assert_eq!(say_line(&mut other, "CONFIG SET busy-reply-threshold 0"), Value::ok());
    let mut replies = Vec::new();
    until("all have ended", || {
        say_line(&mut other, "SCRIPT KILL");
        clients.retain_mut(|client| {
            let has_ended = client.has_arrived().expect("it is there");
            if has_ended {
                replies.push(client.reply().expect("it has arrived"));
            }
            !has_ended
        });
        clients.is_empty()
    });
    let killed = replies.iter().filter(|reply| is_error(reply, KILLED)).count();
    let told = replies.iter().filter(|reply| is_error(reply, b"BUSY ")).count();
    assert!(killed >= 64 && killed + told == SCRIPTS, "{killed} killed, {told} told");
    assert_eq!(say(&mut other, &["EVAL_RO", READING_LOOP, "1", "key", "once"]), Value::Integer(0));
}

/// Scripts that do harm to themselves, and end.
const HARMFUL: &[&str] = &[
    "local function f() return 1 + f() end return f()",
    "local t = {} while true do t[#t + 1] = string.rep('x', 16777216) .. #t end",
    "local t = {} for i = 1, 1e9 do t[i] = {} end",
    "return string.rep('x', 1e11)",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} t[1] = t return t",
    "local t = {} for i = 1, 600 do t = {t} end return t",
    "return #cjson.encode(string.rep('[', 1e6))",
    "return #cjson.decode(string.rep('[', 1e6))",
    "return redis.call('set', KEYS[1], string.rep('x', 600 * 1048576))",
    "return redis.call(unpack({}, 1, 1e7))",
    "return coroutine.wrap(function() local function f() return 1 + f() end return f() end)()",
    "local f f = function() return pcall(f) end return f() and 1",
    "return table.concat({}, 'x', 1, 1e9)",
];

/// Scripts that never end by themselves.
const ENDLESS: &[&str] = &[
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(redis.call, 'nosuch') end",
    "local function f() return f() end return f()",
    "local function f() pcall(f) f() end f()",
    "coroutine.wrap(function() while true do end end)()",
    "while true do coroutine.wrap(function() coroutine.yield() end)() end",
    "while true do xpcall(function() error('oh') end, function() while true do end end) end",
    "while true do redis.call('get', KEYS[1]) end",
    "while true do redis.pcall('mget', KEYS[1], 'other') end",
    "return string.find(string.rep('a', 30000), string.rep('a-', 30) .. 'b')",
    "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end})
     while true do pcall(function() return t[1] end) end",
];

#[test]
fn scripts_that_harm_themselves_leave_the_server_as_it_was() {
    let server = WIDE.start();
    let (mut client, mut other) = (connect(&server), connect(&server));
    for source in HARMFUL {
        let reply = say(&mut client, &["EVAL", source, "1", "key"]);
        assert!(matches!(reply, Value::Error(_) | Value::Integer(_)), "{source}: {reply}");
        assert_eq!(say(&mut client, &["EVAL", "return 1", "0"]), Value::Integer(1), "{source}");
        assert_eq!(say_line(&mut other, "EXISTS key"), Value::Integer(0), "{source}");
    }
}

#[test]
fn scripts_that_do_not_end_are_killed_whatever_they_do() {
    for shape in [NARROW, WIDE] {
        let server = shape.start();
        let (mut client, mut other) = (connect(&server), connect(&server));
        for source in ENDLESS {
            client.send_command(&["EVAL", source, "1", "key"]).expect("the server listens");
            until_away(&mut other, 1);
            assert_eq!(say_line(&mut other, "PING"), Value::simple("PONG"), "{source}");
            kill(&mut other);
            assert_killed(&mut client);
            assert_eq!(say_line(&mut client, "EXISTS key"), Value::Integer(0), "{source}");
        }
    }
}

/// Waits in the midst of a script for what another client writes.
const WAITS: &str = "while not redis.call('get', KEYS[1]) do end return redis.call('get', KEYS[1])";

#[test]
fn others_come_between_the_calls_of_a_script_that_is_not_atomic() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let (mut client, mut other) = (connect(&server), connect(&server));
        let declared = format!("--!df flags=disable-atomicity\n{WAITS}");
        let id = say(&mut other, &["SCRIPT", "LOAD", WAITS]);
        let id = String::from_utf8_lossy(id.as_bytes().expect("a name")).into_owned();
        let flagged = say(&mut other, &["SCRIPT", "FLAGS", &id, "disable-atomicity"]);
        assert_eq!(flagged, Value::ok());
        for words in [["EVAL", &declared, "1", "key"], ["EVALSHA", &id, "1", "key"]] {
            say_line(&mut other, "DEL key");
            client.send_command(&words).expect("the server listens");
            until_away(&mut other, 1);
            assert_eq!(say_line(&mut other, "SET key seen"), Value::ok());
            assert_eq!(client.reply().expect("it answers"), Value::bulk("seen"));
        }
        say_line(&mut other, "DEL key");
        client.send_command(&["EVALSHA", &id, "1", "key"]).expect("the server listens");
        until_away(&mut other, 1);
        kill(&mut other);
        assert_killed(&mut client);
    }
}

/// A library with a function that adds or does not end, and one that tells which library it is.
fn library(version: u32) -> String {
    format!(
        "#!lua name=lib
        redis.register_function{{function_name='spin', flags={{'no-writes'}}, callback=function(keys, args)
            while args[1] == 'loop' do end
            return {version}
        end}}"
    )
}

#[test]
fn a_function_that_runs_is_told_of_replaced_and_killed() {
    for shape in [NARROW, WIDE, AWAY] {
        let server = shape.start();
        let (mut client, mut other) = (connect(&server), connect(&server));
        say(&mut other, &["FUNCTION", "LOAD", &library(1)]);
        assert_eq!(say_line(&mut other, "FCALL spin 1 key once"), Value::Integer(1));
        client.send_command(&["FCALL", "spin", "1", "key", "loop"]).expect("the server listens");
        let name = Value::bulk("spin");
        let mut told = Vec::new();
        until("FUNCTION STATS tells of it", || {
            let stats = items(say_line(&mut other, "FUNCTION STATS"));
            let Value::Array(running) = &stats[1] else { return false };
            told.clone_from(running);
            told[1] == name
        });
        assert_eq!(told[0], Value::bulk("name"));
        let words = ["FCALL", "spin", "1", "key", "loop"].map(Value::bulk);
        assert_eq!(told[2..4], [Value::bulk("command"), Value::Array(words.to_vec())]);
        assert_eq!(told[4], Value::bulk("duration_ms"));
        assert!(told[5].as_integer().is_some_and(|millis| millis >= 0));
        be_impatient(&mut other);
        let mut reply = Value::Nil;
        until("it has taken too long", || {
            reply = say_line(&mut other, "SCRIPT KILL");
            !is_error(&reply, b"NOTBUSY")
        });
        assert!(
            is_error(
                &reply,
                b"BUSY Redis is busy running a script. You can only call FUNCTION KILL"
            ),
            "{reply}"
        );
        // It runs on as what it was.
        say(&mut other, &["FUNCTION", "LOAD", "REPLACE", &library(2)]);
        assert_eq!(say_line(&mut other, "FCALL_RO spin 1 key once"), Value::Integer(2));
        say_line(&mut other, "FUNCTION DELETE lib");
        assert!(is_error(&say_line(&mut other, "FCALL spin 0"), b"ERR Function not found"));
        assert_eq!(say_line(&mut other, "FUNCTION KILL"), Value::ok());
        assert_killed(&mut client);
        assert!(is_error(&say_line(&mut client, "FCALL spin 0"), b"ERR Function not found"));
        until("nothing runs", || items(say_line(&mut other, "FUNCTION STATS"))[1] == Value::Nil);
    }
}

/// A flush left to the Luas what scripts had taken, and each noticed when it next ran one: a worker
/// that ran none kept it for ever.
#[test]
fn flushing_gives_up_every_lua_and_that_of_a_script_that_runs_when_it_ends() {
    const BIG: u32 = 1 << 20;
    let fat = format!("return #'{}'", "x".repeat(BIG as usize));
    let fat = ["EVAL", &fat, "0"];
    let flushes =
        ["SCRIPT FLUSH SYNC", "SCRIPT FLUSH ASYNC", "FUNCTION FLUSH SYNC", "FUNCTION FLUSH ASYNC"];
    for (flush, shape) in
        flushes.iter().flat_map(|flush| [NARROW, WIDE, AWAY].map(|shape| (flush, shape)))
    {
        let server = shape.start();
        let mut clients = [(); 4].map(|()| connect(&server));
        for client in &mut clients {
            assert_eq!(say(client, &fat), Value::Integer(BIG.into()));
        }
        let [client, running, ..] = &mut clients;
        assert_eq!(say_line(client, "MULTI"), Value::ok());
        assert_eq!(say(client, &fat), Value::simple("QUEUED"));
        assert_eq!(items(say_line(client, "EXEC")), [Value::Integer(BIG.into())]);
        begin_loop(running, "key");
        until_away(client, 1);
        assert!(lua_bytes(client) > BIG, "{flush} {shape:?}");
        assert_eq!(say_line(client, flush), Value::ok());
        kill(client);
        assert_killed(running);
        until("no Lua is left", || lua_bytes(client) == 0);
        assert_eq!(say_line(client, "EVAL return(1) 0"), Value::Integer(1));
        assert!((1..BIG / 4).contains(&lua_bytes(client)), "{flush} {shape:?}");
    }
}

#[test]
fn a_script_that_waits_for_another_is_told_and_begins_when_that_ends() {
    let server = WIDE.start();
    let (mut client, mut other) = (connect(&server), connect(&server));
    let mut third = connect(&server);
    assert_eq!(say_line(&mut other, "CONFIG SET busy-reply-threshold 0"), Value::ok());
    begin_loop(&mut client, "key");
    until_away(&mut other, 1);
    third.send_command(&["EVAL", LOOP, "1", "key", "once"]).expect("the server listens");
    third.send_command(&["INCR", "key"]).expect("the server listens");
    kill(&mut other);
    assert_killed(&mut client);
    assert_eq!(third.reply().expect("it answers"), Value::Integer(2));
    assert_eq!(third.reply().expect("it answers"), Value::Integer(3));
}

/// Servers of one shard, where everything meets.
#[test]
fn long_scripts_are_answered_in_the_order_of_a_pipeline() {
    const SPINS: &str = "for i = 1, 100000 do end return redis.call('incr', KEYS[1])";
    for shape in [NARROW, WIDE, Shape { workers: 2, shards: 1, away: false }] {
        let server = shape.start();
        thread::scope(|scope| {
            for nth in 0..3 {
                let mut client = connect(&server);
                scope.spawn(move || {
                    let key = format!("key:{nth}");
                    let script = ["EVAL", SPINS, "1", &key].map(str::to_owned).to_vec();
                    let plain = ["INCR", &key].map(str::to_owned).to_vec();
                    let batch: Vec<_> = (0..40)
                        .map(|at| if at % 2 == 0 { &script } else { &plain })
                        .cloned()
                        .collect();
                    let replies = client.pipeline(&batch).expect("the server answers");
                    let numbers: Vec<i64> = replies.iter().map(number).collect();
                    assert!(numbers.iter().copied().eq(1..=40), "{numbers:?}");
                });
            }
        });
    }
}

#[test]
fn transactions_with_scripts_take_turns_and_all_are_killed() {
    const TRANSACTIONS: usize = 100;
    let server = WIDE.start();
    let mut other = connect(&server);
    assert_eq!(say_line(&mut other, "CONFIG SET busy-reply-threshold 0"), Value::ok());
    let mut clients: Vec<Client> = (0..TRANSACTIONS).map(|_| connect(&server)).collect();
    for client in &mut clients {
        assert_eq!(say_line(client, "MULTI"), Value::ok());
        say(client, &["EVAL_RO", READING_LOOP, "1", "key", "loop"]);
        client.send_command(&["EXEC"]).expect("the server listens");
    }
    // They all hold everything, but they only read.
    until("as many run as may", || away(&mut other) == 64);
    assert_eq!(say_line(&mut other, "DBSIZE"), Value::Integer(0));
    until("all have ended", || {
        say_line(&mut other, "SCRIPT KILL");
        clients.retain_mut(|client| {
            let has_ended = client.has_arrived().expect("it is there");
            if has_ended {
                let reply = items(client.reply().expect("it has arrived"));
                assert!(is_error(&reply[0], KILLED), "{}", reply[0]);
            }
            !has_ended
        });
        clients.is_empty()
    });
    assert_eq!(say_line(&mut other, "SET key 1"), Value::ok());
}
