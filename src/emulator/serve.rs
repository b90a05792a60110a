//! Runs an emulator on a thread of its own.
//!
//! The listeners, the service and the hubs run on one thread with a current-thread runtime: waking another thread takes
//! longer than deciding a turn (docs/performance.md).

mod accept;
mod calls;
mod connection;
mod connections;
mod descriptors;
mod frames;
mod socket;

use super::address::authority;
use super::dispatch::{self, Capacity, CloseNotice, Hubs, Naming, NewHub, Opening};
use super::engine::Config;
use super::health::Health;
use super::keep_alive::KeepAliveTimes;
use super::listen::bind;
use super::options::EmulatorOptions;
use super::running::Emulator;
use super::service::{ClientBudget, GrpcRouter, Service};
use super::start_error::StartError;
use crate::busy_wait::BusyWait;
use crate::clock::{Clock as _, WallClock};
use crate::model::HubName;
use connections::Connections;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long connections have to end once the hubs have stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// How many bytes of work items may wait unread on a stream before the hub sends it no more.
const MAX_UNREAD_WORK: usize = 4 << 20;

/// Binds the ports, opens the hubs and starts the thread.
pub(super) fn start(options: &EmulatorOptions) -> Result<Emulator, StartError> {
    let grpc = bind(SocketAddr::new(options.host, options.port))?;
    let health = options.health_port.map(|port| bind(SocketAddr::new(options.host, port))).transpose()?;
    let (address, health_address) = (grpc.address, health.as_ref().map(|bound| bound.address));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
    let busy_wait = BusyWait::default();
    let capacity = Capacity::of(options.max_state);
    let new_hub = new_hub(options, runtime.handle().clone(), busy_wait.clone(), capacity.clone());
    let naming =
        Naming { names: options.hubs.clone(), dynamic: options.dynamic_hubs, missing: options.missing_hub };
    let hubs = Hubs::new(naming, new_hub, options.clock.clone());
    let limits = options.size_limits();
    let service = Service {
        hubs: hubs.clone(),
        clock: options.clock.clone(),
        capacity,
        budget: ClientBudget::new(options.client_limits),
        max_payload: limits.payload,
    };
    let hint = match health_address {
        Some(health) => format!("Health is on http://{}/healthz.", authority(health)),
        None => "Health is served by grpc.health.v1.".to_owned(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let served = hubs.clone();
    let keep_alive = options.worker_timeout.map(KeepAliveTimes::within);
    let max_connections = descriptors::connections(options.max_connections);
    let thread = std::thread::Builder::new()
        .name("taskhub-emulator".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(busy_wait.run());
                let ports = ServedPorts {
                    grpc: grpc.listeners,
                    router: GrpcRouter::new(service, limits.message, &hint).await,
                    health: health.map_or_else(Vec::new, |bound| bound.listeners),
                    health_page: Health::new(served.clone()),
                    connections: Connections::at_most(max_connections),
                    keep_alive,
                };
                serve(ports, stopped, &served).await;
            });
            // Ends the tasks that are left, and with them the connections that they hold.
            runtime.shutdown_background();
        })
        .map_err(StartError::Runtime)?;
    Ok(Emulator { address, health: health_address, hubs, stop: Some(stop), thread: Some(thread) })
}

/// Makes hubs that run on the emulator's thread, whichever thread calls.
fn new_hub(
    options: &EmulatorOptions,
    runtime: tokio::runtime::Handle,
    busy_wait: BusyWait,
    capacity: Capacity,
) -> NewHub {
    let (store, clock, seed) = (options.store.clone(), options.clock.clone(), options.seed);
    let limits = options.size_limits();
    let config = Config {
        timer_lag: options.timer_lag,
        gather: options.gather,
        max_payload: limits.payload,
        item_bytes: limits.item,
        unstated_limit: options.unstated_limit,
        backlog: MAX_UNREAD_WORK,
        stall: options.worker_timeout,
        leases: options.leases,
        most_losses: options.max_worker_losses,
        unattended: options.unattended,
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

/// The listeners of both ports, and what serves their connections.
struct ServedPorts {
    grpc: Vec<StdListener>,
    router: GrpcRouter,
    health: Vec<StdListener>,
    health_page: Health,
    connections: Connections,
    keep_alive: Option<KeepAliveTimes>,
}

/// Serves until `stopped` resolves, then closes what is open.
async fn serve(ports: ServedPorts, stopped: oneshot::Receiver<()>, hubs: &Hubs) {
    let ServedPorts { grpc, router, health, health_page, connections, keep_alive } = ports;
    let mut accepting = JoinSet::new();
    for listener in grpc {
        let router = router.clone();
        let serve = move |stream, connection| {
            let notice = Arc::<CloseNotice>::default();
            let router = router.for_connection(notice.clone());
            let (notice, clock) = (Some(notice), Arc::new(WallClock));
            tokio::spawn(connection::serve(stream, connection, notice, router, keep_alive, clock));
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
    // The sender is only ever dropped: by `Emulator::stop`, or with the emulator.
    let _ = stopped.await;
    accepting.shutdown().await;
    // Hubs first: they end their streams with a status and answer the calls that wait. The connections carry these replies.
    let stopping = async {
        for (_, hub) in hubs.all() {
            hub.stop().await;
        }
    };
    tokio::select! {
        () = stopping => {}
        // A hub waits for its store; the emulator does not wait for a store that does not answer.
        () = WallClock.sleep_until(WallClock.now().plus(SHUTDOWN_TIMEOUT)) => {}
    }
    connections.close_all();
    tokio::select! {
        () = connections.all_gone() => {}
        () = WallClock.sleep_until(WallClock.now().plus(SHUTDOWN_TIMEOUT)) => {}
    }
}
