//! Counts the open connections of an emulator, and evicts the least recently used one for another.
//!
//! Each connection takes a descriptor of the process. Without a bound, clients that connect and send nothing take all of
//! them. So there is a bound below the process's limit. Once it is reached, the connection without a call for longest is
//! closed for the new one.
//!
//! No call reads the clock for this. A call notes the number of connections accepted so far, which orders the last calls
//! of connections as well as a time would.

use crate::clock::Clock;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// The open connections of an emulator, of all its ports together.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<ConnectionTable>);

#[derive(Debug)]
struct ConnectionTable {
    most: usize,
    /// How many were accepted so far.
    accepted: AtomicU64,
    /// By the number under which each was accepted.
    open: Mutex<BTreeMap<u64, OpenConnection>>,
    /// Notified when the last connection is gone.
    none_left: Notify,
}

#[derive(Debug)]
struct OpenConnection {
    usage: Arc<ConnectionUsage>,
    close: oneshot::Sender<CloseMode>,
}

/// How a connection is to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseMode {
    /// At once: its descriptor is needed.
    Now,
    /// When its calls are answered; the client gets a GOAWAY.
    Graceful,
}

/// The use of a connection, written by its own tasks and read by others.
#[derive(Debug)]
pub(super) struct ConnectionUsage {
    /// Open calls: begun, and their responses not written completely.
    calls: AtomicUsize,
    /// All calls so far.
    begun: AtomicU64,
    /// How many connections had been accepted when the last call began; 0 before the first.
    last_call: AtomicU64,
    /// Whether the client has sent a whole HTTP/2 preface.
    handshaken: AtomicBool,
    shared: Arc<ConnectionTable>,
}

/// The result of [`Connections::admit`].
#[derive(Debug)]
pub(super) enum AdmitResult {
    /// There is room.
    Admitted(Connection),
    /// There is room because another connection was asked to close. It closes once its task has run.
    AdmittedByEviction(Connection),
    /// There is no room, and every connection has an open call.
    Full,
}

impl Connections {
    pub(super) fn at_most(most: usize) -> Self {
        Self(Arc::new(ConnectionTable {
            most,
            accepted: AtomicU64::new(0),
            open: Mutex::default(),
            none_left: Notify::new(),
        }))
    }

    /// How many may be open.
    pub(super) fn most(&self) -> usize {
        self.0.most
    }

    /// Counts one more connection, if need be in place of one without an open call.
    pub(super) fn admit(&self) -> AdmitResult {
        let mut open = self.0.open();
        let full = open.len() >= self.0.most;
        if full && !evict_idle(&mut open) {
            return AdmitResult::Full;
        }
        let number = self.0.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let usage = Arc::new(ConnectionUsage {
            calls: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            last_call: AtomicU64::new(0),
            handshaken: AtomicBool::new(false),
            shared: self.0.clone(),
        });
        let (close, close_request) = oneshot::channel();
        open.insert(number, OpenConnection { usage: usage.clone(), close });
        let connection = Connection { number, usage, close_request };
        if full { AdmitResult::AdmittedByEviction(connection) } else { AdmitResult::Admitted(connection) }
    }

    /// Asks the connection to close that has been without a call for longest. Returns whether there was one.
    pub(super) fn evict_idle(&self) -> bool {
        evict_idle(&mut self.0.open())
    }

    /// Asks every open connection to close gracefully.
    pub(super) fn close_all(&self) {
        // Each still counts until it has ended.
        let numbers: Vec<u64> = self.0.open().keys().copied().collect();
        for number in numbers {
            self.0.request_close(number, CloseMode::Graceful);
        }
    }

    /// Done when no connection is open.
    pub(super) async fn all_gone(&self) {
        loop {
            let gone = self.0.none_left.notified();
            if self.0.open().is_empty() {
                return;
            }
            gone.await;
        }
    }
}

impl ConnectionTable {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, OpenConnection>> {
        // No code that could panic runs under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a connection to close. Only the first request has an effect.
    fn request_close(&self, number: u64, mode: CloseMode) {
        let mut open = self.open();
        let Some(found) = open.get_mut(&number) else { return };
        let (never, _) = oneshot::channel();
        let close = std::mem::replace(&mut found.close, never);
        drop(open);
        let _ = close.send(mode);
    }
}

/// Evicts a connection without an open call: first one that never made a call, then the one with the oldest last call.
fn evict_idle(open: &mut BTreeMap<u64, OpenConnection>) -> bool {
    let idle = open.iter().filter(|(_, open)| !open.usage.has_calls());
    let longest = idle.min_by_key(|(number, open)| (open.usage.last_call.load(Ordering::Relaxed), **number));
    let Some(number) = longest.map(|(number, _)| *number) else { return false };
    // Removed at once, so that the next eviction does not choose it again.
    if let Some(evicted) = open.remove(&number) {
        let _ = evicted.close.send(CloseMode::Now);
    }
    true
}

/// An open connection. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    usage: Arc<ConnectionUsage>,
    close_request: oneshot::Receiver<CloseMode>,
}

