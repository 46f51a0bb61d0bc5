//! Rules read and described, and compared with requests.

use std::collections::BTreeSet;

use command::Words;
use proptest::prelude::*;
use protocol::Span;

use super::*;
use crate::execute::called;
use crate::server::{CommandTable, command_table};

fn table() -> &'static CommandTable {
    static TABLE: std::sync::OnceLock<CommandTable> = std::sync::OnceLock::new();
    TABLE.get_or_init(command_table)
}

fn beginning() -> Beginning<'static> {
    Beginning { names: Names(table()), all_channels: false }
}

fn rules(text: &str) -> Result<Rules, String> {
    let mut rules = Rules::new(beginning());
    let words = text.split(' ').map(str::as_bytes);
    rules.apply_all(words, beginning()).map_err(|error| error.to_string())?;
    Ok(rules)
}

fn user(text: &str) -> User {
    User::new(b"ann", rules(text).unwrap())
}

fn described(text: &str) -> String {
    String::from_utf8(rules(text).unwrap().describe()).unwrap()
}

/// A request in one text, and where its words lie.
fn spans(text: &str) -> Vec<Span> {
    let mut start = 0;
    let span = |word: &str| {
        let span = Span { start, end: start + word.len() as u32 };
        start = span.end + 1;
        span
    };
    text.split(' ').map(span).collect()
}

fn check_in(user: &User, db: u16, request: &str) -> Result<(), Denial> {
    let spans = spans(request);
    let words = Words::new(request.as_bytes(), &spans);
    let entry = table().find(words.get(0).unwrap()).unwrap();
    let asked = Asked::of(entry, called(entry.command, words));
    user.check(&Attempt { asked, words, db, databases: 16 })
}

fn check(user: &User, request: &str) -> Result<(), (Reason, usize)> {
    check_in(user, 0, request).map_err(|denial| (denial.reason, denial.place))
}

