//! Libraries of functions: their sources, one behind the other.
//!
//! # Layout
//!
//! ```text
//! payload:  libraries, in any order
//! library:  245 | source as a string
//! ```
//!
//! What its functions are, the source says. Redis had another form (246) before it published
//! libraries with 7.0; no server that is still there reads it.

use std::borrow::Cow;
use std::iter::FusedIterator;

use crate::Limits;
use crate::error::RdbError;
use crate::primitives::{Reader, put_string};

/// The type of a library.
const LIBRARY: u8 = 245;

/// The type of a library in its first form.
const LIBRARY_PRE_GA: u8 = 246;

/// The version in which dumps of libraries are written: the first that has them, so that every
/// server that knows libraries reads it.
pub const LIBRARIES_VERSION: u16 = 10;

/// The sources of the libraries in a payload. It ends with the first that is broken.
pub struct Libraries<'a> {
    reader: Reader<'a>,
}

impl<'a> Libraries<'a> {
    /// The libraries of a dump that is opened.
    #[must_use]
    pub fn new(payload: &'a [u8], limits: &Limits) -> Self {
        Self { reader: Reader::new(payload, limits) }
    }

    fn read(&mut self, kind: u8) -> Result<Cow<'a, [u8]>, RdbError> {
        match kind {
            LIBRARY => self.reader.string(),
            LIBRARY_PRE_GA => Err(RdbError::Unsupported),
            _ => Err(RdbError::UnknownType),
        }
    }
}

impl<'a> Iterator for Libraries<'a> {
    type Item = Result<Cow<'a, [u8]>, RdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        let [kind] = self.reader.array().ok()?;
        let read = self.read(kind);
        if read.is_err() {
            self.reader = Reader::new(&[], &Limits::default());
        }
        Some(read)
    }
}

impl FusedIterator for Libraries<'_> {}

/// Appends a library.
pub fn encode_library(source: &[u8], compress: bool, out: &mut Vec<u8>) {
    out.push(LIBRARY);
    put_string(source, compress, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dump::open;

    const SOURCE: &str = "#!lua name=a\nredis.register_function('one', function() return 1 end)";

    /// A dump of [`SOURCE`] by Redis 7.0, 8.0 and Valkey 9.1: all but the footer is the same.
    const FOOTERS: [&[u8]; 3] = [
        b"\n\x00_2\x16\x9b\x17\xf1\xb5\x0f",
        b"\x0c\x00\x94D\"[\xed\xdb+F",
        b"P\x00\x90\x18\xdf\n\x89\xa3\xd2\xfb",
    ];

    fn read(payload: &[u8]) -> Vec<Result<String, RdbError>> {
        let text = |source: Cow<'_, [u8]>| String::from_utf8_lossy(&source).into_owned();
        Libraries::new(payload, &Limits::default()).map(|read| read.map(text)).collect()
    }

    #[test]
    fn libraries_of_real_servers_are_read_and_written_alike() {
        let mut written = Vec::new();
        encode_library(SOURCE.as_bytes(), true, &mut written);
        for footer in FOOTERS {
            let dump = [&b"\xf5@D"[..], SOURCE.as_bytes(), footer].concat();
            let payload = open(&dump).unwrap().payload;
            assert_eq!(read(payload), [Ok(SOURCE.to_owned())]);
            assert_eq!(written, payload);
        }
    }

    #[test]
    fn long_sources_are_compressed() {
        let source = SOURCE.repeat(100);
        let mut out = Vec::new();
        encode_library(source.as_bytes(), true, &mut out);
        assert!(out.len() < source.len() / 10);
        assert_eq!(read(&out), [Ok(source)]);
    }

    #[test]
    fn what_follows_something_broken_is_not_read() {
        let cases: [(&[u8], RdbError); 5] = [
            (b"\xf5", RdbError::Truncated),
            (b"\xf5\x03ab", RdbError::Truncated),
            (b"\xf5\x81\xff\xff\xff\xff\xff\xff\xff\xff", RdbError::Length),
            (b"\xf6\x01a\xf5\x01b", RdbError::Unsupported),
            (b"\x00\xf5\x01b", RdbError::UnknownType),
        ];
        for (payload, error) in cases {
            assert_eq!(read(payload), [Err(error)], "{payload:?}");
        }
        assert_eq!(read(b"\xf5\x01a\x00\xf5\x01b"), [Ok("a".into()), Err(RdbError::UnknownType)]);
        assert_eq!(read(b""), []);
    }

    proptest! {
        #[test]
        fn any_payload_is_read_to_an_end(mut payload in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(read(&payload).len() <= payload.len());
            payload.insert(0, LIBRARY);
            let broken = read(&payload).iter().filter(|read| read.is_err()).count();
            prop_assert!(broken <= 1);
        }
    }
}
