//! The settings of an emulator, with their defaults.

use super::dispatch::MissingHub;
use super::engine::LeaseTimes;
use super::service::ClientLimits;
use super::store::{Forgetful, Store};
use crate::clock::{Clock, WallClock};
use crate::model::HubName;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Makes the store of a hub.
pub(super) type NewStore = Arc<dyn Fn(&HubName) -> Box<dyn Store> + Send + Sync>;

/// Every setting of an emulator. [`super::EmulatorBuilder`] documents each.
#[derive(Clone)]
pub(super) struct EmulatorOptions {
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
    pub(super) client_limits: ClientLimits,
    pub(super) max_state: Option<usize>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timer_lag: Duration,
    pub(super) gather: Duration,
    pub(super) seed: Option<u128>,
    pub(super) store: NewStore,
}

/// How long after its due time a timer fires at the earliest. The official Java package reads times in milliseconds: for
/// it, a turn in the millisecond of its timer is too early, and it sets the timer once more.
const TIMER_LAG: Duration = Duration::from_millis(1);

/// How long a worker may be silent: a stopped worker is noticed after 20 to 30 seconds.
const WORKER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a turn may take. An orchestrator only computes in it, so a turn of five minutes is lost.
const TURN_LEASE: Duration = Duration::from_secs(5 * 60);

/// How many uncompleted items of a kind a worker gets that states no limit.
const UNSTATED_LIMIT: usize = 1_000;

/// How many workers may be lost with the same work item as the only suspect before the item fails.
const MAX_WORKER_LOSSES: u32 = 10;

/// How long terminate, suspend and resume wait for a worker of an instance that has none.
const UNATTENDED: Duration = Duration::from_secs(5);

/// How long a completion waits at most for others, where the worker replays a long history in each turn. It is also the
/// delay of an orchestrator that continues after the first of several activities.
const GATHER: Duration = Duration::from_millis(250);

/// How many connections may be open.
const MAX_CONNECTIONS: usize = 10_000;

/// What clients may have under way. A wait takes about 5 KB.
const CLIENT_LIMITS: ClientLimits = ClientLimits { unread: 256 << 20, unsent: 256 << 20, waits: 50_000 };

/// The limits of the service in bytes: of a payload, and of a message (protocol/limits.md#payloads). A gRPC client's default limit
/// for a message it receives is the same.
const PAYLOAD: usize = 1 << 20;
const MESSAGE: usize = 4 << 20;

/// How many bytes a message may have where the limits of the service do not hold.
const UNLIMITED_MESSAGE: usize = 64 << 20;

/// How large things may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeLimits {
    /// A payload; `None` for any size.
    pub(super) payload: Option<usize>,
    /// A message to the emulator.
    pub(super) message: usize,
    /// A work item.
    pub(super) item: usize,
}

impl Default for EmulatorOptions {
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
            client_limits: CLIENT_LIMITS,
            max_state: None,
            clock: Arc::new(WallClock),
            timer_lag: TIMER_LAG,
            gather: GATHER,
            seed: None,
            store: Arc::new(|_| Box::new(Forgetful)),
        }
    }
}

impl EmulatorOptions {
    /// The size limits that these settings give.
    pub(super) fn size_limits(&self) -> SizeLimits {
        let (payload, message) =
            if self.service_limits { (Some(PAYLOAD), MESSAGE) } else { (None, UNLIMITED_MESSAGE) };
        let message = self.max_message.unwrap_or(message);
        SizeLimits {
            payload: self.max_payload.or(payload),
            message,
            // A worker's gRPC library receives 4 MiB by default. Without service limits its user is taken to have raised that.
            item: if self.service_limits { MESSAGE } else { message.max(MESSAGE) },
        }
    }
}
