//! Refusals: of a `CONFIG SET`, and of what was given at start.

use std::borrow::Cow;
use std::fmt;

/// A refused `CONFIG SET`. Nothing was changed.
///
/// Its text is wire contract: the whole error line with `ERR` in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such setting.
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// A value is refused, or cannot be changed now.
    Failed {
        /// The setting.
        name: String,
        /// Why.
        why: Cow<'static, str>,
    },
}

impl SetError {
    /// The refusal of a setting whose new value could not be put into effect,
    /// such as a port that is taken.
    #[must_use]
    pub fn failed(name: impl Into<String>, why: impl Into<Cow<'static, str>>) -> SetError {
        SetError::Failed { name: name.into(), why: why.into() }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Unknown { name } => {
                let name = one_line(name);
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            SetError::Failed { name, why } => {
                let (name, why) = (one_line(name), one_line(why));
                let about = "CONFIG SET failed (possibly related to argument";
                write!(f, "ERR {about} '{name}') - {why}")
            }
        }
    }
}

impl std::error::Error for SetError {}

/// What was given at start and cannot be used. One line: where it stood, the
/// setting, its value, what is wrong and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it was given.
    pub origin: Origin,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, one_line(&self.problem))
    }
}

impl std::error::Error for ConfigError {}

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// In a file.
    File {
        /// Its path as it was given, `-` for standard input.
        path: String,
        /// The line, counted from 1; 0 is the file as a whole.
        line: usize,
    },
    /// On the command line.
    CommandLine,
    /// By `CONFIG SET`.
    ConfigSet,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment { variable } => write!(f, "environment, {}", one_line(variable)),
            Origin::File { path, line: 0 } => write!(f, "{}", one_line(path)),
            Origin::File { path, line } => write!(f, "{}, line {line}", one_line(path)),
            Origin::CommandLine => f.write_str("command line"),
            Origin::ConfigSet => f.write_str("CONFIG SET"),
        }
    }
}

/// A text without control characters, so that it stays one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        return text.replace(char::is_control, " ").into();
    }
    text.into()
}
