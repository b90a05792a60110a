//! Measures what an emulator's process keeps: `cargo bench --bench memory`.
//!
//! The emulator runs in a process of its own (this program again), and its resident memory is read from `/proc` before,
//! at the peak and after each of these:
//!
//! - `cycles`: 40,000 instances are started, finish and are purged, ten times. After the tenth, memory is within 10 % of
//!   that after the second; otherwise this ends with an error.
//! - `unread`: 60 connections ask for a reply of 20 MB and do not read it.
//! - `waits`: 200,000 waits on 20 connections, all of them given up then.
//!
//! Without names all of them are run. `--instances N` and `--cycles N` make them smaller.

use futures::StreamExt as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use taskhub::emulator::Emulator;
use taskhub::wire::task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Raw;
use taskhub::wire::{self, orchestrator_action::OrchestratorActionType as Action, work_item::Request};
use tokio::io::AsyncWriteExt as _;
use tonic::transport::Channel;

/// How much more memory there may be after the last cycle than after the second.
const ALLOWED: f64 = 1.10;

struct Options {
    serve: bool,
    instances: u32,
    cycles: usize,
    scenes: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { serve: false, instances: 40_000, cycles: 10, scenes: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u32, String> {
            let given = arguments.next().ok_or(format!("{argument} needs a number"))?;
            given.parse().map_err(|_| format!("{given} is no number"))
        };
        match argument.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--serve" => options.serve = true,
            "--instances" => options.instances = number()?,
            "--cycles" => options.cycles = number()? as usize,
            "cycles" | "unread" | "waits" => options.scenes.push(argument),
            _ => {
                return Err(format!(
                    "{argument}: name cycles, unread or waits, or give --instances or --cycles"
                ));
            }
        }
    }
    if options.scenes.is_empty() {
        options.scenes = ["cycles", "unread", "waits"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            std::process::exit(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if options.serve {
        runtime.block_on(serve());
        return;
    }
    let mut flat = true;
    for scene in &options.scenes {
        match scene.as_str() {
            "cycles" => flat &= runtime.block_on(cycles(&options)),
            "unread" => runtime.block_on(unread()),
            _ => runtime.block_on(waits()),
        }
    }
    if !flat {
        eprintln!("memory grows from cycle to cycle");
        std::process::exit(1);
    }
}

/// Runs an emulator until standard input ends.
async fn serve() {
    let emulator = Emulator::start().await.expect("an emulator starts");
    println!("{}", emulator.endpoint());
    let mut nothing = String::new();
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut nothing))
        .await
        .expect("it ends")
        .ok();
    emulator.stop().await;
}

/// An emulator in a process of its own; it ends with this.
struct Served {
    process: Child,
    endpoint: String,
}

impl Served {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut endpoint = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut endpoint).expect("it says where it is");
        Self { process, endpoint: endpoint.trim().to_owned() }
    }

    /// Megabytes: now, and at the most so far; 0 where the system does not say.
    fn memory(&self) -> (f64, f64) {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let read = |field: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
        };
        (read("VmRSS:"), read("VmHWM:"))
    }

    async fn client(&self) -> Raw<Channel> {
        let channel = Channel::from_shared(self.endpoint.clone()).expect("it is a URL");
        Raw::new(channel.connect().await.expect("it is there")).max_decoding_message_size(64 << 20)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(id: &str, input: Option<String>) -> wire::CreateInstanceRequest {
    wire::CreateInstanceRequest { instance_id: id.into(), name: "x".into(), input, ..Default::default() }
}

fn get(id: &str) -> wire::GetInstanceRequest {
    wire::GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true }
}

/// Completes every turn at once.
async fn work(mut client: Raw<Channel>) {
    let mut items =
        client.get_work_items(wire::GetWorkItemsRequest::default()).await.expect("a stream").into_inner();
    while let Ok(Some(item)) = items.message().await {
        let Some(Request::OrchestratorRequest(_)) = item.request else { continue };
        let done = wire::CompleteOrchestrationAction {
            orchestration_status: wire::OrchestrationStatus::Completed.into(),
            result: Some("done".into()),
            ..Default::default()
        };
        let answer = wire::OrchestratorResponse {
            completion_token: item.completion_token,
            actions: vec![wire::OrchestratorAction {
                id: 1,
                orchestrator_action_type: Some(Action::CompleteOrchestration(done)),
            }],
            ..Default::default()
        };
        client.complete_orchestrator_task(answer).await.expect("it is taken");
    }
}

