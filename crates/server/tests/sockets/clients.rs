//! CLIENT, where a transcript cannot say it: ids, addresses, other connections that end.

use std::thread;

use super::*;

/// The fields of a line of CLIENT LIST, in order.
const FIELDS: &str = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf \
    qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name \
    lib-ver io-thread tot-net-in tot-net-out tot-cmds";

#[test]
fn a_client_is_described_field_by_field() {
    in_all_ways(|server, client| {
        for line in
            ["CLIENT SETNAME ann", "CLIENT SETINFO lib-name lib", "SELECT 3", "CLIENT NO-TOUCH ON"]
        {
            assert_eq!(run(client, line), Value::ok());
        }
        let info = run(client, "CLIENT INFO");
        let resp = if matches!(info, Value::Verbatim { .. }) { "3" } else { "2" };
        let info = text(&info);
        let line = info.strip_suffix('\n').expect("a line has an end");
        let names: Vec<&str> =
            line.split(' ').filter_map(|field| Some(field.split_once('=')?.0)).collect();
        assert_eq!(names.join(" "), FIELDS.split_whitespace().collect::<Vec<_>>().join(" "));
        let own = id(client).to_string();
        let address = server.address().to_string();
        for (name, value) in [
            ("id", &own[..]),
            ("laddr", &address),
            ("name", "ann"),
            ("age", "0"),
            ("idle", "0"),
            ("flags", "T"),
            ("db", "3"),
            ("multi", "-1"),
            ("events", "r"),
            ("cmd", "client|info"),
            ("user", "default"),
            ("redir", "-1"),
            ("resp", resp),
            ("lib-name", "lib"),
            ("lib-ver", ""),
        ] {
            assert_eq!(field(line, name), value, "{name} in {line}");
        }
        for name in ["fd", "tot-mem", "tot-net-in", "tot-net-out", "tot-cmds"] {
            assert!(field(line, name).parse::<u64>().is_ok_and(|number| number > 0), "{name}");
        }
    });
}

#[test]
fn the_list_names_every_client_once_in_the_order_of_their_coming() {
    in_all_ways(|server, client| {
        let mut ids = vec![id(client)];
        let mut others = Vec::new();
        for _ in 0..5 {
            // Who has been answered has come before the next one.
            let mut other = connect(server);
            ids.push(id(&mut other));
            others.push(other);
        }
        run(&mut others[2], "GET nothing");
        let list = text(&run(client, "CLIENT LIST"));
        let listed: Vec<i64> =
            list.lines().map(|line| field(line, "id").parse().expect("a number")).collect();
        assert_eq!(listed, ids);
        let line = line_of(client, ids[3]).expect("it lives");
        assert_eq!(field(&line, "cmd"), "get");
        drop(others);
        ids[1..].iter().for_each(|&id| wait_until_gone(client, id));
    });
}

#[test]
fn filters_choose_who_is_listed() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        assert_eq!(run(&mut other, "CLIENT SETNAME bob"), Value::ok());
        assert_eq!(run(&mut other, "SELECT 2"), Value::ok());
        let (own, other_id) = (id(client), id(&mut other));
        let line = line_of(client, other_id).expect("it lives");
        let address = field(&line, "addr").to_owned();
        let laddr = server.address();
        let [me, both, bob] = [vec![own], vec![own, other_id], vec![other_id]];
        for (filter, wanted) in [
            (format!("ID {own}"), &me),
            (format!("ID {own} {other_id} 999999"), &both),
            (format!("ID {own} TYPE normal ID {other_id}"), &both),
            (format!("NOT-ID {own}"), &bob),
            ("SKIPME yes".into(), &bob),
            ("SKIPME no".into(), &both),
            ("TYPE normal".into(), &both),
            ("NOT-TYPE PUBSUB".into(), &both),
            (format!("ADDR {address}"), &bob),
            (format!("NOT-ADDR {address}"), &me),
            (format!("LADDR {laddr}"), &both),
            ("LADDR 127.0.0.1:1".into(), &vec![]),
            ("IP 127.0.0.1".into(), &both),
            ("IP 127.0.0".into(), &vec![]),
            ("NOT-IP 127.0.0.1".into(), &vec![]),
            ("NAME bob".into(), &bob),
            ("NOT-NAME bob".into(), &me),
            ("NAME bob NAME ann".into(), &vec![]),
            ("USER default".into(), &both),
            ("NOT-USER default".into(), &vec![]),
            ("DB 2".into(), &bob),
            ("NOT-DB 2".into(), &me),
            ("FLAGS N".into(), &both),
            ("NOT-FLAGS N".into(), &vec![]),
            ("FLAGS e".into(), &vec![]),
            ("CAPA r".into(), &vec![]),
            ("LIB-NAME x".into(), &vec![]),
            ("LIB-NAME ''".into(), &vec![]),
            ("NOT-LIB-VER 1".into(), &both),
            ("MAXAGE 1000".into(), &vec![]),
            ("IDLE 1000".into(), &vec![]),
            ("NAME bob DB 2 SKIPME yes".into(), &bob),
            ("NAME bob DB 1".into(), &vec![]),
        ] {
            let list = text(&run(client, &format!("CLIENT LIST {filter}")));
            let listed: Vec<i64> =
                list.lines().map(|line| field(line, "id").parse().expect("a number")).collect();
            assert_eq!(&listed, wanted, "{filter}");
        }
        drop(other);
        wait_until_gone(client, other_id);
    });
}

