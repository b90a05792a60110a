//! Controls a running worker: waits for its connection, and stops it.

use super::stopped::Stopped;
use std::fmt;
use tokio::sync::{oneshot, watch};

/// Whether a worker is to stop, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    Drain,
    Now,
}

/// A worker at work. Dropping it kills it: what it has begun is given up, and handed out again by the scheduler.
#[must_use = "the worker is killed as soon as this handle is dropped"]
pub struct RunningWorker {
    id: String,
    stop: watch::Sender<Stop>,
    connections: watch::Receiver<u64>,
    ended: oneshot::Receiver<Stopped>,
}

impl RunningWorker {
    pub(super) fn new(
        id: String,
        stop: watch::Sender<Stop>,
        connections: watch::Receiver<u64>,
        ended: oneshot::Receiver<Stopped>,
    ) -> Self {
        Self { id, stop, connections, ended }
    }

    /// The name by which the worker shows itself to the scheduler.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the scheduler has accepted its connection for the first time.
    pub async fn connected(&self) {
        self.connections_made(1).await;
    }

    /// Waits until the scheduler has accepted its `times`th connection.
    pub async fn connections_made(&self, times: u64) {
        let mut connections = self.connections.clone();
        // An error says that the worker is gone: there is nothing to wait for.
        drop(connections.wait_for(|made| *made >= times).await);
    }

    /// Takes no more work, lets what has begun end (for as long as its grace lasts), and closes the connection. Says what
    /// was still running then.
    ///
    /// Returns soon after the grace even where work blocks or never yields: that keeps its thread, which ends with the
    /// process.
    pub async fn stop(mut self) -> Stopped {
        self.stop.send_replace(Stop::Drain);
        (&mut self.ended).await.unwrap_or_default()
    }

    /// Stops the worker without waiting for work in flight, and says what was still running.
    pub async fn kill(mut self) -> Stopped {
        self.stop.send_replace(Stop::Now);
        (&mut self.ended).await.unwrap_or_default()
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.stop.send_replace(Stop::Now);
    }
}

impl fmt::Debug for RunningWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningWorker").field("id", &self.id).finish_non_exhaustive()
    }
}
