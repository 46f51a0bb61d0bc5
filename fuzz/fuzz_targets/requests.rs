//! A stream of any bytes means the same requests however it is cut into pieces.
//!
//! The first byte chooses the limits, the second the length of the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{Limits, Parsed, Parser, ProtocolError, Words};

type Requests = Vec<Vec<Vec<u8>>>;

fuzz_target!(|data: &[u8]| {
    let [choice, step, stream @ ..] = data else { return };
    let limits = Limits {
        before_auth: choice & 1 == 1,
        inline_bytes_max: if choice & 2 == 2 { 32 } else { Limits::DEFAULT.inline_bytes_max },
        ..Limits::DEFAULT
    };
    let whole = receive(stream, stream.len().max(1), &limits);
    assert_eq!(receive(stream, usize::from(*step).max(1), &limits), whole);
    let _ = protocol::http::looks_like_http(stream);
});

/// The requests in `stream` when it comes in pieces of `step` bytes, and how it ends.
fn receive(stream: &[u8], step: usize, limits: &Limits) -> (Requests, Option<ProtocolError>) {
    let (mut parser, mut spans, mut requests) = (Parser::new(), Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    while end < stream.len() {
        end = stream.len().min(end + step);
        loop {
            let input = &stream[start..end];
            let (words, consumed) = match parser.parse(input, &mut spans, limits) {
                Ok(Parsed::Request { consumed }) => (Some(Words::new(input, &spans)), consumed),
                Ok(Parsed::Inline { consumed }) => (Some(parser.inline_words()), consumed),
                Ok(Parsed::Empty { consumed }) => (None, consumed),
                Ok(Parsed::Incomplete { needs }) => {
                    assert!(needs > input.len());
                    break;
                }
                Err(error) => return (requests, Some(error)),
            };
            assert!(consumed > 0 && consumed <= input.len());
            start += consumed;
            requests.extend(words.map(|words| words.iter().map(<[u8]>::to_vec).collect()));
        }
    }
    (requests, None)
}
