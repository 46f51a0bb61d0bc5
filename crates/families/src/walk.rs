//! Walks over the members of one collection: what SSCAN, HSCAN and ZSCAN have in common.
//!
//! A small collection is told at once, with the cursor 0. Of a large one a step meets about as many
//! places of its table as COUNT says; the cursor is the table's, made so that 0 means the
//! beginning and the end.

use command::{Args, CommandError, Done, Reply};
use keyspace::Type;
use value::entries::{Digits, Element};
use value::members::Cursor;

use crate::glob;

/// How many members a step meets, about, if nothing is said.
const COUNT: usize = 10;

/// How many places of a table a step looks at for each member it is to meet, at most.
const PLACES_MAX: usize = 10;

/// A step of a walk, as it was asked for.
pub(crate) struct Walk<'a> {
    cursor: u64,
    count: usize,
    pattern: Option<&'a [u8]>,
    /// Whether only names are wanted: fields without values, members without scores.
    pub(crate) names_only: bool,
}

/// What a step has found.
pub(crate) struct Found<'a> {
    pattern: Option<&'a [u8]>,
    /// The parts of what was found, one after another, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    met: usize,
}

impl Found<'_> {
    /// Meets a member that has nothing besides.
    pub(crate) fn element(&mut self, element: Element<'_>) {
        let mut digits = Digits::new();
        let text = element.to_text(&mut digits);
        if self.takes(text) {
            self.part(text);
        }
    }

    /// Meets a member, and tells whether it is wanted: then its parts are to be added.
    pub(crate) fn takes(&mut self, name: &[u8]) -> bool {
        self.met += 1;
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }

    /// Adds a part of a member that is wanted.
    pub(crate) fn part(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }
}

impl<'a> Walk<'a> {
    /// Takes the cursor: the key is looked up before the options are.
    pub(crate) fn begin(args: &mut Args<'a>) -> Result<Walk<'a>, CommandError> {
        let text = std::str::from_utf8(args.bytes()?).map(str::trim_ascii_start);
        let cursor = text.ok().and_then(|text| text.parse().ok());
        let cursor = cursor.ok_or(CommandError::InvalidCursor)?;
        Ok(Walk { cursor, count: COUNT, pattern: None, names_only: false })
    }

    /// Takes the options.
    pub(crate) fn parse(&mut self, mut args: Args<'a>, of: Type) -> Result<(), CommandError> {
        while !args.is_empty() {
            if args.word_with_value("COUNT") {
                let count = usize::try_from(args.take::<i64>()?).ok().filter(|&count| count > 0);
                self.count = count.ok_or(CommandError::Syntax)?;
            } else if args.word_with_value("MATCH") {
                // What lets everything through costs nothing.
                self.pattern = Some(args.bytes()?).filter(|&pattern| pattern != b"*");
            } else if args.word("NOVALUES") {
                if of != Type::Hash {
                    return Err(CommandError::text(
                        "ERR NOVALUES option can only be used in HSCAN",
                    ));
                }
                self.names_only = true;
            } else if args.word("NOSCORES") {
                if of != Type::ZSet {
                    return Err(CommandError::text(
                        "ERR NOSCORES option can only be used in ZSCAN",
                    ));
                }
                self.names_only = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(())
    }

    /// The reply of a walk over nothing.
    pub(crate) fn tell_nothing(&self, reply: &mut Reply<'_>) -> Done {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        Ok(())
    }

    /// Runs the step and replies: `scan` meets the members of one place and tells the next one. A
    /// small collection is met at once.
    pub(crate) fn run(
        &self,
        small: bool,
        reply: &mut Reply<'_>,
        mut scan: impl FnMut(Cursor, &mut Found<'a>) -> Option<Cursor>,
    ) -> Done {
        let pattern = self.pattern;
        let mut found = Found { pattern, bytes: Vec::new(), ends: Vec::new(), met: 0 };
        let mut next = Some(Cursor::from_bits(if small { 0 } else { self.cursor }));
        let places_max = self.count.saturating_mul(PLACES_MAX);
        let mut places = 0;
        while let Some(cursor) = next
            && found.met < self.count
            && places < places_max
        {
            next = scan(cursor, &mut found);
            places += 1;
        }
        reply.array(2);
        reply.bulk_display(next.map_or(0, Cursor::to_bits));
        reply.array(found.ends.len());
        let mut start = 0;
        for end in found.ends {
            reply.bulk(&found.bytes[start..end]);
            start = end;
        }
        Ok(())
    }
}
