//! Decodes records: what `encode` writes, and nothing that it does not know.

use super::read::Fields;
use super::{Commit, Continued, Record, RecordError, Rewound, Scheduled, Settles};
use crate::emulator::engine::entity::{Caller, Change, Changed, LockRequest, Operation};
use crate::emulator::engine::state::instance::Arrived;
use crate::emulator::engine::state::phase::End;
use crate::model::{Kind, Status};
use bytes::Bytes;

type Read<T> = Result<T, RecordError>;

impl Record {
    /// Reads a record from exactly the bytes that [`Record::encode`] made. Payloads stay slices of `bytes`: what is
    /// decoded from a large buffer keeps all of it in memory.
    ///
    /// # Errors
    ///
    /// [`RecordError`] says what is not understood: another version of the format, a field that is unknown, missing or
    /// broken.
    pub fn decode(bytes: Bytes) -> Read<Self> {
        let mut record = Fields::of("a record", bytes)?;
        let version = record.number(1)?;
        if version != Self::VERSION {
            return Err(RecordError::Version { found: version });
        }
        let Some((change, bytes)) = record.take_first() else {
            return Err(RecordError::Missing { of: "a record", field: 2 });
        };
        record.end(())?;
        match change {
            2 => read_created(bytes),
            3 => read_arrived(bytes),
            4 => read_committed(bytes),
            5 => read_continued(bytes),
            6 => {
                let mut fields = Fields::of("Paused", bytes)?;
                let (id, at, suspended) = (fields.id(1)?, fields.moment(2)?, fields.flag(3)?);
                fields.end(Self::Paused { id, at, suspended })
            }
            7 => {
                let mut fields = Fields::of("RewindBegan", bytes)?;
                let (id, at, event) = (fields.id(1)?, fields.moment(2)?, fields.bytes(3)?);
                fields.end(Self::RewindBegan { id, at, event })
            }
            8 => read_rewound(bytes),
            9 => {
                let mut fields = Fields::of("RewindRefused", bytes)?;
                let (id, at) = (fields.id(1)?, fields.moment(2)?);
                fields.end(Self::RewindRefused { id, at })
            }
            10 => {
                let mut fields = Fields::of("Late", bytes)?;
                let (id, kind, event) = (fields.id(1)?, read_kind(&mut fields, 2)?, fields.bytes(3)?);
                fields.end(Self::Late { id, kind, event })
            }
            11 => {
                let mut fields = Fields::of("Removed", bytes)?;
                let id = fields.id(1)?;
                fields.end(Self::Removed { id })
            }
            12 => read_changed(bytes).map(Self::Entity),
            field => Err(RecordError::Unknown { of: "a record", field }),
        }
    }
}

fn read_created(bytes: Bytes) -> Read<Record> {
    let mut fields = Fields::of("Created", bytes)?;
    let record = Record::Created {
        id: fields.id(1)?,
        at: fields.moment(2)?,
        started: Box::new(fields.message(3)?),
        start_at: fields.maybe_moment(4),
    };
    fields.end(record)
}

fn read_arrived(bytes: Bytes) -> Read<Record> {
    let mut fields = Fields::of("Arrived", bytes)?;
    let id = fields.id(1)?;
    let settles = match (fields.maybe_action(2), fields.maybe_action(3), fields.maybe_action(4)) {
        (Some(task), _, _) => Settles::Activity(task),
        (None, Some(timer), _) => Settles::Timer(timer),
        (None, None, Some(task)) => Settles::Child(task),
        (None, None, None) => Settles::Nothing,
    };
    let record = Record::Arrived { id, settles, kind: read_kind(&mut fields, 5)?, event: fields.bytes(6)? };
    fields.end(record)
}

fn read_committed(bytes: Bytes) -> Read<Record> {
    let mut fields = Fields::of("Committed", bytes)?;
    let events = fields.all(5);
    let scheduled = fields.all_nested(6, read_scheduled)?;
    let id = fields.id(1)?;
    let commit = Commit {
        at: fields.moment(2)?,
        turn_at: fields.moment(3)?,
        consumed: fields.count(4)?,
        events,
        scheduled,
        custom_status: fields.maybe_text(7)?,
        trace: fields.maybe_message(8)?,
        suspended: fields.flag(9)?,
        end: fields.maybe_nested(10, read_end)?,
    };
    fields.end(Record::Committed { id, commit: Box::new(commit) })
}

fn read_continued(bytes: Bytes) -> Read<Record> {
    let mut fields = Fields::of("Continued", bytes)?;
    let inbox = fields.all_nested(4, |bytes| {
        let mut fields = Fields::of("an event of an inbox", bytes)?;
        let arrived = Arrived { kind: read_kind(&mut fields, 1)?, event: fields.bytes(2)? };
        fields.end(arrived)
    })?;
    let id = fields.id(1)?;
    let next = Continued {
        at: fields.moment(2)?,
        started: Box::new(fields.message(3)?),
        inbox,
        custom_status: fields.maybe_text(5)?,
        suspended: fields.flag(6)?,
        turn_at: fields.moment(7)?,
    };
    fields.end(Record::Continued { id, next: Box::new(next) })
}

