//! The words of a command that a script calls, as a request has them: one behind the other. Hot.

use protocol::{Span, Words, format_double};

/// How many bytes are kept from one call to the next.
const KEPT_BYTES: usize = 64 * 1024;

/// See the module's page.
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Gathered {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), spans: Vec::new() }
    }

    /// Forgets the words of the last call.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }

    /// Adds a word; `false`: all would be 4 GiB or more.
    pub(crate) fn push(&mut self, word: &[u8]) -> bool {
        let start = self.bytes.len();
        // Asked before a byte is copied.
        if u32::try_from(start + word.len()).is_err() {
            return false;
        }
        self.bytes.extend_from_slice(word);
        self.end_word(start)
    }

    /// Adds a number; `false` as above.
    pub(crate) fn push_number(&mut self, number: f64) -> bool {
        let start = self.bytes.len();
        format_double(number, &mut self.bytes);
        self.end_word(start)
    }

    fn end_word(&mut self, start: usize) -> bool {
        let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.bytes.len())) else {
            return false;
        };
        self.spans.push(Span { start, end });
        true
    }

    /// The words.
    pub(crate) fn words(&self) -> Words<'_> {
        Words::new(&self.bytes, &self.spans)
    }
}
