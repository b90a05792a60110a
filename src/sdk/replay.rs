//! Turns history and code into actions.
