//! Runs what a scheduler hands out.
