//! Holds the encoding of records to its format.

use super::{Commit, Continued, Record, RecordError, Rewound, Scheduled, Settles};
use crate::emulator::engine::entity::{Caller, Change, Changed, LockRequest, Operation};
use crate::emulator::engine::state::instance::Arrived;
use crate::emulator::engine::state::phase::End;
use crate::model::{ExecutionId, InstanceId, Kind, Status, Timestamp, event};
use crate::wire;
use bytes::Bytes;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use std::fmt::Write as _;

/// One record for each variant, and for each variant inside of one; every field that may be missing is there in one of
/// them and missing in another.
#[expect(clippy::too_many_lines, reason = "a list, of one record for each variant")]
fn samples() -> Vec<(&'static str, Record)> {
    let id = InstanceId::unchecked("order-1");
    let at = Timestamp::from_micros(1_767_225_600_000_001);
    let started = wire::ExecutionStartedEvent {
        name: "fan".into(),
        version: Some("2".into()),
        input: Some("[1,2]".into()),
        orchestration_instance: Some(event::instance_ref(&id, &ExecutionId::new("e1"))),
        tags: [("team".to_owned(), "a".to_owned())].into(),
        ..Default::default()
    };
    let started = Box::new(started);
    let caller = Caller { instance: id.clone(), execution: ExecutionId::new("e1") };
    let signal = wire::EntityOperationSignaledEvent {
        request_id: "r1".into(),
        operation: "add".into(),
        input: Some("1".into()),
        ..Default::default()
    };
    let arrived = |settles| Record::Arrived {
        id: id.clone(),
        settles,
        kind: Kind::EventRaised,
        event: Bytes::from_static(b"event"),
    };
    let entity = |change| Record::Entity(Changed { entity: InstanceId::unchecked("@counter@a"), at, change });
    let scheduled = vec![
        Scheduled::Activity {
            task: 0,
            name: "square".into(),
            version: Some("2".into()),
            request: Bytes::from_static(b"request"),
        },
        Scheduled::Activity { task: -1, name: "sum".into(), version: None, request: Bytes::new() },
        Scheduled::Timer { timer: 1, fire_at: at.to_wire() },
        Scheduled::Child {
            task: 2,
            id: InstanceId::unchecked("order-1:2"),
            execution: ExecutionId::new("e2"),
        },
    ];
    let commit = Commit {
        at,
        turn_at: at,
        consumed: 3,
        events: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
        scheduled: scheduled.clone(),
        custom_status: Some("\"half\"".into()),
        trace: Some(wire::OrchestrationTraceContext { span_id: Some("s".into()), ..Default::default() }),
        suspended: true,
        end: None,
    };
    let failure = wire::TaskFailureDetails { error_type: "Busy".into(), ..Default::default() };
    let ended = Commit {
        events: vec![],
        scheduled: vec![],
        custom_status: None,
        trace: None,
        suspended: false,
        end: Some(End { status: Status::Failed, output: None, failure: Some(Box::new(failure)), at }),
        ..commit.clone()
    };
    let completed = Commit {
        end: Some(End { status: Status::Completed, output: Some(String::new()), failure: None, at }),
        ..ended.clone()
    };
    let next = Continued {
        at,
        started: started.clone(),
        inbox: vec![Arrived { kind: Kind::EventRaised, event: Bytes::from_static(b"kept") }],
        custom_status: Some("1".into()),
        suspended: true,
        turn_at: at,
    };
    let bare = Continued { inbox: vec![], custom_status: None, suspended: false, ..next.clone() };
    let rewound = Rewound {
        at,
        turn_at: at,
        history: vec![Bytes::from_static(b"past")],
        started: started.clone(),
        scheduled,
        offspring: vec![InstanceId::unchecked("order-1:2")],
        nudged: true,
    };
    let lock = LockRequest {
        caller: caller.clone(),
        section: "c1".into(),
        set: vec![InstanceId::unchecked("@counter@a"), InstanceId::unchecked("@counter@b")],
        position: 1,
    };
    let operation = Operation::signal_from(caller, at, signal.clone());
    vec![
        ("Created", Record::Created { id: id.clone(), at, started: started.clone(), start_at: None }),
        ("Created later", Record::Created { id: id.clone(), at, started, start_at: Some(at) }),
        ("Arrived", arrived(Settles::Nothing)),
        ("Arrived from an activity", arrived(Settles::Activity(0))),
        ("Arrived from a timer", arrived(Settles::Timer(7))),
        ("Arrived from a child", arrived(Settles::Child(-2))),
        ("Committed", Record::Committed { id: id.clone(), commit: Box::new(commit) }),
        ("Committed with a failure", Record::Committed { id: id.clone(), commit: Box::new(ended) }),
        ("Committed with an output", Record::Committed { id: id.clone(), commit: Box::new(completed) }),
        ("Continued", Record::Continued { id: id.clone(), next: Box::new(next) }),
        ("Continued with nothing", Record::Continued { id: id.clone(), next: Box::new(bare) }),
        ("Paused", Record::Paused { id: id.clone(), at, suspended: true }),
        ("RewindBegan", Record::RewindBegan { id: id.clone(), at, event: Bytes::from_static(b"rewound") }),
        ("Rewound", Record::Rewound { id: id.clone(), rewound: Box::new(rewound) }),
        ("RewindRefused", Record::RewindRefused { id: id.clone(), at: Timestamp::from_micros(-1) }),
        (
            "Late",
            Record::Late {
                id: id.clone(),
                kind: Kind::EntityOperationFailed,
                event: Bytes::from_static(b"late"),
            },
        ),
        ("Removed", Record::Removed { id: id.clone() }),
        ("Entity Sent", entity(Change::Sent(Operation::signal(at, signal)))),
        ("Entity Kept", entity(Change::Kept { due: at, operation })),
        ("Entity Due", entity(Change::Due { until: at })),
        ("Entity Asked", entity(Change::Asked(lock))),
        ("Entity Granted", entity(Change::Granted)),
        ("Entity Unlocked", entity(Change::Unlocked)),
        ("Entity Withdrawn", entity(Change::Withdrawn { holder: id.clone(), section: Some("c1".into()) })),
        ("Entity Withdrawn from all", entity(Change::Withdrawn { holder: id, section: None })),
        ("Entity Done", entity(Change::Done { operations: 2, state: Some("3".into()) })),
        ("Entity Done and deleted", entity(Change::Done { operations: 1, state: None })),
        ("Entity GivenUp", entity(Change::GivenUp { operations: 2, until: at })),
        ("Entity Purged", entity(Change::Purged)),
    ]
}

