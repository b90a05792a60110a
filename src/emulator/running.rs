//! Holds a running emulator.

use super::builder::EmulatorBuilder;
use super::dispatch::{Handle, Hubs};
use crate::model::HubName;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A running emulator. Dropping it stops it; [`Emulator::stop`] also waits until it has.
///
/// Each one is on its own: its port, its thread, its hubs. Hundreds can run in one process.
#[must_use = "the emulator stops as soon as this is dropped"]
pub struct Emulator {
    pub(super) address: SocketAddr,
    pub(super) health: Option<SocketAddr>,
    pub(super) hubs: Hubs,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

/// Where somebody on this machine reaches what listens there: on loopback, where it listens everywhere.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// How clients on this machine name what listens there: `localhost` and the port, where that is what `localhost` means.
///
/// Programs tell an emulator from a scheduler in Azure by that name.
pub fn authority(address: SocketAddr) -> String {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let ip = address.ip();
    if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else listens on the port.
    #[error("{address} is in use; choose another port, or 0 for a free one")]
    PortInUse {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives us no thread or no event queue.
    #[error("the emulator's thread does not start")]
    Runtime(#[source] std::io::Error),
}

impl Emulator {
    /// Starts an emulator on a free port of `localhost`, with the hub `default`.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what the system refuses.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Says how an emulator is to be started.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Where it listens. Beside 127.0.0.1 (or all of IPv4) that is also the same port of `::1`, and the other way round.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers health questions, if it was asked to.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Where it listens, as a URL: `http://localhost:12345`, unless it was told another address than loopback or all.
    pub fn endpoint(&self) -> String {
        format!("http://{}", authority(self.address))
    }

    /// The official connection string of the hub that was named first, usually `default`.
    pub fn connection_string(&self) -> String {
        self.connection_string_for(self.hubs.first().as_str())
    }

    /// The official connection string of a hub.
    pub fn connection_string_for(&self, hub: &str) -> String {
        format!("Endpoint={};TaskHub={hub};Authentication=None", self.endpoint())
    }

    /// The names of its hubs.
    pub fn hub_names(&self) -> Vec<String> {
        self.hubs.all().into_iter().map(|(name, _)| name.as_str().to_owned()).collect()
    }

    /// A hub, to be asked without a connection; `None` where there is none of that name.
    pub fn hub(&self, name: &str) -> Option<Handle> {
        self.hubs.get(&HubName::new(name))
    }

    /// Stops it: streams of work end with UNAVAILABLE, whoever waits is answered, connections close. Returns when its
    /// thread has ended, which takes half a second at the most.
    pub async fn stop(mut self) {
        let Some(thread) = self.end() else { return };
        // A thread is joined where waiting does no harm; one that panicked has ended too.
        let _ = tokio::task::spawn_blocking(move || drop(thread.join())).await;
    }

    fn end(&mut self) -> Option<JoinHandle<()>> {
        drop(self.stop.take());
        self.thread.take()
    }
}

/// Stops it without waiting: its thread ends by itself.
impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Emulator");
        shown.field("address", &self.address).field("hubs", &self.hub_names()).finish_non_exhaustive()
    }
}
