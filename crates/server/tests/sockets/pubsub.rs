//! Channels over sockets: what comes in which order, who is cut off, and that nobody loses
//! anything, however many publish and listen.

use std::thread;

use testkit::server::ServerProcess;
use testkit::{Client, Value};

use super::{
    anax_with, assert_closed, connect, field, id, integer, line_of, reply, run, send, send_all,
    text, wait_for, wait_until_blocked, wait_until_gone, with_workers,
};

/// A message as it comes to a subscriber.
fn message(words: &[&str]) -> Value {
    Value::Push(words.iter().map(|word| Value::Bulk(word.as_bytes().to_vec())).collect())
}

/// Subscribes, and takes the confirmations.
fn subscribe(client: &mut Client, line: &str) {
    send(client, line);
    for _ in 1..line.split(' ').count() {
        client.receive().expect("a confirmation comes");
    }
}

fn read_all(client: &mut Client, count: usize) -> Vec<String> {
    (0..count).map(|_| client.receive().expect("something comes").to_string()).collect()
}

/// A field of INFO.
fn figure(client: &mut Client, name: &str) -> String {
    let info = text(&run(client, "INFO everything"));
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name}")).to_owned()
}

#[test]
fn who_publishes_to_itself_hears_of_it_behind_the_reply_and_before_the_next() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        run(&mut client, "HELLO 3");
        subscribe(&mut client, "SUBSCRIBE c");
        send_all(&mut client, ["PUBLISH c x", "PING", "SET k v", "PUBLISH c y", "GET k"]);
        let heard = |text: &str| message(&["message", "c", text]).to_string();
        let expected =
            ["(integer) 1", &heard("x"), "PONG", "OK", "(integer) 1", &heard("y"), "\"v\""];
        assert_eq!(read_all(&mut client, expected.len()), expected);
    });
}

#[test]
fn in_exec_messages_come_behind_all_replies_and_confirmations_among_them() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        run(&mut client, "HELLO 3");
        subscribe(&mut client, "SUBSCRIBE a");
        let queued = ["MULTI", "PUBLISH a 1", "SUBSCRIBE b", "PUBLISH b 2", "PING", "EXEC"];
        send_all(&mut client, queued);
        assert_eq!(read_all(&mut client, 5), ["OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED"]);
        let confirmed = Value::Push(vec![
            Value::Bulk(b"subscribe".to_vec()),
            Value::Bulk(b"b".to_vec()),
            Value::Integer(2),
        ]);
        let replies =
            vec![Value::Integer(1), confirmed, Value::Integer(1), Value::Simple(b"PONG".to_vec())];
        assert_eq!(client.receive().expect("EXEC is answered"), Value::Array(replies));
        assert_eq!(client.receive().expect("it is subscribed"), message(&["message", "a", "1"]));
        assert_eq!(client.receive().expect("it is subscribed"), message(&["message", "b", "2"]));
    });
}

#[test]
fn who_wants_no_replies_is_told_of_messages_and_subscriptions() {
    with_workers(&[], |server| {
        let (mut client, mut other) = (connect(server), connect(server));
        run(&mut client, "HELLO 3");
        send_all(&mut client, ["CLIENT REPLY OFF", "PING", "SUBSCRIBE c", "SUBSCRIBE", "PING"]);
        let confirmed = client.receive().expect("a confirmation comes").to_string();
        assert!(confirmed.contains("subscribe"), "{confirmed}");
        assert_eq!(run(&mut other, "PUBLISH c x"), Value::Integer(1));
        assert_eq!(client.receive().expect("a message comes"), message(&["message", "c", "x"]));
        send_all(&mut client, ["PUBLISH c y", "CLIENT REPLY ON"]);
        assert_eq!(client.receive().expect("a message comes"), message(&["message", "c", "y"]));
        assert_eq!(reply(&mut client), Value::ok());
    });
}

