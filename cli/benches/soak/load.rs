//! The load on one hub: instances one after another, several at a time, each checked when it has ended.

use super::check::Seen;
use super::process::Emulator;
use super::tasks::{COUNTERS, counter, result};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use taskhub::model::Status;
use taskhub::sdk::Failure;
use taskhub::sdk::client::{Client, Purge};
use tokio::task::JoinSet;

/// How many instances of a hub are under way at a time.
const AT_A_TIME: usize = 8;
/// One in so many is terminated, and one in so many comes with a signal from the client.
const TERMINATED: i64 = 7;
const SIGNALED: i64 = 3;

/// What came of a load.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) instances: usize,
    terminated: usize,
    signals: i64,
    counted: i64,
    pub(crate) wrong: Vec<String>,
}

impl Told {
    pub(crate) fn line(&self) -> String {
        format!(
            "{} instances, {} of them terminated; {} signals, {} counted; {} wrong",
            self.instances,
            self.terminated,
            self.signals,
            self.counted,
            self.wrong.len()
        )
    }
}

pub(crate) struct Load {
    pub(crate) hub: &'static str,
    client: Client,
    entities: bool,
    lanes: JoinSet<Told>,
}

impl Load {
    pub(crate) async fn start(
        emulator: &Emulator,
        hub: &'static str,
        entities: bool,
        until: Instant,
    ) -> Self {
        let client = emulator.client(hub).await;
        let next = Arc::new(AtomicI64::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (client, next) = (client.clone(), Arc::clone(&next));
            lanes.spawn(async move {
                let mut told = Told::default();
                while Instant::now() < until {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    one(&client, number, entities, &mut told).await;
                }
                told
            });
        }
        Self { hub, client, entities, lanes }
    }

    /// Waits until all has ended, and counts.
    pub(crate) async fn end(mut self) -> Told {
        let mut all = Told::default();
        while let Some(told) = self.lanes.join_next().await {
            let told = told.unwrap();
            all.instances += told.instances;
            all.terminated += told.terminated;
            all.signals += told.signals;
            all.wrong.extend(told.wrong);
        }
        if self.entities {
            all.counted = self.counted(all.signals).await;
        }
        if self.entities && all.counted != all.signals {
            all.wrong.push(format!(
                "{} signals were sent, and the counters stand at {}",
                all.signals, all.counted
            ));
        }
        // A child may have ended after its parent was purged.
        self.client.purge(Purge::ended()).await.unwrap();
        all
    }

    /// Where all counters stand together, once that is at least `signals`: signals are on their way for a while, and what
    /// is doubled never comes right again.
    async fn counted(&self, signals: i64) -> i64 {
        loop {
            let mut counted = 0;
            for number in 0..COUNTERS {
                if let Some(snapshot) = self.client.entity(&counter(number)).await.unwrap() {
                    counted += snapshot.state::<i64>().unwrap().unwrap_or(0);
                }
            }
            if counted >= signals {
                return counted;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Starts one instance, does to it what its number says, and checks it when it has ended.
async fn one(client: &Client, number: i64, entities: bool, told: &mut Told) {
    let handle =
        client.start_named::<Failure>("soak_order", number).id(format!("order-{number}")).await.unwrap();
    if entities && number % SIGNALED == 0 {
        client.signal_named(&counter(number), "add", 1).await.unwrap();
        told.signals += 1;
    }
    if number % 2 == 0 {
        handle.started().await.unwrap();
    }
    let event = number % 100;
    handle.raise_named("go", event).await.unwrap();
    if number % TERMINATED == 0 {
        // It may have completed meanwhile, which is as good an end.
        let _ = handle.terminate_tree("enough").await;
    }
    let ended = handle.ended().await.unwrap();
    let completed = ended.status() == Status::Completed;
    let history = handle.history().await.unwrap();
    let seen = Seen::read(history.as_ref());
    told.instances += 1;
    told.signals += i64::try_from(seen.signals).unwrap();
    let mut wrong = seen.wrong(completed);
    if completed {
        let output = ended.output::<i64>().unwrap();
        if output != Some(result(number, event)) {
            wrong.push(format!("its output is {output:?}"));
        }
    } else if ended.status() == Status::Terminated && number % TERMINATED == 0 {
        told.terminated += 1;
    } else {
        wrong.push(format!("it ended as {:?}", ended.status()));
    }
    told.wrong.extend(wrong.into_iter().map(|what| format!("order-{number}: {what}")));
    if handle.purge_tree().await.unwrap().deleted == 0 {
        told.wrong.push(format!("order-{number}: it was not purged"));
    }
}
