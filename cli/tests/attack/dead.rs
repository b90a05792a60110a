//! Streams that are open and dead: their work goes to others, and so does all that is new.
//!
//! A worker that is stopped, or behind a connection that went silent, answers no HTTP/2 ping: the emulator gives it up
//! after 30 s at most. These stories wait four times as long.

use super::actors::{all_complete, healthy, holding, start_steps, worker};
use super::stage::within;
use std::net::SocketAddr;
use taskhub::emulator::Emulator;
use taskhub::sdk::client::Client;
use taskhub::sdk::{Target, Worker};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How many instances are under way when it happens, and how many are started afterwards.
const EACH: usize = 20;
/// How many activities the dead worker holds: as many as it takes at a time.
const HELD: usize = 10;

async fn activities_held(emulator: &Emulator, count: usize) {
    let hub = emulator.hub("default").unwrap();
    within("activities that are not answered", async {
        while hub.stats().await.unwrap().workers.iter().map(|worker| worker.active[1]).sum::<usize>() < count
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_stopped_worker_holds_and_all_that_is_new_is_done_by_another() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let dead = worker("holding", &emulator.endpoint()).await;
    let old = start_steps(&client, "old", EACH).await;
    activities_held(&emulator, HELD).await;
    let _well = worker("healthy", &emulator.endpoint()).await;
    dead.signal("STOP").await;
    let new = start_steps(&client, "new", EACH).await;
    all_complete("what was started after the stop", &new).await;
    all_complete("what was under way", &old).await;
}

/// Copies bytes both ways until it is told to fall silent; then it keeps the sockets, and moves nothing.
struct Proxy {
    address: SocketAddr,
    silent: watch::Sender<bool>,
}

impl Proxy {
    async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, is_silent) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(copy(near_read, far_write, is_silent.clone()));
                tokio::spawn(copy(far_read, near_write, is_silent.clone()));
            }
        });
        Self { address, silent }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            biased;
            () = turned_on(&mut silent) => None,
            read = from.read(&mut buffer) => Some(read.unwrap_or(0)),
        };
        match read {
            // The halves of the sockets stay open with this future.
            None => std::future::pending().await,
            Some(0) => return,
            Some(length) if to.write_all(&buffer[..length]).await.is_err() => return,
            Some(_) => {}
        }
    }
}

async fn turned_on(silent: &mut watch::Receiver<bool>) {
    // An error says that the story is over.
    drop(silent.wait_for(|silent| *silent).await);
}

#[tokio::test]
async fn what_is_behind_a_connection_that_went_silent_is_done_by_another() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let proxy = Proxy::before(emulator.address()).await;
    let target = Target::new(&format!("http://{}", proxy.address)).unwrap();
    let _lost = Worker::for_target(target, holding()).max_activities(HELD).start().unwrap();
    let old = start_steps(&client, "old", EACH).await;
    activities_held(&emulator, HELD).await;
    proxy.silent.send_replace(true);
    let well = Worker::new(&client, healthy()).start().unwrap();
    let new = start_steps(&client, "new", EACH).await;
    all_complete("what was started after the silence", &new).await;
    all_complete("what was under way", &old).await;
    well.kill().await;
}
