//! Sets the options of an emulator and starts it.

use super::dispatch::MissingHub;
use super::options::EmulatorOptions;
use super::running::Emulator;
use super::serve;
use super::start_error::StartError;
use super::store::Store;
use crate::clock::Clock;
use crate::model::HubName;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// An emulator that is not started yet. Made by [`Emulator::builder`].
#[derive(Clone, Default)]
#[must_use = "an emulator starts with `start`"]
pub struct EmulatorBuilder {
    options: EmulatorOptions,
}

impl EmulatorBuilder {
    /// The address to listen on; 127.0.0.1 by default. With 127.0.0.1 and 0.0.0.0 the emulator also listens on `::1` where
    /// there is one, and with `::1` also on 127.0.0.1: its connection string says `localhost`, which is either.
    pub fn host(mut self, host: IpAddr) -> Self {
        self.options.host = host;
        self
    }

    /// The gRPC port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.options.port = port;
        self
    }

    /// The port of the health endpoint over HTTP/1.1; 0 takes a free one. By default there is none.
    pub fn health_port(mut self, port: u16) -> Self {
        self.options.health_port = Some(port);
        self
    }

    /// The hubs that exist from the start, instead of `default` alone. Empty names are ignored. An empty list is
    /// `default`.
    pub fn hubs<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        let names = names.into_iter().map(|name| HubName::new(name.as_ref()));
        self.options.hubs = names.filter(|name| !name.as_str().is_empty()).collect();
        if self.options.hubs.is_empty() {
            self.options.hubs.push(HubName::new("default"));
        }
        self
    }

    /// Whether an unknown hub is created when a request first names it; false by default.
    pub fn dynamic_hubs(mut self, dynamic: bool) -> Self {
        self.options.dynamic_hubs = dynamic;
        self
    }

    /// What a request that names no hub gets; the hub `default` by default.
    pub fn missing_hub(mut self, missing: MissingHub) -> Self {
        self.options.missing_hub = missing;
        self
    }

    /// Whether the service's limits hold; true by default. A payload then has at most 1 MiB and a message 4 MiB. A larger one
    /// from a client is refused. A larger one from a worker fails its orchestration, activity or operation, and so does a
    /// turn that no connected worker could receive.
    ///
    /// Without the limits a payload may have any length and a message 64 MiB. Tags and names are bounded all the same.
    pub fn service_limits(mut self, on: bool) -> Self {
        self.options.service_limits = on;
        self
    }

    /// How many bytes one payload may have. Overrides [`EmulatorBuilder::service_limits`].
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.options.max_payload = Some(bytes);
        self
    }

    /// How many bytes one message to the emulator may have. Overrides [`EmulatorBuilder::service_limits`].
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.options.max_message = Some(bytes);
        self
    }

    /// After how long a worker counts as lost that answers no HTTP/2 ping, or does not read the work that was sent to it:
    /// its streams end, and other workers get its work items. 30 seconds by default. `None` waits for ever, for a process
    /// that is stopped in a debugger.
    pub fn worker_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.worker_timeout = timeout.into();
        self
    }

    /// How long a connected worker may hold a turn without completing it before another stream gets it. The first worker's
    /// completion is then `NOT_FOUND`. Five minutes by default; `None` waits for ever.
    pub fn turn_lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.options.leases.turns = lease.into();
        self
    }

    /// The same for activities and entity batches. They may run for hours, so by default they may be held for ever.
    pub fn activity_lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.options.leases.others = lease.into();
        self
    }

    /// How many uncompleted work items of each kind a stream gets whose worker states no limit: 1,000 by default, at least
    /// one.
    pub fn unstated_limit(mut self, items: usize) -> Self {
        self.options.unstated_limit = items.max(1);
        self
    }

    /// How many workers in a row may die while they hold the same work item, and no other suspect, before it fails: 10 by
    /// default; `None` is any number.
    pub fn max_worker_losses(mut self, losses: impl Into<Option<u32>>) -> Self {
        self.options.max_worker_losses = losses.into();
        self
    }

    /// How long a terminate, suspend or resume of an instance that has begun waits for a worker that takes its orchestrator,
    /// before it takes effect without one: 5 seconds by default; `None` is for ever.
    pub fn unattended(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.options.unattended = after.into();
        self
    }

    /// How many connections may be open, those to the health port too: 10,000 by default, and fewer where the process
    /// may not have that many descriptors. For one more, the connection is closed that has been without a call for longest.
    /// Where every connection has an open call the new one is refused.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// How many bytes of large replies (over 64 KiB) may be unread: 256 MiB by default, and a quarter of that on one
    /// connection. A call whose reply finds no room for ten seconds gets `RESOURCE_EXHAUSTED`.
    pub fn max_unread(mut self, bytes: usize) -> Self {
        self.options.client_limits.unread = bytes;
        self
    }

    /// How many bytes of instances and entities all hubs may hold together: histories, inboxes, payloads, state. Above it
    /// starts, restarts, signals and raised events are refused (`RESOURCE_EXHAUSTED`) until something is purged. Instances
    /// that have begun continue. Any number by default.
    pub fn max_state(mut self, bytes: usize) -> Self {
        self.options.max_state = Some(bytes);
        self
    }

    /// How many clients may wait for instances: 50,000 by default, and 10,000 on one connection. One more gets
    /// `RESOURCE_EXHAUSTED`.
    pub fn max_waits(mut self, waits: usize) -> Self {
        self.options.client_limits.waits = waits;
        self
    }

    /// The clock; the system's by default. With another clock turns may be held for ever, unless
    /// [`EmulatorBuilder::turn_lease`] is called after this: a test that turns its clock by hours would end every lease.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self.options.timer_lag = Duration::ZERO;
        self.options.leases.turns = None;
        self.options.gather = Duration::ZERO;
        self
    }

    /// The seed of every id that the emulator makes; random by default.
    pub fn seed(mut self, seed: u128) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// The store of each hub's records; by default none, and a hub's state is lost with the emulator.
    pub fn store(mut self, store: impl Fn(&HubName) -> Box<dyn Store> + Send + Sync + 'static) -> Self {
        self.options.store = Arc::new(store);
        self
    }

    /// Starts the emulator. When this returns, clients may connect: the ports are bound, and a connection that comes before
    /// the first accept waits in the backlog.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which port is in use, or what the system refuses.
    #[expect(
        clippy::unused_async,
        reason = "starting may come to wait, and callers should not have to change then"
    )]
    pub async fn start(self) -> Result<Emulator, StartError> {
        serve::start(&self.options)
    }
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

    /// The settings of an emulator that is not started yet.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }
}
