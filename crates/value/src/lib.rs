//! Collections as they lie in memory.
mod big;
mod hash;

pub use big::{Big, Type};
pub use hash::KeyHasher;
