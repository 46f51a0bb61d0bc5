//! Values into payloads, element by element.
//!
//! An encoder appends to a buffer of the caller and keeps no second copy: only
//! what may still become a packed collection waits in the encoder, and that is
//! small. Counts that are not known before are written into room left for them.
//!
//! What is chosen, because every server reads it:
//!
//! | value | small | otherwise |
//! |---|---|---|
//! | string | integer | compressed or plain |
//! | list | nodes of listpacks | long elements are nodes of their own |
//! | set | intset, if all are integers | strings |
//! | hash | listpack | strings, with deadlines where one has one |
//! | sorted set | listpack | members with binary scores |
//! | stream | listpacks of up to 100 entries | the same |
//! | array | integers of 62 bits, strings | the same |

mod array;
mod collections;
mod hash;
mod stream;

pub use array::ArrayEncoder;
pub use collections::{ListEncoder, SetEncoder, ZSetEncoder};
pub use hash::HashEncoder;
pub use stream::{GroupsEncoder, ProducersEncoder, StreamEncoder};

use crate::dump::VALKEY_VERSION;
use crate::listpack::BackLengths;
use crate::primitives::put_string;
use crate::types;

/// The most elements of a packed collection, or pairs.
const PACKED_ELEMENTS_MAX: usize = 128;

/// The longest string in a packed collection.
const PACKED_STRING_BYTES_MAX: usize = 64;

/// Whom the payload is for.
///
/// Every server reads the formats of those before it, but for one case: Valkey
/// 9.1 refuses a listpack of Redis' making with an element whose length, packed,
/// is 16383 or 2097151. Only entries of streams get that far, see `listpack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// RDB 10: Redis 7.0 and all later servers; consumers' active times are lost.
    Redis10,
    /// RDB 11: Redis 7.2, Valkey 7.2, and all later servers.
    Redis11,
    /// RDB 12: Redis 7.4 and later; fields of hashes have deadlines.
    Redis12,
    /// RDB 13: Redis 8.6 and later; streams have messages of producers.
    Redis13,
    /// RDB 14: Redis 8.8 and later; pending entries of streams may have no owner, and there are
    /// arrays.
    Redis14,
    /// RDB 80: Valkey 9.0 and later; fields of hashes have deadlines.
    Valkey80,
}

impl Format {
    /// The version that the footer has to say.
    pub fn version(self) -> u16 {
        match self {
            Self::Redis10 => 10,
            Self::Redis11 => 11,
            Self::Redis12 => 12,
            Self::Redis13 => 13,
            Self::Redis14 => 14,
            Self::Valkey80 => VALKEY_VERSION,
        }
    }

    /// Whether streams have messages of producers.
    fn has_producers(self) -> bool {
        matches!(self, Self::Redis13 | Self::Redis14)
    }

    fn back_lengths(self) -> BackLengths {
        match self {
            Self::Valkey80 => BackLengths::Valkey,
            _ => BackLengths::Redis,
        }
    }
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For whom.
    pub format: Format,
    /// Whether long strings are compressed.
    pub compress: bool,
}

/// Appends the payload of a string.
pub fn encode_string(text: &[u8], options: Options, out: &mut Vec<u8>) {
    out.push(types::STRING);
    put_string(text, options.compress, out);
}
