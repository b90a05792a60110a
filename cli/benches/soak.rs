//! Keeps an emulator under a mixed load while its workers are killed, and checks everything that comes of it.
//!
//! `cargo bench --bench soak -- [--seconds S] [--seed N]` runs for S seconds (60 unless told) and until what was begun has
//! ended. The emulator is a process of its own. Workers are processes: ours, and the published packages of Python, Java
//! and Go where `tests/interop/setup.sh` has installed them, each in a task hub of its own. Every instance has
//! activities, a timer, a child and an event, where the language has entities a signal too; some are terminated. One
//! worker after another is killed with SIGKILL and started again. When an instance has ended its history is read:
//! every activity, timer, child and event is there exactly once, and the result is right; then it is purged. At the
//! end each counter must stand at the number of signals that were sent to it.
//!
//! Prints one line for each hub and the emulator's memory at the beginning and at the end. Ends with 1, and the reasons,
//! where something is lost, doubled, wrong, or grows. `cargo bench --bench memory` says what is kept of instances that
//! were purged, over many more of them. `--profile dev` compiles less, and is what CI runs.
#![expect(clippy::disallowed_methods, reason = "a soak runs for as long as it is told")]
#![expect(clippy::unwrap_used, reason = "a soak that cannot go on says so by a panic")]

#[path = "soak/check.rs"]
mod check;
#[path = "soak/crew.rs"]
mod crew;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/process.rs"]
mod process;
#[path = "soak/tasks.rs"]
mod tasks;

use process::Emulator;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Memory may grow by a quarter and this much besides, in KiB, between the beginning and the end.
const SLACK: u64 = 16 << 10;
/// How long is waited for the end of what was begun, after the last kill.
const PATIENCE: Duration = Duration::from_secs(120);

/// The value behind a flag.
fn value(arguments: &[String], flag: &str) -> Option<u64> {
    let place = arguments.iter().position(|argument| argument == flag)?;
    let value = arguments.get(place + 1).unwrap_or_else(|| panic!("{flag} needs a number"));
    Some(value.parse().unwrap_or_else(|_| panic!("{flag} needs a number, and not {value}")))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, endpoint, hub] = &arguments[..]
        && first == "--worker"
    {
        tasks::work(endpoint, hub);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(async {
        let seconds = value(&arguments, "--seconds").unwrap_or(60);
        soak(Duration::from_secs(seconds), value(&arguments, "--seed").unwrap_or(1)).await
    });
    for what in &wrong {
        eprintln!("WRONG: {what}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the mixed load, and says what was wrong.
async fn soak(length: Duration, seed: u64) -> Vec<String> {
    let mut crews = crew::found();
    let hubs: Vec<&str> = crews.iter().map(|crew| crew.hub).collect();
    let emulator = Emulator::start(&["--task-hubs", &hubs.join(",")]).await;
    for crew in &mut crews {
        crew.begin(&emulator).await;
    }
    let until = Instant::now() + length;
    let mut loads = Vec::new();
    for crew in &crews {
        loads.push(load::Load::start(&emulator, crew.hub, crew.entities, until).await);
    }
    // The memory of an emulator that has done nothing yet says nothing: a third of the time is for warming up.
    let warm = Instant::now() + length / 3;
    let mut before = None;
    let mut chance = seed;
    let mut kills = 0_u64;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1_500).min(until - Instant::now())).await;
        if Instant::now() >= warm && before.is_none() {
            before = emulator.process.resident();
        }
        // A linear congruential generator is chance enough to choose whom to kill.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let count = u64::try_from(crews.len()).unwrap();
        let victim = usize::try_from((chance >> 33) % count).unwrap();
        crews[victim].kill_one(&emulator, chance).await;
        kills += 1;
    }
    let mut wrong = Vec::new();
    let mut instances = 0;
    for load in loads {
        let hub = load.hub;
        match tokio::time::timeout(PATIENCE, load.end()).await {
            Ok(told) => {
                println!("{hub:>8}: {}", told.line());
                instances += told.instances;
                wrong.extend(told.wrong.into_iter().map(|what| format!("{hub}: {what}")));
            }
            Err(_) => {
                wrong.push(format!("{hub}: not at its end {} s after the last kill", PATIENCE.as_secs()));
            }
        }
    }
    println!("   kills: {kills} workers with SIGKILL, {instances} instances in {} s", length.as_secs());
    match (before, emulator.process.resident()) {
        (Some(before), Some(after)) => {
            println!("  memory: {before} KiB when warm, {after} KiB at the end");
            if after > before + before / 4 + SLACK {
                wrong.push(format!("the emulator's memory grew from {before} to {after} KiB"));
            }
        }
        (_, _) => println!("  memory: this system does not say"),
    }
    wrong
}
