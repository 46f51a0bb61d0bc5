//! Records: key, deadline, flags and value of an entry in one slot of a slab.
//!
//! # Layout
//!
//! ```text
//!  0  word, 4 bytes, atomic:
//!     bits 0..4 form | 4 has a deadline | 5 sticky | 6..8 value length, bits 8 and 9
//!     bits 8..32 access clock
//!  4  key length, 0 to 254; 255: the key is an external
//!  5  value length, bits 0 to 7
//!  6  [deadline: 6 bytes, little endian, Unix time in ms]
//!     key: its bytes, or the number of an external, 4 bytes, little endian
//!     value: its bytes, or the number of an external, 4 bytes, little endian
//! ```
//!
//! The value length is that of what is in the record: 4 for an external. A form
//! is how a value is laid out; form 0 is no record, so that a record which is
//! removed twice is noticed.
//!
//! The word alone changes under a shared gate: a look-up sets the access clock.
//! Nothing else in the word changes there, so a plain load and store will do; of
//! two clocks set at once one is kept.
//!
//! # Invariants
//!
//! 1. A string is in its record if and only if it is no longer than [`INLINE_MAX`].
//! 2. A record is in a slot of the smallest class that holds it.
//! 3. Each external belongs to one record.
//!
//! A record knows nothing of the table, of time or of what a clock means.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::class::{RECORD_MAX, class_of, spec};
use crate::external::{External, Externals};
use crate::lengths::Lengths;
use crate::slabs::{Full, Handle, Slabs, WORD_BYTES};

/// The longest string that is kept in its record, in bytes: with the longest key
/// beside it and a deadline the record is just [`RECORD_MAX`].
pub const INLINE_MAX: usize = RECORD_MAX - WORD_BYTES - DEADLINE - DEADLINE_BYTES - KEY_INLINE_MAX;

const _: () = assert!(INLINE_MAX < 1 << 10, "a length has ten bits");

/// The longest key that is kept in its record.
const KEY_INLINE_MAX: usize = 254;

/// The key length which says that the key is an external.
const KEY_EXTERNAL: u8 = 255;

/// Bytes of an external's number.
const NUMBER_BYTES: usize = 4;

const DEADLINE_BYTES: usize = 6;

/// The latest deadline that can be kept, in ms of Unix time: the year 10889.
pub const DEADLINE_MAX: u64 = (1 << 48) - 1;

// Offsets in the body, which is the record without its word.
const KEY_LEN: usize = 0;
const VALUE_LEN: usize = 1;
const DEADLINE: usize = 2;

// Bits of the word.
const FORM: u32 = 0b1111;
const HAS_DEADLINE: u32 = 1 << 4;
const HAS_DEADLINE_SHIFT: u32 = 4;
const STICKY: u32 = 1 << 5;
const VALUE_LEN_SHIFT: u32 = 6;
const ACCESS_SHIFT: u32 = 8;
const ACCESS_MAX: u32 = (1 << 24) - 1;

/// The type of a value, as far as records know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string of bytes.
    Str,
    /// A list, packed into bytes by the layer above.
    List,
    /// A set, packed likewise.
    Set,
    /// A hash, packed likewise.
    Hash,
    /// A sorted set, packed likewise.
    ZSet,
    /// An array, packed likewise.
    Array,
    /// A value that lies elsewhere, under a number.
    Boxed,
}

/// How a value is laid out; the number is in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    kind: Kind,
    /// Whether the bytes are outside the record.
    external: bool,
    /// Whether clients shall see a string as `raw`.
    raw: bool,
}

/// A string as most are: in its record, never edited.
const PLAIN: Form = Form::of_kind(Kind::Str, false, false);

impl Form {
    const fn of_kind(kind: Kind, external: bool, raw: bool) -> Self {
        Self { kind, external, raw }
    }

    /// `None` if the slot holds no record.
    #[inline]
    const fn of(word: u32) -> Option<Self> {
        let form = match word & FORM {
            number @ 1..=4 => Self::of_kind(Kind::Str, number > 2, number % 2 == 0),
            number @ 5..=6 => Self::of_kind(Kind::List, number % 2 == 0, false),
            number @ 7..=8 => Self::of_kind(Kind::Set, number % 2 == 0, false),
            number @ 9..=10 => Self::of_kind(Kind::Hash, number % 2 == 0, false),
            number @ 11..=12 => Self::of_kind(Kind::ZSet, number % 2 == 0, false),
            13 => Self::of_kind(Kind::Boxed, false, false),
            number @ 14..=15 => Self::of_kind(Kind::Array, number % 2 == 1, false),
            _ => return None,
        };
        Some(form)
    }

