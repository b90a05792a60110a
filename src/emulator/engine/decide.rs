//! Decides what a command means: reads the state, and says what is to be recorded and what is refused.

pub(crate) mod actions;
pub(crate) mod activity;
pub(crate) mod child;
pub(crate) mod complete;
pub(crate) mod continue_as_new;
pub(crate) mod end;
pub(crate) mod entities;
pub(crate) mod ids;
pub(in crate::emulator) mod limit;
pub(crate) mod malformed;
pub(crate) mod outbox;
pub(crate) mod purge;
pub(crate) mod query;
pub(crate) mod repeat;
pub(crate) mod restart;
pub(crate) mod rewind;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod too_large;
pub(crate) mod unattended;
