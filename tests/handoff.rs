//! Checks the runtime handoff of the worker with loom: the file of the worker itself, compiled against loom's primitives and
//! a small model of a current-thread runtime, run in every order of its steps with at most four preemptions.
//!
//! A lost wake-up is a deadlock here, and loom reports it. A wait with a time limit is a step that may end at any time.
//! Not modelled: time (a request of the standby thread only saves the wait for its next check), memory orders (the handoff
//! has no atomics of its own) and the counts of its `Arc`s.

#![expect(clippy::unwrap_used, reason = "a thread of a model that panics fails the test")]

#[path = "handoff/model.rs"]
mod sync;

#[path = "../src/sdk/worker/handoff.rs"]
mod handoff;

use handoff::{EndOnDrop, Handoff};
use std::sync::Arc;
use sync::{Flag, Notify, Runtime, RuntimeTasks};

/// How many checks the standby thread makes before it sleeps: few, so that every order includes a sleep.
const CHECKS: u32 = 1;

/// Runs `scenario` in every order, on the turn thread; a second thread stands by.
fn check(scenario: impl Fn(&Arc<Handoff>, &RuntimeTasks) + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.max_branches = 10_000;
    model.preemption_bound = model.preemption_bound.or(Some(4));
    model.check(move || {
        let runtime = Arc::new(Runtime::new());
        let tasks = runtime.tasks();
        let handoff = Arc::new(Handoff::new(&runtime, CHECKS));
        let standby = Arc::clone(&handoff);
        let standby = loom::thread::spawn(move || standby.run_standby(runtime));
        scenario(&handoff, &tasks);
        drop(EndOnDrop(handoff));
        standby.join().unwrap();
        assert!(tasks.is_shut_down(), "the standby thread takes the runtime apart");
    });
}

/// Blocks the turn thread until a task of the runtime has run, as an orchestrator does that waits for one.
fn block_on_a_task(tasks: &RuntimeTasks) {
    let ran = Arc::new(Flag::new());
    let flag = Arc::clone(&ran);
    tasks.spawn(move || flag.set());
    ran.wait();
}

#[test]
fn tasks_run_while_the_turn_thread_is_away_for_long_and_has_said_so() {
    check(|handoff, tasks| {
        assert!(handoff.drive(std::future::ready(())));
        handoff.request_standby();
        block_on_a_task(tasks);
    });
}

#[test]
fn tasks_run_while_the_turn_thread_is_away_for_longer_than_expected() {
    check(|handoff, tasks| {
        assert!(handoff.drive(std::future::ready(())));
        block_on_a_task(tasks);
    });
}

#[test]
fn a_turn_thread_that_is_back_gets_the_runtime_and_hears_of_jobs() {
    check(|handoff, tasks| {
        handoff.request_standby();
        let arrived = Arc::new(Notify::new());
        let job = Arc::clone(&arrived);
        let other = tasks.clone();
        // The task repeats until the turn thread runs it, which it never does where the standby thread keeps the runtime.
        let turn_thread = loom::thread::current().id();
        tasks.spawn_until(move || {
            let here = loom::thread::current().id() == turn_thread;
            if here {
                let job = Arc::clone(&job);
                other.spawn(move || job.notify_one());
            }
            here
        });
        assert!(handoff.drive(arrived.notified()));
    });
}

#[test]
fn the_end_reaches_a_turn_thread_that_drives() {
    check(|handoff, tasks| {
        let end = EndOnDrop(Arc::clone(handoff));
        tasks.spawn(move || drop(end));
        while handoff.drive(std::future::pending()) {}
    });
}
