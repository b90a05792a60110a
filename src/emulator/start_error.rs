//! Why an emulator does not start.

use std::net::SocketAddr;

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process listens on the port.
    #[error("{address} is in use; choose another port, or 0 for a free one")]
    PortInUse {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The system refuses to listen there.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system refuses a thread or an event queue.
    #[error("the emulator's thread does not start")]
    Runtime(#[source] std::io::Error),
}
