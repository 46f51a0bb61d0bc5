//! Numbers computed of many values: `AROP`.
//!
//! # Invariants
//!
//! * A value that is no number is passed over; a number is what INCRBYFLOAT takes, if it is finite.
//! * A sum of integers is exact, however large; one of doubles is rounded about once.

use std::ops::ControlFlow;

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, parse_float,
};
use keyspace::ArrayRef;
use protocol::format_double;
use value::entries::Element;

use super::words::{SlotIndex, each_used, meant, tell_index};

pub(super) const AROP: Command = Command {
    name: "AROP",
    work: Some(meant),
    run: Run::Read(arop),
    arity: Arity::AtLeast(5),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::ARRAY,
    group: Group::Array,
    since: "8.8.0",
    summary: "Returns a number computed of the values between two indexes of an array.",
    complexity: "O(N) where N is how many values there are in slices that are touched",
    syntax: "key start end (SUM | MIN | MAX | AND | OR | XOR | MATCH value | USED)",
    ..Command::BASE
};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op<'a> {
    Sum,
    Least,
    Most,
    Bits(Bits),
    Equal(&'a [u8]),
    Used,
}

/// What is done with the bits of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    And,
    Or,
    Xor,
}

fn arop(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, SlotIndex(start)): (Key<'_>, SlotIndex) = (args.take()?, args.take()?);
    let SlotIndex(end) = args.take()?;
    let op = Op::take(&mut args)?;
    args.end()?;
    let array = keys.array(key.0)?;
    let (low, high) = (start.min(end), start.max(end));
    let numbers = |show: &mut dyn FnMut(Number)| {
        let Some(array) = array else { return };
        let _: ControlFlow<()> = each_used(array, low, high, |_, element| {
            Number::of(element).into_iter().for_each(&mut *show);
            ControlFlow::Continue(())
        });
    };
    match op {
        Op::Sum => tell_number(sum(numbers), reply),
        Op::Least => tell_number(best(numbers, |one, other| one < other), reply),
        Op::Most => tell_number(best(numbers, |one, other| one > other), reply),
        Op::Bits(bits) => match bitwise(numbers, bits) {
            Some(bits) => reply.integer(bits),
            None => reply.null(),
        },
        Op::Equal(text) => {
            tell_index(array.map_or(0, |array| equal(array, low, high, text)), reply);
        }
        Op::Used => tell_index(array.map_or(0, |array| array.count_within(low, high)), reply),
    }
    Ok(())
}

impl<'a> Op<'a> {
    fn take(args: &mut Args<'a>) -> Result<Op<'a>, CommandError> {
        const PLAIN: [(&str, Op<'static>); 7] = [
            ("SUM", Op::Sum),
            ("MIN", Op::Least),
            ("MAX", Op::Most),
            ("AND", Op::Bits(Bits::And)),
            ("OR", Op::Bits(Bits::Or)),
            ("XOR", Op::Bits(Bits::Xor)),
            ("USED", Op::Used),
        ];
        if let Some((_, op)) = PLAIN.into_iter().find(|(word, _)| args.word(word)) {
            return Ok(op);
        }
        if args.word_with_value("MATCH") {
            return Ok(Op::Equal(args.bytes()?));
        }
        Err(CommandError::Syntax)
    }
}

/// A value that is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn of(element: Element<'_>) -> Option<Number> {
        match element {
            Element::Int(integer) => Some(Number::Int(integer.into())),
            Element::Bytes(text) => match command::parse_integer(text) {
                Some(integer) => Some(Number::Int(integer.into())),
                None => parse_float(text).filter(|float| float.is_finite()).map(Number::Float),
            },
        }
    }

    fn as_float(self) -> f64 {
        match self {
            Number::Int(integer) => integer as f64,
            Number::Float(float) => float,
        }
    }

    /// As an integer of 64 bits, without its fraction; the nearest one if it is beyond them.
    fn as_bits(self) -> i64 {
        match self {
            Number::Int(integer) => integer as i64,
            Number::Float(float) => float as i64,
        }
    }
}

fn tell_number(number: Option<Number>, reply: &mut Reply<'_>) {
    match number {
        None => reply.null(),
        Some(Number::Int(integer)) => reply.bulk_display(integer),
        Some(Number::Float(float)) => {
            let mut text = Vec::new();
            format_double(float, &mut text);
            reply.bulk(&text);
        }
    }
}

