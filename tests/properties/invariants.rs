//! Compares what the engine shows with what it may show.

use super::reading::{Reading, raised};
use super::world::{World, life, status};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use taskhub::emulator::engine::command::{Command, ListIds, Query, Reply, Stats};
use taskhub::model::{InstanceId, Status, Statuses, Timestamp};
use taskhub::wire::{self, HistoryEvent};

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Book {
    seen: BTreeMap<InstanceId, Seen>,
    /// An instance was rewound: FAILED may be left.
    pub(crate) rewinds: bool,
    /// Entities that were purged, and the critical sections that were open then: their locks are gone.
    broken: BTreeSet<(String, String)>,
    /// Tokens of batches that were out when their entity was purged.
    pub(crate) purged_since: BTreeSet<String>,
    just_purged: Option<InstanceId>,
}

#[derive(Debug)]
pub(crate) struct Seen {
    state: wire::OrchestrationState,
    history: Vec<HistoryEvent>,
    pub(crate) reading: Reading,
}

impl Book {
    pub(crate) fn purged(&mut self, entity: &InstanceId) {
        for seen in self.seen.values() {
            for section in seen.reading.held.keys().chain(seen.reading.asked.keys()) {
                self.broken.insert((section.clone(), entity.to_string()));
            }
        }
        self.just_purged = Some(entity.clone());
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = (&wire::OrchestrationState, &Reading)> {
        self.seen.values().map(|seen| (&seen.state, &seen.reading))
    }
}

impl World {
    fn quietly(&mut self, command: Command) -> Reply {
        self.engine.handle(command, self.now).expect("reading is never refused")
    }

    pub(crate) fn state(&mut self, id: &InstanceId) -> Option<wire::OrchestrationState> {
        match self.quietly(Command::Get { id: id.clone(), payloads: true }) {
            Reply::State(state) => state.map(std::sync::Arc::unwrap_or_clone),
            told => panic!("{told:?}"),
        }
    }

    pub(crate) fn status(&mut self, id: &InstanceId) -> Option<Status> {
        self.state(id).map(|state| status(&state))
    }

    pub(crate) fn stats(&mut self) -> Stats {
        match self.quietly(Command::Stats) {
            Reply::Stats(stats) => *stats,
            told => panic!("{told:?}"),
        }
    }

    /// Every instance, from the index.
    pub(crate) fn states(&mut self) -> Vec<wire::OrchestrationState> {
        let query = Query { page_size: 1_000, payloads: true, ..Query::default() };
        match self.quietly(Command::Query(query)) {
            Reply::States { states, next: None } => states,
            told => panic!("{told:?}"),
        }
    }

    pub(crate) fn history(&mut self, id: &InstanceId) -> Vec<HistoryEvent> {
        match self.quietly(Command::History { id: id.clone(), execution: None }) {
            Reply::History(events) => {
                events.into_iter().map(|event| HistoryEvent::decode(event).expect("an event")).collect()
            }
            told => panic!("{told:?}"),
        }
    }

    /// After a step: what has changed, and whether it may have.
    pub(crate) fn observe(&mut self) {
        if let Some(entity) = self.book.just_purged.take() {
            let out = self.batches.iter().filter(|held| held.work.instance_id == entity.as_str());
            let tokens: Vec<String> = out.map(|held| held.token.clone()).collect();
            self.book.purged_since.extend(tokens);
        }
        let states = self.states();
        let ids: BTreeSet<&str> = states.iter().map(|state| state.instance_id.as_str()).collect();
        let gone: Vec<InstanceId> =
            self.book.seen.keys().filter(|id| !ids.contains(id.as_str())).cloned().collect();
        for id in gone {
            if let Some(seen) = self.book.seen.remove(&id) {
                self.mail.over(&life(&seen.state));
            }
        }
        for state in states {
            self.observe_instance(state);
        }
        self.check_locks();
    }

    fn observe_instance(&mut self, state: wire::OrchestrationState) {
        let id = InstanceId::unchecked(state.instance_id.as_str());
        self.check_state(&state);
        let before = match self.book.seen.get_mut(&id) {
            Some(seen) if seen.state == state => return,
            Some(_) => self.book.seen.remove(&id),
            None => None,
        };
        let history = self.history(&id);
        let now = life(&state);
        let mut known = 0;
        match before {
            Some(before) if life(&before.state) == now => {
                let (was, is) = (status(&before.state), status(&state));
                assert!(leads_to(was, is, self.book.rewinds), "{was} -> {is}: {state:?}");
                if before.state.execution_id == state.execution_id {
                    assert!(history.starts_with(&before.history), "history only grows: {history:#?}");
                    known = before.history.len();
                } else if history.starts_with_rewritten(&before.history) {
                    known = history.len();
                }
            }
            Some(before) => self.mail.over(&life(&before.state)),
            None => {}
        }
        for text in raised(&history[known..]).map(str::to_owned).collect::<Vec<_>>() {
            self.mail.saw(&now, &text);
        }
        if status(&state).is_terminal() {
            self.mail.over(&now);
        }
        let reading = Reading::of(&history);
        self.book.seen.insert(id, Seen { state, history, reading });
    }

