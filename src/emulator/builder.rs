//! Says how an emulator is to be started.

use super::running::{Emulator, StartError};
use super::serve::{self, Serving};
use super::service::MissingHub;
use crate::clock::{Clock, WallClock};
use crate::emulator::store::{Forgetful, Store};
use crate::model::HubName;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Makes the store of a hub.
pub(super) type NewStore = Arc<dyn Fn(&HubName) -> Box<dyn Store> + Send + Sync>;

/// An emulator that is not started yet. Made by [`Emulator::builder`].
#[derive(Clone)]
#[must_use = "an emulator starts with `start`"]
pub struct EmulatorBuilder {
    pub(super) host: IpAddr,
    pub(super) port: u16,
    pub(super) health_port: Option<u16>,
    pub(super) hubs: Vec<HubName>,
    pub(super) dynamic_hubs: bool,
    pub(super) missing_hub: MissingHub,
    pub(super) max_payload: Option<usize>,
    pub(super) max_message: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timer_lag: Duration,
    pub(super) seed: Option<u128>,
    pub(super) store: NewStore,
}

/// How long after its moment a timer fires at the earliest. The official Java package reads moments in milliseconds: a
/// turn in the millisecond of its timer is too early for it, and it sets the timer once more.
const TIMER_LAG: Duration = Duration::from_millis(1);

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            health_port: None,
            hubs: vec![HubName::new("default")],
            dynamic_hubs: false,
            missing_hub: MissingHub::Default,
            max_payload: None,
            max_message: 64 << 20,
            clock: Arc::new(WallClock),
            timer_lag: TIMER_LAG,
            seed: None,
            store: Arc::new(|_| Box::new(Forgetful)),
        }
    }
}

impl EmulatorBuilder {
    /// The address to listen on; 127.0.0.1 unless said otherwise. Beside it, and beside 0.0.0.0, the emulator listens on
    /// `::1` where there is one, and beside `::1` on 127.0.0.1: clients are told `localhost`.
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// The gRPC port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Answers health questions over HTTP/1.1 on this port too (0 takes a free one); by default on none.
    pub fn health_port(mut self, port: u16) -> Self {
        self.health_port = Some(port);
        self
    }

    /// The hubs that exist from the start, instead of `default` alone. Empty names are passed over; none at all is
    /// `default`.
    pub fn hubs<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        let names = names.into_iter().map(|name| HubName::new(name.as_ref()));
        self.hubs = names.filter(|name| !name.as_str().is_empty()).collect();
        if self.hubs.is_empty() {
            self.hubs.push(HubName::new("default"));
        }
        self
    }

    /// Whether an unknown hub comes into being when a request first names it; it does not unless said so.
    pub fn dynamic_hubs(mut self, dynamic: bool) -> Self {
        self.dynamic_hubs = dynamic;
        self
    }

    /// What a request that names no hub gets; the hub `default` unless said otherwise.
    pub fn missing_hub(mut self, missing: MissingHub) -> Self {
        self.missing_hub = missing;
        self
    }

    /// How many bytes one payload may have (the service allows 1,048,576); any number unless said. A client's is
    /// refused; in a worker's answer it fails the orchestration, activity or operation that it is of.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// How many bytes one message to the emulator may have: 64 MiB unless said otherwise (the service allows 4 MiB).
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Where time comes from; the system's clock unless said otherwise.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self.timer_lag = Duration::ZERO;
        self
    }

    /// Where every minted id comes from; drawn at the start unless said.
    pub fn seed(mut self, seed: u128) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What the records of each hub are kept in; nothing is kept unless said.
    pub fn store(mut self, store: impl Fn(&HubName) -> Box<dyn Store> + Send + Sync + 'static) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Starts it. When this returns, clients may connect: the ports are bound, and whoever connects before the first
    /// is accepted waits in the backlog.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which port is taken, or what the system refuses.
    #[expect(
        clippy::unused_async,
        reason = "starting may come to wait, and callers should not have to change then"
    )]
    pub async fn start(self) -> Result<Emulator, StartError> {
        let Serving { address, health, hubs, stop, thread } = serve::start(&self)?;
        Ok(Emulator { address, health, hubs, stop: Some(stop), thread: Some(thread) })
    }
}
