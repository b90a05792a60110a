//! A running emulator: its addresses, its hubs, and its end.

use super::address::authority;
use super::dispatch::{HubHandle, Hubs};
use crate::model::HubName;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A running emulator. Dropping it stops it; [`Emulator::stop`] also waits until it has stopped.
///
/// Each emulator has its own port, thread and hubs. Hundreds can run in one process.
#[must_use = "the emulator stops as soon as this is dropped"]
pub struct Emulator {
    pub(super) address: SocketAddr,
    pub(super) health: Option<SocketAddr>,
    pub(super) hubs: Hubs,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Where it listens. Beside 127.0.0.1 (or all of IPv4) that is also the same port of `::1`, and the other way round.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the health endpoint, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health
    }

    /// The URL of the gRPC port: `http://localhost:12345`, or with the address where it listens on a single other one.
    pub fn endpoint(&self) -> String {
        format!("http://{}", authority(self.address))
    }

    /// The connection string of the first hub, usually `default`, in the official format.
    pub fn connection_string(&self) -> String {
        self.connection_string_for(self.hubs.first().as_str())
    }

    /// The connection string of a hub, in the official format.
    pub fn connection_string_for(&self, hub: &str) -> String {
        format!("Endpoint={};TaskHub={hub};Authentication=None", self.endpoint())
    }

    /// The names of its hubs.
    pub fn hub_names(&self) -> Vec<String> {
        self.hubs.all().into_iter().map(|(name, _)| name.as_str().to_owned()).collect()
    }

    #[doc(hidden)]
    /// The handle of a hub, for commands without a connection; `None` where there is no hub of that name.
    pub fn hub(&self, name: &str) -> Option<HubHandle> {
        self.hubs.get(&HubName::new(name))
    }

    /// Stops it: streams of work items end with UNAVAILABLE, calls that wait are answered, connections close. Returns when
    /// its thread has ended, which takes half a second at most.
    pub async fn stop(mut self) {
        let Some(thread) = self.end() else { return };
        // Joining blocks, so it is done on the blocking pool. A thread that panicked has ended too.
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
