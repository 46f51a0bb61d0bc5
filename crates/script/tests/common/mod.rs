//! A small server for scripts: some strings, a log, and an order to stop.
//!
//! `paused.rs` has all the tests once more, as modules of its own: there each run pauses as
//! often as it can and goes on on another thread.
#![allow(dead_code, reason = "each test needs a part of it")]

use std::collections::HashMap;

use protocol::{Dialect, Output, Reply, Words};
use script::{
    Call, Called, Engine, Failure, Host, KILLED, LibrarySource, LogLevel, Paused, Program,
    Progress, Script, UNKNOWN_COMMAND, Verdict, WRONG_ARITY,
};

/// How much memory the engines of tests have, in bytes.
pub(crate) const MEMORY_BYTES: usize = 32 << 20;

#[derive(Default)]
pub(crate) struct Small {
    pub(crate) strings: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) log: Vec<(LogLevel, String)>,
    pub(crate) calls: Vec<Call>,
    /// How often it is asked before it says stop; never if not set.
    pub(crate) patience: Option<u32>,
    pub(crate) asked: u32,
}

impl Host for Small {
    fn call(&mut self, words: Words<'_>, call: Call, reply: &mut Reply<'_>) -> Called {
        self.calls.push(call);
        let words: Vec<_> = words.iter().collect();
        let name = words[0].to_ascii_lowercase();
        match (name.as_slice(), &words[1..]) {
            (b"ping", []) => reply.simple("PONG"),
            (b"echo", [text]) => reply.bulk(text),
            (b"words", words) => {
                reply.array(words.len());
                words.iter().for_each(|word| reply.bulk(word));
            }
            // Bytes of the protocol, as they are.
            (b"raw", [bytes]) => reply.output().raw(bytes),
            (b"shared", [text]) => {
                let len = text.len();
                reply.array(2);
                reply.bulk_shared(&std::sync::Arc::new(text.to_vec()), 0..len);
                reply.integer(7);
            }
            (b"set", [key, value]) => {
                self.strings.insert(key.to_vec(), value.to_vec());
                reply.ok();
            }
            (b"get", [key]) => match self.strings.get(*key) {
                Some(value) => reply.bulk(value),
                None => reply.null(),
            },
            (b"incr", [key]) => {
                let text = self.strings.entry(key.to_vec()).or_insert_with(|| b"0".to_vec());
                match String::from_utf8_lossy(text).parse::<i64>() {
                    Ok(number) => {
                        *text = (number + 1).to_string().into_bytes();
                        reply.integer(number + 1);
                    }
                    Err(_) => reply.error("ERR value is not an integer or out of range"),
                }
            }
            (b"panic", []) => panic!("a bug of the host"),
            (b"ping" | b"echo" | b"set" | b"get" | b"incr", _) => reply.error(WRONG_ARITY),
            _ => reply.error(UNKNOWN_COMMAND),
        }
        Called::Answered
    }

    fn may_call(&mut self, words: Words<'_>) -> Option<bool> {
        match &words[0] {
            b"get" => Some(true),
            b"set" => Some(false),
            _ => None,
        }
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.log.push((level, String::from_utf8_lossy(message).into_owned()));
    }

    fn look(&mut self) -> Verdict {
        self.asked += 1;
        match self.patience {
            Some(patience) if self.asked > patience => Verdict::Stop(KILLED),
            _ => Verdict::GoOn,
        }
    }
}

pub(crate) fn engine() -> Engine {
    Engine::new(MEMORY_BYTES).expect("there is memory")
}

/// The bytes of a reply, or of an error.
pub(crate) fn bytes(result: Result<(), Failure>, output: &Output) -> Vec<u8> {
    match result {
        Ok(()) => output.chunks().flatten().copied().collect(),
        Err(failure) => {
            assert!(output.is_empty(), "a failed run leaves nothing in the reply");
            [b"-", &failure.text[..], b"\r\n"].concat()
        }
    }
}

/// Runs a script and shows the reply, each end of a line as a space.
pub(crate) fn run_in(
    engine: &mut Engine,
    host: &mut Small,
    dialect: Dialect,
    source: &[u8],
    keys: &[&[u8]],
    arguments: &[&[u8]],
) -> String {
    let mut output = Output::new();
    let result = Script::new(source).and_then(|script| {
        run_program(engine, host, dialect, Program::Script(&script), (keys, arguments), &mut output)
    });
    show(&bytes(result, &output))
}