/// The number of a record's variant. A new variant does not compile until it is here, and then fails until `samples` has
/// one.
fn variant(record: &Record) -> usize {
    match record {
        Record::Created { .. } => 0,
        Record::Arrived { .. } => 1,
        Record::Committed { .. } => 2,
        Record::Continued { .. } => 3,
        Record::Paused { .. } => 4,
        Record::RewindBegan { .. } => 5,
        Record::Rewound { .. } => 6,
        Record::RewindRefused { .. } => 7,
        Record::Late { .. } => 8,
        Record::Removed { .. } => 9,
        Record::Entity(changed) => match changed.change {
            Change::Sent(_) => 10,
            Change::Kept { .. } => 11,
            Change::Due { .. } => 12,
            Change::Asked(_) => 13,
            Change::Granted => 14,
            Change::Unlocked => 15,
            Change::Withdrawn { .. } => 16,
            Change::Done { .. } => 17,
            Change::GivenUp { .. } => 18,
            Change::Purged => 19,
        },
    }
}
const VARIANTS: usize = 20;

#[test]
fn every_variant_has_a_sample() {
    let mut without: Vec<usize> = (0..VARIANTS).collect();
    for (_, record) in samples() {
        without.retain(|number| *number != variant(&record));
    }
    assert_eq!(without, [0; 0]);
}

/// The samples, one a line: a name and the bytes.
fn written() -> String {
    let mut text = String::new();
    for (name, record) in samples() {
        let bytes: String = record.encode().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let _ = writeln!(text, "{name}: {bytes}");
    }
    text
}

