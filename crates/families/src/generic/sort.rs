//! `SORT` and `SORT_RO`: the elements of a list or a set, or what other keys say of them, in order.
//!
//! BY and GET name keys by patterns in which an element takes the place of a star, so which keys
//! are read is not known before: with one of them, these commands enter every shard.
//!
//! # Invariants
//!
//! 1. Elements with the same number are in the order of their texts; elements with the same
//!    text of a BY stay in the order in which they lie. So a result is the same each time.

use std::cmp::Ordering;
use std::ops::Range;

use command::{
    Args, Arity, Begin, Category, Command, CommandError, Done, Enter, Find, Flags, Group, Key,
    KeySpec, KeyUse, Prepared, Reply, Run, View, event,
};
use keyspace::{Expiry, NewList, Type};
use memchr::{memchr, memmem};
use smallvec::SmallVec;
use value::entries::{Digits, Element};

use crate::list::{Texts, reply_with};
use crate::work;

const BEHIND_PATTERNS: KeySpec = KeySpec {
    begin: Begin::Index(2),
    find: Find::Unknown,
    usage: KeyUse::READ,
    note: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive \
           from the content of the key we sort",
};

pub(super) const SORT: Command = Command {
    name: "SORT",
    work: Some(|args, keys| work::SORT_STEPS * work::whole(args, keys)),
    run: Run::Write(sort),
    prepare: Some(prepare),
    arity: Arity::AtLeast(2),
    keys: &[
        KeySpec::one(1, KeyUse::READ),
        BEHIND_PATTERNS,
        KeySpec {
            begin: Begin::Index(2),
            find: Find::Behind("STORE"),
            usage: KeyUse::OVERWRITE,
            note: "For the optional STORE keyword. It is marked 'unknown' because the keyword can \
                   appear anywhere in the argument array",
        },
    ],
    // What patterns name is not known before.
    enter: Enter::AllWith(&["BY", "GET"]),
    flags: Flags::DENY_OOM.and(Flags::MOVABLE_KEYS).and(Flags::ARBITRARY_KEYS),
    category: Category::LIST.and(Category::SET).and(Category::SORTED_SET).and(Category::DANGEROUS),
    group: Group::Generic,
    since: "1.0.0",
    summary: "Returns the elements of a list, a set or a sorted set in order, or stores them.",
    complexity: "O(N + M * log(M)) where N is how many there are and M how many are returned",
    syntax: "key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] \
             [STORE destination]",
    ..Command::BASE
};

pub(super) const SORT_RO: Command = Command {
    name: "SORT_RO",
    run: Run::Read(sort_ro),
    prepare: None,
    keys: &[KeySpec::one(1, KeyUse::READ), BEHIND_PATTERNS],
    flags: Flags::MOVABLE_KEYS.and(Flags::ARBITRARY_KEYS),
    since: "7.0.0",
    summary: "Returns the elements of a list, a set or a sorted set in order.",
    syntax: "key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA]",
    ..SORT
};

fn sort(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let request = Request::parse(args, true)?;
    let Some(destination) = request.store else {
        return request.answer(keys, reply);
    };
    let (list, count) = request.result(keys)?;
    put(destination, list, count, keys, reply)
}

/// Sorting reads what patterns name, too, so its result is put at once if there are any.
fn prepare<'p>(
    args: Args<'p>,
    keys: &View<'_>,
    reply: &mut Reply<'_>,
) -> Result<Prepared<'p>, CommandError> {
    let request = Request::parse(args, true)?;
    let Some(destination) = request.store else {
        request.answer(keys, reply)?;
        return Ok(Prepared::Answered);
    };
    if request.by.is_some() || !request.get.is_empty() {
        return Ok(Prepared::Undone);
    }
    let (list, count) = request.result(keys)?;
    let destination = destination.0.to_vec();
    Ok(Prepared::Put(Box::new(move |keys, reply| put(Key(&destination), list, count, keys, reply))))
}

fn put(
    destination: Key<'_>,
    list: NewList,
    count: usize,
    keys: &mut View<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    let before = keys.changes();
    keys.put_list(destination.0, list, Expiry::Clear, event::SORTSTORE)?;
    if count > 0 {
        keys.count_since(before, count);
    }
    reply.integer(count as i64);
    Ok(())
}

fn sort_ro(args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    Request::parse(args, false)?.answer(keys, reply)
}

/// What is asked for.
struct Request<'a> {
    key: Key<'a>,
    by: Option<Pattern<'a>>,
    get: SmallVec<[Pattern<'a>; 2]>,
    store: Option<Key<'a>>,
    offset: i64,
    count: i64,
    descending: bool,
    alpha: bool,
}

