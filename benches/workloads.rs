//! Measures the workloads of docs/performance.md, each beside what gRPC itself allows in the same run.
//!
//! `cargo bench --bench workloads` runs the usual ones; `cargo bench --bench workloads -- fan 10000` runs one;
//! `--replay` turns sticky turns off, so that history is sent in full as it is to other SDKs; `--activities N` says how
//! many activities the worker performs at a time (`fan`, `chain` and `many`); `--runs N` says how often each is run (the
//! median is printed, and the fastest and the slowest, and the turns of the median run where one instance was run);
//! `--no-ceiling` leaves out what gRPC allows, for two builds that are run in turn and compared with each other.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]

#[path = "workloads/ceiling.rs"]
mod ceiling;
#[path = "workloads/tasks.rs"]
mod tasks;

use std::time::{Duration, Instant};
use taskhub::emulator::Emulator;
use taskhub::model::Kind;
use taskhub::sdk::client::Client;
use taskhub::sdk::worker::Worker;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system gives a runtime")
}

/// One workload: its name and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Workload {
    /// One orchestration, N parallel activities.
    Fan(u32),
    /// One orchestration, N activities one after another.
    Chain(u32),
    /// M orchestrations of 10 parallel activities, 16 at a time.
    Many(u32),
    /// Fan N whose completions arrive one per turn, because one activity is performed at a time.
    Trickle(u32),
    /// N timers a millisecond apart; what is measured is how late the latest of them fires.
    Timers(u32),
    /// An emulator started, called and stopped.
    Startup,
    /// N emulators alive at once in this process.
    Hubs(u32),
}

const USUAL: &[Workload] = &[
    Workload::Startup,
    Workload::Hubs(1_000),
    Workload::Fan(10),
    Workload::Fan(100),
    Workload::Fan(1_000),
    Workload::Fan(10_000),
    Workload::Fan(100_000),
    Workload::Chain(100),
    Workload::Chain(1_000),
    Workload::Chain(10_000),
    Workload::Many(1_000),
    Workload::Trickle(2_000),
    Workload::Timers(1_000),
];

struct Options {
    workloads: Vec<Workload>,
    replay: bool,
    activities: Option<usize>,
    runs: usize,
    ceiling: bool,
}

/// Reads the command line; cargo adds `--bench`, which means nothing here.
fn options() -> Result<Options, String> {
    let mut options =
        Options { workloads: Vec::new(), replay: false, activities: None, runs: 5, ceiling: true };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let mut size = |what: &str| -> Result<u32, String> {
            let word = words.next().ok_or_else(|| format!("{what} wants a number"))?;
            word.replace(['_', ','], "").parse().map_err(|_| format!("{what} wants a number, not '{word}'"))
        };
        match word.as_str() {
            "--replay" => options.replay = true,
            "--no-ceiling" => options.ceiling = false,
            "--activities" => options.activities = Some(size("--activities")?.max(1) as usize),
            "--runs" => options.runs = size("--runs")?.max(1) as usize,
            "startup" => options.workloads.push(Workload::Startup),
            "fan" => options.workloads.push(Workload::Fan(size("fan")?)),
            "chain" => options.workloads.push(Workload::Chain(size("chain")?)),
            "many" => options.workloads.push(Workload::Many(size("many")?)),
            "trickle" => options.workloads.push(Workload::Trickle(size("trickle")?)),
            "timers" => options.workloads.push(Workload::Timers(size("timers")?)),
            "hubs" => options.workloads.push(Workload::Hubs(size("hubs")?)),
            other => {
                return Err(format!(
                    "no workload '{other}': fan, chain, many, trickle, timers, hubs or startup"
                ));
            }
        }
    }
    if options.workloads.is_empty() {
        options.workloads = USUAL.to_vec();
    }
    Ok(options)
}

/// One run: how long it took, and how many turns, where that was counted.
type Run = (Duration, Option<usize>);

