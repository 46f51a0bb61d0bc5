//! What clients take together, and who goes when that is too much.

use super::*;

/// What all clients may take in these checks.
const LIMIT: usize = 3_000_000;

fn evicted(client: &mut Client) -> i64 {
    let info = text(&run(client, "INFO stats"));
    let line = info.lines().find_map(|line| line.strip_prefix("evicted_clients:"));
    line.expect("INFO tells it").parse().expect("a number")
}

/// The beginning of a request whose only word is so long, with all of that word but not its end.
fn half_a_request(bytes: usize) -> Vec<u8> {
    let header = format!("*1\r\n${bytes}\r\n").into_bytes();
    [header, vec![b'v'; bytes]].concat()
}

/// A client that has sent so much of a word, and its id.
fn half_read(server: &ServerProcess, watcher: &mut Client, bytes: usize) -> (Client, i64) {
    let mut client = connect(server);
    let own = id(&mut client);
    client.send(&half_a_request(bytes)).expect("the socket takes it");
    let bytes = bytes.to_string();
    wait_for(watcher, own, |line| line.is_some_and(|line| field(line, "qbuf") == bytes));
    (client, own)
}

#[test]
fn half_a_request_is_shown_with_what_is_known_of_it() {
    in_all_ways(|server, watcher| {
        let (mut client, own) = half_read(server, watcher, 1_000_000);
        let line = line_of(watcher, own).expect("it lives");
        assert_eq!(field(&line, "argv-mem"), "14", "{line}");
        assert_eq!(field(&line, "qbuf-free"), "2", "room for the end of the word alone: {line}");
        let total: u64 = field(&line, "tot-mem").parse().expect("a number");
        assert!((1_000_016..1_010_000).contains(&total), "{line}");
        client.send(b"\r\n").expect("the socket takes it");
        assert!(reply(&mut client).to_string().contains("unknown command"));
        let is_empty = |line: &str| [field(line, "qbuf"), field(line, "qbuf-free")] == ["0", "0"];
        wait_for(watcher, own, |line| line.is_some_and(is_empty));
    });
}

/// A buffer as long as what is announced would be had for a word.
#[test]
fn who_announces_much_has_room_for_what_came_of_it() {
    in_all_ways(|server, watcher| {
        let mut client = connect(server);
        let own = id(&mut client);
        client.send(b"*1\r\n$536870912\r\n").expect("the socket takes it");
        client.send(&vec![b'v'; 2 << 20]).expect("the socket takes it");
        let came = (2 << 20).to_string();
        wait_for(watcher, own, |line| line.is_some_and(|line| field(line, "qbuf") == came));
        let line = line_of(watcher, own).expect("it lives");
        let free: u64 = field(&line, "qbuf-free").parse().expect("a number");
        assert!(free < 16 << 20, "{line}");
    });
}

#[test]
fn who_asks_is_shown_with_the_request_that_runs() {
    in_all_ways(|_, client| {
        let line = text(&run(client, "CLIENT INFO"));
        assert_eq!(field(&line, "qbuf"), "26", "*2 $6 client $4 info");
        assert_eq!(field(&line, "qbuf-free"), ((64 << 10) - 26).to_string());
    });
}

#[test]
fn the_largest_client_goes_when_all_take_too_much() {
    with_workers(&["--maxmemory-clients=3000000"], |server| {
        let mut watcher = connect(server);
        let (_small, small) = half_read(server, &mut watcher, 100_000);
        let mut large = connect(server);
        let own = id(&mut large);
        // The server may close it before all is sent.
        drop(large.send(&half_a_request(LIMIT)));
        wait_until_gone(&mut watcher, own);
        assert!(line_of(&mut watcher, small).is_some(), "the others stay");
        wait_until_counted(&mut watcher, 1);
    });
}

/// A client is counted when its own worker has let it go.
fn wait_until_counted(watcher: &mut Client, count: i64) {
    assert!((0..ASKS_MAX).any(|_| evicted(watcher) == count), "{}", evicted(watcher));
}

#[test]
fn who_is_spared_goes_when_it_is_spared_no_longer() {
    with_workers(&["--maxmemory-clients=3000000"], |server| {
        let (mut watcher, mut spared) = (connect(server), connect(server));
        let own = id(&mut spared);
        assert_eq!(run(&mut spared, "CLIENT NO-EVICT ON"), Value::ok());
        assert_eq!(run(&mut watcher, "CLIENT NO-EVICT ON"), Value::ok());
        run(&mut spared, "MULTI");
        let value = vec![b'v'; LIMIT];
        let queued = spared.command(&[&b"SET"[..], b"k", &value]).expect("a reply comes");
        assert_eq!(queued, Value::simple("QUEUED"));
        let line = line_of(&mut watcher, own).expect("it lives");
        let queued: usize = field(&line, "multi-mem").parse().expect("a number");
        assert!(queued >= LIMIT, "{line}");
        assert_eq!(run(&mut spared, "DISCARD"), Value::ok());
        assert_eq!(run(&mut spared, "CLIENT NO-EVICT OFF"), Value::ok());
        drop(spared.send(&half_a_request(LIMIT)));
        wait_until_gone(&mut watcher, own);
        wait_until_counted(&mut watcher, 1);
    });
}

#[test]
fn a_lower_limit_holds_for_those_who_are_there() {
    with_workers(&[], |server| {
        let mut watcher = connect(server);
        run(&mut watcher, "CLIENT NO-EVICT ON");
        let clients: Vec<_> =
            (1..=4).map(|nth| half_read(server, &mut watcher, nth * 100_000)).collect();
        assert_eq!(run(&mut watcher, "CONFIG SET maxmemory-clients 700000"), Value::ok());
        let left: Vec<bool> =
            clients.iter().map(|(_, own)| line_of(&mut watcher, *own).is_some()).collect();
        assert_eq!(left, [true, true, true, false], "the largest is enough");
        assert_eq!(
            run(&mut watcher, "CONFIG SET maxmemory 10mb maxmemory-clients 2%"),
            Value::ok()
        );
        let left: Vec<bool> =
            clients.iter().map(|(_, own)| line_of(&mut watcher, *own).is_some()).collect();
        assert_eq!(left, [true, false, false, false], "209,715 bytes");
        wait_until_counted(&mut watcher, 3);
        assert_eq!(run(&mut watcher, "CONFIG RESETSTAT"), Value::ok());
        assert_eq!(evicted(&mut watcher), 0);
    });
}

#[test]
fn keys_that_are_watched_and_channels_count_too() {
    with_workers(&["--maxmemory-clients=131072"], |server| {
        let mut watcher = connect(server);
        run(&mut watcher, "CLIENT NO-EVICT ON");
        for command in ["WATCH", "PSUBSCRIBE", "CLIENT TRACKING ON BCAST PREFIX"] {
            let mut client = connect(server);
            let own = id(&mut client);
            let is_closed = (0..20_000).any(|nth| {
                let words = testkit::notation::words(&format!("{command} name:{nth:06}"));
                client.command(&words).is_err()
            });
            assert!(is_closed, "{command}");
            wait_until_gone(&mut watcher, own);
        }
    });
}
