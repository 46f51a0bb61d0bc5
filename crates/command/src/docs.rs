//! The arguments of a command as COMMAND DOCS shows them, read from the row's `syntax`.
//!
//! The syntax is the notation of the manual: words in upper case are tokens, words in lower case
//! are values, `[...]` is optional, `|` parts alternatives, `...` repeats what stands before it,
//! `(...)` groups; a token belongs to the value or the group right behind it.
//! `key [EX seconds | PX milliseconds]` says that a key comes first, then perhaps one of two blocks
//! of a token and a value.

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
    /// Whether the token stands before each of several, not only before the first.
    pub multiple_token: bool,
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
    // What must be one of several stands in either kind of brackets.
    let syntax = syntax.replace('<', "(").replace('>', ")");
    let spaced = ["[", "]", "(", ")", "|"]
        .iter()
        .fold(syntax, |text, mark| text.replace(mark, &format!(" {mark} ")));
    let words = with_repetitions(spaced.split_whitespace().collect());
    let mut parser = SyntaxParser { words: &words };
    let first = parser.sequence();
    if parser.peek() == Some("|") { vec![parser.choice(first)] } else { first }
}

/// Writes `a b [a b ...]` as `( a b ) ...`, which means the same.
fn with_repetitions(mut words: Vec<&str>) -> Vec<&str> {
    const LEN_MAX: usize = 3;
    let repeats_at = |words: &[&str], at: usize| {
        (1..=LEN_MAX.min(at)).find(|&len| {
            let repeated = words.get(at + 1..at + 1 + len);
            words[at] == "["
                && repeated == Some(&words[at - len..at])
                && words.get(at + 1 + len..at + 3 + len) == Some(&["...", "]"])
        })
    };
    let mut at = 0;
    while at < words.len() {
        if let Some(len) = repeats_at(&words, at) {
            words.splice(at..at + len + 3, [")", "..."]);
            words.insert(at - len, "(");
        }
        at += 1;
    }
    words
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

    /// One of several: what was read already, or what follows up to a closing mark or the end.
    fn choice(&mut self, first: Vec<Argument>) -> Argument {
        let mut all = vec![block(first)];
        while self.eat("|") {
            all.push(block(self.sequence()));
        }
        if all.len() == 1 {
            return all.remove(0);
        }
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let known = CHOICES.iter().find(|(first, _)| *first == names[0]);
        let name = known.map_or_else(|| names.join("-or-"), |(_, name)| (*name).to_owned());
        Argument::of(name, ArgumentKind::OneOf(all))
    }

    /// Arguments up to a closing mark, an alternative or the end.
    fn sequence(&mut self) -> Vec<Argument> {
        let mut list: Vec<Argument> = Vec::new();
        while let Some(word) = self.peek() {
            match word {
                "]" | ")" | "|" => break,
                "..." => {
                    self.next();
                    if let Some(last) = list.last_mut() {
                        last.multiple = true;
                        last.multiple_token = last.token.is_some();
                    }
                }
                _ => list.push(self.argument()),
            }
        }
        list
    }

    fn argument(&mut self) -> Argument {
        if self.eat("[") {
            return Argument { optional: true, ..self.group("]") };
        }
        if self.eat("(") {
            return self.group(")");
        }
        self.word()
    }

    fn group(&mut self, end: &str) -> Argument {
        let first = self.sequence();
        let inner = self.choice(first);
        self.eat(end);
        inner
    }

    /// A value, a token, or a token with what belongs to it: a value, or a group in brackets.
    fn word(&mut self) -> Argument {
        let word = self.next().unwrap_or_default();
        if !is_token(word) {
            return value(word);
        }
        let token = Some(word.to_owned());
        match self.peek() {
            Some(next) if is_value(next) => {
                self.next();
                Argument { token, ..value(next) }
            }
            Some("(") => {
                self.next();
                let group = self.group(")");
                Argument { token, multiple: self.eat("..."), ..group }
            }
            _ => Argument { token, ..Argument::of(word.to_lowercase(), ArgumentKind::PureToken) },
        }
    }
}

/// What alternatives are called, by the first of them.
const CHOICES: &[(&str, &str)] = &[
    ("nx", "condition"),
    ("seconds", "expiration"),
    ("byte", "unit"),
    ("and", "operation"),
    ("get", "operation"),
    ("set", "write-operation"),
    ("wrap", "overflow"),
    ("async", "flush-type"),
    ("write", "mode"),
    ("on", "enabled"),
    ("yes", "answer"),
    ("nosave", "save-selector"),
    ("slow", "type"),
    ("normal", "client-type"),
    ("libname", "attribute"),
    ("module-name", "filterby"),
    ("ip:port", "filter"),
    ("v", "attribute"),
    ("float", "increment"),
];

