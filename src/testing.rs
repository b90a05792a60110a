//! Runs the same test on every target.
