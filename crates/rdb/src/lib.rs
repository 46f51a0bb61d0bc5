//! Values and libraries of functions in the RDB format, as `DUMP`, `RESTORE` and `FUNCTION DUMP`
//! carry them and as files hold them.
//!
//! [`open`] takes a dump apart, [`decode`] turns its payload into calls of a
//! [`Sink`], so that the caller builds its own structures while the payload is
//! read; [`Value`] is the sink for who has none. The encoders take a value
//! element by element and write it into one buffer; [`seal`] makes that a dump.
//!
//! ```text
//! payload:  type (1) | value
//!           libraries of functions
//! dump:     payload  | RDB version (2, little endian) | CRC64 (8, little endian)
//! ```
//!
//! # Invariants
//!
//! 1. No input panics, recurses, or makes this crate allocate more than what
//!    the input can hold: a count is believed only if as many bytes follow, a
//!    compressed string only if its length is one that compression can reach.
//! 2. Whatever [`decode`] accepts was read to its last byte.
//! 3. What an encoder writes, every server that knows the [`Format`] reads.
//!
//! It knows nothing of keys, of their deadlines, or of the frame of a file.

mod array;
mod decode;
mod dump;
mod encode;
mod error;
mod intset;
mod library;
mod listpack;
pub mod lzf;
mod number;
mod primitives;
mod sink;
mod stream;
mod template;
mod types;
mod value;
mod ziplist;
mod zipmap;

pub use decode::{Limits, decode, decode_body};
pub use dump::{Dump, FOOTER_BYTES, Trust, open, open_trusting, seal};
pub use encode::{
    ArrayEncoder, Format, GroupsEncoder, HashEncoder, ListEncoder, Options, ProducersEncoder,
    SetEncoder, StreamEncoder, ZSetEncoder, encode_string,
};
pub use error::RdbError;
pub use library::{LIBRARIES_VERSION, Libraries, encode_library};
pub use number::Text;
pub use sink::{ConsumerHead, GroupHead, Kind, Pending, Sink, Slot, StreamId, StreamState};
pub use template::{TEMPLATE_OPCODE, Templates};
pub use value::{
    Array, Builder, Consumer, Entry, Group, HashField, Producer, Producers, Stream, Value,
};
