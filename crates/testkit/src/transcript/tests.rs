//! The tests of transcripts, against a server made of a few lines.

use std::collections::BTreeMap;

use super::*;

/// Answers from a table, and writes down what it was asked.
#[derive(Default)]
struct Scripted {
    replies: BTreeMap<String, Value>,
    waiting: BTreeMap<String, Value>,
    asked: Vec<String>,
}

impl Scripted {
    fn with(replies: &[(&str, Value)]) -> Self {
        let replies = replies.iter().map(|(command, value)| ((*command).to_owned(), value.clone()));
        Self { replies: replies.collect(), ..Self::default() }
    }
}

impl Executor for Scripted {
    fn run(&mut self, client: &str, words: &[Vec<u8>]) -> Value {
        let command = notation::join(words);
        self.asked.push(format!("{client} {command}"));
        self.replies.get(&command).cloned().unwrap_or_else(Value::ok)
    }

    fn advance(&mut self, ms: u64) {
        self.asked.push(format!("advance {ms}"));
    }

    fn start(&mut self, client: &str, words: &[Vec<u8>]) -> Option<Value> {
        if words[0] == b"BLPOP" {
            self.waiting.insert(client.to_owned(), Value::bulk("served"));
            return None;
        }
        Some(self.run(client, words))
    }

    fn receive(&mut self, client: &str) -> Option<Value> {
        self.waiting.remove(client)
    }
}

fn run_on(text: &str, executor: &mut Scripted, run: &Run) -> Report {
    let transcript = Transcript::parse(Path::new("t.txt"), text).unwrap();
    transcript.run(run, executor)
}

fn resp2() -> Run {
    Run { target: Target::anax(), dialect: Dialect::Resp2 }
}

fn resp3() -> Run {
    Run { target: Target::new("redis", "8.0.6"), dialect: Dialect::Resp3 }
}

#[test]
fn a_file_starts_empty_and_each_client_anew() {
    let mut executor = Scripted::default();
    let report = run_on("> A\nOK\nc2> B\nOK\n@ advance 2s\n> C\nOK\n", &mut executor, &resp3());
    report.assert_clean();
    let asked = [
        "c1 FLUSHALL",
        "c1 RESET",
        "c1 HELLO 3",
        "c1 A",
        "c2 RESET",
        "c2 HELLO 3",
        "c2 B",
        "advance 2000",
        "c1 C",
    ];
    assert_eq!(executor.asked, asked);
}

#[test]
fn a_difference_is_reported_with_its_line() {
    let mut executor = Scripted::with(&[("GET \"a b\"", Value::Integer(1))]);
    let text = "# Story.\n> SET x 1\nOK\n\n> GET \"a b\"\n1) \"x\"\n2) \"y\"\n";
    let report = run_on(text, &mut executor, &resp2());
    assert_eq!(report.compared, 2);
    let [failure] = &report.failures[..] else { panic!("{report}") };
    let expected = "t.txt:5: > GET \"a b\"\n  expected:\n    1) \"x\"\n    2) \"y\"\n  got:\n    (integer) 1\n";
    assert_eq!(failure.to_string(), expected);
}

#[test]
fn a_command_without_a_reply_is_a_failure() {
    assert_eq!(run_on("> PING\n", &mut Scripted::default(), &resp2()).failures.len(), 1);
}

#[test]
fn a_marked_reply_is_expected_where_its_condition_holds() {
    let text = "> X\n\"1\"\n[resp3]\n(double) 1\n";
    let double = Value::Double(b"1".to_vec());
    run_on(text, &mut Scripted::with(&[("X", Value::bulk("1"))]), &resp2()).assert_clean();
    run_on(text, &mut Scripted::with(&[("X", double.clone())]), &resp3()).assert_clean();
    assert_eq!(run_on(text, &mut Scripted::with(&[("X", double)]), &resp2()).failures.len(), 1);
}

#[test]
fn a_block_for_another_target_is_left_out() {
    let text = "@ only anax\n> A\nOK\n\n@ not oracle\n> B\nOK\n\n> C\nOK\n";
    let mut oracle = Scripted::default();
    let report = run_on(text, &mut oracle, &resp3());
    assert_eq!((report.compared, report.left_out), (1, 2));
    assert_eq!(run_on(text, &mut Scripted::default(), &resp2()).compared, 3);
}

