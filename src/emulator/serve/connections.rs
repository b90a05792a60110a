//! Counts the open connections of an emulator, and finds one that can make way for another.
//!
//! A connection costs the process a descriptor. Without a bound, clients that connect and say nothing take all of them,
//! and no other client gets in. So there is a bound below what the process may have; once it is reached, the connection
//! that has been without a call for longest is closed for the new one.
//!
//! No call reads the clock for this. It notes instead how many connections had been accepted when it began, which is
//! enough to tell which connection was used last.

use crate::clock::Clock;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// The open connections of an emulator, of all its ports together.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    /// How many were accepted so far.
    accepted: AtomicU64,
    /// By the number under which each was accepted.
    open: Mutex<BTreeMap<u64, Open>>,
    /// Told when the last one is gone.
    none_left: Notify,
}

#[derive(Debug)]
struct Open {
    activity: Arc<Activity>,
    leave: oneshot::Sender<Leave>,
}

/// What a connection is told that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// At once: its descriptor is needed.
    Now,
    /// When its calls are answered; the other end is told.
    InGoodOrder,
}

/// What a connection has done, written by its own tasks and read by others.
#[derive(Debug)]
pub(super) struct Activity {
    /// Calls that have begun and are not answered completely.
    calls: AtomicUsize,
    /// Calls that have begun, the answered ones too.
    begun: AtomicU64,
    /// How many connections had been accepted when the last call began; 0 before the first.
    last_call: AtomicU64,
    /// Whether it has said enough to be a client: a call, or the beginning of HTTP/2.
    spoken: AtomicBool,
    shared: Arc<Shared>,
}

/// What came of asking for one more connection.
#[derive(Debug)]
pub(super) enum Admission {
    /// There is room.
    Room(Connection),
    /// There is room because another connection was told to leave. It does once its task has run.
    InPlaceOfAnother(Connection),
    /// There is none, and every connection has a call open.
    Full,
}

