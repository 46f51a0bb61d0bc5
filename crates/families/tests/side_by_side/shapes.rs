//! What is sent: shapes of commands, in which names in braces stand for random words.
//!
//! Few keys and few members, so that commands meet: types collide, sets have members in common,
//! small collections become large and, where they do, small again.

use testkit::random::Random;

/// Who knows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Since {
    /// Every reference server.
    Always,
    /// Redis from 8 on.
    Redis8,
}

use Since::{Always, Redis8};

/// A shape, and who knows it.
pub(crate) type Shape = (Since, &'static str);

/// Writes a value of each type, so that every command meets each.
pub(crate) const ANY: &[Shape] = &[
    (Always, "DEL {key}"),
    (Always, "DEL {key} {key}"),
    (Always, "SET {key} {element}"),
    (Always, "RPUSH {key} {element} {element} {element}"),
    (Always, "SADD {key} {element} {element} {element}"),
    (Always, "HSET {key} {element} {element} {element} {element}"),
    (Always, "ZADD {key} {score} {element} {score} {element}"),
    (Always, "XADD {key} 5-* {element} {element}"),
    (Always, "GEOADD {key} {lon} {lat} {element}"),
    (Always, "PFADD {key} {element}"),
];

pub(crate) const HASH: &[Shape] = &[
    (Always, "HSET {key} {element} {element}"),
    (Always, "HSET {key} {element} {int}"),
    (Always, "HSET {key} {element} {element} {element} {int} {element} {long}"),
    (Always, "HMSET {key} {element} {float}"),
    (Always, "HSETNX {key} {element} {element}"),
    (Always, "HGET {key} {element}"),
    (Always, "HMGET {key} {element} {element} {element}"),
    (Always, "HEXISTS {key} {element}"),
    (Always, "HSTRLEN {key} {element}"),
    (Always, "HLEN {key}"),
    (Always, "HDEL {key} {element}"),
    (Always, "HDEL {key} {element} {element} {element}"),
    (Always, "HGETALL {key}"),
    (Always, "HKEYS {key}"),
    (Always, "HVALS {key}"),
    (Always, "HINCRBY {key} {element} {int}"),
    (Always, "HINCRBYFLOAT {key} {element} {float}"),
    (Always, "HRANDFIELD {key}"),
    (Always, "HRANDFIELD {key} {count}"),
    (Always, "HRANDFIELD {key} {count} WITHVALUES"),
    (Always, "HSCAN {key} 0"),
    (Always, "HSCAN {key} 0 MATCH {pattern} COUNT 3"),
    (Redis8, "HSCAN {key} 0 NOVALUES"),
    (Redis8, "HGETDEL {key} FIELDS 1 {element}"),
    (Redis8, "HGETDEL {key} FIELDS 2 {element} {element}"),
    (Redis8, "HGETEX {key} {deadline} FIELDS 1 {element}"),
    (Redis8, "HGETEX {key} PERSIST FIELDS 2 {element} {element}"),
    (Redis8, "HGETEX {key} FIELDS 2 {element} {element}"),
    (Redis8, "HSETEX {key} {deadline} FIELDS 1 {element} {element}"),
    (Redis8, "HSETEX {key} FNX {deadline} FIELDS 2 {element} {element} {element} {int}"),
    (Redis8, "HSETEX {key} FXX KEEPTTL FIELDS 1 {element} {element}"),
    (Redis8, "HEXPIRE {key} {ttl} FIELDS 1 {element}"),
    (Redis8, "HEXPIRE {key} {ttl} {when} FIELDS 2 {element} {element}"),
    (Redis8, "HPEXPIRE {key} {pttl} {when} FIELDS 1 {element}"),
    (Redis8, "HEXPIREAT {key} {at} FIELDS 1 {element}"),
    (Redis8, "HPEXPIREAT {key} {pat} {when} FIELDS 2 {element} {element}"),
    (Redis8, "HPERSIST {key} FIELDS 2 {element} {element}"),
    (Redis8, "HTTL {key} FIELDS 3 {element} {element} {element}"),
    (Redis8, "HPTTL {key} FIELDS 1 {element}"),
    (Redis8, "HEXPIRETIME {key} FIELDS 1 {element}"),
    (Redis8, "HPEXPIRETIME {key} FIELDS 2 {element} {element}"),
];

pub(crate) const SET: &[Shape] = &[
    (Always, "SADD {key} {int}"),
    (Always, "SADD {key} {int} {int} {int}"),
    (Always, "SADD {key} {element}"),
    (Always, "SADD {key} {element} {element} {long}"),
    (Always, "SREM {key} {element}"),
    (Always, "SREM {key} {element} {int} {int}"),
    (Always, "SMOVE {key} {key} {element}"),
    (Always, "SMOVE {key} {key} {int}"),
    (Always, "SCARD {key}"),
    (Always, "SISMEMBER {key} {element}"),
    (Always, "SMISMEMBER {key} {element} {int} {element}"),
    (Always, "SMEMBERS {key}"),
    (Always, "SSCAN {key} 0"),
    (Always, "SSCAN {key} 0 MATCH {pattern} COUNT 2"),
    (Always, "SINTER {key} {key}"),
    (Always, "SINTER {key} {key} {key}"),
    (Always, "SUNION {key} {key} {key}"),
    (Always, "SDIFF {key} {key}"),
    (Always, "SDIFF {key} {key} {key}"),
    (Always, "SINTERSTORE {key} {key} {key}"),
    (Always, "SUNIONSTORE {key} {key} {key}"),
    (Always, "SDIFFSTORE {key} {key} {key} {key}"),
    (Always, "SINTERCARD 2 {key} {key}"),
    (Always, "SINTERCARD 3 {key} {key} {key} LIMIT {count}"),
    (Always, "SPOP {key}"),
    (Always, "SPOP {key} {count}"),
    (Always, "SRANDMEMBER {key}"),
    (Always, "SRANDMEMBER {key} {count}"),
];

pub(crate) const SORTED_SET: &[Shape] = &[
    (Always, "ZADD {key} {score} {element}"),
    (Always, "ZADD {key} {score} {element} {score} {element} {score} {long}"),
    (Always, "ZADD {key} {zadd} {score} {element}"),
    (Always, "ZADD {key} {zadd} {zadd} {score} {element} {score} {element}"),
    (Always, "ZADD {key} {zadd} INCR {score} {element}"),
    (Always, "ZINCRBY {key} {score} {element}"),
    (Always, "ZREM {key} {element} {element}"),
    (Always, "ZCARD {key}"),
    (Always, "ZSCORE {key} {element}"),
    (Always, "ZMSCORE {key} {element} {element}"),
    (Always, "ZRANK {key} {element}"),
    (Always, "ZREVRANK {key} {element}"),
    (Redis8, "ZRANK {key} {element} WITHSCORE"),
    (Redis8, "ZREVRANK {key} {element} WITHSCORE"),
    (Always, "ZCOUNT {key} {bound} {bound}"),
    (Always, "ZRANGE {key} {index} {index}"),
    (Always, "ZRANGE {key} {index} {index} REV WITHSCORES"),
    (Always, "ZRANGE {key} {bound} {bound} BYSCORE LIMIT {skip} {index} WITHSCORES"),
    (Always, "ZRANGE {key} {bound} {bound} BYSCORE REV"),
    (Always, "ZREVRANGE {key} {index} {index} WITHSCORES"),
    (Always, "ZRANGEBYSCORE {key} {bound} {bound} WITHSCORES LIMIT {skip} {index}"),
    (Always, "ZREVRANGEBYSCORE {key} {bound} {bound}"),
    (Always, "ZRANGESTORE {key} {key} {index} {index}"),
    (Always, "ZRANGESTORE {key} {key} {bound} {bound} BYSCORE LIMIT {skip} {index}"),
    (Always, "ZREMRANGEBYRANK {key} {index} {index}"),
    (Always, "ZREMRANGEBYSCORE {key} {bound} {bound}"),
    (Always, "ZPOPMIN {key}"),
    (Always, "ZPOPMAX {key} {count}"),
    (Always, "ZMPOP 2 {key} {key} MIN COUNT {count}"),
    (Always, "ZMPOP 1 {key} MAX"),
    (Always, "ZRANDMEMBER {key}"),
    (Always, "ZRANDMEMBER {key} {count}"),
    (Always, "ZRANDMEMBER {key} {count} WITHSCORES"),
    (Always, "ZSCAN {key} 0 COUNT 2"),
    (Always, "ZSCAN {key} 0 MATCH {pattern}"),
    (Always, "ZUNION 2 {key} {key} WITHSCORES"),
    (Always, "ZUNION 3 {key} {key} {key} WEIGHTS 2 -1 0.5 WITHSCORES"),
    (Always, "ZINTER 2 {key} {key} AGGREGATE {aggregate} WITHSCORES"),
    (Always, "ZDIFF 2 {key} {key} WITHSCORES"),
    (Always, "ZDIFF 3 {key} {key} {key}"),
    (Always, "ZUNIONSTORE {key} 2 {key} {key} WEIGHTS {score} {score}"),
    (Always, "ZUNIONSTORE {key} 2 {key} {key} AGGREGATE {aggregate}"),
    (Always, "ZINTERSTORE {key} 2 {key} {key} WEIGHTS 1 {score} AGGREGATE {aggregate}"),
    (Always, "ZDIFFSTORE {key} 2 {key} {key}"),
    (Always, "ZINTERCARD 2 {key} {key} LIMIT {count}"),
];

/// Orders by name mean something only where all scores are the same.
pub(crate) const LEX: &[Shape] = &[
    (Always, "ZADD {key} 0 {element}"),
    (Always, "ZADD {key} 0 {element} 0 {element} 0 {long}"),
    (Always, "ZREM {key} {element}"),
    (Always, "DEL {key}"),
    (Always, "SADD {key} {element}"),
    (Always, "ZLEXCOUNT {key} {lex} {lex}"),
    (Always, "ZRANGE {key} {lex} {lex} BYLEX"),
    (Always, "ZRANGE {key} {lex} {lex} BYLEX REV LIMIT {skip} {index}"),
    (Always, "ZRANGEBYLEX {key} {lex} {lex}"),
    (Always, "ZREVRANGEBYLEX {key} {lex} {lex} LIMIT {skip} {index}"),
    (Always, "ZRANGESTORE {key} {key} {lex} {lex} BYLEX REV"),
    (Always, "ZREMRANGEBYLEX {key} {lex} {lex}"),
];

pub(crate) const GEO: &[Shape] = &[
    (Always, "GEOADD {key} {lon} {lat} {element}"),
    (Always, "GEOADD {key} {lon} {lat} {element} {lon} {lat} {element}"),
    (Always, "GEOADD {key} {geoadd} {lon} {lat} {element}"),
    (Always, "GEOADD {key} {geoadd} CH {lon} {lat} {element} {lon} {lat} {long}"),
    (Always, "GEODIST {key} {element} {element}"),
    (Always, "GEODIST {key} {element} {element} {unit}"),
    (Always, "GEOHASH {key} {element} {element}"),
    (Always, "GEOPOS {key} {element} {element}"),
    (Always, "GEOSEARCH {key} FROMLONLAT {lon} {lat} BYRADIUS {distance} {unit}"),
    (Always, "GEOSEARCH {key} FROMLONLAT {lon} {lat} BYRADIUS {distance} km ASC WITHDIST"),
    (Always, "GEOSEARCH {key} FROMMEMBER {element} BYRADIUS {distance} mi DESC WITHHASH"),
    (Always, "GEOSEARCH {key} FROMMEMBER {element} BYBOX {distance} {distance} km ASC WITHCOORD"),
    (Always, "GEOSEARCH {key} FROMLONLAT {lon} {lat} BYBOX {distance} {distance} km COUNT 2"),
    (Always, "GEOSEARCHSTORE {key} {key} FROMLONLAT {lon} {lat} BYRADIUS {distance} km"),
    (
        Always,
        "GEOSEARCHSTORE {key} {key} FROMMEMBER {element} BYBOX {distance} {distance} km STOREDIST",
    ),
    (Always, "ZREM {key} {element}"),
    (Always, "ZRANGE {key} 0 -1 WITHSCORES"),
];

pub(crate) const KEYS: &[Shape] = &[
    (Always, "COPY {key} {key}"),
    (Always, "COPY {key} {key} REPLACE"),
    (Always, "RENAME {key} {key}"),
    (Always, "RENAMENX {key} {key}"),
    (Always, "UNLINK {key}"),
    (Always, "EXISTS {key} {key}"),
    (Always, "TOUCH {key} {key}"),
    (Always, "TYPE {key}"),
    (Always, "OBJECT ENCODING {key}"),
    (Always, "OBJECT REFCOUNT {key}"),
    (Always, "DBSIZE"),
    (Always, "RANDOMKEY"),
    (Always, "KEYS {pattern}"),
    (Always, "KEYS *"),
    (Always, "SCAN 0 COUNT 1000"),
    (Always, "SCAN 0 COUNT 1000 TYPE {type} MATCH {pattern}"),
    (Always, "EXPIRE {key} {ttl}"),
    (Always, "EXPIRE {key} {ttl} {when}"),
    (Always, "PEXPIRE {key} {pttl} {when}"),
    (Always, "EXPIREAT {key} {at} {when}"),
    (Always, "PEXPIREAT {key} {pat}"),
    (Always, "PEXPIREAT {key} {pat} {when} {when}"),
    (Always, "TTL {key}"),
    (Always, "PTTL {key}"),
    (Always, "EXPIRETIME {key}"),
    (Always, "PEXPIRETIME {key}"),
    (Always, "PERSIST {key}"),
];

/// What changes how values lie: SORT makes a small sorted set a large one on a reference server,
/// and a dump says how a value is to lie.
pub(crate) const SORT: &[Shape] = &[
    (Redis8, "TRANSFER {key} {key}"),
    (Always, "SORT {key}"),
    (Always, "SORT {key} DESC"),
    (Always, "SORT {key} ALPHA LIMIT {skip} {index}"),
    (Always, "SORT {key} ALPHA DESC LIMIT {skip} {index} GET # GET k{pattern}"),
    (Always, "SORT {key} BY nosort GET # GET k*->{element}"),
    (Always, "SORT {key} BY k* ALPHA GET #"),
    (Always, "SORT {key} BY k*->{element}"),
    (Always, "SORT {key} ALPHA STORE {key}"),
    (Always, "SORT {key} ALPHA LIMIT {skip} {index} STORE {key}"),
    (Always, "SORT_RO {key} ALPHA"),
];

pub(crate) const STRING: &[Shape] = &[
    (Always, "SET {key} {element}"),
    (Always, "SET {key} {int} KEEPTTL"),
    (Always, "SET {key} {element} XX GET"),
    (Always, "SET {key} {float} {deadline}"),
    (Always, "GET {key}"),
    (Always, "GETDEL {key}"),
    // Redis complains about the number only where there is a key.
    (Always, "GETEX {key} EX 900000"),
    (Always, "GETSET {key} {element}"),
    (Always, "SETNX {key} {element}"),
    (Always, "APPEND {key} {element}"),
    (Always, "STRLEN {key}"),
    (Always, "INCRBY {key} {int}"),
    (Always, "DECR {key}"),
    (Always, "INCRBYFLOAT {key} {float}"),
    (Always, "SETRANGE {key} {offset} {element}"),
    (Always, "GETRANGE {key} {index} {index}"),
    (Always, "MSET {key} {element} {key} {int}"),
    (Always, "MSETNX {key} {element} {key} {int}"),
    (Always, "MGET {key} {key} {key}"),
    (Always, "LCS {key} {key}"),
    (Always, "LCS {key} {key} IDX MINMATCHLEN 1 WITHMATCHLEN"),
    (Always, "SETBIT {key} {offset} {bit}"),
    (Always, "GETBIT {key} {offset}"),
    (Always, "BITCOUNT {key}"),
    (Always, "BITCOUNT {key} {index} {index} BIT"),
    (Always, "BITPOS {key} {bit}"),
    (Always, "BITPOS {key} {bit} {index}"),
    (Always, "BITPOS {key} {bit} {index} {index} BIT"),
    (Always, "BITOP {op} {key} {key} {key}"),
    (Always, "BITOP NOT {key} {key}"),
    (Always, "BITFIELD {key} SET {field} {offset} {int} GET {field} #{offset}"),
    (Always, "BITFIELD {key} OVERFLOW {overflow} INCRBY {field} {offset} {int}"),
    (Always, "BITFIELD_RO {key} GET {field} {offset} GET {field} {offset}"),
];

const NAMES: &[&str] = &["ka", "kb", "kc", "k1", "k2", "kabc"];
const ELEMENTS: &[&str] =
    &["a", "b", "c", "abc", "1", "2", "17", "-3", "300", "70000", "5000000000", "d", "", "e f"];
const INTS: &[&str] =
    &["0", "1", "2", "3", "5", "-1", "12", "40", "250", "-129", "33000", "-70000", "3000000000"];
const FLOATS: &[&str] = &["0.5", "-1.25", "3", "1e3", "0.1", "-0.1", "x", "1e400", "nan"];
const SCORES: &[&str] =
    &["0", "1", "2", "3", "-1", "1.5", "-2.25", "0.1", "inf", "-inf", "1e10", "3e-5", "x", "nan"];
const BOUNDS: &[&str] =
    &["0", "1", "(1", "2", "(2.5", "-1", "inf", "-inf", "+inf", "(0", "1e10", "x"];
const LEXES: &[&str] = &["-", "+", "[a", "(a", "[b", "(c", "[1", "(abc", "[", "(", "x", "[zz"];
const INDEXES: &[&str] = &["0", "1", "2", "3", "-1", "-2", "-3", "5", "20", "-100", "x"];
const COUNTS: &[&str] = &["0", "1", "2", "3", "5", "50", "-1", "-4", "-30", "x"];
const OFFSETS: &[&str] = &["0", "1", "3", "7", "8", "30", "100", "-1"];
const PATTERNS: &[&str] = &["*", "a*", "?", "*b*", "[a-c]", "k?", "[^a]*", "1*"];
const LONGITUDES: &[&str] = &["200", "-180", "180", "0", "x"];
const LATITUDES: &[&str] = &["86", "-85.05112878", "85.05112878", "0", "90"];
const DISTANCES: &[&str] = &["0", "1", "100", "500", "2000", "9000", "30000", "-1", "x"];

/// Stands for a word or two of a shape. `now_ms` is what the clocks show, about.
pub(crate) fn fill(part: &str, random: &mut Random, now_ms: u64) -> Vec<String> {
    let (Some(start), Some(end)) = (part.find('{'), part.find('}')) else {
        return vec![part.to_owned()];
    };
    let (before, name, after) = (&part[..start], &part[start + 1..end], &part[end + 1..]);
    let words = words_for(name, random, now_ms);
    words.into_iter().map(|word| format!("{before}{word}{after}")).collect()
}

fn words_for(name: &str, random: &mut Random, now_ms: u64) -> Vec<String> {
    let several: &[&str] = match name {
        "key" => NAMES,
        "element" => ELEMENTS,
        "int" => INTS,
        "float" => FLOATS,
        "score" => SCORES,
        "bound" => BOUNDS,
        "lex" => LEXES,
        "index" => INDEXES,
        "skip" => &["0", "1", "2", "5", "x"],
        "count" => COUNTS,
        "offset" => OFFSETS,
        "bit" => &["0", "1", "1", "2"],
        "pattern" => PATTERNS,
        "distance" => DISTANCES,
        // Not GT and LT: the clocks differ by what the requests take on their way.
        "when" => &["NX", "XX", "ZZ"],
        "zadd" => &["NX", "XX", "GT", "LT", "CH"],
        "geoadd" => &["NX", "XX", "CH"],
        "aggregate" => &["SUM", "MIN", "MAX", "AVG"],
        "unit" => &["m", "km", "ft", "mi", "parsec"],
        "type" => &["string", "list", "set", "zset", "hash", "stream"],
        "op" => &["AND", "OR", "XOR"],
        "overflow" => &["WRAP", "SAT", "FAIL"],
        "field" => &["u1", "u7", "i8", "u16", "i32", "u63", "i64", "u64"],
        "long" => &["a-text-that-is-too-long-for-a-small-one"],
        "lon" => return vec![place(random, LONGITUDES, 1_799_000)],
        "lat" => return vec![place(random, LATITUDES, 850_000)],
        "deadline" => return deadline(random, now_ms),
        _ => return vec![moment(name, random, now_ms)],
    };
    vec![random.pick(several).to_owned()]
}

/// A coordinate, nearly never that of another place: in what order places of the same distance
/// are told, nobody says.
fn place(random: &mut Random, odd: &[&str], most: u64) -> String {
    if random.once_in(20) {
        return random.pick(odd).to_owned();
    }
    let ten_thousandths = random.below(2 * most) as i64 - most as i64;
    format!("{}", ten_thousandths as f64 / 1e4)
}

fn deadline(random: &mut Random, now_ms: u64) -> Vec<String> {
    let (option, kind) =
        random.pick(&[("EX", "ttl"), ("PX", "pttl"), ("EXAT", "at"), ("PXAT", "pat")]);
    vec![option.to_owned(), moment(kind, random, now_ms)]
}

/// Deadlines lie [`STEP_SECONDS`] apart and beyond the end of every test, or have passed.
fn moment(kind: &str, random: &mut Random, now_ms: u64) -> String {
    if random.once_in(15) {
        return random.pick(&["0", "-1", "-100", "x", "99999999999999999999"]).to_owned();
    }
    let seconds = STEP_SECONDS * (1 + random.below(9));
    let now = now_ms / 1000;
    match kind {
        "ttl" => seconds.to_string(),
        "pttl" => (seconds * 1000).to_string(),
        "at" => (now + seconds).to_string(),
        "pat" => ((now + seconds) * 1000).to_string(),
        other => panic!("nothing is known to stand for {other}"),
    }
}

/// How far apart deadlines are, so that those of two clocks can be told to be the same.
pub(crate) const STEP_SECONDS: u64 = 100_000;
