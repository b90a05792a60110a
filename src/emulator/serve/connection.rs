//! Serves one connection until either end has had enough of it.

use super::calls::Counted;
use super::connections::{Connection, Leave, Patience};
use super::socket::Observed;
use crate::clock::Clock;
use crate::emulator::dispatch::CloseNotice;
use crate::emulator::keep_alive::{Coarse, KeepAlive};
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

/// How long a client has for the first words of its protocol, and for the head of each HTTP/1.1 request. Official clients
/// need milliseconds, a client on a network that loses packets a few seconds.
const OPENING: Duration = Duration::from_secs(20);

/// Without a call for an hour, a connection is closed in good order. Official clients keep a channel for as long as their
/// process lives, and connect again without an error when they need it.
const PATIENCE: Patience = Patience { opening: OPENING, idle: Duration::from_secs(60 * 60) };

/// How long a client has to end a connection that is closed in good order.
const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// How much may be under way on a stream before it is acknowledged: loopback is fast, histories are long.
const WINDOW: u32 = 8 << 20;

/// How many calls of one connection may be given up before they are seen.
const ABANDONED: usize = 100_000;

/// How many calls one connection may have open. A client that wants more waits with them, and with what follows on the
/// connection, so this is well above how many may wait for an instance (`service/admission`): completions always pass.
const STREAMS: u32 = 20_000;

/// What a connection talks to.
pub(super) trait Served<B>:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<B>,
        Error = Infallible,
        Future: Unpin + Send + 'static,
    >
{
}

impl<S, B> Served<B> for S where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Unpin + Send + 'static,
        >
{
}

fn protocol(keep_alive: Option<KeepAlive>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(OPENING);
    builder
        .http2()
        .timer(Coarse::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(keep_alive.map(|keep_alive| keep_alive.interval))
        .keep_alive_timeout(keep_alive.map_or(Duration::MAX, |keep_alive| keep_alive.answer))
        .max_concurrent_streams(STREAMS)
        // A client may give up hundreds of waits at once, some before they were seen here. The usual guard
        // takes twenty such for an attack and ends the connection, and with it every worker that shares it.
        .max_pending_accept_reset_streams(ABANDONED)
        .max_local_error_reset_streams(ABANDONED)
        .max_send_buf_size(1 << 20);
    builder
}

/// Serves `stream` until it ends, or is told to. How its client closes it is kept in `notice`.
pub(super) async fn serve<T, S, B>(
    stream: T,
    mut connection: Connection,
    notice: Option<Arc<CloseNotice>>,
    service: S,
    keep_alive: Option<KeepAlive>,
    clock: Arc<dyn Clock>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Served<B>,
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Unpin + Send + 'static,
{
    let builder = protocol(keep_alive);
    let activity = connection.activity().clone();
    // In a task of its own: this one runs for every frame, and polls no timer then.
    let watch = AbortOnDrop(tokio::spawn(connection.watch(PATIENCE, clock.clone())));
    let io = TokioIo::new(Observed::new(stream, activity.clone(), notice));
    let mut served = pin!(builder.serve_connection(io, Counted::new(service, activity)));
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        leave = connection.told_to_leave() => {
            drop(watch);
            served.as_mut().graceful_shutdown();
            match leave {
                Leave::Now => {
                    // The client is told if the system takes the word at once.
                    poll_once(served.as_mut()).await;
                    return;
                }
                Leave::InGoodOrder => tokio::select! {
                    biased;
                    ended = served.as_mut() => ended,
                    () = clock.sleep_until(clock.now().plus(CLOSE_GRACE)) => return,
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

/// A task that ends with what it belongs to.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
