//! Elements by their text: `LPOS`, `LREM`.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Key, KeySpec, KeyUse, Reply,
    Run, View, event, parse_integer,
};
use keyspace::{End, ListRef};
use value::entries::Element;

use crate::work;

pub(super) const LPOS: Command = Command {
    name: "LPOS",
    work: Some(work::looks),
    run: Run::Read(lpos),
    arity: Arity::AtLeast(3),
    keys: &[KeySpec::one(1, KeyUse::READ)],
    flags: Flags::NONE,
    category: Category::LIST,
    group: Group::List,
    since: "6.0.6",
    summary: "Returns the positions of the elements of a list that are this text.",
    complexity: "O(N) where N is how many elements are looked at",
    syntax: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    ..Command::BASE
};

/// What LPOS looks for beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Search {
    /// Where it begins.
    from: End,
    /// How many matches are passed over.
    skipped: u64,
    /// How many are told; `None`: one, and not as an array.
    count: Option<usize>,
    /// How many elements are looked at.
    steps_max: usize,
}

fn lpos(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, text): (Key<'_>, &[u8]) = (args.take()?, args.bytes()?);
    let search = Search::parse(args)?;
    let list = keys.list(key.0)?;
    let mut found = list.into_iter().flat_map(|list| search.positions(list, text));
    let Some(count) = search.count else {
        match found.next() {
            Some(position) => reply.integer(position as i64),
            None => reply.null(),
        }
        return Ok(());
    };
    let array = reply.deferred_array();
    let mut told = 0;
    for position in found.take(count) {
        reply.integer(position as i64);
        told += 1;
    }
    reply.finish(array, told);
    Ok(())
}

impl Search {
    fn parse(mut args: Args<'_>) -> Result<Search, CommandError> {
        let mut search =
            Search { from: End::Front, skipped: 0, count: None, steps_max: usize::MAX };
        while !args.is_empty() {
            if args.word_with_value("RANK") {
                search.set_rank(args.take()?)?;
            } else if args.word_with_value("COUNT") {
                search.count = Some(limit(args.bytes()?, "COUNT")?);
            } else if args.word_with_value("MAXLEN") {
                search.steps_max = limit(args.bytes()?, "MAXLEN")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    fn set_rank(&mut self, rank: i64) -> Result<(), CommandError> {
        match rank {
            0 => return Err(CommandError::RankZero),
            i64::MIN => return Err(CommandError::NoPositiveTwin),
            _ => {}
        }
        self.from = if rank > 0 { End::Front } else { End::Back };
        self.skipped = rank.unsigned_abs() - 1;
        Ok(())
    }

    /// The positions of the elements of a list that are `text`, as far as they are sought.
    fn positions<'a>(
        self,
        list: ListRef<'a>,
        text: &'a [u8],
    ) -> impl Iterator<Item = usize> + use<'a> {
        let (sought, len) = (Element::of(text), list.len());
        let mut elements = list.iter();
        let walk = (0..len.min(self.steps_max)).map_while(move |step| match self.from {
            End::Front => Some((step, elements.next()?)),
            End::Back => Some((len - 1 - step, elements.next_back()?)),
        });
        let matches = walk.filter(move |(_, element)| *element == sought);
        let skipped = usize::try_from(self.skipped).unwrap_or(usize::MAX);
        matches.map(|(position, _)| position).skip(skipped)
    }
}

/// A number that may be anything from 0, which stands for no limit.
fn limit(raw: &[u8], option: &'static str) -> Result<usize, CommandError> {
    let number = parse_integer(raw).filter(|&number| number >= 0);
    let number = number.ok_or(CommandError::OptionNegative(option))?;
    Ok(usize::try_from(number).ok().filter(|&number| number > 0).unwrap_or(usize::MAX))
}

pub(super) const LREM: Command = Command {
    name: "LREM",
    run: Run::Write(lrem),
    arity: Arity::Exactly(4),
    keys: &[KeySpec::one(1, KeyUse::PRUNE)],
    since: "1.0.0",
    summary: "Removes the elements of a list that are this text: all, the first, or the last ones.",
    complexity: "O(N) where N is the length of the list",
    syntax: "key count element",
    ..LPOS
};

fn lrem(args: Args<'_>, keys: &mut View<'_>, reply: &mut Reply<'_>) -> Done {
    let (key, count, text): (Key<'_>, i64, &[u8]) = args.parse()?;
    if count == i64::MIN {
        return Err(CommandError::NoPositiveTwin);
    }
    let end = if count < 0 { End::Back } else { End::Front };
    let most = usize::try_from(count.unsigned_abs()).ok().filter(|&most| most > 0);
    let mut entry = keys.list_entry(key.0)?;
    let removed = entry.remove_equal(end, text, most.unwrap_or(usize::MAX), event::LREM)?;
    reply.integer(removed as i64);
    Ok(())
}
