//! Tests what a hub does while its store takes its time, and when its store fails.

use super::{Capacity, HubHandle, Opening, start};
use crate::busy_wait::BusyWait;
use crate::clock::ManualClock;
use crate::emulator::engine::Config;
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, Until};
use crate::emulator::store::{CommitStatus, Confirmation, Fault, Record, Records, Store};
use crate::model::{HubName, InstanceId, Timestamp};
use crate::wire;
use futures_util::FutureExt;
use pretty_assertions::assert_eq;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The batches that a hub has given to its store, each with what says that it is kept.
type Batches = mpsc::UnboundedReceiver<(Vec<String>, Confirmation)>;

/// A store that keeps a batch when the test says so, and shows the ids that the records are about.
struct Gated(mpsc::UnboundedSender<(Vec<String>, Confirmation)>);

impl Store for Gated {
    fn commit(&mut self, batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        let (confirmation, commit) = CommitStatus::later();
        let ids = batch.iter().map(|record| record.instance().as_str().to_owned()).collect();
        self.0.send((ids, confirmation)).map_err(|_| Fault("the test is over".to_owned()))?;
        Ok(commit)
    }

    fn load(&mut self) -> Option<Records> {
        None
    }
}

/// A store whose first record cannot be read.
struct Unreadable;

impl Store for Unreadable {
    fn commit(&mut self, _batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        Ok(CommitStatus::Kept)
    }

    fn load(&mut self) -> Option<Records> {
        let record = Record::decode(bytes::Bytes::from_static(&[8, 9])).map_err(Fault::from);
        Some(Box::new(std::iter::once(record)))
    }
}

fn hub_over(store: impl Store) -> HubHandle {
    let opening = Opening {
        name: HubName::new("default"),
        config: Config { seed: 1, ..Config::default() },
        store: Box::new(store),
        capacity: Capacity::of(None),
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let (hub, run) = start(opening, clock, BusyWait::never());
    tokio::spawn(run);
    hub
}

fn gated() -> (HubHandle, Batches) {
    let (sender, batches) = mpsc::unbounded_channel();
    (hub_over(Gated(sender)), batches)
}

fn create(id: &str) -> Command {
    let request = wire::CreateInstanceRequest { name: "work".into(), ..Default::default() };
    Command::Start { id: Some(InstanceId::unchecked(id)), request: Box::new(request) }
}

/// Sends what a future sends when it is first polled; it is not done yet.
fn sent<F: Future<Output: std::fmt::Debug>>(mut future: Pin<&mut F>) {
    assert!(future.as_mut().now_or_never().is_none(), "it is done before its records are kept");
}

/// Lets the hub's task do all that it can.
async fn idle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn effects_are_released_in_order_and_each_after_its_batch_is_kept() {
    let (hub, mut batches) = gated();
    let mut worker = hub.open(Offer::default()).unwrap();
    let mut first = pin!(hub.ask(create("a")));
    let mut second = pin!(hub.ask(create("b")));
    let mut read = pin!(hub.ask(Command::Get { id: InstanceId::unchecked("b"), payloads: false }));
    sent(first.as_mut());
    let (ids, keep_first) = batches.recv().await.unwrap();
    assert_eq!(ids, ["a"]);
    // Decided while the first batch is being kept: the second gathers, and so does a reply without a record of its own,
    // because it shows what is not kept yet.
    sent(second.as_mut());
    sent(read.as_mut());
    idle().await;
    sent(first.as_mut());
    assert!(batches.try_recv().is_err(), "a batch is with the store, and no other goes there");
    assert!(worker.next().now_or_never().is_none(), "work is handed out before its record is kept");

    keep_first.kept();
    assert_eq!(first.await, Ok(Reply::Started(InstanceId::unchecked("a"))));
    assert!(worker.next().await.is_ok());
    let (ids, keep_second) = batches.recv().await.unwrap();
    assert_eq!(ids, ["b"]);
    idle().await;
    sent(second.as_mut());
    sent(read.as_mut());
    assert!(worker.next().now_or_never().is_none(), "work is handed out before its record is kept");

    keep_second.kept();
    assert_eq!(second.await, Ok(Reply::Started(InstanceId::unchecked("b"))));
    assert!(matches!(read.await, Ok(Reply::State(Some(_)))));
    assert!(worker.next().await.is_ok());
}

#[tokio::test]
async fn what_is_decided_while_a_batch_is_being_kept_is_one_batch() {
    let (hub, mut batches) = gated();
    let mut first = pin!(hub.ask(create("a")));
    sent(first.as_mut());
    let (_, keep) = batches.recv().await.unwrap();
    let mut more: Vec<_> = ["b", "c", "d"].map(|id| Box::pin(hub.ask(create(id)))).into();
    for one in &mut more {
        sent(one.as_mut());
        idle().await;
    }
    keep.kept();
    let (ids, keep) = batches.recv().await.unwrap();
    assert_eq!(ids, ["b", "c", "d"]);
    keep.kept();
    for one in more {
        assert!(one.await.is_ok());
    }
}

#[tokio::test]
async fn a_store_that_fails_stops_its_hub_with_its_own_words_and_nothing_is_answered() {
    let (hub, mut batches) = gated();
    let mut worker = hub.open(Offer::default()).unwrap();
    let mut waiting = pin!(hub.wait(InstanceId::unchecked("a"), Until::Ended, false));
    let mut first = pin!(hub.ask(create("a")));
    let mut second = pin!(hub.ask(create("b")));
    sent(first.as_mut());
    let (_, confirmation) = batches.recv().await.unwrap();
    sent(second.as_mut());
    sent(waiting.as_mut());
    idle().await;
    confirmation.failed(Fault("disk full".to_owned()));
    let why = "the store failed: disk full".to_owned();
    let failed = Refusal::StoreFailed { why };
    assert_eq!(first.await, Err(failed.clone()));
    assert_eq!(second.await, Err(failed.clone()));
    assert_eq!(waiting.await, Err(failed.clone()));
    assert_eq!(worker.next().await, Err(failed.clone()), "no work of a batch that is not kept");
    assert_eq!(hub.ask(Command::Stats).await, Err(failed));
    assert!(batches.recv().await.is_none(), "the store is closed");
    hub.stop().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_says_why_to_every_caller() {
    let hub = hub_over(Unreadable);
    let Err(Refusal::StoreFailed { why }) = hub.ask(Command::Stats).await else {
        panic!("there is nothing to answer from");
    };
    assert_eq!(why, "the store failed: the record is of version 9, and this taskhub reads version 1");
}

#[tokio::test]
async fn a_hub_that_is_told_to_stop_waits_until_what_it_decided_is_kept() {
    let (hub, mut batches) = gated();
    let mut first = pin!(hub.ask(create("a")));
    sent(first.as_mut());
    let (_, keep) = batches.recv().await.unwrap();
    let mut stopping = pin!(hub.stop());
    sent(stopping.as_mut());
    idle().await;
    sent(stopping.as_mut());
    keep.kept();
    stopping.await;
    assert_eq!(first.await, Ok(Reply::Started(InstanceId::unchecked("a"))));
}