impl<'a> Request<'a> {
    fn parse(mut args: Args<'a>, may_store: bool) -> Result<Request<'a>, CommandError> {
        let mut request = Request {
            key: args.take()?,
            by: None,
            get: SmallVec::new(),
            store: None,
            offset: 0,
            count: -1,
            descending: false,
            alpha: false,
        };
        while !args.is_empty() {
            request.take_option(&mut args, may_store)?;
        }
        Ok(request)
    }

    fn take_option(&mut self, args: &mut Args<'a>, may_store: bool) -> Result<(), CommandError> {
        if args.word("ASC") {
            self.descending = false;
        } else if args.word("DESC") {
            self.descending = true;
        } else if args.word("ALPHA") {
            self.alpha = true;
        } else if args.len() >= 3 && args.word("LIMIT") {
            (self.offset, self.count) = (args.take()?, args.take()?);
        } else if may_store && args.word_with_value("STORE") {
            self.store = Some(args.take()?);
        } else if args.word_with_value("BY") {
            self.by = Some(Pattern::parse(args.bytes()?));
        } else if args.word_with_value("GET") {
            self.get.push(Pattern::parse(args.bytes()?));
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }

    /// The result as a list to be stored, and its length.
    fn result(&self, keys: &View<'_>) -> Result<(NewList, usize), CommandError> {
        let mut result = Texts::default();
        self.each(keys, |text| match text {
            Some(element) => result.add_element(element),
            None => result.add(b""),
        })?;
        Ok((keys.new_list(result.texts(false)), result.len()))
    }

    fn answer(&self, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
        let array = reply.deferred_array();
        let mut count = 0;
        self.each(keys, |text| {
            count += 1;
            match text {
                Some(element) => reply_with(element, reply),
                None => reply.null(),
            }
        })?;
        reply.finish(array, count);
        Ok(())
    }

    /// Shows each text of the result; nothing where GET finds nothing.
    fn each(
        &self,
        keys: &View<'_>,
        mut show: impl FnMut(Option<Element<'_>>),
    ) -> Result<(), CommandError> {
        for element in self.chosen(keys)? {
            if self.get.is_empty() {
                show(Some(element));
            }
            for pattern in &self.get {
                show(pattern.value(element, keys));
            }
        }
        Ok(())
    }

    /// The elements of the result, in its order.
    fn chosen<'v>(&self, keys: &'v View<'_>) -> Result<Vec<Element<'v>>, CommandError> {
        let (kind, mut elements) = elements_of(self.key, keys)?;
        let range = self.limits(elements.len());
        let order = match &self.by {
            None if self.alpha => Order::Text,
            None => Order::Number(None),
            // Without a star nothing is sorted. A set has no order of its own, but what is stored
            // must be the same again wherever it is done again, and so must what a script sees.
            Some(Pattern::Fixed | Pattern::Itself)
                if kind != Type::Set || (self.store.is_none() && !keys.frame().by_script) =>
            {
                if self.descending && kind != Type::Set {
                    elements.reverse();
                }
                return Ok(elements.drain(range).collect());
            }
            Some(Pattern::Fixed | Pattern::Itself) => Order::Text,
            Some(pattern) if self.alpha => Order::TextOf(pattern),
            Some(pattern) => Order::Number(Some(pattern)),
        };
        let mut sorted = order.sort(elements, self.descending, keys)?;
        Ok(sorted.drain(range).collect())
    }

    /// Which of `len` elements in order are asked for.
    fn limits(&self, len: usize) -> Range<usize> {
        let within = |number: i64| usize::try_from(number).unwrap_or(0).min(len);
        let start = within(self.offset.max(0));
        let end = if self.count < 0 { len } else { len.min(start + within(self.count)) };
        start..end
    }
}

/// The elements of a key, and its type; none of no key.
fn elements_of<'v>(
    key: Key<'_>,
    keys: &'v View<'_>,
) -> Result<(Type, Vec<Element<'v>>), CommandError> {
    let kind = keys.info(key.0).map_or(Type::List, |info| info.kind);
    let elements = match kind {
        // What is none of these is counted as found, and refused.
        Type::List | Type::String | Type::Hash | Type::Stream | Type::Array => {
            keys.list(key.0)?.map(|list| list.iter().collect())
        }
        Type::Set => keys.set(key.0)?.map(|set| set.iter().collect()),
        Type::ZSet => keys.zset(key.0)?.map(|set| set.iter().map(|(member, _)| member).collect()),
    };
    Ok((kind, elements.unwrap_or_default()))
}

/// What decides which element is first.
enum Order<'a> {
    /// The element itself.
    Text,
    /// The number that the element is, or that a key says of it.
    Number(Option<&'a Pattern<'a>>),
    /// The text that a key says of it; first are those of which it says none.
    TextOf(&'a Pattern<'a>),
}

impl Order<'_> {
    fn sort<'v>(
        &self,
        mut elements: Vec<Element<'v>>,
        descending: bool,
        keys: &View<'_>,
    ) -> Result<Vec<Element<'v>>, CommandError> {
        match self {
            Order::Text => {
                elements.sort_by(|one, other| directed(descending, one, other, by_text));
                Ok(elements)
            }
            Order::Number(by) => {
                let weighed = elements.into_iter().map(|element| {
                    let weight = by.map_or(Some(element), |by| by.value(element, keys));
                    Ok((
                        weight.map_or(Some(0.0), number_of).ok_or(CommandError::SortWeight)?,
                        element,
                    ))
                });
                let weighed = weighed.collect::<Result<Vec<(f64, _)>, CommandError>>()?;
                Ok(arranged(weighed, descending, |one, other| {
                    // Weights are numbers, so they compare.
                    let order = one.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal);
                    order.then_with(|| by_text(&one.1, &other.1))
                }))
            }
            Order::TextOf(by) => {
                let weighed = elements.into_iter();
                let weighed = weighed.map(|element| (by.value(element, keys), element)).collect();
                Ok(arranged(weighed, descending, |one, other| match (&one.0, &other.0) {
                    (Some(one), Some(other)) => by_text(one, other),
                    (one, other) => one.is_some().cmp(&other.is_some()),
                }))
            }
        }
    }
}