    #[inline]
    const fn bits(self) -> u32 {
        let external = self.external as u32;
        match self.kind {
            Kind::Str => 1 + self.raw as u32 + 2 * external,
            Kind::List => 5 + external,
            Kind::Set => 7 + external,
            Kind::Hash => 9 + external,
            Kind::ZSet => 11 + external,
            Kind::Boxed => 13,
            Kind::Array => 14 + external,
        }
    }
}

/// A value to be stored.
#[derive(Clone, Debug)]
pub enum NewValue<'a> {
    /// A string, which is copied.
    Str {
        /// The string.
        bytes: &'a [u8],
        /// Whether clients shall see it as `raw`; see [`Records::is_raw`].
        raw: bool,
    },
    /// A string that somebody else may hold too. It is shared if it is longer
    /// than [`INLINE_MAX`], with the capacity it has, and copied if it is not.
    SharedStr {
        /// The string.
        bytes: Arc<Vec<u8>>,
        /// Whether clients shall see it as `raw`; see [`Records::is_raw`].
        raw: bool,
    },
    /// A packed collection, which is copied.
    Packed {
        /// What it is: neither [`Kind::Str`] nor [`Kind::Boxed`].
        kind: Kind,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A value that lies elsewhere: its number, as bytes in little endian.
    Boxed([u8; NUMBER_BYTES]),
}

impl NewValue<'_> {
    /// A value that lies elsewhere under this number.
    #[must_use]
    pub const fn boxed(number: u32) -> Self {
        Self::Boxed(number.to_le_bytes())
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Str { bytes, .. } | Self::Packed { bytes, .. } => bytes,
            Self::SharedStr { bytes, .. } => bytes,
            Self::Boxed(number) => number,
        }
    }

    /// The form of the value, in the record or outside.
    #[inline]
    const fn form(&self, external: bool) -> Form {
        match self {
            Self::Str { .. } | Self::SharedStr { .. } => {
                Form::of_kind(Kind::Str, external, self.is_raw())
            }
            Self::Packed { kind, .. } => Form::of_kind(*kind, external, false),
            Self::Boxed(_) => Form::of_kind(Kind::Boxed, false, false),
        }
    }

    /// Bytes of the string; `None` if it is none.
    #[inline]
    fn str_len(&self) -> Option<usize> {
        let is_str = matches!(self, Self::Str { .. } | Self::SharedStr { .. });
        is_str.then(|| self.bytes().len())
    }

    #[inline]
    const fn is_raw(&self) -> bool {
        match self {
            Self::Str { raw, .. } | Self::SharedStr { raw, .. } => *raw,
            Self::Packed { .. } | Self::Boxed(_) => false,
        }
    }

    fn into_shared(self) -> Arc<Vec<u8>> {
        match self {
            Self::Str { bytes, .. } | Self::Packed { bytes, .. } => Arc::new(bytes.to_vec()),
            Self::SharedStr { bytes, .. } => bytes,
            Self::Boxed(number) => Arc::new(number.to_vec()),
        }
    }
}

