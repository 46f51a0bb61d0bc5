//! Functions of `string` that can work long: they can be stopped, and take no more memory than
//! Lua has left.

use std::ffi::c_int;

use crate::lua::{Kind, Lua, Outcome, Raised};
use crate::pattern::{Captured, Matcher, Wrong, is_plain, until_nul};
use crate::stop::{Pace, look, make_room};

/// Replaces what we do otherwise in Lua's table, on top.
pub(crate) fn fill(lua: Lua<'_>) {
    lua.push_function(|lua| search(lua, true), 0);
    lua.raw_set_field(-2, "find");
    lua.push_function(|lua| search(lua, false), 0);
    lua.raw_set_field(-2, "match");
    lua.set_function("gmatch", each_match);
    lua.set_function("gfind", each_match);
    lua.set_function("gsub", replace_all);
    lua.set_function("rep", repeat);
}

/// A step of the matcher: whether to go on. Nothing may be raised out of it.
fn steps(lua: Lua<'_>) -> impl FnMut() -> bool {
    let pace = Pace::new(lua);
    move || !pace.is_stopped()
}

/// Raises what was wrong.
fn refuse(lua: Lua<'_>, wrong: Wrong) -> Raised {
    match wrong {
        Wrong::Pattern(text) => lua.fail(text),
        Wrong::Stopped => look(lua).err().unwrap_or_else(|| lua.fail("stopped")),
    }
}

/// `string.find` and `string.match`.
fn search(lua: Lua<'_>, is_find: bool) -> Outcome {
    let (text, pattern) = (lua.check_bytes(1), lua.check_bytes(2));
    let from = start(lua.integer_or(3, 1), text.len());
    if is_find && (lua.boolean(4) || is_plain(pattern)) {
        return find_plain(lua, text, pattern, from);
    }
    let pattern = until_nul(pattern);
    let anchored = pattern.strip_prefix(b"^");
    let mut matcher = Matcher::new(text, anchored.unwrap_or(pattern), steps(lua));
    for at in from..=text.len() {
        if let Some(end) = matcher.find_at(at).map_err(|wrong| refuse(lua, wrong))? {
            let mut count = 0;
            if is_find {
                lua.push_len(at + 1);
                lua.push_len(end);
                count = 2;
            }
            return Ok(count + push_captures(lua, &matcher, text, (at, end), !is_find)?);
        }
        if anchored.is_some() {
            break;
        }
    }
    lua.push_nil();
    Ok(1)
}

/// Where to begin, from 0, as scripts say it: from 1, or from the end if negative.
fn start(from: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from = if from < 0 { from.saturating_add(len).saturating_add(1) } else { from };
    usize::try_from((from - 1).clamp(0, len)).unwrap_or(0)
}

fn find_plain(lua: Lua<'_>, text: &[u8], wanted: &[u8], from: usize) -> Outcome {
    match memchr::memmem::find(&text[from..], wanted) {
        Some(at) => {
            lua.push_len(from + at + 1);
            lua.push_len(from + at + wanted.len());
            Ok(2)
        }
        None => {
            lua.push_nil();
            Ok(1)
        }
    }
}

/// Pushes all captures, or the match itself if there are none and `whole` says so.
fn push_captures<S: FnMut() -> bool>(
    lua: Lua<'_>,
    matcher: &Matcher<'_, S>,
    text: &[u8],
    found: (usize, usize),
    whole: bool,
) -> Outcome {
    let count = if matcher.level() == 0 && whole { 1 } else { matcher.level() };
    lua.check_room(count as c_int + 8, c"too many captures");
    for index in 0..count {
        push_capture(lua, matcher, text, found, index)?;
    }
    Ok(count as c_int)
}

fn push_capture<S: FnMut() -> bool>(
    lua: Lua<'_>,
    matcher: &Matcher<'_, S>,
    text: &[u8],
    (begin, end): (usize, usize),
    index: usize,
) -> Result<(), Raised> {
    match matcher.captured(index, begin, end).map_err(|wrong| refuse(lua, wrong))? {
        Captured::Text(begin, end) => lua.push_bytes(&text[begin..end]),
        Captured::Position(at) => lua.push_len(at),
    }
    Ok(())
}

/// `string.gmatch(text, pattern)`.
fn each_match(lua: Lua<'_>) -> Outcome {
    lua.check_bytes(1);
    lua.check_bytes(2);
    lua.set_top(2);
    lua.push_number(0.0);
    lua.push_function(next_match, 3);
    Ok(1)
}

fn next_match(lua: Lua<'_>) -> Outcome {
    let text = lua.text(Lua::upvalue(1)).unwrap_or_default();
    let pattern = lua.text(Lua::upvalue(2)).unwrap_or_default();
    let from = lua.number(Lua::upvalue(3)) as usize;
    let mut matcher = Matcher::new(text, pattern, steps(lua));
    for at in from..=text.len() {
        if let Some(end) = matcher.find_at(at).map_err(|wrong| refuse(lua, wrong))? {
            // After an empty match, at least one position further.
            lua.push_len(if end == at { end + 1 } else { end });
            lua.replace(Lua::upvalue(3));
            return push_captures(lua, &matcher, text, (at, end), true);
        }
    }
    Ok(0)
}

