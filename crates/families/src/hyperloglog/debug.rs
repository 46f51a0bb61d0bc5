//! PFDEBUG: what lies inside of a HyperLogLog.

use std::fmt::Write;

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View, event,
};
use keyspace::StrEntry;

use super::Corrupt;
use super::header::{self, Encoding};
use super::sketch::Sketch;
use super::sparse::{self, Run as SparseRun};

pub(super) const PFDEBUG: Command = Command {
    name: "PFDEBUG",
    run: Run::Write(pfdebug),
    arity: Arity::Exactly(3),
    keys: &[KeySpec::one(2, KeyUse::CACHE)],
    flags: Flags::DENY_OOM.and(Flags::ADMIN).and(Flags::SYSTEM),
    category: Category::HYPERLOGLOG,
    group: Group::HyperLogLog,
    since: "2.8.9",
    summary: "Shows the registers or the encoding of a HyperLogLog, or makes it dense.",
    complexity: "O(N) where N is the number of registers",
    syntax: "(GETREG key | DECODE key | ENCODING key | TODENSE key | SIMD (ON | OFF))",
    ..Command::BASE
};

fn pfdebug(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let Named(question) = args.take()?;
    if let Ok(Question::Simd) = question {
        return simd(args, reply);
    }
    let (key,): (Key<'_>,) = args.parse()?;
    let mut entry = keys.str_entry(key.0)?;
    let Some(text) = entry.get() else {
        return Err(CommandError::text("ERR The specified key does not exist"));
    };
    let encoding = header::parse(text.as_bytes())?.encoding;
    match question? {
        Question::GetReg => get_reg(&mut entry, reply),
        Question::Decode => decode(text.as_bytes(), encoding, reply),
        Question::Encoding => {
            reply.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" });
            Ok(())
        }
        Question::ToDense => {
            make_dense(&mut entry)?;
            reply.integer(i64::from(encoding == Encoding::Sparse));
            Ok(())
        }
        Question::Simd => Ok(()),
    }
}

/// What is asked for.
enum Question {
    GetReg,
    Decode,
    Encoding,
    ToDense,
    Simd,
}

/// A question, or the complaint that it is none, which comes after those of the key.
struct Named(Result<Question, CommandError>);

impl Arg<'_> for Named {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        Ok(Named(match raw.to_ascii_lowercase().as_slice() {
            b"getreg" => Ok(Question::GetReg),
            b"decode" => Ok(Question::Decode),
            b"encoding" => Ok(Question::Encoding),
            b"todense" => Ok(Question::ToDense),
            b"simd" => Ok(Question::Simd),
            _ => {
                let name = String::from_utf8_lossy(raw);
                Err(CommandError::text(format!("ERR Unknown PFDEBUG subcommand '{name}'")))
            }
        }))
    }
}

/// There is nothing to switch: vector instructions are the compiler's choice. So this answers as
/// a server that was built without them.
fn simd(mut args: Args<'_>, reply: &mut Reply<'_>) -> Done {
    if !args.word("ON") && !args.word("OFF") {
        return Err(CommandError::text("ERR Argument must be ON or OFF"));
    }
    reply.simple("disabled");
    Ok(())
}

/// Makes a HyperLogLog dense, if it is not; returns its bytes.
fn make_dense(entry: &mut StrEntry<'_>) -> Result<Sketch, CommandError> {
    let mut sketch = Sketch::of(entry.bytes())?;
    if sketch.make_dense()? {
        entry.rebuild(sketch.bytes(), event::REWRITE)?;
    }
    Ok(sketch)
}

fn get_reg(entry: &mut StrEntry<'_>, reply: &mut Reply<'_>) -> Done {
    let registers = make_dense(entry)?.registers()?;
    reply.array(registers.0.len());
    registers.0.iter().for_each(|&register| reply.integer(i64::from(register)));
    Ok(())
}

fn decode(text: &[u8], encoding: Encoding, reply: &mut Reply<'_>) -> Done {
    if encoding == Encoding::Dense {
        return Err(CommandError::text("ERR HLL encoding is not sparse"));
    }
    reply.bulk(spelled(&text[header::BYTES..])?.as_bytes());
    Ok(())
}

/// The runs in Redis' notation: `z` and `Z` for zeros in one byte and two, `v` for values.
fn spelled(registers: &[u8]) -> Result<String, Corrupt> {
    let mut words = String::new();
    for run in sparse::runs(registers) {
        let gap = if words.is_empty() { "" } else { " " };
        // Writing into a string does not fail.
        let _ = match run? {
            SparseRun::Zeros { len, bytes: 1 } => write!(words, "{gap}z:{len}"),
            SparseRun::Zeros { len, .. } => write!(words, "{gap}Z:{len}"),
            SparseRun::Values { value, len } => write!(words, "{gap}v:{value},{len}"),
        };
    }
    Ok(words)
}
