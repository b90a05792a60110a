//! Decides what happens in one hub: commands in, records and effects out.
//!
//! Pure: no clock, no randomness but the seed it is given, no IO, no `async`.

pub mod command;
pub mod entity;
pub mod index;
