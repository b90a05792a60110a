//! Finds the function behind a name.
