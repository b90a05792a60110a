//! Keeps a hub's records in a store that is written outside of the crate, with what is public and nothing else.
#![cfg(all(feature = "emulator", feature = "sdk"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

#[path = "store/file.rs"]
mod file;

use file::{FileStore, Writer};
use futures_util::future::join_all;
use pretty_assertions::assert_eq;
use std::time::Duration;
use taskhub::emulator::Emulator;
use taskhub::emulator::store::{CommitStatus, Confirmation, Fault, Record, Records, Store};
use taskhub::sdk::*;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::unnecessary_wraps, reason = "an activity may fail, even if this one does not")]
fn square(i: u32) -> Result<u32, Failure> {
    Ok(i * i)
}

async fn sum(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let tasks: Vec<_> = (0..n).map(|i| ctx.call(square, i)).collect();
    let first = join_all(tasks).await.into_iter().map(|result| result.unwrap_or(0)).sum::<u32>();
    Ok(first + ctx.call(square, n).await?)
}

fn registry() -> Registry {
    Registry::new().orchestration(sum).activity(square)
}

/// An emulator over the file that begins anew with `writer`.
async fn emulator(file: &std::path::Path, writer: Writer) -> Emulator {
    let file = file.to_owned();
    Emulator::builder()
        .store(move |_| Box::new(FileStore::open(&file, writer.clone())))
        .start()
        .await
        .unwrap()
}

/// Runs one orchestration over the file, and kills the hub between the commit of batch `kill` and its effects. The number of
/// batches that there were.
async fn killed_after(kill: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("default.records");

    let (writer, mut dead) = Writer::that_dies_after(kill);
    let first = emulator(&file, writer).await;
    let client = Client::connect(&first.endpoint()).await.unwrap();
    let worker = Worker::new(&client, registry()).start().unwrap();
    let run = async { client.start(sum, 3).id("a").await?.result().await };
    let ended = tokio::select! {
        result = run => Some(result.unwrap()),
        _ = dead.recv() => None,
    };
    // Killed, not stopped: the hub's thread ends with what it has decided and not released.
    drop(first);
    worker.kill().await;

    let (writer, _) = Writer::that_dies_after(usize::MAX);
    let second = emulator(&file, writer.clone()).await;
    let client = Client::connect(&second.endpoint()).await.unwrap();
    let worker = Worker::new(&client, registry()).start().unwrap();
    let handle = client.handle::<u32, Failure>("a");
    let result = handle.result_within(PATIENCE).await.unwrap();
    assert_eq!((result, ended.unwrap_or(14)), (14, 14), "killed after batch {kill}");
    let squares = handle.history().await.unwrap();
    let scheduled = squares.iter().filter(|event| format!("{event:?}").contains("TaskScheduled")).count();
    assert_eq!(scheduled, 4, "killed after batch {kill}");
    worker.stop().await;
    second.stop().await;
    if ended.is_some() { kill } else { kill + 1 }
}

#[tokio::test]
async fn a_hub_over_a_file_that_is_killed_after_any_commit_goes_on_where_the_file_ends() {
    let mut kill = 1;
    while killed_after(kill).await > kill {
        kill += 1;
    }
    assert!(kill > 3, "start, turn, activities, end: {kill}");
}

/// A store that keeps a batch when the test says so.
struct Gated(mpsc::UnboundedSender<Confirmation>);

impl Store for Gated {
    fn commit(&mut self, _batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        let (confirmation, commit) = CommitStatus::later();
        self.0.send(confirmation).map_err(|_| Fault("the test is over".to_owned()))?;
        Ok(commit)
    }

    fn load(&mut self) -> Option<Records> {
        None
    }
}

#[tokio::test]
async fn a_store_that_is_slow_delays_its_own_hub_and_no_other_and_no_ping() {
    let (sender, mut gate) = mpsc::unbounded_channel();
    let builder = Emulator::builder().hubs(["default", "slow"]).store(move |hub| -> Box<dyn Store> {
        if hub.as_str() == "slow" {
            Box::new(Gated(sender.clone()))
        } else {
            Box::new(taskhub::emulator::store::Forgetful)
        }
    });
    let emulator = builder.start().await.unwrap();
    let slow = Client::from_connection_string(&emulator.connection_string_for("slow")).await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let worker = Worker::new(&client, registry()).start().unwrap();

    let starting = tokio::spawn({
        let slow = slow.clone();
        async move { slow.start(sum, 3).id("a").await.map(drop) }
    });
    let held = tokio::time::timeout(PATIENCE, gate.recv()).await.unwrap().unwrap();
    // The store of the slow hub is busy from here on.
    let run = async { client.start(sum, 3).id("a").await?.result().await };
    assert_eq!(tokio::time::timeout(PATIENCE, run).await.expect("the other hub serves").unwrap(), 14);
    tokio::time::timeout(PATIENCE, slow.ping()).await.expect("its connection serves").unwrap();
    assert!(!starting.is_finished(), "it is answered before it is kept");
    held.kept();
    tokio::time::timeout(PATIENCE, starting).await.unwrap().unwrap().unwrap();
    worker.stop().await;
    emulator.stop().await;
}