#[test]
fn an_idle_client_is_killed_by_address_or_by_filter() {
    in_all_ways(|server, client| {
        let mut victim = connect(server);
        let own = id(&mut victim);
        let line = line_of(client, own).expect("it lives");
        let address = field(&line, "addr");
        assert_eq!(run(client, &format!("CLIENT KILL {address}")), Value::ok());
        assert_closed(&mut victim);
        wait_until_gone(client, own);
        let again = run(client, &format!("CLIENT KILL {address}"));
        assert_eq!(again, Value::error("ERR No such client"));

        let mut victims: Vec<Client> = (0..3).map(|_| connect(server)).collect();
        let ids: Vec<i64> = victims.iter_mut().map(id).collect();
        let one = run(client, &format!("CLIENT KILL ID {} SKIPME yes", ids[0]));
        assert_eq!(one, Value::Integer(1));
        assert_closed(&mut victims[0]);
        wait_until_gone(client, ids[0]);
        assert_eq!(run(client, "CLIENT KILL TYPE normal"), Value::Integer(2));
        victims.iter_mut().for_each(assert_closed);
        assert_eq!(run(client, "PING"), Value::simple("PONG"));
    });
}

#[test]
fn who_kills_itself_is_answered_first() {
    in_all_ways(|_, client| {
        let own = id(client);
        send_all(client, [&format!("CLIENT KILL ID {own} SKIPME no")[..], "PING"]);
        assert_eq!(reply(client), Value::Integer(1));
        assert_closed(client);
    });
}

#[test]
fn a_busy_client_is_killed() {
    in_all_ways(|server, client| {
        let mut victim = connect(server);
        let own = id(&mut victim);
        thread::scope(|scope| {
            let busy = scope.spawn(move || {
                let request = b"INCR busy\r\n".repeat(1000);
                // It ends when the connection does.
                while victim.send(&request).is_ok() && (0..1000).all(|_| victim.reply().is_ok()) {}
            });
            wait_for(client, own, |line| line.is_some_and(|line| field(line, "cmd") == "incr"));
            assert_eq!(run(client, &format!("CLIENT KILL ID {own}")), Value::Integer(1));
            busy.join().expect("the client ends");
        });
        wait_until_gone(client, own);
    });
}

#[test]
fn who_asked_for_no_replies_gets_none() {
    in_all_ways(|_, client| {
        send_all(
            client,
            [
                "CLIENT REPLY OFF",
                "SET k 1",
                "NOSUCH",
                "CLIENT REPLY SKIP",
                "GET k",
                "CLIENT REPLY ON",
                "GET k",
            ],
        );
        assert_eq!(reply(client), Value::ok());
        assert_eq!(reply(client), Value::bulk("1"));
        send_all(client, ["CLIENT REPLY SKIP", "SET k 2", "GET k"]);
        assert_eq!(reply(client), Value::bulk("2"));
        send_all(client, ["CLIENT REPLY SKIP", "RESET", "ECHO after"]);
        assert_eq!(reply(client), Value::bulk("after"));
        send_all(client, ["CLIENT REPLY SKIP", "CLIENT REPLY ON", "GET k"]);
        assert_eq!(reply(client), Value::ok());
        assert_eq!(reply(client), Value::bulk("2"));
        send_all(client, ["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "GET k", "ECHO x"]);
        assert_eq!(reply(client), Value::bulk("x"));
        send_all(client, ["CLIENT REPLY OFF", "RESET", "PING"]);
        assert_eq!(reply(client), Value::simple("RESET"));
        assert_eq!(reply(client), Value::simple("PONG"));
        send_all(client, ["CLIENT REPLY OFF", "QUIT"]);
        assert_closed(client);
    });
}

#[test]
fn nobody_waits_whom_unblock_could_wake() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        let other_id = id(&mut other);
        for line in [format!("CLIENT UNBLOCK {other_id}"), "CLIENT UNBLOCK 999999 ERROR".into()] {
            assert_eq!(run(client, &line), Value::Integer(0), "{line}");
        }
    });
}

