//! Values against real servers: their stored dumps, the servers themselves where
//! one is installed, layouts that only old servers wrote, and random values.

mod corruption;
mod fixtures;
mod kept;
mod old;
mod oracle;
mod round_trip;
mod samples;
