//! Runs an emulator on a thread of its own.
//!
//! The listener, the service and the hubs live on one thread with a current-thread runtime: a turn that has to wake
//! another thread costs more than deciding it does (docs/performance.md).

mod accept;
mod calls;
mod connection;
mod connections;
mod descriptors;
mod frames;
mod socket;

use super::builder::EmulatorBuilder;
use super::dispatch::{self, Capacity, CloseNotice, Hubs, Naming, NewHub, Opening};
use super::engine::Config;
use super::health::Health;
use super::keep_alive::KeepAlive;
use super::listen::bind;
use super::running::{StartError, authority};
use super::service::{Admission, Front, Service};
use crate::busy_wait::BusyWait;
use crate::clock::{Clock as _, WallClock};
use crate::model::HubName;
use crate::wire::task_hub_sidecar_service_server::TaskHubSidecarServiceServer;
use connection::Served;
use connections::Connections;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long connections have to end by themselves once the hubs have.
const GRACE: Duration = Duration::from_millis(500);

/// How many bytes of work items may wait for a worker to read them before its stream gets no more.
const BACKLOG: usize = 4 << 20;

/// A running emulator.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    pub(super) health: Option<SocketAddr>,
    pub(super) hubs: Hubs,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) thread: std::thread::JoinHandle<()>,
}

/// Binds the ports, begins the hubs and starts the thread.
pub(super) fn start(how: &EmulatorBuilder) -> Result<Serving, StartError> {
    let grpc = bind(SocketAddr::new(how.host, how.port))?;
    let health = how.health_port.map(|port| bind(SocketAddr::new(how.host, port))).transpose()?;
    let (address, health_address) = (grpc.address, health.as_ref().map(|bound| bound.address));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
    let busy_wait = BusyWait::default();
    let capacity = Capacity::of(how.max_state);
    let new_hub = new_hub(how, runtime.handle().clone(), busy_wait.clone(), capacity.clone());
    let naming = Naming { names: how.hubs.clone(), dynamic: how.dynamic_hubs, missing: how.missing_hub };
    let hubs = Hubs::new(naming, new_hub, how.clock.clone());
    let limits = how.limits();
    let service = Service {
        hubs: hubs.clone(),
        clock: how.clock.clone(),
        capacity,
        admission: Admission::new(how.bounds),
        max_payload: limits.payload,
    };
    let hint = match health_address {
        Some(health) => format!("Health is on http://{}/healthz.", authority(health)),
        None => "Whether it is up, grpc.health.v1 says.".to_owned(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let served = hubs.clone();
    let keep_alive = how.worker_timeout.map(KeepAlive::within);
    let most_connections = descriptors::connections(how.max_connections);
    let thread = std::thread::Builder::new()
        .name("taskhub-emulator".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let (reporter, health_service) = tonic_health::server::health_reporter();
                reporter.set_serving::<TaskHubSidecarServiceServer<Service>>().await;
                tokio::spawn(busy_wait.run());
                let ports = Ports {
                    grpc: grpc.listeners,
                    front: Front::new(service, health_service, limits.message, &hint),
                    health: health.map_or_else(Vec::new, |bound| bound.listeners),
                    health_page: Health::new(served.clone()),
                    connections: Connections::at_most(most_connections),
                    keep_alive,
                };
                serve(ports, stopped, &served).await;
            });
            // Whatever still holds a connection loses it here.
            runtime.shutdown_background();
        })
        .map_err(StartError::Runtime)?;
    Ok(Serving { address, health: health_address, hubs, stop, thread })
}

/// Makes hubs that run on the emulator's thread, whoever asks for them.
fn new_hub(
    how: &EmulatorBuilder,
    runtime: tokio::runtime::Handle,
    busy_wait: BusyWait,
    capacity: Capacity,
) -> NewHub {
    let (store, clock, seed) = (how.store.clone(), how.clock.clone(), how.seed);
    let limits = how.limits();
    let config = Config {
        timer_lag: how.timer_lag,
        gather: how.gather,
        max_payload: limits.payload,
        item_bytes: limits.item,
        unstated_limit: how.unstated_limit,
        backlog: BACKLOG,
        stall: how.worker_timeout,
        leases: how.leases,
        most_losses: how.max_worker_losses,
        unattended: how.unattended,
        ..Config::default()
    };
    Arc::new(move |name: &HubName| {
        let seed = seed.unwrap_or_else(crate::entropy::seed);
        let config = Config { seed, ..config.clone() };
        let (name, store, capacity) = (name.clone(), store(name), capacity.clone());
        let opening = Opening { name, config, store, capacity };
        let (handle, run) = dispatch::start(opening, clock.clone(), busy_wait.clone());
        runtime.spawn(run);
        handle
    })
}

/// What is to be served, and where.
struct Ports<H> {
    grpc: Vec<StdListener>,
    front: Front<H>,
    health: Vec<StdListener>,
    health_page: Health,
    connections: Connections,
    keep_alive: Option<KeepAlive>,
}

/// Serves until told to stop, then ends what is open.
async fn serve<H>(ports: Ports<H>, stopped: oneshot::Receiver<()>, hubs: &Hubs)
where
    Front<H>: Served<tonic::body::Body> + Clone + Send + 'static,
    H: Clone + Send + 'static,
{
    let Ports { grpc, front, health, health_page, connections, keep_alive } = ports;
    let mut accepting = JoinSet::new();
    for listener in grpc {
        let front = front.clone();
        let serve = move |stream, connection| {
            let notice = Arc::<CloseNotice>::default();
            let front = front.over(notice.clone());
            let (notice, clock) = (Some(notice), Arc::new(WallClock));
            tokio::spawn(connection::serve(stream, connection, notice, front, keep_alive, clock));
        };
        accepting.spawn(accept::accept(listener, connections.clone(), serve, accept::refuse_http2));
    }
    for listener in health {
        let page = health_page.clone();
        let serve = move |stream, connection| {
            let (page, clock) = (page.clone(), Arc::new(WallClock));
            tokio::spawn(connection::serve(stream, connection, None, page, keep_alive, clock));
        };
        accepting.spawn(accept::accept(listener, connections.clone(), serve, accept::refuse_http1));
    }
    // An error means that the emulator was dropped, which stops it too.
    let _ = stopped.await;
    accepting.shutdown().await;
    // First the hubs: their streams end with a word and whoever waits is answered. Then the connections.
    let stopping = async {
        for (_, hub) in hubs.all() {
            hub.stop().await;
        }
    };
    tokio::select! {
        () = stopping => {}
        // A hub waits for its store; the emulator does not wait for a store that does not answer.
        () = WallClock.sleep_until(WallClock.now().plus(GRACE)) => {}
    }
    connections.close_all();
    tokio::select! {
        () = connections.all_gone() => {}
        () = WallClock.sleep_until(WallClock.now().plus(GRACE)) => {}
    }
}
