//! Writes what happens in a hub to the log.

use crate::emulator::engine::notice::{Listening, Notice};
use crate::model::{HubName, Status};

/// The log of one hub.
#[derive(Debug)]
pub(super) struct Log {
    hub: HubName,
}

impl Log {
    pub(super) fn of(hub: &HubName) -> Self {
        Self { hub: hub.clone() }
    }

    /// How much the process's log takes, so that no more is made for it.
    pub(super) fn listens() -> Listening {
        if tracing::enabled!(tracing::Level::DEBUG) {
            Listening::Work
        } else if tracing::enabled!(tracing::Level::INFO) {
            Listening::Lives
        } else if tracing::enabled!(tracing::Level::WARN) {
            Listening::Warnings
        } else {
            Listening::Off
        }
    }

    pub(super) fn tell(&self, notice: &Notice) {
        let hub = &self.hub;
        match notice {
            Notice::InstanceStarted { id, name, version } => {
                let version = version.as_deref();
                tracing::info!(%hub, instance = %id, name, version, "an instance starts");
            }
            Notice::InstanceEnded { id, name, status, failure } => {
                let failure = failure.as_deref();
                if *status == Status::Failed {
                    tracing::info!(%hub, instance = %id, name, failure, "an instance failed");
                } else {
                    tracing::info!(%hub, instance = %id, name, %status, "an instance ended");
                }
            }
            Notice::WorkerJoined { stream, worker, takes } => {
                let worker = worker.as_deref();
                tracing::info!(%hub, stream = stream.0, worker, takes, "a worker came");
            }
            Notice::WorkerLeft { stream, worker, held } => {
                let worker = worker.as_deref();
                tracing::info!(%hub, stream = stream.0, worker, held, "a worker left; others get what it held");
            }
            Notice::Skipped { id, what } => {
                tracing::warn!(%hub, %id, what, "a part of an answer was left out");
            }
            Notice::Nonsense { kind, id, what } => {
                tracing::warn!(%hub, ?kind, %id, what, "an answer makes no sense; what it is about has failed");
            }
        }
    }
}
