//! Holds the executors of a worker's work items: its turn threads and its activities.

use super::activities::Activities;
use super::activity_watch::ActivityWatches;
use super::stopped::Stopped;
use super::turn_thread::TurnLimits;
use super::turns::Turns;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The turn threads and the activities of one worker.
pub(super) struct Executors {
    pub(super) turns: Turns,
    pub(super) activities: Arc<Activities>,
    pub(super) limits: TurnLimits,
    /// How long an activity may run before it is warned about.
    pub(super) long: Option<Duration>,
}

impl Executors {
    /// Checks the running turns and activities once.
    pub(super) fn look(&self, watches: &mut ActivityWatches) {
        self.turns.look(&self.limits);
        watches.look(&self.activities, self.long, self.limits.slow);
    }

    /// Names the work that runs now.
    pub(super) fn stopped(&self) -> Stopped {
        let mut left = self.turns.subjects();
        left.extend(self.activities.subjects());
        left.sort();
        Stopped { left }
    }

    /// Ends every thread that can be ended.
    pub(super) fn close(&self) {
        self.turns.close();
        self.activities.close();
    }
}

/// Says once that the worker has stopped. Cheap to clone.
#[derive(Clone)]
pub(super) struct StoppedSender(Arc<Mutex<Option<oneshot::Sender<Stopped>>>>);

impl StoppedSender {
    pub(super) fn new(heard: oneshot::Sender<Stopped>) -> Self {
        Self(Arc::new(Mutex::new(Some(heard))))
    }

    pub(super) fn send(&self, stopped: Stopped) {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(heard) = heard else { return };
        if !stopped.left.is_empty() {
            tracing::warn!("the worker has stopped; {stopped}");
        }
        // The handle of a worker that was dropped does not wait for this.
        drop(heard.send(stopped));
    }
}
