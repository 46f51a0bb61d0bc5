//! Commands that wait for keys, and those who make them ready, on several connections and workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

fn blpop(key: &str, element: &str) -> Value {
    Value::Array(vec![Value::bulk(key), Value::bulk(element)])
}

/// A connection that has begun to wait.
fn waiting(server: &ServerProcess, watcher: &mut Client, line: &str) -> (Client, i64) {
    let mut client = connect(server);
    let own = id(&mut client);
    send(&mut client, line);
    wait_until_blocked(watcher, own);
    (client, own)
}

#[test]
fn who_came_first_is_served_first_on_whichever_worker() {
    in_all_ways(|server, client| {
        let waiting: Vec<_> =
            (0..20).map(|_| waiting(server, client, "BLPOP queue other 0").0).collect();
        for (nth, mut waiting) in waiting.into_iter().enumerate() {
            assert_eq!(run(client, &format!("RPUSH queue {nth}")), Value::Integer(1));
            assert_eq!(reply(&mut waiting), blpop("queue", &nth.to_string()));
        }
        assert_eq!(run(client, "EXISTS queue"), Value::Integer(0));
        let info = text(&run(client, "INFO clients"));
        for line in ["blocked_clients:0", "total_blocking_keys:0", "clients_in_timeout_table:0"] {
            assert!(info.lines().any(|own| own == line), "{line} in {info}");
        }
    });
}

#[test]
fn info_tells_who_waits_for_what() {
    in_all_ways(|server, client| {
        run(client, "XGROUP CREATE stream g $ MKSTREAM");
        let _one = waiting(server, client, "BLPOP a b b 0");
        let _two = waiting(server, client, "BZPOPMIN a 1000");
        let (_three, own) =
            waiting(server, client, "XREADGROUP GROUP g c BLOCK 0 STREAMS stream >");
        assert_eq!(field(&line_of(client, own).expect("it lives"), "flags"), "b");
        let info = text(&run(client, "INFO clients"));
        let wanted = [
            "blocked_clients:3",
            "total_blocking_keys:3",
            "total_blocking_keys_on_nokey:1",
            "clients_in_timeout_table:1",
        ];
        for line in wanted {
            assert!(info.lines().any(|own| own == line), "{line} in {info}");
        }
        run(client, "DEL stream");
    });
}

#[test]
fn what_stands_behind_a_wait_in_a_pipeline_runs_after_it() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        let own = id(&mut other);
        send_all(&mut other, ["ECHO first", "BLPOP queue 0", "ECHO last", "BLPOP queue 0"]);
        assert_eq!(reply(&mut other), Value::bulk("first"));
        wait_until_blocked(client, own);
        assert!(!other.has_arrived().expect("the socket lives"));
        run(client, "RPUSH queue a b");
        assert_eq!(reply(&mut other), blpop("queue", "a"));
        assert_eq!(reply(&mut other), Value::bulk("last"));
        assert_eq!(reply(&mut other), blpop("queue", "b"));
    });
}

#[test]
fn a_reply_that_is_not_wanted_is_not_sent() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        let own = id(&mut other);
        send_all(&mut other, ["CLIENT REPLY SKIP", "BLPOP queue 0", "ECHO after"]);
        wait_until_blocked(client, own);
        run(client, "RPUSH queue a");
        assert_eq!(reply(&mut other), Value::bulk("after"));
        assert_eq!(run(client, "EXISTS queue"), Value::Integer(0));
    });
}

