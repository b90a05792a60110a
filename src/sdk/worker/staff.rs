//! What runs the worker's work items: its lanes and its activities, as one.

use super::activities::{Activities, Rounds};
use super::lane::Limits;
use super::stopped::Stopped;
use super::turns::Turns;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The lanes and the activities of one worker.
pub(super) struct Staff {
    pub(super) turns: Turns,
    pub(super) activities: Arc<Activities>,
    pub(super) limits: Limits,
    /// How long an activity may run before it is warned about.
    pub(super) long: Option<Duration>,
}

impl Staff {
    /// Looks after everything that runs.
    pub(super) fn look(&self, rounds: &mut Rounds) {
        self.turns.look(&self.limits);
        rounds.look(&self.activities, self.long, self.limits.slow);
    }

    /// Says what runs now.
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
pub(super) struct Ending(Arc<Mutex<Option<oneshot::Sender<Stopped>>>>);

impl Ending {
    pub(super) fn new(heard: oneshot::Sender<Stopped>) -> Self {
        Self(Arc::new(Mutex::new(Some(heard))))
    }

    pub(super) fn send(&self, stopped: Stopped) {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(heard) = heard else { return };
        if !stopped.left.is_empty() {
            tracing::warn!("the worker has stopped; {stopped}");
        }
        // A worker that was dropped has nobody who listens.
        drop(heard.send(stopped));
    }
}
