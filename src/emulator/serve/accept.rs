//! Accepts connections, as many as there is room for.

use super::connections::{AdmitResult, Connection, Connections};
use crate::clock::{Clock as _, WallClock};
use crate::emulator::dispatch::WarningLimiter;
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long the listener pauses after an error of the system: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Passes every connection of `listener` to `serve`, or to `refuse` where there is no room. Never ends.
pub(super) async fn accept(
    listener: StdListener,
    connections: Connections,
    mut serve: impl FnMut(TcpStream, Connection),
    refuse: impl Fn(&TcpStream, usize),
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a port is not served: its listener is lost");
            return;
        }
    };
    let (mut pause, mut warnings) = (FIRST_PAUSE, WarningLimiter::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                // Replies are small and a client waits for each, so the system must not delay one to join it with the next.
                let _ = stream.set_nodelay(true);
                match connections.admit() {
                    AdmitResult::Admitted(connection) => serve(stream, connection),
                    AdmitResult::AdmittedByEviction(connection) => {
                        serve(stream, connection);
                        // The evicted connection keeps its descriptor until its task has run, which this yield allows.
                        tokio::task::yield_now().await;
                    }
                    AdmitResult::Full => {
                        let most = connections.most();
                        if let Some(left_out) = warnings.allows("full", WallClock.now()) {
                            tracing::warn!(
                                most,
                                left_out,
                                "a connection is refused: every open one has a call under way"
                            );
                        }
                        refuse(&stream, most);
                    }
                }
            }
            // The client closed the connection before it was accepted.
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                // The process or the system has no descriptor left: close a connection without calls.
                let evicted = connections.evict_idle();
                if let Some(left_out) = warnings.allows("accept", WallClock.now()) {
                    tracing::warn!(%error, left_out, "a connection cannot be accepted; trying again");
                }
                if evicted {
                    tokio::task::yield_now().await;
                }
                WallClock.sleep_until(WallClock.now().plus(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Refuses a gRPC client: an empty `SETTINGS` frame, which a server must send first, and a `GOAWAY` with the reason.
pub(super) fn refuse_http2(stream: &TcpStream, most: usize) {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let why = format!(
        "{most} connections are open and each has a call under way; close some, or allow more connections and descriptors"
    );
    let length = u32::try_from(8 + why.len()).unwrap_or(8).to_be_bytes();
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    frames.extend([length[1], length[2], length[3], 7, 0, 0, 0, 0, 0]);
    frames.extend([0; 4]);
    frames.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    frames.extend(why.as_bytes());
    // The send buffer of a new connection is empty. If the write fails all the same, the client sees the connection close.
    let _ = stream.try_write(&frames);
}

/// Refuses an HTTP/1.1 client.
pub(super) fn refuse_http1(stream: &TcpStream, most: usize) {
    let why = format!("{most} connections are open and each has a call under way\n");
    let length = why.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}"
    );
    let _ = stream.try_write(answer.as_bytes());
}
