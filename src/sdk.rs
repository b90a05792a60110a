//! What orchestrations are written with, and the worker and client that run them.

pub mod registry;
pub mod replay;

#[cfg(feature = "sdk")]
pub mod auth;
#[cfg(feature = "sdk")]
pub mod client;
#[cfg(feature = "sdk")]
pub mod connect;
#[cfg(feature = "sdk")]
pub mod worker;
