//! Connections that come, stay and go.

use std::net::TcpStream;
use std::thread;

use super::*;

#[test]
fn who_is_silent_too_long_is_sent_away() {
    with_workers(&["--timeout=1"], |server| {
        let mut silent = connect(server);
        let mut talking = connect(server);
        let own = id(&mut silent);
        wait_until_gone(&mut talking, own);
        assert_closed(&mut silent);
    });
}

#[test]
fn there_is_a_limit_to_the_number_of_clients() {
    with_workers(&["--maxclients=3"], |server| {
        let mut first = connect(server);
        // Whoever looked whether the server is up must be gone.
        wait_until_alone(&mut first);
        let mut clients = vec![first, connect(server), connect(server)];
        let ids: Vec<i64> = clients.iter_mut().map(id).collect();
        let mut refused = connect(server);
        let wanted = Value::error("ERR max number of clients reached");
        assert_eq!(refused.receive().expect("a refusal comes"), wanted);
        assert_closed(&mut refused);
        let left = clients.pop().expect("there are three");
        drop(left);
        wait_until_gone(&mut clients[0], ids[2]);
        let mut next = connect(server);
        assert_eq!(run(&mut next, "PING"), Value::simple("PONG"));
    });
}

#[test]
fn a_unix_socket_serves_as_a_port_does() {
    for workers in [1, 2] {
        let name = format!("anax-socket-{}-{workers}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let shown = path.to_str().expect("the path is plain");
        let server = anax_with(workers, &[&format!("--unixsocket={shown}")]);
        for dialect in [Dialect::Resp2, Dialect::Resp3] {
            let mut client = Client::connect_unix(&path).expect("the server listens");
            speak(&mut client, dialect);
            let value = pattern(1 << 20);
            client.command(&[&b"SET"[..], b"k", &value]).expect("a reply comes");
            assert!(run(&mut client, "GET k").as_bytes() == Some(&value));
            let info = text(&run(&mut client, "CLIENT INFO"));
            assert_eq!(field(&info, "addr"), format!("{shown}:0"));
            assert_eq!(field(&info, "laddr"), format!("{shown}:0"));
            assert_eq!(field(&info, "flags"), "U");
            let listed = text(&run(&mut client, "CLIENT LIST FLAGS U NOT-IP 127.0.0.1"));
            assert_eq!(listed.lines().count(), 1, "{listed}");
            let own = id(&mut client);
            drop(client);
            wait_until_gone(&mut connect(&server), own);
        }
        drop(server);
        // The server that is killed does not tidy up.
        let _ = std::fs::remove_file(&path);
    }
}

#[test]
fn quitting_ends_the_connection_after_the_reply() {
    in_all_ways(|_, client| {
        send_all(client, ["SET k 1", "QUIT", "SET k 2"]);
        assert_eq!([reply(client), reply(client)], [Value::ok(), Value::ok()]);
        assert_closed(client);
    });
}

#[test]
fn a_storm_of_connections_leaves_nothing_behind() {
    with_workers(&[], |server| {
        const THREADS: usize = 4;
        const EACH: usize = 256;
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut open = Vec::new();
                    for nth in 0..EACH {
                        let mut client = connect(server);
                        match nth % 4 {
                            // Some never say a word, some go in the middle of one.
                            0 => drop(TcpStream::connect(server.address())),
                            1 => client.send(b"*2\r\n$3\r\nGE").expect("the socket takes it"),
                            _ => assert!(integer(&run(&mut client, "INCR storm")) > 0),
                        }
                        if nth % 3 == 0 {
                            open.push(client);
                        }
                    }
                });
            }
        });
        let mut watcher = connect(server);
        let alone =
            (0..ASKS_MAX).any(|_| text(&run(&mut watcher, "CLIENT LIST SKIPME yes")).is_empty());
        assert!(alone, "{}", text(&run(&mut watcher, "CLIENT LIST")));
        assert_eq!(run(&mut watcher, "GET storm"), Value::bulk((THREADS * EACH / 2).to_string()));
    });
}
