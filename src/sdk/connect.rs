//! Reaches a scheduler.
