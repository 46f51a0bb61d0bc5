//! Finding a command by its name.
//!
//! Built once from the rows of all families: a hash table with open addressing over the names in
//! upper case, twice as large as it need be, so that a look-up compares one name nearly always.
//! Commands may be renamed before the table is used; their rows keep their names.

use crate::row::{Command, Enter, Flags, KeyUse, Run};

/// The longest name of a row, in bytes.
const NAME_MAX: usize = 32;

/// The longest name that a command may be given, in bytes.
const NEW_NAME_MAX: usize = 1024;

/// How the keys of a command are found, computed once from its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It has no keys, or is none of the keyspace's.
    Keyless,
    /// One key, the first word behind the name.
    FirstWord,
    /// As its key specs say.
    Specs,
    /// It needs every shard.
    Everything,
}

/// A command in the table, with what the table's owner keeps beside it.
pub struct Entry<H> {
    /// Its row.
    pub command: &'static Command,
    /// The name that it is called by: its row's, or the one it was given; empty: by none.
    pub called: &'static str,
    /// How its keys are found.
    pub shape: Shape,
    /// A request of no more words than this is brief, see [`Entry::is_brief`].
    brief_words: usize,
    /// Its number, an index for counters: each command has one, and each subcommand one behind it.
    pub index: usize,
    /// The owner's.
    pub beside: H,
}

/// All commands, by name.
pub struct Table<H> {
    entries: Vec<Entry<H>>,
    /// Index + 1 into `entries`; 0 is empty. Its length is a power of two.
    slots: Vec<u16>,
    numbers: usize,
    /// The length of the longest name that commands are called by.
    name_max: usize,
}

/// Why a command is not renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// There is none of that name.
    NoSuchCommand,
    /// Another one is called so.
    NameTaken,
    /// No command can be called so.
    BadName,
}

impl std::fmt::Display for RenameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RenameError::NoSuchCommand => "No such command in rename-command",
            RenameError::NameTaken => "Target command name already exists",
            RenameError::BadName => "No command can have this name",
        })
    }
}

impl Shape {
    /// The shape of a row.
    #[must_use]
    pub fn of(command: &Command) -> Shape {
        match (command.run, command.enter, command.keys) {
            (Run::Session | Run::Container, ..) => Shape::Keyless,
            (_, Enter::All, _) => Shape::Everything,
            (_, _, []) => Shape::Keyless,
            (Run::Read(_) | Run::Write(_), _, [spec]) if spec.is_first_word() => Shape::FirstWord,
            _ => Shape::Specs,
        }
    }
}

/// How many words a request may have that takes constant or logarithmic time for sure.
fn brief_words(command: &Command) -> usize {
    /// So many elements are still few.
    const FEW: usize = 8;
    let takes = command.keys.iter().any(|spec| spec.usage == KeyUse::TAKE);
    let each = ["O(1) for each", "O(log(N)) for each"];
    match command.complexity {
        _ if !command.subcommands.is_empty() => 0,
        "O(1)" => usize::MAX,
        // Each word more is an element more. What takes elements out may be told a number of them.
        complexity if !takes && each.iter().any(|each| complexity.starts_with(each)) => FEW,
        _ if command.flags.has(Flags::FAST) => command.arity.least(),
        _ => 0,
    }
}

impl<H> Entry<H> {
    /// Whether it can be called at all.
    #[must_use]
    pub fn is_callable(&self) -> bool {
        !self.called.is_empty()
    }

    /// Whether a request of so many words takes constant or logarithmic time, as the row says.
    #[must_use]
    #[inline]
    pub fn is_brief(&self, words: usize) -> bool {
        words <= self.brief_words
    }

    /// The number of the command itself or of one of its subcommands; that of the command if
    /// `command` is neither.
    #[must_use]
    pub fn number_of(&self, command: &Command) -> usize {
        let nth = self.command.subcommands.iter().position(|sub| std::ptr::eq(sub, command));
        self.index + nth.map_or(0, |nth| nth + 1)
    }

    /// The command and its subcommands, each with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &'static Command)> + use<H> {
        (self.index..).zip(std::iter::once(self.command).chain(self.command.subcommands))
    }
}

impl<H> Table<H> {
    /// A table of these commands.
    ///
    /// # Panics
    /// If two have the same name or a name is longer than 32 bytes: a mistake in the rows.
    #[must_use]
    pub fn new(commands: impl IntoIterator<Item = (&'static Command, H)>) -> Table<H> {
        let mut numbers = 0;
        let entries: Vec<Entry<H>> = commands
            .into_iter()
            .map(|(command, beside)| {
                let index = numbers;
                numbers += 1 + command.subcommands.len();
                let (shape, brief_words) = (Shape::of(command), brief_words(command));
                let called = command.name;
                Entry { command, called, shape, brief_words, index, beside }
            })
            .collect();
        let slots = vec![0; (entries.len() * 4).next_power_of_two()];
        let mut table = Table { slots, entries, numbers, name_max: NAME_MAX };
        for index in 0..table.entries.len() {
            let name = table.entries[index].command.name.as_bytes();
            assert!(name.len() <= NAME_MAX && table.find(name).is_none(), "names are unique");
            table.insert(index);
        }
        table
    }

    /// Has a command be called by another name, or by none if that is empty.
    ///
    /// # Errors
    /// If there is no such command, or another one is called so.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), RenameError> {
        let index = self
            .find(from)
            .and_then(|entry| self.entries.iter().position(|other| std::ptr::eq(other, entry)));
        let index = index.ok_or(RenameError::NoSuchCommand)?;
        let to = std::str::from_utf8(to).map_err(|_| RenameError::BadName)?;
        if to.len() > NEW_NAME_MAX {
            return Err(RenameError::BadName);
        }
        if self.find(to.as_bytes()).is_some() {
            return Err(RenameError::NameTaken);
        }
        // The table lives as long as the process.
        self.entries[index].called = Box::leak(to.to_owned().into_boxed_str());
        self.name_max = self.name_max.max(to.len());
        self.slots.fill(0);
        for index in 0..self.entries.len() {
            if self.entries[index].is_callable() {
                self.insert(index);
            }
        }
        Ok(())
    }

