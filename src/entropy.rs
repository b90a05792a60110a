//! Draws randomness; nothing else does.