impl Connections {
    pub(super) fn at_most(most: usize) -> Self {
        Self(Arc::new(Shared {
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

    /// Counts one more connection, if need be in place of one that has no call open.
    pub(super) fn admit(&self) -> Admission {
        let mut open = self.0.open();
        let full = open.len() >= self.0.most;
        if full && !make_way(&mut open) {
            return Admission::Full;
        }
        let number = self.0.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let activity = Arc::new(Activity {
            calls: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            last_call: AtomicU64::new(0),
            spoken: AtomicBool::new(false),
            shared: self.0.clone(),
        });
        let (leave, told) = oneshot::channel();
        open.insert(number, Open { activity: activity.clone(), leave });
        let connection = Connection { number, activity, told };
        if full { Admission::InPlaceOfAnother(connection) } else { Admission::Room(connection) }
    }

    /// Tells the connection to leave that has been without a call for longest. Whether there was one.
    pub(super) fn make_way(&self) -> bool {
        make_way(&mut self.0.open())
    }

    /// Tells every connection to end in good order. Later ones are not told.
    pub(super) fn close_all(&self) {
        // Each still counts until it has ended.
        let numbers: Vec<u64> = self.0.open().keys().copied().collect();
        for number in numbers {
            self.0.tell(number, Leave::InGoodOrder);
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

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        // No code that could panic runs under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a connection to end, which can be told once.
    fn tell(&self, number: u64, what: Leave) {
        let mut open = self.open();
        let Some(found) = open.get_mut(&number) else { return };
        let (never, _) = oneshot::channel();
        let leave = std::mem::replace(&mut found.leave, never);
        drop(open);
        let _ = leave.send(what);
    }
}

/// Connections that never made a call go first, then those whose last call is longest ago.
fn make_way(open: &mut BTreeMap<u64, Open>) -> bool {
    let idle = open.iter().filter(|(_, open)| !open.activity.has_calls());
    let longest =
        idle.min_by_key(|(number, open)| (open.activity.last_call.load(Ordering::Relaxed), **number));
    let Some(number) = longest.map(|(number, _)| *number) else { return false };
    // It counts as gone from here on, so that the next one that needs room does not choose it again.
    if let Some(leaving) = open.remove(&number) {
        let _ = leaving.leave.send(Leave::Now);
    }
    true
}

/// An open connection. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    activity: Arc<Activity>,
    told: oneshot::Receiver<Leave>,
}

impl Connection {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Done when the connection is to end.
    pub(super) async fn told_to_leave(&mut self) -> Leave {
        // A connection that made way was told so before it was forgotten.
        (&mut self.told).await.unwrap_or(Leave::Now)
    }

    /// Tells a connection to end that was silent for too long, for as long as it is open.
    pub(super) fn watch(
        &self,
        patience: Patience,
        clock: Arc<dyn Clock>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (number, activity) = (self.number, self.activity.clone());
        async move {
            clock.sleep_until(clock.now().plus(patience.opening)).await;
            if !activity.is_client() {
                tracing::debug!("a connection is closed: its client has said nothing");
                activity.shared.tell(number, Leave::Now);
                return;
            }
            loop {
                let begun = activity.begun();
                clock.sleep_until(clock.now().plus(patience.idle)).await;
                if !activity.has_calls() && activity.begun() == begun {
                    activity.shared.tell(number, Leave::InGoodOrder);
                    return;
                }
            }
        }
    }
}

/// How long a connection may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until it has begun to speak.
    pub(super) opening: Duration,
    /// Without a call. It ends after that time at the earliest and after twice that time at the latest.
    pub(super) idle: Duration,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.activity.shared.open();
        open.remove(&self.number);
        if open.is_empty() {
            self.activity.shared.none_left.notify_waiters();
        }
    }
}

impl Activity {
    /// Counts a call until what this returns is dropped.
    pub(super) fn begin_call(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Calls begin in one task, that of the connection: nothing is lost between the load and the store.
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.last_call.store(self.shared.accepted.load(Ordering::Relaxed), Ordering::Relaxed);
        Call(self.clone())
    }

    /// Whether a call is open.
    pub(super) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// How many calls have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes that the other end speaks HTTP/2.
    pub(super) fn has_spoken(&self) {
        self.spoken.store(true, Ordering::Relaxed);
    }

    /// Whether the other end has said anything that a client says.
    pub(super) fn is_client(&self) -> bool {
        self.spoken.load(Ordering::Relaxed) || self.begun() > 0
    }
}

/// A call that is open.
#[derive(Debug)]
pub(super) struct Call(Arc<Activity>);

impl Drop for Call {
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
            Admission::Room(connection) | Admission::InPlaceOfAnother(connection) => connection,
            Admission::Full => panic!("it is full"),
        }
    }

    fn told(connection: &mut Connection) -> bool {
        connection.told_to_leave().now_or_never() == Some(Leave::Now)
    }

    #[test]
    fn who_never_called_makes_way_first_and_then_who_called_longest_ago() {
        let connections = Connections::at_most(3);
        let [mut one, mut two] = [admitted(&connections), admitted(&connections)];
        drop(one.activity().begin_call());
        let mut three = admitted(&connections);
        drop(two.activity().begin_call());
        let _four = admitted(&connections);
        assert_eq!([told(&mut one), told(&mut two), told(&mut three)], [false, false, true]);
        let five = admitted(&connections);
        let _calling = five.activity().begin_call();
        assert_eq!([told(&mut one), told(&mut two)], [false, false], "the fourth went, which never called");
        let _six = admitted(&connections);
        assert_eq!([told(&mut one), told(&mut two)], [true, false]);
    }

    #[test]
    fn a_connection_with_a_call_stays_and_where_all_have_one_nobody_else_gets_in() {
        let connections = Connections::at_most(1);
        let mut one = admitted(&connections);
        let call = one.activity().begin_call();
        assert!(matches!(connections.admit(), Admission::Full));
        assert!(!told(&mut one));
        drop(call);
        assert!(matches!(connections.admit(), Admission::InPlaceOfAnother(_)));
        assert!(told(&mut one));
    }

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let connections = Connections::at_most(1);
        drop(admitted(&connections));
        assert!(matches!(connections.admit(), Admission::Room(_)));
        assert!(connections.all_gone().now_or_never().is_some());
    }
}