/// Runs what there is to run, paused or not.
pub(crate) fn run_program(
    engine: &mut Engine,
    host: &mut Small,
    dialect: Dialect,
    program: Program<'_>,
    words: (&[&[u8]], &[&[u8]]),
    output: &mut Output,
) -> Result<(), Failure> {
    if module_path!().starts_with("paused") {
        return run_paused(engine, host, dialect, program, words, output);
    }
    let mut reply = Reply::new(output, dialect);
    match program {
        Program::Script(script) => engine.run(script, words.0, words.1, host, &mut reply),
        Program::Function { library, name } => {
            engine.call(library, name, words.0, words.1, host, &mut reply)
        }
    }
}

fn run_paused(
    engine: &mut Engine,
    host: &mut Small,
    dialect: Dialect,
    program: Program<'_>,
    words: (&[&[u8]], &[&[u8]]),
    output: &mut Output,
) -> Result<(), Failure> {
    let own = std::mem::replace(engine, Engine::new(0).expect("there is memory"));
    let restless = Restless::new(std::mem::take(host));
    let mut progress = Box::new(own).start(program, words.0, words.1, dialect, restless);
    loop {
        match progress {
            Progress::Paused(paused) => progress = resume_elsewhere(paused),
            Progress::Done(finished) => {
                *engine = *finished.engine;
                *host = finished.host.0;
                output.push_output(std::mem::take(engine.reply()));
                return finished.done;
            }
        }
    }
}

/// Goes on with a run on a thread of its own; a panic there is one here.
pub(crate) fn resume_elsewhere<H: Send + 'static>(paused: Paused<H>) -> Progress<H> {
    let thread = std::thread::Builder::new().spawn(move || paused.resume());
    match thread.expect("a thread starts").join() {
        Ok(progress) => progress,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Wants a pause whenever it is asked, and answers each command when it is called again.
pub(crate) struct Restless(pub(crate) Small, bool);

impl Restless {
    pub(crate) fn new(small: Small) -> Self {
        Self(small, false)
    }
}

impl Host for Restless {
    fn call(&mut self, words: Words<'_>, call: Call, reply: &mut Reply<'_>) -> Called {
        self.1 = !self.1;
        if self.1 { Called::Later } else { self.0.call(words, call, reply) }
    }

    fn may_call(&mut self, words: Words<'_>) -> Option<bool> {
        self.0.may_call(words)
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.0.log(level, message);
    }

    fn look(&mut self) -> Verdict {
        match self.0.look() {
            Verdict::GoOn => Verdict::Pause,
            verdict => verdict,
        }
    }
}

pub(crate) fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().replace("\r\n", " ")
}

/// Runs a script in an engine of its own.
pub(crate) fn eval(source: &str) -> String {
    run_in(&mut engine(), &mut Small::default(), Dialect::Resp2, source.as_bytes(), &[], &[])
}

pub(crate) fn eval3(source: &str) -> String {
    run_in(&mut engine(), &mut Small::default(), Dialect::Resp3, source.as_bytes(), &[], &[])
}

/// An error without the place that is added to it.
pub(crate) fn error_of(source: &str) -> String {
    let text = eval(source);
    let text = text.strip_prefix("-ERR ").unwrap_or_else(|| panic!("{source}: {text}"));
    text.split(" script: ").next().unwrap_or_default().to_owned()
}

pub(crate) fn load(
    engine: &mut Engine,
    host: &mut Small,
    body: &str,
) -> Result<Vec<String>, String> {
    let source = LibrarySource::new(format!("#!lua name=lib\n{body}").as_bytes());
    let functions = source.and_then(|source| engine.load(&source, host));
    let names = functions.map(|all| all.into_iter().map(|function| function.name).collect());
    names.map_err(|failure| failure.message().into_owned())
}

pub(crate) fn call(engine: &mut Engine, host: &mut Small, body: &str, name: &str) -> String {
    let source = LibrarySource::new(format!("#!lua name=lib\n{body}").as_bytes());
    let source = source.expect("its first line is well");
    let mut output = Output::new();
    let program = Program::Function { library: &source, name };
    let words: (&[&[u8]], &[&[u8]]) = (&[b"k"], &[b"a", b"b"]);
    let result = run_program(engine, host, Dialect::Resp2, program, words, &mut output);
    show(&bytes(result, &output))
}
