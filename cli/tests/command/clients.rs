//! Runs the commands that talk to a scheduler: what they start, print and complain of.

use super::{Running, command, failed, succeeded, taskhub};
use pretty_assertions::assert_eq;
use serde_json::Value;
use std::net::TcpListener;
use taskhub::orchestration::registry;
use taskhub::sdk::{Client, EventKey, Failure, OrchestrationContext, Worker};

#[test]
fn a_client_command_without_a_scheduler_names_the_address_it_tried() {
    // A port that was free a moment ago, and that nobody is given twice in a row.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let message = failed(&taskhub(&["history", "x", "--endpoint", &endpoint]), 1);
    assert!(message.contains(&endpoint) && message.contains("`taskhub emulator`"), "{message}");
    // Without a scheme it would be TLS, and the message one about identities in Azure.
    let message = failed(&taskhub(&["history", "x", "--endpoint", &endpoint["http://".len()..]]), 2);
    assert!(message.contains("http:// before it reaches an emulator"), "{message}");
    let wrong = command(&["history", "x"]).env("ENDPOINT", "gopher://x").output().unwrap();
    assert!(failed(&wrong, 2).contains("ENDPOINT is wrong: the endpoint 'gopher://x'"), "{wrong:?}");
    let message = failed(&taskhub(&["run", "x", "--input", "[1", "--endpoint", &endpoint]), 2);
    assert!(message.contains("--input is not JSON"), "{message}");
}

#[test]
fn an_instance_can_be_started_and_its_history_read_by_other_processes() {
    let emulator = Running::start(&[]);
    let ready = emulator.ready_file();
    let endpoint = ready["endpoint"].as_str().unwrap();
    let id =
        succeeded(&taskhub(&["run", "nobody_has_it", "--input", "[1]", "--no-wait", "--endpoint", endpoint]));
    let id = id.trim();
    // No worker has taken a turn: there is an instance, and nothing has happened to it yet.
    let json = succeeded(&taskhub(&["history", id, "--json", "--endpoint", endpoint]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::json!([]));
    let timeline = succeeded(&taskhub(&["history", id, "--endpoint", endpoint]));
    assert!(timeline.starts_with(&format!("nobody_has_it  PENDING  0  {id}\n")), "{timeline}");
    assert!(timeline.contains("it waits for its time, or for a worker"), "{timeline}");
    let message = failed(&taskhub(&["history", "nobody", "--endpoint", endpoint]), 1);
    assert!(message.contains("nobody"), "{message}");
}

/// Fails with what would clear a terminal.
async fn rude(_: OrchestrationContext, (): ()) -> Result<(), Failure> {
    Err(Failure::permanent("no \u{1b}[2J luck"))
}

/// Waits for an event that nobody raises.
async fn patient(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
    ctx.event(EventKey::<()>::new("Go")).await.map_err(Failure::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_runs_can_be_waited_for_and_looked_at() {
    let emulator = Running::start(&[]);
    let ready = emulator.ready_file();
    let endpoint = ready["endpoint"].as_str().unwrap();
    let client = Client::connect(endpoint).await.unwrap();
    let functions = registry().orchestration(rude).orchestration(patient);
    let worker = Worker::new(&client, functions).start().unwrap();
    let run = |name, rest: &[&str]| taskhub(&[&["run", name, "--endpoint", endpoint], rest].concat());
    let history = |rest: &[&str]| succeeded(&taskhub(&[&["history", "--endpoint", endpoint], rest].concat()));

    let output = succeeded(&run("fan_out_fan_in", &["--input", "[1, 2, 3]", "--id", "a"]));
    assert_eq!(serde_json::from_str::<Value>(&output).unwrap()["sum"], 14);
    let timeline = history(&["a"]);
    assert!(
        timeline.starts_with("fan_out_fan_in  COMPLETED  ") && timeline.contains("\n  => {"),
        "{timeline}"
    );
    let table = history(&["a", "--table"]);
    assert!(table.lines().next().unwrap().contains("event"), "{table}");
    assert_eq!(
        table.matches("TaskCompleted").count(),
        5,
        "a list, three items and what came of them:\n{table}"
    );
    assert!(history(&["a", "--json"]).contains("executionCompleted"));

    let message = failed(&run("rude", &["--id", "b"]), 1);
    assert!(message.contains("b failed with ") && message.contains(": no  [2J luck"), "{message:?}");
    for shown in [history(&["b"]), history(&["b", "--table"])] {
        assert!(shown.contains("no  [2J luck") && !shown.contains('\u{1b}'), "{shown:?}");
    }

    let waiting = client.start(patient, ()).id("c").await.unwrap();
    waiting.started().await.unwrap();
    let timeline = history(&["c"]);
    assert!(timeline.starts_with("patient  RUNNING  "), "{timeline}");
    assert!(timeline.contains("no task is open: it waits for an event"), "{timeline}");
    worker.stop().await;
}
