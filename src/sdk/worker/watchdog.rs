//! Checks turns and activities from a thread of its own, so that no blocked thread keeps the worker from warning or from
//! reporting that it has stopped.

use super::activity_watch::ActivityWatches;
use super::executors::{Executors, StoppedSender};
use super::in_flight::InFlight;
use super::running::Stop;
use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How often the watchdog checks while work is in flight.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After how many checks in a row without work in flight the thread sleeps until there is some. To wake it takes longer than
/// a short turn does, so it is not woken for the first work item after a short pause.
const IDLE_LOOKS: u32 = 100;

/// How long the worker's threads may take to end after the grace.
const MARGIN: Duration = Duration::from_secs(5);

/// The thread that checks one worker.
pub(super) struct Watchdog {
    pub(super) executors: Arc<Executors>,
    pub(super) in_flight: InFlight,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) grace: Duration,
    pub(super) ending: StoppedSender,
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
                    () = self.too_late() => self.ending.send(self.executors.stopped()),
                    () = self.look_after() => {}
                }
            });
        })?;
        Ok(())
    }

    async fn look_after(&self) {
        let mut watches = ActivityWatches::default();
        let mut idle_looks = 0;
        loop {
            if idle_looks == IDLE_LOOKS {
                self.in_flight.until_busy().await;
                idle_looks = 0;
            }
            self.clock.sleep_until(self.clock.now().plus(LOOK_EVERY)).await;
            self.executors.look(&mut watches);
            if self.in_flight.under_way() == 0 {
                watches = ActivityWatches::default();
                idle_looks += 1;
            } else {
                idle_looks = 0;
            }
        }
    }

    /// Done when the worker should have stopped long ago.
    async fn too_late(&self) {
        let mut stop = self.stop.clone();
        // An error says that the handle is gone, which stops the worker.
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
