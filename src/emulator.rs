//! Runs a scheduler inside this process.
//!
//! ```no_run
//! # #[cfg(feature = "emulator")] {
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = taskhub::emulator::Emulator::start().await?;
//! println!("{}", emulator.connection_string());
//! emulator.stop().await;
//! # Ok(()) } }
//! ```
//!
//! # Layout
//!
//! - `engine`: decides, purely. [`store`]: keeps what was decided.
//! - `dispatch`: owns a hub. `service`: speaks gRPC. `health`: says whether it is up.
//! - `Emulator` puts them together on a thread of its own.

// Hidden modules are for tests, benchmarks and fuzzing of this repository: no promise is made about them.
#[doc(hidden)]
pub mod engine;
pub mod store;

#[cfg(feature = "emulator")]
mod address;
#[cfg(feature = "emulator")]
mod builder;
#[cfg(feature = "emulator")]
#[doc(hidden)]
pub mod dispatch;
#[cfg(feature = "emulator")]
#[cfg(feature = "emulator")]
mod health;
#[cfg(feature = "emulator")]
mod keep_alive;
#[cfg(feature = "emulator")]
mod listen;
#[cfg(feature = "emulator")]
mod options;
#[cfg(feature = "emulator")]
mod running;
#[cfg(feature = "emulator")]
mod serve;
#[cfg(feature = "emulator")]
mod service;
#[cfg(feature = "emulator")]
mod start_error;

#[cfg(feature = "emulator")]
pub use address::{authority, reachable};
#[cfg(feature = "emulator")]
pub use builder::EmulatorBuilder;
#[cfg(feature = "emulator")]
pub use dispatch::MissingHub;
#[cfg(feature = "emulator")]
pub use running::Emulator;
#[cfg(feature = "emulator")]
pub use start_error::StartError;
