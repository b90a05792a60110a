//! Names the primitives that the runtime handoff is made of. `tests/handoff.rs` compiles the handoff against loom's.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
pub(super) use tokio::runtime::Runtime;
pub(super) use tokio::sync::Notify;