/// A string as it is stored.
#[derive(Clone, Copy, Debug)]
pub enum StrRef<'a> {
    /// The bytes in the record.
    Inline(&'a [u8]),
    /// A string longer than [`INLINE_MAX`]. A clone of the `Arc` keeps it as it
    /// is now, at no cost unless the record changes meanwhile.
    Shared(&'a Arc<Vec<u8>>),
}

impl<'a> StrRef<'a> {
    /// The bytes, wherever they are.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// What a record leaves behind that may be expensive to drop. Drop it outside
/// the gate.
#[derive(Debug, Default)]
#[must_use = "dropping it may take long"]
pub struct Garbage {
    key: Option<External>,
    value: Option<External>,
}

impl Garbage {
    /// Bytes on the heap which the drop frees if nobody else holds them.
    pub fn bytes(&self) -> usize {
        self.key.iter().chain(&self.value).map(External::bytes).sum()
    }

    /// Whether there is nothing to drop.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.value.is_none()
    }
}

/// The fixed part of a record, decoded. Ranges are in the body.
#[derive(Clone, Copy)]
struct Head {
    word: u32,
    key_len: u8,
    value_low: u8,
}

impl Head {
    #[inline]
    const fn key_at(self) -> usize {
        DEADLINE + (self.word >> HAS_DEADLINE_SHIFT & 1) as usize * DEADLINE_BYTES
    }

    #[inline]
    const fn value_at(self) -> usize {
        let key = if self.key_len == KEY_EXTERNAL { NUMBER_BYTES } else { self.key_len as usize };
        self.key_at() + key
    }

    /// Bytes of the value in the record.
    #[inline]
    const fn value_len(self) -> usize {
        ((self.word >> VALUE_LEN_SHIFT & 0b11) << 8) as usize | self.value_low as usize
    }

    #[inline]
    const fn key(self) -> Range<usize> {
        self.key_at()..self.value_at()
    }

    #[inline]
    const fn value(self) -> Range<usize> {
        self.value_at()..self.value_at() + self.value_len()
    }

    #[inline]
    const fn record_len(self) -> usize {
        WORD_BYTES + self.value_at() + self.value_len()
    }

    #[inline]
    const fn has_deadline(self) -> bool {
        self.word & HAS_DEADLINE != 0
    }

    #[inline]
    const fn has_external_key(self) -> bool {
        self.key_len == KEY_EXTERNAL
    }

    /// How the value is laid out.
    #[inline]
    fn form(self) -> Form {
        match Form::of(self.word) {
            Some(form) => form,
            None => no_record(),
        }
    }

    #[inline]
    fn has_external_value(self) -> bool {
        self.form().external
    }

    /// This head with another form, deadline and value length.
    #[inline]
    const fn reshaped(self, form: Form, has_deadline: bool, value_len: usize) -> Self {
        let kept = self.word & (STICKY | ACCESS_MAX << ACCESS_SHIFT);
        let high = (value_len as u32 >> 8) << VALUE_LEN_SHIFT;
        let deadline = (has_deadline as u32) << HAS_DEADLINE_SHIFT;
        Self { word: kept | form.bits() | deadline | high, value_low: value_len as u8, ..self }
    }
}

/// What becomes of the value when a record is laid out anew.
enum Content<'a> {
    /// It stays; its end is cut off or zeros are added, up to this length.
    Kept(usize),
    /// It is replaced.
    New(&'a [u8]),
    /// These bytes come in the place of a part of it.
    Spliced(Range<usize>, &'a [u8]),
}

/// A record, to be read. It borrows the [`Records`], so nothing changes meanwhile
/// but the access clock.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    head: Head,
    body: &'a [u8],
    externals: &'a Externals,
}

impl<'a> Record<'a> {
    /// The key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let key = &self.body[self.head.key()];
        if self.head.has_external_key() { self.externals.key(number(key)) } else { key }
    }

    /// Whether the record has this key.
    #[inline]
    pub fn key_eq(self, key: &[u8]) -> bool {
        if self.head.has_external_key() {
            return self.key() == key;
        }
        usize::from(self.head.key_len) == key.len() && &self.body[self.head.key()] == key
    }

    /// When the record expires, in ms of Unix time.
    #[inline]
    pub fn deadline(self) -> Option<u64> {
        self.head.has_deadline().then(|| read_deadline(self.body))
    }

    /// The type of the value.
    #[inline]
    pub fn kind(self) -> Kind {
        self.head.form().kind
    }

    /// The string, or the bytes of a packed collection.
    #[inline(always)]
    pub fn str(self) -> StrRef<'a> {
        let value = &self.body[self.head.value()];
        if self.head.form().external {
            StrRef::Shared(self.externals.str(number(value)))
        } else {
            StrRef::Inline(value)
        }
    }

    /// The number of a value that lies elsewhere.
    #[inline]
    pub fn boxed(self) -> Option<u32> {
        (self.kind() == Kind::Boxed).then(|| number(&self.body[self.head.value()]))
    }

    /// Bytes of the value.
    #[inline]
    fn len(self) -> usize {
        self.str().as_bytes().len()
    }

    /// Bytes of the string; `None` if it is none.
    #[inline]
    fn str_len(self) -> Option<usize> {
        (self.kind() == Kind::Str).then(|| self.len())
    }

    /// Whether a long string is copied when it is changed up to `end`, and by so
    /// many bytes `more` behind its own: somebody else holds it, or there is no
    /// room for more. Only of strings.
    pub fn must_be_copied(self, end: usize, more: usize) -> bool {
        let StrRef::Shared(text) = self.str() else { return false };
        Arc::strong_count(text) > 1 || end.max(text.len() + more) > text.capacity()
    }

    /// How many bytes are copied or filled when the string is changed so; none
    /// of other values.
    pub fn bytes_moved(self, end: usize, more: usize) -> usize {
        let Some(len) = self.str_len() else { return 0 };
        let grown = end.saturating_sub(len).max(more);
        if self.must_be_copied(end, more) { len + grown } else { grown }
    }

    /// Whether clients shall see the string as `raw`, because it was changed in
    /// place. What else decides on the encoding they see follows from the bytes.
    #[inline]
    pub fn is_raw(self) -> bool {
        self.head.form().raw
    }

    /// Whether the record is protected from eviction.
    #[inline]
    pub fn is_sticky(self) -> bool {
        self.head.word & STICKY != 0
    }

    /// The access clock as it was when the record was looked up.
    #[inline]
    pub fn access(self) -> u32 {
        self.head.word >> ACCESS_SHIFT
    }

    /// The number of the external that is the key, if it is one.
    #[inline]
    fn external_key(self) -> Option<u32> {
        self.head.has_external_key().then(|| number(&self.body[self.head.key()]))
    }

    /// The number of the external that is the value, if it is one.
    #[inline]
    fn external_value(self) -> Option<u32> {
        self.head.has_external_value().then(|| number(&self.body[self.head.value()]))
    }
}