#[test]
fn errors_and_changes_count_for_those_who_waited() {
    in_all_ways(|server, client| {
        let count = |client: &mut Client, section: &str, name: &str| {
            let info = text(&run(client, &format!("INFO {section}")));
            let line = info.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            line.unwrap_or_else(|| "none".into())
        };
        run(client, "CONFIG RESETSTAT");
        run(client, "XGROUP CREATE stream g $ MKSTREAM");
        let line = "XREADGROUP GROUP g c BLOCK 0 STREAMS stream >";
        let (mut other, _) = waiting(server, client, line);
        run(client, "XGROUP DESTROY stream g");
        assert!(text_of_error(&reply(&mut other)).starts_with("NOGROUP"));
        assert_eq!(count(client, "errorstats", "errorstat_NOGROUP:"), "count=1");
        let stats = count(client, "commandstats", "cmdstat_xreadgroup:");
        assert!(stats.ends_with("failed_calls=1"), "{stats}");

        // The push and the pop, each one change: that the list goes with its last element is none.
        let name = "rdb_changes_since_last_save:";
        let changes = |client: &mut Client| -> i64 {
            count(client, "persistence", name).parse().expect("it is a number")
        };
        let (mut other, _) = waiting(server, client, "BLPOP queue 0");
        let before = changes(client);
        run(client, "RPUSH queue a");
        assert_eq!(reply(&mut other), blpop("queue", "a"));
        assert_eq!(changes(client), before + 2);
        run(client, "DEL stream");
    });
}

fn text_of_error(reply: &Value) -> String {
    let Value::Error(text) = reply else { panic!("{reply}") };
    String::from_utf8_lossy(text).into_owned()
}

