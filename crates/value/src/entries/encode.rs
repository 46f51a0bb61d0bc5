//! Elements into bytes.

use smallvec::SmallVec;

use super::{Element, parse_integer};

pub(super) const STRING_32: u8 = 0xf0;
pub(super) const INT_16: u8 = 0xf1;
pub(super) const INT_24: u8 = 0xf2;
pub(super) const INT_32: u8 = 0xf3;
pub(super) const INT_64: u8 = 0xf4;

pub(super) const GROUP_BITS: u32 = 7;
pub(super) const GROUP_MASK: usize = 0x7f;
pub(super) const GROUP_FLAG: u8 = 0x80;

/// Five bytes of encoding and 4 GB of data.
pub(super) const BACK_LENGTH_BYTES_MAX: usize = 5;

const HEAD_BYTES_MAX: usize = 9;

/// What grows by bytes.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> Sink for SmallVec<[u8; N]> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Appends `text` as an element.
pub fn encode(out: &mut impl Sink, text: &[u8]) {
    Encoded::of(text).append_to(out);
}

/// Appends `integer` as an element.
pub fn encode_int(out: &mut impl Sink, integer: i64) {
    Encoded::int(integer).append_to(out);
}

/// How many bytes `text` takes as an element.
pub fn encoded_len(text: &[u8]) -> usize {
    Encoded::of(text).size()
}

/// An element ready to be written: its parts, of which the longest is only referred to.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    head: Short<HEAD_BYTES_MAX>,
    data: &'a [u8],
    back_length: Short<BACK_LENGTH_BYTES_MAX>,
}

impl<'a> Encoded<'a> {
    /// The element that `text` becomes.
    pub fn of(text: &'a [u8]) -> Self {
        match parse_integer(text) {
            Some(integer) => Self::int(integer),
            None => Self::new(string_head(text.len()), text),
        }
    }

    /// The element that holds `bytes` as they are, even if they are the text of an integer. Who
    /// writes such elements looks for none of them by its text.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::new(string_head(bytes.len()), bytes)
    }

    /// The element that `integer` becomes.
    pub fn int(integer: i64) -> Self {
        Self::new(integer_head(integer), &[])
    }

    fn new(head: Short<HEAD_BYTES_MAX>, data: &'a [u8]) -> Self {
        let back_length = back_length(head.as_slice().len() + data.len());
        Self { head, data, back_length }
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Its bytes, in three parts.
    pub fn parts(&self) -> [&[u8]; 3] {
        [self.head.as_slice(), self.data, self.back_length.as_slice()]
    }

    /// Appends it to `out`.
    pub fn append_to(&self, out: &mut impl Sink) {
        self.parts().into_iter().for_each(|part| out.put(part));
    }

    /// Writes it over the first bytes of `out`, which have to be [`size`](Self::size) or more.
    pub fn write_to(&self, out: &mut [u8]) {
        let mut rest = out;
        for part in self.parts() {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
    }

    /// Whether the first element of `bytes` is this one.
    #[inline]
    pub(super) fn is_start_of(&self, bytes: &[u8]) -> bool {
        // Encoding and length differ mostly, and mostly in the first byte.
        let head = self.head.as_slice();
        bytes.first() == head.first()
            && bytes.strip_prefix(head).is_some_and(|rest| rest.starts_with(self.data))
    }
}

impl<'a> From<Element<'a>> for Encoded<'a> {
    fn from(element: Element<'a>) -> Self {
        match element {
            Element::Int(integer) => Self::int(integer),
            Element::Bytes(text) => Self::of(text),
        }
    }
}

/// A few bytes, kept in place.
#[derive(Clone, Copy, Debug)]
struct Short<const MAX: usize> {
    bytes: [u8; MAX],
    len: u8,
}

impl<const MAX: usize> Short<MAX> {
    fn new() -> Self {
        Self { bytes: [0; MAX], len: 0 }
    }

    /// With `parts` appended, as far as there is room for them.
    fn with(mut self, parts: &[u8]) -> Self {
        let start = usize::from(self.len);
        let room = &mut self.bytes[start..];
        let len = parts.len().min(room.len());
        room[..len].copy_from_slice(&parts[..len]);
        self.len += len as u8;
        self
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

fn string_head(len: usize) -> Short<HEAD_BYTES_MAX> {
    let head = Short::new();
    match len {
        0..64 => head.with(&[0x80 | len as u8]),
        64..4096 => head.with(&[0xe0 | (len >> 8) as u8, len as u8]),
        _ => {
            let len = u32::try_from(len).expect("no element is given 4 GB");
            head.with(&[STRING_32]).with(&len.to_le_bytes())
        }
    }
}

fn integer_head(integer: i64) -> Short<HEAD_BYTES_MAX> {
    let bytes = integer.to_le_bytes();
    let head = Short::new();
    match integer {
        0..128 => head.with(&bytes[..1]),
        -4096..4096 => head.with(&[0xc0 | bytes[1] & 0x1f, bytes[0]]),
        -0x8000..0x8000 => head.with(&[INT_16]).with(&bytes[..2]),
        -0x80_0000..0x80_0000 => head.with(&[INT_24]).with(&bytes[..3]),
        -0x8000_0000..0x8000_0000 => head.with(&[INT_32]).with(&bytes[..4]),
        _ => head.with(&[INT_64]).with(&bytes),
    }
}

fn back_length(encoded: usize) -> Short<BACK_LENGTH_BYTES_MAX> {
    let bytes = back_length_bytes(encoded);
    let mut short = Short { bytes: [0; BACK_LENGTH_BYTES_MAX], len: bytes as u8 };
    let places = short.bytes.iter_mut().take(bytes).enumerate();
    for (at, place) in places {
        let shift = GROUP_BITS * (bytes - 1 - at) as u32;
        let group = (encoded >> shift & GROUP_MASK) as u8;
        *place = if at == 0 { group } else { group | GROUP_FLAG };
    }
    short
}

/// How many bytes the back-length of `encoded` bytes takes.
#[inline]
pub(super) fn back_length_bytes(encoded: usize) -> usize {
    if encoded <= GROUP_MASK {
        return 1;
    }
    let bits = usize::BITS - encoded.leading_zeros();
    bits.div_ceil(GROUP_BITS) as usize
}
