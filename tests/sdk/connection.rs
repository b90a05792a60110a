//! Tells what a client says about a scheduler it cannot reach or use.

use crate::scheduler::Scheduler;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::model::Timestamp;
use taskhub::sdk::Failure;
use taskhub::sdk::client::{Client, Error};
use taskhub::sdk::connect::{InvalidTarget, Target};
use tonic::Code;

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_named_with_a_hint() {
    // Bound and not listening: connections are refused, and no other test can be given the port.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", held.local_addr().unwrap());
    let error = Client::connect(&endpoint).await.unwrap_err();
    let Error::Unreachable { endpoint: named, why, hint } = &error else { panic!("{error:?}") };
    assert_eq!(named, &endpoint);
    assert!(why.contains("refused"), "{why}");
    assert!(hint.contains("taskhub emulator"), "{hint}");
}

#[tokio::test]
async fn tls_to_a_plain_port_is_unreachable_and_hints_at_the_scheme() {
    let scheduler = Scheduler::plain();
    let error = Client::connect(&format!("https://{}", scheduler.address)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("http:// instead of https://"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (scheduler, _) = Scheduler::tls();
    let endpoint = format!("https://localhost:{}", scheduler.address.port());
    let error = Client::connect(&endpoint).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(scheduler.all_calls().is_empty());
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_an_error_and_no_hang() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"SSH-2.0-garbage\r\n\x00\xff").await.unwrap();
        }
    });
    assert!(matches!(Client::connect(&endpoint).await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_port_that_says_nothing_is_given_up() {
    // Connections are taken by the system and wait for ever.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let target = Target::new(&endpoint).unwrap().clock(clock.clone());
    let mut connecting = pin!(Client::connect_to(target));
    assert!(futures::poll!(&mut connecting).is_pending());
    clock.advance(Duration::from_secs(10));
    let error = connecting.await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { why, .. } if why.contains("nothing was said")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wrong_connection_string_names_its_part_before_anything_is_connected() {
    let error = Client::from_connection_string("Endpoint=http://localhost;TaskHub=x").await.unwrap_err();
    assert!(matches!(error, Error::Target(InvalidTarget::Missing { name: "Authentication" })), "{error:?}");
}

#[tokio::test]
async fn a_wrong_instance_id_never_leaves_the_client() {
    let scheduler = Scheduler::plain();
    let client = Client::connect(&format!("http://{}", scheduler.address)).await.unwrap();
    for id in ["x".repeat(101), "a\u{7}b".to_owned(), "@a@b".to_owned(), String::new()] {
        let error = client.start_named::<()>("f", 1).id(id).await.unwrap_err();
        assert!(matches!(error, Error::Id(_)), "{error:?}");
    }
    assert_eq!(scheduler.all_calls().len(), 1, "only the hello");
}

#[tokio::test]
async fn a_call_that_the_scheduler_does_not_have_is_an_error_that_says_so() {
    let scheduler = Scheduler::plain();
    let client =
        Client::connect_to(Target::new(&format!("http://{}", scheduler.address)).unwrap()).await.unwrap();
    let error = client.handle::<(), ()>("a").suspend("wait").await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert_eq!(client.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_wait_that_a_front_end_cuts_short_goes_on() {
    let scheduler = Scheduler::plain();
    let client = Client::connect(&format!("http://{}", scheduler.address)).await.unwrap();
    scheduler.refuse_next(Code::DeadlineExceeded);
    scheduler.refuse_next(Code::Unavailable);
    scheduler.refuse_next(Code::DeadlineExceeded);
    assert_eq!(client.handle::<u32, Failure>("a").result().await.unwrap(), 7);
    assert_eq!(scheduler.calls("wait_for_instance_completion", 4).await.len(), 4);
}

#[tokio::test]
async fn a_call_is_repeated_only_where_doing_it_twice_is_doing_it_once() {
    let scheduler = Scheduler::plain();
    let client = Client::connect(&format!("http://{}", scheduler.address)).await.unwrap();
    scheduler.refuse_next(Code::Unavailable);
    assert_eq!(client.get("a").await.unwrap(), None);
    assert_eq!(scheduler.calls("get_instance", 2).await.len(), 2, "asking is harmless");

    scheduler.refuse_next(Code::Unavailable);
    let error = client.handle::<u32, Failure>("a").raise_named("Go", 1).await.unwrap_err();
    assert!(matches!(error, Error::Other { code: 14, .. }), "{error:?}");
    assert_eq!(scheduler.calls("raise_event", 1).await.len(), 1, "two calls would be two events");

    // An id of the client's own making: if it is taken, it was taken by the first attempt.
    scheduler.refuse_next(Code::Unavailable);
    scheduler.refuse_next(Code::AlreadyExists);
    let run = client.start_named::<Failure>("f", 1).await.unwrap();
    assert_eq!(run.id().len(), 32);
    scheduler.refuse_next(Code::AlreadyExists);
    let error = client.start_named::<Failure>("f", 1).id("mine").await.unwrap_err();
    assert!(matches!(&error, Error::AlreadyExists { id, .. } if id == "mine"), "{error:?}");
}
