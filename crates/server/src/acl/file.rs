//! Users as lines: in a file of their own, and in the configuration file.
//!
//! A line is `user NAME RULE ...`, the rules as ACL SETUSER takes them. In a file of users blanks
//! alone separate words and nothing is quoted; empty lines are passed over, and nothing else is.

use std::fmt;

use super::error::{RuleError, UserError};
use super::user::{Beginning, Rules, User};
use super::{Users, is_name};

/// Stands behind the errors of a file.
const NOTHING_CHANGED: &str =
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

/// The users of a file's text; `path` is only named in errors.
///
/// # Errors
/// Everything that is wrong with it, in one line.
pub fn parse(text: &[u8], path: &str, beginning: Beginning<'_>) -> Result<Users, String> {
    let (mut users, mut errors) = (Vec::<User>::new(), String::new());
    for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let words = line.split(|byte| b" \t\r".contains(byte)).filter(|word| !word.is_empty());
        let words: Vec<&[u8]> = words.collect();
        if words.is_empty() {
            continue;
        }
        match user(&words, &users, beginning) {
            Ok(user) => users.push(user),
            Err(error) => errors.push_str(&error.describe(path, at + 1)),
        }
    }
    if !errors.is_empty() {
        return Err(errors + NOTHING_CHANGED);
    }
    Ok(users.into_iter().map(|user| (user.name.clone(), user.into())).collect())
}

/// What is wrong with a line.
pub(super) enum LineError {
    /// It is none of a user.
    NoUser,
    /// No user can have this name.
    Name(String),
    /// There is one of this name already.
    Twice(String),
    /// A rule is refused.
    Rules(UserError),
}

impl LineError {
    /// The text of ACL LOAD's answer.
    fn describe(&self, path: &str, line: usize) -> String {
        let place = format!("{path}:{line}");
        match self {
            LineError::NoUser => {
                format!("{place} should start with user keyword followed by the username. ")
            }
            LineError::Name(name) => {
                format!("'{place}: username '{name}' contains invalid characters. ")
            }
            LineError::Twice(name) => {
                format!("WARNING: Duplicate user '{name}' found on line {line}. ")
            }
            LineError::Rules(UserError::OpenSelector(_)) => {
                format!("{place}: Unmatched parenthesis in selector definition.")
            }
            // A word that is no command is no secret; others may be.
            LineError::Rules(UserError::Modifier(word, error @ RuleError::Unknown)) => {
                let word = String::from_utf8_lossy(word);
                format!("{place}: Error in applying operation '{word}': {error}. ")
            }
            LineError::Rules(UserError::Modifier(_, error)) => format!("{place}: {error}. "),
        }
    }
}

impl fmt::Display for LineError {
    /// The same without the place. A word that is no command is no secret; others may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::NoUser => f.write_str("no user is named"),
            LineError::Name(name) => write!(f, "no user can be named '{name}'"),
            LineError::Twice(name) => {
                write!(f, "Duplicate user '{name}' found. A user can only be defined once")
            }
            LineError::Rules(UserError::Modifier(_, error)) if *error != RuleError::Unknown => {
                write!(f, "a rule of the user: {error}")
            }
            LineError::Rules(error) => write!(f, "{error}"),
        }
    }
}

/// The user of a line's words, behind others.
pub(super) fn user(
    words: &[&[u8]],
    before: &[User],
    beginning: Beginning<'_>,
) -> Result<User, LineError> {
    let [b"user", name, rules @ ..] = words else { return Err(LineError::NoUser) };
    let shown = || String::from_utf8_lossy(name).into_owned();
    if !is_name(name) {
        return Err(LineError::Name(shown()));
    }
    if before.iter().any(|user| *user.name == **name) {
        return Err(LineError::Twice(shown()));
    }
    let mut made = Rules::new(beginning);
    made.apply_all(rules.iter().copied(), beginning).map_err(LineError::Rules)?;
    Ok(User::new(name, made))
}

/// A user as a line of a file.
#[must_use]
pub fn line(user: &User) -> Vec<u8> {
    [b"user ".as_slice(), &user.name, b" ", &user.rules.describe()].concat()
}

/// A user as the words of a line of the configuration file, `user` among them.
#[must_use]
pub fn words(user: &User) -> Vec<Vec<u8>> {
    line(user).split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;
    use crate::server::command_table;

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let table = command_table();
        let beginning = Beginning { names: Names(&table), all_channels: false };
        let users = parse(text.as_bytes(), "users.acl", beginning)?;
        let lines = users.values().map(|user| String::from_utf8(line(user)).unwrap());
        Ok(lines.collect())
    }

    #[test]
    fn lines_are_users_and_empty_ones_nothing() {
        let text = "\n user ann on  nopass +get\t~a\r\n\nuser ben (+set ~b)\n";
        let expected = [
            "user ann on nopass sanitize-payload ~a resetchannels -@all +get",
            "user ben off sanitize-payload resetchannels -@all (~b resetchannels -@all +set)",
        ];
        assert_eq!(parsed(text).unwrap(), expected);
        let again = parsed(&expected.join("\n")).unwrap();
        assert_eq!(again, expected, "what was written is read as it was");
    }

    #[test]
    fn every_mistake_of_a_file_is_told_and_no_secret() {
        let text = "# users\nuser\nuser a +nothing\nuser b secret\nuser b on\nuser b off\n\
                    user c (+get\nuser \u{0}";
        let error = parsed(text).unwrap_err();
        let wanted = [
            "users.acl:1 should start with user keyword followed by the username. ",
            "users.acl:2 should start with",
            "users.acl:3: Error in applying operation '+nothing': Unknown command or category",
            "users.acl:4: Syntax error. ",
            "WARNING: Duplicate user 'b' found on line 6. ",
            "users.acl:7: Unmatched parenthesis in selector definition.",
            "'users.acl:8: username '\u{0}' contains invalid characters. ",
            NOTHING_CHANGED,
        ];
        let mut rest = error.as_str();
        for part in wanted {
            let at = rest.find(part).unwrap_or_else(|| panic!("{part}: {error}"));
            rest = &rest[at + part.len()..];
        }
        assert!(!error.contains("secret"), "{error}");
    }
}
