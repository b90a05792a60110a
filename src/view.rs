//! Says what there is to know of an instance: its tasks, what it waits for, which workers there are, why it is stuck.
//!
//! Pure: it reads a history and the figures of a hub and nothing else. The command, the reports, the test harness and
//! every other door show an instance by what this module finds, so that all of them say the same.
//!
//! # Layout
//!
//! - [`InstanceView`]: the tasks that a history has, their attempts folded.
//! - [`WaitsFor`], [`Standstill`]: what the instance waits for, and why it does not go on.
//! - [`WorkerView`]: who is connected. `unclaimed`: which name was meant where no worker has the one that was given.
//! - `text`: moments, durations and payloads on one line.

mod tasks;
mod text;
mod unclaimed;
mod waits;
mod workers;

pub use tasks::{Attempt, InstanceView, Task, TaskKind};
pub use text::{failed, moment, one_line, short, spoken};
pub use unclaimed::unclaimed;
pub use waits::{Standstill, WaitsFor};
pub use workers::WorkerView;