#[test]
fn hello_tells_what_the_server_is() {
    in_all_ways(|_, client| {
        let own = id(client);
        for (line, proto) in
            [("HELLO 2 SETNAME ann", 2), ("HELLO", 2), ("HELLO 3", 3), ("HELLO", 3)]
        {
            let told = match run(client, line) {
                Value::Map(pairs) if proto == 3 => {
                    pairs.into_iter().flat_map(<[Value; 2]>::from).collect()
                }
                Value::Array(values) if proto == 2 => values,
                other => panic!("{line}: {other}"),
            };
            let names: Vec<String> = told.iter().step_by(2).map(text).collect();
            assert_eq!(names, ["server", "version", "proto", "id", "mode", "role", "modules"]);
            assert_eq!(told[5], Value::Integer(proto));
            assert_eq!(told[7], Value::Integer(own));
            assert_eq!((&told[9], &told[11]), (&Value::bulk("standalone"), &Value::bulk("master")));
            assert_eq!(run(client, "CLIENT GETNAME"), Value::bulk("ann"));
        }
    });
}

#[test]
fn a_password_that_is_set_later_keeps_out_newcomers_alone() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        assert_eq!(run(&mut client, "CONFIG SET requirepass secret"), Value::ok());
        assert_eq!(run(&mut client, "SET k 1"), Value::ok());
        let mut newcomer = connect(server);
        let no = Value::error("NOAUTH Authentication required.");
        assert_eq!(run(&mut newcomer, "GET k"), no);
        assert_eq!(run(&mut newcomer, "AUTH secret"), Value::ok());
        assert_eq!(run(&mut client, "CONFIG SET requirepass other"), Value::ok());
        assert_eq!(run(&mut newcomer, "GET k"), Value::bulk("1"));
        assert!(run(&mut newcomer, "AUTH secret").is_error());
        // Whoever was in stays in, also after a wrong guess.
        assert_eq!(run(&mut newcomer, "GET k"), Value::bulk("1"));
        assert_eq!(run(&mut client, "RESET"), Value::simple("RESET"));
        assert_eq!(run(&mut client, "GET k"), no);
        assert_eq!(run(&mut client, "AUTH other"), Value::ok());
        assert_eq!(run(&mut client, "CONFIG SET requirepass ''"), Value::ok());
        assert_eq!(run(&mut connect(server), "GET k"), Value::bulk("1"));
    });
}

#[test]
fn a_password_keeps_out_who_does_not_know_it() {
    with_workers(&["--requirepass=secret"], |server| {
        let mut client = connect(server);
        let no = Value::error("NOAUTH Authentication required.");
        assert_eq!(run(&mut client, "GET k"), no);
        assert_eq!(run(&mut client, "CLIENT LIST"), no);
        assert!(run(&mut client, "HELLO 3").is_error());
        let wrong = Value::error("WRONGPASS invalid username-password pair or user is disabled.");
        for line in
            ["AUTH guess", "AUTH default guess", "AUTH nobody secret", "HELLO 3 AUTH default guess"]
        {
            assert_eq!(run(&mut client, line), wrong, "{line}");
        }
        assert_eq!(run(&mut client, "AUTH secret"), Value::ok());
        assert_eq!(run(&mut client, "GET k"), Value::Nil);
        assert_eq!(run(&mut client, "RESET"), Value::simple("RESET"));
        assert_eq!(run(&mut client, "GET k"), no);
        let hello = run(&mut client, "HELLO 3 AUTH default secret SETNAME ann");
        assert!(matches!(hello, Value::Map(_)), "{hello}");
        assert_eq!(run(&mut client, "CLIENT GETNAME"), Value::bulk("ann"));
    });
}
