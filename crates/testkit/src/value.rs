//! A reply of a server, in either dialect of the protocol.
//!
//! Numbers that are not integers are kept as the text that came over the wire,
//! so that two replies are equal exactly if a client would read the same bytes.

/// The version of the protocol which a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RESP2, what a connection speaks until it says `HELLO 3`.
    #[default]
    Resp2,
    /// RESP3, with maps, sets, doubles, booleans and push messages.
    Resp3,
}

/// One reply, or one push message. `Debug` writes what `Display` writes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A status such as `OK`.
    Simple(Vec<u8>),
    /// A refusal, code and text.
    Error(Vec<u8>),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Nothing: `_` of RESP3, `$-1` of RESP2.
    Nil,
    /// Nothing where an array was possible: `*-1` of RESP2.
    NilArray,
    /// Values in an order that means something.
    Array(Vec<Value>),
    /// Values without order.
    Set(Vec<Value>),
    /// Pairs of key and value without order.
    Map(Vec<(Value, Value)>),
    /// A message that answers no command.
    Push(Vec<Value>),
    /// A floating-point number, as the text that was sent.
    Double(Vec<u8>),
    /// True or false.
    Boolean(bool),
    /// An integer of any size, as the text that was sent.
    BigNumber(Vec<u8>),
    /// Text for people, with its three-letter format (`txt`, `mkd`).
    Verbatim {
        /// The three letters before the colon.
        format: [u8; 3],
        /// The text after the colon.
        text: Vec<u8>,
    },
}

impl Value {
    /// The status `OK`.
    pub fn ok() -> Self {
        Self::simple("OK")
    }

    /// A status.
    pub fn simple(text: impl AsRef<[u8]>) -> Self {
        Self::Simple(text.as_ref().to_vec())
    }

    /// A string of bytes.
    pub fn bulk(text: impl AsRef<[u8]>) -> Self {
        Self::Bulk(text.as_ref().to_vec())
    }

    /// A refusal; `text` starts with the code, as in `ERR syntax error`.
    pub fn error(text: impl AsRef<[u8]>) -> Self {
        Self::Error(text.as_ref().to_vec())
    }

    /// Whether this is a refusal.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The bytes of a status, a string or a text for people.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Bulk(text) | Self::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The number of an integer reply.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The same reply with the types that `dialect` has.
    ///
    /// RESP2 has no doubles, booleans, big numbers, texts, sets, maps and push
    /// messages: it carries them as strings, integers and flat arrays. RESP3
    /// has one kind of nothing.
    pub fn in_dialect(self, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Resp2 => self.lowered(),
            Dialect::Resp3 => self.raised(),
        }
    }

    fn lowered(self) -> Self {
        let all = |values: Vec<Self>| values.into_iter().map(Self::lowered).collect();
        match self {
            Self::Double(text) | Self::BigNumber(text) | Self::Verbatim { text, .. } => {
                Self::Bulk(text)
            }
            Self::Boolean(truth) => Self::Integer(i64::from(truth)),
            Self::Array(values) | Self::Set(values) | Self::Push(values) => {
                Self::Array(all(values))
            }
            Self::Map(pairs) => {
                Self::Array(all(pairs.into_iter().flat_map(<[Self; 2]>::from).collect()))
            }
            plain => plain,
        }
    }

    fn raised(self) -> Self {
        let all = |values: Vec<Self>| values.into_iter().map(Self::raised).collect();
        match self {
            Self::NilArray => Self::Nil,
            Self::Array(values) => Self::Array(all(values)),
            Self::Set(values) => Self::Set(all(values)),
            Self::Push(values) => Self::Push(all(values)),
            Self::Map(pairs) => Self::Map(
                pairs.into_iter().map(|(key, value)| (key.raised(), value.raised())).collect(),
            ),
            plain => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_a_flat_array_in_resp2() {
        let map = Value::Map(vec![(Value::bulk("pi"), Value::Double(b"3.1".to_vec()))]);
        let flat = Value::Array(vec![Value::bulk("pi"), Value::bulk("3.1")]);
        assert_eq!(map.in_dialect(Dialect::Resp2), flat);
    }

    #[test]
    fn resp3_has_one_kind_of_nothing() {
        let nested = Value::Array(vec![Value::NilArray]);
        assert_eq!(nested.in_dialect(Dialect::Resp3), Value::Array(vec![Value::Nil]));
    }
}
