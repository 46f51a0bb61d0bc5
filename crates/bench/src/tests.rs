//! The tests that `-t` knows: the names, titles and commands of redis-benchmark,
//! as far as every server has the command.

use crate::wire::Template;

/// One test.
#[derive(Debug)]
pub(crate) struct Test {
    /// The title in the report.
    pub(crate) title: &'static str,
    /// The names that select it.
    names: &'static [&'static str],
    /// The command; `__data__` and `__rand_int__` are replaced.
    words: &'static [&'static str],
    /// Words that follow, repeated.
    repeated: (usize, &'static [&'static str]),
}

impl Test {
    const fn new(
        title: &'static str,
        names: &'static [&'static str],
        words: &'static [&'static str],
    ) -> Self {
        Self { title, names, words, repeated: (0, &[]) }
    }

    /// Whether a name, in any case, selects the test.
    fn answers_to(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The request. Without random keys `ZADD` writes the score 0.
    pub(crate) fn template(&self, payload: &[u8], random: bool) -> Template {
        if self.title == "PING_INLINE" {
            return Template::of_bytes(b"PING\r\n".to_vec());
        }
        let (times, words) = self.repeated;
        let tail = words.iter().cycle().take(times * words.len());
        let mut words: Vec<&str> = self.words.iter().chain(tail).copied().collect();
        if self.title == "ZADD" && !random {
            words[2] = "0";
        }
        Template::of_words(&words, payload)
    }
}

/// The tests in the order in which they run.
pub(crate) const TESTS: &[Test] = &[
    Test::new("PING_INLINE", &["ping_inline", "ping"], &["PING"]),
    Test::new("PING_MBULK", &["ping_mbulk", "ping"], &["PING"]),
    Test::new("SET", &["set"], &["SET", "key:__rand_int__", "__data__"]),
    Test::new("GET", &["get"], &["GET", "key:__rand_int__"]),
    Test::new("INCR", &["incr"], &["INCR", "counter:__rand_int__"]),
    Test::new("LPUSH", &["lpush"], &["LPUSH", "mylist", "__data__"]),
    Test::new("RPUSH", &["rpush"], &["RPUSH", "mylist", "__data__"]),
    Test::new("LPOP", &["lpop"], &["LPOP", "mylist"]),
    Test::new("RPOP", &["rpop"], &["RPOP", "mylist"]),
    Test::new("SADD", &["sadd"], &["SADD", "myset", "element:__rand_int__"]),
    Test::new("HSET", &["hset"], &["HSET", "myhash", "element:__rand_int__", "__data__"]),
    Test::new("SPOP", &["spop"], &["SPOP", "myset"]),
    Test::new("ZADD", &["zadd"], &["ZADD", "myzset", "__rand_int__", "element:__rand_int__"]),
    Test::new("ZPOPMIN", &["zpopmin"], &["ZPOPMIN", "myzset"]),
    Test::new(
        "LPUSH (needed to benchmark LRANGE)",
        &["lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"],
        &["LPUSH", "mylist", "__data__"],
    ),
    Test::new(
        "LRANGE_100 (first 100 elements)",
        &["lrange", "lrange_100"],
        &["LRANGE", "mylist", "0", "99"],
    ),
    Test::new(
        "LRANGE_300 (first 300 elements)",
        &["lrange", "lrange_300"],
        &["LRANGE", "mylist", "0", "299"],
    ),
    Test::new(
        "LRANGE_500 (first 500 elements)",
        &["lrange", "lrange_500"],
        &["LRANGE", "mylist", "0", "499"],
    ),
    Test::new(
        "LRANGE_600 (first 600 elements)",
        &["lrange", "lrange_600"],
        &["LRANGE", "mylist", "0", "599"],
    ),
    Test {
        repeated: (10, &["key:__rand_int__", "__data__"]),
        ..Test::new("MSET (10 keys)", &["mset"], &["MSET"])
    },
    Test {
        repeated: (10, &["key:__rand_int__"]),
        ..Test::new("MGET (10 keys)", &["mget"], &["MGET"])
    },
    Test::new("XADD", &["xadd"], &["XADD", "mystream", "*", "myfield", "__data__"]),
];

/// The tests that a comma separated list names, in the table's order; all of
/// them without a list. A name that no test answers to is an error.
pub(crate) fn select(list: Option<&str>) -> Result<Vec<&'static Test>, String> {
    let Some(list) = list else { return Ok(TESTS.iter().collect()) };
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    for name in &names {
        if !TESTS.iter().any(|test| test.answers_to(name)) {
            return Err(format!("unknown test '{name}'; there are: {}", known_names()));
        }
    }
    let wanted = |test: &&Test| names.iter().any(|name| test.answers_to(name));
    Ok(TESTS.iter().filter(wanted).collect())
}

/// Every name that selects a test, once.
fn known_names() -> String {
    let mut known: Vec<&str> = Vec::new();
    for name in TESTS.iter().flat_map(|test| test.names) {
        if !known.contains(name) {
            known.push(name);
        }
    }
    known.join(", ")
}

#[cfg(test)]
mod table {
    use super::*;

    fn titles(list: &str) -> Vec<&'static str> {
        select(Some(list)).unwrap().iter().map(|test| test.title).collect()
    }

    #[test]
    fn titles_are_unique() {
        for (at, test) in TESTS.iter().enumerate() {
            assert!(TESTS[..at].iter().all(|other| other.title != test.title), "{}", test.title);
        }
    }

    #[test]
    fn a_name_may_select_several_tests_in_the_table_s_order() {
        assert_eq!(titles("GET,set"), ["SET", "GET"]);
        assert_eq!(titles("ping"), ["PING_INLINE", "PING_MBULK"]);
        let lrange = ["LPUSH (needed to benchmark LRANGE)", "LRANGE_300 (first 300 elements)"];
        assert_eq!(titles("lrange_300"), lrange);
        assert_eq!(select(None).unwrap().len(), TESTS.len());
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        let error = select(Some("get,nosuch")).unwrap_err();
        assert!(error.contains("'nosuch'") && error.contains("lrange_100"), "{error}");
    }
}