#[test]
fn a_directive_alone_in_its_block_holds_to_the_end_of_the_file() {
    let text = "> A\nOK\n\n# Why.\n@ only anax\n\n> B\nOK\n\n> C\nOK\n";
    assert_eq!(run_on(text, &mut Scripted::default(), &resp3()).left_out, 2);
}

#[test]
fn the_dialect_switches_for_all_clients() {
    let mut executor = Scripted::default();
    run_on("> A\nOK\n@ resp3\n> B\nOK\nc2> C\nOK\n", &mut executor, &resp2()).assert_clean();
    let asked =
        ["c1 FLUSHALL", "c1 RESET", "c1 A", "c1 HELLO 3", "c1 B", "c2 RESET", "c2 HELLO 3", "c2 C"];
    assert_eq!(executor.asked, asked);
}

#[test]
fn a_command_that_waits_is_answered_later() {
    let text = "c2> BLPOP q 0\n(waits)\n> RPUSH q a\nOK\nc2<\n\"served\"\n";
    run_on(text, &mut Scripted::default(), &resp2()).assert_clean();
    let nothing = run_on("c2<\n\"served\"\n", &mut Scripted::default(), &resp2());
    assert_eq!(nothing.failures[0].got, "no message");
    let no_wait = run_on("> GET q\n(waits)\n", &mut Scripted::default(), &resp2());
    assert_eq!(no_wait.failures[0].got, "OK");
}

#[test]
fn replies_may_vary_where_that_is_said() {
    let values = Value::Array(vec![Value::bulk("b"), Value::bulk("a")]);
    let mut executor = Scripted::with(&[
        ("KEYS", values),
        ("TTL", Value::Integer(99)),
        ("X", Value::error("ERR wrong number of arguments for 'x' command")),
    ]);
    let text = "> KEYS\n@ unordered\n1) \"a\"\n2) \"b\"\n@ unordered\n> KEYS\n1) \"a\"\n2) \"b\"\n\
                > TTL\n(integer) 95..100\n> X\n@ match (error) ERR wrong*'x'*\n";
    let report = run_on(text, &mut executor, &resp2());
    report.assert_clean();
    assert_eq!(report.compared, 4);
    let ordered = run_on("> KEYS\n1) \"a\"\n2) \"b\"\n", &mut executor, &resp2());
    assert_eq!(ordered.failures.len(), 1);
}

#[test]
fn what_is_no_transcript_is_refused_by_line() {
    let cases = [
        ("OK\n", 1),
        ("> A\nOK\n\nOK\n", 4),
        ("> GET \"a\n", 1),
        ("@ nonsense\n", 1),
        ("@ advance 20\n", 1),
        ("# x\n@ only nobody\n", 2),
        ("> A\n[resp4]\nOK\n", 2),
        ("> A\n(what)\n", 1),
        ("> A\nOK\n@ match x\n", 1),
        (">  \n", 1),
    ];
    for (text, line) in cases {
        let refused = Transcript::parse(Path::new("t"), text).unwrap_err();
        assert!(refused.0.starts_with(&format!("line {line}: ")), "{text}: {refused}");
    }
}

#[test]
fn a_glob_covers_the_whole_text() {
    let cases = [
        ("", "", true),
        ("*", "", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a?c", "abc", true),
        ("*a*b*", "xaxbx", true),
        ("a", "ab", false),
        ("*b", "ba", false),
        ("?", "", false),
        ("a*b*c", "a-b-b-d", false),
        ("*ab", "aab", true),
    ];
    for (pattern, text, matches) in cases {
        assert_eq!(glob_matches(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
    }
}

#[test]
fn transcribing_fills_in_what_does_not_hold() {
    let mut executor = Scripted::with(&[("TTL", Value::Integer(99)), ("GET", Value::bulk("new"))]);
    let text = "# Kept.\n> TTL\n(integer) 95..100\n> GET\n@ unordered\n\"old\"\n\n@ only anax\n> A\n\"x\"\n\n> B\n";
    let target = Target::new("redis", "8");
    let filled = transcribe(Path::new("t"), text, &target, &mut executor).unwrap();
    let expected = "# Kept.\n> TTL\n(integer) 95..100\n> GET\n@ unordered\n\"new\"\n\n@ only anax\n> A\n\"x\"\n\n> B\nOK\n";
    assert_eq!(filled, expected);
}