/// Whether memory is flat.
async fn cycles(options: &Options) -> bool {
    let served = Served::start();
    let client = served.client().await;
    let worker = tokio::spawn(work(served.client().await));
    println!("{} instances a cycle: started, finished, purged; MB resident", options.instances);
    println!("{:>6} {:>10} {:>10} {:>10}", "cycle", "full", "purged", "peak");
    println!("{:>6} {:>10} {:>10.1}", "", "", served.memory().0);
    let mut after = Vec::new();
    for cycle in 1..=options.cycles {
        let runs = futures::stream::iter(0..options.instances).map(|n| {
            let mut client = client.clone();
            async move {
                let id = format!("{cycle}-{n}");
                client.start_instance(start(&id, Some("x".repeat(200)))).await.expect("it starts");
                client.wait_for_instance_completion(get(&id)).await.expect("it ends");
            }
        });
        runs.buffer_unordered(64).count().await;
        let full = served.memory().0;
        let filter =
            wire::purge_instances_request::Request::PurgeInstanceFilter(wire::PurgeInstanceFilter::default());
        let purge = wire::PurgeInstancesRequest { request: Some(filter), ..Default::default() };
        let purged = client.clone().purge_instances(purge).await.expect("it purges").into_inner();
        assert_eq!(purged.deleted_instance_count, i32::try_from(options.instances).unwrap_or(i32::MAX));
        let (now, peak) = served.memory();
        println!("{cycle:>6} {full:>10.1} {now:>10.1} {peak:>10.1}");
        after.push(now);
    }
    worker.abort();
    let (Some(second), Some(last)) = (after.get(1), after.last()) else { return true };
    println!("after the last cycle {:.1} % of what it was after the second\n", last / second * 100.0);
    *last <= second * ALLOWED
}

async fn unread() {
    let served = Served::start();
    let mut client = served.client().await;
    client.start_instance(start("a", Some("x".repeat(20 << 20)))).await.expect("it starts");
    let before = served.memory().0;
    let mut readers = Vec::new();
    for _ in 0..60 {
        readers.push(unread_get(&served.endpoint).await);
    }
    // Every one of them has an answer, or waits for room, once a call after them has been answered.
    for _ in 0..100 {
        client.hello(()).await.expect("it answers");
    }
    let full = served.memory();
    drop(readers);
    for _ in 0..100 {
        client.hello(()).await.expect("it answers");
    }
    println!(
        "60 unread replies of 20 MB: {before:.0} MB before, {:.0} with them, {:.0} after; peak {:.0}\n",
        full.0,
        served.memory().0,
        served.memory().1
    );
}

/// A connection that asks for instance `a` and reads nothing.
async fn unread_get(endpoint: &str) -> tokio::net::TcpStream {
    let address = endpoint.strip_prefix("http://").expect("it is plain");
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("it is there");
    let path = "/TaskHubSidecarService/GetInstance";
    // SETTINGS with a window of 2 GB, and as much for the connection: only the socket holds the reply back.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    bytes.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0]);
    let mut head = vec![0x83, 0x86, 0x41, 1, b'x', 0x44];
    head.push(u8::try_from(path.len()).expect("it is short"));
    head.extend(path.as_bytes());
    head.extend([0x5f, 16]);
    head.extend(b"application/grpc");
    head.extend([0x40, 2]);
    head.extend(b"te");
    head.push(8);
    head.extend(b"trailers");
    bytes.extend([0, 0, u8::try_from(head.len()).expect("it is short"), 1, 4, 0, 0, 0, 1]);
    bytes.extend(head);
    // The message: an instance id of one letter, and that payloads are wanted.
    let message = [0, 0, 0, 0, 5, 0x0a, 1, b'a', 0x10, 1];
    bytes.extend([0, 0, u8::try_from(message.len()).expect("it is short"), 0, 1, 0, 0, 0, 1]);
    bytes.extend(message);
    socket.write_all(&bytes).await.expect("it is taken");
    socket
}

async fn waits() {
    let served = Served::start();
    let mut client = served.client().await;
    client.start_instance(start("a", None)).await.expect("it starts");
    let before = served.memory().0;
    let mut waits = Vec::new();
    for _ in 0..20 {
        let client = served.client().await;
        waits.extend((0..10_000).map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.wait_for_instance_completion(get("a")).await.is_ok() })
        }));
    }
    for _ in 0..1_000 {
        client.hello(()).await.expect("it answers");
    }
    // What was refused has been answered by now; the rest waits.
    let full = served.memory().0;
    let refused = waits.iter().filter(|wait| wait.is_finished()).count();
    for wait in &waits {
        wait.abort();
    }
    for wait in waits {
        drop(wait.await);
    }
    for _ in 0..1_000 {
        client.hello(()).await.expect("it answers");
    }
    let after = served.memory().0;
    // Nothing has the other connections any more: they end.
    for _ in 0..10_000 {
        client.hello(()).await.expect("it answers");
    }
    println!(
        "200,000 waits: {before:.0} MB before, {full:.0} with them ({refused} were refused), {after:.0} when they are given up, \
         {:.0} when their connections are closed; peak {:.0}\n",
        served.memory().0,
        served.memory().1
    );
}
