//! Looks after what runs, from a thread of its own: nothing that blocks elsewhere keeps it from looking, from warning, or
//! from saying that the worker has stopped.

use super::Stop;
use super::activities::Rounds;
use super::flight::Flight;
use super::staff::{Ending, Staff};
use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How often the watchdog looks while there is something to look at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the worker's threads may take to end after the grace.
const MARGIN: Duration = Duration::from_secs(5);

/// What the watchdog looks after.
pub(super) struct Watchdog {
    pub(super) staff: Arc<Staff>,
    pub(super) flight: Flight,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) grace: Duration,
    pub(super) ending: Ending,
}

impl Watchdog {
    /// Starts its thread, which ends when `over` says so or its sender is gone.
    pub(super) fn start(self, over: oneshot::Receiver<()>) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("taskhub-watchdog".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = over => {}
                    () = self.too_late() => self.ending.send(self.staff.stopped()),
                    () = self.look_after() => {}
                }
            });
        })?;
        Ok(())
    }

    async fn look_after(&self) {
        let mut rounds = Rounds::default();
        loop {
            self.flight.busy().await;
            self.clock.sleep_until(self.clock.now().plus(LOOK_EVERY)).await;
            self.staff.look(&mut rounds);
            if self.flight.under_way() == 0 {
                rounds = Rounds::default();
            }
        }
    }

    /// Done when the worker should have stopped long ago.
    async fn too_late(&self) {
        let mut stop = self.stop.clone();
        // An error says that nobody can stop it any more, which stops it.
        let told = stop.wait_for(|stop| *stop != Stop::No).await.map(|stop| *stop);
        if matches!(told, Ok(Stop::Drain)) {
            let over = self.clock.sleep_until(self.clock.now().plus(self.grace));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop == Stop::Now) => {}
                () = over => {}
            }
        }
        self.clock.sleep_until(self.clock.now().plus(MARGIN)).await;
        tracing::error!("the worker's threads do not end; it counts as stopped");
    }
}