/// The runs of one workload, fastest first.
struct Runs(Vec<Run>);

impl Runs {
    fn of(count: usize, mut run: impl FnMut() -> Run) -> Self {
        let mut runs: Vec<_> = (0..count).map(|_| run()).collect();
        runs.sort();
        Self(runs)
    }

    fn median(&self) -> Run {
        self.0[self.0.len() / 2]
    }
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            std::process::exit(2);
        }
    };
    let ceiling = |in_flight| {
        let trips = 50_000;
        let runs = Runs::of(3, || (ceiling::measure(trips, in_flight), None));
        trips as f64 / runs.median().0.as_secs_f64()
    };
    let allowed = options.ceiling.then(|| Allowed { alone: ceiling(1), crowd: ceiling(256) });
    if let Some(Allowed { alone, crowd }) = allowed {
        println!("raw gRPC round trips: {alone:.0}/s one at a time, {crowd:.0}/s with 256 under way");
    }
    println!("turns: {}\n", if options.replay { "full history every turn" } else { "sticky" });
    println!(
        "{:<16} {:>10} {:>10} {:>10}   {:>12} {:>14} {:>8}",
        "workload", "median", "fastest", "slowest", "each", "of the ceiling", "turns"
    );
    for &workload in &options.workloads {
        let runs = Runs::of(options.runs, || run(workload, &options));
        print_line(workload, &runs, allowed);
    }
    println!("\npeak memory of this process: {} MB", peak_memory_mb());
}

/// How many round trips a second gRPC itself allows.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    alone: f64,
    crowd: f64,
}

fn print_line(workload: Workload, runs: &Runs, allowed: Option<Allowed>) {
    // What is compared is round trips. A step of a chain is two of them, one after the other: a turn and an activity. An
    // orchestration of `many` is fourteen at the least: its start, its result, ten activities, a turn that schedules them
    // and one that hears of them.
    let (name, steps, unit, ceiling) = match workload {
        Workload::Fan(n) => (format!("fan {n}"), n, "activity", allowed.map(|it| it.crowd)),
        Workload::Chain(n) => (format!("chain {n}"), n, "step", allowed.map(|it| it.alone / 2.0)),
        Workload::Many(n) => (format!("many {n}"), n * 10, "activity", allowed.map(|it| it.crowd / 1.4)),
        Workload::Trickle(n) => (format!("trickle {n}"), n, "completion", None),
        Workload::Timers(n) => (format!("timers {n}"), 1, "latest timer", None),
        Workload::Startup => ("startup".into(), 1, "start", None),
        Workload::Hubs(n) => (format!("hubs {n}"), n, "hub", None),
    };
    let (median, turns) = runs.median();
    let median = median.as_secs_f64();
    let turns = turns.map_or_else(String::new, |turns| turns.to_string());
    let each = median / f64::from(steps.max(1));
    let ratio = ceiling.map_or_else(String::new, |most| format!("{:.0} %", 100.0 / each / most));
    println!(
        "{name:<16} {:>10} {:>10} {:>10}   {:>12} {ratio:>14} {turns:>8}",
        show(median),
        show(runs.0[0].0.as_secs_f64()),
        show(runs.0[runs.0.len() - 1].0.as_secs_f64()),
        format!("{}/{unit}", show(each)),
    );
}

fn show(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.1} us", seconds * 1e6)
    }
}

