//! Reading replies: the client's side, for tests and tools.

/// Arrays within arrays that are followed.
const DEPTH_MAX: usize = 64;

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A status line.
    Simple(Vec<u8>),
    /// An error, its code included.
    Error(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// Nothing.
    Null,
    /// An array.
    Array(Vec<Value>),
    /// A map.
    Map(Vec<(Value, Value)>),
    /// A set.
    Set(Vec<Value>),
    /// A message that is no reply.
    Push(Vec<Value>),
    /// A floating-point number, as it was written.
    Double(Vec<u8>),
    /// A truth value.
    Boolean(bool),
    /// An integer of any size, as it was written.
    BigNumber(Vec<u8>),
    /// A text; its format is left out.
    Verbatim(Vec<u8>),
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Reads the reply that the bytes begin with, and how long it is; `None`: it is not all there.
///
/// # Errors
/// If they do not begin with a reply, or it nests too deep.
pub fn decode(input: &[u8]) -> Result<Option<(Value, usize)>, Invalid> {
    let mut reader = Reader { input, at: 0 };
    match reader.value(0) {
        Ok(value) => Ok(Some((value, reader.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Invalid) => Err(Invalid),
    }
}

enum Stop {
    Incomplete,
    Invalid,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.input[self.at..];
        let end = memchr::memchr(b'\n', rest).ok_or(Stop::Incomplete)?;
        self.at += end + 1;
        rest[..end].strip_suffix(b"\r").ok_or(Stop::Invalid)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Invalid);
        }
        let line = self.line()?;
        let (&mark, rest) = line.split_first().ok_or(Stop::Invalid)?;
        Ok(match mark {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Integer(number(rest)?),
            b',' => Value::Double(rest.to_vec()),
            b'(' => Value::BigNumber(rest.to_vec()),
            b'_' => Value::Null,
            b'#' => Value::Boolean(rest == b"t"),
            b'$' | b'!' | b'=' => self.bulk(mark, number(rest)?)?,
            b'*' | b'~' | b'>' => match usize::try_from(number(rest)?) {
                Err(_) => Value::Null,
                Ok(count) => {
                    let items = self.values(count, depth)?;
                    match mark {
                        b'*' => Value::Array(items),
                        b'~' => Value::Set(items),
                        _ => Value::Push(items),
                    }
                }
            },
            b'%' | b'|' => {
                let count = usize::try_from(number(rest)?).map_err(|_| Stop::Invalid)?;
                let mut pairs = Vec::new();
                for _ in 0..count {
                    pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
                }
                // An attribute stands before the reply it belongs to.
                if mark == b'|' { self.value(depth + 1)? } else { Value::Map(pairs) }
            }
            _ => return Err(Stop::Invalid),
        })
    }

    fn values(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, Stop> {
        (0..count).map(|_| self.value(depth + 1)).collect()
    }

    fn bulk(&mut self, mark: u8, length: i64) -> Result<Value, Stop> {
        let Ok(length) = usize::try_from(length) else { return Ok(Value::Null) };
        let end = self.at.checked_add(length).ok_or(Stop::Invalid)?;
        let bytes = self.input.get(self.at..end).ok_or(Stop::Incomplete)?;
        let after = self.input.get(end..end + 2).ok_or(Stop::Incomplete)?;
        if after != b"\r\n" {
            return Err(Stop::Invalid);
        }
        self.at = end + 2;
        Ok(match mark {
            b'!' => Value::Error(bytes.to_vec()),
            b'=' => Value::Verbatim(bytes.get(4..).unwrap_or_default().to_vec()),
            _ => Value::Bulk(bytes.to_vec()),
        })
    }
}

fn number(digits: &[u8]) -> Result<i64, Stop> {
    let text = std::str::from_utf8(digits).map_err(|_| Stop::Invalid)?;
    text.parse().map_err(|_| Stop::Invalid)
}
