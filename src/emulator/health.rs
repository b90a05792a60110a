//! Answers whether the emulator is up.
