//! What is given at start: the command line, files and the environment.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use config::{Config, Files, Loaded, Outcome, Reason, load};

/// Files by their path, and standard input.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, String>,
    stdin: String,
}

impl Disk {
    fn with(files: &[(&str, &str)]) -> Disk {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Disk { files: files.collect(), stdin: String::new() }
    }
}

impl Files for Disk {
    fn read(&mut self, path: &Path) -> io::Result<String> {
        let text = self.files.get(path.to_str().unwrap()).cloned();
        text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>> {
        let prefix = match folder.to_str().unwrap() {
            "." => String::new(),
            "/" => "/".to_owned(),
            path => format!("{path}/"),
        };
        let inside = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        let names: Vec<String> =
            inside.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        if names.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(names)
    }

    fn stdin(&mut self) -> io::Result<String> {
        Ok(std::mem::take(&mut self.stdin))
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| if word == "''" { "" } else { word }.to_owned()).collect()
}

fn try_start(line: &str, env: &[(&str, &str)], disk: Disk) -> Result<Loaded, String> {
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut disk = disk;
    match load(&words(line), &env, &mut disk) {
        Ok(Outcome::Start(loaded)) => Ok(*loaded),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn start(line: &str) -> Loaded {
    try_start(line, &[], Disk::default()).unwrap()
}

fn error(line: &str) -> String {
    try_start(line, &[], Disk::default()).unwrap_err()
}

fn value(config: &Config, name: &str) -> String {
    String::from_utf8(config.value(name).unwrap().to_vec()).unwrap()
}

#[test]
fn the_command_line_takes_every_common_spelling() {
    let cases = [
        ("--port 7000", "port", "7000"),
        ("--port=7000", "port", "7000"),
        ("--port -1", "port", "-1"),
        ("--PORT 7000", "port", "7000"),
        ("--tcp_keepalive 5", "tcp-keepalive", "5"),
        ("--admin-nopass", "admin_nopass", "yes"),
        ("--admin_nopass --port 1", "admin_nopass", "yes"),
        ("--admin_nopass=true", "admin_nopass", "yes"),
        ("--noprotected-mode", "protected-mode", "no"),
        ("--noprotected_mode --port 1", "protected-mode", "no"),
        ("--no_tls_on_admin_port", "no_tls_on_admin_port", "yes"),
        ("--dbnum=4", "databases", "4"),
        ("--save 900 1 --port 1", "save", "900 1"),
        ("--save 900 1 --save 60 5", "save", "900 1 60 5"),
        ("--save ''", "save", ""),
        ("--save", "save", ""),
        ("--bind 127.0.0.1 -::1", "bind", "127.0.0.1 -::1"),
        ("--maxmemory=2gb", "maxmemory", "2147483648"),
        ("--requirepass -abc", "requirepass", "-abc"),
        ("--replicaof=host:7000", "replicaof", "host 7000"),
        ("--slaveof host 7000", "replicaof", "host 7000"),
        ("--user=anax", "user", "anax"),
    ];
    for (line, name, expected) in cases {
        assert_eq!(value(&start(line).config, name), expected, "{line}");
    }
}

#[test]
fn words_of_one_argument_are_split_for_settings_of_many_words() {
    let args = ["--save", "900 1 60 5", "--bind", "127.0.0.1 ::1"].map(str::to_owned);
    let Ok(Outcome::Start(loaded)) = load(&args, &[], &mut Disk::default()) else { panic!() };
    assert_eq!(value(&loaded.config, "save"), "900 1 60 5");
    assert_eq!(value(&loaded.config, "bind"), "127.0.0.1 ::1");
}

/// Compose files and orchestrators often hand a name and its value over as one argument.
#[test]
fn a_name_and_its_value_may_be_one_argument() {
    let cases: [(&[&str], &str, &str); 9] = [
        (&["--maxmemory 700mb", "--hz 20"], "maxmemory", "734003200"),
        (&["--maxmemory '700mb'"], "maxmemory", "734003200"),
        (&["--save 900 1", "--port 1"], "save", "900 1"),
        (&["--save 900 1", "60", "5"], "save", "900 1 60 5"),
        (&["--requirepass a=b c"], "requirepass", ""),
        (&["--requirepass=a b"], "requirepass", "a b"),
        (&["--pidfile --there"], "pidfile", "--there"),
        (&["--pidfile", "--there", "--hz", "7"], "pidfile", "--there"),
        (&["--pidfile=--hz"], "pidfile", "--hz"),
    ];
    for (args, name, expected) in cases {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        match load(&args, &[], &mut Disk::default()) {
            Ok(Outcome::Start(loaded)) => {
                assert_eq!(value(&loaded.config, name), expected, "{args:?}");
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(expected.is_empty(), "{error}"),
        }
    }
}

#[test]
fn words_behind_the_file_may_be_a_line_of_it() {
    let disk = || Disk::with(&[("my.conf", "hz 30\n")]);
    let started = |line: &str| try_start(line, &[], disk());
    let loaded = started("my.conf loglevel verbose --port 7").unwrap();
    assert_eq!(value(&loaded.config, "loglevel"), "verbose");
    assert_eq!(value(&loaded.config, "port"), "7");
    assert!(started("my.conf nonsense verbose").is_err());
    assert!(started("my.conf --port 7 8 loglevel verbose").is_err());
}

#[test]
fn help_and_version_are_asked_for_before_anything_is_read() {
    let ask = |line: &str| load(&words(line), &[], &mut Disk::default()).unwrap();
    for line in ["--help", "-h", "missing.conf --help", "--port 1 --help"] {
        assert_eq!(ask(line), Outcome::Help, "{line}");
    }
    for line in ["--version", "-v"] {
        assert_eq!(ask(line), Outcome::Version, "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let cases = [
        ("--maxmemry 1", "command line: unknown setting 'maxmemry'; did you mean 'maxmemory'?"),
        ("--zzzzzzzz 1", "command line: unknown setting 'zzzzzzzz'; --help lists them all"),
        (
            "--maxmemory abc",
            "command line: maxmemory 'abc': argument must be a memory value \
             (allowed: bytes, with a unit if wanted)",
        ),
        (
            "--port 70000",
            "command line: port '70000': argument must be between -1 and 65535 inclusive \
             (allowed: a whole number from -1 to 65535)",
        ),
        ("--port", "command line: port needs a value (allowed: a whole number from -1 to 65535)"),
        ("--proc-title-template --port", ""),
        ("--flagfile", "command line: flagfile needs a value (allowed: a path)"),
        (
            "--port 1 2",
            "command line: port '1 2': wrong number of arguments \
             (allowed: a whole number from -1 to 65535)",
        ),
        (
            "--timeout 1 - x",
            "command line: timeout '1 - x': wrong number of arguments \
             (allowed: seconds from 0 to 2147483647)",
        ),
        ("redis.conf", "redis.conf: cannot be read: entity not found"),
        ("-", ""),
    ];
    for (line, text) in cases {
        let got = try_start(line, &[], Disk::default()).err().unwrap_or_default();
        assert_eq!(got, text, "{line}");
    }
    assert!(error("--requirepass hunter2 hunter3").contains("(hidden)"));
}

#[test]
fn a_file_is_read_as_redis_reads_it() {
    let text = "\u{feff}# a comment\r\n\
        \tPORT 7000\r\n\
        \n\
        requirepass \"a b\\x21\"\n\
        save 900 1\n\
        save 300 10\n\
        client-output-buffer-limit normal 1mb 0 0\n\
        client-output-buffer-limit pubsub 0 0 0\n\
        bind 127.0.0.1 -::1\n\
        io-threads-do-reads no\n\
        list-max-ziplist-entries 512\n\
        hash-max-ziplist-entries 100\n\
        unixsocketperm 700\n";
    let loaded = try_start("my.conf", &[], Disk::with(&[("my.conf", text)])).unwrap();
    let value = |name| value(&loaded.config, name);
    assert_eq!(value("port"), "7000");
    assert_eq!(value("requirepass"), "a b!");
    assert_eq!(value("save"), "900 1 300 10");
    assert_eq!(
        value("client-output-buffer-limit"),
        "normal 1048576 0 0 slave 268435456 67108864 60 pubsub 0 0 0"
    );
    assert_eq!(value("hash-max-listpack-entries"), "100");
    assert_eq!(loaded.config.live().unixsocketperm, Some(0o700));
    assert_eq!(loaded.file.as_deref(), Some(Path::new("my.conf")));
}

#[test]
fn a_wrong_line_of_a_file_is_named() {
    let cases = [
        ("\nport x\n", "my.conf, line 2: port 'x': "),
        ("port\n", "my.conf, line 1: port '': wrong number of arguments"),
        ("a\nport \"1\n", "my.conf, line 1: unknown setting 'a'"),
        ("port \"1\n", "my.conf, line 1: Unbalanced quotes in configuration line"),
        ("save \"1 2 3\"", "my.conf, line 1: save '1 2 3': Invalid save parameters"),
        ("include other.conf\n", "other.conf: cannot be read"),
        ("include my.conf\n", "my.conf: files include one another more than 16 deep"),
    ];
    for (text, start) in cases {
        let disk = Disk::with(&[("my.conf", text)]);
        let error = try_start("my.conf", &[], disk).unwrap_err();
        assert!(error.starts_with(start), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn includes_follow_patterns_in_order_and_skip_hidden_files() {
    let disk = Disk::with(&[
        ("my.conf", "timeout 1\ninclude conf.d/*.conf\ninclude none/*.conf\n"),
        ("conf.d/2.conf", "timeout 2\n"),
        ("conf.d/1.conf", "timeout 3\nhz 20\n"),
        ("conf.d/.hidden.conf", "timeout 9\n"),
        ("conf.d/1.CONF", "timeout 8\n"),
    ]);
    let loaded = try_start("my.conf", &[], disk).unwrap();
    assert_eq!(value(&loaded.config, "timeout"), "2");
    assert_eq!(value(&loaded.config, "hz"), "20");
}

#[test]
fn files_that_include_many_files_are_cut_off() {
    let disk = Disk::with(&[
        ("a", "include b\ninclude b\n"),
        ("b", &"include c\n".repeat(300)),
        ("c", ""),
    ]);
    let error = try_start("a", &[], disk).unwrap_err();
    assert_eq!(error, "c: more than 256 files are included");
}

#[test]
fn later_sources_win() {
    let disk = || Disk {
        stdin: "timeout 4\n".to_owned(),
        ..Disk::with(&[
            ("my.conf", "timeout 3\nhz 30\nsave 1 1\n"),
            ("flags", "# flags\n--timeout=5\n-maxmemory=1gb\n--noprotected_mode\n--admin_nopass\n"),
        ])
    };
    let env = [
        ("DFLY_timeout", "1"),
        ("ANAX_timeout", "2"),
        ("DFLY_hz", "10"),
        ("ANAX_tcp-backlog", "9"),
        ("PATH", "/bin"),
    ];
    let timeout = |line: &str| value(&try_start(line, &env, disk()).unwrap().config, "timeout");
    assert_eq!(timeout(""), "2");
    assert_eq!(timeout("my.conf"), "3");
    assert_eq!(timeout("my.conf -"), "4");
    assert_eq!(timeout("-"), "4");
    assert_eq!(timeout("my.conf --flagfile=flags"), "5");
    assert_eq!(timeout("my.conf --timeout 6 --flagfile flags"), "6");
    assert_eq!(timeout("my.conf --timeout 6 --timeout 7"), "7");

    let loaded = try_start("my.conf --save 2 2 --flagfile flags", &env, disk()).unwrap();
    let value = |name| value(&loaded.config, name);
    assert_eq!(value("save"), "1 1 2 2");
    assert_eq!(value("hz"), "30");
    assert_eq!(value("tcp-backlog"), "9");
    assert_eq!(value("maxmemory"), "1073741824");
    assert_eq!(value("protected-mode"), "no");
    assert_eq!(value("admin_nopass"), "yes");
}

#[test]
fn the_environment_may_hold_the_password_and_what_is_not_ours() {
    let env = [
        ("ANAX_PORT", "tcp://10.0.0.1:6379"),
        ("ANAX_SERVICE_HOST", "10.0.0.1"),
        ("DFLY_DEV_ENV", "1"),
        ("ANAX_PASSWORD", "s3cret"),
    ];
    let loaded = try_start("", &env, Disk::default()).unwrap();
    assert_eq!(value(&loaded.config, "requirepass"), "s3cret");
    assert_eq!(value(&loaded.config, "port"), "6379");

    let wrong = |name, value| try_start("", &[(name, value)], Disk::default()).unwrap_err();
    assert_eq!(
        wrong("ANAX_maxmemry", "1"),
        "environment, ANAX_maxmemry: unknown setting 'maxmemry'; did you mean 'maxmemory'?"
    );
    assert!(wrong("DFLY_port", "x").starts_with("environment, DFLY_port: port 'x': "));

    let flags = Disk::with(&[("flags", "--hz=7\n")]);
    let loaded = try_start("", &[("DFLY_flagfile", "flags")], flags).unwrap();
    assert_eq!(value(&loaded.config, "hz"), "7");
}

#[test]
fn what_is_not_obeyed_is_noticed_and_what_is_off_is_not() {
    let noticed = |line: &str| -> Vec<(&str, Reason)> {
        let notices = start(line).notices;
        notices.iter().map(|notice| (notice.setting.name, notice.reason)).collect()
    };
    for quiet in [
        "",
        "--save '' --appendonly no --cluster-enabled no --daemonize no",
        "--maxmemory 1gb --maxmemory-policy noeviction --port 1",
        "--io-threads 1 --tls-port 0 --repl-timeout 60",
    ] {
        assert_eq!(noticed(quiet), [], "{quiet}");
    }
    assert_eq!(noticed("--appendonly yes"), [("appendonly", Reason::Later)]);
    assert_eq!(noticed("--save 3600 1 300 100 60 10000"), [("save", Reason::Later)]);
    assert_eq!(
        noticed("--maxmemory-policy allkeys-lru"),
        [("maxmemory-policy", Reason::ValueLater)]
    );
    assert_eq!(
        noticed("--tls --restricted_commands x"),
        [("restricted_commands", Reason::Unprotected), ("tls", Reason::Unprotected)]
    );
    assert_eq!(noticed("--io-threads 4"), [("io-threads", Reason::Inert)]);
    assert_eq!(noticed("--appendonly yes --appendonly no"), []);

    let notices = start("--masterauth hunter2 --tls-port 7").notices;
    let texts: Vec<String> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "command line: masterauth '(hidden)': accepted, but what it controls is not implemented yet",
            "command line: tls-port '7': accepted, but what it controls is not implemented yet",
        ]
    );
}

#[test]
fn lines_that_are_no_settings_are_handed_back() {
    let text = "user default off\nUSER alice on\nrename-command CONFIG \"\"\nloadmodule /m.so x\n";
    let disk = Disk::with(&[("my.conf", text)]);
    let loaded = try_start("my.conf --user bob on --user cleo", &[], disk).unwrap();
    let names: Vec<(&str, usize)> =
        loaded.directives.iter().map(|line| (line.name, line.words.len())).collect();
    assert_eq!(
        names,
        [
            ("user", 2),
            ("user", 2),
            ("rename-command", 2),
            ("loadmodule", 2),
            ("user", 2),
            ("user", 1)
        ]
    );
    assert_eq!(loaded.directives[2].words, [b"CONFIG".to_vec(), Vec::new()]);
    assert_eq!(loaded.directives[1].origin.to_string(), "my.conf, line 2");
}
