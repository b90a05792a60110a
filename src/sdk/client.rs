//! Starts instances, waits for them and asks about them.
