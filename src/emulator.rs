//! Runs a scheduler inside this process.

pub mod engine;
pub mod store;

#[cfg(feature = "emulator")]
pub mod dispatch;
#[cfg(feature = "emulator")]
mod health;
#[cfg(feature = "emulator")]
mod service;