#[test]
fn others_see_what_a_client_is_subscribed_to() {
    with_workers(&[], |server| {
        let (mut client, mut watcher) = (connect(server), connect(server));
        run(&mut client, "HELLO 3");
        let own = id(&mut client);
        subscribe(&mut client, "SUBSCRIBE a b");
        subscribe(&mut client, "PSUBSCRIBE p*");
        subscribe(&mut client, "SSUBSCRIBE s");
        let line = line_of(&mut watcher, own).expect("it is there");
        let fields = ["flags", "sub", "psub", "ssub"].map(|name| field(&line, name).to_owned());
        assert_eq!(fields, ["P", "2", "1", "1"]);
        let figures =
            ["pubsub_clients", "pubsub_channels", "pubsub_patterns", "pubsubshard_channels"];
        let now = figures.map(|name| figure(&mut watcher, name));
        assert_eq!(now, ["1", "2", "1", "1"]);
        assert_eq!(text(&run(&mut watcher, "CLIENT LIST TYPE pubsub")).lines().count(), 1);
        assert_eq!(run(&mut watcher, "CLIENT KILL TYPE pubsub"), Value::Integer(1));
        assert_closed(&mut client);
        wait_until_gone(&mut watcher, own);
        assert_eq!(figures.map(|name| figure(&mut watcher, name)), ["0"; 4].map(String::from));
        assert_eq!(run(&mut watcher, "PUBLISH a x"), Value::Integer(0));
    });
}

/// A subscriber that does not read is cut off at its limit, whoever fills its output; others stay.
#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    let limits = ["--client-output-buffer-limit", "pubsub 1mb 0 0"];
    with_workers(&limits, |server| {
        let (mut slow, mut quick, mut publisher) =
            (connect(server), connect(server), connect(server));
        let own = id(&mut slow);
        subscribe(&mut slow, "SUBSCRIBE c");
        subscribe(&mut quick, "SUBSCRIBE c");
        let payload = "x".repeat(100_000);
        let (mut published, most) = (0, 1_000);
        while line_of(&mut publisher, own).is_some() {
            run(&mut publisher, &format!("PUBLISH c {payload}"));
            quick.receive().expect("who reads hears everything");
            published += 1;
            assert!(published < most, "{published} messages wait and nobody minds");
        }
        wait_until_gone(&mut publisher, own);
        assert_eq!(run(&mut publisher, "PUBLISH c x"), Value::Integer(1));
        let cut = figure(&mut publisher, "client_output_buffer_limit_disconnections");
        assert_eq!(cut, "1");
    });
}

/// The limit of subscribers is not that of others, and goes with the last subscription.
#[test]
fn the_limit_of_subscribers_holds_for_none_but_them() {
    let limits = ["--client-output-buffer-limit", "pubsub 1mb 0 0"];
    with_workers(&limits, |server| {
        let mut client = connect(server);
        run(&mut client, &format!("SET long {}", "x".repeat(3 << 20)));
        subscribe(&mut client, "SUBSCRIBE c");
        subscribe(&mut client, "UNSUBSCRIBE c");
        assert_eq!(text(&run(&mut client, "GET long")).len(), 3 << 20);
    });
}

/// A message longer than what is copied into outputs.
#[test]
fn a_long_message_comes_whole_to_everybody() {
    with_workers(&[], |server| {
        let mut publisher = connect(server);
        let mut clients: Vec<Client> = (0..5).map(|_| connect(server)).collect();
        for (nth, client) in clients.iter_mut().enumerate() {
            if nth % 2 == 1 {
                run(client, "HELLO 3");
            }
            subscribe(client, "SUBSCRIBE c");
        }
        let long: Vec<u8> = super::pattern(3_000_000).into_iter().collect();
        let words: [&[u8]; 3] = [b"PUBLISH", b"c", &long];
        assert_eq!(publisher.command(&words).expect("it answers"), Value::Integer(5));
        for client in &mut clients {
            let items = match client.receive().expect("the message comes") {
                Value::Array(items) | Value::Push(items) => items,
                other => panic!("{other}"),
            };
            assert!(items[2].as_bytes() == Some(&long[..]), "another message");
        }
    });
}

