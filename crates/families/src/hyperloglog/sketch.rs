//! A HyperLogLog of its own bytes, which grows from the sparse encoding into the dense one.

use command::CommandError;

use super::hash::Mark;
use super::header::{self, Encoding};
use super::registers::Registers;
use super::sparse::{self, Raised, Text};
use super::{Corrupt, dense};

/// See the module's page. Its bytes have the form of a HyperLogLog.
pub(super) struct Sketch {
    bytes: Text,
    encoding: Encoding,
}

impl Sketch {
    /// One without elements.
    pub(super) fn new() -> Sketch {
        let mut bytes = Text::from_slice(&header::new(Encoding::Sparse));
        bytes.extend_from_slice(&sparse::EMPTY);
        Sketch { bytes, encoding: Encoding::Sparse }
    }

    /// A copy of one.
    ///
    /// # Errors
    /// If the text has not the form of a HyperLogLog.
    pub(super) fn of(text: &[u8]) -> Result<Sketch, CommandError> {
        Ok(Sketch::copied(text, header::parse(text)?.encoding))
    }

    /// A copy of one that is known to have the form of a HyperLogLog in this encoding.
    pub(super) fn copied(text: &[u8], encoding: Encoding) -> Sketch {
        // An element more lengthens it by a few bytes.
        let mut bytes = Text::with_capacity(text.len() + sparse::GROWTH_MAX);
        bytes.extend_from_slice(text);
        Sketch { bytes, encoding }
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its registers.
    ///
    /// # Errors
    /// If they are not in order.
    pub(super) fn registers(&self) -> Result<Registers, Corrupt> {
        let (encoding, registers) = (self.encoding, &self.bytes[header::BYTES..]);
        Registers::of(&header::Parts { encoding, cached: None, registers })
    }

    /// Says that the cached count is stale.
    pub(super) fn set_stale(&mut self) {
        header::set_stale(&mut self.bytes);
    }

    /// Raises a register; tells whether it was lower. Goes over to the dense encoding if the
    /// sparse one has no room for it within `sparse_bytes_max`.
    ///
    /// # Errors
    /// If the registers are not in order, as far as they were looked at.
    pub(super) fn raise(&mut self, mark: Mark, sparse_bytes_max: usize) -> Result<bool, Corrupt> {
        let Mark { index, rank } = mark;
        if self.encoding == Encoding::Sparse && rank <= sparse::VALUE_MAX {
            let start = header::BYTES;
            match sparse::raise(&mut self.bytes, start, index, rank, sparse_bytes_max)? {
                Raised::Not => return Ok(false),
                Raised::Here => return Ok(true),
                Raised::TooLong => {}
            }
        }
        self.make_dense()?;
        Ok(dense::raise(&mut self.bytes[header::BYTES..], index, rank))
    }

    /// Goes over to the dense encoding; tells whether it was not in it.
    ///
    /// # Errors
    /// If the registers are not in order; nothing has changed then.
    pub(super) fn make_dense(&mut self) -> Result<bool, Corrupt> {
        let sparse = self.encoding == Encoding::Sparse;
        if sparse {
            let registers = self.registers()?;
            self.set_dense(&registers);
        }
        Ok(sparse)
    }

    /// Has these registers, in the dense encoding.
    pub(super) fn set_dense(&mut self, registers: &Registers) {
        self.bytes.resize(header::BYTES + dense::BYTES, 0);
        dense::pack(&registers.0, &mut self.bytes[header::BYTES..]);
        header::set_encoding(&mut self.bytes, Encoding::Dense);
        self.encoding = Encoding::Dense;
    }
}