impl Connection {
    pub(super) fn usage(&self) -> &Arc<ConnectionUsage> {
        &self.usage
    }

    /// Resolves when the connection is to close.
    pub(super) async fn close_requested(&mut self) -> CloseMode {
        // The sender is dropped without a message only when an evicted connection's entry was removed.
        (&mut self.close_request).await.unwrap_or(CloseMode::Now)
    }

    /// Asks the connection to close once one of its timeouts has passed. Runs until then.
    pub(super) fn enforce_timeouts(
        &self,
        timeouts: ConnectionTimeouts,
        clock: Arc<dyn Clock>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (number, usage) = (self.number, self.usage.clone());
        async move {
            clock.sleep_until(clock.now().plus(timeouts.handshake)).await;
            if !usage.is_client() {
                tracing::debug!("a connection is closed: its client has sent nothing");
                usage.shared.request_close(number, CloseMode::Now);
                return;
            }
            loop {
                let begun = usage.begun();
                clock.sleep_until(clock.now().plus(timeouts.idle)).await;
                if !usage.has_calls() && usage.begun() == begun {
                    usage.shared.request_close(number, CloseMode::Graceful);
                    return;
                }
            }
        }
    }
}

/// How long a connection may be unused.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionTimeouts {
    /// From the accept to the end of the HTTP/2 preface, or to the first call.
    pub(super) handshake: Duration,
    /// Without a call. The connection closes after this time at the earliest and twice this time at the latest.
    pub(super) idle: Duration,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.usage.shared.open();
        open.remove(&self.number);
        if open.is_empty() {
            self.usage.shared.none_left.notify_waiters();
        }
    }
}

impl ConnectionUsage {
    /// Counts a call until what this returns is dropped.
    pub(super) fn begin_call(self: &Arc<Self>) -> OpenCall {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Only the connection's task begins calls, so no increment is lost between the load and the store.
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.last_call.store(self.shared.accepted.load(Ordering::Relaxed), Ordering::Relaxed);
        OpenCall(self.clone())
    }

    /// Whether a call is open.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// How many calls have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes that the client has sent an HTTP/2 preface.
    pub(super) fn handshake_done(&self) {
        self.handshaken.store(true, Ordering::Relaxed);
    }

    /// Whether the client has sent a preface or made a call.
    pub(super) fn is_client(&self) -> bool {
        self.handshaken.load(Ordering::Relaxed) || self.begun() > 0
    }
}

/// An open call. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct OpenCall(Arc<ConnectionUsage>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn admitted(connections: &Connections) -> Connection {
        match connections.admit() {
            AdmitResult::Admitted(connection) | AdmitResult::AdmittedByEviction(connection) => connection,
            AdmitResult::Full => panic!("it is full"),
        }
    }

    fn evicted(connection: &mut Connection) -> bool {
        connection.close_requested().now_or_never() == Some(CloseMode::Now)
    }

    #[test]
    fn a_connection_without_calls_is_evicted_first_and_then_the_one_with_the_oldest_call() {
        let connections = Connections::at_most(3);
        let [mut one, mut two] = [admitted(&connections), admitted(&connections)];
        drop(one.usage().begin_call());
        let mut three = admitted(&connections);
        drop(two.usage().begin_call());
        let _four = admitted(&connections);
        assert_eq!([evicted(&mut one), evicted(&mut two), evicted(&mut three)], [false, false, true]);
        let five = admitted(&connections);
        let _calling = five.usage().begin_call();
        assert_eq!(
            [evicted(&mut one), evicted(&mut two)],
            [false, false],
            "the fourth went, which never called"
        );
        let _six = admitted(&connections);
        assert_eq!([evicted(&mut one), evicted(&mut two)], [true, false]);
    }

    #[test]
    fn a_connection_with_an_open_call_stays_and_where_all_have_one_a_new_one_is_refused() {
        let connections = Connections::at_most(1);
        let mut one = admitted(&connections);
        let call = one.usage().begin_call();
        assert!(matches!(connections.admit(), AdmitResult::Full));
        assert!(!evicted(&mut one));
        drop(call);
        assert!(matches!(connections.admit(), AdmitResult::AdmittedByEviction(_)));
        assert!(evicted(&mut one));
    }

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let connections = Connections::at_most(1);
        drop(admitted(&connections));
        assert!(matches!(connections.admit(), AdmitResult::Admitted(_)));
        assert!(connections.all_gone().now_or_never().is_some());
    }
}
