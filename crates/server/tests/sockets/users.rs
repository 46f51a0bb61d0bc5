//! Users over time: rules that change under their connections, and where users are kept.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::{Client, Value};

use super::*;

fn error(text: &str) -> Value {
    Value::error(text)
}

fn ok(client: &mut Client, line: &str) {
    assert_eq!(run(client, line), Value::ok(), "{line}");
}

/// A file of this name and text, in a folder of its own that goes with it.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str, text: &str) -> Kept {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("anax-users-{}-{nth}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room for files of tests");
        let file = folder.join(name);
        fs::write(&file, text).expect("there is room for files of tests");
        Kept(file)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the path is plain")
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("it is there")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.0.parent().map(fs::remove_dir_all));
    }
}

/// What the server says that cannot start with these flags, in one line.
fn refusal(flags: &[&str]) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_anax"));
    let mut command = std::process::Command::new(binary);
    let output = command.args(flags).args(["--port", "-1"]).output().expect("it can be run");
    assert!(!output.status.success(), "{flags:?}");
    String::from_utf8(output.stderr).expect("it is text")
}

/// What its client had called, not the command before it, nor what a script calls.
#[test]
fn the_log_of_refusals_tells_what_was_called() {
    with_workers(&[], |server| {
        let (mut admin, mut ann) = (connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on nopass +@all -get ~a");
        ok(&mut ann, "AUTH ann x");
        for line in ["GET a", "EVAL \"return redis.pcall('get', 'a')\" 1 a", "MULTI", "SET b 1"] {
            run(&mut ann, line);
        }
        let log = run(&mut admin, "ACL LOG").to_string();
        for called in ["cmd=get ", "cmd=eval ", "cmd=set "] {
            assert!(log.contains(called), "{called}: {log}");
        }
    });
}

#[test]
fn changed_rights_hold_for_connections_that_are_there() {
    with_workers(&[], |server| {
        let (mut admin, mut ann) = (connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on nopass +@all ~*");
        ok(&mut ann, "AUTH ann x");
        ok(&mut ann, "SET k 1");
        ok(&mut admin, "ACL SETUSER ann -set");
        let denied = error("NOPERM User ann has no permissions to run the 'set' command");
        assert_eq!(run(&mut ann, "SET k 2"), denied);
        assert_eq!(run(&mut ann, "GET k"), Value::bulk("1"));
        ok(&mut admin, "ACL SETUSER ann resetkeys ~j*");
        assert_eq!(run(&mut ann, "GET k"), error("NOPERM No permissions to access a key"));
        ok(&mut admin, "ACL SETUSER ann off +@all ~*");
        assert_eq!(run(&mut ann, "GET k"), Value::bulk("1"), "it is in already");
        assert!(run(&mut ann, "AUTH ann x").is_error());
        // Whoever takes his own rights away has none from the next request on.
        ok(&mut ann, "ACL SETUSER ann -@all +ping");
        let requests = ["PING", "GET k", "ACL WHOAMI"];
        send_all(&mut ann, requests);
        assert_eq!(reply(&mut ann), Value::simple("PONG"));
        assert!(reply(&mut ann).is_error() && reply(&mut ann).is_error());
    });
}

#[test]
fn refusals_are_counted_by_their_kind() {
    with_workers(&[], |server| {
        let (mut admin, mut ann) = (connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on >x +get +select ~k* db=0");
        ok(&mut ann, "AUTH ann x");
        for line in ["AUTH ann y", "SET k 1", "GET x", "MGET k", "GET y", "SELECT 1", "GET k"] {
            run(&mut ann, line);
        }
        let stats = text(&run(&mut admin, "INFO stats"));
        for (kind, count) in [("auth", 1), ("cmd", 2), ("key", 2), ("channel", 0), ("db", 1)] {
            let line = format!("acl_access_denied_{kind}:{count}\r\n");
            assert!(stats.contains(&line), "{line}{stats}");
        }
    });
}

#[test]
fn requests_sent_together_are_asked_about_one_by_one() {
    with_workers(&[], |server| {
        let mut client = connect(server);
        let lines = [
            "ACL SETUSER ann on nopass +get +auth ~a",
            "SET a 1",
            "AUTH ann x",
            "GET a",
            "SET a 2",
            "GET b",
            "AUTH default x",
            "SET a 3",
        ];
        send_all(&mut client, lines);
        let denied = "NOPERM User ann has no permissions to run the 'set' command";
        let replies = [
            Value::ok(),
            Value::ok(),
            Value::ok(),
            Value::bulk("1"),
            error(denied),
            error("NOPERM No permissions to access a key"),
            Value::ok(),
            Value::ok(),
        ];
        for (line, expected) in lines.into_iter().zip(replies) {
            assert_eq!(reply(&mut client), expected, "{line}");
        }
    });
}

#[test]
fn who_is_deleted_loses_his_connections() {
    with_workers(&[], |server| {
        let (mut admin, mut ann, mut own) = (connect(server), connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on nopass +@all ~*");
        for client in [&mut ann, &mut own] {
            ok(client, "AUTH ann x");
        }
        let mut waiting = connect(server);
        ok(&mut waiting, "AUTH ann x");
        let waiting_id = id(&mut waiting);
        send(&mut waiting, "BLPOP k 0");
        wait_until_blocked(&mut admin, waiting_id);
        // Whoever does it himself is told first.
        assert_eq!(run(&mut own, "ACL DELUSER ann"), Value::Integer(1));
        for client in [&mut own, &mut ann, &mut waiting] {
            assert_closed(client);
        }
        assert_eq!(run(&mut admin, "RPUSH k a"), Value::Integer(1), "nobody waits for it");
        assert_eq!(run(&mut admin, "LLEN k"), Value::Integer(1));
    });
}

#[test]
fn a_password_and_the_default_user_are_one_thing() {
    with_workers(&["--requirepass=secret"], |server| {
        let mut client = connect(server);
        ok(&mut client, "AUTH default secret");
        ok(&mut client, "CONFIG SET requirepass other");
        let list = run(&mut client, "ACL LIST").to_string();
        let digest = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
        assert!(
            list.contains(&format!("user default on sanitize-payload #{digest} ~* &* +@all")),
            "{list}"
        );
        let mut newcomer = connect(server);
        assert!(run(&mut newcomer, "AUTH secret").is_error());
        ok(&mut newcomer, "AUTH other");
        ok(&mut client, "ACL SETUSER default >third");
        ok(&mut newcomer, "AUTH third");
        ok(&mut newcomer, "AUTH other");
        ok(&mut client, "CONFIG SET requirepass ''");
        // Who has not come in yet, is in when nothing is needed.
        let mut late = connect(server);
        assert_eq!(run(&mut late, "PING"), Value::simple("PONG"));
        ok(&mut client, "CONFIG SET requirepass fourth");
        ok(&mut late, "SET k 1");
        let mut outside = connect(server);
        assert_eq!(run(&mut outside, "GET k"), error("NOAUTH Authentication required."));
        ok(&mut client, "ACL SETUSER default nopass");
        assert_eq!(run(&mut outside, "GET k"), Value::bulk("1"));
        ok(&mut client, "ACL SETUSER default off");
        assert_eq!(run(&mut outside, "GET k"), error("NOAUTH Authentication required."));
        assert_eq!(run(&mut client, "GET k"), Value::bulk("1"));
        assert!(run(&mut connect(server), "AUTH default fourth").is_error());
    });
}

#[test]
fn who_may_not_read_all_of_them_is_not_told_of_changes_to_keys() {
    with_workers(&[], |server| {
        let (mut admin, mut ann) = (connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on nopass +@all %R~a:*");
        speak(&mut ann, Dialect::Resp3);
        ok(&mut ann, "AUTH ann x");
        let denied = error("NOPERM No permissions to access a key");
        for line in ["", " PREFIX a", " PREFIX b:", " PREFIX a:b PREFIX b:"] {
            assert_eq!(run(&mut ann, &format!("CLIENT TRACKING ON BCAST{line}")), denied, "{line}");
        }
        ok(&mut ann, "CLIENT TRACKING ON BCAST PREFIX a:b");
        ok(&mut admin, "SET a:b 1");
        assert!(ann.push().expect("it is told").to_string().contains("a:b"));
        // Another user's rights, or fewer, end that.
        ok(&mut admin, "ACL SETUSER ben on nopass +@all");
        ok(&mut ann, "AUTH ben x");
        ok(&mut admin, "SET a:b 2");
        let told = run(&mut ann, "CLIENT TRACKINGINFO").to_string();
        assert!(told.contains("off"), "{told}");
        assert!(ann.take_pushes().is_empty());
        ok(&mut ann, "AUTH ann x");
        ok(&mut ann, "CLIENT TRACKING ON BCAST PREFIX a:b");
        ok(&mut admin, "ACL SETUSER ann resetkeys");
        assert_closed(&mut ann);
    });
}

#[test]
fn channels_are_for_those_who_may_use_them() {
    with_workers(&[], |server| {
        let (mut admin, mut ann) = (connect(server), connect(server));
        ok(&mut admin, "ACL SETUSER ann on nopass +@all ~* &news.*");
        speak(&mut ann, Dialect::Resp3);
        ok(&mut ann, "AUTH ann x");
        let denied = error("NOPERM No permissions to access a channel");
        for line in [
            "PUBLISH other x",
            "SPUBLISH other x",
            "SUBSCRIBE other",
            "SUBSCRIBE news.it other",
            "SSUBSCRIBE other",
            "PSUBSCRIBE news.it*",
            "PSUBSCRIBE *",
        ] {
            assert_eq!(run(&mut ann, line), denied, "{line}");
        }
        for line in ["PUBLISH news.it x", "SPUBLISH news.it x"] {
            assert_eq!(run(&mut ann, line), Value::Integer(0), "{line}");
        }
        ok(&mut ann, "MULTI");
        assert_eq!(run(&mut ann, "PUBLISH other x"), denied);
        assert!(run(&mut ann, "EXEC").is_error());
        let log = run(&mut admin, "ACL LOG 1").to_string();
        assert!(log.contains("\"channel\"") && log.contains("\"other\""), "{log}");
    });
}

#[test]
fn who_hears_what_he_may_not_is_cut_off() {
    with_workers(&[], |server| {
        let mut admin = connect(server);
        let subscribed = |line: &str, rules: &str| {
            let mut client = connect(server);
            ok(&mut connect(server), &format!("ACL SETUSER ann reset on nopass +@all {rules}"));
            ok(&mut client, "AUTH ann x");
            send(&mut client, line);
            client.receive().expect("it is told that it is subscribed");
            client
        };
        for (line, rules, change) in [
            ("SUBSCRIBE a", "&a &b", "resetchannels &b"),
            ("SSUBSCRIBE a", "&a &b", "resetchannels &b"),
            ("PSUBSCRIBE a*", "&a* &b", "resetchannels &a"),
            ("SUBSCRIBE a", "&*", "resetchannels"),
        ] {
            let mut client = subscribed(line, rules);
            ok(&mut admin, &format!("ACL SETUSER ann {change}"));
            assert_closed(&mut client);
        }
        // Whoever may still hear it, by whatever rule, stays.
        let mut client = subscribed("SUBSCRIBE a", "&a");
        ok(&mut admin, "ACL SETUSER ann allchannels");
        ok(&mut admin, "ACL SETUSER ann resetchannels &?");
        assert_eq!(run(&mut admin, "PUBLISH a x"), Value::Integer(1));
        assert!(client.receive().expect("it is told").to_string().contains("message"));
    });
}

#[test]
fn a_file_of_users_is_read_and_written() {
    let file = Kept::new("users.acl", "user ann on nopass +@all ~*\nuser ben on >b +get ~b*\n");
    let server = anax_with(2, &["--aclfile", file.path(), "--requirepass", "secret"]);
    let (mut admin, mut ann, mut ben) = (connect(&server), connect(&server), connect(&server));
    // The file says nothing of the default user, who keeps the password of the settings.
    assert_eq!(run(&mut ann, "PING"), error("NOAUTH Authentication required."));
    ok(&mut admin, "AUTH secret");
    ok(&mut ann, "AUTH ann x");
    ok(&mut ben, "AUTH ben b");
    ok(&mut admin, "ACL SETUSER cleo on +@read");
    ok(&mut admin, "ACL SAVE");
    let text = file.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "user ann on nopass sanitize-payload ~* resetchannels +@all");
    assert!(
        lines[1].starts_with("user ben on sanitize-payload #")
            && lines[3].starts_with("user default on sanitize-payload #")
    );
    assert_eq!(lines[2], "user cleo on sanitize-payload resetchannels -@all +@read");
    // What is wrong changes nothing, and is told.
    fs::write(&file.0, "user ann on +@all\nuser ann\n").expect("it can be written");
    let refused = run(&mut admin, "ACL LOAD").to_string();
    assert!(refused.contains("Duplicate user 'ann' found on line 2"), "{refused}");
    assert!(refused.contains("no change to the previously active ACL rules"), "{refused}");
    ok(&mut ann, "SET k 1");
    // Whoever is left keeps his connections, with other rights; the others go.
    fs::write(&file.0, "user ann on nopass +get ~j*\n").expect("it can be written");
    ok(&mut admin, "ACL LOAD");
    assert_eq!(run(&mut ann, "GET k"), error("NOPERM No permissions to access a key"));
    assert_closed(&mut ben);
    assert_eq!(run(&mut admin, "ACL USERS").to_string(), "1) \"ann\"\n2) \"default\"");
    fs::remove_file(&file.0).expect("it is there");
    let missing = run(&mut admin, "ACL LOAD").to_string();
    assert!(missing.contains("Error loading ACLs, opening file"), "{missing}");
}

#[test]
fn users_of_the_configuration_file_are_kept_in_it() {
    let text = "maxclients 100\nuser ann on nopass +@all ~*\nuser ben (+get ~b) on\n";
    let file = Kept::new("anax.conf", text);
    let start = || {
        let binary = Path::new(env!("CARGO_BIN_EXE_anax"));
        // The file will name the folder of the first server, which goes with it.
        let flags = [file.path(), "--port", "{port}", "--bind", "127.0.0.1", "--dir", "."];
        ServerProcess::start(binary, &flags).expect("the server starts")
    };
    let server = start();
    let mut admin = connect(&server);
    ok(&mut connect(&server), "AUTH ann x");
    assert!(run(&mut connect(&server), "AUTH ben x").is_error());
    assert!(run(&mut admin, "ACL SAVE").to_string().contains("not configured to use an ACL file"));
    ok(&mut admin, "ACL SETUSER cleo on >c +ping ~\"it's\"");
    assert_eq!(run(&mut admin, "ACL DELUSER ann"), Value::Integer(1));
    ok(&mut admin, "CONFIG REWRITE");
    let text = file.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("user ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        lines[0],
        "user ben on sanitize-payload resetchannels -@all (~b resetchannels -@all +get)"
    );
    assert!(
        lines[1].starts_with("user cleo on sanitize-payload #") && lines[1].contains("\"~it's\""),
        "{text}"
    );
    let users = run(&mut admin, "ACL LIST");
    drop(server);
    let server = start();
    assert_eq!(run(&mut connect(&server), "ACL LIST"), users, "what was written is read again");
}

#[test]
fn users_that_cannot_be_made_stop_the_start() {
    let cases = [
        ("user ann on +nothing", "Unknown command or category name"),
        ("user ann on secret", "Syntax error"),
        ("user ann\nuser ann", "Duplicate user 'ann'"),
        ("user ann (+get", "Unmatched parenthesis"),
    ];
    for (text, expected) in cases {
        for (name, flag) in [("anax.conf", None), ("users.acl", Some("--aclfile"))] {
            let file = Kept::new(name, text);
            let flags: Vec<&str> = flag.into_iter().chain([file.path()]).collect();
            let refused = refusal(&flags);
            assert!(refused.contains(expected) && !refused.contains("secret"), "{refused}");
        }
    }
    let (users, config) = (Kept::new("users.acl", ""), Kept::new("anax.conf", "user ann on"));
    let both = refusal(&[config.path(), "--aclfile", users.path()]);
    assert!(both.contains("in one of the two"), "{both}");
    // On the command line one word named an account, and the last one won.
    for flags in [
        &["--user", "ann", "--user", "ann"][..],
        &["--user", "ann", "on", "--user", "ben", "--user", "ann", "off"],
        &[config.path(), "--user", "ann"],
        &[config.path(), "--user ann off"],
    ] {
        let twice = refusal(flags);
        assert!(twice.contains("Duplicate user 'ann'"), "{flags:?}: {twice}");
    }
    let both = refusal(&["--user", "ann", "--aclfile", users.path()]);
    assert!(both.contains("in one of the two"), "{both}");
    let missing = refusal(&["--aclfile", "/nowhere/users.acl"]);
    assert!(missing.contains("No such file or directory"), "{missing}");
}
