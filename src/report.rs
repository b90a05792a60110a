//! Renders a history as something to read.