#[test]
fn a_wait_is_cut_short_by_unblock() {
    in_all_ways(|server, client| {
        let (mut other, own) = waiting(server, client, "BLMOVE a b LEFT LEFT 0");
        assert_eq!(run(client, &format!("CLIENT UNBLOCK {own}")), Value::Integer(1));
        assert_eq!(reply(&mut other), Value::NilArray);
        send(&mut other, "BRPOP a b 0");
        wait_until_blocked(client, own);
        assert_eq!(run(client, &format!("CLIENT UNBLOCK {own} ERROR")), Value::Integer(1));
        let told = reply(&mut other);
        assert_eq!(told, Value::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
        assert_eq!(run(client, &format!("CLIENT UNBLOCK {own}")), Value::Integer(0));
        // Nothing of the waits is left.
        assert_eq!(run(client, "RPUSH a 1"), Value::Integer(1));
        assert_eq!(run(client, "DEL a"), Value::Integer(1));
    });
}

#[test]
fn who_is_killed_or_goes_away_takes_nothing() {
    in_all_ways(|server, client| {
        let (mut killed, own) = waiting(server, client, "BLPOP queue other 0");
        let (gone, gone_id) = waiting(server, client, "BLPOP other queue 0");
        let (mut last, _) = waiting(server, client, "BLPOP queue 0");
        assert_eq!(run(client, &format!("CLIENT KILL ID {own}")), Value::Integer(1));
        assert_closed(&mut killed);
        drop(gone);
        wait_until_gone(client, own);
        wait_until_gone(client, gone_id);
        run(client, "RPUSH queue a");
        assert_eq!(reply(&mut last), blpop("queue", "a"));
        run(client, "RPUSH other b");
        assert_eq!(run(client, "LPOP other"), Value::bulk("b"));
    });
}

#[test]
fn a_pause_of_writes_holds_who_wants_to_wait_and_lets_readers_wait() {
    in_all_ways(|server, client| {
        let (mut other, own) = waiting(server, client, "BLPOP queue 0");
        run(client, "CLIENT PAUSE 100000000 WRITE");
        let (mut reader, reader_id) = waiting(server, client, "XREAD BLOCK 0 STREAMS s $");
        let mut writer = connect(server);
        let writer_id = id(&mut writer);
        send_all(&mut writer, ["RPUSH queue a", "XADD s 1-1 a 1"]);
        wait_until_blocked(client, writer_id);
        assert_eq!(run(client, &format!("CLIENT UNBLOCK {writer_id}")), Value::Integer(0));
        assert!(line_of(client, own).is_some() && line_of(client, reader_id).is_some());
        run(client, "CLIENT UNPAUSE");
        assert_eq!(reply(&mut other), blpop("queue", "a"));
        assert!(matches!(reply(&mut reader), Value::Array(_) | Value::Map(_)));
        run(client, "DEL s");
    });
}

#[test]
fn a_chain_of_moves_is_run_through_at_once() {
    in_all_ways(|server, client| {
        let mut links: Vec<Client> = (0..10)
            .map(|nth| {
                let line = format!("BLMOVE link{nth} link{} LEFT RIGHT 0", nth + 1);
                waiting(server, client, &line).0
            })
            .collect();
        run(client, "RPUSH link0 a");
        for link in &mut links {
            assert_eq!(reply(link), Value::bulk("a"));
        }
        assert_eq!(run(client, "LPOP link10"), Value::bulk("a"));
    });
}

#[test]
fn a_list_that_is_moved_round_in_a_ring_comes_to_rest() {
    in_all_ways(|server, client| {
        let (mut one, _) = waiting(server, client, "BLMOVE a b LEFT RIGHT 0");
        let (mut other, _) = waiting(server, client, "BLMOVE b a LEFT RIGHT 0");
        run(client, "RPUSH a x");
        assert_eq!(reply(&mut one), Value::bulk("x"));
        assert_eq!(reply(&mut other), Value::bulk("x"));
        assert_eq!(run(client, "LPOP a"), Value::bulk("x"));
    });
}

const LISTS: [&str; 4] = ["north", "east", "south", "west"];
const PRODUCERS: usize = 3;
const EACH: usize = 2_000;

/// Takes until it is told to stop, in several ways, and counts what it took.
fn consume(server: &ServerProcess, nth: usize, left: &AtomicUsize) -> BTreeMap<String, usize> {
    let mut client = connect(server);
    let mut taken = BTreeMap::new();
    let turned: Vec<&str> = (0..LISTS.len()).map(|at| LISTS[(nth + at) % LISTS.len()]).collect();
    let pop = format!("BLPOP stop {} 0", turned.join(" "));
    // A time that ends all the while.
    let brief = format!("BRPOP {} 0.001", turned.join(" "));
    let several = format!("BLMPOP 0.002 2 {} {} LEFT COUNT 3", turned[0], turned[2]);
    let across = format!("BLMOVE {} {} LEFT RIGHT 0.001", turned[1], turned[3]);
    for round in 0.. {
        let line = [&pop, &brief, &several, &across][(round + nth) % 4];
        match run(&mut client, line) {
            Value::NilArray | Value::Nil | Value::Bulk(_) => {}
            Value::Array(pair) => {
                if text(&pair[0]) == "stop" {
                    break;
                }
                let elements = match &pair[1] {
                    Value::Array(several) => several.clone(),
                    one => vec![one.clone()],
                };
                elements.iter().for_each(|one| *taken.entry(text(one)).or_default() += 1);
                left.fetch_sub(elements.len(), Ordering::Relaxed);
            }
            other => panic!("{line}: {other}"),
        }
    }
    taken
}

fn produce(server: &ServerProcess, nth: usize) {
    let mut client = connect(server);
    for number in 0..EACH {
        let list = LISTS[(number * 7 + nth) % LISTS.len()];
        run(&mut client, &format!("RPUSH {list} {nth}:{number}"));
    }
}

#[test]
fn no_element_is_lost_or_delivered_twice() {
    with_workers(&[], |server| {
        let left = AtomicUsize::new(PRODUCERS * EACH);
        let taken: Vec<BTreeMap<String, usize>> = thread::scope(|scope| {
            let consumers: Vec<_> = (0..8)
                .map(|nth| {
                    let left = &left;
                    scope.spawn(move || consume(server, nth, left))
                })
                .collect();
            let producers: Vec<_> =
                (0..PRODUCERS).map(|nth| scope.spawn(move || produce(server, nth))).collect();
            producers.into_iter().for_each(|one| one.join().expect("it pushes all"));
            let mut client = connect(server);
            while left.load(Ordering::Relaxed) > 0 {
                thread::yield_now();
            }
            consumers.iter().for_each(|_| _ = run(&mut client, "RPUSH stop stop"));
            consumers.into_iter().map(|one| one.join().expect("it takes all")).collect()
        });
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for (element, times) in taken.into_iter().flatten() {
            *all.entry(element).or_default() += times;
        }
        let mut client = connect(server);
        for list in LISTS {
            assert_eq!(run(&mut client, &format!("LLEN {list}")), Value::Integer(0));
        }
        assert_eq!(all.len(), PRODUCERS * EACH);
        assert!(all.values().all(|&times| times == 1));
    });
}
