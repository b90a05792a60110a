//! Encodes records. The numbers of the fields are the format: `docs/records.md` says what may be done to them.

use super::write::FieldWriter;
use super::{Commit, Continued, Record, Rewound, Scheduled, Settles};
use crate::emulator::engine::entity::{Caller, Change, Changed, LockRequest, Operation};
use crate::emulator::engine::state::instance::Arrived;
use crate::emulator::engine::state::phase::End;
use crate::model::{InstanceId, Kind};

impl Record {
    /// The version of the format that records are written in.
    pub const VERSION: u64 = 1;

    /// The instance or entity that the record is about.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Created { id, .. }
            | Self::Arrived { id, .. }
            | Self::Committed { id, .. }
            | Self::Continued { id, .. }
            | Self::Paused { id, .. }
            | Self::RewindBegan { id, .. }
            | Self::Rewound { id, .. }
            | Self::RewindRefused { id, .. }
            | Self::Late { id, .. }
            | Self::Removed { id } => id,
            Self::Entity(changed) => &changed.entity,
        }
    }

    /// How many bytes [`Record::encode`] makes.
    pub fn encoded_len(&self) -> usize {
        FieldWriter::measure(|to| self.write(to))
    }

    /// The record as bytes, which [`Record::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out
    }

    /// Appends the record's bytes to `out`. They do not say where they end: a store that keeps records one after the
    /// other writes their length before them.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        self.write(&mut FieldWriter::to(out));
    }

    fn write(&self, to: &mut FieldWriter<'_>) {
        to.number(1, Self::VERSION);
        match self {
            Self::Created { id, at, started, start_at } => to.nested(2, |to| {
                to.id(1, id);
                to.moment(2, *at);
                to.message(3, &**started);
                if let Some(start_at) = start_at {
                    to.moment(4, *start_at);
                }
            }),
            Self::Arrived { id, settles, kind, event } => to.nested(3, |to| {
                to.id(1, id);
                match settles {
                    Settles::Nothing => {}
                    Settles::Activity(task) => to.action(2, *task),
                    Settles::Timer(timer) => to.action(3, *timer),
                    Settles::Child(task) => to.action(4, *task),
                }
                to.number(5, number_of(*kind));
                to.bytes(6, event);
            }),
            Self::Committed { id, commit } => to.nested(4, |to| write_commit(to, id, commit)),
            Self::Continued { id, next } => to.nested(5, |to| write_continued(to, id, next)),
            Self::Paused { id, at, suspended } => to.nested(6, |to| {
                to.id(1, id);
                to.moment(2, *at);
                to.flag(3, *suspended);
            }),
            Self::RewindBegan { id, at, event } => to.nested(7, |to| {
                to.id(1, id);
                to.moment(2, *at);
                to.bytes(3, event);
            }),
            Self::Rewound { id, rewound } => to.nested(8, |to| write_rewound(to, id, rewound)),
            Self::RewindRefused { id, at } => to.nested(9, |to| {
                to.id(1, id);
                to.moment(2, *at);
            }),
            Self::Late { id, kind, event } => to.nested(10, |to| {
                to.id(1, id);
                to.number(2, number_of(*kind));
                to.bytes(3, event);
            }),
            Self::Removed { id } => to.nested(11, |to| to.id(1, id)),
            Self::Entity(changed) => to.nested(12, |to| write_changed(to, changed)),
        }
    }
}

fn write_commit(to: &mut FieldWriter<'_>, id: &InstanceId, commit: &Commit) {
    let Commit { at, turn_at, consumed, events, scheduled, custom_status, trace, suspended, end } = commit;
    to.id(1, id);
    to.moment(2, *at);
    to.moment(3, *turn_at);
    to.count(4, *consumed);
    for event in events {
        to.bytes(5, event);
    }
    for scheduled in scheduled {
        to.nested(6, |to| write_scheduled(to, scheduled));
    }
    to.maybe_text(7, custom_status.as_deref());
    if let Some(trace) = trace {
        to.message(8, trace);
    }
    to.flag(9, *suspended);
    if let Some(end) = end {
        to.nested(10, |to| write_end(to, end));
    }
}

