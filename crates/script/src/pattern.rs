//! Lua's patterns: matching one against a text.
//!
//! Lua's own matcher can neither be stopped nor kept from using up the thread's stack, so this
//! one takes its place. It finds the same, in the same order.
//!
//! # Invariants
//!
//! 1. A pattern ends at its first NUL, as in C; what is behind its end reads as NUL.
//! 2. The matcher goes no deeper than [`DEPTH_MAX`] calls, and asks after each step.

/// How many captures a pattern may have.
pub(crate) const CAPTURES_MAX: usize = 32;

/// How many items that may match in several ways a pattern may have, roughly.
const DEPTH_MAX: usize = 500;

/// Why matching ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The pattern is at fault.
    Pattern(&'static str),
    /// It has to stop; the reason is known elsewhere.
    Stopped,
}

/// A part of the text that a pattern wants to know.
#[derive(Clone, Copy, Debug, Default)]
struct Capture {
    begin: usize,
    len: Len,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Len {
    #[default]
    Unfinished,
    Position,
    Bytes(usize),
}

/// What a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Captured {
    /// The text between two positions.
    Text(usize, usize),
    /// A position, from 1.
    Position(usize),
}

/// One text and one pattern.
pub(crate) struct Matcher<'a, S> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: [Capture; CAPTURES_MAX],
    level: usize,
    /// Says with each step whether to go on.
    step: S,
}

type Found = Result<Option<usize>, Wrong>;

impl<'a, S: FnMut() -> bool> Matcher<'a, S> {
    pub(crate) fn new(text: &'a [u8], pattern: &'a [u8], step: S) -> Self {
        let captures = [Capture::default(); CAPTURES_MAX];
        Self { text, pattern: until_nul(pattern), captures, level: 0, step }
    }

    /// Where a match that begins at `at` ends.
    pub(crate) fn find_at(&mut self, at: usize) -> Found {
        self.level = 0;
        self.run(at, 0, 0)
    }

    /// How many captures the last match has.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which is what is between `begin` and `end`; if the pattern
    /// has none, all of it is the first.
    pub(crate) fn captured(
        &self,
        index: usize,
        begin: usize,
        end: usize,
    ) -> Result<Captured, Wrong> {
        if index >= self.level {
            return match index {
                0 => Ok(Captured::Text(begin, end)),
                _ => Err(Wrong::Pattern("invalid capture index")),
            };
        }
        let Capture { begin, len } = self.captures[index];
        match len {
            Len::Unfinished => Err(Wrong::Pattern("unfinished capture")),
            Len::Position => Ok(Captured::Position(begin + 1)),
            Len::Bytes(len) => Ok(Captured::Text(begin, begin + len)),
        }
    }

    fn pattern_at(&self, at: usize) -> u8 {
        self.pattern.get(at).copied().unwrap_or(0)
    }