/// `string.gsub(text, pattern, replacement, max)`.
fn replace_all(lua: Lua<'_>) -> Outcome {
    let (text, pattern) = (lua.check_bytes(1), until_nul(lua.check_bytes(2)));
    if !matches!(lua.kind(3), Kind::Number | Kind::String | Kind::Function | Kind::Table) {
        lua.refuse_argument(3, c"string/function/table expected");
    }
    let max = if lua.is_nothing(4) { i64::MAX } else { i64::from(lua.check_int(4)) };
    let anchored = pattern.strip_prefix(b"^");
    let shared = lua.shared();
    let begin = shared.scratch_len();
    let mut result = Replaced { lua, text, begin, end: begin };
    let mut matcher = Matcher::new(text, anchored.unwrap_or(pattern), steps(lua));
    let (mut at, mut count) = (0, 0);
    while count < max {
        let found = matcher.find_at(at).map_err(|wrong| refuse(lua, wrong));
        let found = result.or_forget(found)?;
        if let Some(end) = found {
            count += 1;
            let added = result.add_replacement(&matcher, (at, end));
            result.or_forget(added)?;
        }
        match found {
            Some(end) if end > at => at = end,
            _ if at < text.len() => {
                let added = result.add(&text[at..=at]);
                result.or_forget(added)?;
                at += 1;
            }
            _ => break,
        }
        if anchored.is_some() {
            break;
        }
    }
    let added = result.add(&text[at..]);
    result.or_forget(added)?;
    result.cut();
    lua.push_scratch(begin);
    lua.push_number(count as f64);
    Ok(2)
}

/// What `gsub` has put together: a part of the scratch buffer, behind which functions that it
/// calls may leave theirs.
struct Replaced<'a> {
    lua: Lua<'a>,
    text: &'a [u8],
    begin: usize,
    end: usize,
}

impl Replaced<'_> {
    fn cut(&self) {
        self.lua.shared().scratch_cut(self.end);
    }

    /// Forgets everything if there is an error.
    fn or_forget<T>(&self, result: Result<T, Raised>) -> Result<T, Raised> {
        if result.is_err() {
            self.lua.shared().scratch_cut(self.begin);
        }
        result
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Raised> {
        self.cut();
        let shared = self.lua.shared();
        if !shared.has_room(self.end + bytes.len()) {
            return Err(self.lua.fail_plain("not enough memory"));
        }
        shared.scratch_push(bytes);
        self.end += bytes.len();
        Ok(())
    }

    /// Adds what comes in place of a match.
    fn add_replacement<S: FnMut() -> bool>(
        &mut self,
        matcher: &Matcher<'_, S>,
        found: (usize, usize),
    ) -> Result<(), Raised> {
        let lua = self.lua;
        match lua.kind(3) {
            Kind::Function => {
                lua.copy(3);
                let count = push_captures(lua, matcher, self.text, found, true)?;
                lua.call(count, 1);
            }
            Kind::Table => {
                push_capture(lua, matcher, self.text, found, 0)?;
                lua.get(3);
            }
            _ => return self.add_template(matcher, found),
        }
        if !lua.boolean(-1) {
            self.add(&self.text[found.0..found.1])?;
        } else if matches!(lua.kind(-1), Kind::String | Kind::Number) {
            self.add(lua.text(-1).unwrap_or_default())?;
        } else {
            let kind = lua.kind_name(-1);
            return Err(lua.fail(format_args!("invalid replacement value (a {kind})")));
        }
        lua.pop(1);
        Ok(())
    }

    /// Adds the replacement text with its `%0` to `%9` filled in.
    fn add_template<S: FnMut() -> bool>(
        &mut self,
        matcher: &Matcher<'_, S>,
        found: (usize, usize),
    ) -> Result<(), Raised> {
        let lua = self.lua;
        let mut rest = lua.text(3).unwrap_or_default();
        while let Some(escape) = memchr::memchr(b'%', rest) {
            self.add(&rest[..escape])?;
            // Behind the end, C reads a NUL.
            let escaped = rest.get(escape + 1).copied().unwrap_or(0);
            rest = rest.get(escape + 2..).unwrap_or_default();
            match escaped {
                b'0' => self.add(&self.text[found.0..found.1])?,
                b'1'..=b'9' => {
                    push_capture(lua, matcher, self.text, found, usize::from(escaped - b'1'))?;
                    self.add(lua.text(-1).unwrap_or_default())?;
                    lua.pop(1);
                }
                other => self.add(&[other])?,
            }
        }
        self.add(rest)
    }
}

/// `string.rep(text, count)`.
fn repeat(lua: Lua<'_>) -> Outcome {
    let text = lua.check_bytes(1);
    let count = usize::try_from(lua.check_int(2)).unwrap_or(0);
    let shared = lua.shared();
    let len = text.len().saturating_mul(count);
    // Once in the buffer, once as a string.
    make_room(lua, len.saturating_mul(2));
    if !shared.has_room(len.saturating_mul(2)) {
        return Err(lua.fail_plain("not enough memory"));
    }
    let begin = shared.scratch_len();
    if len > 0 {
        shared.scratch(|buffer| {
            buffer.reserve(len);
            (0..count).for_each(|_| buffer.extend_from_slice(text));
        });
    }
    lua.push_scratch(begin);
    Ok(1)
}