/// The records of one database of one shard.
///
/// Methods take any handle. One that is not valid (see [`Handle`]) gives the
/// bytes of another record or panics.
pub struct Records {
    slabs: Slabs,
    externals: Externals,
    lengths: Lengths,
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

impl Records {
    /// No records, and no memory for any.
    pub fn new() -> Self {
        Self { slabs: Slabs::new(), externals: Externals::new(), lengths: Lengths::default() }
    }

    /// Leaves no more room than so many regions have, so that tests get to see what happens when
    /// there is none. What lies in others stays there.
    pub fn limit_regions(&mut self, regions_max: usize) {
        self.slabs.limit_regions(regions_max);
    }

    // --- Reading ----------------------------------------------------------

    /// The record, to be read: what several calls with the handle would find out
    /// anew is found out once.
    #[inline]
    pub fn at(&self, handle: Handle) -> Record<'_> {
        let (word, body) = self.slabs.parts(handle);
        let word = word.load(Relaxed);
        let head = Head { word, key_len: body[KEY_LEN], value_low: body[VALUE_LEN] };
        Record { head, body, externals: &self.externals }
    }

    /// Asks the processor to fetch a record, so that it is near when it is read.
    #[inline]
    pub fn prefetch(&self, handle: Handle) {
        self.slabs.prefetch(handle);
    }

    /// See [`Record::key`].
    #[inline]
    pub fn key(&self, handle: Handle) -> &[u8] {
        self.at(handle).key()
    }

    /// See [`Record::key_eq`].
    #[inline]
    pub fn key_eq(&self, handle: Handle, key: &[u8]) -> bool {
        self.at(handle).key_eq(key)
    }

    /// See [`Record::deadline`].
    #[inline]
    pub fn deadline(&self, handle: Handle) -> Option<u64> {
        self.at(handle).deadline()
    }

    /// See [`Record::kind`].
    #[inline]
    pub fn kind(&self, handle: Handle) -> Kind {
        self.at(handle).kind()
    }

