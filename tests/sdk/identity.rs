//! Tells how identity travels: over TLS, with every call, fresh, and unseen.

use crate::log::Log;
use crate::scheduler::Scheduler;
use crate::worker::{activity, registry};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskhub::clock::{Clock, ManualClock};
use taskhub::model::Timestamp;
use taskhub::sdk::Worker;
use taskhub::sdk::auth::{SCOPE, Token, TokenFuture, TokenSource};
use taskhub::sdk::client::Client;
use taskhub::sdk::connect::Target;

const SECRET: &str = "s3cret-number";

/// Gives tokens that live for an hour.
struct Hourly {
    clock: Arc<ManualClock>,
    given: Mutex<u32>,
}

impl TokenSource for Hourly {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        assert_eq!(scope, SCOPE);
        let mut given = self.given.lock().unwrap();
        *given += 1;
        let token = Token::new(format!("{SECRET}-{given}"), self.clock.now().plus(Duration::from_secs(3600)));
        Box::pin(async { Ok(token) })
    }
}

fn target(scheduler: &Scheduler, trust: String, clock: &Arc<ManualClock>) -> Target {
    let source = Hourly { clock: clock.clone(), given: Mutex::default() };
    Target::new(&format!("https://localhost:{}", scheduler.address.port()))
        .unwrap()
        .hub("orders")
        .trust(trust)
        .clock(clock.clone())
        .identity(Arc::new(source))
        .unwrap()
}

#[tokio::test]
async fn every_call_carries_hub_name_and_token_and_the_token_is_never_seen() {
    let log = Log::listen_to_everything();
    let (scheduler, trust) = Scheduler::tls();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let client = Client::connect_to(target(&scheduler, trust, &clock)).await.unwrap();
    client.ping().await.unwrap();
    client.get("a").await.unwrap();
    let calls = scheduler.all_calls();
    assert_eq!(calls.iter().map(|call| call.rpc).collect::<Vec<_>>(), ["hello", "hello", "get_instance"]);
    for call in &calls {
        assert_eq!(call.header("authorization"), format!("Bearer {SECRET}-1"));
        assert_eq!(call.header("taskhub"), "orders");
        assert!(call.header("x-user-agent").starts_with("taskhub-rust/"), "{:?}", call.metadata);
    }
    let shown = format!("{client:?} {:?}", client.target());
    assert!(!shown.contains(SECRET), "{shown}");
    let logged = log.everything();
    assert!(logged.contains("h2"), "this test sees what the connection logs");
    assert!(!logged.contains(SECRET), "a token was logged");
}

#[tokio::test]
async fn the_token_of_a_worker_is_renewed_while_its_stream_lives() {
    let (scheduler, trust) = Scheduler::tls();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let worker = Worker::for_target(target(&scheduler, trust, &clock), registry())
        .silence(Duration::MAX)
        .start()
        .unwrap();
    worker.connected().await;
    scheduler.hand_out(activity("square", 1, "2"));
    scheduler.activities(1).await;
    clock.advance(Duration::from_secs(56 * 60));
    scheduler.hand_out(activity("square", 2, "3"));
    scheduler.activities(2).await;
    let tokens = |calls: Vec<crate::scheduler::Call>| {
        calls.iter().map(|call| call.header("authorization").to_owned()).collect::<Vec<_>>()
    };
    let given = |number| format!("Bearer {SECRET}-{number}");
    assert_eq!(tokens(scheduler.calls("get_work_items", 1).await), [given(1)]);
    assert_eq!(tokens(scheduler.calls("complete_activity_task", 2).await), [given(1), given(2)]);
}
