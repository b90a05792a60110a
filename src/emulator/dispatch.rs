//! Owns a hub: decides, stores, then acts.
//!
//! One task owns an engine and its store. It takes everything that waits on its one channel, decides each command,
//! lets the engine hand out work once, commits **one** batch of records, and only then sends work, answers and
//! replies. There are no locks, and no order between two channels to get wrong.

mod capacity;
mod close_notice;
mod handle;
mod hub;
mod hubs;
mod items;
mod limiter;
mod log;

pub use capacity::Capacity;
pub use close_notice::CloseNotice;
pub use handle::{Failure, Handle};
pub use hub::{Hub, Input, Outcome};
pub use hubs::MissingHub;
pub(super) use hubs::{HubError, Hubs, Naming, NewHub};
pub use items::Items;

use crate::busy_wait::BusyWait;
use crate::clock::Clock;
use handle::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// After how much silence a stream gets a health ping; SDKs give up after 120 s without a word (protocol/transport.md#streams).
const PING_AFTER: Duration = Duration::from_secs(10);

/// How many messages are decided in one batch at the most: what is decided together is stored together.
const BATCH: usize = 1_024;

/// Begins a hub: the handle to it, and the task that runs it until it is told to stop or all handles are gone.
///
/// It extends `busy_wait` whenever it has done something.
pub fn start(
    hub: Hub,
    clock: Arc<dyn Clock>,
    busy_wait: BusyWait,
) -> (Handle, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Handle::new(sender), run(hub, clock, busy_wait, receiver))
}

async fn run(
    mut hub: Hub,
    clock: Arc<dyn Clock>,
    busy_wait: BusyWait,
    mut receiver: mpsc::UnboundedReceiver<Message>,
) {
    let (mut batch, mut stop) = (Vec::new(), false);
    let mut next_ping = clock.now().plus(PING_AFTER);
    let (mut set_for, mut alarm) = (next_ping, clock.sleep_until(next_ping));
    loop {
        let due = hub.next_due().map_or(next_ping, |due| due.min(next_ping));
        if due != set_for {
            (set_for, alarm) = (due, clock.sleep_until(due));
        }
        if batch.is_empty() {
            tokio::select! {
                biased;
                taken = receiver.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                }
                () = &mut alarm => alarm = clock.sleep_until(due),
            }
        } else {
            // Replies of many bytes are out: whoever asked decides what becomes of them before more are made.
            tokio::task::yield_now().await;
        }
        let (now, came) = (clock.now(), !batch.is_empty());
        stop |= batch.iter().any(|message| matches!(message, Message::Stop(_)));
        if let Err(fault) = hub.serve(&mut batch, now) {
            tracing::error!(%fault, "the hub stops: what it decided could not be stored");
            break;
        }
        if stop && batch.is_empty() {
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
    receiver.close();
    hub.end();
    // Whoever is still in the channel hears that nothing comes any more: their reply channels drop here.
    while let Ok(message) = receiver.try_recv() {
        if let Message::Stop(done) = message {
            let _ = done.send(());
        }
    }
}