fn write_continued(to: &mut FieldWriter<'_>, id: &InstanceId, next: &Continued) {
    let Continued { at, started, inbox, custom_status, suspended, turn_at } = next;
    to.id(1, id);
    to.moment(2, *at);
    to.message(3, &**started);
    for Arrived { kind, event } in inbox {
        to.nested(4, |to| {
            to.number(1, number_of(*kind));
            to.bytes(2, event);
        });
    }
    to.maybe_text(5, custom_status.as_deref());
    to.flag(6, *suspended);
    to.moment(7, *turn_at);
}

fn write_rewound(to: &mut FieldWriter<'_>, id: &InstanceId, rewound: &Rewound) {
    let Rewound { at, turn_at, history, started, scheduled, offspring, nudged } = rewound;
    to.id(1, id);
    to.moment(2, *at);
    to.moment(3, *turn_at);
    for event in history {
        to.bytes(4, event);
    }
    to.message(5, &**started);
    for scheduled in scheduled {
        to.nested(6, |to| write_scheduled(to, scheduled));
    }
    for child in offspring {
        to.id(7, child);
    }
    to.flag(8, *nudged);
}

fn write_scheduled(to: &mut FieldWriter<'_>, scheduled: &Scheduled) {
    match scheduled {
        Scheduled::Activity { task, name, version, request } => to.nested(1, |to| {
            to.action(1, *task);
            to.text(2, name);
            to.maybe_text(3, version.as_deref());
            to.bytes(4, request);
        }),
        Scheduled::Timer { timer, fire_at } => to.nested(2, |to| {
            to.action(1, *timer);
            to.message(2, fire_at);
        }),
        Scheduled::Child { task, id, execution } => to.nested(3, |to| {
            to.action(1, *task);
            to.id(2, id);
            to.execution(3, execution);
        }),
    }
}

fn write_end(to: &mut FieldWriter<'_>, end: &End) {
    let End { status, output, failure, at } = end;
    to.number(1, u64::try_from(status.to_wire() as i32).unwrap_or_default());
    to.maybe_text(2, output.as_deref());
    if let Some(failure) = failure {
        to.message(3, &**failure);
    }
    to.moment(4, *at);
}

fn write_changed(to: &mut FieldWriter<'_>, changed: &Changed) {
    let Changed { entity, at, change } = changed;
    to.id(1, entity);
    to.moment(2, *at);
    match change {
        Change::Sent(operation) => to.nested(3, |to| write_operation(to, operation)),
        Change::Kept { due, operation } => to.nested(4, |to| {
            to.moment(1, *due);
            to.nested(2, |to| write_operation(to, operation));
        }),
        Change::Due { until } => to.nested(5, |to| to.moment(1, *until)),
        Change::Asked(request) => to.nested(6, |to| write_lock_request(to, request)),
        Change::Granted => to.nested(7, |_| {}),
        Change::Unlocked => to.nested(8, |_| {}),
        Change::Withdrawn { holder, section } => to.nested(9, |to| {
            to.id(1, holder);
            to.maybe_text(2, section.as_deref());
        }),
        Change::Done { operations, state } => to.nested(10, |to| {
            to.count(1, *operations);
            to.maybe_text(2, state.as_deref());
        }),
        Change::GivenUp { operations, until } => to.nested(11, |to| {
            to.count(1, *operations);
            to.moment(2, *until);
        }),
        Change::Purged => to.nested(12, |_| {}),
    }
}

fn write_operation(to: &mut FieldWriter<'_>, operation: &Operation) {
    if let Some(sender) = operation.sender() {
        to.nested(1, |to| write_caller(to, sender));
    }
    to.message(2, operation.request());
}

fn write_lock_request(to: &mut FieldWriter<'_>, request: &LockRequest) {
    let LockRequest { caller, section, set, position } = request;
    to.nested(1, |to| write_caller(to, caller));
    to.text(2, section);
    for entity in set {
        to.id(3, entity);
    }
    to.count(4, *position);
}

fn write_caller(to: &mut FieldWriter<'_>, caller: &Caller) {
    let Caller { instance, execution } = caller;
    to.id(1, instance);
    to.execution(2, execution);
}

/// A kind is written as the protocol's number of its field in `HistoryEvent`.
fn number_of(kind: Kind) -> u64 {
    u64::from(kind.number())
}
