//! Takes connections from a listener, as many as there is room for.

use super::connections::{Admission, Connection, Connections};
use crate::clock::{Clock as _, WallClock};
use crate::model::Timestamp;
use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long the listener rests when the system gives it no connection: at first, and at the longest.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How often trouble is told at the most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Gives `serve` every connection of `listener`, for ever. Where there is no room for one, `refuse` gets it.
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
    let (mut rest, mut trouble) = (FIRST_REST, Trouble::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                rest = FIRST_REST;
                // Answers are small and somebody waits for each: never hold one back to join it with the next.
                let _ = stream.set_nodelay(true);
                match connections.admit() {
                    Admission::Room(connection) => serve(stream, connection),
                    Admission::InPlaceOfAnother(connection) => {
                        serve(stream, connection);
                        // The other has its descriptor until its task has run, which is before this one runs again.
                        tokio::task::yield_now().await;
                    }
                    Admission::Full => {
                        let most = connections.most();
                        trouble.tell(|untold| {
                            tracing::warn!(
                                most,
                                untold,
                                "a connection is refused: every open one has a call under way"
                            );
                        });
                        refuse(&stream, most);
                    }
                }
            }
            // The client was gone before it was accepted.
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                // No descriptor is left in the process, or in the system: one that nobody uses may help.
                let made_way = connections.make_way();
                trouble.tell(|untold| {
                    tracing::warn!(%error, untold, "a connection cannot be accepted; trying again");
                });
                if made_way {
                    tokio::task::yield_now().await;
                }
                WallClock.sleep_until(WallClock.now().plus(rest)).await;
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What goes wrong again and again, told now and then.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<Timestamp>,
    untold: u64,
}

impl Trouble {
    fn tell(&mut self, tell: impl FnOnce(u64)) {
        let now = WallClock.now();
        if self.told.is_some_and(|told| now.since(told) < TOLD_EVERY) {
            self.untold += 1;
            return;
        }
        self.told = Some(now);
        tell(std::mem::take(&mut self.untold));
    }
}

/// What a client of gRPC is told for whom there is no room: an empty `SETTINGS` frame, which is what a server says first,
/// and a `GOAWAY` with the reason in words.
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
    // A new connection has room for it; if it has not, the client learns from the end of the connection.
    let _ = stream.try_write(&frames);
}

/// The same for a client of HTTP/1.1.
pub(super) fn refuse_http1(stream: &TcpStream, most: usize) {
    let why = format!("{most} connections are open and each has a call under way\n");
    let length = why.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}"
    );
    let _ = stream.try_write(answer.as_bytes());
}
