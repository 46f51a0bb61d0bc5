//! CLIENT PAUSE.

use super::*;

/// Longer than any test takes.
const LONG: &str = "100000000";

#[test]
fn a_pause_of_writes_holds_writers_in_order_and_lets_readers_go() {
    in_all_ways(|server, client| {
        run(client, "SET a 0");
        let mut writer = connect(server);
        let own = id(&mut writer);
        assert_eq!(run(client, &format!("CLIENT PAUSE {LONG} WRITE")), Value::ok());
        send_all(&mut writer, ["GET a", "SET a 1", "GET a", "INCR a"]);
        assert_eq!(reply(&mut writer), Value::bulk("0"));
        wait_until_blocked(client, own);
        // More may come meanwhile; it waits behind.
        send_all(&mut writer, ["PING", "GET a"]);
        assert_eq!(run(client, "GET a"), Value::bulk("0"));
        let line = line_of(client, own).expect("it lives");
        assert_eq!(field(&line, "cmd"), "set");
        assert!(!writer.has_arrived().expect("the socket lives"));
        assert_eq!(run(client, "CLIENT UNPAUSE"), Value::ok());
        let wanted = [
            Value::ok(),
            Value::bulk("1"),
            Value::Integer(2),
            Value::simple("PONG"),
            Value::bulk("2"),
        ];
        for wanted in wanted {
            assert_eq!(reply(&mut writer), wanted);
        }
        let line = line_of(client, own).expect("it lives");
        assert_eq!(field(&line, "flags"), "N");
    });
}

#[test]
fn a_pause_of_everything_holds_readers_too_until_somebody_ends_it() {
    in_all_ways(|server, client| {
        let mut other = connect(server);
        let own = id(&mut other);
        assert_eq!(run(client, &format!("CLIENT PAUSE {LONG}")), Value::ok());
        send(&mut other, "PING");
        wait_until_blocked(client, own);
        assert!(!other.has_arrived().expect("the socket lives"));
        assert_eq!(run(client, "CLIENT UNPAUSE"), Value::ok());
        assert_eq!(reply(&mut other), Value::simple("PONG"));
    });
}

#[test]
fn a_pause_ends_by_itself() {
    in_all_ways(|_, client| {
        assert_eq!(run(client, "CLIENT PAUSE 50 WRITE"), Value::ok());
        assert_eq!(run(client, "SET a 1"), Value::ok());
        assert_eq!(run(client, "CLIENT PAUSE 0 ALL"), Value::ok());
        assert_eq!(run(client, "PING"), Value::simple("PONG"));
    });
}

#[test]
fn who_is_held_can_be_killed() {
    in_all_ways(|server, client| {
        run(client, "DEL a");
        let mut held = connect(server);
        let own = id(&mut held);
        run(client, &format!("CLIENT PAUSE {LONG} WRITE"));
        send(&mut held, "SET a 1");
        wait_until_blocked(client, own);
        assert_eq!(run(client, &format!("CLIENT UNBLOCK {own}")), Value::Integer(0));
        assert_eq!(run(client, &format!("CLIENT KILL ID {own}")), Value::Integer(1));
        assert_closed(&mut held);
        wait_until_gone(client, own);
        run(client, "CLIENT UNPAUSE");
        assert_eq!(run(client, "EXISTS a"), Value::Integer(0));
    });
}

#[test]
fn who_is_held_and_goes_away_is_not_waited_for() {
    in_all_ways(|server, client| {
        run(client, "DEL a");
        let mut held = connect(server);
        let own = id(&mut held);
        run(client, &format!("CLIENT PAUSE {LONG} WRITE"));
        send(&mut held, "SET a 1");
        wait_until_blocked(client, own);
        drop(held);
        wait_until_gone(client, own);
        run(client, "CLIENT UNPAUSE");
        assert_eq!(run(client, "EXISTS a"), Value::Integer(0));
    });
}