const PUBLISHERS: usize = 4;
const SUBSCRIBERS: usize = 6;
const MESSAGES: usize = 1_500;
/// Requests that a publisher sends before it reads their replies.
const AHEAD: usize = 50;

/// Publishes numbers on a channel of its own and on one of all, many at a time.
fn publish_numbers(server: &ServerProcess, publisher: usize) {
    let mut client = connect(server);
    for first in (0..MESSAGES).step_by(AHEAD) {
        let numbers = first..(first + AHEAD).min(MESSAGES);
        let requests: Vec<Vec<String>> = numbers
            .map(|number| {
                let channel = if number % 2 == 0 { "all" } else { &format!("own.{publisher}") };
                ["PUBLISH", channel, &format!("{publisher}:{number}")].map(str::to_owned).to_vec()
            })
            .collect();
        for reply in client.pipeline(&requests).expect("it answers") {
            assert_eq!(integer(&reply), SUBSCRIBERS as i64);
        }
    }
}

/// Takes as many messages as are published, and looks whether those of each publisher are all
/// there and in their order.
fn hear_numbers(mut client: Client) {
    let mut next = [0; PUBLISHERS];
    for _ in 0..PUBLISHERS * MESSAGES {
        let items = match client.receive().expect("a message comes") {
            Value::Array(items) | Value::Push(items) => items,
            other => panic!("{other}"),
        };
        let text = text(items.last().expect("a message has words"));
        let (publisher, number) = text.split_once(':').expect("two numbers");
        let publisher: usize = publisher.parse().expect("a number");
        assert_eq!(number.parse(), Ok(next[publisher]), "of publisher {publisher}");
        next[publisher] += 1;
    }
    assert_eq!(next, [MESSAGES; PUBLISHERS]);
}

#[test]
fn nobody_loses_a_message_and_each_publishers_come_in_order() {
    for workers in [1, 2, 4] {
        let server = anax_with(workers, &["--client-output-buffer-limit", "pubsub 0 0 0"]);
        let subscribers: Vec<Client> = (0..SUBSCRIBERS)
            .map(|nth| {
                let mut client = connect(&server);
                if nth % 2 == 0 {
                    run(&mut client, "HELLO 3");
                }
                subscribe(&mut client, "SUBSCRIBE all");
                subscribe(&mut client, "PSUBSCRIBE own.*");
                client
            })
            .collect();
        thread::scope(|scope| {
            for client in subscribers {
                scope.spawn(|| hear_numbers(client));
            }
            for publisher in 0..PUBLISHERS {
                let server = &server;
                scope.spawn(move || publish_numbers(server, publisher));
            }
        });
    }
}

