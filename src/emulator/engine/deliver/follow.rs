//! Does what a record means for delivery: which work is ready or gone, and which waiters are answered.

use crate::emulator::engine::Engine;
use crate::emulator::engine::decide::terminate::is_control;
use crate::emulator::engine::notice::{Listening, Notice};
use crate::emulator::engine::record::{Commit, Record, Scheduled};
use crate::emulator::engine::volatile::Stage;
use crate::model::{InstanceId, Kind, Timestamp};

impl Engine {
    /// Carries what instances send each other, and follows every record that comes of it.
    pub(crate) fn carry(&mut self, now: Timestamp) {
        loop {
            self.decider.carry(now);
            self.follow(now);
            // To follow a record can end an instance, which its parent is to hear of.
            if self.decider.has_carried() {
                return;
            }
        }
    }

    /// Follows the records that were made since the last call, in their order.
    pub(crate) fn follow(&mut self, now: Timestamp) {
        if self.decider.is_followed(self.followed) {
            return;
        }
        loop {
            // The records stay where they are, and go to the store from there: none is moved for this.
            let records = self.decider.take_records();
            let new = records.get(self.followed..).unwrap_or_default();
            let is_all = new.is_empty();
            for record in new {
                self.follow_record(record, now);
            }
            self.followed = records.len();
            self.decider.put_back(records);
            if is_all {
                break;
            }
        }
        while let Some(id) = self.decider.take_unwanted() {
            self.batch_left(&id, true);
        }
        while let Some(id) = self.decider.take_ready() {
            self.ready_batch(&id);
        }
        while let Some(gone) = self.decider.state.take_dropped() {
            self.work.release(gone.class, gone.stage);
        }
    }

    /// The state may be further than this record: what later records have made of the instance is followed after it.
    fn follow_record(&mut self, record: &Record, now: Timestamp) {
        self.note_life(record);
        match record {
            Record::Created { id, .. } => {
                self.classify(id);
                self.ready_turn(id, now);
                self.notify(id);
            }
            Record::Arrived { id, kind, .. } => self.arrived(id, *kind, now),
            Record::Committed { id, commit } => self.committed(id, commit),
            Record::Continued { id, .. } => {
                self.forget_keeper(id);
                self.classify(id);
                self.ready_turn(id, now);
                self.notify(id);
            }
            Record::RewindBegan { id, .. } => {
                self.ready_turn(id, now);
                self.notify(id);
            }
            Record::Rewound { id, rewound } => {
                self.forget_keeper(id);
                self.classify(id);
                self.ready_scheduled(id, &rewound.scheduled);
                self.ready_turn(id, now);
                self.notify(id);
            }
            Record::RewindRefused { id, .. } => {
                self.turn_left(id);
                self.notify(id);
            }
            Record::Paused { id, .. } | Record::Removed { id } => self.notify(id),
            Record::Late { .. } | Record::Entity(_) => {}
        }
    }

    fn arrived(&mut self, id: &InstanceId, kind: Kind, now: Timestamp) {
        self.ready_or_gather(id, kind, now);
        if is_control(kind) && self.decider.state.living(id).is_some() {
            if kind == Kind::ExecutionTerminated && self.reaches_no_worker(id) {
                self.decider.heed_without_worker(id, now);
            } else {
                self.await_worker(id, now);
            }
        }
    }

    fn committed(&mut self, id: &InstanceId, commit: &Commit) {
        if commit.end.is_some() {
            self.turn_left(id);
        } else {
            self.ready_scheduled(id, &commit.scheduled);
        }
        self.notify(id);
    }

    fn ready_scheduled(&mut self, id: &InstanceId, scheduled: &[Scheduled]) {
        if scheduled.is_empty() {
            return;
        }
        let Some(mut places) = self.decider.state.activities_mut(id) else { return };
        for scheduled in scheduled {
            match scheduled {
                Scheduled::Activity { task, name, version, .. } => {
                    if let Some(place) = places.get_mut(*task) {
                        self.work.ready_activity(id, *task, place, name, version.as_deref());
                    }
                }
                Scheduled::Timer { .. } | Scheduled::Child { .. } => {}
            }
        }
    }

    /// The worker that ran the last turn has not kept the orchestrator of this execution.
    fn forget_keeper(&mut self, id: &InstanceId) {
        if let Some(volatile) = self.decider.state.volatile_mut(id) {
            volatile.kept_by = None;
        }
    }

    /// No turn of an instance is wanted any more: an entry of the worklist for one is out of date.
    fn turn_left(&mut self, id: &InstanceId) {
        if let Some(volatile) = self.decider.state.volatile_mut(id) {
            let stage = std::mem::replace(&mut volatile.turn.stage, Stage::Idle);
            self.work.leave(volatile.turn.class, stage);
        }
    }

    /// Tells the log of an instance that begins or ends by a record.
    fn note_life(&mut self, record: &Record) {
        if !self.decider.notices.are_for(Listening::Lives) {
            return;
        }
        let notice = match record {
            Record::Created { id, started, .. } => Notice::InstanceStarted {
                id: id.clone(),
                name: started.name.clone(),
                version: started.version.clone(),
            },
            Record::Committed { id, commit } => {
                let Some(end) = &commit.end else { return };
                let name = self.decider.state.instance(id).map(|instance| instance.started().name.clone());
                let failure = end.failure.as_deref();
                Notice::InstanceEnded {
                    id: id.clone(),
                    name: name.unwrap_or_default(),
                    status: end.status,
                    failure: failure.map(|of| format!("{}: {}", of.error_type, of.error_message)),
                }
            }
            Record::Arrived { .. }
            | Record::Continued { .. }
            | Record::Paused { .. }
            | Record::RewindBegan { .. }
            | Record::Rewound { .. }
            | Record::RewindRefused { .. }
            | Record::Late { .. }
            | Record::Removed { .. }
            | Record::Entity(_) => return,
        };
        self.decider.notices.note(Listening::Lives, || notice);
    }
}
