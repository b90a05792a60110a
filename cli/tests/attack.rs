//! Attacks the emulator and the worker, as someone would who wants them to break.
//!
//! Each story is one attack: real processes, real sockets, real time. It is bounded, and ends with a figure that
//! has to hold; the figures are constants beside the story. Limits of time are generous, because they only say when
//! a story is given up: nothing here measures how fast a machine is.
//!
//! | attack | what has to hold | file |
//! | --- | --- | --- |
//! | a worker process is stopped | its work and all new work is done by another | `dead.rs` |
//! | a connection goes silent | the same | `dead.rs` |
//! | a stream is never read | a healthy worker gets the work; what waits for the stream is bounded | `unread.rs` |
//! | large replies are never read | memory is bounded, others are served | `unread.rs` |
//! | an activity aborts its process | it fails by name, the innocent go on | `poison.rs` |
//! | clients take all descriptors | a real client gets through | `silent.rs` |
//! | connections say nothing, or a byte a second | they are closed, others are served | `silent.rs` |
//! | standard error is never read | work goes on, and SIGTERM ends the process | `pipe.rs` |
//! | a scheduler ignores the worker's limits | the worker does not | `hostile.rs` |
//! | a history never ends | the worker gives it up | `hostile.rs` |
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![allow(dead_code, unreachable_pub, reason = "the scheduler is that of tests/sdk.rs, which uses more of it")]

#[path = "attack/actors.rs"]
mod actors;
#[path = "attack/dead.rs"]
mod dead;
#[path = "attack/hostile.rs"]
mod hostile;
#[path = "attack/pipe.rs"]
mod pipe;
#[path = "attack/poison.rs"]
mod poison;
#[path = "../../tests/sdk/scheduler.rs"]
mod scheduler;
#[path = "attack/silent.rs"]
mod silent;
#[path = "attack/stage.rs"]
mod stage;
#[path = "attack/unread.rs"]
mod unread;