    fn check_state(&self, state: &wire::OrchestrationState) {
        let at = |moment: &Option<prost_types::Timestamp>| moment.as_ref().map(Timestamp::from_wire);
        let (created, updated) = (at(&state.created_timestamp), at(&state.last_updated_timestamp));
        assert!(created.is_some() && created <= updated && updated <= Some(self.now), "{state:?}");
        let status = status(state);
        assert_eq!(state.completed_timestamp.is_some(), status.is_terminal(), "{state:?}");
        assert!(state.output.is_none() || status.is_terminal(), "{state:?}");
        assert!(state.failure_details.is_none() || status == Status::Failed, "{state:?}");
        assert_eq!(state.execution_id.as_ref().map(String::len), Some(32), "{state:?}");
    }

    /// An instance that was granted a section holds the locks of it that are not released, alone; a holder has not ended.
    fn check_locks(&mut self) {
        let entities = self.entities();
        let locked: BTreeMap<&str, &str> = entities
            .iter()
            .filter_map(|entity| Some((entity.instance_id.as_str(), entity.locked_by.as_deref()?)))
            .collect();
        // While a worker is asked to rewind it, an instance's history is still that of its failure.
        let lives = |seen: &&Seen| !status(&seen.state).is_terminal() && !seen.reading.completed;
        for seen in self.book.seen.values().filter(lives) {
            for (section, left) in &seen.reading.held {
                for entity in left {
                    if !self.book.broken.contains(&(section.clone(), entity.clone())) {
                        let holder = locked.get(entity.as_str()).copied();
                        assert_eq!(holder, Some(seen.state.instance_id.as_str()), "{section} holds {entity}");
                    }
                }
            }
        }
        for (entity, holder) in locked {
            let seen =
                self.book.seen.get(holder).unwrap_or_else(|| panic!("{holder} is gone and holds {entity}"));
            assert!(!status(&seen.state).is_terminal(), "{holder} has ended and holds {entity}");
            let wants = |sets: &BTreeMap<String, Vec<String>>| sets.values().flatten().any(|e| e == entity);
            assert!(
                wants(&seen.reading.held) || wants(&seen.reading.asked),
                "{holder} never asked for {entity}"
            );
        }
    }

    /// Everything that records must make again.
    pub(crate) fn projection(&mut self) -> Projection {
        let states = self.states();
        let ids: Vec<InstanceId> =
            states.iter().map(|state| InstanceId::unchecked(state.instance_id.as_str())).collect();
        let histories = ids.iter().map(|id| self.history(id)).collect();
        let Stats { instances, entities, .. } = self.stats();
        let counts = (instances, entities);
        self.check_pages(&states);
        Projection { states, histories, entities: self.entities(), ended: self.ended(1_000), stats: counts }
    }

    /// Pages of every size are the whole, and counts are right.
    fn check_pages(&mut self, states: &[wire::OrchestrationState]) {
        for page_size in [1, 3] {
            let mut query = Query { page_size, payloads: true, ..Query::default() };
            let mut seen = Vec::new();
            loop {
                let Reply::States { states, next } = self.quietly(Command::Query(query.clone())) else {
                    panic!()
                };
                assert!(states.len() <= page_size);
                seen.extend(states);
                query.after = next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, states);
            assert_eq!(self.ended(page_size), self.ended(1_000));
        }
        for wanted in Status::ALL {
            let fit: Vec<_> = states.iter().filter(|state| status(state) == wanted).cloned().collect();
            assert_eq!(self.stats().instances[wanted as usize], fit.len());
            let query = Query {
                statuses: Statuses::of([wanted]),
                page_size: 1_000,
                payloads: true,
                ..Query::default()
            };
            assert_eq!(self.quietly(Command::Query(query)), Reply::States { states: fit, next: None });
        }
        for state in states {
            let id = InstanceId::unchecked(state.instance_id.as_str());
            assert_eq!(
                self.state(&id).as_ref(),
                Some(state),
                "a query shows what a look at the instance shows"
            );
        }
    }

    fn ended(&mut self, page_size: usize) -> Vec<String> {
        let mut list = ListIds { page_size, ..ListIds::default() };
        let mut seen = Vec::new();
        loop {
            let Reply::Ids { ids, next } = self.quietly(Command::ListIds(list.clone())) else { panic!() };
            seen.extend(ids);
            list.after = next;
            if list.after.is_none() {
                return seen;
            }
        }
    }
}

/// What a rebuild must show again.
#[derive(Debug, PartialEq)]
pub(crate) struct Projection {
    states: Vec<wire::OrchestrationState>,
    histories: Vec<Vec<HistoryEvent>>,
    entities: Vec<wire::EntityMetadata>,
    ended: Vec<String>,
    stats: ([usize; 7], usize),
}

/// Whether a status may follow another in one life of an instance.
fn leads_to(from: Status, to: Status, rewinds: bool) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (Status::Running | Status::Suspended, Status::Pending) => false,
        (Status::Pending | Status::Running | Status::Suspended, _) => true,
        (Status::Failed, Status::Running | Status::Suspended | Status::Terminated) => rewinds,
        // What has ended stays as it is; and no status that is not known here may come up.
        (_, _) => false,
    }
}

/// Tells a history that a rewind has rewritten from a fresh one.
trait Rewritten {
    fn starts_with_rewritten(&self, before: &[HistoryEvent]) -> bool;
}

impl Rewritten for Vec<HistoryEvent> {
    fn starts_with_rewritten(&self, before: &[HistoryEvent]) -> bool {
        // Its first moment is that of the old one; a fresh execution begins at another.
        !before.is_empty() && self.first() == before.first()
    }
}
