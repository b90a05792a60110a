//! Runs the sample in this process: an emulator, a worker and a client; then prints the result and the history.

use crate::arguments::DemoFlags;
use crate::error::CliError;
use crate::items::items;
use crate::output::print;
use crate::progress::Progress;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use taskhub::activities::{Summary, WorkError, process};
use taskhub::clock::{Clock, WallClock};
use taskhub::emulator::Emulator;
use taskhub::model::{Event, History, Kind};
use taskhub::orchestration::{fan_out_fan_in, registry};
use taskhub::report;
use taskhub::sdk::client::Client;
use taskhub::sdk::worker::Worker;
use taskhub::sdk::{ActivityContext, ActivityRunner, name_of};

/// Lists longer than this are shown by their beginning and their end.
const READABLE_LIST: usize = 20;
/// Histories longer than this are shown by the number of events of each kind.
const READABLE_HISTORY: usize = 200;

/// Runs the sample over the work items that the flags name.
pub(crate) async fn demo(flags: DemoFlags) -> Result<(), CliError> {
    let items = items(&flags)?;
    let progress = Arc::new(Progress::new(items.len() as u64));
    let emulator = Emulator::start().await.map_err(CliError::run)?;
    let client = Client::connect(&emulator.endpoint()).await.map_err(CliError::run)?;
    // The sample as it is; only its activity is replaced by one that also counts.
    let counted = ActivityRunner::new(counted, Arc::clone(&progress));
    let registry = registry().replace_activity(name_of_process(), None, counted);
    let worker = Worker::new(&client, registry).start().map_err(CliError::run)?;

    let count = items.len();
    let began = WallClock.now();
    let run = client.start(fan_out_fan_in, items).await.map_err(CliError::run)?;
    let result = run.result().await;
    let took = WallClock.now().since(began);
    progress.finish();
    let summary = result.map_err(CliError::run)?;
    let history = run.history().await.map_err(CliError::run)?;

    let endpoint = emulator.endpoint();
    print(&format!("fan_out_fan_in over {count} work items, on an emulator at {endpoint}\n"))?;
    print(&format!("{}\n{}", summary_text(&summary, count, took, run.id()), history_text(&history)))?;

    worker.stop().await;
    emulator.stop().await;
    Ok(())
}

/// What the sample's `process` does, and one more on the counter.
async fn counted(progress: Arc<Progress>, _context: ActivityContext, item: i64) -> Result<i64, WorkError> {
    let result = process(item).await;
    progress.one_more();
    result
}

/// The name that the sample registers its `process` under.
fn name_of_process() -> &'static str {
    fn name<F>(_: F) -> &'static str {
        name_of::<F>()
    }
    name(process)
}

fn summary_text(summary: &Summary, count: usize, took: Duration, id: &str) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    row("results", list(&summary.results));
    row("sum", summary.sum.to_string());
    row("average", summary.average.map_or_else(|| "none".to_owned(), |average| average.to_string()));
    let failures = &summary.failures;
    for (at, failed) in failures.iter().take(READABLE_LIST).enumerate() {
        let reason = report::one_line(&failed.reason);
        let (name, how_many) = match at {
            0 => ("failed", format!("{} of {count}: ", failures.len())),
            _ => ("", String::new()),
        };
        row(name, format!("{how_many}item {}: {reason}", failed.item));
    }
    if let Some(more) = failures.len().checked_sub(READABLE_LIST).filter(|more| *more > 0) {
        row("", format!("and {more} more"));
    }
    row("took", format!("{:.1} ms", took.as_secs_f64() * 1e3));
    row("instance", id.to_owned());
    text
}

fn list(results: &[i64]) -> String {
    if results.len() <= READABLE_LIST {
        return format!("{results:?}");
    }
    let (first, last) = (&results[..5], &results[results.len() - 2..]);
    let join = |part: &[i64]| part.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    format!("[{}, ... {}] ({} of them)", join(first), join(last), results.len())
}

fn history_text(history: &History) -> String {
    if history.len() <= READABLE_HISTORY {
        return report::timeline(history);
    }
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for kind in history.iter().filter_map(Event::kind) {
        *kinds.entry(kind).or_default() += 1;
    }
    let lines = kinds.iter().map(|(kind, count)| format!("  {count:>9} {kind}\n"));
    format!("{} events in its history:\n{}", history.len(), lines.collect::<String>())
}
