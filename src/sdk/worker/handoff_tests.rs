//! Tests of the runtime handoff with real threads and tokio's runtime; `tests/handoff.rs` tries the orders of its steps.

use super::handoff::{EndOnDrop, Handoff};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use tokio::runtime::Handle as RuntimeHandle;
use tokio::sync::oneshot;

/// A handoff, its runtime, and the standby thread.
fn started() -> (Arc<Handoff>, RuntimeHandle, JoinHandle<()>) {
    let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
    let handoff = Arc::new(Handoff::new(&runtime, 50));
    let handle = runtime.handle().clone();
    let standby = Arc::clone(&handoff);
    (handoff, handle, thread::spawn(move || standby.run_standby(runtime)))
}

/// Tells which thread runs a task of the runtime.
fn driver(handle: &RuntimeHandle) -> mpsc::Receiver<ThreadId> {
    let (sender, receiver) = mpsc::channel();
    handle.spawn(async move { sender.send(thread::current().id()) });
    receiver
}

#[test]
fn the_standby_thread_drives_before_there_is_a_turn_thread_and_while_that_is_away_for_long() {
    let (handoff, handle, standby) = started();
    assert_eq!(driver(&handle).recv(), Ok(standby.thread().id()));

    let (done, until) = oneshot::channel::<()>();
    let here = thread::current().id();
    let ran = driver(&handle);
    handle.spawn(async move { drop(done) });
    assert!(handoff.drive(async { drop(until.await) }));
    // Either thread drove while the turn thread came and the standby thread left.
    assert!([here, standby.thread().id()].contains(&ran.recv().unwrap()));

    // Nothing requests the standby thread: it finds by its own checks that the turn thread stays away.
    assert_eq!(driver(&handle).recv(), Ok(standby.thread().id()));
    drop(EndOnDrop(handoff));
    standby.join().unwrap();
}

#[test]
fn the_standby_thread_drives_when_it_is_requested() {
    let (handoff, handle, standby) = started();
    assert!(handoff.drive(std::future::ready(())));
    handoff.request_standby();
    assert_eq!(driver(&handle).recv(), Ok(standby.thread().id()));
    drop(EndOnDrop(handoff));
    standby.join().unwrap();
}

#[test]
fn the_end_reaches_the_thread_that_drives_and_no_thread_drives_after_it() {
    let (handoff, handle, standby) = started();
    let end = EndOnDrop(Arc::clone(&handoff));
    handle.spawn(async move { drop(end) });
    // The task may run before this call or inside it.
    handoff.drive(std::future::pending());
    standby.join().unwrap();
    assert!(!handoff.drive(std::future::pending()));
}
