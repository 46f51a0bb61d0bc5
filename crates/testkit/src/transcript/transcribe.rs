//! Writing replies into a transcript, as a server gives them.

use std::collections::BTreeMap;

use super::run::{Outcome, Session};
use super::{Executor, Malformed, Path, Run, Step, Target, Transcript};
use crate::value::{Dialect, Value};

/// The text of a transcript with its replies filled in from `executor`.
///
/// The commands run twice, in either dialect. What the author wrote stays:
/// comments, directives, blocks for other targets, and each reply that holds
/// for both dialects. Any other reply is replaced, with all its conditions.
///
/// # Errors
///
/// If `text` is no transcript.
pub fn transcribe(
    path: &Path,
    text: &str,
    target: &Target,
    executor: &mut dyn Executor,
) -> Result<String, Malformed> {
    let transcript = Transcript::parse(path, text)?;
    let mut in_dialect =
        |dialect| observe(&transcript, &Run { target: target.clone(), dialect }, &mut *executor);
    let observed = (in_dialect(Dialect::Resp2), in_dialect(Dialect::Resp3));
    let replies = replies_to_write(&observed.0, &observed.1);
    Ok(rewrite(text, &transcript, &replies))
}

/// A reply, and whether the transcript has it already.
struct Observed {
    outcome: Outcome,
    is_expected: bool,
}

/// What came back for the command on each line.
fn observe(
    transcript: &Transcript,
    run: &Run,
    executor: &mut dyn Executor,
) -> BTreeMap<usize, Observed> {
    let mut observed = BTreeMap::new();
    let mut session = Session::new(run, executor);
    for block in &transcript.blocks {
        if !session.is_meant(&block.scope) {
            continue;
        }
        for step in &block.steps {
            if let Some((exchange, outcome)) = session.step(step) {
                let is_expected = session.judge(exchange, &outcome).is_none();
                observed.insert(exchange.line, Observed { outcome, is_expected });
            }
        }
    }
    observed
}

/// The new reply of each line that needs one.
fn replies_to_write(
    resp2: &BTreeMap<usize, Observed>,
    resp3: &BTreeMap<usize, Observed>,
) -> BTreeMap<usize, String> {
    let both = resp2.iter().filter_map(|(line, second)| Some((line, second, resp3.get(line)?)));
    both.filter(|(_, second, third)| !(second.is_expected && third.is_expected))
        .map(|(line, second, third)| (*line, written(&second.outcome, &third.outcome)))
        .collect()
}

fn written(resp2: &Outcome, resp3: &Outcome) -> String {
    match (resp2, resp3) {
        (Outcome::Replied(second), Outcome::Replied(third)) => written_values(second, third),
        (second, third) => written_apart(&second.to_string(), &third.to_string()),
    }
}

/// One reply if the dialects differ in types only.
fn written_values(resp2: &Value, resp3: &Value) -> String {
    if resp2.clone().in_dialect(Dialect::Resp3) == *resp3 {
        resp2.to_string()
    } else if resp3.clone().in_dialect(Dialect::Resp2) == *resp2 {
        resp3.to_string()
    } else {
        written_apart(&resp2.to_string(), &resp3.to_string())
    }
}

fn written_apart(resp2: &str, resp3: &str) -> String {
    if resp2 == resp3 { resp2.to_owned() } else { format!("{resp2}\n[resp3]\n{resp3}") }
}

fn rewrite(text: &str, transcript: &Transcript, replies: &BTreeMap<usize, String>) -> String {
    let steps = transcript.blocks.iter().flat_map(|block| &block.steps);
    let last_lines: BTreeMap<usize, usize> = steps
        .filter_map(|step| match step {
            Step::Exchange(exchange) => Some((exchange.line, exchange.line_last)),
            _ => None,
        })
        .collect();

    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
    let mut out = String::new();
    while let Some((number, line)) = lines.next() {
        push_line(&mut out, line);
        if let (Some(reply), Some(&last)) = (replies.get(&number), last_lines.get(&number)) {
            while let Some((_, line)) = lines.next_if(|(number, _)| *number <= last) {
                if line.starts_with('#') || line.starts_with("@ unordered") {
                    push_line(&mut out, line);
                }
            }
            push_line(&mut out, reply);
        }
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
