//! Runs an emulator on a thread of its own.
//!
//! The listener, the service and the hubs live on one thread with a current-thread runtime: a turn that has to wake
//! another thread costs more than deciding it does (docs/performance.md).

use super::builder::EmulatorBuilder;
use super::dispatch::Partings;
use super::engine::Config;
use super::farewell::Watched;
use super::keep_alive::{Coarse, KeepAlive};
use super::listen::{Listeners, bind};
use super::running::{StartError, authority};
use super::service::{Front, Hubs, NewHub, Service};
use super::{dispatch, health};
use crate::clock::{Clock as _, WallClock};
use crate::linger::Linger;
use crate::model::HubName;
use crate::wire::task_hub_sidecar_service_server::TaskHubSidecarServiceServer;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How long connections have to end by themselves once the hubs have.
const GRACE: Duration = Duration::from_millis(500);

/// How long the listener rests when the system has no descriptor left for one more connection.
const REST: Duration = Duration::from_millis(10);

/// How much may be under way on a stream before it is acknowledged: loopback is fast, histories are long.
const WINDOW: u32 = 8 << 20;

/// How many bytes of work items may wait for a worker to read them before its stream gets no more.
const BACKLOG: usize = 4 << 20;

/// How many calls of one connection may be given up before they are seen.
const ABANDONED: usize = 100_000;

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
    let linger = Linger::default();
    let new_hub = new_hub(how, runtime.handle().clone(), linger.clone());
    let hubs = Hubs::new(&how.hubs, how.dynamic_hubs, how.missing_hub, new_hub);
    let limits = how.limits();
    let service = Service { hubs: hubs.clone(), clock: how.clock.clone(), max_payload: limits.payload };
    let hint = match health_address {
        Some(health) => format!("Health is on http://{}/healthz.", authority(health)),
        None => "Whether it is up, grpc.health.v1 says.".to_owned(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let served = hubs.clone();
    let keep_alive = how.worker_timeout.map(KeepAlive::within);
    let thread = std::thread::Builder::new()
        .name("taskhub-emulator".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let (reporter, health_service) = tonic_health::server::health_reporter();
                reporter.set_serving::<TaskHubSidecarServiceServer<Service>>().await;
                tokio::spawn(linger.keep_looking());
                let front = Front::new(service, health_service, limits.message, &hint);
                for listener in health.into_iter().flat_map(|bound| bound.listeners) {
                    tokio::spawn(serve_health(listener, health::router(served.clone())));
                }
                serve(grpc.listeners, front, stopped, &served, keep_alive).await;
            });
            // Whatever still holds a connection loses it here.
            runtime.shutdown_background();
        })
        .map_err(StartError::Runtime)?;
    Ok(Serving { address, health: health_address, hubs, stop, thread })
}

/// Makes hubs that run on the emulator's thread, whoever asks for them.
fn new_hub(how: &EmulatorBuilder, runtime: tokio::runtime::Handle, linger: Linger) -> NewHub {
    let (store, clock, seed) = (how.store.clone(), how.clock.clone(), how.seed);
    let limits = how.limits();
    let config = Config {
        timer_lag: how.timer_lag,
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
        let hub = dispatch::Hub::open(name, config, store(name), clock.now());
        match hub {
            Ok(hub) => {
                let (handle, run) = dispatch::start(hub, clock.clone(), linger.clone());
                runtime.spawn(run);
                handle
            }
            Err(fault) => {
                tracing::error!(hub = %name, %fault, "the hub does not start");
                dispatch::Handle::to_nowhere()
            }
        }
    })
}

async fn serve<H: Clone>(
    listeners: Vec<StdListener>,
    front: Front<H>,
    mut stopped: oneshot::Receiver<()>,
    hubs: &Hubs,
    keep_alive: Option<KeepAlive>,
) where
    Front<H>: hyper::service::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<tonic::body::Body>,
            Error = std::convert::Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    let mut listeners = match Listeners::new(listeners) {
        Ok(listeners) => listeners,
        Err(error) => {
            tracing::error!(%error, "the listener is lost");
            return;
        }
    };
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            // Either word means the same: told to stop, or the emulator was dropped.
            _ = &mut stopped => break,
            accepted = listeners.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a client gone before it was accepted: others still can be served.
                tracing::warn!(%error, "a connection could not be accepted");
                WallClock.sleep_until(WallClock.now().plus(REST)).await;
                continue;
            }
        };
        // Answers are small and somebody waits for each: never hold one back to join it with the next.
        let _ = stream.set_nodelay(true);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        builder
            .http2()
            .timer(Coarse::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(keep_alive.map(|keep_alive| keep_alive.interval))
            .keep_alive_timeout(keep_alive.map_or(Duration::MAX, |keep_alive| keep_alive.answer))
            .max_concurrent_streams(None)
            // A client may give up hundreds of waits at once, some before they were seen here. The usual guard
            // takes twenty such for an attack and ends the connection, and with it every worker that shares it.
            .max_pending_accept_reset_streams(ABANDONED)
            .max_local_error_reset_streams(ABANDONED)
            .max_send_buf_size(1 << 20);
        let partings = Arc::<Partings>::default();
        let (front, mut closing) = (front.over(partings.clone()), closing.subscribe());
        let stream = Watched::new(stream, partings);
        connections.spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), front);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = async { drop(closing.wait_for(|closing| *closing).await) } => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listeners);
    // First the hubs: their streams end with a word and whoever waits is answered. Then the connections.
    for (_, hub) in hubs.all() {
        hub.stop().await;
    }
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = WallClock.sleep_until(WallClock.now().plus(GRACE)) => {}
    }
}

async fn serve_health(listener: StdListener, router: axum::Router) {
    let served = match TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the health port is not served any more");
    }
}
