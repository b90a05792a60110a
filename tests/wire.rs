//! Holds a scheduler to every rule of the protocol, with a raw client and a raw worker over gRPC.
//!
//! The rules are numbered: G1 to G41 are the acceptance list, R1 to R59 the behaviour that the official suites
//! ask for, R60 to R79 and R90 to R94 what the sources of the SDKs ask for where no suite does, R80 to R89 what keeps
//! large messages from doing harm. A test's name is its rule as a sentence, and `docs/compatibility.md` is made from
//! those names.
//!
//! Without more, every test starts an emulator of its own in this process. `TASKHUB_WIRE_ENDPOINT` (and
//! `TASKHUB`, `default` otherwise) names another endpoint to hold to the same rules; nothing here reaches into
//! the emulator but its start, its stop and, where a rule is about what a worker holds, its figures.

#![cfg(all(feature = "emulator", feature = "sdk"))]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one event among many")]

#[path = "wire/bare.rs"]
mod bare;
#[path = "wire/builders.rs"]
mod builders;
#[path = "wire/clients.rs"]
mod clients;
#[path = "wire/compatibility.rs"]
mod compatibility;
#[path = "wire/corners.rs"]
mod corners;
#[path = "wire/delivery.rs"]
mod delivery;
#[path = "wire/entities.rs"]
mod entities;
#[path = "wire/fixture.rs"]
mod fixture;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/proxy.rs"]
mod proxy;
#[path = "wire/rewind.rs"]
mod rewind;
#[path = "wire/room.rs"]
mod room;
#[path = "wire/sources.rs"]
mod sources;
#[path = "wire/sources_agents.rs"]
mod sources_agents;
#[path = "wire/sources_control.rs"]
mod sources_control;
#[path = "wire/sources_entities.rs"]
mod sources_entities;
#[path = "wire/suites_entities.rs"]
mod suites_entities;
#[path = "wire/suites_execution.rs"]
mod suites_execution;
#[path = "wire/suites_history.rs"]
mod suites_history;
#[path = "wire/suites_management.rs"]
mod suites_management;
#[path = "wire/suites_starting.rs"]
mod suites_starting;
#[path = "wire/suites_transport.rs"]
mod suites_transport;
#[path = "wire/transport.rs"]
mod transport;
#[path = "wire/turns.rs"]
mod turns;
#[path = "wire/worker.rs"]
mod worker;
