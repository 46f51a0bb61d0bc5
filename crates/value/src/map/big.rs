//! A large hash: its fields in a table, some of them with deadlines.

use dash::Cursor;
use smallvec::SmallVec;

use super::{DATED, DRAWS_MAX, LOOKS_MAX, Limits, Valued, date_of, is_live, length_of, parts_of};
use crate::KeyHasher;
use crate::heap::Full;
use crate::members::{Member, Members};

/// A large hash.
#[derive(Clone, Default)]
pub struct Map {
    pub(super) members: Members<Valued>,
    /// Whether it is large only because fields have deadlines.
    is_compact: bool,
}

/// What becomes of a field's deadline when the field is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It has none.
    Never,
    /// It has the one that it had.
    Same,
    /// It has this one.
    At(u64),
}

/// From when on a field with this deadline is not there.
fn gone_from(deadline: u64) -> u64 {
    deadline.saturating_add(1)
}

impl Map {
    /// A hash without fields.
    #[must_use]
    pub fn new() -> Map {
        Map::default()
    }

    /// The same hash, as one that is large only because fields have deadlines.
    #[must_use]
    pub fn compact(self) -> Map {
        Map { is_compact: true, ..self }
    }

    /// Whether it is large only because fields have deadlines.
    #[must_use]
    pub const fn is_compact(&self) -> bool {
        self.is_compact
    }

    /// Notes that a field is about to be set, which may be too much for a small hash.
    pub fn outgrow(&mut self, field: &[u8], value: &[u8], limits: &Limits) {
        self.is_compact &= limits.take(self.members.len() + 1) && limits.take_texts(field, value);
    }

