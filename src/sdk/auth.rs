//! Finds tokens for a scheduler.
