//! Serves one connection until either end closes it.

use super::calls::CountedService;
use super::connections::{CloseMode, Connection, ConnectionTimeouts};
use super::socket::Observed;
use crate::clock::Clock;
use crate::emulator::dispatch::CloseNotice;
use crate::emulator::keep_alive::{KeepAliveTimes, LazyTimer};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

/// How long a client has to open its protocol, and for the head of each HTTP/1.1 request. Official clients need
/// milliseconds; a client on a network that loses packets, a few seconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection without a call for an hour is closed gracefully. Official clients keep a channel for the life of their
/// process, and connect again without an error when they need it.
const TIMEOUTS: ConnectionTimeouts =
    ConnectionTimeouts { handshake: HANDSHAKE_TIMEOUT, idle: Duration::from_secs(60 * 60) };

/// How long a client has to close its end after a graceful close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The flow-control window of a stream and of a connection, in bytes: large histories pass without a round trip.
const WINDOW: u32 = 8 << 20;

/// How many calls a client may reset before the server has accepted them.
const MAX_RESET_STREAMS: usize = 100_000;

/// How many calls one connection may have open. Beyond it a client's library delays every further call, completions too,
/// so this is well above the number of waits that are allowed (`service/admission`).
const MAX_CONCURRENT_CALLS: u32 = 20_000;

/// A service that serves the requests of a connection.
pub(super) trait ConnectionService<B>:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = Infallible,
        Future: Unpin + Send + 'static,
    >
{
}

impl<S, B> ConnectionService<B> for S where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Unpin + Send + 'static,
        >
{
}

fn protocol(keep_alive: Option<KeepAliveTimes>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
    builder
        .http2()
        .timer(LazyTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(keep_alive.map(|keep_alive| keep_alive.interval))
        .keep_alive_timeout(keep_alive.map_or(Duration::MAX, |keep_alive| keep_alive.timeout))
        .max_concurrent_streams(MAX_CONCURRENT_CALLS)
        // A client may cancel hundreds of waits at once, some before the server has accepted them. By default h2 takes
        // twenty of these for an attack and closes the connection, and with it every worker stream on it.
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .max_send_buf_size(1 << 20);
    builder
}

/// Serves `stream` until it ends, or is asked to close. `notice` keeps how its client closes it.
pub(super) async fn serve<T, S, B>(
    stream: T,
    mut connection: Connection,
    notice: Option<Arc<CloseNotice>>,
    service: S,
    keep_alive: Option<KeepAliveTimes>,
    clock: Arc<dyn Clock>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ConnectionService<B>,
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Unpin + Send + 'static,
{
    let builder = protocol(keep_alive);
    let usage = connection.usage().clone();
    // The timeouts have a task of their own, so that this task, which runs for every frame, polls no timer.
    let timeouts = AbortOnDrop(tokio::spawn(connection.enforce_timeouts(TIMEOUTS, clock.clone())));
    let io = TokioIo::new(Observed::new(stream, usage.clone(), notice));
    let mut served = pin!(builder.serve_connection(io, CountedService::new(service, usage)));
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        mode = connection.close_requested() => {
            drop(timeouts);
            served.as_mut().graceful_shutdown();
            match mode {
                CloseMode::Now => {
                    // One poll sends the GOAWAY, if the socket takes it at once.
                    poll_once(served.as_mut()).await;
                    return;
                }
                CloseMode::Graceful => tokio::select! {
                    biased;
                    ended = served.as_mut() => ended,
                    () = clock.sleep_until(clock.now().plus(CLOSE_TIMEOUT)) => return,
                },
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn poll_once(mut future: Pin<&mut impl Future>) {
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// Aborts a task when dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
