//! An activity that aborts its worker's process, each time it is tried, while a supervisor starts the worker again.

use super::actors::{all_complete, doomed_worker, poisoned, start_steps};
use super::stage::within;
use taskhub::emulator::Emulator;
use taskhub::sdk::client::{Client, Error};

/// How many instances have nothing to do with it.
const INNOCENT: usize = 50;
/// How many processes the poison may cost.
const PROCESSES: usize = 20;

#[tokio::test]
async fn an_activity_that_aborts_every_worker_fails_by_name_and_the_innocent_go_on() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let poisonous = client.start(poisoned, ()).id("poisoned").await.unwrap();
    let innocent = start_steps(&client, "innocent", INNOCENT).await;
    let endpoint = emulator.endpoint();
    // Starts a worker again whenever it has died, as a supervisor does, and counts how many it took.
    let supervised = async {
        for _ in 1..=PROCESSES {
            let status = doomed_worker("healthy", &endpoint).ended().await;
            assert!(!status.success(), "a worker ended by itself: {status}");
        }
    };
    let stories = async {
        all_complete("what has nothing to do with the poison", &innocent).await;
        within("the end of the poisoned instance", poisonous.result()).await
    };
    let failed = tokio::select! {
        () = supervised => panic!("{PROCESSES} workers have died, and the poison is still handed out"),
        failed = stories => failed,
    };
    let Err(Error::Failed { details, .. }) = failed else { panic!("{failed:?}") };
    assert!(details.message.contains("'poison'"), "the failure does not name the activity: {details:?}");
}
