//! Talks to the published packages of other languages: theirs with theirs, and each with ours.
//!
//! `tests/interop/setup.sh` installs them into `target/interop`; `TASKHUB_PYTHON` (a Python that has them) and
//! `TASKHUB_NODE_MODULES` (a folder that has them) name other places. Where they are missing a test says so and
//! passes, but with `CI=true` or `TASKHUB_REQUIRE_INTEROP=1` it fails. Java and Go are required there only where
//! their tools are on the machine.

#![cfg(all(feature = "emulator", feature = "sdk"))]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use taskhub::emulator::Emulator;
use taskhub::orchestration::registry;
use taskhub::sdk::client::Client;
use taskhub::sdk::worker::Worker;
use taskhub::sdk::{Failure, OrchestrationContext, Registry};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(180);

/// A language whose published packages are talked to.
struct Language {
    name: &'static str,
    /// The variable that names another place than `made`; empty: there is none.
    variable: &'static str,
    /// What the setup script makes.
    made: &'static str,
    /// The tool without which the setup script leaves the language out; nothing where it may not be left out.
    tool: Option<&'static str>,
}

const PYTHON: Language = Language {
    name: "Python",
    variable: "TASKHUB_PYTHON",
    made: "target/interop/venv/bin/python",
    tool: None,
};
const JAVASCRIPT: Language = Language {
    name: "JavaScript",
    variable: "TASKHUB_NODE_MODULES",
    made: "target/interop/node/node_modules",
    tool: None,
};
const JAVA: Language =
    Language { name: "Java", variable: "", made: "target/interop/java/classes", tool: Some("mvn") };
const GO: Language =
    Language { name: "Go", variable: "", made: "target/interop/go/stories", tool: Some("go") };

/// A path in the repository.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the environment names, or what the setup script has made; nothing, with a word, where there is none.
fn found(language: &Language) -> Option<PathBuf> {
    let path = std::env::var_os(language.variable).map_or_else(|| here(language.made), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    let required = |name, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    assert!(
        language.tool.is_some_and(|tool| !on_path(tool))
            || !required("CI", "true") && !required("TASKHUB_REQUIRE_INTEROP", "1"),
        "{}'s packages are not at {}; run tests/interop/setup.sh",
        language.name,
        path.display()
    );
    say_once(language.name);
    None
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

fn say_once(language: &'static str) {
    static SAID: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().expect("no test panics with it");
    if !said.contains(&language) {
        said.push(language);
        // Not `println!`, which a passing test swallows: this is to be seen.
        let line =
            format!("not run: {language}'s packages are not here; tests/interop/setup.sh installs them\n");
        std::io::stderr().write_all(line.as_bytes()).expect("stderr is there");
    }
}

fn python(role: &str, emulator: &Emulator) -> Option<Command> {
    let mut command = Command::new(found(&PYTHON)?);
    command.arg(here("tests/interop/stories.py")).arg(role).arg(address(emulator));
    Some(command)
}

fn javascript(emulator: &Emulator) -> Option<Command> {
    let modules: OsString = found(&JAVASCRIPT)?.into();
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(here("tests/interop/stories.cjs")).arg(address(emulator));
    Some(command)
}

fn java(role: &str, emulator: &Emulator) -> Option<Command> {
    let mut path: OsString = found(&JAVA)?.into();
    path.push(":");
    path.push(here("target/interop/java/jars/*"));
    let mut command = Command::new("java");
    command.arg("-cp").arg(path).arg("Stories").arg(role).arg(address(emulator));
    Some(command)
}

fn go(role: &str, emulator: &Emulator) -> Option<Command> {
    let mut command = Command::new(found(&GO)?);
    command.arg(role).arg(address(emulator));
    Some(command)
}

fn address(emulator: &Emulator) -> String {
    emulator.endpoint().trim_start_matches("http://").to_owned()
}

/// Runs a program to its end and gives back what it printed; panics with all of it where it failed.
async fn told_by(mut command: Command) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the stories end in time");
    let Output { status, stdout, stderr } = output.expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

#[track_caller]
fn held(output: &str, stories: &[&str]) {
    let held: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    assert_eq!(held, stories);
}

/// A worker that has said it is ready. It ends when its standard input does.
async fn ready(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut worker = command.spawn().expect("the worker starts");
    let mut lines = BufReader::new(worker.stdout.take().expect("it was asked for")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the worker is ready in time");
    assert_eq!(line.expect("the worker says something").as_deref(), Some("ready"));
    worker
}

/// Runs the sample on the worker that `command` starts, started and read by our client.
async fn the_sample_runs_on(command: Command, emulator: &Emulator) {
    let _worker = ready(command).await;
    let client = Client::connect(&emulator.endpoint()).await.expect("the client connects");
    let items: Vec<i64> = (1..=10).collect();
    let run = client.start_named::<Failure>("fan_out_fan_in", items).await.expect("the instance starts");
    let summary = run.result_within(PATIENCE).await.expect("it completes");
    assert_eq!((&summary["sum"], &summary["average"]), (&serde_json::json!(385), &serde_json::json!(38.5)));
}

#[tokio::test]
async fn a_python_worker_and_a_python_client_find_a_scheduler() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = python("all", &emulator) else { return };
    held(
        &told_by(command).await,
        &[
            "the sample",
            "fan-out over 100 activities",
            "timer",
            "event",
            "child",
            "retry",
            "terminate",
            "continue-as-new",
            "entity with lock",
            "purge",
        ],
    );
}

#[tokio::test]
async fn a_python_worker_is_sent_what_it_can_take_and_fails_by_name_what_it_cannot() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(program) = found(&PYTHON) else { return };
    let mut command = Command::new(program);
    command.arg(here("tests/interop/large.py")).arg(address(&emulator));
    held(
        &told_by(command).await,
        &[
            "a history of 20,000 events",
            "a history of 8,000 results of 600 bytes",
            "a turn that asks for 8,000 activities with 600 bytes each",
        ],
    );
}

#[tokio::test]
async fn a_javascript_worker_and_a_javascript_client_find_a_scheduler() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = javascript(&emulator) else { return };
    held(
        &told_by(command).await,
        &[
            "the sample",
            "fan-out over 100 activities",
            "timer",
            "event",
            "child",
            "custom status",
            "retry",
            "continue-as-new",
            "entity with lock",
            "rewind",
            "query over pages",
            "history",
        ],
    );
}

