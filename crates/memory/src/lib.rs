//! Where the process' memory comes from, and how much of it is in use.
//!
//! * [`heap`] is the process' allocator, which knows how many bytes are live.
//! * [`Region`] and [`Page`] are pieces of fixed size, cut from huge pages that all shards share:
//!   what look-ups read in random order lies there, so that they miss the TLB less.
//!
//! # Safety contract
//!
//! `unsafe` is in three files, each with a contract of its own: `region` (system calls), `page`
//! (values in pages) and [`heap`] (the allocator's trait).
//!
//! The crate knows nothing of what lies in the memory.

pub mod heap;
mod page;
mod region;

pub use page::{PAGE_BYTES, Page};
pub use region::{REGION_BYTES, Region};
