//! Who works: orchestrators and activities, and a worker in a process of its own.
//!
//! The process is this very program, told to run the one test that is ignored otherwise.

use super::stage::{Process, within};
use std::io::Read as _;
use std::process::Stdio;
use taskhub::sdk::client::{Client, Handle};
use taskhub::sdk::{Failure, OrchestrationContext, Registry, Target, Worker};
use tokio::process::Command;

/// Where the worker in a process of its own connects to.
const ENDPOINT: &str = "TASKHUB_ATTACK_ENDPOINT";
/// Which worker it is to be.
const ROLE: &str = "TASKHUB_ATTACK_ROLE";
/// What it prints once it is connected.
const READY: &str = "the worker is ready";

pub async fn square(number: i64) -> Result<i64, Failure> {
    Ok(number * number)
}

/// Never ends, and does no harm.
async fn held(_: i64) -> Result<i64, Failure> {
    std::future::pending().await
}

/// Takes its process with it.
pub async fn poison(_: i64) -> Result<i64, Failure> {
    std::process::abort()
}

/// `count` activities, one after another.
pub async fn steps(ctx: OrchestrationContext, count: i64) -> Result<i64, Failure> {
    let mut sum = 0;
    for number in 1..=count {
        sum += ctx.activity_named::<i64, i64>("square").call(number).await?;
    }
    Ok(sum)
}

pub async fn poisoned(ctx: OrchestrationContext, (): ()) -> Result<i64, Failure> {
    Ok(ctx.call(poison, 1).await?)
}

/// Gives back how long its input is.
pub async fn length(_: OrchestrationContext, text: String) -> Result<usize, Failure> {
    Ok(text.len())
}

/// Who does all that is asked.
pub fn healthy() -> Registry {
    Registry::new()
        .orchestration(steps)
        .orchestration(poisoned)
        .orchestration(length)
        .activity(square)
        .activity(poison)
}

/// Who takes turns, and begins activities without ever ending one.
pub fn holding() -> Registry {
    Registry::new().orchestration(steps).activity_named("square", None, held)
}

/// Starts a worker in a process of its own, and waits until it is connected. It ends when its standard input does.
pub async fn worker(role: &str, endpoint: &str) -> Process {
    Process::start(&mut command(role, endpoint), READY).await.0
}

/// Starts one that may die before it could say that it is connected.
pub fn doomed_worker(role: &str, endpoint: &str) -> Process {
    Process::spawn(&mut command(role, endpoint))
}

fn command(role: &str, endpoint: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "actors::a_worker_in_a_process_of_its_own", "--ignored", "--nocapture"]);
    command.env(ENDPOINT, endpoint).env(ROLE, role).stdin(Stdio::piped()).stderr(Stdio::null());
    command
}

#[test]
#[ignore = "not a story: the stories start it as a process"]
fn a_worker_in_a_process_of_its_own() {
    // Started by hand it has nowhere to connect to.
    let (Ok(endpoint), Ok(role)) = (std::env::var(ENDPOINT), std::env::var(ROLE)) else { return };
    let registry = match role.as_str() {
        "healthy" => healthy(),
        "holding" => holding(),
        other => panic!("no such role: {other}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = Target::new(&endpoint).unwrap();
    let worker = Worker::for_target(target, registry).max_activities(10).start().unwrap();
    runtime.block_on(worker.connected());
    println!("{READY}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(worker.kill());
}

/// Starts `count` instances of `steps`, each with an id that begins with `prefix`.
pub async fn start_steps(client: &Client, prefix: &str, count: usize) -> Vec<Handle<i64, Failure>> {
    let mut handles = Vec::new();
    for number in 0..count {
        handles.push(client.start(steps, 3).id(format!("{prefix}-{number}")).await.unwrap());
    }
    handles
}

/// Waits until all of them have completed, each with the sum of 1, 4 and 9.
pub async fn all_complete(what: &str, handles: &[Handle<i64, Failure>]) {
    for (done, handle) in handles.iter().enumerate() {
        let result = within(&format!("{what}: {done} of {} are done", handles.len()), handle.result()).await;
        assert_eq!(result.unwrap(), 14);
    }
}
