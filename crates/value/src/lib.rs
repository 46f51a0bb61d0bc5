//! The data types: what a key holds besides a string.
//!
//! [`entries`] is how packed values keep their elements, [`intset`] how small sets of integers
//! do, and [`list`] is a list of any length.

pub mod entries;
pub mod intset;
pub mod list;