/// What several arguments in a row are called, by the first of them.
const BLOCKS: &[(&str, &str)] =
    &[("key", "data"), ("parameter", "data"), ("start", "range"), ("protover", "arguments")];

impl Argument {
    fn of(name: String, kind: ArgumentKind) -> Argument {
        let (optional, multiple, multiple_token) = (false, false, false);
        Argument { name, kind, token: None, optional, multiple, multiple_token }
    }
}

fn is_token(word: &str) -> bool {
    !word.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_value(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
}

fn value(word: &str) -> Argument {
    Argument::of(word.to_owned(), ArgumentKind::Value(type_of(word)))
}

/// Several arguments as one; a token before several values belongs to all of them.
fn block(mut list: Vec<Argument>) -> Argument {
    if list.len() == 1 {
        return list.remove(0);
    }
    let Some(first) = list.first_mut() else {
        return Argument::of(String::new(), ArgumentKind::Block(list));
    };
    let announced = first.token.is_some()
        && matches!(first.kind, ArgumentKind::Value(_))
        && list[1..].iter().all(|one| one.token.is_none() && !one.optional);
    let token = if announced { list[0].token.take() } else { None };
    let name = match &token {
        Some(token) => token.to_lowercase(),
        None => {
            let first = list[0].name.as_str();
            let known = BLOCKS.iter().find(|(begin, _)| *begin == first);
            known.map_or(first, |(_, name)| name).to_owned()
        }
    };
    Argument { token, ..Argument::of(name, ArgumentKind::Block(list)) }
}

/// The type of a value, by the manual's habits of naming.
fn type_of(name: &str) -> &'static str {
    const INTEGERS: [&str; 29] = [
        "bit",
        "byte",
        "client-id",
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
        "maxage",
        "milliseconds",
        "min-match-len",
        "numkeys",
        "offset",
        "period",
        "protover",
        "quantity",
        "seconds",
        "start",
        "timeout",
        "value-bit",
        "version-number",
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
    fn what_must_be_one_of_several_may_stand_in_angles() {
        assert_eq!(arguments("key <A | B>"), arguments("key (A | B)"));
        let side = &arguments("source <LEFT | RIGHT> [COUNT count]")[1];
        let ArgumentKind::OneOf(sides) = &side.kind else { panic!("one of two") };
        assert_eq!(sides[1].token.as_deref(), Some("RIGHT"));
        assert!(!side.optional);
    }

    #[test]
    fn repetition_belongs_to_what_stands_before_it() {
        let list = arguments("(key value) ...");
        assert!(list[0].multiple);
        assert!(matches!(&list[0].kind, ArgumentKind::Block(of) if of.len() == 2));
    }

    #[test]
    fn a_repetition_in_brackets_is_that_of_what_stands_before_them() {
        assert_eq!(arguments("name [name ...]"), arguments("name ..."));
        assert_eq!(arguments("a b [a b ...]"), arguments("(a b) ..."));
        let ids = arguments("[ID client-id [client-id ...]]");
        assert!(ids[0].optional && ids[0].multiple && !ids[0].multiple_token);
        assert_eq!(ids[0].token.as_deref(), Some("ID"));
        let steps = arguments("[GET encoding offset] ...");
        assert!(steps[0].multiple && steps[0].multiple_token);
    }

    #[test]
    fn a_token_belongs_to_what_stands_right_behind_it() {
        let list = arguments("[AUTH username password] [SKIPME (YES | NO)] [LEN] key");
        assert_eq!(list[0].token.as_deref(), Some("AUTH"));
        assert!(matches!(&list[0].kind, ArgumentKind::Block(of) if of[0].token.is_none()));
        assert_eq!(list[1].token.as_deref(), Some("SKIPME"));
        assert!(matches!(&list[1].kind, ArgumentKind::OneOf(of) if of.len() == 2));
        assert_eq!((&list[2].kind, list.len()), (&ArgumentKind::PureToken, 4));
    }

    #[test]
    fn alternatives_need_no_brackets_around_all_of_them() {
        let list = arguments("ON | OFF");
        assert!(matches!(&list[..], [one] if one.name == "enabled"));
        assert!(arguments("").is_empty());
    }

    #[test]
    fn broken_notation_ends_too() {
        for broken in
            ["[", "]", "((", "a | b", "...", "", "[[[]", "a [a ...", "|", "A ( ...", "[a ...] b"]
        {
            let _ = arguments(broken);
        }
    }
}
