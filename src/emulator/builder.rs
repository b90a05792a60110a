//! Says how an emulator is to be started.

use super::dispatch::MissingHub;
use super::engine::LeaseTimes;
use super::running::{Emulator, StartError};
use super::serve::{self, Serving};
use super::service::Bounds;
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
    pub(super) service_limits: bool,
    pub(super) max_payload: Option<usize>,
    pub(super) max_message: Option<usize>,
    pub(super) worker_timeout: Option<Duration>,
    pub(super) leases: LeaseTimes,
    pub(super) unstated_limit: usize,
    pub(super) max_worker_losses: Option<u32>,
    pub(super) unattended: Option<Duration>,
    pub(super) max_connections: usize,
    pub(super) bounds: Bounds,
    pub(super) max_state: Option<usize>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timer_lag: Duration,
    pub(super) gather: Duration,
    pub(super) seed: Option<u128>,
    pub(super) store: NewStore,
}

/// How long after its moment a timer fires at the earliest. The official Java package reads moments in milliseconds: a
/// turn in the millisecond of its timer is too early for it, and it sets the timer once more.
const TIMER_LAG: Duration = Duration::from_millis(1);

/// How long a worker may be silent: a worker that is stopped is noticed after 20 to 30 seconds.
const WORKER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a turn may take. An orchestrator only computes in it, so that five minutes are a turn that got lost.
const TURN_LEASE: Duration = Duration::from_secs(5 * 60);

/// How many uncompleted items of a kind a worker gets that does not say how many it takes.
const UNSTATED_LIMIT: usize = 1_000;

/// How many workers may be lost with the same work item, and no other to blame, before it fails.
const MAX_WORKER_LOSSES: u32 = 10;

/// How long an instance without a worker keeps a client waiting that terminates or suspends it.
const UNATTENDED: Duration = Duration::from_secs(5);

/// How long a completion waits at the most for others, where the worker replays a long history in each turn: what an
/// orchestrator loses by it that goes on after the first of several activities.
const GATHER: Duration = Duration::from_millis(250);

/// How many connections are open at the most.
const MAX_CONNECTIONS: usize = 10_000;

/// What clients may have under way: a wait takes about 5 KB.
const BOUNDS: Bounds = Bounds { unread: 256 << 20, unsent: 256 << 20, waits: 50_000 };

/// What the service takes, in bytes: of a payload, and of a message (protocol/limits.md#payloads). The latter is also what a gRPC
/// client takes that is not told otherwise.
const PAYLOAD: usize = 1 << 20;
const MESSAGE: usize = 4 << 20;

/// How many bytes a message may have where the limits of the service do not hold.
const UNLIMITED_MESSAGE: usize = 64 << 20;

