//! Commands as rules name them, and sets of them.

use std::ops::Range;

use command::{Category, Command, Flags};

use crate::server::{CommandEntry, CommandTable};

/// The commands that rules may name: all of the server's.
#[derive(Clone, Copy)]
pub struct Names<'a>(pub &'a CommandTable);

/// A command or subcommand as it is asked for.
#[derive(Clone, Copy)]
pub struct Asked {
    /// The command that is named first.
    pub container: &'static Command,
    /// That, or the subcommand of it.
    pub command: &'static Command,
    /// Its number in the table.
    pub number: usize,
}

/// A command or subcommand that a rule names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its own number, and those of its subcommands behind it.
    pub(super) numbers: Range<usize>,
    /// In lower case, with its container's before it.
    pub(super) full_name: Vec<u8>,
    /// Whether it is one of a container.
    pub(super) is_sub: bool,
    /// Whether it has subcommands, all of which are known.
    pub(super) has_subs: bool,
}

impl Asked {
    /// What a request asks for that names `entry` and calls `command`.
    #[must_use]
    pub fn of(entry: &CommandEntry, command: &'static Command) -> Asked {
        Asked { container: entry.command, command, number: entry.number_of(command) }
    }

    /// Its name in lower case, with its container's before it.
    #[must_use]
    pub fn full_name(&self) -> String {
        match std::ptr::eq(self.container, self.command) {
            true => self.command.name.to_lowercase(),
            false => format!("{}|{}", self.container.name, self.command.name).to_lowercase(),
        }
    }
}

impl Names<'_> {
    /// The command or `command|subcommand` of this name, whatever its case.
    pub(super) fn find(self, name: &[u8]) -> Option<Named> {
        let mut parts = name.splitn(2, |&byte| byte == b'|');
        let entry = self.0.named(parts.next()?)?;
        let Some(sub) = parts.next() else {
            let end = entry.index + 1 + entry.command.subcommands.len();
            // DEBUG takes its subcommands apart itself in Redis, and has more of them there.
            let has_subs =
                !entry.command.subcommands.is_empty() && !is_open_container(entry.command);
            return Some(Named {
                numbers: entry.index..end,
                full_name: name.to_ascii_lowercase(),
                is_sub: false,
                has_subs,
            });
        };
        let number = entry.number_of(entry.command.subcommand(sub)?);
        Some(Named {
            numbers: number..number + 1,
            full_name: name.to_ascii_lowercase(),
            is_sub: true,
            has_subs: false,
        })
    }

    /// The numbers of all commands and subcommands in a category of this name, whatever its case;
    /// `None`: there is none of it. A subcommand goes with its command.
    pub(super) fn in_category(self, name: &[u8]) -> Option<Vec<usize>> {
        let category = category(name)?;
        let mut numbers = Vec::new();
        for entry in self.0.iter() {
            let whole = entry.command.categories().has(category);
            let each = entry.numbered();
            let within = each.filter(|(_, one)| whole || one.categories().has(category));
            numbers.extend(within.map(|(number, _)| number));
        }
        Some(numbers)
    }
}

/// Whether a command takes its first argument apart itself where it is known from.
fn is_open_container(command: &Command) -> bool {
    command.flags.has(Flags::PROTECTED)
}

/// The category of this name, whatever its case.
#[must_use]
pub fn category(name: &[u8]) -> Option<Category> {
    let mut all = Category::ALL.iter();
    all.find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name))
        .map(|(category, _)| *category)
}

/// A set of commands and subcommands: a bit for each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandSet {
    words: Box<[u64]>,
    numbers: usize,
}

impl CommandSet {
    /// No command, or every one.
    pub(super) fn new(names: Names<'_>, all: bool) -> CommandSet {
        let numbers = names.0.numbers();
        let mut set = CommandSet { words: vec![0; numbers.div_ceil(64)].into(), numbers };
        set.put(0..numbers, all);
        set
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts commands in, or takes them out.
    pub(super) fn put(&mut self, numbers: impl IntoIterator<Item = usize>, allow: bool) {
        for number in numbers {
            let Some(word) = self.words.get_mut(number / 64) else { continue };
            let bit = 1 << (number % 64);
            *word = if allow { *word | bit } else { *word & !bit };
        }
    }

    /// Whether every command is in it.
    pub(super) fn is_full(&self) -> bool {
        (0..self.numbers).all(|number| self.has(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::command_table;

    #[test]
    fn commands_are_found_with_their_subcommands_and_in_any_case() {
        let table = command_table();
        let names = Names(&table);
        let config = names.find(b"Config").unwrap();
        assert!(config.has_subs && !config.is_sub);
        assert_eq!(config.full_name, b"config");
        let get = names.find(b"CONFIG|get").unwrap();
        assert!(get.is_sub && config.numbers.contains(&get.numbers.start));
        assert_eq!(get.full_name, b"config|get");
        assert!(!names.find(b"debug").unwrap().has_subs, "others have more of its subcommands");
        for unknown in ["", "nothing", "get|x", "config|", "config|nothing", "config|get|x"] {
            assert_eq!(names.find(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn every_category_names_a_command_but_those_that_none_is_in() {
        let table = command_table();
        let names = Names(&table);
        let of = |name: &str| names.in_category(name.as_bytes());
        assert_eq!(of("nothing"), None);
        assert_eq!(of("HASH"), of("hash"));
        let hget = names.find(b"hget").unwrap().numbers.start;
        assert!(of("hash").unwrap().contains(&hget));
        assert!(!of("set").unwrap().contains(&hget));
        let config_set = names.find(b"config|set").unwrap().numbers.start;
        assert!(of("admin").unwrap().contains(&config_set));
    }

    #[test]
    fn a_set_is_full_when_nothing_is_missing() {
        let table = command_table();
        let mut set = CommandSet::new(Names(&table), true);
        assert!(set.is_full());
        set.put([table.numbers() - 1], false);
        assert!(!set.is_full() && !set.has(table.numbers() - 1) && set.has(0));
        assert!(!set.has(usize::MAX));
        set.put([table.numbers() - 1], true);
        assert!(set.is_full());
    }
}