    /// See [`Record::str`].
    #[inline]
    pub fn str(&self, handle: Handle) -> StrRef<'_> {
        self.at(handle).str()
    }

    /// Bytes of the string.
    #[inline]
    pub fn len(&self, handle: Handle) -> usize {
        self.at(handle).len()
    }

    /// See [`Record::is_raw`].
    #[inline]
    pub fn is_raw(&self, handle: Handle) -> bool {
        self.at(handle).is_raw()
    }

    /// Whether the record is protected from eviction.
    #[inline]
    pub fn is_sticky(&self, handle: Handle) -> bool {
        self.slabs.word(handle).load(Relaxed) & STICKY != 0
    }

    /// The access clock, 24 bits: whatever [`Records::set_access`] was given last,
    /// 0 at first.
    #[inline]
    pub fn access(&self, handle: Handle) -> u32 {
        self.slabs.word(handle).load(Relaxed) >> ACCESS_SHIFT
    }

    /// Sets the access clock to the low 24 bits of `access`. Several readers may do
    /// so at once; one of them prevails. Writes only what differs, so that a line
    /// which many read stays shared.
    #[inline]
    pub fn set_access(&self, handle: Handle, access: u32) {
        let word = self.slabs.word(handle);
        let old = word.load(Relaxed);
        let new = with_access(old, access);
        if new != old {
            word.store(new, Relaxed);
        }
    }

    // --- Coming and going -------------------------------------------------

    /// Adds a record: not sticky, its access clock 0. A deadline, in ms of Unix
    /// time, beyond 2^48 - 1 is kept as that.
    pub fn insert(
        &mut self,
        key: &[u8],
        value: NewValue<'_>,
        deadline: Option<u64>,
    ) -> Result<Handle, Full> {
        let is_long_key = key.len() > KEY_INLINE_MAX;
        let len = value.bytes().len();
        let is_long = len > INLINE_MAX;
        let (form, str_len) = (value.form(is_long), value.str_len());
        let key_len = if is_long_key { KEY_EXTERNAL } else { key.len() as u8 };
        let value_len = if is_long { NUMBER_BYTES } else { len };
        let head = Head { word: 0, key_len, value_low: 0 };
        let head = head.reshaped(form, deadline.is_some(), value_len);

        let handle = self.slabs.alloc(head.record_len())?;
        let body = write_head(&mut self.slabs, handle, head, deadline);
        if is_long_key {
            let at = self.externals.insert(External::key(key));
            body[head.key()].copy_from_slice(&at.to_le_bytes());
        } else {
            body[head.key()].copy_from_slice(key);
        }
        if is_long {
            let at = self.externals.insert(External::Str(value.into_shared()));
            body[head.value()].copy_from_slice(&at.to_le_bytes());
        } else {
            body[head.value()].copy_from_slice(value.bytes());
        }
        self.lengths.change(None, str_len);
        Ok(handle)
    }

    /// Removes a record. Its slot is free at once; what is expensive to drop is
    /// given back.
    ///
    /// # Panics
    ///
    /// If there is no record.
    pub fn remove(&mut self, handle: Handle) -> Garbage {
        let record = self.at(handle);
        let (value, key) = (record.external_value(), record.external_key());
        let len = record.str_len();
        self.lengths.change(len, None);
        self.release(handle);
        Garbage {
            key: key.map(|at| self.externals.remove(at)),
            value: value.map(|at| self.externals.remove(at)),
        }
    }

    /// Copies a record into `other` under a new key, which is not there yet: value,
    /// deadline, flags and access clock. A long string is shared.
    pub fn clone_into(
        &self,
        handle: Handle,
        other: &mut Records,
        key: &[u8],
    ) -> Result<Handle, Full> {
        let record = self.at(handle);
        let raw = record.is_raw();
        let value = match record.str() {
            bytes if record.kind() != Kind::Str => {
                NewValue::Packed { kind: record.kind(), bytes: bytes.as_bytes() }
            }
            StrRef::Inline(bytes) => NewValue::Str { bytes, raw },
            StrRef::Shared(bytes) => NewValue::SharedStr { bytes: Arc::clone(bytes), raw },
        };
        let copy = other.insert(key, value, self.deadline(handle))?;
        other.set_sticky(copy, self.is_sticky(handle));
        other.set_access(copy, self.access(handle));
        Ok(copy)
    }

    // --- Changing ---------------------------------------------------------
    //
    // A record may move when it changes: the handle that comes back names it from
    // then on. On `Full` it is where and as it was.

    /// Writes a short string over one of the same length, where neither deadline nor form must
    /// change: the short way of most writes. `false`: nothing was done, as it is not that simple.
    #[inline]
    pub fn rewrite(&mut self, handle: Handle, bytes: &[u8]) -> bool {
        let head = self.at(handle).head;
        if head.has_deadline() || head.value_len() != bytes.len() || head.form() != PLAIN {
            return false;
        }
        self.slabs.body_mut(handle)[head.value()].copy_from_slice(bytes);
        true
    }

    /// Replaces a short string by another one and the deadline: the short way of
    /// [`Records::replace`], which leaves nothing behind. `None`: nothing was done, as there is no
    /// string, or one of the two is long.
    #[inline]
    pub fn replace_short(
        &mut self,
        handle: Handle,
        bytes: &[u8],
        raw: bool,
        deadline: Option<u64>,
    ) -> Option<Result<Handle, Full>> {
        let head = self.at(handle).head;
        let Form { kind, external, .. } = head.form();
        if kind != Kind::Str || external || bytes.len() > INLINE_MAX {
            return None;
        }
        let form = Form::of_kind(Kind::Str, false, raw);
        let replaced = self.reshape(handle, form, deadline, Content::New(bytes));
        if replaced.is_ok() {
            self.lengths.change(Some(head.value_len()), Some(bytes.len()));
        }
        Some(replaced)
    }

    /// Replaces value and deadline. Key, access clock and stickiness stay. What the
    /// old value leaves behind is given back.
    #[inline]
    pub fn replace(
        &mut self,
        handle: Handle,
        value: NewValue<'_>,
        deadline: Option<u64>,
    ) -> Result<(Handle, Garbage), Full> {
        let record = self.at(handle);
        let (old, before, after) = (record.external_value(), record.str_len(), value.str_len());
        let replaced = if old.is_some() || value.bytes().len() > INLINE_MAX {
            self.replace_long(handle, old, value, deadline)?
        } else {
            let form = value.form(false);
            let handle = self.reshape(handle, form, deadline, Content::New(value.bytes()))?;
            (handle, Garbage::default())
        };
        self.lengths.change(before, after);
        Ok(replaced)
    }

    /// Replaces a value where the old one, the external `old`, or the new one is
    /// long.
    #[inline(never)]
    fn replace_long(
        &mut self,
        handle: Handle,
        old: Option<u32>,
        value: NewValue<'_>,
        deadline: Option<u64>,
    ) -> Result<(Handle, Garbage), Full> {
        let external = value.bytes().len() > INLINE_MAX;
        let form = value.form(external);
        match old {
            Some(at) if external => {
                let handle = self.reshape(handle, form, deadline, Content::Kept(NUMBER_BYTES))?;
                Ok((handle, self.replace_external(at, value)))
            }
            Some(at) => {
                let content = Content::New(value.bytes());
                let handle = self.reshape(handle, form, deadline, content)?;
                let value = Some(self.externals.remove(at));
                Ok((handle, Garbage { key: None, value }))
            }
            None => {
                let handle = self.move_out(handle, form, deadline, value.into_shared())?;
                Ok((handle, Garbage::default()))
            }
        }
    }

    /// Replaces the external string `at`. Bytes go where the old ones were, if they
    /// nearly fill the room and nobody else holds it.
    fn replace_external(&mut self, at: u32, value: NewValue<'_>) -> Garbage {
        if let NewValue::Str { bytes, .. } | NewValue::Packed { bytes, .. } = value {
            let old = self.externals.str(at);
            let room = bytes.len()..=bytes.len() + bytes.len() / 8;
            if Arc::strong_count(old) == 1 && room.contains(&old.capacity()) {
                self.externals.edit_str(at, bytes.len(), |text| {
                    text.clear();
                    text.extend_from_slice(bytes);
                });
                return Garbage::default();
            }
        }
        let old = self.externals.replace_str(at, value.into_shared());
        Garbage { key: None, value: Some(External::Str(old)) }
    }

    /// Has a long string lie in `room`, an equal one that nobody else holds. What
    /// it lay in before is given back.
    pub fn relocate(&mut self, handle: Handle, room: Arc<Vec<u8>>) -> Garbage {
        let record = self.at(handle);
        let value = match (record.str_len(), record.external_value()) {
            (Some(len), Some(at)) if len == room.len() => {
                Some(External::Str(self.externals.replace_str(at, room)))
            }
            _ => None,
        };
        Garbage { key: None, value }
    }

    /// Replaces the string and keeps the deadline. What the old one leaves behind
    /// is dropped here; [`Records::replace`] gives it back.
    #[inline]
    pub fn set_str(&mut self, handle: Handle, bytes: &[u8], raw: bool) -> Result<Handle, Full> {
        let deadline = self.deadline(handle);
        let value = NewValue::Str { bytes, raw };
        self.replace(handle, value, deadline).map(|(handle, _)| handle)
    }

    /// Sets, changes or removes the deadline, in ms of Unix time. One beyond
    /// 2^48 - 1 is kept as that.
    pub fn set_deadline(&mut self, handle: Handle, deadline: Option<u64>) -> Result<Handle, Full> {
        let head = self.at(handle).head;
        self.reshape(handle, head.form(), deadline, Content::Kept(head.value_len()))
    }

    /// Protects the record from eviction, or no longer.
    pub fn set_sticky(&mut self, handle: Handle, sticky: bool) {
        let word = self.slabs.word(handle);
        let flag = if sticky { STICKY } else { 0 };
        word.store(word.load(Relaxed) & !STICKY | flag, Relaxed);
    }

    /// Notes how clients shall see the string; see [`Records::is_raw`].
    pub fn set_raw(&mut self, handle: Handle, raw: bool) {
        let word = self.slabs.word(handle);
        let old = word.load(Relaxed);
        let Some(form) = Form::of(old) else { no_record() };
        let form = Form { raw, ..form };
        word.store(old & !FORM | form.bits(), Relaxed);
    }

    /// The string's bytes, to be overwritten. If a reader holds a long string they
    /// keep it as it is, and this is a copy.
    pub fn bytes_mut(&mut self, handle: Handle) -> &mut [u8] {
        let record = self.at(handle);
        let head = record.head;
        match record.external_value() {
            Some(at) => self.externals.str_bytes_mut(at),
            None => &mut self.slabs.body_mut(handle)[head.value()],
        }
    }

    /// Cuts the string off or adds zeros, up to `len` bytes. A long string that
    /// grows again and again is not copied each time.
    pub fn resize(&mut self, handle: Handle, len: usize) -> Result<Handle, Full> {
        self.grow_or_cut(handle, len, |text| {
            if len > text.capacity().saturating_mul(2) {
                // Memory that comes as zeros is not written to.
                let mut grown = vec![0; len];
                grown[..text.len()].copy_from_slice(text);
                *text = grown;
                return;
            }
            text.resize(len, 0);
            if text.capacity() / 2 > len {
                text.shrink_to_fit();
            }
        })
    }

    /// Adds `bytes` at the end of the string. A long string that grows again and
    /// again is not copied each time.
    pub fn append(&mut self, handle: Handle, bytes: &[u8]) -> Result<Handle, Full> {
        let old = self.len(handle);
        let len = old + bytes.len();
        let handle = self.grow_or_cut(handle, len, |text| text.extend_from_slice(bytes))?;
        if len <= INLINE_MAX {
            self.bytes_mut(handle)[old..].copy_from_slice(bytes);
        }
        Ok(handle)
    }

    /// Changes the length of a value to `len`: in its record with zeros at the end, outside with
    /// `edit`, which makes it that long.
    fn grow_or_cut(
        &mut self,
        handle: Handle,
        len: usize,
        edit: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Handle, Full> {
        let record = self.at(handle);
        if record.external_value().is_some() || len > INLINE_MAX {
            return self.edit_outside(handle, len, edit);
        }
        let (deadline, before) = (record.deadline(), record.str_len());
        let handle = self.reshape(handle, record.head.form(), deadline, Content::Kept(len))?;
        self.lengths.change(before, before.map(|_| len));
        Ok(handle)
    }

    /// Edits a value that is outside its record, or will be: `edit` makes it `len` bytes long.
    fn edit_outside(
        &mut self,
        handle: Handle,
        len: usize,
        edit: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Handle, Full> {
        let record = self.at(handle);
        let (deadline, before) = (record.deadline(), record.str_len());
        let external = len > INLINE_MAX;
        let form = Form { external, ..record.head.form() };
        let handle = match record.external_value() {
            None => {
                let old = record.str().as_bytes();
                let mut text = Vec::with_capacity(len.max(old.len()));
                text.extend_from_slice(old);
                edit(&mut text);
                self.move_out(handle, form, deadline, Arc::new(text))?
            }
            Some(at) if external => {
                self.externals.edit_str(at, len, edit);
                handle
            }
            Some(at) => {
                let mut text = self.externals.str(at).to_vec();
                edit(&mut text);
                let handle = self.reshape(handle, form, deadline, Content::New(&text))?;
                self.externals.remove(at);
                handle
            }
        };
        self.lengths.change(before, before.map(|_| len));
        Ok(handle)
    }

    /// Puts `bytes` in the place of a part of the value, which grows or shrinks by that. A long
    /// value that changes again and again is not copied each time.
    ///
    /// # Panics
    ///
    /// If the value has no such part.
    pub fn splice(
        &mut self,
        handle: Handle,
        part: Range<usize>,
        bytes: &[u8],
    ) -> Result<Handle, Full> {
        if part.len() == bytes.len() {
            self.bytes_mut(handle)[part].copy_from_slice(bytes);
            return Ok(handle);
        }
        let record = self.at(handle);
        let old = record.str().as_bytes();
        let len = old.len() - part.len() + bytes.len();
        if record.external_value().is_some() || len > INLINE_MAX {
            let splice = |text: &mut Vec<u8>| drop(text.splice(part, bytes.iter().copied()));
            return self.edit_outside(handle, len, splice);
        }
        let (before, deadline, form) = (record.str_len(), record.deadline(), record.head.form());
        let handle = self.reshape(handle, form, deadline, Content::Spliced(part, bytes))?;
        self.lengths.change(before, before.map(|_| len));
        Ok(handle)
    }

    /// Makes a string in its record an external.
    fn move_out(
        &mut self,
        handle: Handle,
        form: Form,
        deadline: Option<u64>,
        text: Arc<Vec<u8>>,
    ) -> Result<Handle, Full> {
        let at = self.externals.insert(External::Str(text));
        let moved = self.reshape(handle, form, deadline, Content::New(&at.to_le_bytes()));
        if moved.is_err() {
            self.externals.remove(at);
        }
        moved
    }

    /// Lays a record out anew: where it is, if that is a slot of the right class,
    /// or else in another, which it then moves to.
    #[inline]
    fn reshape(
        &mut self,
        handle: Handle,
        form: Form,
        deadline: Option<u64>,
        content: Content<'_>,
    ) -> Result<Handle, Full> {
        let old = self.at(handle).head;
        let (len, kept) = match &content {
            Content::Kept(len) => (*len, old.value_len().min(*len)),
            Content::New(bytes) => (bytes.len(), 0),
            Content::Spliced(part, bytes) => {
                (old.value_len() - part.len() + bytes.len(), part.start)
            }
        };
        let new = old.reshaped(form, deadline.is_some(), len);
        let stays = class_of(new.record_len()) == self.slabs.class(handle);
        let to = if stays { handle } else { self.slabs.alloc(new.record_len())? };

        if let Content::Spliced(part, bytes) = &content {
            // What lies behind the part makes room first.
            let (from, to_at) = (old.value_at() + part.end, new.value_at() + kept + bytes.len());
            self.slabs.copy((handle, from), (to, to_at), old.value_len() - part.end);
        }
        if !stays || old.key_at() != new.key_at() {
            let moved = old.value_at() + kept - old.key_at();
            self.slabs.copy((handle, old.key_at()), (to, new.key_at()), moved);
        }
        let body = write_head(&mut self.slabs, to, new, deadline);
        let value = &mut body[new.value()];
        match content {
            Content::Kept(_) => value[kept..].fill(0),
            Content::New(bytes) => value.copy_from_slice(bytes),
            Content::Spliced(_, bytes) => value[kept..][..bytes.len()].copy_from_slice(bytes),
        }
        if !stays {
            self.release(handle);
        }
        Ok(to)
    }

    /// Frees the slot of a record, whose externals have gone or will go elsewhere.
    fn release(&mut self, handle: Handle) {
        self.slabs.word(handle).store(0, Relaxed);
        self.slabs.free(handle);
    }

    /// Moves a record out of a sparse slab to a fuller one, so that the sparse one
    /// can be given back. `None` if it is where it should be.
    pub fn move_if_sparse(&mut self, handle: Handle) -> Option<Handle> {
        if !self.slabs.is_sparse(handle) {
            return None;
        }
        let head = self.at(handle).head;
        let to = self.slabs.alloc(head.record_len()).ok()?;
        self.slabs.word(to).store(head.word, Relaxed);
        self.slabs.copy((handle, 0), (to, 0), head.record_len() - WORD_BYTES);
        self.release(handle);
        Some(to)
    }

    // --- Figures ----------------------------------------------------------

    /// Bytes a record takes: its slot and its externals. A string that is shared
    /// counts in full.
    pub fn size_of(&self, handle: Handle) -> usize {
        let record = self.at(handle);
        let external = |at: Option<u32>| at.map_or(0, |at| self.externals.bytes_of(at));
        spec(self.slabs.class(handle)).size()
            + external(record.external_key())
            + external(record.external_value())
    }

    /// Bytes of the slots of all records, exactly.
    pub fn used_bytes(&self) -> usize {
        self.slabs.used_bytes()
    }

    /// An estimate from above of the resident bytes of the slabs.
    pub fn resident_bytes(&self) -> usize {
        self.slabs.resident_bytes()
    }

    /// Bytes of address space that the slabs have taken from the system.
    pub fn mapped_bytes(&self) -> usize {
        self.slabs.mapped_bytes()
    }

    /// Bytes on the heap of keys and values outside the slabs. A string that is
    /// shared counts in full.
    pub fn external_bytes(&self) -> usize {
        self.externals.bytes()
    }

    /// How many strings there are of each doubling of length.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// How many keys and values are outside the slabs.
    pub fn externals(&self) -> usize {
        self.externals.len()
    }
}

/// Writes the fixed part and the deadline of a record into its slot, and gives
/// the body for the rest.
#[inline]
fn write_head(slabs: &mut Slabs, to: Handle, head: Head, deadline: Option<u64>) -> &mut [u8] {
    let (word, body) = slabs.parts_mut(to);
    word.store(head.word, Relaxed);
    body[KEY_LEN] = head.key_len;
    body[VALUE_LEN] = head.value_low;
    if let Some(deadline) = deadline {
        let bytes = deadline.min(DEADLINE_MAX).to_le_bytes();
        body[DEADLINE..][..DEADLINE_BYTES].copy_from_slice(&bytes[..DEADLINE_BYTES]);
    }
    body
}

/// The number of an external, as it is in a record.
#[inline]
fn number(bytes: &[u8]) -> u32 {
    match bytes.first_chunk() {
        Some(&bytes) => u32::from_le_bytes(bytes),
        None => no_record(),
    }
}

#[inline]
fn read_deadline(body: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..DEADLINE_BYTES].copy_from_slice(&body[DEADLINE..][..DEADLINE_BYTES]);
    u64::from_le_bytes(bytes)
}

#[inline]
const fn with_access(word: u32, access: u32) -> u32 {
    word & !(ACCESS_MAX << ACCESS_SHIFT) | access << ACCESS_SHIFT
}

#[cold]
#[inline(never)]
fn no_record() -> ! {
    panic!("there is no record in the slot: the handle is stale");
}

#[cfg(test)]
mod tests;