/// How large things may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A payload; `None` for any size.
    pub(super) payload: Option<usize>,
    /// A message to the emulator.
    pub(super) message: usize,
    /// A work item.
    pub(super) item: usize,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            health_port: None,
            hubs: vec![HubName::new("default")],
            dynamic_hubs: false,
            missing_hub: MissingHub::Default,
            service_limits: true,
            max_payload: None,
            max_message: None,
            worker_timeout: Some(WORKER_TIMEOUT),
            leases: LeaseTimes { turns: Some(TURN_LEASE), others: None },
            unstated_limit: UNSTATED_LIMIT,
            max_worker_losses: Some(MAX_WORKER_LOSSES),
            unattended: Some(UNATTENDED),
            max_connections: MAX_CONNECTIONS,
            bounds: BOUNDS,
            max_state: None,
            clock: Arc::new(WallClock),
            timer_lag: TIMER_LAG,
            gather: GATHER,
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

    /// Whether what is too large for the service is too large here; it is unless said otherwise. A payload then has at most
    /// 1 MiB, a message 4 MiB: what a client sends beyond is refused, what a worker sends beyond fails the orchestration,
    /// activity or operation that it is of, and so does a turn that no connected worker could receive.
    ///
    /// Without them a payload may have any length and a message 64 MiB. Tags and names are bounded all the same.
    pub fn service_limits(mut self, on: bool) -> Self {
        self.service_limits = on;
        self
    }

    /// How many bytes one payload may have, instead of what [`EmulatorBuilder::service_limits`] says.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// How many bytes one message to the emulator may have, instead of what [`EmulatorBuilder::service_limits`] says.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = Some(bytes);
        self
    }

    /// After how long a worker is given up that answers nothing on its connection, not even HTTP/2's pings, or that does
    /// not read the work that was sent to it: its streams end, and others get what it held. 30 seconds unless said
    /// otherwise; `None` waits for ever, for a process that is stopped in a debugger.
    pub fn worker_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.worker_timeout = timeout.into();
        self
    }

    /// How long a worker that is well may hold a turn without answering it before another stream gets it; the answer
    /// to the first is then `NOT_FOUND`. Five minutes unless said otherwise; `None` waits for ever.
    pub fn turn_lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.leases.turns = lease.into();
        self
    }

    /// The same for activities and entity batches. They may lawfully run for hours, so they may be held for ever unless
    /// this says otherwise.
    pub fn activity_lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.leases.others = lease.into();
        self
    }

    /// How many uncompleted work items of each kind a stream gets whose worker does not say how many it takes: 1,000
    /// unless said otherwise, and one at the least.
    pub fn unstated_limit(mut self, items: usize) -> Self {
        self.unstated_limit = items.max(1);
        self
    }

    /// How many workers in a row may die with the same work item in their hands, and with no other to blame, before it
    /// fails: 10 unless said otherwise; `None` is any number.
    pub fn max_worker_losses(mut self, losses: impl Into<Option<u32>>) -> Self {
        self.max_worker_losses = losses.into();
        self
    }

    /// How long an instance that has begun, and whose orchestrator no connected worker takes, lets a terminate, suspend
    /// or resume wait for a worker before it takes effect without one: 5 seconds unless said otherwise; `None` is for ever.
    pub fn unattended(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.unattended = after.into();
        self
    }

    /// How many connections may be open, those to the health port too: 10,000 unless said otherwise, and fewer where the
    /// process may not have that many descriptors. For one more, the connection is closed that has been without a call
    /// for longest; where every connection has a call open the new one is refused.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many bytes of large replies (over 64 KiB) may wait for clients to read them: 256 MiB unless said otherwise, and
    /// a quarter of it on one connection. A call whose reply finds no room for ten seconds gets `RESOURCE_EXHAUSTED`.
    pub fn max_unread(mut self, bytes: usize) -> Self {
        self.bounds.unread = bytes;
        self
    }

    /// How many bytes of instances and entities all hubs may hold together: histories, inboxes, payloads, state. Above it
    /// clients can start, restart and signal nothing and raise no event (`RESOURCE_EXHAUSTED`), until something is purged;
    /// what has begun goes on. Any number unless said.
    pub fn max_state(mut self, bytes: usize) -> Self {
        self.max_state = Some(bytes);
        self
    }

    /// How many clients may wait for instances: 50,000 unless said otherwise, and 10,000 on one connection. One more gets
    /// `RESOURCE_EXHAUSTED`.
    pub fn max_waits(mut self, waits: usize) -> Self {
        self.bounds.waits = waits;
        self
    }

    /// Where time comes from; the system's clock unless said otherwise. Turns may then be held for ever, unless
    /// [`EmulatorBuilder::turn_lease`] says otherwise afterwards: a clock that is turned by hours would end them.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self.timer_lag = Duration::ZERO;
        self.leases.turns = None;
        self.gather = Duration::ZERO;
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

    /// The limits that hold.
    pub(super) fn limits(&self) -> Limits {
        let (payload, message) =
            if self.service_limits { (Some(PAYLOAD), MESSAGE) } else { (None, UNLIMITED_MESSAGE) };
        Limits {
            payload: self.max_payload.or(payload),
            message: self.max_message.unwrap_or(message),
            // Workers take what gRPC takes unless they are told otherwise; without limits they are taken to be.
            item: if self.service_limits {
                MESSAGE
            } else {
                self.max_message.unwrap_or(message).max(MESSAGE)
            },
        }
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
