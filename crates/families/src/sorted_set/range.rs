//! Parts of a sorted set, as requests name them, and the ranks that they are.

use std::ops::Range;

use command::CommandError;
use value::zset::ZSetRef;

/// An end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ScoreBound {
    score: f64,
    excluded: bool,
}

impl ScoreBound {
    fn parse(text: &[u8]) -> Result<ScoreBound, CommandError> {
        let (text, excluded) = match text {
            [b'(', rest @ ..] => (rest, true),
            _ => (text, false),
        };
        let score = command::parse_float(text);
        let score = score.ok_or_else(|| CommandError::text("ERR min or max is not a float"))?;
        Ok(ScoreBound { score, excluded })
    }
}

/// An end of a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LexBound<'a> {
    /// Before all members.
    Lowest,
    /// Behind all members.
    Highest,
    /// At this member, which belongs to the range.
    Included(&'a [u8]),
    /// At this member, which does not.
    Excluded(&'a [u8]),
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Result<LexBound<'a>, CommandError> {
        match text {
            b"-" => Ok(LexBound::Lowest),
            b"+" => Ok(LexBound::Highest),
            [b'(', name @ ..] => Ok(LexBound::Excluded(name)),
            [b'[', name @ ..] => Ok(LexBound::Included(name)),
            _ => Err(CommandError::text("ERR min or max not valid string range item")),
        }
    }

    /// Whether a member lies before a range that begins here.
    fn begins_behind(self, name: &[u8]) -> bool {
        match self {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Included(bound) => name < bound,
            LexBound::Excluded(bound) => name <= bound,
        }
    }

    /// Whether a member does not lie behind a range that ends here.
    fn ends_behind(self, name: &[u8]) -> bool {
        match self {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Included(bound) => name <= bound,
            LexBound::Excluded(bound) => name < bound,
        }
    }
}

/// What the ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Ranks, negative ones counted from the end.
    Rank,
    /// Scores.
    Score,
    /// Members, by their bytes.
    Lex,
}

/// A part of a sorted set.
pub(super) enum Part<'a> {
    Rank(i64, i64),
    Score(ScoreBound, ScoreBound),
    Lex(LexBound<'a>, LexBound<'a>),
}

impl<'a> Part<'a> {
    /// The part between two ends, the lower one first.
    pub(super) fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Part<'a>, CommandError> {
        let integer = |text| command::parse_integer(text).ok_or(CommandError::NotAnInteger);
        Ok(match by {
            By::Rank => Part::Rank(integer(min)?, integer(max)?),
            By::Score => Part::Score(ScoreBound::parse(min)?, ScoreBound::parse(max)?),
            By::Lex => Part::Lex(LexBound::parse(min)?, LexBound::parse(max)?),
        })
    }

    /// The ranks of the part, counted from the end of the set if `reverse`d ranks were given.
    pub(super) fn ranks(&self, set: ZSetRef<'_>, reverse: bool) -> Range<usize> {
        let range = match *self {
            Part::Rank(first, last) => {
                let range = resolve(first, last, set.len());
                match reverse {
                    true => set.len() - range.end..set.len() - range.start,
                    false => range,
                }
            }
            Part::Score(min, max) => {
                set.count_below(min.score, min.excluded)..set.count_below(max.score, !max.excluded)
            }
            Part::Lex(min, max) => {
                let start = set.partition_point(|name| min.begins_behind(name));
                start..set.partition_point(|name| max.ends_behind(name))
            }
        };
        range.start..range.end.max(range.start)
    }
}

/// The ranks between two, both included, of so many.
fn resolve(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_start = |rank: i64| match usize::try_from(rank) {
        Ok(rank) => Some(rank),
        Err(_) => len.checked_sub(usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let end = from_start(last).map_or(0, |last| last.saturating_add(1).min(len));
    from_start(first).unwrap_or(0).min(end)..end
}

/// How many members of a part are left out, and how many wanted.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) offset: i64,
    /// Negative: all.
    pub(super) count: i64,
}

impl Limit {
    pub(super) const ALL: Limit = Limit { offset: 0, count: -1 };

    /// What it leaves of a range, from whose end it counts if that is met first.
    pub(super) fn of(self, range: Range<usize>, reverse: bool) -> Range<usize> {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(range.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(range.len() - offset);
        match reverse {
            true => range.end - offset - count..range.end - offset,
            false => range.start + offset..range.start + offset + count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_between_two_are_those_that_lie_between_them() {
        for len in 0..5_i64 {
            for (first, last) in (-7..7).flat_map(|first| (-7..7).map(move |last| (first, last))) {
                let absolute = |rank: i64| if rank < 0 { rank + len } else { rank };
                let within = |&rank: &i64| absolute(first) <= rank && rank <= absolute(last);
                let expected: Vec<_> = (0..len).filter(within).map(|rank| rank as usize).collect();
                let range = resolve(first, last, len as usize);
                assert_eq!(range.collect::<Vec<_>>(), expected, "{first} {last} of {len}");
            }
        }
    }

    #[test]
    fn a_limit_counts_from_the_end_that_is_met_first() {
        let limit = Limit { offset: 1, count: 2 };
        assert_eq!(limit.of(10..20, false), 11..13);
        assert_eq!(limit.of(10..20, true), 17..19);
        assert!(Limit { offset: -1, count: 2 }.of(10..20, false).is_empty());
        assert_eq!(Limit { offset: 3, count: -1 }.of(10..20, true), 10..17);
    }
}
