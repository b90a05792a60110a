//! Tells what random cases once found, as stories that say what they are about.

use super::step::{Batch, Ending, Reuse, Step, Turn, Wish};
use super::world::World;

fn live(steps: impl IntoIterator<Item = Step>) {
    let mut world = World::new();
    for step in steps {
        world.take(step);
        world.settle();
    }
    world.come_to_rest();
}

fn start() -> Step {
    Step::Start { who: 0, later: None, reuse: Reuse::Unsaid }
}

/// Answers the turn that is out the longest.
fn turn(wishes: &[Wish], ending: Ending) -> Step {
    let wishes = wishes.to_vec();
    Step::Turn { which: 0, turn: Turn { wishes, ending, consumed: None, in_parts: false, forgetful: false } }
}

fn run_batch() -> Step {
    Step::Batch { which: 0, batch: Batch::Run { at_most: 9, keep: true, spread: None } }
}

#[test]
fn a_call_answered_while_its_orchestration_had_failed_is_answered_after_a_rewind() {
    let fails = turn(&[Wish::Call { entity: 0 }], Ending::Fail);
    live([start(), Step::Open { shape: 0 }, fails, run_batch(), Step::Rewind { who: 0 }]);
}

#[test]
fn a_lock_asked_for_in_the_turn_that_failed_is_granted_after_a_rewind() {
    let fails = turn(&[Wish::Lock { set: 0 }], Ending::Fail);
    live([start(), Step::Open { shape: 0 }, fails, Step::Rewind { who: 0 }]);
}

#[test]
fn a_parent_hears_of_its_child_after_the_child_continued_as_new() {
    live([
        start(),
        Step::Open { shape: 0 },
        turn(&[Wish::Child { who: None }], Ending::Open),
        turn(&[], Ending::ContinueAsNew { carry: false }),
        turn(&[], Ending::Complete),
    ]);
}

#[test]
fn the_answer_of_a_lost_worker_counts_while_no_other_worker_has_the_batch() {
    let signal = Step::Signal { entity: 0, later: None };
    live([signal, Step::Open { shape: 0 }, Step::Close { which: 0 }, run_batch()]);
}

#[test]
fn an_instance_replaced_while_it_waits_is_ready_once() {
    let replace = Step::Start { who: 0, later: None, reuse: Reuse::Everything };
    live([start(), replace, Step::Reload { calm: true }]);
}

#[test]
fn an_answer_to_another_life_of_the_hub_changes_nothing() {
    live([
        Step::Signal { entity: 0, later: None },
        Step::Open { shape: 0 },
        Step::Reload { calm: false },
        Step::Open { shape: 0 },
        Step::Late { which: 0 },
    ]);
}