    /// Puts a command where its name is looked for.
    fn insert(&mut self, index: usize) {
        let mut at = self.start(self.entries[index].called.as_bytes());
        while self.slots[at] != 0 {
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = index as u16 + 1;
    }

    /// How many numbers its commands and their subcommands have.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// Every command, in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry<H>> {
        self.entries.iter()
    }

    /// Every command that can be called.
    pub fn callable(&self) -> impl Iterator<Item = &Entry<H>> {
        self.entries.iter().filter(|entry| entry.is_callable())
    }

    /// The command whose row has this name, whatever it is called by, and whatever the case.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<&Entry<H>> {
        let mut all = self.entries.iter();
        all.find(|entry| entry.command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command that is called by this name, whatever its case.
    #[must_use]
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Entry<H>> {
        if name.len() > self.name_max {
            return None;
        }
        let mut at = self.start(name);
        loop {
            let index = usize::from(self.slots[at]).checked_sub(1)?;
            let entry = &self.entries[index];
            if entry.called.as_bytes().eq_ignore_ascii_case(name) {
                return Some(entry);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Where the search for a name starts: FNV-1a over its letters without their case bit.
    #[inline]
    fn start(&self, name: &[u8]) -> usize {
        let mix =
            |hash: u32, &byte: &u8| (hash ^ u32::from(byte & !0x20)).wrapping_mul(0x0100_0193);
        let hash = name.iter().fold(0x811c_9dc5, mix);
        (hash ^ hash >> 15) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Arity, KeySpec};

    const ROWS: &[Command] = &[
        Command { name: "GET", ..Command::BASE },
        Command { name: "GETEX", ..Command::BASE },
        Command { name: "CL.THROTTLE", ..Command::BASE },
    ];

    #[test]
    fn each_command_and_each_subcommand_has_a_number_of_its_own() {
        const SUBS: &[Command] = &[Command { name: "ID", ..Command::BASE }];
        static CLIENT: Command = Command { name: "CLIENT", subcommands: SUBS, ..Command::BASE };
        let rows = [&ROWS[0], &CLIENT, &ROWS[1]];
        let table = Table::new(rows.into_iter().map(|row| (row, ())));
        let names: Vec<_> = table.iter().flat_map(Entry::numbered).collect();
        let numbers: Vec<_> = names.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert_eq!(table.numbers(), 4);
        let client = table.find(b"client").expect("it is in the table");
        assert_eq!(client.number_of(&CLIENT.subcommands[0]), 2);
        assert_eq!(client.number_of(&CLIENT), 1);
    }

    #[test]
    fn a_request_is_brief_by_its_row_and_its_words() {
        let row = |complexity, flags| Command {
            complexity,
            flags,
            arity: Arity::AtLeast(3),
            ..Command::BASE
        };
        let longest = |row: &Command| (0..100).rev().find(|&words| words <= brief_words(row));
        assert_eq!(longest(&row("O(1)", Flags::NONE)), Some(99));
        assert_eq!(longest(&row("O(1) for each member", Flags::FAST)), Some(8));
        assert_eq!(longest(&row("O(log(N))", Flags::FAST)), Some(3));
        assert_eq!(longest(&row("O(log(N)*M) for M members", Flags::NONE)), Some(0));
        const TAKEN: &[KeySpec] = &[KeySpec::one(1, KeyUse::TAKE)];
        let takes = Command { keys: TAKEN, ..row("O(1) for each member", Flags::FAST) };
        assert_eq!(longest(&takes), Some(3), "a count may follow");
    }

    #[test]
    fn a_command_that_is_renamed_is_called_by_its_new_name_alone() {
        let mut table = Table::new(ROWS.iter().map(|row| (row, ())));
        let long = "secret".repeat(20);
        assert_eq!(table.rename(b"get", long.as_bytes()), Ok(()));
        assert_eq!(table.rename(b"GETEX", b""), Ok(()));
        assert_eq!(table.rename(b"get", b"other"), Err(RenameError::NoSuchCommand));
        assert_eq!(table.rename(b"cl.throttle", long.as_bytes()), Err(RenameError::NameTaken));
        assert_eq!(table.rename(b"cl.throttle", b"\xff"), Err(RenameError::BadName));
        assert_eq!((table.iter().count(), table.callable().count()), (3, 2));
        let found = |name: &str| table.find(name.as_bytes()).map(|entry| entry.command.name);
        assert_eq!(found(&long.to_uppercase()), Some("GET"));
        assert_eq!([found("get"), found("getex"), found("")], [None; 3]);
        assert_eq!(found("cl.throttle"), Some("CL.THROTTLE"));
        assert!(table.named(b"Get").is_some_and(Entry::is_callable));
        assert!(table.named(b"getex").is_some_and(|entry| !entry.is_callable()));
    }

    #[test]
    fn names_are_found_in_any_case_and_nothing_else_is() {
        let table = Table::new(ROWS.iter().map(|row| (row, ())));
        for name in ["get", "GeT", "getex", "cl.throttle"] {
            let found = table.find(name.as_bytes()).map(|entry| entry.command.name);
            assert_eq!(found, Some(name.to_uppercase().as_str()));
        }
        for name in ["", "ge", "gett", "cl_throttle", &"x".repeat(1000)] {
            assert!(table.find(name.as_bytes()).is_none(), "{name}");
        }
    }
}
