//! BITFIELD and BITFIELD_RO: integers of any width anywhere in a string.
//!
//! A request is a list of steps, all parsed before the first is run, each on what the one before
//! it left. The arithmetic is done in 128 bits, so that no sum of a field and an increment leaves
//! its range unseen.

use command::{
    Arg, Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse,
    Reply, Run, View, Words, event, parse_integer,
};
use smallvec::SmallVec;

use super::BitOffset;
use super::rules::{load, store};
use crate::string::room;
use crate::work;

pub(super) const BITFIELD: Command = Command {
    name: "BITFIELD",
    run: Run::Write(bitfield),
    work: Some(|args, keys| work::moved(args.get(0), written(args), 0, keys)),
    prepare: Some(|args, keys, _| Ok(room::made(args, keys, (written(args), 0), bitfield))),
    arity: Arity::AtLeast(2),
    keys: &[KeySpec::one(1, KeyUse(&["RW", "access", "update", "variable_flags"]))
        .noting("With nothing but GET the key is only read.")],
    key_use: Some(bitfield_use),
    flags: Flags::DENY_OOM,
    category: Category::BITMAP,
    group: Group::Bitmap,
    since: "3.2.0",
    summary: "Reads and writes integers of any width inside a string.",
    syntax: "key [GET encoding offset | [OVERFLOW (WRAP | SAT | FAIL)] \
             (SET encoding offset value | INCRBY encoding offset increment)] ...",
    ..Command::BASE
};

/// What BITFIELD does to its key follows from whether one of its steps writes.
fn bitfield_use(words: Words<'_>) -> KeyUse {
    let writes =
        |word: &[u8]| word.eq_ignore_ascii_case(b"SET") || word.eq_ignore_ascii_case(b"INCRBY");
    if words.iter().skip(2).any(writes) { KeyUse::UPDATE } else { KeyUse::READ }
}

/// Up to where BITFIELD writes.
fn written(args: Args<'_>) -> usize {
    let steps = parse_steps(args.skip(1)).unwrap_or_default();
    steps.iter().filter_map(Step::bytes_written).max().unwrap_or(0)
}

fn bitfield(mut args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let steps = parse_steps(args)?;
    let Some(end) = steps.iter().filter_map(Step::bytes_written).max() else {
        return read_all(key, &steps, keys, reply);
    };
    reply.array(steps.len());
    let (before, mut written) = (keys.changes(), 0);
    keys.str_entry(key.0)?.edit_if(end, event::SETBIT, |text| {
        written = steps.iter().filter(|step| step.run(text, reply)).count();
        written > 0
    })?;
    if written > 0 {
        keys.count_since(before, written);
    }
    Ok(())
}

pub(super) const BITFIELD_RO: Command = Command {
    name: "BITFIELD_RO",
    run: Run::Read(bitfield_ro),
    work: None,
    prepare: None,
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::FAST,
    since: "6.0.0",
    summary: "Reads integers of any width inside a string.",
    syntax: "key [GET encoding offset] ...",
    ..BITFIELD
};

fn bitfield_ro(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let key: Key<'_> = args.take()?;
    let steps = parse_steps(args)?;
    if steps.iter().any(|step| step.bytes_written().is_some()) {
        return Err(CommandError::BitfieldReadOnly);
    }
    read_all(key, &steps, keys, reply)
}

fn read_all(key: Key<'_>, steps: &[Step], keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let text = keys.str(key.0)?.map_or(&[][..], |text| text.as_bytes());
    reply.array(steps.len());
    steps.iter().for_each(|step| reply.integer(step.field.load(text) as i64));
    Ok(())
}

