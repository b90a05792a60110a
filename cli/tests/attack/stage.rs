//! What the attacks are played on: the emulator as a process, its memory, signals, and patience.

use std::future::Future;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use taskhub::wire::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tonic::transport::Channel;

/// When a story is given up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for a condition; panics with its name where it does not come.
pub async fn within<T>(what: &str, condition: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(PATIENCE, condition).await;
    came.unwrap_or_else(|_| panic!("did not come within {} s: {what}", PATIENCE.as_secs()))
}

/// A process, killed when dropped, stopped or not.
pub struct Process {
    child: Child,
    /// Held here, because waiting for the end of a `Child` closes its standard input, which would end a worker.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts it, and leaves what it prints unread.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let stdin = child.stdin.take();
        Self { child, _stdin: stdin }
    }

    /// Starts it, and reads what it prints until a line holds `word`: gives back the process, those lines, and the pipe.
    pub async fn start(command: &mut Command, word: &str) -> (Self, String, BufReader<ChildStdout>) {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take();
        let mut said = String::new();
        while !said.contains(word) {
            let length = within(word, stdout.read_line(&mut said)).await.unwrap();
            assert!(length > 0, "it ended before it said '{word}':\n{said}");
        }
        (Self { child, _stdin: stdin }, said, stdout)
    }

    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
    }

    /// How much memory it has in use, in MiB; nothing where the system does not say.
    pub fn resident(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most memory it ever had in use, in MiB; nothing where the system does not say.
    pub fn peak(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(which))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().unwrap() / 1_024)
    }

    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }
}

/// The `taskhub` command as an emulator in a process of its own.
pub struct Running {
    pub process: Process,
    pub grpc: SocketAddr,
    pub health: SocketAddr,
    /// Kept, so that a full pipe and not a broken one is what the emulator meets.
    pub stderr: Option<ChildStderr>,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts one on free ports; its log goes nowhere.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_in("exec \"$@\"", arguments, Stdio::null()).await
    }

    /// Starts one from a shell's line, in which `"$@"` is the emulator's command.
    pub async fn start_in(line: &str, arguments: &[&str], stderr: Stdio) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", line, "sh", env!("CARGO_BIN_EXE_taskhub"), "emulator"]);
        command.args(["--grpc-port", "0", "--http-port", "0"]).args(arguments).stderr(stderr);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DTS_")) {
            command.env_remove(name);
        }
        let (mut process, banner, stdout) = Process::start(&mut command, "taskhub emulator ready").await;
        let port_after = |word: &str| {
            let line = banner.lines().find(|line| line.trim_start().starts_with(word)).unwrap();
            let digits = line.rsplit(':').next().unwrap().split('/').next().unwrap();
            SocketAddr::from(([127, 0, 0, 1], digits.parse().unwrap()))
        };
        let (grpc, health) = (port_after("gRPC"), port_after("Health"));
        let stderr = process.child.stderr.take();
        Self { process, grpc, health, stderr, _stdout: stdout }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }
}

/// A connection of its own.
pub async fn connect(endpoint: &str) -> TaskHubSidecarServiceClient<Channel> {
    TaskHubSidecarServiceClient::new(channel(endpoint).await)
}

pub async fn channel(endpoint: &str) -> Channel {
    within("a connection", Channel::from_shared(endpoint.to_owned()).unwrap().connect()).await.unwrap()
}
