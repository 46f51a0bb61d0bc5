//! Hashes, whose fields may have deadlines.

use super::collections::check_count;
use super::{Format, Options, PACKED_ELEMENTS_MAX, PACKED_STRING_BYTES_MAX};
use crate::error::RdbError;
use crate::listpack::{Builder, Items};
use crate::primitives::{put_length, put_milliseconds, put_string};
use crate::types;

/// Writes a hash of a known number of fields, which have to differ.
pub struct HashEncoder<'o> {
    out: &'o mut Vec<u8>,
    options: Options,
    announced: usize,
    seen: usize,
    form: Form,
}

enum Form {
    /// It may still become a listpack.
    Packed(Builder),
    Plain,
    /// Redis' form: deadlines count from the earliest one.
    Later {
        earliest: u64,
    },
    /// Valkey's form.
    Absolute,
}

impl<'o> HashEncoder<'o> {
    /// Begins a hash of `count` fields at the end of `out`; `earliest_ms` is the
    /// earliest deadline of a field, if one has a deadline.
    ///
    /// # Errors
    ///
    /// [`RdbError::FieldDeadline`] if the format has no deadlines.
    pub fn new(
        count: usize,
        earliest_ms: Option<u64>,
        options: Options,
        out: &'o mut Vec<u8>,
    ) -> Result<Self, RdbError> {
        let form = match (earliest_ms, options.format) {
            (None, _) if count <= PACKED_ELEMENTS_MAX => {
                Form::Packed(Builder::new(options.format.back_lengths()))
            }
            (None, _) => Form::Plain,
            (Some(earliest), Format::Redis12 | Format::Redis13 | Format::Redis14) => {
                Form::Later { earliest }
            }
            (Some(_), Format::Valkey80) => Form::Absolute,
            (Some(_), Format::Redis10 | Format::Redis11) => return Err(RdbError::FieldDeadline),
        };
        let mut hash = Self { out, options, announced: count, seen: 0, form };
        hash.put_head();
        Ok(hash)
    }

    fn put_head(&mut self) {
        match self.form {
            Form::Packed(_) => return,
            Form::Plain => self.out.push(types::HASH),
            Form::Later { earliest } => {
                self.out.push(types::HASH_DEADLINES);
                self.out.extend_from_slice(&earliest.to_le_bytes());
            }
            Form::Absolute => self.out.push(types::VALKEY_HASH_2),
        }
        put_length(self.announced as u64, self.out);
    }

    /// Appends a field.
    ///
    /// # Errors
    ///
    /// If its deadline is earlier than the announced one, or none was announced.
    pub fn field(
        &mut self,
        field: &[u8],
        value: &[u8],
        deadline_ms: Option<u64>,
    ) -> Result<(), RdbError> {
        self.seen += 1;
        if let Form::Packed(packed) = &mut self.form {
            let is_short = field.len().max(value.len()) <= PACKED_STRING_BYTES_MAX;
            if is_short && self.seen <= PACKED_ELEMENTS_MAX && deadline_ms.is_none() {
                packed.push(field);
                packed.push(value);
                return Ok(());
            }
            self.spill()?;
        }
        match (&self.form, deadline_ms) {
            (Form::Later { earliest }, Some(deadline)) => {
                let later = deadline.checked_sub(*earliest).ok_or(RdbError::FieldDeadline)?;
                put_length(later.saturating_add(1), self.out);
                self.put_pair(field, value);
            }
            (Form::Later { .. }, None) => {
                put_length(0, self.out);
                self.put_pair(field, value);
            }
            (Form::Absolute, deadline) => {
                self.put_pair(field, value);
                put_milliseconds(deadline, self.out);
            }
            (Form::Packed(_) | Form::Plain, None) => self.put_pair(field, value),
            (Form::Packed(_) | Form::Plain, Some(_)) => return Err(RdbError::FieldDeadline),
        }
        Ok(())
    }

    /// It is no listpack: writes what waits.
    fn spill(&mut self) -> Result<(), RdbError> {
        let Form::Packed(packed) = std::mem::replace(&mut self.form, Form::Plain) else {
            return Ok(());
        };
        self.put_head();
        let packed = packed.finish();
        let mut items = Items::new(&packed)?;
        while let Some(item) = items.next()? {
            put_string(&item.text(), self.options.compress, self.out);
        }
        Ok(())
    }

    fn put_pair(&mut self, field: &[u8], value: &[u8]) {
        put_string(field, self.options.compress, self.out);
        put_string(value, self.options.compress, self.out);
    }

    /// Ends the hash.
    ///
    /// # Errors
    ///
    /// If it is empty or has another number of fields than announced.
    pub fn finish(self) -> Result<(), RdbError> {
        check_count(self.seen, self.announced)?;
        if let Form::Packed(packed) = self.form {
            self.out.push(types::HASH_LISTPACK);
            put_string(&packed.finish(), self.options.compress, self.out);
        }
        Ok(())
    }
}
