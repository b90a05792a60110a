//! Talks to servers that take a connection and say little: no command waits for ever, or in silence.

use super::{failed, taskhub};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;
use taskhub::wire::{CreateInstanceRequest, CreateInstanceResponse};
use tonic::codegen::Service;
use tonic::server::Grpc;
use tonic_prost::ProstCodec;

/// A unary method that always has the same answer.
#[derive(Clone)]
struct Always<A>(A);

impl<Q, A: Clone> Service<tonic::Request<Q>> for Always<A> {
    type Response = tonic::Response<A>;
    type Error = tonic::Status;
    type Future = std::future::Ready<Result<Self::Response, tonic::Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tonic::Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: tonic::Request<Q>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(self.0.clone())))
    }
}

async fn answer(
    methods: &'static [&'static str],
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if !methods.contains(&&*method) {
        std::future::pending::<()>().await;
    }
    Ok(if method == "Hello" {
        Grpc::new(ProstCodec::<(), ()>::default()).unary(Always(()), request).await
    } else {
        let started = CreateInstanceResponse { instance_id: "started".into() };
        let codec = ProstCodec::<CreateInstanceResponse, CreateInstanceRequest>::default();
        Grpc::new(codec).unary(Always(started), request).await
    })
}

/// A scheduler that answers these methods, and leaves the caller of every other one waiting. Its address.
async fn mute(methods: &'static [&'static str]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request| answer(methods, request));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_says_hello_and_no_more_is_given_up_by_name() {
    let endpoint = mute(&["Hello"]).await;
    for (command, part) in [
        (&["run", "order"][..], "waited for the start of order"),
        (&["run", "order", "--no-wait"], "waited for the start of order"),
        (&["history", "order-1"], "waited for the status of order-1"),
    ] {
        let message = failed(&taskhub(&[command, &["--timeout", "1", "--endpoint", &endpoint]].concat()), 1);
        assert!(message.contains(part) && message.contains("said hello"), "{message}");
        assert!(message.contains("no answer in 1 s") && message.contains("--timeout"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_does_not_even_say_hello_is_given_up_after_the_time_allowed() {
    let endpoint = mute(&[]).await;
    let message = failed(&taskhub(&["history", "x", "--timeout", "1", "--endpoint", &endpoint]), 1);
    assert!(message.contains("waited for a hello of") && message.contains("no answer in 1 s"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_starts_an_instance_and_tells_nothing_of_it_is_given_up() {
    let endpoint = mute(&["Hello", "StartInstance"]).await;
    let message = failed(&taskhub(&["run", "order", "--timeout", "3", "--endpoint", &endpoint]), 1);
    assert!(message.contains("waited for the status of started"), "{message}");
    // And the wait was told while it lasted.
    assert!(message.contains("waiting for the status of started since "), "{message}");
}

#[test]
fn a_health_page_that_comes_byte_by_byte_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (enough, stopped) = mpsc::channel::<()>();
    let drip = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // A byte every 50 ms, for as long as somebody reads them.
        while stopped.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout)
            && stream.write_all(b"H").is_ok()
        {}
    });
    let message = failed(&taskhub(&["healthcheck", "--timeout", "1", "--http-port", &port]), 1);
    assert!(message.contains("no whole answer in 1s"), "{message}");
    drop(enough);
    drip.join().unwrap();
}