#[test]
fn rules_of_commands_are_kept_in_order_without_what_they_replace() {
    let cases = [
        ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
        ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
        ("+@string -@all", "-@all"),
        ("+@HASH +@hash +@HaSh", "-@all +@hash"),
        ("+HGET +hget +hGeT", "-@all +hget"),
        ("+hget -hset +hset -hget", "-@all +hset -hget"),
        ("+client|list +config|get +config +acl|list -acl", "-@all +client|list +config -acl"),
        ("+select|0 +SELECT|0 +debug|segfault +debug", "-@all +select|0 +debug"),
        ("-@dangerous", "-@all -@dangerous"),
        ("+config +config|get -config|set +config", "-@all +config"),
        ("allcommands -get nocommands +get", "-@all +get"),
    ];
    for (text, expected) in cases {
        let commands = rules(text).unwrap().root().describe_commands();
        assert_eq!(String::from_utf8(commands).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_user_is_described_in_a_fixed_order() {
    let cases = [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        ("%R~a %W~a ~b %rw~c", "off sanitize-payload ~a ~b ~c resetchannels -@all"),
        (
            "+get %W~c &x resetkeys %R~b db=3,1,3",
            "off sanitize-payload %R~b resetchannels &x db=1,3 -@all +get",
        ),
        ("allchannels resetdbs", "off sanitize-payload &* resetdbs -@all"),
        ("db=1 alldbs skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        (
            "(~a +get) ( ~b  +set )",
            "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) \
          (~b resetchannels -@all +set)",
        ),
        ("(~a) clearselectors", "off sanitize-payload resetchannels -@all"),
        ("on >x ~* (~a) reset", "off sanitize-payload resetchannels -@all"),
    ];
    for (text, expected) in cases {
        assert_eq!(described(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_rule_is_refused_with_its_reason() {
    let modifier = |word: &str, error: &str| {
        (word.to_owned(), format!("Error in ACL SETUSER modifier '{word}': {error}"))
    };
    let unknown = "Unknown command or category name in ACL";
    let range = "The provided database ID is out of range";
    for (word, expected) in [
        modifier("%", "Syntax error"),
        modifier("%~x", "Syntax error"),
        modifier("%RR~x", "Syntax error"),
        modifier("%X~x", "Syntax error"),
        modifier("foo", "Syntax error"),
        modifier("+", unknown),
        modifier("+nothing", unknown),
        modifier("+@nothing", unknown),
        modifier("+config|nothing", unknown),
        modifier("+get|a|b", unknown),
        modifier("-get|a", unknown),
        modifier("+get|", "Syntax error"),
        modifier("+get|a\nb", "Syntax error"),
        modifier("~a\tb", "Syntax error"),
        modifier("&a\0", "Syntax error"),
        modifier("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        modifier("db=", "Syntax error"),
        modifier("db=1,", "Syntax error"),
        modifier("db=x", "Syntax error"),
        modifier("db=-1", range),
        modifier("db=99999999999999999999", range),
        modifier("(+nothing)", unknown),
        modifier("(on)", "Syntax error"),
    ] {
        assert_eq!(rules(&word).unwrap_err(), expected);
    }
    let open = "Unmatched parenthesis in acl selector starting at '(~a'.";
    assert_eq!(rules("on (~a +get").unwrap_err(), open);
    assert!(rules("~* ~a").unwrap_err().contains("Try 'resetkeys'"));
    assert!(rules("&* &a").unwrap_err().contains("Try 'resetchannels'"));
    assert!(rules("<a").unwrap_err().contains("does not exist"));
    assert!(rules("#a").unwrap_err().contains("64 characters"));
}

#[test]
fn passwords_let_in_who_knows_one_while_the_user_is_on() {
    let known = rules("on >one >two >one <two").unwrap();
    assert_eq!(known.passwords().len(), 1);
    assert!(
        known.is_right(Digest::of(b"one"))
            && !known.is_right(Digest::of(b"two"))
            && !known.is_right(Digest::of(b""))
    );
    assert!(!rules("off >one").unwrap().is_right(Digest::of(b"one")));
    assert!(rules("on >one nopass").unwrap().is_right(Digest::of(b"any")));
    assert!(!rules("on nopass >one").unwrap().is_right(Digest::of(b"any")));
    assert!(!rules("on nopass resetpass").unwrap().is_right(Digest::of(b"any")));
}

#[test]
fn commands_subcommands_and_first_arguments_are_told_apart() {
    let denied = Err((Reason::Command, 0));
    let ann = user("allkeys +@string -incr +config|get +select|1 +client -client|kill");
    for request in ["get a", "GETDEL a", "config get x", "select 1", "client list"] {
        assert_eq!(check(&ann, request), Ok(()), "{request}");
    }
    for request in ["incr a", "hget a b", "config set a b", "select 2", "client kill x", "ping"] {
        assert_eq!(check(&ann, request), denied, "{request}");
    }
    let nobody = user("");
    for request in ["auth x", "hello", "quit", "reset"] {
        assert_eq!(check(&nobody, request), Ok(()), "everybody may {request}");
    }
}

#[test]
fn keys_are_compared_with_patterns_by_what_is_done_to_them() {
    let ann = user("+@all %R~r* %W~w* ~b* resetchannels");
    for request in [
        "get r1",
        "exists w1",
        "copy r1 w1",
        "mget r1 r2 b",
        "getset b x",
        "set w1 x",
        "zunionstore w 2 r1 r2",
        "sort r1 store w1",
        "xread streams r1 r2 0 0",
    ] {
        assert_eq!(check(&ann, request), Ok(()), "{request}");
    }
    for (request, place) in [
        ("get w1", 1),
        ("get x", 1),
        ("set r1 x", 1),
        ("set w1 x get", 1),
        ("mget r1 x", 2),
        ("exists x", 1),
        ("zunionstore w 2 r1 x", 4),
        ("sort r1 store r2", 3),
        ("xread streams r1 x 0 0", 3),
        ("georadius b1 1 1 1 m store w1 storedist r1", 9),
    ] {
        let wanted = Err((Reason::Key, place));
        assert_eq!(check(&ann, request), wanted, "{request}");
    }
}

#[test]
fn one_selector_must_allow_a_request_by_itself() {
    let ann = user("+get ~a (+set ~b) (%R~c %W~d +copy)");
    assert_eq!(check(&ann, "get a"), Ok(()));
    assert_eq!(check(&ann, "set b 1"), Ok(()));
    assert_eq!(check(&ann, "copy c d"), Ok(()));
    // Of several refusals the one that got farthest is told.
    assert_eq!(check(&ann, "set a 1"), Err((Reason::Key, 1)));
    assert_eq!(check(&ann, "get b"), Err((Reason::Key, 1)));
    assert_eq!(check(&ann, "copy c c"), Err((Reason::Key, 2)));
    assert_eq!(check(&ann, "del a"), Err((Reason::Command, 0)));
}

#[test]
fn databases_are_those_of_the_session_and_those_that_are_named() {
    let ann = user("+@all ~* db=1,2");
    let denied = |place| Err(Denial { reason: Reason::Database, place });
    for (db, request) in
        [(1, "get a"), (0, "select 2"), (1, "copy a b db 2"), (0, "swapdb 1 2"), (0, "ping")]
    {
        assert_eq!(check_in(&ann, db, request), Ok(()), "{request}");
    }
    for (db, request, place) in [
        (0, "get a", 0),
        (1, "select 0", 1),
        (1, "move a 3", 2),
        (0, "move a 1", 0),
        (1, "copy a b db 2 db 0", 6),
        (0, "swapdb 1 0", 2),
        (1, "flushall", 0),
        (0, "dbsize", 0),
    ] {
        assert_eq!(check_in(&ann, db, request), denied(place), "{request}");
    }
    let every = (0..16).map(|db: u16| db.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(check(&user(&format!("+@all ~* db={every}")), "flushall"), Ok(()));
    assert_eq!(check(&ann, "select 99"), Ok(()), "there is no such database to be kept from");
}

#[test]
fn a_channel_is_named_literally_or_by_the_very_pattern() {
    let rules = rules("&news.* (&chat)").unwrap();
    for channel in [
        ChannelName::Literal(b"news.it"),
        ChannelName::Literal(b"chat"),
        ChannelName::Pattern(b"news.*"),
        ChannelName::Pattern(b"chat"),
    ] {
        assert!(rules.may_use_channel(channel), "{channel:?}");
    }
    for channel in [
        ChannelName::Literal(b"news"),
        ChannelName::Pattern(b"news.it*"),
        ChannelName::Pattern(b"news.it"),
        ChannelName::Pattern(b"*"),
    ] {
        assert!(!rules.may_use_channel(channel), "{channel:?}");
    }
    assert!(user("&*").rules.may_use_channel(ChannelName::Pattern(b"*")));
}

#[test]
fn all_keys_of_a_prefix_may_be_read_if_a_pattern_covers_them() {
    let reads = |text: &str, prefix: &str| rules(text).unwrap().may_read_all(prefix.as_bytes());
    assert!(reads("~*", "") && reads("%R~*", "") && reads("~a:*", "a:b") && reads("~a:*", "a:"));
    assert!(!reads("~a:*", "a") && !reads("%W~*", "a") && !reads("~a:?*", "a:b"));
    assert!(!reads("~a", "a") && !reads("", ""));
}

#[test]
fn patterns_of_sort_name_keys_that_may_be_any() {
    let option = |rules: &str, request: &str| {
        let spans = spans(request);
        let words = Words::new(request.as_bytes(), &spans);
        let entry = table().find(b"sort").unwrap();
        let asked = Asked::of(entry, entry.command);
        user(rules).check_patterns(&Attempt { asked, words, db: 0, databases: 16 })
    };
    let some = "+@all %R~a* %W~*";
    assert_eq!(option(some, "sort a by w_*"), Err("BY"));
    assert_eq!(option(some, "sort a limit 0 1 get x*"), Err("GET"));
    assert_eq!(option(some, "sort a by nosort get #"), Err("GET"), "as in Redis");
    assert_eq!(option(some, "sort a by nosort store by limit 0 1 desc"), Ok(()));
    assert_eq!(option(some, "sort a limit x 1 by w_*"), Ok(()), "SORT refuses that itself");
    assert_eq!(option("+@all %R~*", "sort a by w_* get x*"), Ok(()));
    assert_eq!(option("+@all ~* ", "sort a by w_* get x*"), Ok(()));
}

#[test]
fn who_may_do_everything_is_not_asked() {
    for text in ["+@all ~*", "+get ~a (allkeys +@all)", "+@all -get +get ~*"] {
        assert!(user(text).is_free_on_keys(), "{text}");
    }
    for text in ["+@all %RW~*", "+@all -get ~*", "+@all ~* db=0", "~* (+@all)"] {
        assert!(!user(text).is_free_on_keys(), "{text}");
    }
}

#[test]
fn a_changed_user_is_seen_by_who_holds_the_old_one() {
    let acl = Acl::new(beginning(), b"");
    let set = |words: &str| acl.set(b"ann", words.split(' ').map(str::as_bytes), beginning());
    assert!(set("on nopass").unwrap().is_none(), "it is new");
    let old = acl.find(b"ann").unwrap();
    assert!(set("+nothing").is_err());
    assert!(!old.is_superseded(), "nothing has changed");
    let changed = set("+get").unwrap().unwrap();
    assert!(Arc::ptr_eq(&changed.old, &old) && old.is_superseded());
    let default = acl.default_user();
    assert_eq!(acl.remove([b"ann".as_slice(), b"default", b"ben"].into_iter()).len(), 1);
    assert!(acl.find(b"ann").is_none() && !default.is_superseded());
    acl.set_default_password(b"secret");
    assert!(default.is_superseded() && !acl.default_user().is_open());
    assert!(acl.authenticate(b"default", b"secret").is_some());
    assert!(acl.authenticate(b"default", b"guess").is_none());
    let changed = acl.replace(Users::new(), beginning(), b"other");
    assert_eq!(changed.len(), 1);
    assert!(acl.authenticate(b"default", b"other").is_some(), "it is there, with a password");
}

/// Words of rules that are all rules by themselves.
fn word() -> impl Strategy<Value = String> {
    let pattern = "[ab:*?]{0,4}";
    let categories = prop::sample::select(vec!["all", "read", "hash", "dangerous", "fast"]);
    let names =
        prop::sample::select(vec!["get", "set", "config", "config|get", "select", "copy", "debug"]);
    let first = prop::sample::select(vec!["select|0", "select|1", "get|a", "debug|segfault"]);
    let plain = prop::sample::select(vec![
        "on",
        "off",
        "nopass",
        "resetpass",
        "allkeys",
        "resetkeys",
        "allchannels",
        "resetchannels",
        "alldbs",
        "resetdbs",
        "clearselectors",
        "reset",
        ">secret",
    ]);
    let sign = prop::sample::select(vec!["+", "-"]);
    let rights = prop::sample::select(vec!["~", "%R~", "%W~", "%RW~"]);
    prop_oneof![
        plain.prop_map(str::to_owned),
        (rights, pattern).prop_map(|(rights, pattern)| format!("{rights}{pattern}")),
        pattern.prop_map(|pattern| format!("&{pattern}")),
        (sign.clone(), categories).prop_map(|(sign, name)| format!("{sign}@{name}")),
        (sign, names).prop_map(|(sign, name)| format!("{sign}{name}")),
        first.prop_map(|name| format!("+{name}")),
        prop::collection::vec(0..20_u16, 1..4).prop_map(|dbs| {
            let dbs: Vec<String> = dbs.iter().map(u16::to_string).collect();
            format!("db={}", dbs.join(","))
        }),
    ]
}

fn words() -> impl Strategy<Value = Vec<String>> {
    let selector = prop::collection::vec(word(), 0..4);
    let selector = selector.prop_map(|words| format!("({})", words.join(" ")));
    prop::collection::vec(prop_oneof![4 => word(), 1 => selector], 0..12)
}

/// Those of the words that are rules where they stand.
fn obeyed(words: &[String]) -> Rules {
    let mut rules = Rules::new(beginning());
    for word in words {
        // A pattern behind all of them is refused, and changes nothing.
        let _ = rules.apply(word.as_bytes(), beginning());
    }
    rules
}

/// The keys whose shards a request enters.
fn keys_entered_for(request: &str) -> Vec<Vec<u8>> {
    let spans = spans(request);
    let words = Words::new(request.as_bytes(), &spans);
    let entry = table().find(words.get(0).unwrap()).unwrap();
    let positions = called(entry.command, words).key_positions(words).unwrap_or_default();
    positions.iter().filter_map(|&at| words.get(at)).map(<[u8]>::to_vec).collect()
}

/// Of every row there is, whatever its words: what it is entered for and may touch is what its user
/// is asked about. That no function reaches for more is shown where the rows are.
#[test]
fn users_are_asked_about_all_keys_that_a_request_is_entered_for() {
    const WORDS: [&str; 10] = ["1", "2", "3", "k1", "k2", "k3", "k4", "0", "*", "-1"];
    let mut chance = 7_u64;
    let mut below = |end: usize| {
        chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (chance >> 33) as usize % end
    };
    let mut with_keys = 0;
    for entry in table().iter() {
        for (_, command) in entry.numbered() {
            let is_token = |word: &&str| word.chars().all(|one| one.is_ascii_uppercase());
            let spaced = command.syntax.replace(['[', ']', '(', ')', '|'], " ");
            let tokens: Vec<&str> = spaced.split_whitespace().filter(is_token).collect();
            for _ in 0..300 {
                let mut request = vec![entry.command.name];
                if !std::ptr::eq(entry.command, command) {
                    request.push(command.name);
                }
                for _ in 0..below(9) {
                    let is_token = !tokens.is_empty() && below(4) == 0;
                    let from = if is_token { &tokens[..] } else { &WORDS[..] };
                    request.push(from[below(from.len())]);
                }
                let request = request.join(" ");
                let spans = spans(&request);
                let words = Words::new(request.as_bytes(), &spans);
                let Ok(entered) = command.key_positions(words) else { continue };
                let asked = rights::keys_of(command, words);
                let asked: BTreeSet<usize> = asked.iter().map(|&(place, _)| place).collect();
                with_keys += usize::from(!entered.is_empty());
                assert_eq!(entered.into_iter().collect::<BTreeSet<_>>(), asked, "{request}");
            }
        }
    }
    assert!(with_keys > 10_000, "{with_keys}");
}

const REQUESTS: [&str; 14] = [
    "get a",
    "set ab 1",
    "set b 1 get",
    "copy a: b:",
    "copy a b db 3",
    "mget a b ab",
    "hget a b",
    "config get x",
    "config set x y",
    "select 1",
    "debug object a",
    "flushall",
    "zunionstore a 2 b ab",
    "ping",
];

proptest! {
    #[test]
    fn a_description_is_read_back_as_the_same_user(words in words()) {
        let rules = obeyed(&words);
        let text = rules.describe();
        let mut again = Rules::new(beginning());
        let parts = text.split(|&byte| byte == b' ');
        prop_assert_eq!(again.apply_all(parts, beginning()), Ok(()));
        prop_assert_eq!(again.describe(), text);
        let (one, other) = (User::new(b"x", rules), User::new(b"x", again));
        for request in REQUESTS {
            prop_assert_eq!(check(&one, request), check(&other, request), "{}", request);
        }
        for name in [&b"a"[..], b"ab", b"*"] {
            for channel in [ChannelName::Literal(name), ChannelName::Pattern(name)] {
                let may = |user: &User| user.rules.may_use_channel(channel);
                prop_assert_eq!(may(&one), may(&other));
            }
        }
    }

    /// Whatever the shards are entered for lies within the patterns.
    #[test]
    fn a_request_that_passes_touches_no_key_outside_the_patterns(
        words in words(),
    ) {
        let words = [vec!["+@all".to_owned()], words].concat();
        let user = User::new(b"x", obeyed(&words));
        for request in REQUESTS.into_iter().filter(|request| check(&user, request).is_ok()) {
            let keys = keys_entered_for(request);
            let any = KeyRights::default();
            let within = |one: &Selector| keys.iter().all(|key| one.may_touch(key, any));
            prop_assert!(user.rules.selectors().any(within), "{}", request);
        }
    }

    #[test]
    fn no_words_are_too_strange_to_be_refused(
        words in prop::collection::vec(any::<Vec<u8>>(), 0..8),
    ) {
        let mut rules = Rules::new(beginning());
        if rules.apply_all(words.iter().map(Vec::as_slice), beginning()).is_ok() {
            let text = rules.describe();
            let mut again = Rules::new(beginning());
            let parts = text.split(|&byte| byte == b' ');
            prop_assert_eq!(again.apply_all(parts, beginning()), Ok(()));
            prop_assert_eq!(again.describe(), text);
        }
    }
}