/// Behind the word that it is subscribed no longer, a client hears nothing more of a channel,
/// though others publish all the time.
#[test]
fn nothing_comes_behind_the_end_of_a_subscription() {
    const ROUNDS: usize = 300;
    let server = anax_with(2, &[]);
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = connect(&server);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    run(&mut client, "PUBLISH c x");
                }
            });
        }
        let mut client = connect(&server);
        for _ in 0..ROUNDS {
            send_all(&mut client, ["SUBSCRIBE c", "UNSUBSCRIBE c", "PING"]);
            let mut heard = Vec::new();
            while heard.last().is_none_or(|last| last != "PONG") {
                heard.push(client.receive().expect("something comes").to_string());
            }
            let is = |text: &String, word: &str| text.starts_with(&format!("1) \"{word}\""));
            assert!(is(&heard[0], "subscribe"), "{heard:?}");
            assert!(is(&heard[heard.len() - 2], "unsubscribe"), "{heard:?}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// While one waits for keys it hears of what is published.
#[test]
fn messages_come_to_a_client_that_waits() {
    with_workers(&[], |server| {
        let (mut client, mut other) = (connect(server), connect(server));
        run(&mut client, "HELLO 3");
        let own = id(&mut client);
        subscribe(&mut client, "SUBSCRIBE c");
        send(&mut client, "BLPOP list 0");
        wait_for(&mut other, own, |line| line.is_some_and(|line| field(line, "flags") == "Pb"));
        assert_eq!(run(&mut other, "PUBLISH c x"), Value::Integer(1));
        assert_eq!(client.receive().expect("a message comes"), message(&["message", "c", "x"]));
        assert_eq!(run(&mut other, "RPUSH list a"), Value::Integer(1));
        assert!(matches!(client.receive().expect("it is served"), Value::Array(_)));
    });
}

/// A client of RESP2 follows keys by way of another one that is subscribed.
#[test]
fn tracking_tells_a_subscriber_of_resp2() {
    with_workers(&[], |server| {
        let (mut reader, mut listener, mut other) =
            (connect(server), connect(server), connect(server));
        let target = id(&mut listener);
        subscribe(&mut listener, "SUBSCRIBE __redis__:invalidate");
        assert_eq!(run(&mut reader, &format!("CLIENT TRACKING ON REDIRECT {target}")), Value::ok());
        run(&mut reader, "GET k");
        run(&mut other, "SET k 1");
        let heard = listener.receive().expect("it is told").to_string();
        assert_eq!(heard, "1) \"message\"\n2) \"__redis__:invalidate\"\n3) 1) \"k\"");
        run(&mut other, "FLUSHALL");
        let heard = listener.receive().expect("it is told").to_string();
        assert_eq!(heard, "1) \"message\"\n2) \"__redis__:invalidate\"\n3) (nil)");
    });
}

/// It had its last reply before others knew that it was gone: what came then was lost, and the
/// follower was not told that it would hear no more.
#[test]
fn who_has_quit_is_told_nothing_more_by_anybody() {
    with_workers(&[], |server| {
        let (mut reader, mut other) = (connect(server), connect(server));
        run(&mut reader, "HELLO 3");
        for _ in 0..50 {
            let mut listener = connect(server);
            let target = id(&mut listener);
            subscribe(&mut listener, "SUBSCRIBE c");
            run(&mut reader, &format!("CLIENT TRACKING ON REDIRECT {target}"));
            run(&mut reader, "GET k");
            assert_eq!(run(&mut listener, "QUIT"), Value::ok());
            assert_eq!(run(&mut other, "SET k 1"), Value::ok());
            assert_eq!(run(&mut other, "PUBLISH c x"), Value::Integer(0));
            let heard = reader.receive().expect("it is told").to_string();
            assert_eq!(heard, format!("1> \"tracking-redir-broken\"\n2> (integer) {target}"));
            let flags = run(&mut reader, "CLIENT TRACKINGINFO").to_string();
            assert!(flags.contains("broken_redirect"), "{flags}");
        }
    });
}

/// Others hear of what is published, so a pause of writes holds it.
#[test]
fn a_pause_of_writes_holds_what_is_published() {
    with_workers(&[], |server| {
        let (mut control, mut publisher) = (connect(server), connect(server));
        let own = id(&mut publisher);
        for lines in [&["PUBLISH c x"][..], &["SPUBLISH c x"], &["MULTI", "PUBLISH c x", "EXEC"]] {
            assert_eq!(run(&mut control, "CLIENT PAUSE 100000000 WRITE"), Value::ok());
            send_all(&mut publisher, lines.iter().copied());
            wait_until_blocked(&mut control, own);
            assert_eq!(run(&mut control, "CLIENT UNPAUSE"), Value::ok());
            let replies = read_all(&mut publisher, lines.len());
            assert!(replies[lines.len() - 1].ends_with("(integer) 0"), "{replies:?}");
        }
    });
}
