//! Runs the `taskhub` command as a process: the demo, the emulator, and what they say when something is wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "command/clients.rs"]
mod clients;
#[path = "command/emulator.rs"]
mod emulator;
#[path = "command/hostile.rs"]
mod hostile;
#[path = "command/logs.rs"]
mod logs;
#[path = "command/ready_file.rs"]
mod ready_file;

use pretty_assertions::assert_eq;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

#[test]
fn the_demo_squares_one_to_ten_and_shows_the_activities_side_by_side() {
    let output = taskhub(&[]);
    let text = succeeded(&output);
    assert!(text.contains("[1, 4, 9, 16, 25, 36, 49, 64, 81, 100]"), "{text}");
    assert!(text.contains("385"), "{text}");
    assert!(text.contains("38.5"), "{text}");
    // From which column to which each of them is drawn.
    let bars: Vec<(usize, usize)> = text
        .lines()
        .filter(|line| line.starts_with("  process #"))
        .map(|line| {
            let bar = &line[line.find('|').unwrap() + 1..line.rfind("| ").unwrap()];
            (bar.find(|c| c != ' ').unwrap(), bar.rfind(|c| c != ' ').unwrap())
        })
        .collect();
    assert_eq!(bars.len(), 10, "{text}");
    let (last_begins, first_ends) = (bars.iter().map(|bar| bar.0).max(), bars.iter().map(|bar| bar.1).min());
    assert!(last_begins <= first_ends, "they are not on their way at the same time:\n{text}");
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
fn the_demo_succeeds_when_its_reader_stops_early() {
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
    let refused = |output: Output| {
        // The demo's first line names the emulator that it has started.
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        failed(&output, 2)
    };
    let message = refused(taskhub(&["--items", "3,x"]));
    assert!(message.contains("item 2 of --items is not a whole number: \"x\""), "{message}");
    let message = refused(taskhub_with_input(&["--items-file", "-"], "{\"a\": 1}"));
    assert!(message.contains("standard input holds an object, not a list"), "{message}");
    let message = refused(taskhub_with_input(&["--items-file", "-"], "[1, 2,"));
    assert!(message.contains("standard input is not JSON"), "{message}");
    let message = refused(taskhub(&["--items-file", "no/such/file"]));
    assert!(message.contains("cannot read the work items from no/such/file"), "{message}");
    refused(taskhub(&["--items", "1", "--count", "3"]));
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
    /// What it said until it was ready.
    banner: String,
    /// Kept open: an emulator whose lines nobody reads is another story.
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Starts one on free ports and reads its lines until it says that it is ready.
    fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_as(&[&["--grpc-port", "0", "--http-port", "0"], arguments].concat(), variables)
    }

    /// Starts one with these flags alone.
    fn start_as(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&["emulator", "--ready-file"]);
        command.arg(folder.path().join("ready.json")).args(arguments).envs(variables.iter().copied());
        let logs = std::fs::File::create(folder.path().join("logs")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(logs).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.lines().last().is_some_and(|line| line.starts_with("taskhub emulator ready in ")) {
            let length = stdout.read_line(&mut banner).unwrap();
            let logs = || std::fs::read_to_string(folder.path().join("logs")).unwrap();
            assert!(length > 0, "the emulator ended before it was ready:\n{banner}{}", logs());
        }
        Self { child, folder, banner, stdout }
    }

    fn ready_file(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("ready.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn logs(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("logs")).unwrap()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Sends a signal and returns the exit code.
    fn stop(&mut self, signal: &str) -> i32 {
        self.signal(signal);
        self.ended()
    }

    /// Waits for its end and returns the exit code.
    fn ended(&mut self) -> i32 {
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
