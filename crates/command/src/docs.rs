//! The arguments of a command as COMMAND DOCS shows them, read from the row's `syntax`.
//!
//! The syntax is the notation of the manual: words in upper case are tokens, words in lower case
//! are values, `[...]` is optional, `|` parts alternatives, `...` repeats what stands before it,
//! `(...)` groups. `key [EX seconds | PX milliseconds]` says that a key comes first, then perhaps
//! one of two blocks of a token and a value.

/// One argument of a command's syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name, in lower case.
    pub name: String,
    /// What it is.
    pub kind: ArgumentKind,
    /// The word that announces it.
    pub token: Option<String>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether there may be several.
    pub multiple: bool,
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A value of this type: `key`, `string`, `integer`, `double`, `pattern`, `unix-time`.
    Value(&'static str),
    /// Only its token.
    PureToken,
    /// One of several.
    OneOf(Vec<Argument>),
    /// Several in a row.
    Block(Vec<Argument>),
}

/// The arguments that a syntax describes.
#[must_use]
pub fn arguments(syntax: &str) -> Vec<Argument> {
    let spaced = ["[", "]", "(", ")", "|"]
        .iter()
        .fold(syntax.to_owned(), |text, mark| text.replace(mark, &format!(" {mark} ")));
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = SyntaxParser { words: &words };
    parser.sequence()
}

struct SyntaxParser<'a> {
    words: &'a [&'a str],
}

impl<'a> SyntaxParser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.first().copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn eat(&mut self, word: &str) -> bool {
        let here = self.peek() == Some(word);
        if here {
            self.next();
        }
        here
    }

    /// Arguments up to a closing mark or the end.
    fn sequence(&mut self) -> Vec<Argument> {
        let mut list = Vec::new();
        while let Some(word) = self.peek() {
            if matches!(word, "]" | ")" | "|") {
                break;
            }
            if self.eat("...") {
                if let Some(last) = list.last_mut() {
                    let last: &mut Argument = last;
                    last.multiple = true;
                }
                continue;
            }
            list.push(self.argument());
        }
        list
    }

    fn argument(&mut self) -> Argument {
        if self.eat("[") {
            return Argument { optional: true, ..self.alternatives("]") };
        }
        if self.eat("(") {
            return self.alternatives(")");
        }
        self.word()
    }

    fn alternatives(&mut self, end: &str) -> Argument {
        let mut all = vec![self.sequence()];
        while self.eat("|") {
            all.push(self.sequence());
        }
        self.eat(end);
        let mut all: Vec<Argument> = all.into_iter().map(block).collect();
        if all.len() == 1 {
            return all.remove(0);
        }
        let name = all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join("-or-");
        let kind = ArgumentKind::OneOf(all);
        Argument { name, kind, token: None, optional: false, multiple: false }
    }

    /// A value, a token, or a token with its value.
    fn word(&mut self) -> Argument {
        let word = self.next().unwrap_or_default();
        if !is_token(word) {
            return value(word, None);
        }
        match self.peek() {
            Some(next) if next.starts_with(|first: char| first.is_ascii_lowercase()) => {
                self.next();
                value(next, Some(word.to_owned()))
            }
            _ => Argument {
                name: word.to_lowercase(),
                kind: ArgumentKind::PureToken,
                token: Some(word.to_owned()),
                optional: false,
                multiple: false,
            },
        }
    }
}

fn is_token(word: &str) -> bool {
    !word.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn value(word: &str, token: Option<String>) -> Argument {
    let kind = ArgumentKind::Value(type_of(word));
    Argument { name: word.to_owned(), kind, token, optional: false, multiple: false }
}

fn block(mut list: Vec<Argument>) -> Argument {
    if list.len() == 1 {
        return list.remove(0);
    }
    let name = list.first().map_or_else(String::new, |first| first.name.clone());
    let kind = ArgumentKind::Block(list);
    Argument { name, kind, token: None, optional: false, multiple: false }
}

/// The type of a value, by the manual's habits of naming.
fn type_of(name: &str) -> &'static str {
    const INTEGERS: [&str; 24] = [
        "bit",
        "byte",
        "count",
        "cursor",
        "db",
        "decrement",
        "destination-db",
        "end",
        "increment",
        "index",
        "index1",
        "index2",
        "integer",
        "len",
        "max-burst",
        "milliseconds",
        "numkeys",
        "offset",
        "period",
        "quantity",
        "seconds",
        "start",
        "timeout",
        "value-bit",
    ];
    match name {
        _ if name.contains("unix-time") => "unix-time",
        "pattern" => "pattern",
        "float" => "double",
        _ if name.starts_with("key") || name.contains("-key") || name.ends_with("key") => "key",
        "source" | "destination" | "newkey" => "key",
        _ if INTEGERS.contains(&name) => "integer",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_alternatives_are_read() {
        let list = arguments("key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]");
        assert_eq!(list.len(), 5);
        assert_eq!(list[0].kind, ArgumentKind::Value("key"));
        assert!(
            list[2].optional && matches!(&list[2].kind, ArgumentKind::OneOf(of) if of.len() == 2)
        );
        assert!(list[3].optional && list[3].kind == ArgumentKind::PureToken);
        let ArgumentKind::OneOf(expiry) = &list[4].kind else { panic!("one of three") };
        assert_eq!(expiry[0].token.as_deref(), Some("EX"));
        assert_eq!(expiry[0].kind, ArgumentKind::Value("integer"));
        assert_eq!(expiry[2].kind, ArgumentKind::PureToken);
    }

    #[test]
    fn repetition_belongs_to_what_stands_before_it() {
        let list = arguments("(key value) ...");
        assert!(list[0].multiple);
        assert!(matches!(&list[0].kind, ArgumentKind::Block(of) if of.len() == 2));
    }

    #[test]
    fn broken_notation_ends_too() {
        for broken in ["[", "]", "((", "a | b", "...", "", "[[[]"] {
            let _ = arguments(broken);
        }
    }
}
