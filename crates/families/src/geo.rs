//! Places on Earth: the rules that commands over them stand on.
//!
//! A place is kept as the score of a sorted set: 52 bits that interleave latitude and longitude,
//! so that places near each other mostly have scores near each other ([`hash`]). A search visits
//! the ranges of scores of at most nine cells around its middle ([`area`]), and asks of each place
//! that it meets there whether it lies within the shape sought ([`shape`]).
//!
//! Everything here is a function of its arguments. The steps of a calculation are taken in the
//! order that Redis and Valkey take, so that scores, digits of distances and places found are
//! the same.

pub mod area;
pub mod hash;
mod places;
mod radius;
mod search;
pub mod shape;

use command::Command;

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    places::GEOADD,
    places::GEODIST,
    places::GEOHASH,
    places::GEOPOS,
    radius::GEORADIUS,
    radius::GEORADIUSBYMEMBER,
    radius::GEORADIUSBYMEMBER_RO,
    radius::GEORADIUS_RO,
    search::GEOSEARCH,
    search::GEOSEARCHSTORE,
];

#[cfg(test)]
mod tests;
