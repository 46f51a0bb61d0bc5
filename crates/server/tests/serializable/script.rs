//! The script that does the acts it is told, and the function that does the same.
//!
//! The server remembers of each script whether it keeps to its keys, and enters only their shards
//! if it does; one that has strayed once is not trusted again. So each client has a script of its
//! own, which keeps to its keys at first, strays at last, and is then replaced by a new one.

use crate::act::Act;

/// ARGV: how often it turns round between two acts, and the acts, each with the number of its words
/// before it.
const BODY: &str = "
    local replies, at = {}, 2
    while at <= #ARGV do
        local last = at + ARGV[at]
        replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, last))
        at = last + 1
        for _ = 1, ARGV[1] do end
    end
    return replies";

/// So many turns take a script from its worker.
const TURNS: &str = "100000";

/// One of the scripts of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) client: usize,
    pub(crate) number: u64,
}

impl Version {
    /// The script's source.
    fn source(self) -> String {
        format!("{BODY} -- {}, {}", self.client, self.number)
    }

    /// The library with the function, which takes the place of the client's last one.
    pub(crate) fn library(self) -> Vec<String> {
        let Self { client, number } = self;
        let source = format!(
            "#!lua name=library{client}\n-- {number}
            local function run(KEYS, ARGV) {BODY} end
            redis.register_function('run{client}', run)
            redis.register_function{{function_name = 'read{client}', callback = run, flags = {{'no-writes'}}}}"
        );
        ["FUNCTION", "LOAD", "REPLACE", &source].map(str::to_owned).into()
    }

    /// EVAL or EVAL_RO of acts, with these keys.
    pub(crate) fn eval(self, command: &str, call: &Call<'_>) -> Vec<String> {
        call.words(command, self.source())
    }

    /// FCALL of acts, with these keys.
    pub(crate) fn fcall(self, call: &Call<'_>) -> Vec<String> {
        call.words("FCALL", format!("run{}", self.client))
    }

    /// FCALL_RO of acts, with these keys.
    pub(crate) fn fcall_ro(self, call: &Call<'_>) -> Vec<String> {
        call.words("FCALL_RO", format!("read{}", self.client))
    }
}

/// What a script is given.
pub(crate) struct Call<'a> {
    pub(crate) acts: &'a [Act],
    pub(crate) keys: Vec<String>,
    /// Whether it takes a while.
    pub(crate) is_long: bool,
}

impl Call<'_> {
    fn words(&self, command: &str, what: String) -> Vec<String> {
        let turns = if self.is_long { TURNS } else { "0" };
        let mut words = vec![command.to_owned(), what, self.keys.len().to_string()];
        words.extend(self.keys.iter().cloned());
        words.push(turns.to_owned());
        for act in self.acts {
            let own = act.words();
            words.push(own.len().to_string());
            words.extend(own);
        }
        words
    }
}