fn bytes_of(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_bytes_of_version_1_are_written_and_read_as_they_were() {
    crate::testing::golden::text("tests/fixtures/records/version-1.txt", &written()).unwrap();
    let kept = std::fs::read_to_string("tests/fixtures/records/version-1.txt").unwrap();
    let read: Vec<Record> = kept
        .lines()
        .map(|line| Record::decode(bytes_of(line.split_once(": ").unwrap().1)).unwrap())
        .collect();
    assert_eq!(read, samples().into_iter().map(|(_, record)| record).collect::<Vec<_>>());
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut bytes = Record::Removed { id: InstanceId::unchecked("a") }.encode();
    assert_eq!(bytes[..2], [8, 1]);
    bytes[1] = 2;
    let error = Record::decode(bytes.into()).unwrap_err();
    assert_eq!(error.to_string(), "the record is of version 2, and this taskhub reads version 1");
}

#[test]
fn a_field_that_is_unknown_missing_or_broken_is_named() {
    let bytes = Record::Removed { id: InstanceId::unchecked("a") }.encode();
    assert_eq!(bytes, [8, 1, 90, 3, 10, 1, b'a']);
    let decode = |bytes: &[u8]| Record::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    let record = "a record";
    assert_eq!(decode(&[8, 1, 106, 0]), RecordError::Unknown { of: record, field: 13 });
    assert_eq!(decode(&[8, 1, 90, 3, 10, 1, b'a', 16, 0]), RecordError::Unknown { of: record, field: 2 });
    assert_eq!(decode(&[8, 1, 90, 2, 16, 0]), RecordError::Missing { of: "Removed", field: 1 });
    assert_eq!(decode(&[8, 1, 90, 3, 10, 1, 0xff]), RecordError::Broken { of: "Removed" });
    assert_eq!(decode(&[8, 1]), RecordError::Missing { of: record, field: 2 });
    assert_eq!(decode(&[]), RecordError::Missing { of: record, field: 1 });
}

#[test]
fn every_record_knows_its_instance_and_its_length() {
    for (name, record) in samples() {
        let id = if name.starts_with("Entity") { "@counter@a" } else { "order-1" };
        assert_eq!((record.instance().as_str(), record.encoded_len()), (id, record.encode().len()), "{name}");
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-z@\u{0}\u{e4}]{0,12}"
}

fn payload() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

/// Puts arbitrary values into a sample: its ids, moments, numbers and payloads.
fn with(
    record: Record,
    id: &str,
    now: Timestamp,
    bytes: &Bytes,
    number: i32,
    maybe: Option<&String>,
) -> Record {
    let id = InstanceId::unchecked(id);
    let start = |mut started: Box<wire::ExecutionStartedEvent>| {
        started.input = maybe.cloned();
        started
    };
    match record {
        Record::Created { started, start_at, .. } => {
            Record::Created { id, at: now, started: start(started), start_at: start_at.map(|_| now) }
        }
        Record::Arrived { settles, kind, .. } => {
            let settles = match settles {
                Settles::Nothing => Settles::Nothing,
                Settles::Activity(_) => Settles::Activity(number),
                Settles::Timer(_) => Settles::Timer(number),
                Settles::Child(_) => Settles::Child(number),
            };
            Record::Arrived { id, settles, kind, event: bytes.clone() }
        }
        Record::Committed { mut commit, .. } => {
            commit.custom_status = maybe.cloned();
            commit.turn_at = now;
            commit.events.push(bytes.clone());
            commit.scheduled.push(Scheduled::Activity {
                task: number,
                name: id.as_str().to_owned(),
                version: maybe.cloned(),
                request: bytes.clone(),
            });
            Record::Committed { id, commit }
        }
        Record::Continued { mut next, .. } => {
            next.started = start(next.started);
            next.inbox.push(Arrived { kind: Kind::TimerFired, event: bytes.clone() });
            Record::Continued { id, next }
        }
        Record::Paused { suspended, .. } => Record::Paused { id, at: now, suspended },
        Record::RewindBegan { .. } => Record::RewindBegan { id, at: now, event: bytes.clone() },
        Record::Rewound { mut rewound, .. } => {
            rewound.history.push(bytes.clone());
            rewound.offspring.push(id.clone());
            Record::Rewound { id, rewound }
        }
        Record::RewindRefused { .. } => Record::RewindRefused { id, at: now },
        Record::Late { kind, .. } => Record::Late { id, kind, event: bytes.clone() },
        Record::Removed { .. } => Record::Removed { id },
        Record::Entity(changed) => Record::Entity(Changed { entity: id, at: now, ..changed }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_variant_reads_as_it_was_written(
        id in text(), at in moment(), bytes in payload(), number in any::<i32>(), maybe in proptest::option::of(text()),
    ) {
        for (_, sample) in samples() {
            let record = with(sample, &id, at, &bytes, number, maybe.as_ref());
            prop_assert_eq!(&Record::decode(record.encode().into()).unwrap(), &record);
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_refused_without_a_panic(bytes in payload(), cut in any::<prop::sample::Index>()) {
        drop(Record::decode(bytes));
        for (_, sample) in samples() {
            let whole = sample.encode();
            let cut = cut.index(whole.len());
            // A cut between two fields may leave another record; nothing else may.
            if let Ok(read) = Record::decode(Bytes::copy_from_slice(&whole[..cut])) {
                prop_assert_eq!(read.encode(), &whole[..cut]);
            }
        }
    }
}
