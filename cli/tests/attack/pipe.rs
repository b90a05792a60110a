//! A standard error that is a pipe which nobody empties.

use super::actors::{all_complete, healthy, start_steps};
use super::stage::{Running, within};
use std::process::Stdio;
use taskhub::sdk::Worker;
use taskhub::sdk::client::Client;

/// Each of them logs several lines at this level; a pipe holds 64 KiB.
const INSTANCES: usize = 300;

#[tokio::test]
async fn work_goes_on_and_sigterm_ends_the_process_where_standard_error_is_not_read() {
    let mut emulator = Running::start_in("exec \"$@\"", &["--log-level", "trace"], Stdio::piped()).await;
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let worker = Worker::new(&client, healthy()).start().unwrap();
    let instances = within("the starts", start_steps(&client, "logged", INSTANCES)).await;
    all_complete("what is logged", &instances).await;
    worker.kill().await;
    emulator.process.signal("TERM").await;
    let status = within("the end of the process", emulator.process.ended()).await;
    assert!(status.success(), "{status}");
    // Held open until here.
    drop(emulator.stderr.take());
}
