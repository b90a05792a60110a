//! Sets the stage for a story: a hub with a client, on the target that is asked for.

use super::container;
use std::io::Write as _;
use std::sync::Mutex;
use taskhub::emulator::Emulator;
use taskhub::sdk::worker::RunningWorker;
use taskhub::sdk::{Client, Registry, Target as At, Worker};

/// Where a story is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// Engine and replay, no sockets, virtual time.
    Hub,
    /// An emulator in this process, over TCP.
    InProcess,
    /// An emulator in a container.
    Container,
    /// Whatever `ENDPOINT` and `TASKHUB` name.
    Endpoint,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::InProcess => "in_process",
            Self::Container => "container",
            Self::Endpoint => "endpoint",
        }
    }

    /// Whether this target is to be played on; another one may be forced.
    pub(crate) fn is_wanted(self) -> bool {
        forced().is_none_or(|forced| forced == self.name())
    }
}

fn forced() -> Option<String> {
    let forced = std::env::var("TASKHUB_TEST_TARGET").ok().filter(|name| !name.is_empty())?;
    let known = [Target::Hub, Target::InProcess, Target::Container, Target::Endpoint];
    assert!(
        known.iter().any(|target| target.name() == forced),
        "TASKHUB_TEST_TARGET={forced} is none of hub, in_process, container, endpoint"
    );
    Some(forced)
}

/// Says once why a target cannot be played on; where it is forced, that is a failure.
fn cannot(target: Target, why: &str) {
    static SAID: Mutex<Vec<Target>> = Mutex::new(Vec::new());
    assert!(forced().is_none(), "the target {} is forced and cannot be had: {why}", target.name());
    let mut said = SAID.lock().expect("no test panics with it");
    if !said.contains(&target) {
        said.push(target);
        // Not `eprintln!`, which a passing test swallows: this is to be seen.
        let line = format!("not run: target {}: {why}\n", target.name());
        std::io::stderr().write_all(line.as_bytes()).expect("stderr is there");
    }
}

/// A hub on a target, reached by a client.
pub(crate) struct Stage {
    pub(crate) client: Client,
    _held: Held,
}

/// What stops when the stage does.
#[expect(clippy::large_enum_variant, reason = "there is one for each test")]
enum Held {
    Emulator { _emulator: Emulator },
    Container { _container: container::Running },
    Turn { _turn: tokio::sync::MutexGuard<'static, ()> },
}

impl Stage {
    /// A stage on `target`; `None`, and a line that says why, where it cannot be had.
    pub(crate) async fn set(target: Target) -> Option<Self> {
        match target {
            Target::Hub => None,
            Target::InProcess => {
                let emulator = Emulator::start().await.expect("an emulator starts");
                let client = Client::connect(&emulator.endpoint()).await.expect("it is there");
                Some(Self { client, _held: Held::Emulator { _emulator: emulator } })
            }
            Target::Container => match container::start().await {
                Ok((endpoint, container)) => {
                    let client = Client::connect(&endpoint).await.expect("it answered a moment ago");
                    Some(Self { client, _held: Held::Container { _container: container } })
                }
                Err(why) => {
                    cannot(target, &why);
                    None
                }
            },
            Target::Endpoint => endpoint().await,
        }
    }

    /// A worker with these functions.
    pub(crate) async fn worker(&self, registry: Registry) -> RunningWorker {
        let worker = Worker::new(&self.client, registry).start().expect("the registry is sound");
        worker.connected().await;
        worker
    }
}

/// One hub serves all stories there, and they use the same names: they take turns.
async fn endpoint() -> Option<Stage> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    if std::env::var_os("ENDPOINT").is_none() {
        cannot(Target::Endpoint, "ENDPOINT is not set; set it, and TASKHUB, to a scheduler or an emulator");
        return None;
    }
    let target = match At::from_env() {
        Ok(target) => target,
        Err(why) => {
            cannot(Target::Endpoint, &why.to_string());
            return None;
        }
    };
    let turn = TURN.lock().await;
    match Client::connect_to(target).await {
        Ok(client) => Some(Stage { client, _held: Held::Turn { _turn: turn } }),
        Err(why) => {
            cannot(Target::Endpoint, &why.to_string());
            None
        }
    }
}
