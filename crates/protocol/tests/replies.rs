//! What the reply writer writes, the decoder reads, in both dialects.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::decode::{DEPTH_MAX, DecodeError, Value, decode, measure};
use protocol::{Dialect, Output, Reply, SHARE_MIN};

/// The bytes that a client gets.
fn written(dialect: Dialect, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut out = Output::new();
    write(&mut Reply::new(&mut out, dialect));
    out.chunks().collect::<Vec<_>>().concat()
}

fn text(dialect: Dialect, write: impl FnOnce(&mut Reply<'_>)) -> String {
    utf8(&written(dialect, write)).to_owned()
}

fn utf8(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("only strings of bytes are not text here")
}

/// Writes `value` with the call that stands for it.
fn write(reply: &mut Reply<'_>, value: &Value) {
    match value {
        Value::Simple(line) => reply.simple(utf8(line)),
        Value::Error(line) => reply.error(utf8(line)),
        Value::Integer(value) => reply.integer(*value),
        Value::Bulk(bytes) => reply.bulk_shared(&Arc::new(bytes.clone()), 0..bytes.len()),
        Value::Null => reply.null(),
        Value::NullArray => reply.null_array(),
        Value::Boolean(value) => reply.boolean(*value),
        Value::Double(value) => reply.double(*value),
        Value::BigNumber(digits) => reply.big_number(utf8(digits)),
        Value::Verbatim(format, text) => reply.verbatim(utf8(format), text),
        Value::Array(list) => {
            let deferred = reply.deferred_array();
            list.iter().for_each(|value| write(reply, value));
            reply.finish(deferred, list.len());
        }
        Value::Set(list) => {
            reply.set(list.len());
            list.iter().for_each(|value| write(reply, value));
        }
        Value::Push(list) => {
            reply.push(list.len());
            list.iter().for_each(|value| write(reply, value));
        }
        Value::Map(pairs) => {
            let deferred = reply.deferred_map();
            write_pairs(reply, pairs);
            reply.finish(deferred, pairs.len());
        }
        Value::Attributed(pairs, value) => {
            if reply.attribute(pairs.len()) {
                write_pairs(reply, pairs);
            }
            write(reply, value);
        }
    }
}

fn write_pairs(reply: &mut Reply<'_>, pairs: &[(Value, Value)]) {
    for (key, value) in pairs {
        write(reply, key);
        write(reply, value);
    }
}

/// What a RESP2 client sees of `value`.
fn in_resp2(value: &Value) -> Value {
    let list = |list: &[Value]| Value::Array(list.iter().map(in_resp2).collect());
    match value {
        Value::Boolean(value) => Value::Integer(i64::from(*value)),
        Value::BigNumber(text) | Value::Verbatim(_, text) => Value::Bulk(text.clone()),
        Value::Double(value) => {
            let mut text = Vec::new();
            protocol::format_double(*value, &mut text);
            Value::Bulk(text)
        }
        Value::Array(items) | Value::Set(items) | Value::Push(items) => list(items),
        Value::Map(pairs) => {
            Value::Array(pairs.iter().flat_map(|(k, v)| [in_resp2(k), in_resp2(v)]).collect())
        }
        Value::Attributed(_, value) => in_resp2(value),
        other => other.clone(),
    }
}

/// What a RESP3 client sees of `value`: one kind of nothing.
fn in_resp3(value: &Value) -> Value {
    let list = |list: &[Value]| list.iter().map(in_resp3).collect();
    let pairs = |pairs: &[(Value, Value)]| {
        pairs.iter().map(|(key, value)| (in_resp3(key), in_resp3(value))).collect()
    };
    match value {
        Value::NullArray => Value::Null,
        Value::Array(items) => Value::Array(list(items)),
        Value::Set(items) => Value::Set(list(items)),
        Value::Push(items) => Value::Push(list(items)),
        Value::Map(items) => Value::Map(pairs(items)),
        Value::Attributed(items, value) => {
            Value::Attributed(pairs(items), Box::new(in_resp3(value)))
        }
        other => other.clone(),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let line = "[ -~é]{0,20}".prop_map(String::into_bytes);
    let bytes = prop_oneof![
        20 => vec(any::<u8>(), 0..300),
        1 => Just(vec![b'x'; SHARE_MIN + 1]),
    ];
    let leaf = prop_oneof![
        line.clone().prop_map(Value::Simple),
        line.prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        (-200_i64..2000).prop_map(Value::Integer),
        bytes.clone().prop_map(Value::Bulk),
        Just(Value::Null),
        Just(Value::NullArray),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_filter("equal to itself", |x| !x.is_nan()).prop_map(Value::Double),
        "-?[1-9][0-9]{0,40}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
        bytes.prop_map(|text| Value::Verbatim(*b"txt", text)),
    ];
    leaf.prop_recursive(4, 64, 12, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..12);
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Value::Array),
            vec(inner.clone(), 0..12).prop_map(Value::Set),
            vec(inner.clone(), 0..12).prop_map(Value::Push),
            pairs.clone().prop_map(Value::Map),
            (pairs, inner).prop_map(|(pairs, value)| Value::Attributed(pairs, Box::new(value))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in value(), cut: prop::sample::Index) {
        for (dialect, seen) in
            [(Dialect::Resp2, in_resp2(&value)), (Dialect::Resp3, in_resp3(&value))]
        {
            let mut bytes = written(dialect, |reply| write(reply, &value));
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), Ok(None));
            prop_assert_eq!(measure(&bytes[..cut.index(bytes.len())]), Ok(None));
            let len = bytes.len();
            bytes.extend_from_slice(b"+next\r\n");
            prop_assert_eq!(measure(&bytes), Ok(Some(len)));
            prop_assert_eq!(decode(&bytes), Ok(Some((seen, len))));
        }
    }

    #[test]
    fn no_text_breaks_its_line(text in "[a-z\r\n\0\u{0}é ]{0,30}") {
        for dialect in [Dialect::Resp2, Dialect::Resp3] {
            let writers: [fn(&mut Reply<'_>, &str); 2] =
                [|reply, text| reply.error(text), |reply, text| reply.simple(text)];
            for write in writers {
                let line = written(dialect, |reply| write(reply, &text));
                prop_assert_eq!(line.len(), text.len() + 3);
                let inside = &line[..line.len() - 2];
                prop_assert!(!inside.iter().any(|byte| b"\r\n\0".contains(byte)));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(input in vec(any::<u8>(), 0..200)) {
        let measured = measure(&input);
        if let Ok(Some((_, len))) = decode(&input) {
            prop_assert_eq!(measured, Ok(Some(len)));
        }
    }

    #[test]
    fn no_tokens_make_the_decoder_panic(
        tokens in vec(prop::sample::select(TOKENS), 0..40),
    ) {
        let input = tokens.concat();
        if let Ok(Some((_, len))) = decode(&input) {
            prop_assert_eq!(measure(&input), Ok(Some(len)));
        }
    }
}

const TOKENS: &[&[u8]] = &[
    b"*1\r\n",
    b"*4294967295\r\n",
    b"%1\r\n",
    b"|1\r\n",
    b"~2\r\n",
    b">1\r\n",
    b":1\r\n",
    b"$1\r\na\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"=5\r\ntxt:a\r\n",
    b"=1\r\na\r\n",
    b"!1\r\nE\r\n",
    b"(12\r\n",
    b"$",
    b"5",
    b"\r\n",
    b"\r",
    b"+a",
    b"$4294967296\r\n",
    b"*0\r\n",
];

#[test]
fn each_call_is_written_as_its_dialect_has_it() {
    type Write = fn(&mut Reply<'_>);
    let cases: &[(Write, &str, &str)] = &[
        (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
        (|r| r.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
        (|r| r.integer(-1), ":-1\r\n", ":-1\r\n"),
        (|r| r.integer(100), ":100\r\n", ":100\r\n"),
        (|r| r.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
        (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
        (|r| r.bulk_i64(-42), "$3\r\n-42\r\n", "$3\r\n-42\r\n"),
        (|r| r.bulk_display(format_args!("{}-{}", 12, 0)), "$4\r\n12-0\r\n", "$4\r\n12-0\r\n"),
        (|r| r.null(), "$-1\r\n", "_\r\n"),
        (|r| r.nulls(2), "$-1\r\n$-1\r\n", "_\r\n_\r\n"),
        (|r| r.null_array(), "*-1\r\n", "_\r\n"),
        (|r| r.array(12), "*12\r\n", "*12\r\n"),
        (|r| r.map(6), "*12\r\n", "%6\r\n"),
        (|r| r.set(123), "*123\r\n", "~123\r\n"),
        (|r| r.push(3), "*3\r\n", ">3\r\n"),
        (|r| assert_eq!(r.attribute(1), r.dialect() == Dialect::Resp3), "", "|1\r\n"),
        (|r| r.double(0.1), "$3\r\n0.1\r\n", ",0.1\r\n"),
        (|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
        (|r| r.boolean(true), ":1\r\n", "#t\r\n"),
        (|r| r.boolean(false), ":0\r\n", "#f\r\n"),
        (|r| r.big_number("123"), "$3\r\n123\r\n", "(123\r\n"),
        (|r| r.verbatim("txt", b"abc"), "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n"),
    ];
    for (write, resp2, resp3) in cases {
        assert_eq!(text(Dialect::Resp2, write), *resp2);
        assert_eq!(text(Dialect::Resp3, write), *resp3);
    }
}

#[test]
fn a_deferred_length_moves_what_follows_it() {
    let value = Arc::new(vec![b'x'; SHARE_MIN + 1]);
    let bytes = written(Dialect::Resp3, |reply| {
        reply.array(1);
        let outer = reply.deferred_array();
        for _ in 0..1000 {
            let inner = reply.deferred_set();
            reply.bulk_shared(&value, 0..value.len());
            reply.finish(inner, 1);
        }
        reply.finish(outer, 1000);
    });
    let inner = Value::Set(vec![Value::Bulk(value.to_vec())]);
    let expected = Value::Array(vec![Value::Array(vec![inner; 1000])]);
    assert!(decode(&bytes) == Ok(Some((expected, bytes.len()))));
}

#[test]
fn an_unfinished_list_can_be_rolled_back_to_an_error() {
    let mut out = Output::new();
    let mut reply = Reply::new(&mut out, Dialect::Resp2);
    reply.ok();
    let mark = reply.output().mark();
    let _deferred = reply.deferred_array();
    reply.integer(1);
    reply.output().rollback(mark);
    reply.error("ERR no");
    assert_eq!(out.chunks().collect::<Vec<_>>(), [b"+OK\r\n-ERR no\r\n"]);
}

#[test]
fn what_no_server_sends_is_refused() {
    let cases: &[(&[u8], DecodeError)] = &[
        (b"?", DecodeError::UnknownMarker(b'?')),
        (b":x\r\n", DecodeError::InvalidNumber),
        (b"$-2\r\n", DecodeError::InvalidNumber),
        (b"*-2\r\n", DecodeError::InvalidNumber),
        (b"$?\r\n", DecodeError::InvalidNumber),
        (b"$4294967296\r\n", DecodeError::InvalidNumber),
        (b"#x\r\n", DecodeError::InvalidNumber),
        (b"(1a\r\n", DecodeError::InvalidNumber),
        (b"+a\rb", DecodeError::InvalidCrlf),
        (b"$1\r\nabc", DecodeError::InvalidCrlf),
        (b"=3\r\ntxt\r\n", DecodeError::InvalidVerbatim),
    ];
    for (input, error) in cases {
        assert_eq!(decode(input), Err(*error), "{input:?}");
        assert_eq!(measure(input), Err(*error), "{input:?}");
    }
    assert_eq!(decode(&[b'+'; 2 * 1024 * 1024]), Err(DecodeError::LineTooLong));
}

#[test]
fn strings_of_every_length_are_what_they_are() {
    let text: Vec<u8> = (0..200).collect();
    for len in 0..text.len() {
        let expected = [format!("${len}\r\n").as_bytes(), &text[..len], b"\r\n"].concat();
        let twice = written(Dialect::Resp2, |reply| {
            reply.bulk(&text[..len]);
            reply.bulk(&text[..len]);
        });
        assert_eq!(twice, expected.repeat(2), "{len}");
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    assert!(matches!(decode(&nested(DEPTH_MAX)), Ok(Some(_))));
    assert_eq!(decode(&nested(DEPTH_MAX + 1)), Err(DecodeError::TooDeep));
    let attributes = b"|0\r\n".repeat(1_000_000);
    assert_eq!(decode(&attributes), Err(DecodeError::TooDeep));
}
