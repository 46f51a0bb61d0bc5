//! From the text of a transcript to its blocks.

use super::{
    Block, Conditions, Exchange, Expected, MAIN, Malformed, Order, Path, Pattern, Reply, Scope,
    Step, Transcript, at_line, notation,
};
use crate::value::Dialect;

impl Transcript {
    /// Reads the text of a file; `path` is only named in messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Malformed> {
        let mut parser = Parser::default();
        for (index, line) in text.lines().enumerate() {
            parser.line(index + 1, line).map_err(|malformed| at_line(index + 1, malformed))?;
        }
        parser.end_block()?;
        Ok(Self { path: path.to_owned(), blocks: parser.blocks })
    }
}

/// The lines of one reply, before they are read as one.
#[derive(Default)]
struct Draft<'a> {
    when: Option<Conditions>,
    glob: Option<&'a str>,
    lines: Vec<&'a str>,
}

#[derive(Default)]
struct Parser<'a> {
    blocks: Vec<Block>,
    /// What holds to the end of the file.
    file_scope: Scope,
    block: Block,
    open: Option<Exchange>,
    drafts: Vec<Draft<'a>>,
    /// `@ unordered` was said for the next command.
    next_order: Order,
}

impl<'a> Parser<'a> {
    fn line(&mut self, number: usize, line: &'a str) -> Result<(), Malformed> {
        if line.is_empty() {
            return self.end_block();
        }
        if line.starts_with('#') {
            return Ok(());
        }
        if let Some(directive) = line.strip_prefix("@ ") {
            return self.directive(number, directive.trim());
        }
        if let Some((client, words)) = command(line) {
            let words = notation::split(words)?;
            if words.is_empty() {
                return Err(Malformed("a command is missing".to_owned()));
            }
            return self.begin(number, client, Some(words));
        }
        if let Some(client) = line.strip_suffix('<').filter(|client| is_client(client)) {
            return self.begin(number, client, None);
        }
        self.reply_line(number, line)
    }

    fn directive(&mut self, number: usize, directive: &'a str) -> Result<(), Malformed> {
        let (name, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match (name, rest) {
            ("advance", rest) => self.step(Step::Advance(milliseconds(rest)?)),
            ("resp2", "") => self.step(Step::Speak(Dialect::Resp2)),
            ("resp3", "") => self.step(Step::Speak(Dialect::Resp3)),
            ("only", rest) => {
                self.block.scope.only.push(Conditions::parse(rest)?);
                Ok(())
            }
            ("not", rest) => {
                self.block.scope.not.push(Conditions::parse(rest)?);
                Ok(())
            }
            ("unordered", "") => {
                match self.open.as_mut().filter(|_| self.drafts.is_empty()) {
                    Some(exchange) => {
                        exchange.order = Order::Free;
                        exchange.line_last = number;
                    }
                    None => self.next_order = Order::Free,
                }
                Ok(())
            }
            ("match", pattern) if !pattern.is_empty() => {
                self.draft(number)?.glob = Some(pattern);
                Ok(())
            }
            _ => Err(Malformed(format!("not a directive: @ {directive}"))),
        }
    }

    fn begin(
        &mut self,
        line: usize,
        client: &str,
        words: Option<Vec<Vec<u8>>>,
    ) -> Result<(), Malformed> {
        self.end_exchange()?;
        self.open = Some(Exchange {
            line,
            line_last: line,
            client: client.to_owned(),
            words,
            order: std::mem::take(&mut self.next_order),
            replies: Vec::new(),
        });
        Ok(())
    }

    fn reply_line(&mut self, number: usize, line: &'a str) -> Result<(), Malformed> {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(conditions) => {
                let when = Some(Conditions::parse(conditions)?);
                self.extend_to(number)?;
                self.drafts.push(Draft { when, ..Draft::default() });
            }
            None => self.draft(number)?.lines.push(line),
        }
        Ok(())
    }

    /// The reply being read, begun if there is none.
    fn draft(&mut self, number: usize) -> Result<&mut Draft<'a>, Malformed> {
        self.extend_to(number)?;
        if self.drafts.is_empty() {
            self.drafts.push(Draft::default());
        }
        Ok(self.drafts.last_mut().expect("one was put there"))
    }

    fn extend_to(&mut self, number: usize) -> Result<(), Malformed> {
        let open = self.open.as_mut();
        let open = open.ok_or_else(|| Malformed("a reply needs a command before it".to_owned()))?;
        open.line_last = number;
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Malformed> {
        self.end_exchange()?;
        self.block.steps.push(step);
        Ok(())
    }

    fn end_exchange(&mut self) -> Result<(), Malformed> {
        let drafts = std::mem::take(&mut self.drafts);
        if let Some(mut exchange) = self.open.take() {
            let replies: Result<_, _> = drafts.into_iter().map(Draft::finish).collect();
            exchange.replies = replies.map_err(|malformed| at_line(exchange.line, malformed))?;
            self.block.steps.push(Step::Exchange(exchange));
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Malformed> {
        self.end_exchange()?;
        let mut block = std::mem::take(&mut self.block);
        if block.steps.is_empty() {
            self.file_scope.only.append(&mut block.scope.only);
            self.file_scope.not.append(&mut block.scope.not);
            return Ok(());
        }
        block.scope.only.extend_from_slice(&self.file_scope.only);
        block.scope.not.extend_from_slice(&self.file_scope.not);
        self.blocks.push(block);
        Ok(())
    }
}

impl Draft<'_> {
    fn finish(self) -> Result<Reply, Malformed> {
        let expected = match (self.glob, self.lines.as_slice()) {
            (Some(glob), []) => Expected::Glob(glob.to_owned()),
            (Some(_), _) => return Err(Malformed("a reply beside `@ match`".to_owned())),
            (None, ["(waits)"]) => Expected::Waits,
            (None, lines) => {
                Expected::Pattern { pattern: Pattern::parse(lines)?, written: lines.join("\n") }
            }
        };
        Ok(Reply { when: self.when, expected })
    }
}

/// Splits `c2> GET x` into client and command.
fn command(line: &str) -> Option<(&str, &str)> {
    let (client, rest) = line.split_once('>')?;
    let words = rest.strip_prefix(' ')?;
    match client {
        "" => Some((MAIN, words)),
        client if is_client(client) => Some((client, words)),
        _ => None,
    }
}

fn is_client(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn milliseconds(text: &str) -> Result<u64, Malformed> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(Malformed(format!("a time needs a unit, ms, s, m or h: {text}"))),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| Malformed(format!("not a time: {text}")))
}
