//! `CONFIG GET` and `CONFIG SET`: values, names and every error text, as
//! Valkey 9.1 and Redis 8.0 answer them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use config::{Config, EvictionPolicy, ListenPort, SETTINGS, SetError, Status};

/// `CONFIG SET name value`, as a client of this machine.
fn set(config: &Config, name: &str, value: &str) -> Result<Config, SetError> {
    config.set(&[(name, value)], true)
}

/// What `CONFIG GET` prints for a setting after it was set.
fn becomes(name: &str, value: &str) -> String {
    let config = set(&Config::default(), name, value).unwrap();
    String::from_utf8(config.value(name).unwrap().to_vec()).unwrap()
}

/// The part of a refusal after the name of the argument.
fn refusal(name: &str, value: &str) -> String {
    let text = set(&Config::default(), name, value).unwrap_err().to_string();
    let about = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - ");
    text.strip_prefix(&about).unwrap_or(&text).to_owned()
}

#[test]
fn values_are_printed_in_one_form() {
    let cases = [
        ("maxmemory", "1G", "1000000000"),
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory", "1k", "1000"),
        ("maxmemory", "12B", "12"),
        ("maxmemory", "18446744073709551615", "18446744073709551615"),
        ("hz", "0", "1"),
        ("hz", "1000", "500"),
        ("protected-mode", "NO", "no"),
        ("protected-mode", "false", "no"),
        ("protected-mode", "1", "yes"),
        ("loglevel", "VERBOSE", "verbose"),
        ("save", "10 1 20 2", "10 1 20 2"),
        ("save", "", ""),
        (
            "client-output-buffer-limit",
            "replica 1gb 2mb 3",
            "normal 0 0 0 slave 1073741824 2097152 3 pubsub 33554432 8388608 60",
        ),
        (
            "client-output-buffer-limit",
            "",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        ("bind", "127.0.0.1 -::1", "127.0.0.1 -::1"),
        ("bind", "", ""),
        ("maxmemory-clients", "10%", "10%"),
        ("maxmemory-clients", "1mb", "1048576"),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "Kx", "xK"),
        ("notify-keyspace-events", "Kax", "xaK"),
        ("notify-keyspace-events", "VITSmEKcona", "anocKEmSTIV"),
        ("notify-keyspace-events", "aKEA", "AKE"),
        ("notify-keyspace-events", "g$lshzxetdaKEmn", "AnKEm"),
        ("notify-keyspace-events", "g$lshzxetdKE", "g$lshzxetdKE"),
        ("notify-keyspace-events", "AVcE", "AcEV"),
        ("notify-keyspace-events", "", ""),
        ("latency-tracking-info-percentiles", "50.0 99.50 100", "50 99.5 100"),
        ("latency-tracking-info-percentiles", "", ""),
        ("oom-score-adj", "relative", "yes"),
        ("oom-score-adj-values", "-1 2 3", "-1 2 3"),
        ("shutdown-on-sigterm", "now save", "save now"),
        ("shutdown-on-sigterm", "default", "default"),
        ("slowlog-log-slower-than", "-1", "-1"),
        ("table_growth_margin", "0.250", "0.25"),
        ("log-format", "LOGFMT", "logfmt"),
        ("requirepass", "\u{1}any thing\r\n", "\u{1}any thing\r\n"),
    ];
    for (name, value, printed) in cases {
        assert_eq!(becomes(name, value), printed, "{name} {value}");
    }
}

