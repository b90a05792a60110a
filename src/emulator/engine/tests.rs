//! Tells the engine's stories: a client and a worker that are values, and a clock that stands still.

mod delivery;
mod fixture;
mod gather;
mod leaving;
mod matching;
mod notices;
mod pages;
mod poison;
mod rests;
mod turns;
mod unattended;
