//! Processes: the emulator, and workers in any language.

use std::process::Stdio;
use std::time::Duration;
use taskhub::sdk::Target;
use taskhub::sdk::client::Client;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process that has said what it was to say; killed when dropped.
pub(crate) struct Process {
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it, and reads what it prints until a line holds `word`: gives back those lines as well.
    pub(crate) async fn start(command: &mut Command, word: &str) -> (Self, String) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains(word) {
            let line = tokio::time::timeout(PATIENCE, stdout.read_line(&mut said)).await;
            let length = line.unwrap_or_else(|_| panic!("{command:?} does not say '{word}'")).unwrap();
            assert!(length > 0, "{command:?} ended before it said '{word}':\n{said}");
        }
        (Self { child, _stdout: stdout }, said)
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// How much memory it has in use, in KiB; nothing where the system does not say.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }
}

/// The emulator.
pub(crate) struct Emulator {
    pub(crate) process: Process,
    pub(crate) endpoint: String,
}

impl Emulator {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
        command.args(["emulator", "--grpc-port", "0", "--http-port", "0"]).args(arguments);
        let (process, banner) = Process::start(&mut command, "taskhub emulator ready").await;
        let line = banner.lines().find(|line| line.trim_start().starts_with("gRPC")).unwrap();
        let endpoint = line.split_whitespace().last().unwrap().to_owned();
        Self { process, endpoint }
    }

    pub(crate) async fn client(&self, hub: &str) -> Client {
        Client::connect_to(Target::new(&self.endpoint).unwrap().hub(hub)).await.unwrap()
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }
}
