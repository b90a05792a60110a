//! Owns a hub: decides, stores, then acts.
//!
//! One task owns an engine and its store. It takes everything that waits on its one channel, decides each command,
//! lets the engine hand out work once, commits **one** batch of records, and only then sends work, answers and
//! replies. A store may take its time: the task decides the next batch while the last one is being kept (`journal`).
//! There are no locks, and no order between two channels to get wrong.

mod capacity;
mod close_notice;
mod handle;
mod hub;
mod hubs;
mod item_queue;
mod items;
mod journal;
mod limiter;
mod log;
mod message;
mod on_drop;
mod stop_reason;
#[cfg(test)]
mod tests;

pub use capacity::Capacity;
pub use close_notice::CloseNotice;
pub use handle::HubHandle;
pub use hub::Opening;
pub use hubs::MissingHub;
pub(super) use hubs::{HubError, Hubs, Naming, NewHub};
pub use items::Items;
pub(super) use limiter::WarningLimiter;

use crate::busy_wait::BusyWait;
use crate::clock::Clock;
use crate::emulator::store::Fault;
use hub::Hub;
use message::HubMessage;
use std::sync::Arc;
use std::time::Duration;
use stop_reason::StopReason;
use tokio::sync::mpsc;

/// After how much silence a stream gets a health ping; SDKs give up after 120 s without a word (protocol/transport.md#streams).
const PING_AFTER: Duration = Duration::from_secs(10);

/// How many messages are decided in one batch at the most: what is decided together is stored together.
const BATCH: usize = 1_024;

/// Begins a hub: the handle to it, and the task that loads it and runs it until it is told to stop or all handles are
/// gone. Messages that are sent while it loads wait.
///
/// It extends `busy_wait` whenever it has done something.
pub(crate) fn start(
    opening: Opening,
    clock: Arc<dyn Clock>,
    busy_wait: BusyWait,
) -> (HubHandle, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let end = Arc::<StopReason>::default();
    (HubHandle::new(sender, end.clone()), open(opening, clock, busy_wait, receiver, end))
}

async fn open(
    opening: Opening,
    clock: Arc<dyn Clock>,
    busy_wait: BusyWait,
    mut receiver: mpsc::UnboundedReceiver<HubMessage>,
    end: Arc<StopReason>,
) {
    let name = opening.name.clone();
    match Hub::open(opening, clock.now()).await {
        Ok(mut hub) => {
            if let Err(fault) = run(&mut hub, &*clock, &busy_wait, &mut receiver).await {
                tracing::error!(hub = %name, %fault, "the hub stops: what it decided could not be kept");
                end.because(fault);
            }
            hub.end(&end.refusal());
        }
        Err(fault) => {
            tracing::error!(hub = %name, %fault, "the hub does not start: what it kept cannot be read");
            end.because(fault);
        }
    }
    receiver.close();
    // Callers whose messages are still in the channel hear why nothing comes: their reply channels drop here.
    while let Ok(message) = receiver.try_recv() {
        if let HubMessage::Stop(done) = message {
            let _ = done.send(());
        }
    }
}

async fn run(
    hub: &mut Hub,
    clock: &dyn Clock,
    busy_wait: &BusyWait,
    receiver: &mut mpsc::UnboundedReceiver<HubMessage>,
) -> Result<(), Fault> {
    let (mut batch, mut stop) = (Vec::new(), false);
    let mut next_ping = clock.now().plus(PING_AFTER);
    let (mut set_for, mut alarm) = (next_ping, clock.sleep_until(next_ping));
    loop {
        let due = hub.next_due().map_or(next_ping, |due| due.min(next_ping));
        if due != set_for {
            (set_for, alarm) = (due, clock.sleep_until(due));
        }
        let mut kept = None;
        if hub.is_full() || (stop && hub.is_keeping()) {
            // The store has to keep up before more is decided.
            kept = Some(hub.kept().await?);
        } else if batch.is_empty() {
            let keeping = hub.is_keeping();
            tokio::select! {
                biased;
                done = hub.kept(), if keeping => kept = Some(done?),
                taken = receiver.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                }
                () = &mut alarm => alarm = clock.sleep_until(due),
            }
        } else {
            // Replies of many bytes are out: their callers decide what becomes of them before more are made.
            tokio::task::yield_now().await;
        }
        let (now, came) = (clock.now(), kept.is_some() || !batch.is_empty());
        stop |= batch.iter().any(|message| matches!(message, HubMessage::Stop(_)));
        match kept {
            Some(kept) => hub.go_on(kept, now)?,
            None => hub.serve(&mut batch, now)?,
        }
        if stop && batch.is_empty() && !hub.is_keeping() {
            break;
        }
        // A wake for a ping alone hands nothing out, and nothing follows it.
        if came || hub.under_way() > 0 {
            busy_wait.extend_if_few(hub.under_way());
        }
        if now >= next_ping {
            next_ping = hub.ping(now, PING_AFTER);
        }
    }
    Ok(())
}
