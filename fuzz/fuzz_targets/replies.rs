//! Any bytes decode to a reply or to an error; what decodes, once written, decodes to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::decode::{Value, decode, measure};
use protocol::{Dialect, Output, Reply};

fuzz_target!(|data: &[u8]| {
    let measured = measure(data);
    let Ok(Some((value, len))) = decode(data) else { return };
    assert_eq!(measured, Ok(Some(len)));

    let mut out = Output::new();
    write(&mut Reply::new(&mut out, Dialect::Resp3), &value);
    let bytes = out.chunks().collect::<Vec<_>>().concat();
    assert_eq!(bytes.len(), out.len());
    let (again, len) = decode(&bytes).expect("a reply").expect("all of it");
    assert_eq!(len, bytes.len());

    // Written once, a value is in its plainest form: a second time changes no byte.
    let mut out = Output::new();
    write(&mut Reply::new(&mut out, Dialect::Resp3), &again);
    assert_eq!(out.chunks().collect::<Vec<_>>().concat(), bytes);
});

fn write(reply: &mut Reply<'_>, value: &Value) {
    match value {
        Value::Simple(line) => reply.simple(&String::from_utf8_lossy(line)),
        Value::Error(line) => reply.error(String::from_utf8_lossy(line)),
        Value::Integer(value) => reply.integer(*value),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::Null => reply.null(),
        Value::NullArray => reply.null_array(),
        Value::Boolean(value) => reply.boolean(*value),
        Value::Double(value) => reply.double(*value),
        Value::BigNumber(digits) => reply.big_number(&String::from_utf8_lossy(digits)),
        Value::Verbatim(_, text) => reply.verbatim("txt", text),
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
