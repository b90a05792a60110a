//! Connections that say nothing, or next to nothing, on every port.

use super::actors::{all_complete, healthy, start_steps};
use super::stage::{Running, within};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use taskhub::clock::{Clock as _, WallClock};
use taskhub::sdk::Worker;
use taskhub::sdk::client::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How many descriptors the emulator may have, and how many connections are opened to it.
const DESCRIPTORS: &str = "ulimit -n 256; exec \"$@\"";
const CONNECTIONS: usize = 400;

/// A worker and a client do what they do everywhere.
async fn is_served(emulator: &Running) {
    let client = within("a client's connection", async {
        // A connection attempt gives up by itself; one that is made once there is room gets through.
        loop {
            if let Ok(client) = Client::connect(&emulator.endpoint()).await {
                return client;
            }
            WallClock.sleep_until(WallClock.now().plus(Duration::from_millis(100))).await;
        }
    })
    .await;
    let worker = Worker::new(&client, healthy()).start().unwrap();
    let instances = start_steps(&client, "served", 5).await;
    all_complete("the work of a real client", &instances).await;
    worker.kill().await;
}

/// Waits until the other side closes.
async fn closed(mut socket: TcpStream) {
    // A reset is an end too.
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_real_client_gets_through_where_silent_ones_take_every_descriptor() {
    let emulator = Running::start_in(DESCRIPTORS, &[], Stdio::null()).await;
    let mut silent = Vec::new();
    for number in 0..CONNECTIONS {
        let port = if number % 2 == 0 { emulator.grpc } else { emulator.health };
        // The system accepts them into its queue for as long as that has room.
        match tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(port)).await {
            Ok(Ok(socket)) => silent.push(socket),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    assert!(silent.len() > 256, "{}", silent.len());
    within("service for a real client", is_served(&emulator)).await;
}

#[tokio::test]
async fn silent_and_slow_connections_are_closed_on_every_port_and_others_are_served() {
    let emulator = Running::start(&[]).await;
    // A client of HTTP/2 begins with this line and an empty frame of settings. It answers no ping afterwards.
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let http1 = [&b"GET /healthz HTTP/1.1\r\nX: "[..], &[b'x'; 200]].concat();
    for (port, request) in [(emulator.grpc, http2), (emulator.health, http1)] {
        let mut ends = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let silent = TcpStream::connect(port).await.unwrap();
            ends.spawn(async move { closed(silent).await });
            ends.spawn(a_byte_a_second(port, request.clone()));
        }
        is_served(&emulator).await;
        let all = async { while ends.join_next().await.is_some() {} };
        within(&format!("the end of silent and slow connections to {port}"), all).await;
    }
}

/// Sends bytes, one a second, and then nothing, until the other side has enough.
async fn a_byte_a_second(port: SocketAddr, bytes: Vec<u8>) {
    let (mut read, mut write) = TcpStream::connect(port).await.unwrap().into_split();
    let slowly = async {
        for byte in bytes {
            WallClock.sleep_until(WallClock.now().plus(Duration::from_secs(1))).await;
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        () = slowly => {}
        // A reset is an end too.
        _ = read.read_to_end(&mut said) => {}
    }
}