fn run(workload: Workload, options: &Options) -> Run {
    let worker = |worker: Worker| {
        let worker = worker.sticky_cache(if options.replay { 0 } else { 1_000 });
        match options.activities {
            Some(at_most) => worker.max_activities(at_most),
            None => worker,
        }
    };
    match workload {
        Workload::Startup => (runtime().block_on(startup()), None),
        Workload::Hubs(count) => (runtime().block_on(hubs(count)), None),
        Workload::Fan(n) => runtime().block_on(working(worker, async |client: Client| {
            let run = client.start(tasks::fan, n).await.expect("it starts");
            assert_eq!(run.result().await.expect("it ends well"), tasks::sum_of_squares(n));
            Some(run.id().to_string())
        })),
        Workload::Chain(n) => runtime().block_on(working(worker, async |client: Client| {
            let run = client.start(tasks::chain, n).await.expect("it starts");
            assert_eq!(run.result().await.expect("it ends well"), tasks::sum_of_squares(n));
            Some(run.id().to_string())
        })),
        Workload::Trickle(n) => runtime().block_on(working(
            |new| worker(new).max_activities(1),
            async |client| {
                let run = client.start(tasks::trickle, n).await.expect("it starts");
                assert_eq!(run.result().await.expect("it ends well"), tasks::sum_of_squares(n));
                Some(run.id().to_string())
            },
        )),
        Workload::Timers(n) => (runtime().block_on(late(n)), None),
        Workload::Many(m) => runtime().block_on(working(worker, async |client: Client| {
            use futures::StreamExt;
            let all = futures::stream::iter(0..m).map(|_| async {
                let sum = client.start(tasks::fan, 10).await.expect("it starts").result().await;
                assert_eq!(sum.expect("it ends well"), tasks::sum_of_squares(10));
            });
            all.buffer_unordered(16).count().await;
            None
        })),
    }
}

/// How late the latest of `n` timers fires, by the history.
async fn late(n: u32) -> Duration {
    let emulator = Emulator::start().await.expect("an emulator starts");
    let client = Client::connect(&emulator.endpoint()).await.expect("it is there");
    let worker = Worker::new(&client, tasks::registry()).start().expect("it works");
    let run = client.start(tasks::timers, n).await.expect("it starts");
    run.result().await.expect("it ends well");
    let history = run.history().await.expect("it has one");
    let late = history.iter().filter(|event| event.kind() == Some(Kind::TimerFired));
    let late = late.filter_map(|event| Some(event.at().since(event.due()?)));
    let latest = late.max().expect("some fired");
    worker.stop().await;
    emulator.stop().await;
    latest
}

/// Times what `work` does with a client of a fresh emulator that has one worker, and counts the turns of the instance that
/// it names.
async fn working<F: AsyncFnOnce(Client) -> Option<String>>(
    how: impl FnOnce(Worker) -> Worker,
    work: F,
) -> Run {
    let emulator = Emulator::start().await.expect("an emulator starts");
    let client = Client::connect(&emulator.endpoint()).await.expect("it is there");
    let worker = how(Worker::new(&client, tasks::registry())).start().expect("it works");
    worker.connected().await;
    let began = Instant::now();
    let ran = work(client.clone()).await;
    let took = began.elapsed();
    let turns = match ran {
        Some(id) => Some(turns_of(&client, &id).await),
        None => None,
    };
    worker.stop().await;
    emulator.stop().await;
    (took, turns)
}

/// How many turns an instance took, by its history.
async fn turns_of(client: &Client, id: &str) -> usize {
    let history = client.history(id).await.expect("it has one");
    history.iter().filter(|event| event.kind() == Some(Kind::OrchestratorStarted)).count()
}

/// From nothing to an answered call.
async fn startup() -> Duration {
    let began = Instant::now();
    let emulator = Emulator::start().await.expect("an emulator starts");
    let client = Client::connect(&emulator.endpoint()).await.expect("it is there");
    client.ping().await.expect("it answers");
    let took = began.elapsed();
    emulator.stop().await;
    took
}

/// Many hubs in one emulator.
async fn hubs(count: u32) -> Duration {
    let names: Vec<_> = (0..count).map(|n| format!("hub{n}")).collect();
    let began = Instant::now();
    let emulator = Emulator::builder().hubs(&names).start().await.expect("an emulator starts");
    let took = began.elapsed();
    emulator.stop().await;
    took
}

/// The most memory this process has had resident, in megabytes; 0 where the system does not say.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
