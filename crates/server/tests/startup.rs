//! The binary as its operators meet it: flags, files, environment, signals, logs, HTTP.

#![expect(clippy::unwrap_used, reason = "all of this file is tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use testkit::server::ServerProcess;
use testkit::{Client, Value};

fn anax() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_anax"))
}

/// A server on 127.0.0.1 with two workers and these arguments.
fn start(arguments: &[&str]) -> ServerProcess {
    let mut all = arguments.to_vec();
    all.extend(["--bind", "127.0.0.1", "--proactor_threads", "2"]);
    ServerProcess::start(anax(), &all).unwrap()
}

/// Runs the binary to its end.
fn run(arguments: &[&str]) -> Output {
    Command::new(anax()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The one line on standard error with which a start that cannot be ends.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(log.lines().all(|line| line.contains(":M ")), "{log}");
    text
}

fn ask(client: &mut Client, request: &str) -> Value {
    client.command(&request.split(' ').collect::<Vec<_>>()).unwrap()
}

/// The value that CONFIG GET shows.
fn setting(client: &mut Client, name: &str) -> String {
    let Value::Array(pair) = ask(client, &format!("CONFIG GET {name}")) else {
        panic!("CONFIG GET {name} answers no array")
    };
    String::from_utf8(pair[1].as_bytes().unwrap().to_vec()).unwrap()
}

fn log_of(server: &ServerProcess) -> String {
    fs::read_to_string(server.directory().join("log")).unwrap()
}

/// The port in the line of the log that says a listener of this kind is ready.
fn ready_port(server: &ServerProcess, kind: &str) -> u16 {
    let log = log_of(server);
    let start = format!("Ready to accept connections {kind} port=");
    let (_, rest) = log.split_once(&start).unwrap_or_else(|| panic!("{start} in {log}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

fn signal(server: &ServerProcess, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

/// What an HTTP server answers, head and body.
fn http(port: u16, request: &str) -> (String, String) {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

fn get(port: u16, path: &str) -> (String, String) {
    http(port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

#[test]
fn help_lists_every_live_setting_and_version_is_a_line() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for setting in config::SETTINGS.iter().filter(|setting| setting.is_live()) {
        assert!(help.contains(&format!("--{} ", setting.name)), "{}", setting.name);
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert_eq!(version, format!("anax v{}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_cannot_be_stops_the_start_with_one_line() {
    let folder = std::env::temp_dir().join(format!("anax-refusals-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    assert!(refusal(&["--maxmemry", "5"]).contains("did you mean 'maxmemory'"));
    assert!(refusal(&["--port", "70000"]).contains("port '70000'"));
    assert!(refusal(&["/nowhere/anax.conf"]).contains("/nowhere/anax.conf"));
    let bad = file("bad.conf", "port 7\nbind \"127.0.0.1\n");
    assert!(refusal(&[&bad]).contains("bad.conf, line 2"));
    let loads = file("loads.conf", "loadmodule /secret.so\n");
    let text = refusal(&[&loads]);
    assert!(text.contains("'loadmodule'") && !text.contains("secret"), "{text}");
    let renamed = file("renamed.conf", "rename-command nosuch other\n");
    assert!(refusal(&[&renamed]).contains("renamed.conf, line 1: No such command"));
    let renamed = file("taken.conf", "rename-command CONFIG get\n");
    assert!(refusal(&[&renamed]).contains("name already exists"));
    assert!(refusal(&["--tls", "yes"]).contains("protection"));
    assert!(refusal(&["--dir", "/nowhere"]).contains("/nowhere"));
    assert!(refusal(&["--logfile", "/nowhere/log", "--port", "0"]).contains("/nowhere/log"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_port_that_is_taken_stops_the_start() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = refusal(&["--bind", "127.0.0.1", "--port", &port]);
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
}

/// By the new name alone, whatever stands before it in a pipeline; rights are given by the old one.
#[test]
fn commands_are_called_by_the_names_that_they_are_given() {
    let folder = std::env::temp_dir().join(format!("anax-renamed-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("anax.conf");
    fs::write(&file, "rename-command flushdb badger\nrename-command SET \"\"\n").unwrap();
    for _ in 0..2 {
        let server = start(&[file.to_str().unwrap(), "--dir", folder.to_str().unwrap()]);
        let mut client = server.client().unwrap();
        client.send(b"BADGER\r\nFLUSHDB\r\nbadger\r\nSET a 1\r\n").unwrap();
        assert_eq!(client.reply().unwrap(), Value::simple("OK"));
        assert!(client.reply().unwrap().to_string().contains("unknown command 'FLUSHDB'"));
        assert_eq!(client.reply().unwrap(), Value::simple("OK"));
        assert!(client.reply().unwrap().to_string().contains("unknown command 'SET'"));
        assert_eq!(ask(&mut client, "COMMAND INFO set"), Value::Array(vec![Value::Nil]));
        assert!(ask(&mut client, "INFO commandstats").to_string().contains("cmdstat_flushdb"));
        let set_user = "ACL SETUSER ann on nopass +@all -flushdb";
        assert_eq!(ask(&mut client, set_user), Value::simple("OK"));
        assert_eq!(ask(&mut client, "AUTH ann x"), Value::simple("OK"));
        assert!(ask(&mut client, "badger").to_string().contains("NOPERM"));
        assert_eq!(ask(&mut client, "CONFIG REWRITE"), Value::simple("OK"));
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// Scripts wait for the words of Redis, on standard output.
#[test]
fn the_log_begins_with_the_process_and_tells_when_it_is_ready() {
    let server = start(&["--logtostderr", "no"]);
    let log = log_of(&server);
    let own = format!("{}:M ", server.id());
    assert!(log.lines().all(|line| line.starts_with(&own)), "{log}");
    let process = log.find(&format!(" PID: {}\n", server.id())).expect("it tells its number");
    let initialized = log.find(" * Server initialized\n").expect("it tells that it is ready");
    let ready = log.find(" * Ready to accept connections tcp ").expect("it listens");
    assert!(process < initialized && initialized < ready, "{log}");
}

#[test]
fn files_and_includes_are_read_and_the_command_line_wins() {
    let folder = std::env::temp_dir().join(format!("anax-files-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let included = folder.join("more.conf");
    fs::write(&included, "maxclients 77\nhz 50\n").unwrap();
    let main = folder.join("main.conf");
    fs::write(&main, format!("include {}\nmaxmemory 1gb\nhz 20\n", included.display())).unwrap();
    let server = start(&[main.to_str().unwrap(), "--maxmemory", "2gb"]);
    let client = &mut server.client().unwrap();
    assert_eq!(setting(client, "maxclients"), "77");
    assert_eq!(setting(client, "hz"), "20");
    assert_eq!(setting(client, "maxmemory"), "2147483648");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_environment_gives_settings_and_the_password() {
    let mut child = Command::new(anax())
        .args(["--bind", "127.0.0.1", "--port", "-1", "--proactor_threads", "1"])
        .envs([("ANAX_maxclients", "55"), ("ANAX_PASSWORD", "sesame"), ("ANAX_PORT", "tcp://x")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ready to accept connections tcp port=") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0, "it ended");
    }
    let port: u16 = line.trim().rsplit('=').next().unwrap().parse().unwrap();
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert!(ask(&mut client, "PING").to_string().contains("NOAUTH"));
    assert_eq!(ask(&mut client, "AUTH sesame"), Value::simple("OK"));
    assert_eq!(setting(&mut client, "maxclients"), "55");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn settings_are_changed_all_or_none_and_written_to_the_file() {
    let folder = std::env::temp_dir().join(format!("anax-rewrite-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("anax.conf");
    fs::write(&file, "# kept\nmaxclients 100\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let server = start(&[file.to_str().unwrap()]);
    let client = &mut server.client().unwrap();
    assert_eq!(ask(client, "CONFIG SET maxclients 200 maxmemory 3mb"), Value::simple("OK"));
    let refused = ask(client, "CONFIG SET hz 99 maxclients 0").to_string();
    let expected = "(error) ERR CONFIG SET failed (possibly related to argument 'maxclients') - \
                    argument must be between 1 and 4294967295 inclusive";
    assert_eq!(refused, expected);
    assert_eq!(setting(client, "hz"), "10");
    assert_eq!(ask(client, "CONFIG REWRITE"), Value::simple("OK"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# kept\nmaxclients 200\n") && text.contains("maxmemory 3mb"),
        "{text}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no other file is left");
    let again = start(&[file.to_str().unwrap()]);
    assert_eq!(setting(&mut again.client().unwrap(), "maxclients"), "200");
    fs::remove_dir_all(&folder).unwrap();
}

/// What does nothing yet says so in the log, at the start and when it is set later.
#[test]
fn what_is_not_obeyed_is_logged() {
    let server = start(&["--maxmemory-policy", "allkeys-lru", "--cache_mode=true"]);
    let client = &mut server.client().unwrap();
    let log = log_of(&server);
    assert!(
        log.contains("maxmemory-policy 'allkeys-lru': accepted, but this value has no"),
        "{log}"
    );
    assert!(log.contains("cache_mode 'yes': accepted, but what it controls is not"), "{log}");
    assert_eq!(ask(client, "CONFIG SET maxmemory-policy volatile-ttl"), Value::simple("OK"));
    assert_eq!(ask(client, "CONFIG SET hz 20 appendonly yes"), Value::simple("OK"));
    let log = log_of(&server);
    assert!(log.contains("CONFIG SET: maxmemory-policy 'volatile-ttl': accepted, but"), "{log}");
    assert!(log.contains("CONFIG SET: appendonly 'yes': accepted, but"), "{log}");
    assert!(!log.contains("CONFIG SET: hz"), "{log}");
    let refused = ask(client, "CONFIG SET tls-replication yes").to_string();
    assert!(refused.contains("asks for protection that is not implemented yet"), "{refused}");
    assert_eq!(setting(client, "tls-replication"), "no");
}

#[test]
fn config_refuses_as_others_do() {
    let server = start(&[]);
    let client = &mut server.client().unwrap();
    let cases = [
        ("CONFIG REWRITE", "ERR The server is running without a config file"),
        ("CONFIG", "ERR wrong number of arguments for 'config' command"),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG SET port", "ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET port 1 bind", "ERR syntax error"),
        ("CONFIG FOO", "ERR unknown subcommand 'FOO'. Try CONFIG HELP."),
        (
            "CONFIG SET nosuch 1",
            "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        ),
        (
            "CONFIG SET databases 3",
            "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set \
             immutable config",
        ),
        (
            "CONFIG SET dir /tmp",
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected \
             config",
        ),
        (
            "CONFIG SET bind 192.0.2.1",
            "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to \
             specified addresses.",
        ),
    ];
    for (request, error) in cases {
        assert_eq!(ask(client, request).to_string(), format!("(error) {error}"), "{request}");
    }
    assert_eq!(ask(client, "CONFIG GET nosuch"), Value::Array(Vec::new()));
    let refused = ask(client, "CONFIG SET maxclients 4294967295").to_string();
    assert!(refused.contains("The operating system is not able to handle"), "{refused}");
    let Value::Array(lines) = ask(client, "CONFIG HELP") else { panic!("HELP answers lines") };
    assert!(lines.len() > 8);
}

#[test]
fn the_folder_is_entered_and_shown_in_full() {
    let server = start(&["--enable-protected-configs", "local", "--dir", "."]);
    let client = &mut server.client().unwrap();
    let folder = fs::canonicalize(server.directory()).unwrap();
    assert_eq!(setting(client, "dir"), folder.to_str().unwrap());
    fs::create_dir(folder.join("inner")).unwrap();
    assert_eq!(ask(client, "CONFIG SET dir inner"), Value::simple("OK"));
    assert_eq!(setting(client, "dir"), folder.join("inner").to_str().unwrap());
    let refused = ask(client, "CONFIG SET dir nowhere").to_string();
    let expected = "(error) ERR CONFIG SET failed (possibly related to argument 'dir') - No such \
                    file or directory";
    assert_eq!(refused, expected);
    assert_eq!(setting(client, "dir"), folder.join("inner").to_str().unwrap());
}

#[test]
fn the_port_is_changed_and_those_connected_stay() {
    let server = start(&[]);
    let client = &mut server.client().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = ask(client, &format!("CONFIG SET port {port}")).to_string();
    let expected = "(error) ERR CONFIG SET failed (possibly related to argument 'port') - Unable \
                    to listen on this port. Check server logs.";
    assert_eq!(refused, expected);
    assert!(server.client().is_ok(), "it listens where it did");
    drop(taken);
    assert_eq!(ask(client, &format!("CONFIG SET port {port}")), Value::simple("OK"));
    let mut new = Client::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(ask(&mut new, "PING"), Value::simple("PONG"));
    assert!(server.client().is_err(), "nobody listens on the old port");
    assert_eq!(ask(client, "CONFIG SET bind 127.0.0.2"), Value::simple("OK"));
    assert!(Client::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(Client::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_ok());
    assert_eq!(ask(client, "CONFIG SET port 0"), Value::simple("OK"));
    assert!(Client::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_err());
    assert_eq!(ask(client, "PING"), Value::simple("PONG"));
}

#[test]
fn a_password_set_later_asks_only_those_who_come_later() {
    let server = start(&[]);
    let mut first = server.client().unwrap();
    assert_eq!(ask(&mut first, "CONFIG SET requirepass sesame"), Value::simple("OK"));
    assert_eq!(ask(&mut first, "PING"), Value::simple("PONG"));
    let mut second = server.client().unwrap();
    assert!(ask(&mut second, "PING").to_string().contains("NOAUTH"));
    assert_eq!(ask(&mut second, "AUTH sesame"), Value::simple("OK"));
    assert!(!log_of(&server).contains("sesame"));
}

#[test]
fn a_signal_ends_the_server_in_order_and_a_hang_up_does_not() {
    let mut server =
        start(&["--pidfile", "pid", "--unixsocket", "sock", "--unixsocketperm", "700"]);
    let pid = server.directory().join("pid");
    let socket = server.directory().join("sock");
    assert_eq!(fs::read_to_string(&pid).unwrap().trim(), server.id().to_string());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    let mut local = Client::connect_unix(&socket).unwrap();
    assert_eq!(ask(&mut local, "PING"), Value::simple("PONG"));
    signal(&server, Signal::HUP);
    signal(&server, Signal::PIPE);
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "PING"), Value::simple("PONG"));
    signal(&server, Signal::TERM);
    assert!(client.is_closed().unwrap() && local.is_closed().unwrap());
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(!pid.exists() && !socket.exists());
    assert!(log_of(&server).contains("received SIGTERM"));
}

#[test]
fn a_socket_file_that_is_left_over_is_replaced_and_another_file_is_not() {
    let server = start(&["--unixsocket", "sock"]);
    let socket = server.directory().join("sock");
    let in_use = refusal(&["--port", "0", "--unixsocket", socket.to_str().unwrap()]);
    assert!(in_use.contains("sock"), "{in_use}");
    let left_over = server.directory().join("left-over");
    drop(std::os::unix::net::UnixListener::bind(&left_over).unwrap());
    let again = start(&["--unixsocket", left_over.to_str().unwrap()]);
    assert!(Client::connect_unix(&left_over).is_ok());
    drop(again);
    let precious = server.directory().join("precious");
    fs::write(&precious, "text").unwrap();
    refusal(&["--port", "0", "--unixsocket", precious.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "text");
}

#[test]
fn http_is_answered_on_both_ports_with_the_password_if_there_is_one() {
    let server = start(&["--admin_port", "-1"]);
    let (main, admin) = (server.address().port(), ready_port(&server, "admin"));
    for port in [main, admin] {
        let (head, body) = get(port, "/healthz");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, "OK");
        assert!(get(port, "/").1.contains("href=\"/metrics\""));
        assert!(get(port, "/metrics?x=y").1.contains("\ndragonfly_used_memory "));
        assert!(get(port, "/nowhere").0.starts_with("HTTP/1.1 404"));
        assert!(http(port, "POST / HTTP/1.1\r\nHost: x\r\n\r\n").0.starts_with("HTTP/1.1 405"));
        let (head, body) = http(port, "HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.contains(" 200 OK") && body.is_empty(), "{head}");
    }
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "CONFIG SET requirepass sesame"), Value::simple("OK"));
    for port in [main, admin] {
        let (head, body) = get(port, "/metrics");
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        assert!(head.contains("www-authenticate: Basic"), "{head}");
        assert!(!body.contains("dragonfly"));
        let with = |word: &str| {
            let start = "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization:";
            http(port, &format!("{start} {word}\r\n\r\n")).0
        };
        // default:sesame, default:sesam, other:sesame
        assert!(with("Basic ZGVmYXVsdDpzZXNhbWU=").starts_with("HTTP/1.1 200"));
        for wrong in ["Basic ZGVmYXVsdDpzZXNhbQ==", "Basic b3RoZXI6c2VzYW1l", "Basic", "x"] {
            assert!(with(wrong).starts_with("HTTP/1.1 401"), "{wrong}");
        }
        // Who may run INFO may see what it is made of.
        let mut set =
            |rule: &str| ask(&mut client, &format!("ACL SETUSER other on >sesame {rule}"));
        for (rule, status) in [("+get", 401), ("+info", 200), ("reset", 401)] {
            assert_eq!(set(rule), Value::simple("OK"));
            let head = with("Basic b3RoZXI6c2VzYW1l");
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{rule}: {head}");
        }
    }
}

#[test]
fn the_admin_port_may_need_no_password_and_the_main_port_may_have_no_http() {
    let server = start(&["--admin_port", "-1", "--admin_nopass", "--noprimary_port_http_enabled"]);
    let admin = ready_port(&server, "admin");
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "CONFIG SET requirepass sesame"), Value::simple("OK"));
    assert!(get(admin, "/metrics").0.starts_with("HTTP/1.1 200"));
    assert_eq!(get(server.address().port(), "/healthz").0, "");
    let mut admin = Client::connect((Ipv4Addr::LOCALHOST, admin)).unwrap();
    assert_eq!(ask(&mut admin, "PING"), Value::simple("PONG"));
    assert!(ask(&mut server.client().unwrap(), "PING").to_string().contains("NOAUTH"));
}

#[test]
fn the_admin_port_lets_in_more_than_maxclients() {
    let server = start(&["--admin_port", "-1"]);
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "CONFIG SET maxclients 1"), Value::simple("OK"));
    let mut other = server.client().unwrap();
    let refused = other.receive().unwrap().to_string();
    assert_eq!(refused, "(error) ERR max number of clients reached");
    let port = ready_port(&server, "admin");
    let mut admin = Client::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(ask(&mut admin, "PING"), Value::simple("PONG"));
}

#[test]
fn the_first_line_is_understood_however_it_is_cut() {
    let server = start(&["--admin_port", "-1"]);
    let requests = [
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "*1\r\n$4\r\nPING\r\n",
        "GET /x\r\n",
        "PING\r\n",
    ];
    for port in [server.address().port(), ready_port(&server, "admin")] {
        for request in requests {
            for cut in 1..request.len() {
                let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                socket.set_nodelay(true).unwrap();
                for part in [&request[..cut], &request[cut..]] {
                    socket.write_all(part.as_bytes()).unwrap();
                }
                let mut answer = [0; 5];
                socket.read_exact(&mut answer).unwrap();
                let expected: &[u8] = match request {
                    _ if request.contains("HTTP") => b"HTTP/",
                    "GET /x\r\n" => b"$-1\r\n",
                    _ => b"+PONG",
                };
                assert_eq!(answer, expected, "{request:?} cut at {cut}");
            }
        }
    }
}

#[test]
fn http_behind_other_requests_ends_the_connection() {
    let server = start(&[]);
    let mut client = server.client().unwrap();
    client.send(b"PING\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n").unwrap();
    assert_eq!(client.reply().unwrap(), Value::simple("PONG"));
    assert!(client.is_closed().unwrap());
    assert_eq!(ask(&mut server.client().unwrap(), "GET a"), Value::Nil);
}

#[test]
fn lines_of_the_log_are_json_if_that_is_asked_for() {
    let server = start(&["--log_format", "json", "--cache_mode", "yes", "--hz", "20"]);
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "CONFIG SET bind 127.0.0.1"), Value::simple("OK"));
    client.command(&["CONFIG", "SET", "bind", "192.0.2.1"]).unwrap();
    let log = log_of(&server);
    assert!(log.lines().count() >= 3, "{log}");
    for line in log.lines() {
        assert_eq!(json(line.trim().as_bytes()), Some(&b""[..]), "{line}");
        for name in ["time", "level", "message"] {
            assert!(line.contains(&format!("\"{name}\":")), "{line}");
        }
    }
    assert!(log.contains("cache_mode"), "what is not obeyed is warned of");
    assert_eq!(ask(&mut client, "CONFIG SET log_format logfmt"), Value::simple("OK"));
    client.command(&["CONFIG", "SET", "bind", "192.0.2.1"]).unwrap();
    let log = log_of(&server);
    assert!(log.lines().last().unwrap().contains(" level=warn message="), "{log}");
}

#[test]
fn the_weight_of_the_log_is_changed_while_it_runs() {
    let server = start(&["--logfile", "out.log"]);
    let path = server.directory().join("out.log");
    let mut client = server.client().unwrap();
    let fail = |client: &mut Client| client.command(&["CONFIG", "SET", "bind", "192.0.2.1"]);
    assert_eq!(ask(&mut client, "CONFIG SET loglevel nothing"), Value::simple("OK"));
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains("Ready to accept connections tcp"));
    fail(&mut client).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    fs::rename(&path, server.directory().join("old.log")).unwrap();
    assert_eq!(ask(&mut client, "CONFIG SET loglevel warning"), Value::simple("OK"));
    fail(&mut client).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after.lines().count(), 1, "a log that was moved away begins anew: {after}");
}

#[test]
fn statistics_begin_anew_and_metrics_do_not() {
    let server = start(&[]);
    let mut client = server.client().unwrap();
    assert_eq!(ask(&mut client, "SET a 1"), Value::simple("OK"));
    assert_eq!(ask(&mut client, "CONFIG RESETSTAT"), Value::simple("OK"));
    let metrics = get(server.address().port(), "/metrics").1;
    assert!(metrics.contains("\ndragonfly_commands_total{cmd=\"set\"} 1\n"), "{metrics}");
}

#[test]
fn every_line_of_the_metrics_can_be_read_and_the_manual_names_them() {
    let server = start(&[]);
    let mut client = server.client().unwrap();
    for request in ["SET a 1", "GET a", "GET b", "NOSUCH", "SET a"] {
        ask(&mut client, request);
    }
    let page = get(server.address().port(), "/metrics").1;
    let mut names = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(!help.is_empty());
        let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
        assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
        let mut samples = 0;
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            check_sample(sample, name, kind);
            samples += 1;
        }
        assert!(samples > 0, "{name} has no sample");
        names.push(name.to_owned());
    }
    let known: Vec<&str> = server::metrics::METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names, known);
    for sample in [
        "dragonfly_keyspace_hits_total 1",
        "dragonfly_keyspace_misses_total 1",
        "dragonfly_db_keys{db=\"db0\"} 1",
        "dragonfly_commands_total{cmd=\"get\"} 2",
        "anax_command_duration_seconds_count{cmd=\"get\"} 2",
        "dragonfly_connected_clients{listener=\"other\"} 0",
        "anax_connection_errors_total{cause=\"protocol\"} 0",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample} in {page}");
    }
}

/// `name{label="value"} 1.5`, the name that of its family.
fn check_sample(sample: &str, family: &str, kind: &str) {
    let (series, value) = sample.rsplit_once(' ').unwrap();
    let number: f64 = value.parse().unwrap();
    assert!(number.is_finite() && number >= 0.0, "{sample}");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let suffix = name.strip_prefix(family).unwrap();
    let allowed: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    assert!(allowed.contains(&suffix), "{sample}");
    let labels = labels.strip_suffix('}').unwrap();
    for pair in labels.split(',').filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once('=').unwrap();
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()), "{sample}");
        assert!(value.starts_with('"') && value.ends_with('"') && value.len() > 2, "{sample}");
    }
}

#[test]
fn pages_of_the_manual_are_those_computed() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let pages =
        [("configuration.md", config::docs_page()), ("metrics.md", server::metrics::docs_page())];
    for (name, page) in pages {
        let path = docs.join(name);
        if std::env::var_os("ANAX_WRITE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap();
        assert!(there == page, "docs/{name} is out of date: run the tests with ANAX_WRITE_DOCS=1");
    }
}

/// Reads one JSON value; what stands behind it, if it is one.
fn json(text: &[u8]) -> Option<&[u8]> {
    match text.first()? {
        b'{' => json_list(&text[1..], b'}', |text| json(json_text(text)?.strip_prefix(b":")?)),
        b'[' => json_list(&text[1..], b']', json),
        b'"' => json_text(text),
        b't' => text.strip_prefix(b"true"),
        b'f' => text.strip_prefix(b"false"),
        b'n' => text.strip_prefix(b"null"),
        _ => {
            let end = text.iter().position(|byte| !b"+-.eE0123456789".contains(byte));
            let (number, rest) = text.split_at(end.unwrap_or(text.len()));
            let number: Result<f64, _> = std::str::from_utf8(number).ok()?.parse();
            number.ok().map(|_| rest)
        }
    }
}

fn json_list(mut text: &[u8], end: u8, item: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<&[u8]> {
    if text.first() == Some(&end) {
        return Some(&text[1..]);
    }
    loop {
        text = item(text)?;
        match text.split_first()? {
            (b',', rest) => text = rest,
            (byte, rest) if *byte == end => return Some(rest),
            _ => return None,
        }
    }
}

fn json_text(text: &[u8]) -> Option<&[u8]> {
    let mut text = text.strip_prefix(b"\"")?;
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'u', hex @ ..] => {
                let (digits, rest) = hex.split_at_checked(4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)?
            }
            [b'\\', escaped, rest @ ..] if b"\"\\/bfnrt".contains(escaped) => rest,
            [b'\\', ..] | [..0x20, ..] | [] => return None,
            [_, rest @ ..] => rest,
        };
    }
}