/// Doubles summed with what rounding has lost on the way, so that their number hardly matters.
#[derive(Clone, Copy, Default)]
struct Doubles {
    total: f64,
    lost: f64,
}

impl Doubles {
    fn add(&mut self, number: f64) {
        let total = self.total + number;
        self.lost += if self.total.abs() >= number.abs() {
            (self.total - total) + number
        } else {
            (number - total) + self.total
        };
        self.total = total;
    }

    fn total(self) -> f64 {
        if self.total.is_finite() { self.total + self.lost } else { self.total }
    }
}

fn sum(numbers: impl FnOnce(&mut dyn FnMut(Number))) -> Option<Number> {
    let (mut integers, mut doubles): (Option<i128>, Option<Doubles>) = (None, None);
    numbers(&mut |number| match number {
        Number::Int(integer) => *integers.get_or_insert_default() += integer,
        Number::Float(float) => doubles.get_or_insert_default().add(float),
    });
    let Some(mut doubles) = doubles else { return integers.map(Number::Int) };
    doubles.add(integers.unwrap_or(0) as f64);
    Some(Number::Float(doubles.total()))
}

/// The first number that is better than those before it, and than which none is better.
fn best(
    numbers: impl FnOnce(&mut dyn FnMut(Number)),
    is_better: impl Fn(f64, f64) -> bool,
) -> Option<Number> {
    let mut best: Option<Number> = None;
    numbers(&mut |number| {
        let is_best = match (number, best) {
            (_, None) => true,
            // Doubles don't tell all integers apart.
            (Number::Int(one), Some(Number::Int(other))) => {
                is_better(0.0, (other - one).signum() as f64)
            }
            (_, Some(best)) => is_better(number.as_float(), best.as_float()),
        };
        if is_best {
            best = Some(number);
        }
    });
    best
}

fn bitwise(numbers: impl FnOnce(&mut dyn FnMut(Number)), bits: Bits) -> Option<i64> {
    let mut result = None;
    numbers(&mut |number| {
        let number = number.as_bits();
        result = Some(match (result, bits) {
            (None, _) => number,
            (Some(before), Bits::And) => before & number,
            (Some(before), Bits::Or) => before | number,
            (Some(before), Bits::Xor) => before ^ number,
        });
    });
    result
}

fn equal(array: ArrayRef<'_>, low: u64, high: u64, text: &[u8]) -> u64 {
    array.range(low, high).filter(|(_, element)| *element == *text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> impl Fn(&mut dyn FnMut(Number)) {
        let numbers = texts.iter().filter_map(|text| Number::of(Element::of(text.as_bytes())));
        let numbers: Vec<Number> = numbers.collect();
        move |show| numbers.iter().copied().for_each(show)
    }

    #[test]
    fn integers_beyond_the_digits_of_doubles_are_told_apart() {
        let close = numbers(&["9007199254740993", "9007199254740992", "9007199254740994"]);
        assert_eq!(best(&close, |a, b| a < b), Some(Number::Int(9_007_199_254_740_992)));
        assert_eq!(best(&close, |a, b| a > b), Some(Number::Int(9_007_199_254_740_994)));
        let large = numbers(&["9223372036854775807", "9223372036854775807"]);
        assert_eq!(sum(&large), Some(Number::Int(2 * i128::from(i64::MAX))));
    }

    #[test]
    fn what_is_no_number_is_passed_over() {
        let none = numbers(&["", "a", "1a", "inf", "nan", " 1"]);
        assert_eq!((sum(&none), best(&none, |a, b| a < b)), (None, None));
        assert_eq!(bitwise(&none, Bits::And), None);
        let some = numbers(&["x", "1.5", "2"]);
        assert_eq!(sum(&some), Some(Number::Float(3.5)));
        assert_eq!(sum(numbers(&["0.1"; 10])), Some(Number::Float(1.0)));
        assert_eq!(sum(numbers(&["1e308", "1e308"])), Some(Number::Float(f64::INFINITY)));
        assert_eq!(bitwise(&some, Bits::Or), Some(3));
        assert_eq!(bitwise(numbers(&["1e300", "-7.9"]), Bits::Xor), Some(i64::MAX ^ -7));
    }
}