fn read_rewound(bytes: Bytes) -> Read<Record> {
    let mut fields = Fields::of("Rewound", bytes)?;
    let history = fields.all(4);
    let scheduled = fields.all_nested(6, read_scheduled)?;
    let offspring = fields.ids(7)?;
    let id = fields.id(1)?;
    let rewound = Rewound {
        at: fields.moment(2)?,
        turn_at: fields.moment(3)?,
        history,
        started: Box::new(fields.message(5)?),
        scheduled,
        offspring,
        nudged: fields.flag(8)?,
    };
    fields.end(Record::Rewound { id, rewound: Box::new(rewound) })
}

fn read_scheduled(bytes: Bytes) -> Read<Scheduled> {
    const OF: &str = "what a turn scheduled";
    let mut one = Fields::of(OF, bytes)?;
    let Some((kind, bytes)) = one.take_first() else {
        return Err(RecordError::Missing { of: OF, field: 1 });
    };
    one.end(())?;
    let mut fields = Fields::of(OF, bytes)?;
    let scheduled = match kind {
        1 => Scheduled::Activity {
            task: fields.action(1)?,
            name: fields.text(2)?,
            version: fields.maybe_text(3)?,
            request: fields.bytes(4)?,
        },
        2 => Scheduled::Timer { timer: fields.action(1)?, fire_at: fields.message(2)? },
        3 => Scheduled::Child { task: fields.action(1)?, id: fields.id(2)?, execution: fields.execution(3)? },
        field => return Err(RecordError::Unknown { of: OF, field }),
    };
    fields.end(scheduled)
}

fn read_end(bytes: Bytes) -> Read<End> {
    let mut fields = Fields::of("an end", bytes)?;
    let number = fields.number(1)?;
    let status = Status::ALL.into_iter().find(|status| u64::try_from(status.to_wire() as i32) == Ok(number));
    let end = End {
        status: status.ok_or(RecordError::Broken { of: "the status of an end" })?,
        output: fields.maybe_text(2)?,
        failure: fields.maybe_message(3)?.map(Box::new),
        at: fields.moment(4)?,
    };
    fields.end(end)
}

fn read_changed(bytes: Bytes) -> Read<Changed> {
    let mut fields = Fields::of("a change of an entity", bytes)?;
    let (entity, at) = (fields.id(1)?, fields.moment(2)?);
    let Some((kind, bytes)) = fields.take_first() else {
        return Err(RecordError::Missing { of: "a change of an entity", field: 3 });
    };
    fields.end(())?;
    Ok(Changed { entity, at, change: read_change(kind, bytes)? })
}

fn read_change(kind: u32, bytes: Bytes) -> Read<Change> {
    const OF: &str = "a change of an entity";
    match kind {
        3 => return read_operation(bytes).map(Change::Sent),
        6 => return read_lock_request(bytes).map(Change::Asked),
        _ => {}
    }
    let mut fields = Fields::of(OF, bytes)?;
    let change = match kind {
        4 => Change::Kept { due: fields.moment(1)?, operation: read_operation(fields.bytes(2)?)? },
        5 => Change::Due { until: fields.moment(1)? },
        7 => Change::Granted,
        8 => Change::Unlocked,
        9 => Change::Withdrawn { holder: fields.id(1)?, section: fields.maybe_text(2)? },
        10 => Change::Done { operations: fields.count(1)?, state: fields.maybe_text(2)? },
        11 => Change::GivenUp { operations: fields.count(1)?, until: fields.moment(2)? },
        12 => Change::Purged,
        field => return Err(RecordError::Unknown { of: OF, field }),
    };
    fields.end(change)
}

fn read_operation(bytes: Bytes) -> Read<Operation> {
    let mut fields = Fields::of("an operation", bytes)?;
    let operation = Operation::restored(fields.maybe_nested(1, read_caller)?, fields.message(2)?);
    fields.end(operation)
}

fn read_lock_request(bytes: Bytes) -> Read<LockRequest> {
    let mut fields = Fields::of("a lock request", bytes)?;
    let set = fields.ids(3)?;
    let request = LockRequest {
        caller: read_caller(fields.bytes(1)?)?,
        section: fields.text(2)?,
        set,
        position: fields.count(4)?,
    };
    fields.end(request)
}

fn read_caller(bytes: Bytes) -> Read<Caller> {
    let mut fields = Fields::of("a caller", bytes)?;
    let caller = Caller { instance: fields.id(1)?, execution: fields.execution(2)? };
    fields.end(caller)
}

fn read_kind(fields: &mut Fields, field: u32) -> Read<Kind> {
    let number = fields.number(field)?;
    let kind = Kind::ALL.into_iter().find(|kind| u64::from(kind.number()) == number);
    kind.ok_or(RecordError::Broken { of: "the kind of an event" })
}
