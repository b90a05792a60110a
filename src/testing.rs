//! Runs the same test on every target.
//!
//! [`TestHub`] runs an orchestration with no server, no sockets and no waiting: the scheduler's own engine and the
//! worker's own replay, under a clock that jumps. What it finds on the way is an error with a name: code that is not
//! deterministic, an event that is never raised, an activity that waits for something outside.
//!
//! [`golden`] compares a history, or any text, with a file that was agreed on. [`Replayer`] runs today's code against
//! the histories of yesterday's. `explain` prints what there is to know of an instance that does not end.

pub mod golden;

mod drive;
#[cfg(feature = "emulator")]
mod explain;
mod hub;
mod replayer;
mod run_error;
mod scenario;

#[cfg(feature = "emulator")]
pub use explain::explain;
pub use hub::{Outcome, TestHub};
pub use replayer::{Diverged, Replayer};
pub use run_error::RunError;
