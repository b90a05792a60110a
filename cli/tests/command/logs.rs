//! Reads what the emulator writes to standard error, or leaves it unread.

use super::{Running, command, succeeded, taskhub};
use pretty_assertions::assert_eq;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Stdio};
use taskhub::wire::{
    CreateInstanceRequest, task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Client,
};
use tonic::transport::Channel;

/// More than fits into a pipe and into what is kept for one that is not read.
const STARTS: usize = 12_000;

/// How many starts are under way at a time.
const TOGETHER: usize = 100;

#[test]
fn at_debug_the_log_has_what_happens_here_and_frames_of_libraries_only_where_they_are_asked_for() {
    let logs_with = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut emulator = Running::start_with(arguments, variables);
        let ready = emulator.ready_file();
        let endpoint = ready["endpoint"].as_str().unwrap();
        succeeded(&taskhub(&["run", "order", "--id", "a", "--no-wait", "--endpoint", endpoint]));
        assert_eq!(emulator.stop("TERM"), 0);
        emulator.logs()
    };
    for logs in [
        logs_with(&["--log-level", "debug"], &[]),
        logs_with(&["--log-level", "trace"], &[]),
        logs_with(&[], &[("RUST_LOG", "debug")]),
    ] {
        assert!(logs.contains("an instance starts") && logs.contains("instance=\"a\""), "{logs}");
        let foreign = logs.lines().find(|line| !line.contains(" taskhub"));
        assert_eq!(foreign, None, "{logs}");
    }
    let logs = logs_with(&[], &[("RUST_LOG", "debug,h2=debug")]);
    assert!(logs.contains("an instance starts") && logs.contains(" h2::"), "{logs}");
    let logs = logs_with(&["--log-format", "json"], &[]);
    let line = logs.lines().find(|line| line.contains("an instance starts")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let expected = serde_json::json!({
        "message": "an instance starts", "hub": "default", "instance": "a", "name": "order",
    });
    assert_eq!((&line["level"], &line["fields"]), (&"INFO".into(), &expected));
}

/// An emulator that logs much, and whose standard error is a pipe.
struct Unread {
    child: Child,
    stderr: ChildStderr,
    port: u16,
}

impl Unread {
    fn start(format: &str) -> Self {
        let arguments = ["emulator", "--grpc-port", "0", "--http-port", "0", "--log-level", "debug"];
        let mut command = command(&arguments);
        command.args(["--log-format", format]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("it says where it is").unwrap();
            if let Some(endpoint) = line.trim().strip_prefix("gRPC ") {
                break endpoint.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("ready in"))).unwrap().unwrap();
        let stderr = child.stderr.take().unwrap();
        Self { child, stderr, port }
    }

    /// Starts instances, each of which is a line in the log.
    async fn busy(&self) {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        let client = Client::new(channel.connect().await.unwrap());
        let starters = (0..TOGETHER).map(|starter| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for number in 0..STARTS / TOGETHER {
                    let request = CreateInstanceRequest {
                        instance_id: format!("{starter}-{number}"),
                        name: "a".repeat(100),
                        ..Default::default()
                    };
                    client.start_instance(request).await.unwrap();
                }
            })
        });
        for starter in starters.collect::<Vec<_>>() {
            starter.await.unwrap();
        }
    }

    fn terminate(&self) {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.arg(self.child.id().to_string()).status().unwrap().success());
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Fails when it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_emulator_whose_log_nobody_reads_answers_as_before_and_ends_when_told_to() {
    let mut emulator = Unread::start("text");
    emulator.busy().await;
    emulator.terminate();
    assert_eq!(emulator.child.wait().unwrap().code(), Some(0));
    let mut rest = Vec::new();
    emulator.stderr.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 1 << 21, "{} bytes were in a pipe", rest.len());
}

#[test]
fn an_emulator_whose_standard_output_is_full_is_ready_all_the_same_and_ends_when_told_to() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let filler = std::thread::spawn(move || while filling.write_all(&[b'-'; 4_096]).is_ok() {});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready.json");
    let mut command = command(&["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file"]);
    let mut child = command.arg(&file).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    // The command holds an end of the pipe, too.
    drop(command);
    while !file.exists() {
        std::thread::yield_now();
    }
    assert!(std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(reader);
    filler.join().unwrap();
}

#[tokio::test]
async fn lines_that_the_log_had_no_room_for_are_counted_in_it_once_it_is_read_again() {
    let mut emulator = Unread::start("json");
    emulator.busy().await;
    let mut lines = BufReader::new(&mut emulator.stderr).lines().map(Result::unwrap);
    let mut started = 0;
    let left_out = loop {
        let line: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        if line["fields"]["message"].as_str().unwrap().contains("lines were left out") {
            assert_eq!(line["level"], "WARN");
            break line["fields"]["left_out"].as_u64().unwrap();
        }
        started += 1;
    };
    assert!(started > 0 && left_out > 0, "{started} lines and {left_out} left out");
    drop(lines);
    emulator.terminate();
    let mut rest = String::new();
    emulator.stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(emulator.child.wait().unwrap().code(), Some(0));
}