#[test]
fn refusals_have_the_texts_of_valkey() {
    let memory = "argument must be a memory value";
    let integer = "argument couldn't be parsed into an integer";
    let limits = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let cases = [
        ("maxmemory", "abc", memory),
        ("maxmemory", "-1", memory),
        ("maxmemory", "1.5gb", memory),
        ("maxmemory", "", memory),
        ("proto-max-bulk-len", "1tb", memory),
        ("proto-max-bulk-len", "99999999999999999999", memory),
        (
            "proto-max-bulk-len",
            "1",
            "argument must be between 1048576 and 9223372036854775807 inclusive",
        ),
        ("hz", "99999999999", "argument must be between 0 and 2147483647 inclusive"),
        ("hz", "x", integer),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("timeout", "abc", integer),
        ("timeout", "", integer),
        ("timeout", " 1", integer),
        ("timeout", "007", integer),
        ("timeout", "+7", integer),
        ("timeout", "-0", integer),
        ("tcp-keepalive", "99999999999999999999", integer),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("active-expire-effort", "11", "argument must be between 1 and 10 inclusive"),
        (
            "slowlog-log-slower-than",
            "-2",
            "argument must be between -1 and 9223372036854775807 inclusive",
        ),
        ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
        (
            "maxmemory-policy",
            "foo",
            "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, \
             volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction, volatile-lrm, \
             allkeys-lrm",
        ),
        (
            "loglevel",
            "foo",
            "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        ("bind", "a b c d e f g h i j k l m n o p q", "Too many bind addresses specified."),
        ("bind", " 127.0.0.1", "Failed to bind to specified addresses."),
        ("save", "1", "Invalid save parameters"),
        ("save", "1 2 3", "Invalid save parameters"),
        ("save", "0 1", "Invalid save parameters"),
        ("save", "10 1  20 2", "Invalid save parameters"),
        (
            "client-output-buffer-limit",
            "normal 1 2",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "master 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        ("client-output-buffer-limit", "normal a 2 3", limits),
        ("client-output-buffer-limit", "normal 1 2 -3", limits),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "x", "argument must be a memory or percent value"),
        ("maxmemory-clients", "-3", "argument must be a memory or percent value"),
        (
            "notify-keyspace-events",
            "KEAX",
            "Invalid event class character. Use 'Ag$lshzxeKEtmdnocaSTIV'.",
        ),
        (
            "latency-tracking-info-percentiles",
            "101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        (
            "latency-tracking-info-percentiles",
            "a",
            "Invalid latency-tracking-info-percentiles parameters",
        ),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        (
            "oom-score-adj-values",
            "1 2 5000",
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        (
            "shutdown-on-sigterm",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        (
            "shutdown-on-sigterm",
            "foo",
            "argument(s) must be one of the following: default, save, nosave, now, force, safe, failover",
        ),
        ("databases", "2", "can't set immutable config"),
        ("DataBases", "2", "can't set immutable config"),
        ("replicaof", "a 1", "can't set immutable config"),
        ("dir", "/tmp", "can't set protected config"),
        ("slave-priority", "-1", "argument must be between 0 and 2147483647 inclusive"),
    ];
    for (name, value, why) in cases {
        assert_eq!(refusal(name, value), why, "{name} {value}");
    }
}

#[test]
fn names_are_looked_at_before_values_and_from_left_to_right() {
    let config = Config::default();
    let error = |pairs: &[(&str, &str)]| config.set(pairs, true).unwrap_err().to_string();
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'";
    assert_eq!(error(&[("nosuch", "1")]), unknown);
    assert_eq!(error(&[("timeout", "x"), ("nosuch", "2"), ("databases", "3")]), unknown);
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    assert_eq!(
        error(&[("databases", "3"), ("nosuch", "2")]),
        format!("{failed} 'databases') - can't set immutable config")
    );
    assert_eq!(
        error(&[("maxclients", "1000"), ("MAXCLIENTS", "2000")]),
        format!("{failed} 'MAXCLIENTS') - duplicate parameter")
    );
    assert_eq!(
        error(&[("replica-priority", "1"), ("slave-priority", "2")]),
        format!("{failed} 'slave-priority') - duplicate parameter")
    );
    assert_eq!(
        error(&[("TIMEOUT", "x")]),
        format!("{failed} 'timeout') - argument couldn't be parsed into an integer")
    );
}

#[test]
fn an_error_is_one_line_whatever_the_name() {
    let error = set(&Config::default(), "no\r\nsuch\n", "1").unwrap_err().to_string();
    assert_eq!(error, "ERR Unknown option or number of arguments for CONFIG SET - 'no  such '");
}

#[test]
fn a_refused_change_changes_nothing_and_an_accepted_one_leaves_the_original() {
    let before = Config::default();
    assert!(before.set(&[("timeout", "5"), ("maxmemory", "x")], true).is_err());
    assert_eq!(before, Config::default());

    let after = before.set(&[("timeout", "5"), ("maxmemory", "1mb")], true).unwrap();
    assert_eq!(before, Config::default());
    let changed: Vec<&str> = before.changes(&after).map(|setting| setting.name).collect();
    assert_eq!(changed, ["timeout", "maxmemory"]);
    assert_eq!(after.live().maxmemory, 1 << 20);
}

#[test]
fn protected_settings_follow_enable_protected_configs() {
    let local = Config::default().with("enable-protected-configs", b"local").unwrap();
    assert!(local.set(&[("dir", "/data")], false).is_err());
    let changed = local.set(&[("dir", "/data")], true).unwrap();
    assert_eq!(changed.live().dir.to_str(), Some("/data"));

    let open = Config::default().with("enable-protected-configs", b"yes").unwrap();
    let error = |name, value| open.set(&[(name, value)], false).unwrap_err().to_string();
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    assert_eq!(
        error("dbfilename", "a/b"),
        format!("{failed} 'dbfilename') - dbfilename can't be a path, just a filename")
    );
    let nameless = open.set(&[("dbfilename", "")], false).unwrap();
    assert_eq!(nameless.live().dbfilename, "");
    assert_eq!(error("dir", ""), format!("{failed} 'dir') - dir can't be empty"));
}

#[test]
fn get_finds_names_aliases_and_patterns_once_and_sorted() {
    let config = Config::default();
    let names = |patterns: &[&str]| -> Vec<String> {
        config.get(patterns).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(
        names(&["slave-read-only", "replica-read-only"]),
        ["replica-read-only", "slave-read-only"]
    );
    assert_eq!(names(&["slowlog*"]), ["slowlog-log-slower-than", "slowlog-max-len"]);
    assert_eq!(
        names(&["*slower*"]),
        ["commandlog-execution-slower-than", "slowlog-log-slower-than"]
    );
    assert_eq!(names(&["MAXMEMORY", "maxmemory"]), ["MAXMEMORY"]);
    assert_eq!(names(&["MAXMEM?RY", "maxmemory"]), ["maxmemory"]);
    assert_eq!(names(&["tcp_keepalive", "dbnum"]), ["dbnum", "tcp_keepalive"]);
    assert_eq!(names(&["nosuch", "port", "port"]), ["port"]);
    assert_eq!(config.get(&["dbnum"]), [("dbnum".to_owned(), &b"16"[..])]);

    let all = names(&["*"]);
    assert!(all.is_sorted());
    let shown = SETTINGS.iter().filter(|setting| !setting.hidden);
    assert_eq!(all.len(), shown.map(|setting| setting.names().count()).sum());
    assert_eq!(names(&["key-load-delay"]), ["key-load-delay"]);
    assert!(!names(&["key-load*"]).contains(&"key-load-delay".to_owned()));
    assert!(names(&["\u{ff}", ""]).is_empty());
}

#[test]
fn defaults_are_those_of_redis() {
    let cases = [
        ("port", "6379"),
        ("bind", "* -::*"),
        ("databases", "16"),
        ("maxclients", "10000"),
        ("proto-max-bulk-len", "536870912"),
        ("client-query-buffer-limit", "1073741824"),
        ("save", "3600 1 300 100 60 10000"),
        ("latency-tracking-info-percentiles", "50 99 99.9"),
        ("lua-time-limit", "5000"),
        ("admin_port", "0"),
        ("primary_port_http_enabled", "yes"),
    ];
    for (name, value) in cases {
        assert_eq!(Config::default().value(name), Some(value.as_bytes()), "{name}");
    }
    let config = Config::default();
    assert_eq!(config.live().port, ListenPort::At(6379));
    assert_eq!(config.live().maxmemory_policy, EvictionPolicy::NoEviction);
    assert!(config.live().bind[1].optional);
}

#[test]
fn every_default_is_a_value_of_its_row_in_the_form_it_is_printed() {
    for setting in SETTINGS {
        let config = Config::default().with(setting.name, setting.default.as_bytes()).unwrap();
        assert_eq!(config, Config::default(), "{}", setting.name);
    }
}

#[test]
fn no_two_settings_share_a_name() {
    let mut names: Vec<String> = Vec::new();
    for setting in SETTINGS {
        let mut own: Vec<String> =
            setting.names().map(|name| name.to_lowercase().replace('_', "-")).collect();
        own.dedup();
        names.extend(own);
        assert!(!setting.doc.is_empty() && !setting.doc.ends_with('.'), "{}", setting.name);
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_live_setting_reaches_the_typed_view() {
    let candidates = [
        "no",
        "yes",
        "local",
        "1",
        "7",
        "2097152",
        "0.5",
        "debug",
        "json",
        "allkeys-lru",
        "allchannels",
        "relaxed",
        "x",
        "normal 1 2 3",
    ];
    for setting in SETTINGS.iter().filter(|setting| setting.is_live()) {
        let reaches = candidates.iter().any(|value| {
            Config::default()
                .with(setting.name, value.as_bytes())
                .is_ok_and(|config| config.live() != Config::default().live())
        });
        assert!(reaches, "{}", setting.name);
        assert!(matches!(setting.status, Status::Live | Status::LiveFor(_)));
    }
}

#[test]
fn a_password_is_not_shown() {
    let config = set(&Config::default(), "requirepass", "hunter2").unwrap();
    assert_eq!(config.live().requirepass.as_bytes(), b"hunter2");
    assert!(!format!("{config:?} {:?}", config.live()).contains("hunter2"));
}

/// `known_names.txt` lists what Redis 8.0, Valkey 9.1 and Dragonfly 1.40 call
/// their settings: configurations written for them must be understood.
#[test]
fn every_name_of_the_others_is_known() {
    let names = include_str!("known_names.txt").lines();
    let missing: Vec<&str> = names.filter(|name| config::find(name).is_none()).collect();
    assert_eq!(missing, [""; 0]);
}
