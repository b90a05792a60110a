//! Tells how a worker notices that nothing comes through any more.

use crate::scheduler::Scheduler;
use crate::worker::{activity, at_work, registry};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::model::Timestamp;
use taskhub::sdk::auth::{TokenFuture, TokenSource};
use taskhub::sdk::{Target, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// After this time a test fails that would wait without end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands between a worker and its scheduler. Once silenced, the connections that it has stay open and carry nothing;
/// new ones are carried as before.
struct Proxy {
    address: SocketAddr,
    silenced: watch::Sender<bool>,
}

impl Proxy {
    async fn before(scheduler: &Scheduler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, silenced) = (scheduler.address, watch::Sender::new(false));
        let speaking = silenced.clone();
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let there = TcpStream::connect(to).await.unwrap();
                let (worker, scheduler) = (here.into_split(), there.into_split());
                // Silenced once, and for good.
                let already = *speaking.borrow();
                let silenced = (!already).then(|| speaking.subscribe());
                tokio::spawn(carry(worker.0, scheduler.1, silenced.clone()));
                tokio::spawn(carry(scheduler.0, worker.1, silenced));
            }
        });
        Self { address, silenced }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silenced: Option<watch::Receiver<bool>>) {
    let silence = async {
        match silenced {
            Some(mut silenced) => drop(silenced.wait_for(|silenced| *silenced).await),
            None => std::future::pending().await,
        }
    };
    let copying = async {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    let was_silenced = tokio::select! {
        biased;
        () = silence => true,
        () = copying => false,
    };
    if was_silenced {
        // Both ends stay open.
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_connection_that_carries_nothing_is_replaced_when_a_ping_is_not_answered() {
    let scheduler = Scheduler::plain();
    let proxy = Proxy::before(&scheduler).await;
    let target = Target::new(&format!("http://{}", proxy.address))
        .unwrap()
        .keep_alive(Duration::from_millis(50), Duration::from_millis(50));
    let worker = at_work(Worker::for_target(target, registry()).silence(Duration::MAX)).await;
    proxy.silenced.send_replace(true);
    let replaced = tokio::time::timeout(PATIENCE, worker.connections_made(2)).await;
    replaced.expect("the connection is replaced");
    scheduler.hand_out(activity("square", 1, "3"));
    assert_eq!(scheduler.activities(1).await[0].result.as_deref(), Some("9"));
}

/// Blocks the thread that asks it, which is the one that keeps the connection.
struct Blocking {
    asked: watch::Sender<bool>,
    go: AtomicBool,
}

impl TokenSource for Blocking {
    fn token<'a>(&'a self, _: &'a str) -> TokenFuture<'a> {
        self.asked.send_replace(true);
        while !self.go.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_worker_whose_connection_is_blocked_has_stopped_five_seconds_after_its_grace() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let source = Arc::new(Blocking { asked: watch::Sender::new(false), go: AtomicBool::new(false) });
    let target = Target::new("https://localhost:1").unwrap().clock(clock.clone());
    let target = target.identity(source.clone()).unwrap();
    let worker = Worker::for_target(target, registry()).grace(Duration::from_secs(7)).start().unwrap();
    source.asked.subscribe().wait_for(|asked| *asked).await.unwrap();
    let mut stopping = std::pin::pin!(worker.stop());
    let stopped = tokio::time::timeout(PATIENCE, async {
        loop {
            tokio::select! {
                biased;
                stopped = &mut stopping => break stopped,
                () = tokio::task::yield_now() => clock.advance(Duration::from_secs(1)),
            }
        }
    });
    let stopped = stopped.await;
    // The thread is let go first: a test that fails must end.
    source.go.store(true, Ordering::Release);
    let stopped = stopped.expect("the worker has stopped");
    assert_eq!(stopped.left, []);
}
