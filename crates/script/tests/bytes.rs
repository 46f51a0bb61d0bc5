//! The libraries against bytes that are known: needs no reference server.

mod common;

use common::{error_of, eval};

/// The reply of a script that returns a text, as hexadecimal digits.
fn hex(expression: &str) -> String {
    let shown = eval(&format!(
        "return (({expression}):gsub('.', function(c) return string.format('%02x', c:byte()) end))"
    ));
    shown.split_once(' ').map(|(_, text)| text.to_owned()).unwrap_or(shown)
}

fn text(expression: &str) -> String {
    let shown = eval(&format!("return {expression}"));
    shown.split_once(' ').map(|(_, text)| text.to_owned()).unwrap_or(shown)
}

#[test]
fn json_is_written() {
    assert_eq!(text("cjson.encode({1, 'a/b', {x = cjson.null}})"), r#"[1,"a\/b",{"x":null}]"#);
    assert_eq!(text("cjson.encode({})"), "{}");
    assert_eq!(text("cjson.encode({[3] = 1})"), "[null,null,1]");
    assert_eq!(text("cjson.encode({0.1, 1e15, 1/3, 1e14})"), "[0.1,1e+15,0.33333333333333,1e+14]");
    assert_eq!(
        text(r"cjson.encode('\0\127\200')").as_bytes(),
        "\"\\u0000\\u007f\u{FFFD}\"".as_bytes()
    );
    assert_eq!(
        error_of("return cjson.encode({[100] = 1})"),
        "user_script:1: Cannot serialise table: excessively sparse array"
    );
    assert_eq!(
        error_of("local t = {} t[1] = t return cjson.encode(t)"),
        "user_script:1: Cannot serialise, excessive nesting (1001)"
    );
}

#[test]
fn json_is_read() {
    assert_eq!(text(r#"cjson.decode('{"a":[1,"\\u20ac"]}').a[2]"#), "\u{20ac}");
    assert_eq!(text("tostring(cjson.decode('[null]')[1] == cjson.null)"), "true");
    let wrong = [
        ("", "Expected value but found T_END at character 1"),
        ("[1,]", "Expected value but found T_ARR_END at character 4"),
        ("{a:1}", "Expected object key string but found invalid token at character 2"),
        ("[1 2]", "Expected comma or array end but found T_NUMBER at character 4"),
        ("1 1", "Expected the end but found T_NUMBER at character 3"),
        ("\"a", "Expected value but found unexpected end of string at character 3"),
    ];
    for (json, expected) in wrong {
        let error = error_of(&format!("return cjson.decode({json:?})"));
        assert_eq!(error, format!("user_script:1: {expected}"), "{json}");
    }
}

#[test]
fn message_pack_is_written_and_read() {
    assert_eq!(hex("cmsgpack.pack(1, -1, 200, 65536, -129)"), "01ffccc8ce00010000d1ff7f");
    assert_eq!(hex("cmsgpack.pack(0.5, 0.1)"), "ca3f000000cb3fb999999999999a");
    assert_eq!(hex("cmsgpack.pack({1, 2}, {a = true}, {}, 'x')"), "92010281a161c390a178");
    assert_eq!(text("table.concat({cmsgpack.unpack(cmsgpack.pack(1, 'b', 2.5))}, ' ')"), "1 b 2.5");
    assert_eq!(text("table.concat({cmsgpack.unpack_limit('\\1\\2\\3', 2)}, ' ')"), "2 1 2");
    assert_eq!(text("table.concat({cmsgpack.unpack_one('\\1\\2\\3', 2)}, ' ')"), "-1 3");
    assert_eq!(error_of("cmsgpack.unpack('\\204')"), "user_script:1: Missing bytes in input.");
    assert_eq!(error_of("cmsgpack.unpack('\\193')"), "user_script:1: Bad data format in input.");
}

#[test]
fn structures_are_written_and_read() {
    assert_eq!(hex("struct.pack('>Ihb', 1, -2, 3)"), "00000001fffe03");
    assert_eq!(hex("struct.pack('<!4bi', 1, 2)"), "0100000002000000");
    assert_eq!(hex("struct.pack('>i3sc2', -2, 'a', 'bcd')"), "fffffe61006263");
    assert_eq!(text("table.concat({struct.unpack('>hs', '\\255\\254ab\\0')}, ' ')"), "-2 ab 6");
    assert_eq!(eval("return struct.size('!4bi')"), ":8");
    assert_eq!(
        error_of("struct.pack('i33', 1)"),
        "user_script:1: integral size 33 is larger than limit of 32"
    );
    assert_eq!(
        error_of("struct.unpack('i', 'abc')"),
        "user_script:1: bad argument #2 to 'unpack' (data string too short)"
    );
}

#[test]
fn bits_are_those_of_32_bit_integers() {
    assert_eq!(
        eval("return {bit.tobit(2^32 - 1), bit.bnot(0), bit.lshift(1, 31)}"),
        "*3 :-1 :-1 :-2147483648"
    );
    assert_eq!(
        eval("return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10)}"),
        "*3 :8 :14 :6"
    );
    assert_eq!(
        eval("return {bit.rshift(-1, 28), bit.arshift(-16, 2), bit.bswap(1)}"),
        "*3 :15 :-4 :16777216"
    );
    assert_eq!(text("bit.tohex(0xbeef, -6) .. bit.tohex(0xbeef, 2)"), "00BEEFef");
}
