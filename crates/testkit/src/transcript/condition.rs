//! Where a block or a reply of a transcript applies.

use std::fmt;

use crate::notation::Malformed;
use crate::value::Dialect;

/// The server that a transcript runs against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `anax`, `redis` or `valkey`.
    pub name: String,
    /// Its version, from the most significant number.
    pub version: Vec<u32>,
}

impl Target {
    /// The server under test.
    pub fn anax() -> Self {
        Self::new("anax", "")
    }

    /// A server by name and dotted version; what is no number counts as 0.
    pub fn new(name: &str, version: &str) -> Self {
        let version = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        Self { name: name.to_owned(), version }
    }

    /// Whether this is a server that expectations are taken from.
    pub fn is_oracle(&self) -> bool {
        self.name != "anax"
    }
}

/// Several conditions, one of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// Reads conditions separated by blanks.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let all: Vec<Condition> =
            text.split_whitespace().map(Condition::parse).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(Malformed("a condition is missing".to_owned()));
        }
        Ok(Self(all))
    }

    /// Whether one of them holds.
    pub fn hold(&self, target: &Target, dialect: Dialect) -> bool {
        self.0.iter().any(|condition| condition.holds(target, dialect))
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The client speaks this dialect.
    Speaks(Dialect),
    /// The server is not Anax.
    Oracle,
    /// The server has this name, and a version in this range.
    Server {
        /// Its name.
        name: String,
        /// Its versions, if they matter.
        versions: Option<Versions>,
    },
}

/// The versions on one side of a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    from: bool,
    bound: Vec<u32>,
}

impl Versions {
    fn include(&self, version: &[u32]) -> bool {
        (version >= self.bound.as_slice()) == self.from
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Self, Malformed> {
        let (name, versions) = match (text.split_once(">="), text.split_once('<')) {
            (Some((name, bound)), _) => {
                (name, Some(Versions { from: true, bound: version(bound)? }))
            }
            (_, Some((name, bound))) => {
                (name, Some(Versions { from: false, bound: version(bound)? }))
            }
            _ => (text, None),
        };
        match (name, versions) {
            ("resp2", None) => Ok(Self::Speaks(Dialect::Resp2)),
            ("resp3", None) => Ok(Self::Speaks(Dialect::Resp3)),
            ("oracle", None) => Ok(Self::Oracle),
            ("anax" | "redis" | "valkey", versions) => {
                Ok(Self::Server { name: name.to_owned(), versions })
            }
            _ => Err(Malformed(format!("not a condition: {text}"))),
        }
    }

    fn holds(&self, target: &Target, dialect: Dialect) -> bool {
        match self {
            Self::Speaks(wanted) => *wanted == dialect,
            Self::Oracle => target.is_oracle(),
            Self::Server { name, versions } => {
                *name == target.name
                    && versions.as_ref().is_none_or(|versions| versions.include(&target.version))
            }
        }
    }
}

fn version(text: &str) -> Result<Vec<u32>, Malformed> {
    let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    parts.map_err(|_| Malformed(format!("not a version: {text}")))
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version: Vec<String> = self.version.iter().map(u32::to_string).collect();
        write!(out, "{} {}", self.name, version.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_holds_for_the_servers_it_names() {
        let redis = Target::new("redis", "8.0.6");
        let holds = |text: &str, target: &Target, dialect| {
            Conditions::parse(text).unwrap().hold(target, dialect)
        };
        for text in ["redis", "oracle", "redis>=8", "redis<8.1", "anax resp2", "redis>=8.0.6"] {
            assert!(holds(text, &redis, Dialect::Resp2), "{text}");
        }
        for text in ["anax", "valkey", "redis<8", "redis>=8.1", "anax resp3"] {
            assert!(!holds(text, &redis, Dialect::Resp2), "{text}");
        }
        assert!(!holds("oracle", &Target::anax(), Dialect::Resp3));
    }

    #[test]
    fn misspelt_conditions_are_refused() {
        for text in ["", "rediss", "redis>8", "redis>=x", "oracle>=1"] {
            assert!(Conditions::parse(text).is_err(), "{text}");
        }
    }
}
