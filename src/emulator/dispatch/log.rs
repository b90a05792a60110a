//! Writes what happens in a hub to the log.
//!
//! What comes from clients and workers is written as text in quotes, so that it cannot begin a line of its own.

use super::limiter::WarningLimiter;
use crate::emulator::engine::command::{StreamId, WorkKind};
use crate::emulator::engine::notice::{AGAIN, Item, Listening, Nearest, Notice, Warning};
use crate::model::{HubName, InstanceId, Status, Timestamp};

/// The log of one hub.
#[derive(Debug)]
pub(super) struct Log {
    hub: HubName,
    limiter: WarningLimiter,
}

impl Log {
    pub(super) fn of(hub: &HubName) -> Self {
        Self { hub: hub.clone(), limiter: WarningLimiter::default() }
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

    pub(super) fn tell(&mut self, notice: &Notice, now: Timestamp) {
        let hub = self.hub.as_str();
        match notice {
            Notice::InstanceStarted { id, name, version } => {
                let (instance, version) = (id.as_str(), version.as_deref());
                tracing::info!(hub, instance, name, version, "an instance starts");
            }
            Notice::InstanceEnded { id, name, status, failure } => {
                let (instance, failure) = (id.as_str(), failure.as_deref());
                if *status == Status::Failed {
                    tracing::info!(hub, instance, name, failure, "an instance failed");
                } else {
                    tracing::info!(hub, instance, name, %status, "an instance ended");
                }
            }
            Notice::WorkerJoined { stream: StreamId(stream), worker, takes } => {
                tracing::info!(hub, stream, worker = worker.as_deref(), takes, "a worker came");
            }
            Notice::WorkerLeft { stream: StreamId(stream), worker, held } => {
                let worker = worker.as_deref();
                tracing::info!(hub, stream, worker, held, "a worker left; others get what it held");
            }
            Notice::HandedOut { item, bytes } => {
                let Item { kind, id, name, task, stream, worker } = item;
                let (kind, instance, stream) = (said(*kind), id.as_str(), stream.map(|stream| stream.0));
                let worker = worker.as_deref();
                tracing::debug!(hub, kind, instance, name, task, stream, worker, bytes, "work is handed out");
            }
            Notice::Answered { item } => {
                let Item { kind, id, name, task, stream, worker } = item;
                let (kind, instance, stream) = (said(*kind), id.as_str(), stream.map(|stream| stream.0));
                let worker = worker.as_deref();
                tracing::debug!(hub, kind, instance, name, task, stream, worker, "work is answered");
            }
            Notice::GivenBack { item, times } => self.given_back(item, *times, now),
            Notice::Warning(warning) => {
                if let Some(left_out) = self.limiter.allows(&cause(warning), now) {
                    warn(hub, warning, counted(left_out));
                }
            }
        }
    }

    fn given_back(&mut self, item: &Item, times: u32, now: Timestamp) {
        let Item { kind, id, name, task, stream, worker } = item;
        let (hub, kind, instance) = (self.hub.as_str(), said(*kind), id.as_str());
        let (stream, worker) = (stream.map(|stream| stream.0), worker.as_deref());
        let warned = (times >= AGAIN).then(|| self.limiter.allows(&format!("given back {kind} {name}"), now));
        match warned.flatten() {
            Some(left_out) => {
                let left_out = counted(left_out);
                tracing::warn!(
                    hub,
                    kind,
                    instance,
                    name,
                    task,
                    stream,
                    worker,
                    times,
                    left_out,
                    hint = "its worker gives it back instead of answering; that worker's own log says why",
                    "work is given back again and again"
                );
            }
            None => {
                tracing::debug!(hub, kind, instance, name, task, stream, worker, times, "work is given back");
            }
        }
    }
}

fn warn(hub: &str, warning: &Warning, left_out: Option<u64>) {
    match warning {
        Warning::Unclaimed { kind, name, version, waits, workers, nearest } => {
            let (kind, version) = (said(*kind), version.as_deref());
            let hint = unclaimed(*workers, nearest.as_ref());
            tracing::warn!(
                hub,
                kind,
                name,
                version,
                waits,
                workers,
                left_out,
                hint,
                "no connected worker takes what waits"
            );
        }
        Warning::Broke { item, bytes, after } => {
            let Item { kind, id, name, task, stream: _, worker } = item;
            let (kind, instance, worker) = (said(*kind), id.as_str(), worker.as_deref());
            let hint = "if that was not the worker being stopped: many clients refuse a message over 4 MiB";
            tracing::warn!(
                hub,
                kind,
                instance,
                name,
                task,
                worker,
                bytes,
                ?after,
                left_out,
                hint,
                "a stream ended right after it was given work"
            );
        }
        Warning::NotRewound { item } => {
            let Item { id, name, worker, .. } = item;
            let (instance, worker) = (id.as_str(), worker.as_deref());
            let hint = "this worker's SDK does not know rewind; restart the instance instead";
            tracing::warn!(
                hub,
                instance,
                name,
                worker,
                left_out,
                hint,
                "a worker answered a rewind without rewinding; the instance has failed as before"
            );
        }
        Warning::EventForEntity { id, event } => {
            let hint = "entities take operations, not events; a .NET worker with UseGrpc instead of \
                UseDurableTaskScheduler calls entities this way";
            tracing::warn!(
                hub,
                entity = id.as_str(),
                event,
                left_out,
                hint,
                "an event for an entity is not delivered"
            );
        }
        Warning::StreamGivenUp { .. } | Warning::LeaseRanOut { .. } | Warning::KillsWorkers { .. } => {
            warn_of_delivery(hub, warning, left_out);
        }
        Warning::Skipped { id, what } => {
            tracing::warn!(hub, id = id.as_str(), what, left_out, "a part of an answer was left out");
        }
        Warning::TooLarge { kind, id, what } => {
            let (kind, id) = (said(*kind), id.as_str());
            tracing::warn!(hub, kind, id, what, left_out, "work is too large to be handed out");
        }
        Warning::Nonsense { kind, id, what } => {
            let (kind, id) = (said(*kind), id.as_str());
            tracing::warn!(
                hub,
                kind,
                id,
                what,
                left_out,
                "an answer makes no sense; what it is about has failed"
            );
        }
    }
}

/// Warns of work that did not come back.
fn warn_of_delivery(hub: &str, warning: &Warning, left_out: Option<u64>) {
    if let Warning::StreamGivenUp { worker, .. } = warning {
        let hint = "it does not read its stream of work items; others get what it held";
        tracing::warn!(hub, worker = worker.as_deref(), left_out, hint, "a worker's stream was given up");
    }
    if let Warning::LeaseRanOut { kind, id, stream } = warning {
        let (kind, instance, stream) = (said(*kind), id.as_str(), stream.0);
        tracing::warn!(hub, kind, instance, stream, left_out, "a work item was not answered in time");
    }
    if let Warning::KillsWorkers { kind, id, times } = warning {
        let (kind, instance) = (said(*kind), id.as_str());
        tracing::warn!(hub, kind, instance, times, left_out, "workers die of a work item; it has failed");
    }
}

/// What makes two warnings the same one.
fn cause(warning: &Warning) -> String {
    match warning {
        Warning::Unclaimed { kind, name, version, .. } => {
            format!("unclaimed {} {name} {}", said(*kind), version.as_deref().unwrap_or_default())
        }
        Warning::Broke { item, .. } => format!("broke {} {}", said(item.kind), item.name),
        Warning::NotRewound { item } => format!("not rewound {}", item.name),
        Warning::EventForEntity { id, .. } => {
            format!("event for {}", id.entity_name().unwrap_or_else(|| id.as_str()))
        }
        Warning::StreamGivenUp { worker, .. } => {
            format!("unread {}", worker.as_deref().unwrap_or_default())
        }
        Warning::LeaseRanOut { kind, id, .. } => format!("held {} {}", said(*kind), id.as_str()),
        Warning::KillsWorkers { kind, id, .. } => format!("kills {} {}", said(*kind), id.as_str()),
        Warning::Skipped { id, what } => format!("skipped {} {what}", group(id)),
        Warning::TooLarge { kind, id, .. } => format!("too large {} {}", said(*kind), group(id)),
        Warning::Nonsense { kind, what, .. } => format!("nonsense {} {what}", said(*kind)),
    }
}

/// An entity by its name, whatever its key; nothing for an orchestration, whose id says nothing of its cause.
fn group(id: &InstanceId) -> &str {
    id.entity_name().unwrap_or_default()
}

/// What to do about work that no worker takes.
fn unclaimed(workers: usize, nearest: Option<&Nearest>) -> String {
    match nearest {
        Some(Nearest::Name(name)) => {
            format!("a worker takes {name:?}, which differs in upper and lower case alone")
        }
        Some(Nearest::Version(version)) => {
            format!("a worker takes it in version {version:?}, which is the same written otherwise")
        }
        Some(Nearest::Versions(versions)) => {
            format!("workers take it in other versions: {}", versions.join(", "))
        }
        None if workers == 0 => "no worker is connected to this task hub".to_owned(),
        None => "register it with a worker, or connect the worker that has it to this task hub".to_owned(),
    }
}

fn said(kind: WorkKind) -> &'static str {
    match kind {
        WorkKind::Turn => "orchestration",
        WorkKind::Activity => "activity",
        WorkKind::Batch => "entity",
    }
}

/// How many were left out, where there were any.
fn counted(left_out: u64) -> Option<u64> {
    (left_out > 0).then_some(left_out)
}