    /// Matches the pattern from `p` on at the position `s` of the text.
    fn run(&mut self, mut s: usize, mut p: usize, depth: usize) -> Found {
        if depth > DEPTH_MAX {
            return Err(Wrong::Pattern("pattern too complex"));
        }
        loop {
            if !(self.step)() {
                return Err(Wrong::Stopped);
            }
            match self.pattern_at(p) {
                0 if p >= self.pattern.len() => return Ok(Some(s)),
                b'(' if self.pattern_at(p + 1) == b')' => {
                    return self.begin_capture(s, p + 2, Len::Position, depth);
                }
                b'(' => return self.begin_capture(s, p + 1, Len::Unfinished, depth),
                b')' => return self.end_capture(s, p + 1, depth),
                b'%' if self.pattern_at(p + 1) == b'b' => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                b'%' if self.pattern_at(p + 1) == b'f' => match self.frontier(s, p + 2)? {
                    Some(end) => p = end,
                    None => return Ok(None),
                },
                b'%' if self.pattern_at(p + 1).is_ascii_digit() => {
                    match self.back_reference(s, self.pattern_at(p + 1))? {
                        Some(end) => (s, p) = (end, p + 2),
                        None => return Ok(None),
                    }
                }
                b'$' if p + 1 == self.pattern.len() => {
                    return Ok((s == self.text.len()).then_some(s));
                }
                _ => {
                    let end = self.class_end(p)?;
                    match self.pattern_at(end) {
                        b'?' => {
                            if self.matches_one(s, p, end)
                                && let Some(found) = self.run(s + 1, end + 1, depth + 1)?
                            {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        b'*' => return self.expand_most(s, p, end, depth),
                        b'+' if self.matches_one(s, p, end) => {
                            return self.expand_most(s + 1, p, end, depth);
                        }
                        b'+' => return Ok(None),
                        b'-' => return self.expand_least(s, p, end, depth),
                        _ if self.matches_one(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// Where the single-character class at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize, Wrong> {
        match self.pattern_at(p) {
            b'%' if p + 1 >= self.pattern.len() => {
                Err(Wrong::Pattern("malformed pattern (ends with '%')"))
            }
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.pattern_at(at) == b'^' {
                    at += 1;
                }
                loop {
                    if at >= self.pattern.len() {
                        return Err(Wrong::Pattern("malformed pattern (missing ']')"));
                    }
                    let is_escape = self.pattern_at(at) == b'%';
                    at += 1;
                    if is_escape && at < self.pattern.len() {
                        at += 1;
                    }
                    if self.pattern_at(at) == b']' {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the byte of the text at `s` is in the class from `p` to `end`.
    fn matches_one(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern_at(p) {
            b'.' => true,
            b'%' => is_in_class(byte, self.pattern_at(p + 1)),
            b'[' => self.is_in_set(byte, p, end - 1),
            literal => literal == byte,
        }
    }

    /// Whether a byte is in the set from its `[` at `p` to its `]` at `end`.
    fn is_in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let is_negated = self.pattern_at(p + 1) == b'^';
        let mut at = if is_negated { p + 2 } else { p + 1 };
        while at < end {
            let first = self.pattern_at(at);
            let is_found;
            if first == b'%' {
                is_found = is_in_class(byte, self.pattern_at(at + 1));
                at += 2;
            } else if self.pattern_at(at + 1) == b'-' && at + 2 < end {
                is_found = (first..=self.pattern_at(at + 2)).contains(&byte);
                at += 3;
            } else {
                is_found = first == byte;
                at += 1;
            }
            if is_found {
                return !is_negated;
            }
        }
        is_negated
    }

    /// `%bxy`: a balanced part that begins with x and ends with y.
    fn balance(&mut self, s: usize, p: usize) -> Found {
        if p + 1 >= self.pattern.len() {
            return Err(Wrong::Pattern("unbalanced pattern"));
        }
        let (open, close) = (self.pattern_at(p), self.pattern_at(p + 1));
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (at, &byte) in self.text.iter().enumerate().skip(s + 1) {
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
            if !(self.step)() {
                return Err(Wrong::Stopped);
            }
        }
        Ok(None)
    }

    /// `%f[set]`: between a byte that is not in the set and one that is.
    fn frontier(&self, s: usize, p: usize) -> Found {
        if self.pattern_at(p) != b'[' {
            return Err(Wrong::Pattern("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(p)?;
        let byte = |at: Option<usize>| at.and_then(|at| self.text.get(at)).copied().unwrap_or(0);
        let (before, here) = (byte(s.checked_sub(1)), byte(Some(s)));
        let is_frontier = !self.is_in_set(before, p, end - 1) && self.is_in_set(here, p, end - 1);
        Ok(is_frontier.then_some(end))
    }

    /// `%1`: what an earlier capture is.
    fn back_reference(&self, s: usize, digit: u8) -> Found {
        let index = usize::from(digit).checked_sub(usize::from(b'1'));
        let index = index.filter(|&index| index < self.level);
        let capture = index.map(|index| self.captures[index]);
        let capture = capture.filter(|capture| capture.len != Len::Unfinished);
        let capture = capture.ok_or(Wrong::Pattern("invalid capture index"))?;
        // A position has no text: in C its length is beyond any text.
        let Len::Bytes(len) = capture.len else { return Ok(None) };
        let wanted = &self.text[capture.begin..capture.begin + len];
        Ok(self.text[s..].starts_with(wanted).then_some(s + len))
    }

    fn expand_most(&mut self, s: usize, p: usize, end: usize, depth: usize) -> Found {
        let mut count = 0;
        while self.matches_one(s + count, p, end) {
            count += 1;
            if !(self.step)() {
                return Err(Wrong::Stopped);
            }
        }
        loop {
            if let Some(found) = self.run(s + count, end + 1, depth + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn expand_least(&mut self, mut s: usize, p: usize, end: usize, depth: usize) -> Found {
        loop {
            if let Some(found) = self.run(s, end + 1, depth + 1)? {
                return Ok(Some(found));
            }
            if !self.matches_one(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn begin_capture(&mut self, s: usize, p: usize, len: Len, depth: usize) -> Found {
        let level = self.level;
        let slot = self.captures.get_mut(level).ok_or(Wrong::Pattern("too many captures"))?;
        *slot = Capture { begin: s, len };
        self.level = level + 1;
        let found = self.run(s, p, depth + 1)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn end_capture(&mut self, s: usize, p: usize, depth: usize) -> Found {
        let open =
            self.captures[..self.level].iter().rposition(|capture| capture.len == Len::Unfinished);
        let open = open.ok_or(Wrong::Pattern("invalid pattern capture"))?;
        self.captures[open].len = Len::Bytes(s - self.captures[open].begin);
        let found = self.run(s, p, depth + 1)?;
        if found.is_none() {
            self.captures[open].len = Len::Unfinished;
        }
        Ok(found)
    }
}

/// A pattern as far as C reads it.
pub(crate) fn until_nul(pattern: &[u8]) -> &[u8] {
    &pattern[..memchr::memchr(0, pattern).unwrap_or(pattern.len())]
}

/// Whether a pattern is just text.
pub(crate) fn is_plain(pattern: &[u8]) -> bool {
    !until_nul(pattern).iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// Whether a byte is in the class of this letter; capitals are the other bytes.
fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | 9..=13),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is_in == class.is_ascii_lowercase()
}
