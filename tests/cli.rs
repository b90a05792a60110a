//! Runs the `taskhub` command as a process: the demo, the emulator, and what they say when something is wrong.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pretty_assertions::assert_eq;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

#[test]
fn the_demo_squares_one_to_ten_and_shows_the_activities_side_by_side() {
    let output = taskhub(&[]);
    let text = succeeded(&output);
    assert!(text.contains("[1, 4, 9, 16, 25, 36, 49, 64, 81, 100]"), "{text}");
    assert!(text.contains("385"), "{text}");
    assert!(text.contains("38.5"), "{text}");
    assert!(text.matches("TaskScheduled").count() + text.matches("process").count() >= 10, "{text}");
}

#[test]
fn the_demo_takes_items_from_the_command_line_a_file_and_standard_input() {
    let text = succeeded(&taskhub(&["--items", "3,5,8"]));
    assert!(text.contains("[9, 25, 64]"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.json");
    std::fs::write(&file, "[3, 5, 8]").unwrap();
    let text = succeeded(&taskhub(&["--items-file", file.to_str().unwrap()]));
    assert!(text.contains("[9, 25, 64]"), "{text}");

    let text = succeeded(&taskhub_with_input(&["--items-file", "-"], "[-2]"));
    assert!(text.contains("[4]"), "{text}");
}

#[test]
fn an_empty_list_is_work_that_is_done_at_once() {
    let text = succeeded(&taskhub(&["--items", ""]));
    assert!(text.contains("[]"), "{text}");
}

#[test]
fn a_long_run_tells_how_far_it_is_in_plain_lines_when_nobody_sees_a_bar() {
    let output = taskhub(&["--count", "2000"]);
    let text = succeeded(&output);
    assert!(text.contains("2668667000"), "the sum of the squares of 1 to 2000: {text}");
    let progress = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(progress.contains("1000 of 2000 items done"), "{progress}");
    assert!(text.lines().count() < 200, "a long history is not printed line by line:\n{text}");
}

#[test]
fn nobody_who_reads_to_the_end_is_no_failure() {
    for arguments in [["--count", "10"], ["--count", "2000"]] {
        let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
        let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        succeeded(&child.wait_with_output().unwrap());
    }
}

#[test]
fn how_many_items_failed_is_told_with_which_and_why() {
    let text = succeeded(&taskhub(&["--items", "1,9223372036854775807,2,9223372036854775806"]));
    assert!(text.contains("[1, 4]"), "{text}");
    assert!(text.contains("failed    2 of 4: item 9223372036854775807: "), "{text}");
    assert!(text.contains("item 9223372036854775806: "), "{text}");
}

#[test]
fn malformed_items_are_named_by_their_place_and_nothing_is_started() {
    let message = failed(&taskhub(&["--items", "3,x"]), 2);
    assert!(message.contains("item 2 of --items is not a whole number: \"x\""), "{message}");
    let message = failed(&taskhub_with_input(&["--items-file", "-"], "{\"a\": 1}"), 2);
    assert!(message.contains("standard input holds an object, not a list"), "{message}");
    let message = failed(&taskhub_with_input(&["--items-file", "-"], "[1, 2,"), 2);
    assert!(message.contains("standard input is not JSON"), "{message}");
    let message = failed(&taskhub(&["--items-file", "no/such/file"]), 2);
    assert!(message.contains("cannot read the work items from no/such/file"), "{message}");
    failed(&taskhub(&["--items", "1", "--count", "3"]), 2);
}

#[test]
fn the_emulator_says_when_it_is_ready_is_healthy_and_stops_cleanly_when_told_to() {
    let mut emulator = Running::start(&["--task-hubs", "default, orders"]);
    let ready = emulator.ready_file();
    assert_eq!(ready["taskHubs"], serde_json::json!(["default", "orders"]));
    let http = ready["httpPort"].to_string();

    succeeded(&taskhub(&["healthcheck", "--http-port", &http]));
    succeeded(&taskhub(&["healthcheck", "--http-port", &http, "--hub", "orders"]));
    let message = failed(&taskhub(&["healthcheck", "--http-port", &http, "--hub", "nowhere"]), 1);
    assert!(message.contains("/v1/taskhubs/ping answered"), "{message}");

    assert_eq!(emulator.stop("TERM"), 0);
    failed(&taskhub(&["healthcheck", "--http-port", &http]), 1);
}

#[test]
fn an_interrupt_stops_the_emulator_too() {
    assert_eq!(Running::start(&[]).stop("INT"), 0);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_defaults() {
    let variables = [("DTS_TASK_HUB_NAMES", "one, two"), ("DTS_USE_DYNAMIC_TASK_HUBS", "True")];
    let emulator = Running::start_with(&[], &variables);
    assert_eq!(emulator.ready_file()["taskHubs"], serde_json::json!(["one", "two"]));
    assert_eq!(emulator.ready_file()["dynamicTaskHubs"], Value::Bool(true));
    let emulator = Running::start_with(&["--task-hubs", "three", "--dynamic-task-hubs=false"], &variables);
    assert_eq!(emulator.ready_file()["taskHubs"], serde_json::json!(["three"]));
    assert_eq!(emulator.ready_file()["dynamicTaskHubs"], Value::Bool(false));
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let message = failed(&taskhub(&["emulator", "--grpc-port", &port, "--http-port", "0"]), 3);
    assert!(
        message.contains(&format!("port {port} is in use")) && message.contains("--grpc-port 0"),
        "{message}"
    );
    let message = failed(&taskhub(&["emulator", "--grpc-port", "0", "--http-port", &port]), 3);
    assert!(
        message.contains(&format!("port {port} is in use")) && message.contains("--http-port 0"),
        "{message}"
    );
}

#[test]
fn wrong_flags_of_the_emulator_are_told_and_nothing_listens() {
    let message =
        failed(&taskhub(&["emulator", "--grpc-port", "0", "--http-port", "0", "--log-level", "loud"]), 2);
    assert!(message.contains("\"loud\" is not a log level"), "{message}");
    let message = failed(&taskhub(&["emulator", "--grpc-port", "80800"]), 2);
    assert!(message.contains("80800"), "{message}");
}

#[test]
fn the_grpc_port_answers_a_browser_with_a_sentence() {
    let emulator = Running::start(&[]);
    let port = emulator.ready_file()["grpcPort"].to_string();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn a_client_command_without_a_scheduler_names_the_address_it_tried() {
    // A port that was free a moment ago, and that nobody is given twice in a row.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let message = failed(&taskhub(&["history", "x", "--endpoint", &endpoint]), 1);
    assert!(message.contains(&port.to_string()), "{message}");
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

#[test]
fn the_version_names_the_protocol() {
    let text = succeeded(&taskhub(&["--version"]));
    assert!(text.starts_with(concat!("taskhub ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("protocol"), "{text}");
}

/// The command with nothing of this process's environment that it would read.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("DTS_") || ["ENDPOINT", "TASKHUB", "RUST_LOG"].contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn taskhub(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn taskhub_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command printed that was to succeed.
#[track_caller]
fn succeeded(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

/// What a command complained of that was to end with `code`.
#[track_caller]
fn failed(output: &Output, code: i32) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{message}{}", String::from_utf8_lossy(&output.stdout));
    message
}

/// An emulator in a process of its own; killed when dropped.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
    /// Kept open: an emulator that cannot write its lines would fail.
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Starts one on free ports and reads its lines until it says that it is ready.
    fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&["emulator", "--grpc-port", "0", "--http-port", "0", "--ready-file"]);
        command.arg(folder.path().join("ready.json")).args(arguments).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.lines().last().is_some_and(|line| line.starts_with("taskhub emulator ready in ")) {
            let length = stdout.read_line(&mut printed).unwrap();
            assert!(length > 0, "the emulator ended before it was ready:\n{printed}");
        }
        Self { child, folder, stdout }
    }

    fn ready_file(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("ready.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a signal and returns the exit code.
    fn stop(&mut self, signal: &str) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code().unwrap_or_else(|| panic!("killed by the signal:\n{rest}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
