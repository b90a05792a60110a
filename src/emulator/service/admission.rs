//! Bounds what clients may have under way: replies that they do not read, requests that they send in part, and waits.
//!
//! A large reply takes memory from the moment it is made until the client's end has taken its last byte, and a client that
//! asks and does not read can ask for many. So a large reply takes part of a budget with it on its way, one of its
//! connection and one of all connections. Where there is none left it is dropped, waits for a while without its bytes,
//! and is made again or refused; a client that reads never notices. Small replies are not counted: what they are bounded
//! by is the number of calls of a connection.

use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Up to this many bytes a reply is not counted.
pub(super) const SMALL: usize = 64 << 10;

/// What is counted at once: a semaphore has 32 bits for what one reply takes.
const UNIT: usize = 1 << 10;

/// How long a reply waits for others to be read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many clients may wait for instances on one connection.
const WAITS_OF_ONE: usize = 10_000;

/// The bounds of an emulator.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Bounds {
    /// Bytes of large replies that wait to be read, in all.
    pub(in crate::emulator) unread: usize,
    /// Bytes of clients' requests that have come in part, in all.
    pub(in crate::emulator) unsent: usize,
    /// Waits for instances, in all.
    pub(in crate::emulator) waits: usize,
}

/// What one connection, and all together, may still have under way.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Admission {
    all: Budget,
    one: Budget,
}

#[derive(Debug, Clone)]
struct Budget {
    unread: Arc<Semaphore>,
    unsent: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    bounds: Bounds,
}

/// The part of the budgets that a reply takes with it, given back when the last copy is dropped.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Reserved(
    #[expect(dead_code, reason = "it is held, not read")] Arc<[OwnedSemaphorePermit; 2]>,
);

/// A request that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Receiving(#[expect(dead_code, reason = "it is held, not read")] [OwnedSemaphorePermit; 2]);

/// A wait that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(#[expect(dead_code, reason = "it is held, not read")] [OwnedSemaphorePermit; 2]);

impl Budget {
    fn new(bounds: Bounds) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(u32::MAX as usize)));
        Self {
            unread: permits(units(bounds.unread)),
            unsent: permits(units(bounds.unsent)),
            waits: permits(bounds.waits),
            bounds,
        }
    }
}

/// What a message of that many bytes takes: no more than there is, so that one larger than the whole budget passes alone.
fn share(bytes: usize, bound: usize) -> u32 {
    u32::try_from(units(bytes).min(units(bound))).unwrap_or(u32::MAX)
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

impl Admission {
    pub(in crate::emulator) fn new(bounds: Bounds) -> Self {
        let all = Budget::new(bounds);
        Self { one: Budget::new(of_one(bounds)), all }
    }

    /// The same for one more connection.
    pub(in crate::emulator) fn of_connection(&self) -> Self {
        Self { all: self.all.clone(), one: Budget::new(of_one(self.all.bounds)) }
    }

    /// Reserves what a reply of so many bytes takes, if that is there now.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<Reserved> {
        let of_one =
            self.one.unread.clone().try_acquire_many_owned(share(bytes, self.one.bounds.unread)).ok()?;
        let of_all =
            self.all.unread.clone().try_acquire_many_owned(share(bytes, self.all.bounds.unread)).ok()?;
        Some(Reserved(Arc::new([of_one, of_all])))
    }

    /// Waits until that is there, for a while.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where other replies are not read meanwhile.
    pub(super) async fn reserve(&self, bytes: usize, clock: &dyn Clock) -> Result<Reserved, Status> {
        let reserve = async {
            let of_one = self
                .one
                .unread
                .clone()
                .acquire_many_owned(share(bytes, self.one.bounds.unread))
                .await
                .ok()?;
            let of_all = self
                .all
                .unread
                .clone()
                .acquire_many_owned(share(bytes, self.all.bounds.unread))
                .await
                .ok()?;
            Some(Reserved(Arc::new([of_one, of_all])))
        };
        let reserved = tokio::select! {
            biased;
            reserved = reserve => reserved,
            () = clock.sleep_until(clock.now().plus(PATIENCE)) => None,
        };
        reserved.ok_or_else(|| {
            Status::resource_exhausted(format!(
                "replies of {} bytes on this connection, or of {} bytes in all, wait to be read by their clients, and this one \
                 has {bytes}; read replies before asking for more, ask for less at once, or allow the emulator more unread bytes",
                self.one.bounds.unread, self.all.bounds.unread
            ))
        })
    }

    /// Counts a client's request of so many bytes that has come in part. It is refused at once where there is no room: left
    /// unread it would keep the bytes of the others from coming, which share its connection's window.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where too many bytes are on their way.
    pub(super) fn receive(&self, bytes: usize) -> Result<Receiving, Status> {
        let of = |budget: &Budget| {
            budget.unsent.clone().try_acquire_many_owned(share(bytes, budget.bounds.unsent)).ok()
        };
        let reserved = of(&self.one).and_then(|of_one| Some(Receiving([of_one, of(&self.all)?])));
        reserved.ok_or_else(|| {
            Status::resource_exhausted(format!(
                "requests of {} bytes on this connection, or of {} bytes in all, have come in part, and this one has {bytes}; \
                 send the rest of those, or fewer at once",
                self.one.bounds.unsent, self.all.bounds.unsent
            ))
        })
    }

    /// Counts a wait.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where too many are open.
    pub(super) fn wait(&self) -> Result<Waiting, Status> {
        let of_one = self.one.waits.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} waits for instances are open on this connection; let some of them end, or open another connection",
                self.one.bounds.waits
            ))
        })?;
        let of_all = self.all.waits.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} waits for instances are open; let some of them end, or allow the emulator more waits",
                self.all.bounds.waits
            ))
        })?;
        Ok(Waiting([of_one, of_all]))
    }
}

/// One connection has a quarter of the bytes of replies, and half of those of requests: a client that does not read, or
/// does not send, leaves room for others.
fn of_one(bounds: Bounds) -> Bounds {
    Bounds {
        unread: (bounds.unread / 4).max(1),
        unsent: (bounds.unsent / 2).max(1),
        waits: bounds.waits.min(WAITS_OF_ONE),
    }
}
