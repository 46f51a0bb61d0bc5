//! Properties of request parsing over whole streams: how they are cut does not matter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use protocol::decode::encode_request;
use protocol::{Limits, Parsed, Parser, ProtocolError, Span, Words};

type Request = Vec<Vec<u8>>;

/// Feeds a stream to a parser in pieces, as a connection does.
#[derive(Default)]
struct Connection {
    parser: Parser,
    buffer: Vec<u8>,
    spans: Vec<Span>,
    requests: Vec<Request>,
    error: Option<ProtocolError>,
}

impl Connection {
    fn receive(&mut self, piece: &[u8], limits: &Limits) {
        self.buffer.extend_from_slice(piece);
        while self.error.is_none() {
            let consumed = match self.parser.parse(&self.buffer, &mut self.spans, limits) {
                Ok(Parsed::Request { consumed }) => {
                    self.requests.push(owned(Words::new(&self.buffer, &self.spans)));
                    consumed
                }
                Ok(Parsed::Inline { consumed }) => {
                    self.requests.push(owned(self.parser.inline_words()));
                    consumed
                }
                Ok(Parsed::Empty { consumed }) => consumed,
                Ok(Parsed::Incomplete { needs }) => {
                    assert!(needs > self.buffer.len(), "more is needed than there is");
                    return;
                }
                Err(error) => return self.error = Some(error),
            };
            assert!(consumed > 0 && consumed <= self.buffer.len());
            self.buffer.drain(..consumed);
        }
    }
}

fn owned(words: Words<'_>) -> Request {
    words.iter().map(<[u8]>::to_vec).collect()
}

/// The requests in `stream` and how it ends, when it comes in pieces of the given lengths.
fn receive(
    stream: &[u8],
    pieces: &[usize],
    limits: &Limits,
) -> (Vec<Request>, Option<ProtocolError>) {
    let mut connection = Connection::default();
    let (mut rest, mut pieces) = (stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let len = pieces.next().map_or(rest.len(), |&len| len.clamp(1, rest.len()));
        let (piece, behind) = rest.split_at(len);
        connection.receive(piece, limits);
        rest = behind;
    }
    (connection.requests, connection.error)
}

fn array_request() -> impl Strategy<Value = (Request, Vec<u8>)> {
    let word = prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 90..1100)];
    prop_oneof![4 => vec(word, 1..6), 1 => vec(vec(any::<u8>(), 0..4), 30..200)].prop_map(|words| {
        let mut bytes = Vec::new();
        encode_request(&words, &mut bytes);
        (words, bytes)
    })
}

fn inline_request() -> impl Strategy<Value = (Request, Vec<u8>)> {
    vec(("[a-z]{1,8}", any::<bool>()), 1..5).prop_map(|words| {
        let line = words
            .iter()
            .map(|(word, quoted)| if *quoted { format!("\"{word} \\x41\"") } else { word.clone() });
        let line = line.collect::<Vec<_>>().join("  ") + "\r\n";
        let meant = words.iter().map(|(word, quoted)| {
            if *quoted { format!("{word} A").into_bytes() } else { word.clone().into_bytes() }
        });
        (meant.collect(), line.into_bytes())
    })
}

/// Pieces of requests, right and wrong, in any order.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"*",
        b"$",
        b"1",
        b"2",
        b"0",
        b"-",
        b"12",
        b"\r\n",
        b"\r",
        b"\n",
        b"*1\r\n",
        b"$1\r\na\r\n",
        b"*2\r\n$3\r\nGET\r\n",
        b"*40\r\n",
        b"$3\r\nabc\r\n",
        b"$10\r\n",
        b"PING",
        b" ",
        b"\"",
        b"'",
        b"\\x41",
        b"\\",
        b"\0",
        b"\xff",
        b"*2147483648\r\n",
        b"$536870913\r\n",
        b"$x\r\n",
        b"\x0b",
    ];
    let valid = vec(Just(&b"$1\r\na\r\n"[..]), 35..45);
    let any_order = vec(select(tokens), 0..60);
    (any_order.clone(), prop_oneof![Just(Vec::new()), valid], any_order)
        .prop_map(|(a, b, c)| [a, b, c].concat().concat())
}

proptest! {
    #[test]
    fn a_stream_of_requests_means_the_same_in_any_pieces(
        requests in vec(prop_oneof![array_request(), inline_request()], 1..8),
        pieces in vec(1_usize..200, 1..20),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let meant: Vec<Request> = requests.into_iter().map(|(words, _)| words).collect();
        prop_assert_eq!(&receive(&stream, &[], &Limits::DEFAULT), &(meant.clone(), None));
        prop_assert_eq!(&receive(&stream, &pieces, &Limits::DEFAULT), &(meant, None));
    }

    #[test]
    fn a_stream_of_anything_means_the_same_in_any_pieces(
        stream in nearly_requests(),
        pieces in vec(1_usize..30, 1..10),
        inline_bytes_max in 16_usize..80,
        before_auth: bool,
    ) {
        let limits = Limits { inline_bytes_max, before_auth, ..Limits::DEFAULT };
        let whole = receive(&stream, &[], &limits);
        prop_assert_eq!(&receive(&stream, &[1], &limits), &whole);
        prop_assert_eq!(&receive(&stream, &pieces, &limits), &whole);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(stream in vec(any::<u8>(), 0..300)) {
        receive(&stream, &[3, 50], &Limits::DEFAULT);
        receive(&[b"*3\r\n", &stream[..]].concat(), &[7], &Limits::BEFORE_AUTH);
    }

    #[test]
    fn no_bytes_make_the_search_for_http_panic(input in vec(any::<u8>(), 0..40)) {
        let answer = protocol::http::looks_like_http(&input);
        prop_assert!(answer.is_some() || b"GHPDO".contains(input.first().unwrap_or(&b'G')));
    }
}

/// Were every piece to have all words read again, this would read five thousand million.
#[test]
fn a_request_of_many_words_is_understood_in_small_pieces() {
    let words = vec![b"x"; 100_000];
    let mut stream = Vec::new();
    encode_request(&words, &mut stream);
    let (mut parser, mut spans) = (Parser::new(), Vec::new());
    for end in (0..stream.len()).step_by(5) {
        let parsed = parser.parse(&stream[..end], &mut spans, &Limits::DEFAULT);
        assert!(matches!(parsed, Ok(Parsed::Incomplete { .. })), "at {end}");
    }
    let parsed = parser.parse(&stream, &mut spans, &Limits::DEFAULT);
    assert_eq!(parsed, Ok(Parsed::Request { consumed: stream.len() }));
    assert!(Words::new(&stream, &spans).iter().eq(words));
}
