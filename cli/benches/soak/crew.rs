//! The workers of one language: two processes in one hub, of which one is killed now and then.

use super::process::{Emulator, Process};
use std::path::{Path, PathBuf};
use tokio::process::Command;

pub(crate) struct Crew {
    /// The hub, and the language it is named for.
    pub(crate) hub: &'static str,
    /// Whether its package has entities.
    pub(crate) entities: bool,
    program: PathBuf,
    before: Vec<String>,
    workers: Vec<Process>,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The languages that are here; says in one line which are not.
pub(crate) fn found() -> Vec<Crew> {
    let crew = |hub, entities, program: PathBuf, before: Vec<String>| Crew {
        hub,
        entities,
        program,
        before,
        workers: Vec::new(),
    };
    let text = |path: &str| here(path).to_string_lossy().into_owned();
    let classes = format!("{}:{}", text("target/interop/java/classes"), text("target/interop/java/jars/*"));
    let python = here("target/interop/venv/bin/python");
    let all = [
        ("target/interop/venv", crew("python", true, python, vec![text("tests/interop/stories.py")])),
        ("target/interop/java/classes", {
            crew("java", false, "java".into(), vec!["-cp".into(), classes, "Stories".into()])
        }),
        ("target/interop/go/stories", crew("go", false, here("target/interop/go/stories"), Vec::new())),
    ];
    let mut crews = vec![crew("rust", true, std::env::current_exe().unwrap(), Vec::new())];
    for (made, crew) in all {
        if here(made).exists() {
            crews.push(crew);
        } else {
            println!("not run: {}'s package is not at {made}; tests/interop/setup.sh installs it", crew.hub);
        }
    }
    crews
}

impl Crew {
    pub(crate) async fn begin(&mut self, emulator: &Emulator) {
        for _ in 0..2 {
            let worker = self.worker(emulator).await;
            self.workers.push(worker);
        }
    }

    async fn worker(&self, emulator: &Emulator) -> Process {
        let mut command = Command::new(&self.program);
        if self.hub == "rust" {
            command.args(["--worker", &emulator.endpoint, self.hub]);
        } else {
            command.args(&self.before).args(["worker", emulator.address(), self.hub]);
        }
        Process::start(&mut command, "ready").await.0
    }

    /// Kills one of the workers, chosen by `chance`, and starts another in its place.
    pub(crate) async fn kill_one(&mut self, emulator: &Emulator, chance: u64) {
        let place = usize::try_from(chance % 2).unwrap();
        self.workers.swap_remove(place).kill().await;
        let worker = self.worker(emulator).await;
        self.workers.push(worker);
    }
}
