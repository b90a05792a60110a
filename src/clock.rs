//! Reads the time; nothing else does.