/// The elements in the order of what they are weighed by; equal ones stay as they are.
fn arranged<'v, W>(
    mut weighed: Vec<(W, Element<'v>)>,
    descending: bool,
    compare: impl Fn(&(W, Element<'v>), &(W, Element<'v>)) -> Ordering,
) -> Vec<Element<'v>> {
    weighed.sort_by(|one, other| directed(descending, one, other, &compare));
    weighed.into_iter().map(|(_, element)| element).collect()
}

fn directed<T>(
    descending: bool,
    one: &T,
    other: &T,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    if descending { compare(other, one) } else { compare(one, other) }
}

fn by_text(one: &Element<'_>, other: &Element<'_>) -> Ordering {
    let (mut digits, mut others) = (Digits::new(), Digits::new());
    one.to_text(&mut digits).cmp(other.to_text(&mut others))
}

/// The number that a text is: a decimal one, which may be infinite; that of the empty text is 0.
fn number_of(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(number) => Some(number as f64),
        Element::Bytes(b"") => Some(0.0),
        Element::Bytes(text) => {
            let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            (!number.is_nan()).then_some(number)
        }
    }
}

/// A name in which an element takes the place of the first star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Itself,
    /// No star: nothing is found.
    Fixed,
    /// The name of a string, before and behind the star.
    Str(&'a [u8], &'a [u8]),
    /// The name of a hash, before and behind the star, and a field of it.
    Field(&'a [u8], &'a [u8], &'a [u8]),
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        let Some(star) = memchr(b'*', text) else {
            return if text == b"#" { Pattern::Itself } else { Pattern::Fixed };
        };
        let (before, behind) = (&text[..star], &text[star + 1..]);
        match memmem::find(behind, b"->") {
            Some(arrow) if arrow + 2 < behind.len() => {
                Pattern::Field(before, &behind[..arrow], &behind[arrow + 2..])
            }
            _ => Pattern::Str(before, behind),
        }
    }

    /// What is found for an element.
    fn value<'v>(&self, element: Element<'v>, keys: &'v View<'_>) -> Option<Element<'v>> {
        match self {
            Pattern::Itself => Some(element),
            Pattern::Fixed => None,
            Pattern::Str(before, behind) => {
                let found = keys.str(&name_of(before, element, behind)).ok()??;
                Some(Element::Bytes(found.as_bytes()))
            }
            Pattern::Field(before, behind, field) => {
                let name = name_of(before, element, behind);
                keys.field(&name, keys.hash_map(&name).ok()??, field)
            }
        }
    }
}

fn name_of(before: &[u8], element: Element<'_>, behind: &[u8]) -> SmallVec<[u8; 128]> {
    let mut name = SmallVec::from_slice(before);
    name.extend_from_slice(element.to_text(&mut Digits::new()));
    name.extend_from_slice(behind);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_star_and_perhaps_a_field_behind_it() {
        for (text, pattern) in [
            ("#", Pattern::Itself),
            ("##", Pattern::Fixed),
            ("", Pattern::Fixed),
            ("a->b", Pattern::Fixed),
            ("*", Pattern::Str(b"", b"")),
            ("a*b*c", Pattern::Str(b"a", b"b*c")),
            ("a->b*c", Pattern::Str(b"a->b", b"c")),
            ("a*->", Pattern::Str(b"a", b"->")),
            ("a*b->c", Pattern::Field(b"a", b"b", b"c")),
            ("*->a->b", Pattern::Field(b"", b"", b"a->b")),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), pattern, "{text}");
        }
    }
}
