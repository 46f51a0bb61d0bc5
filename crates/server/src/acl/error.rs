//! Why a rule of a user is refused.
//!
//! The texts are wire contract, as those of [`command::CommandError`]: clients and tests match on
//! them.

use std::fmt;

/// A word that is no rule, or a rule that means nothing where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// There is no such command, subcommand or category.
    Unknown,
    /// The word is none of the rules, or holds what it must not.
    Syntax,
    /// A key pattern behind one that is every key.
    AfterAllKeys,
    /// A channel pattern behind one that is every channel.
    AfterAllChannels,
    /// A password is to be taken away that is not there.
    NoSuchPassword,
    /// A digest of a password is not 64 hexadecimal digits in lower case.
    Digest,
    /// A first argument of a subcommand, which no rule can name.
    FirstOfSubcommand,
    /// A number of a database that can be none.
    DatabaseRange,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleError::Unknown => "Unknown command or category name in ACL",
            RuleError::Syntax => "Syntax error",
            RuleError::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and \
                 does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid \
                 and does not have any effect. Try 'resetchannels' to start with an empty list of \
                 channels"
            }
            RuleError::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            RuleError::Digest => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            RuleError::FirstOfSubcommand => "Allowing first-arg of a subcommand is not supported",
            RuleError::DatabaseRange => "The provided database ID is out of range",
        })
    }
}

/// Why a user is not changed: the text of ACL SETUSER's answer, without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserError {
    /// A selector begins in this word and ends nowhere.
    OpenSelector(Vec<u8>),
    /// This word is refused.
    Modifier(Vec<u8>, RuleError),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::OpenSelector(word) => {
                let word = String::from_utf8_lossy(word);
                write!(f, "Unmatched parenthesis in acl selector starting at '{word}'.")
            }
            UserError::Modifier(word, error) => {
                let word = String::from_utf8_lossy(word);
                write!(f, "Error in ACL SETUSER modifier '{word}': {error}")
            }
        }
    }
}
