//! The texts of one slice that do not fit their slots.
//!
//! Short ones lie one after the other, each behind its length; what is removed stays as a gap until
//! half of the bytes are gaps. Long ones have an allocation each.
//!
//! # Invariants
//!
//! 1. `dead` is how many bytes of `shorts` belong to no word of the slice.
//! 2. A number in `vacant` belongs to no word; the text under it is empty.

/// The longest text that lies among the short ones.
pub(super) const SHORT_MAX: usize = 512;

/// Bytes of the length before a short text.
const HEAD: usize = 2;

/// Fewer bytes than these are not worth closing gaps.
const GAPS_MIN: usize = 128;

/// See the module's page.
#[derive(Clone, Default)]
pub(super) struct Texts {
    shorts: Vec<u8>,
    dead: usize,
    longs: Vec<Box<[u8]>>,
    vacant: Vec<u32>,
    long_bytes: usize,
}

impl Texts {
    /// A short text.
    #[inline]
    pub(super) fn short(&self, offset: u32) -> &[u8] {
        let rest = self.shorts.get(offset as usize..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return &[] };
        rest.get(..usize::from(u16::from_le_bytes(*head))).unwrap_or_default()
    }

    /// A long text.
    #[inline]
    pub(super) fn long(&self, number: u32) -> &[u8] {
        self.longs.get(number as usize).map_or(&[], |text| text)
    }

    /// Adds a text of up to [`SHORT_MAX`] bytes; tells where it lies.
    pub(super) fn add_short(&mut self, text: &[u8]) -> u32 {
        let offset = self.shorts.len();
        let size = HEAD + text.len();
        if self.shorts.capacity() - offset < size {
            // A quarter more, not twice as much: many slices are alive at once.
            self.shorts.reserve_exact(size.max(offset / 4));
        }
        self.shorts.extend_from_slice(&(text.len() as u16).to_le_bytes());
        self.shorts.extend_from_slice(text);
        offset as u32
    }

    /// Writes a text over a short one of the same length; tells whether it is one.
    pub(super) fn rewrite_short(&mut self, offset: u32, text: &[u8]) -> bool {
        let same = self.short(offset).len() == text.len();
        if same {
            let start = offset as usize + HEAD;
            self.shorts[start..start + text.len()].copy_from_slice(text);
        }
        same
    }

    /// Gives up a short text.
    pub(super) fn remove_short(&mut self, offset: u32) {
        self.dead += HEAD + self.short(offset).len();
    }

    /// Adds a long text; tells its number.
    pub(super) fn add_long(&mut self, text: &[u8]) -> u32 {
        self.long_bytes += text.len();
        if let Some(number) = self.vacant.pop() {
            self.longs[number as usize] = text.into();
            return number;
        }
        self.longs.push(text.into());
        self.longs.len() as u32 - 1
    }

    /// Gives up a long text.
    pub(super) fn remove_long(&mut self, number: u32) {
        let text = std::mem::take(&mut self.longs[number as usize]);
        self.long_bytes -= text.len();
        self.vacant.push(number);
    }

    /// Whether so much of it is gaps that they should be closed.
    pub(super) fn has_gaps(&self) -> bool {
        self.dead > GAPS_MIN.max(self.shorts.len() / 2)
    }

    /// Takes the short texts out, to be added again without gaps.
    pub(super) fn take_shorts(&mut self) -> Texts {
        let shorts = std::mem::take(&mut self.shorts);
        self.shorts.reserve_exact(shorts.len() - self.dead);
        self.dead = 0;
        Texts { shorts, ..Texts::default() }
    }

    /// Whether no text is left in it.
    pub(super) fn is_empty(&self) -> bool {
        self.shorts.len() == self.dead && self.longs.len() == self.vacant.len()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.shorts.capacity()
            + self.long_bytes
            + self.longs.capacity() * size_of::<Box<[u8]>>()
            + self.vacant.capacity() * size_of::<u32>()
    }
}
