//! Requests, encoded once and changed in place.

use std::ops::Range;

use crate::keys::Keys;

/// The word part that is replaced by a number; as long as the number.
const PLACEHOLDER: &[u8] = b"__rand_int__";

/// The word part that is replaced by the payload.
const PAYLOAD: &[u8] = b"__data__";

/// Largest buffer that one thread prepares, in bytes.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// One encoded request and the places where numbers go.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// Encodes a command given as words. `__data__` becomes `payload` at once;
    /// `__rand_int__` becomes a number whenever the request is sent.
    pub(crate) fn of_words<W: AsRef<[u8]>>(words: &[W], payload: &[u8]) -> Self {
        let words: Vec<Vec<u8>> =
            words.iter().map(|word| replace(word.as_ref(), PAYLOAD, payload)).collect();
        Self::of_bytes(encode(&words))
    }

    /// Takes bytes as they are, for inline commands.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let places = memchr::memmem::find_iter(&bytes, PLACEHOLDER).collect();
        Self { bytes, places }
    }

    /// Whether the request has a place for a number.
    pub(crate) fn has_places(&self) -> bool {
        !self.places.is_empty()
    }
}

/// A pipeline of the same request, over and over.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    places: Vec<usize>,
    request_bytes: usize,
    request_places: usize,
}

impl Batch {
    /// `depth` copies of a request, or `None` if they are larger than a gigabyte.
    pub(crate) fn new(template: &Template, depth: usize) -> Option<Self> {
        let request_bytes = template.bytes.len();
        request_bytes.checked_mul(depth).filter(|&size| size <= BATCH_BYTES_MAX)?;
        let starts = (0..depth).map(|at| at * request_bytes);
        Some(Self {
            bytes: template.bytes.repeat(depth),
            places: starts.flat_map(|s| template.places.iter().map(move |p| s + p)).collect(),
            request_bytes,
            request_places: template.places.len(),
        })
    }

    /// The bytes of the first `count` requests with fresh numbers.
    pub(crate) fn refresh(&mut self, count: usize, keys: &mut Keys) -> &[u8] {
        for &place in &self.places[..count * self.request_places] {
            let digits = &mut self.bytes[place..place + PLACEHOLDER.len()];
            write_digits(digits, keys.next());
        }
        &self.bytes[..count * self.request_bytes]
    }

    /// The bytes of the first `count` requests as they are.
    pub(crate) fn as_is(&self, count: usize) -> &[u8] {
        &self.bytes[..count * self.request_bytes]
    }
}

/// A command as an array of bulk strings.
pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// `text` with every `what` replaced.
fn replace(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest: Range<usize> = 0..text.len();
    for at in memchr::memmem::find_iter(text, what) {
        replaced.extend_from_slice(&text[rest.start..at]);
        replaced.extend_from_slice(with);
        rest.start = at + what.len();
    }
    replaced.extend_from_slice(&text[rest]);
    replaced
}

/// Writes the last digits of `number`, with leading zeros.
fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyChoice;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let words: [&[u8]; 2] = [b"GET", b"a\r\nb"];
        assert_eq!(encode(&words), b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn the_payload_takes_the_place_of_each_of_its_marks() {
        let template = Template::of_words(&["SET", "k", "<__data____data__>"], b"xyz");
        assert_eq!(template.bytes, encode(&["SET", "k", "<xyzxyz>"]));
        assert!(!template.has_places());
    }

    #[test]
    fn every_place_gets_a_number_of_its_own() {
        let template = Template::of_words(&["MGET", "k:__rand_int__", "__rand_int__"], b"");
        let mut batch = Batch::new(&template, 2).unwrap();
        let mut keys = KeyChoice::Sequential { count: 1000 }.keys(1, 0, 1);
        let bytes = batch.refresh(2, &mut keys).to_vec();
        let first = encode(&["MGET", "k:000000000000", "000000000001"]);
        let second = encode(&["MGET", "k:000000000002", "000000000003"]);
        assert_eq!(bytes, [first, second].concat());
    }

    #[test]
    fn a_shorter_batch_leaves_later_requests_alone() {
        let template = Template::of_words(&["GET", "__rand_int__"], b"");
        let mut batch = Batch::new(&template, 3).unwrap();
        let mut keys = KeyChoice::Sequential { count: 1000 }.keys(1, 0, 1);
        assert_eq!(batch.refresh(1, &mut keys), encode(&["GET", "000000000000"]));
        assert_eq!(keys.next(), 1);
    }

    #[test]
    fn a_batch_has_a_largest_size() {
        let template = Template::of_words(&["SET", "k", "__data__"], &[b'x'; 1 << 20]);
        assert!(Batch::new(&template, 1000).is_some());
        assert!(Batch::new(&template, 1100).is_none());
    }

    #[test]
    fn digits_keep_their_width() {
        let mut digits = [0; 12];
        for (number, text) in
            [(0, "000000000000"), (42, "000000000042"), (u64::MAX, "073709551615")]
        {
            write_digits(&mut digits, number);
            assert_eq!(digits, text.as_bytes());
        }
    }
}