#[tokio::test]
async fn a_rust_client_starts_what_a_python_worker_runs() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = python("worker", &emulator) else { return };
    let _worker = ready(command).await;
    let client = Client::connect(&emulator.endpoint()).await.expect("the client connects");
    let run = client.start_named::<Failure>("python_fan_out", 100).await.expect("the instance starts");
    let sum = run.result_within(PATIENCE).await.expect("it completes");
    assert_eq!(sum, serde_json::json!(328_350));
}

#[tokio::test]
async fn a_java_worker_and_a_java_client_find_a_scheduler() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = java("all", &emulator) else { return };
    held(
        &told_by(command).await,
        &["the sample", "timer", "event", "child", "retry", "terminate", "continue-as-new", "purge"],
    );
}

#[tokio::test]
async fn a_go_worker_and_a_go_client_find_a_scheduler() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = go("all", &emulator) else { return };
    held(
        &told_by(command).await,
        &["the sample", "timer", "event", "child", "retry", "continue-as-new", "terminate and purge"],
    );
}

#[tokio::test]
async fn the_sample_runs_on_a_java_worker() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = java("worker", &emulator) else { return };
    the_sample_runs_on(command, &emulator).await;
}

#[tokio::test]
async fn the_sample_runs_on_a_go_worker() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = go("worker", &emulator) else { return };
    the_sample_runs_on(command, &emulator).await;
}

/// Runs our sample on our worker, started and read by the client that `command` is.
async fn our_worker_serves(command: Command, emulator: &Emulator, language: &str) {
    let client = Client::connect(&emulator.endpoint()).await.expect("the client connects");
    let worker = Worker::new(&client, registry()).start().expect("the worker starts");
    held(&told_by(command).await, &[format!("a client in {language} and a worker in Rust").as_str()]);
    worker.stop().await;
}

#[tokio::test]
async fn a_python_client_starts_what_a_rust_worker_runs() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = python("client", &emulator) else { return };
    our_worker_serves(command, &emulator, "Python").await;
}

#[tokio::test]
async fn a_java_client_starts_what_a_rust_worker_runs() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = java("client", &emulator) else { return };
    our_worker_serves(command, &emulator, "Java").await;
}

#[tokio::test]
async fn a_go_client_starts_what_a_rust_worker_runs() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = go("client", &emulator) else { return };
    our_worker_serves(command, &emulator, "Go").await;
}

/// Adds up the squares that activities in Python make.
async fn mixed(ctx: OrchestrationContext, numbers: Vec<i64>) -> Result<i64, Failure> {
    let tasks: Vec<_> =
        numbers.into_iter().map(|number| ctx.activity_named::<i64, i64>("square").call(number)).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await?;
    }
    Ok(sum)
}

#[tokio::test]
async fn a_rust_orchestration_calls_python_activities_in_one_hub() {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let Some(command) = python("worker", &emulator) else { return };
    let _worker = ready(command).await;
    let client = Client::connect(&emulator.endpoint()).await.expect("the client connects");
    let worker =
        Worker::new(&client, Registry::new().orchestration(mixed)).start().expect("the worker starts");
    let run = client.start(mixed, (1..=10).collect()).await.expect("the instance starts");
    let sum = run.result_within(PATIENCE).await.expect("it completes");
    assert_eq!(sum, 385);
    worker.stop().await;
}