/// One step of a request.
#[derive(Clone, Copy)]
struct Step {
    field: Field,
    action: Action,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

/// Where an integer lies.
#[derive(Clone, Copy)]
struct Field {
    encoding: Encoding,
    at: BitOffset,
}

/// How an integer is laid out: two's complement or without sign, most significant bit first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoding {
    signed: bool,
    /// In bits: 1 to 64, without a sign 1 to 63.
    width: u32,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its lowest bits are kept.
    Wrap,
    /// It becomes the nearest that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

fn parse_steps(mut args: Args<'_>) -> Result<SmallVec<[Step; 8]>, CommandError> {
    let mut steps = SmallVec::new();
    let mut overflow = Overflow::Wrap;
    while !args.is_empty() {
        if args.word_with_value("OVERFLOW") {
            overflow = args.take()?;
        } else if args.len() > 2 && args.word("GET") {
            steps.push(Step { field: Field::take(&mut args)?, action: Action::Get });
        } else if args.len() > 3 && args.word("SET") {
            let field = Field::take(&mut args)?;
            steps.push(Step { field, action: Action::Set(args.take()?, overflow) });
        } else if args.len() > 3 && args.word("INCRBY") {
            let field = Field::take(&mut args)?;
            steps.push(Step { field, action: Action::Increment(args.take()?, overflow) });
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(steps)
}

impl Step {
    /// How long the text must be for what the step writes; `None` if it only reads.
    fn bytes_written(&self) -> Option<usize> {
        let Field { encoding, at } = self.field;
        let writes = !matches!(self.action, Action::Get);
        writes.then(|| at.bytes_to_hold(encoding.width))
    }

    /// Runs on a text that reaches behind what is written; tells whether it changed.
    fn run(&self, text: &mut [u8], reply: &mut Reply<'_>) -> bool {
        let field = self.field;
        let old = field.load(text);
        let (new, shown) = match self.action {
            Action::Get => (Some(old), Some(old)),
            Action::Set(number, overflow) => {
                let new = field.encoding.fit(field.encoding.meant(number), overflow);
                (new, new.map(|_| old))
            }
            Action::Increment(by, overflow) => {
                let new = field.encoding.fit(old + i128::from(by), overflow);
                (new, new)
            }
        };
        match shown {
            Some(number) => reply.integer(number as i64),
            None => reply.null(),
        }
        let changes = new.filter(|&new| new != old);
        if let Some(new) = changes {
            store(text, field.at.0, field.encoding.width, new as u64);
        }
        changes.is_some()
    }
}

impl Field {
    fn take(args: &mut Args<'_>) -> Result<Field, CommandError> {
        let encoding: Encoding = args.take()?;
        let at = match args.bytes()? {
            [b'#', nth @ ..] => {
                let nth = parse_integer(nth);
                BitOffset::new(nth.and_then(|nth| nth.checked_mul(i64::from(encoding.width))))?
            }
            raw => BitOffset::parse(raw)?,
        };
        Ok(Field { encoding, at })
    }

    fn load(&self, text: &[u8]) -> i128 {
        self.encoding.number(load(text, self.at.0, self.encoding.width))
    }
}

impl Encoding {
    /// The number that these lowest bits are.
    fn number(self, bits: u64) -> i128 {
        let unused = 64 - self.width;
        if self.signed {
            i128::from((bits << unused) as i64 >> unused)
        } else {
            i128::from(bits << unused >> unused)
        }
    }

    /// The number that SET means: without sign a negative one is its 64 bits.
    fn meant(self, number: i64) -> i128 {
        if self.signed { i128::from(number) } else { i128::from(number as u64) }
    }

    /// Makes a number fit; `None` if it is not to be written.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let half = 1_i128 << (self.width - 1);
        let (least, most) = if self.signed { (-half, half - 1) } else { (0, 2 * half - 1) };
        match overflow {
            _ if (least..=most).contains(&number) => Some(number),
            Overflow::Wrap => Some(self.number(number as u64)),
            Overflow::Saturate => Some(number.clamp(least, most)),
            Overflow::Fail => None,
        }
    }
}

impl Arg<'_> for Encoding {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        let (signed, width_max, width) = match raw {
            [b'i', width @ ..] => (true, 64, width),
            [b'u', width @ ..] => (false, 63, width),
            _ => return Err(CommandError::BitfieldType),
        };
        let width = parse_integer(width).filter(|width| (1..=width_max).contains(width));
        let width = width.ok_or(CommandError::BitfieldType)? as u32;
        Ok(Encoding { signed, width })
    }
}

impl Arg<'_> for Overflow {
    fn parse(raw: &[u8]) -> Result<Self, CommandError> {
        const NAMES: [(&[u8], Overflow); 3] =
            [(b"WRAP", Overflow::Wrap), (b"SAT", Overflow::Saturate), (b"FAIL", Overflow::Fail)];
        let named = NAMES.iter().find(|(name, _)| raw.eq_ignore_ascii_case(name));
        named.map(|(_, overflow)| *overflow).ok_or(CommandError::BitfieldOverflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range_of(encoding: Encoding) -> (i128, i128) {
        let numbers = 1_i128 << encoding.width;
        if encoding.signed { (-numbers / 2, numbers / 2 - 1) } else { (0, numbers - 1) }
    }

    #[test]
    fn every_number_fits_a_small_encoding_as_its_overflow_says() {
        for (signed, width) in [true, false].into_iter().flat_map(|s| (1..6).map(move |w| (s, w))) {
            let encoding = Encoding { signed, width };
            let (least, most) = range_of(encoding);
            for number in -200..200_i128 {
                let fits = (least..=most).contains(&number);
                let wrapped = encoding.fit(number, Overflow::Wrap).unwrap();
                assert!((least..=most).contains(&wrapped));
                assert_eq!((wrapped - number) % (1 << width), 0, "{encoding:?} {number}");
                let saturated = encoding.fit(number, Overflow::Saturate);
                assert_eq!(saturated, Some(number.max(least).min(most)));
                assert_eq!(encoding.fit(number, Overflow::Fail), fits.then_some(number));
            }
        }
    }

    #[test]
    fn the_widest_encodings_overflow_at_their_ends() {
        let (i64_, u63) =
            (Encoding { signed: true, width: 64 }, Encoding { signed: false, width: 63 });
        let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        assert_eq!(i64_.fit(most + 1, Overflow::Wrap), Some(least));
        assert_eq!(i64_.fit(2 * least, Overflow::Wrap), Some(0));
        assert_eq!(i64_.fit(2 * least, Overflow::Saturate), Some(least));
        assert_eq!(u63.fit(most + 1, Overflow::Wrap), Some(0));
        assert_eq!(u63.fit(-1, Overflow::Wrap), Some(most));
        assert_eq!(u63.fit(u63.meant(-1), Overflow::Saturate), Some(most));
        assert_eq!(u63.fit(u63.meant(-1), Overflow::Fail), None);
    }

    #[test]
    fn encodings_are_written_with_their_letter_and_width() {
        assert_eq!(Encoding::parse(b"i64"), Ok(Encoding { signed: true, width: 64 }));
        assert_eq!(Encoding::parse(b"u1"), Ok(Encoding { signed: false, width: 1 }));
        for bad in ["", "i", "u64", "i65", "i0", "u-1", "I8", "x8", "i8 ", "8"] {
            assert_eq!(Encoding::parse(bad.as_bytes()), Err(CommandError::BitfieldType), "{bad}");
        }
    }
}