    /// Asks for the memory that a look-up of a field with this hash will read first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.members.prefetch(hash);
    }

    /// Asks for the field itself, once that memory is here.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) {
        self.members.prefetch_record(hash);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.members.bytes()
    }

    /// The moment before which no field's deadline has passed; `u64::MAX` if none has a deadline.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.members.table().due()
    }

    /// The earliest deadline of a field that is there. Looks at all fields, if one has a deadline.
    #[must_use]
    pub(super) fn earliest(&self, now: u64) -> Option<u64> {
        if self.due() == u64::MAX {
            return None;
        }
        let deadlines = self.members.iter().filter_map(|member| parts_of(member.tail).0);
        deadlines.filter(|&deadline| deadline >= now).min()
    }

    /// How many fields there are, those included whose deadline has passed and that are not yet
    /// removed.
    #[must_use]
    pub fn held(&self) -> usize {
        self.members.len()
    }

    /// The names of all fields that are held, those included whose deadline has passed.
    pub fn held_names(&self) -> impl Iterator<Item = &[u8]> {
        self.members.iter().map(|member| member.name)
    }

    /// How many fields there are.
    pub(super) fn len(&self, now: u64) -> usize {
        let table = self.members.table();
        let mut gone = 0;
        let mut place = (table.due() <= now).then_some(Cursor::START);
        while let Some(due) = place.and_then(|from| table.next_due(from, now)) {
            table.segment_handles(due, |handle| {
                gone += usize::from(!is_live(self.deadline_at(handle), now));
            });
            place = table.next_segment(due);
        }
        self.members.len() - gone
    }

    /// Whether there is a field.
    pub(super) fn has_live(&self, now: u64) -> bool {
        if self.due() > now {
            return !self.members.is_empty();
        }
        self.members.iter().any(|member| is_live(parts_of(member.tail).0, now))
    }

    fn deadline_at(&self, handle: u32) -> Option<u64> {
        parts_of(self.members.member(handle).tail).0
    }

    /// Deadline and value of a field.
    #[inline]
    pub(super) fn get(
        &self,
        field: &[u8],
        now: u64,
        hasher: &KeyHasher,
    ) -> Option<(Option<u64>, &[u8])> {
        let tail = self.members.tail(hasher.hash(field), field)?;
        Some(parts_of(tail)).filter(|(deadline, _)| is_live(*deadline, now))
    }

    /// Some field, chosen by `chance`.
    pub(super) fn random(&self, mut chance: u64, now: u64) -> Option<Member<'_>> {
        let is_there = |member: &Member<'_>| is_live(parts_of(member.tail).0, now);
        for _ in 0..DRAWS_MAX {
            let drawn = self.members.random(chance)?;
            if is_there(&drawn) {
                return Some(drawn);
            }
            chance = (chance ^ chance >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        let nth = chance % self.len(now).max(1) as u64;
        self.members.iter().filter(is_there).nth(nth as usize)
    }

    /// Sets a field; tells whether it is new.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; nothing has changed then.
    #[inline]
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        until: Until,
        now: u64,
        hasher: &KeyHasher,
    ) -> Result<bool, Full> {
        let (hash, head) = (hasher.hash(field), length_of(value));
        let found = self.members.find(hash, field);
        let had = found.and_then(|at| self.deadline_at(at.handle()));
        let was_there = found.is_some() && is_live(had, now);
        let deadline = match until {
            Until::Never => None,
            Until::Same => had.filter(|_| was_there),
            Until::At(deadline) => Some(deadline),
        };
        let date = date_of(deadline);
        let tail = [&date[..], &head, value];
        match found {
            None => _ = self.members.insert(hasher, hash, field, &tail)?,
            Some(at) => _ = self.members.replace_tail(hasher, hash, at, &tail, |_, _, _| {})?,
        }
        self.note(hash, deadline);
        Ok(!was_there)
    }

    fn note(&mut self, hash: u64, deadline: Option<u64>) {
        if let Some(deadline) = deadline {
            self.members.table_mut().note_deadline(hash, gone_from(deadline));
        }
    }

    /// Gives a field another deadline, or none; nothing if there is no such field.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; nothing has changed then.
    pub fn set_deadline(
        &mut self,
        field: &[u8],
        deadline: Option<u64>,
        hasher: &KeyHasher,
    ) -> Result<(), Full> {
        let hash = hasher.hash(field);
        let Some(at) = self.members.find(hash, field) else { return Ok(()) };
        let date = date_of(deadline);
        match self.members.tail_mut(at) {
            [DATED, ..] if deadline.is_some() => {
                self.members.tail_mut(at)[..date.len()].copy_from_slice(&date);
            }
            tail => {
                let value: SmallVec<[u8; 128]> = SmallVec::from_slice(parts_of(tail).1);
                let tail = [&date[..], &length_of(&value), &value];
                self.members.replace_tail(hasher, hash, at, &tail, |_, _, _| {})?;
            }
        }
        self.note(hash, deadline);
        Ok(())
    }

    /// Takes a field out; tells whether it was there. One whose deadline has passed stays for
    /// [`Map::remove_due`], which counts it.
    #[inline]
    pub fn remove(&mut self, field: &[u8], now: u64, hasher: &KeyHasher) -> bool {
        let hash = hasher.hash(field);
        let Some(at) = self.members.find(hash, field) else { return false };
        let is_there = is_live(self.deadline_at(at.handle()), now);
        if is_there {
            self.members.remove(hasher, hash, at, |_, _, _| {});
        }
        is_there
    }

    /// Takes a field out that is held though its deadline has passed; tells whether it was.
    pub fn remove_lapsed(&mut self, field: &[u8], now: u64, hasher: &KeyHasher) -> bool {
        let has_lapsed = self.has_lapsed(field, now, hasher);
        if has_lapsed && let Some(at) = self.members.find(hasher.hash(field), field) {
            self.members.remove(hasher, hasher.hash(field), at, |_, _, _| {});
        }
        has_lapsed
    }

    /// Whether a field is held whose deadline has passed.
    #[inline]
    #[must_use]
    pub fn has_lapsed(&self, field: &[u8], now: u64, hasher: &KeyHasher) -> bool {
        if self.due() > now {
            return false;
        }
        let found = self.members.find(hasher.hash(field), field);
        found.is_some_and(|at| !is_live(self.deadline_at(at.handle()), now))
    }

    /// Removes fields whose deadline has passed, as long as they are fewer than `enough` and for a
    /// few segments of the table. Returns how many; `tell` is given the name of each. There may be
    /// more while [`Map::due`] is not later than now.
    pub fn remove_due(
        &mut self,
        now: u64,
        enough: usize,
        hasher: &KeyHasher,
        mut tell: impl FnMut(&[u8]),
    ) -> usize {
        let mut removed = 0;
        for _ in 0..LOOKS_MAX {
            let table = self.members.table();
            let next = table.next_due(Cursor::START, now);
            let Some(place) = next.filter(|_| removed < enough) else { break };
            let (mut gone, mut earliest) = (Vec::new(), u64::MAX);
            table.segment_handles(place, |handle| match self.deadline_at(handle) {
                Some(deadline) if deadline < now => {
                    gone.push(self.members.member(handle).name.to_vec());
                }
                Some(deadline) => earliest = earliest.min(gone_from(deadline)),
                None => {}
            });
            // Before the removals, which may merge the segment with another.
            self.members.table_mut().set_segment_due(place, earliest);
            for field in &gone {
                let hash = hasher.hash(field);
                if let Some(at) = self.members.find(hash, field) {
                    self.members.remove(hasher, hash, at, |_, _, _| {});
                }
                tell(field);
            }
            removed += gone.len();
        }
        removed
    }
}
