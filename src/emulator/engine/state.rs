//! Keeps what is durable of a hub.

pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod instance;
pub(crate) mod size;
pub(crate) mod timers;
