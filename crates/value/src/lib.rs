//! The data types: what a key holds besides a string.
//!
//! [`entries`] is how packed values keep their elements, [`intset`] how small sets of integers
//! do.

pub mod entries;
pub mod intset;
