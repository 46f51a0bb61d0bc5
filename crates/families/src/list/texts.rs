//! Elements on their way from where they lie to where they go.

use smallvec::SmallVec;
use value::entries::{Digits, Element};

/// Texts one after the other, copied.
#[derive(Default)]
pub(crate) struct Texts {
    bytes: SmallVec<[u8; 128]>,
    ends: SmallVec<[usize; 4]>,
    turned: bool,
}

impl Texts {
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn add_element(&mut self, element: Element<'_>) {
        self.add(element.to_text(&mut Digits::new()));
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Turns their order round.
    pub(super) fn turn(&mut self) {
        self.turned = !self.turned;
    }

    /// The texts in order, or the other way round.
    pub(crate) fn texts(&self, backwards: bool) -> impl Iterator<Item = &[u8]> + Clone {
        let turned = backwards != self.turned;
        (0..self.len()).map(move |nth| self.text(if turned { self.len() - 1 - nth } else { nth }))
    }

    fn text(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[nth]]
    }
}
