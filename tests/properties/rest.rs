//! Lets a hub come to rest, and asks whether anything is still owed.

use super::step::{Batch, Ending, Turn};
use super::world::{World, status};
use taskhub::emulator::engine::command::{Command, Reply};
use taskhub::model::InstanceId;

impl World {
    /// Serves everything until nothing moves, checks that every live instance waits for something real, then ends
    /// everything and checks that nothing is left.
    pub(crate) fn come_to_rest(&mut self) {
        self.drain();
        self.check_waits();
        self.mail.assert_all_came();
        self.projection();
        for state in self.states() {
            let id = InstanceId::unchecked(state.instance_id.as_str());
            let told = self.ask(Command::Terminate { id, output: None, recursive: false });
            assert_eq!(told, Ok(Reply::Done));
        }
        self.observe();
        self.drain();
        for state in self.states() {
            assert!(status(&state).is_terminal(), "it was terminated: {state:?}");
        }
        for entity in self.entities() {
            assert_eq!((&entity.locked_by, entity.backlog_queue_size), (&None, 0), "{entity:?}");
        }
        assert_eq!(self.waits(), 0, "every wait has been answered");
        let stats = self.stats();
        assert_eq!([stats.ready_turns, stats.ready_activities, stats.ready_batches, stats.timers], [0; 4]);
        assert_eq!(stats.waiters, 0);
        self.mail.assert_all_ran();
    }

    fn drain(&mut self) {
        if self.stream_count() == 4 {
            self.close_all();
        }
        self.open(0);
        let plan = Turn {
            wishes: Vec::new(),
            ending: Ending::Open,
            consumed: None,
            in_parts: false,
            forgetful: false,
        };
        for _ in 0..2_000 {
            self.tick();
            self.settle();
            self.observe();
            let moved = !self.turns.is_empty() || !self.activities.is_empty() || !self.batches.is_empty();
            while !self.turns.is_empty() {
                self.answer_turn(0, &plan);
                self.observe();
            }
            while !self.activities.is_empty() {
                self.answer_activity(0, true);
            }
            while !self.batches.is_empty() {
                self.answer_batch(0, Batch::Run { at_most: 100, keep: true, spread: None });
            }
            if moved {
                continue;
            }
            match self.engine.next_due() {
                Some(due) => self.now = self.now.max(due),
                None => return,
            }
        }
        panic!("it never comes to rest: {:#?}", self.stats());
    }

    /// Nothing moves: whatever a history waits for must be in another instance's or entity's hands.
    fn check_waits(&mut self) {
        let entities = self.entities();
        let all: Vec<_> =
            self.book.instances().map(|(state, reading)| (state.clone(), reading.clone())).collect();
        for (state, reading) in all.iter().filter(|(state, _)| !status(state).is_terminal()) {
            let id = &state.instance_id;
            assert_ne!(status(state), taskhub::model::Status::Pending, "{id} never had its turn");
            assert!(reading.activities.is_empty(), "{id} waits for activities: {reading:?}");
            assert!(reading.timers.is_empty(), "{id} waits for timers: {reading:?}");
            for entity in reading.calls.values() {
                let entity = entities.iter().find(|e| e.instance_id == *entity);
                let holder = entity.and_then(|entity| entity.locked_by.as_ref());
                assert!(holder.is_some_and(|holder| holder != id), "{id} waits for {entity:?}");
            }
            for child in reading.children.values() {
                let child = all.iter().find(|(state, _)| state.instance_id == *child);
                assert!(
                    child.is_some_and(|(child, _)| !status(child).is_terminal()),
                    "{id} waits for {child:?}"
                );
            }
            for set in reading.asked.values() {
                let held = |entity: &String| {
                    entities.iter().any(|e| e.instance_id == *entity && e.locked_by.is_some())
                };
                assert!(set.iter().any(held), "{id} waits for locks that no instance holds: {set:?}");
            }
        }
    }
}
