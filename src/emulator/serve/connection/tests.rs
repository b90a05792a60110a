//! Tests the timeouts of a connection, with a client that sends nothing and with one that makes calls.
// HTTP/2 is spoken with the client that comes with the SDK.
#![cfg(feature = "sdk")]

use super::*;
use crate::clock::ManualClock;
use crate::emulator::serve::connections::{AdmitResult, Connections};
use crate::model::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body as Empty;

/// Answers every request with nothing, or never.
#[derive(Clone, Copy)]
struct Answers(bool);

impl hyper::service::Service<Request<Incoming>> for Answers {
    type Response = Response<Empty>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, _: Request<Incoming>) -> Self::Future {
        let answers = self.0;
        Box::pin(async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok(Response::new(Empty::empty()))
        })
    }
}

/// A connection that is served under a clock that stands still, and the client's end of it.
async fn connected(service: Answers) -> (TcpStream, Arc<ManualClock>, JoinHandle<()>) {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let AdmitResult::Admitted(connection) = Connections::at_most(1).admit() else { panic!("there is room") };
    let served = tokio::spawn(serve(stream, connection, None, service, None, clock.clone()));
    sleeping(&clock, &served).await;
    (client, clock, served)
}

/// Until the connection waits for its next moment.
async fn sleeping(clock: &ManualClock, served: &JoinHandle<()>) {
    while clock.sleepers() == 0 {
        assert!(!served.is_finished(), "the connection has ended");
        tokio::task::yield_now().await;
    }
}

/// An HTTP/2 connection over it, driven by a task.
async fn http2(client: TcpStream) -> (hyper::client::conn::http2::SendRequest<Empty>, JoinHandle<()>) {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client));
    let (sender, connection) = handshake.await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

fn request() -> Request<Empty> {
    Request::builder().uri("http://x/").body(Empty::empty()).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_nothing_loses_the_connection_after_twenty_seconds() {
    for sent in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
        let (mut client, clock, served) = connected(Answers(true)).await;
        client.write_all(sent).await.unwrap();
        clock.advance(HANDSHAKE_TIMEOUT.saturating_sub(Duration::from_micros(1)));
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_micros(1));
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), client.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "it stays open");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_without_a_call_keeps_its_connection_for_an_hour_and_then_gets_a_goaway() {
    let (client, clock, served) = connected(Answers(true)).await;
    let (mut sender, driven) = http2(client).await;
    sender.send_request(request()).await.unwrap();
    clock.advance(HANDSHAKE_TIMEOUT);
    for _ in 0..3 {
        sleeping(&clock, &served).await;
        clock.advance(TIMEOUTS.idle.saturating_sub(Duration::from_micros(1)));
        sender.send_request(request()).await.unwrap();
        clock.advance(Duration::from_micros(1));
    }
    sleeping(&clock, &served).await;
    assert!(!served.is_finished(), "a call in an hour is enough");
    clock.advance(TIMEOUTS.idle);
    // The client gets a GOAWAY and closes its end: no call fails on the way.
    driven.await.unwrap();
    served.await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_days_keeps_its_connection() {
    let (client, clock, served) = connected(Answers(false)).await;
    let (mut sender, _driven) = http2(client).await;
    let call = tokio::spawn(async move { sender.send_request(request()).await });
    // The call is there once the opening has passed without harm: until then it could be on its way.
    while clock.sleepers() == 1 && !served.is_finished() && !call.is_finished() {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_millis(1));
        if clock.now() > Timestamp::EPOCH.plus(HANDSHAKE_TIMEOUT) {
            break;
        }
    }
    for _ in 0..72 {
        sleeping(&clock, &served).await;
        clock.advance(TIMEOUTS.idle);
    }
    sleeping(&clock, &served).await;
    assert!(!served.is_finished() && !call.is_finished());
    call.abort();
}
