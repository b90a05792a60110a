//! The `taskhub` command.

fn main() {}
