//! Bounds what clients may have under way: unread replies, requests that have arrived in part, and waits.
//!
//! A large reply takes memory until the client has read its last byte, and a client that does not read can ask for many.
//! So a large reply reserves its bytes in two budgets, its connection's and that of all connections. Without room the
//! reply is dropped. Its call waits for room without the bytes, then asks again or is refused. A client that reads sees no
//! difference. Small replies are not counted: the number of calls of a connection bounds them.

use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Replies of up to this many bytes are not counted.
pub(super) const SMALL: usize = 64 << 10;

/// How many bytes a permit stands for: a semaphore counts the permits of one reply in 32 bits.
const UNIT: usize = 1 << 10;

/// How long a reply waits for room.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many waits for instances one connection may have open.
const MAX_WAITS_PER_CONNECTION: usize = 10_000;

/// What all clients of an emulator together may have under way.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct ClientLimits {
    /// Unread bytes of large replies.
    pub(in crate::emulator) unread: usize,
    /// Bytes of requests that have arrived in part.
    pub(in crate::emulator) unsent: usize,
    /// Waits for instances.
    pub(in crate::emulator) waits: usize,
}

/// What one connection, and all connections together, may still have under way.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct ClientBudget {
    total: Budget,
    connection: Budget,
}

#[derive(Debug, Clone)]
struct Budget {
    unread: Arc<Semaphore>,
    unsent: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    limits: ClientLimits,
}

/// The part of both budgets that a reply holds. It is given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct ReplyReservation(
    #[expect(dead_code, reason = "it is held, not read")] Arc<[OwnedSemaphorePermit; 2]>,
);

/// A request that has arrived in part. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct ReceivePermit(
    #[expect(dead_code, reason = "it is held, not read")] [OwnedSemaphorePermit; 2],
);

/// A wait. It counts until this is dropped.
#[derive(Debug)]
pub(super) struct WaitPermit(#[expect(dead_code, reason = "it is held, not read")] [OwnedSemaphorePermit; 2]);

impl Budget {
    fn new(limits: ClientLimits) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(u32::MAX as usize)));
        Self {
            unread: permits(units(limits.unread)),
            unsent: permits(units(limits.unsent)),
            waits: permits(limits.waits),
            limits,
        }
    }
}

/// The permits for a message of so many bytes. One larger than the whole budget takes all of it, and passes alone.
fn share(bytes: usize, limit: usize) -> u32 {
    u32::try_from(units(bytes).min(units(limit))).unwrap_or(u32::MAX)
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

impl ClientBudget {
    pub(in crate::emulator) fn new(limits: ClientLimits) -> Self {
        Self { connection: Budget::new(per_connection(limits)), total: Budget::new(limits) }
    }

    /// The budget of another connection, with the same total.
    pub(in crate::emulator) fn for_connection(&self) -> Self {
        Self { total: self.total.clone(), connection: Budget::new(per_connection(self.total.limits)) }
    }

    /// Reserves room for a reply of so many bytes, if there is room now.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<ReplyReservation> {
        let permit = |budget: &Budget| {
            let permits = share(bytes, budget.limits.unread);
            budget.unread.clone().try_acquire_many_owned(permits).ok()
        };
        Some(ReplyReservation(Arc::new([permit(&self.connection)?, permit(&self.total)?])))
    }

    /// Waits for that room, up to [`RESERVE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where clients do not read enough other replies meanwhile.
    pub(super) async fn reserve(&self, bytes: usize, clock: &dyn Clock) -> Result<ReplyReservation, Status> {
        let reserve = async {
            let permit = |budget: &Budget| {
                let permits = share(bytes, budget.limits.unread);
                budget.unread.clone().acquire_many_owned(permits)
            };
            let in_connection = permit(&self.connection).await.ok()?;
            let in_total = permit(&self.total).await.ok()?;
            Some(ReplyReservation(Arc::new([in_connection, in_total])))
        };
        let reserved = tokio::select! {
            biased;
            reserved = reserve => reserved,
            () = clock.sleep_until(clock.now().plus(RESERVE_TIMEOUT)) => None,
        };
        reserved.ok_or_else(|| {
            Status::resource_exhausted(format!(
                "replies of {} bytes on this connection, or of {} bytes in all, wait to be read by their clients, and this one \
                 has {bytes}; read replies before asking for more, ask for less at once, or allow the emulator more unread bytes",
                self.connection.limits.unread, self.total.limits.unread
            ))
        })
    }

    /// Counts a request of so many bytes that has arrived in part. Without room it is refused at once: left unread, it
    /// would fill the flow-control window that it shares with the other requests of its connection.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where too many bytes have arrived in part.
    pub(super) fn receive(&self, bytes: usize) -> Result<ReceivePermit, Status> {
        let permit = |budget: &Budget| {
            let permits = share(bytes, budget.limits.unsent);
            budget.unsent.clone().try_acquire_many_owned(permits).ok()
        };
        let both = || Some(ReceivePermit([permit(&self.connection)?, permit(&self.total)?]));
        both().ok_or_else(|| {
            Status::resource_exhausted(format!(
                "requests of {} bytes on this connection, or of {} bytes in all, have come in part, and this one has {bytes}; \
                 send the rest of those, or fewer at once",
                self.connection.limits.unsent, self.total.limits.unsent
            ))
        })
    }

    /// Counts a wait.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where too many are open.
    pub(super) fn wait(&self) -> Result<WaitPermit, Status> {
        let in_connection = self.connection.waits.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} waits for instances are open on this connection; let some of them end, or open another connection",
                self.connection.limits.waits
            ))
        })?;
        let in_total = self.total.waits.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{} waits for instances are open; let some of them end, or allow the emulator more waits",
                self.total.limits.waits
            ))
        })?;
        Ok(WaitPermit([in_connection, in_total]))
    }
}

/// The limits of one connection: a quarter of the bytes of replies and half of those of requests, so that a client that
/// does not read, or does not send, leaves room for others.
fn per_connection(limits: ClientLimits) -> ClientLimits {
    ClientLimits {
        unread: (limits.unread / 4).max(1),
        unsent: (limits.unsent / 2).max(1),
        waits: limits.waits.min(MAX_WAITS_PER_CONNECTION),
    }
}
