//! Sends logs to standard error, at the level and in the form that the flags ask for.
//!
//! A thread of its own writes them, so that a full pipe never blocks the emulator: lines that do not fit into its buffer
//! are dropped and counted.

use crate::error::CliError;
use clap::ValueEnum;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;

/// How many lines may wait to be written.
const BUFFERED_LINES: usize = 8_192;

/// Longest wait for the buffered lines when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps the log open. Dropping it writes the buffered lines, and gives up after [`FLUSH_TIMEOUT`].
pub(crate) struct LogGuard(Option<WorkerGuard>);

/// How a log line looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. Flag and variable come first, `RUST_LOG` second, `info` last.
pub(crate) fn start(level: Option<&'static str>, format: LogFormat) -> Result<LogGuard, CliError> {
    let said = std::env::var("RUST_LOG").ok().filter(|said| !said.trim().is_empty());
    let filter = match (level, said) {
        (Some(level), _) => EnvFilter::new(filter_directives(level)),
        (None, Some(said)) => EnvFilter::try_new(filter_directives(&said))
            .map_err(|error| CliError::Usage(format!("RUST_LOG={said:?} is no filter for logs: {error}")))?,
        (None, None) => EnvFilter::new(filter_directives("info")),
    };
    let counter = Arc::new(OnceLock::new());
    let stderr = StderrWriter { counter: Arc::clone(&counter), reported: 0, format };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(BUFFERED_LINES)
        .thread_name("taskhub-log")
        .finish(stderr);
    // It is made after the writer that reads it, and before the first line is written.
    let _ = counter.set(writer.error_counter());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A subscriber that is set already stays: the process that embeds this chose it.
    let _ = match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    Ok(LogGuard(Some(guard)))
}

/// A filter in which a level alone is that of this program; a library shows more than warnings where it is named.
fn filter_directives(filter: &str) -> String {
    let parts = || filter.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut directives = Vec::new();
    for level in parts().filter_map(|part| rust_level(part).ok()) {
        let libraries = if matches!(level, "error" | "off") { level } else { "warn" };
        directives.extend([libraries.to_owned(), format!("taskhub={level}")]);
    }
    directives.extend(parts().filter(|part| rust_level(part).is_err()).map(str::to_owned));
    directives.join(",")
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else { return };
        // The guard waits for its thread without a limit, so it is dropped on another thread and this one waits for that.
        let (done, ended) = mpsc::channel();
        let ending = std::thread::Builder::new().spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        if ending.is_ok() {
            let _ = ended.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Standard error, with a line that counts the lines dropped before.
struct StderrWriter {
    counter: Arc<OnceLock<ErrorCounter>>,
    /// How many dropped lines were reported.
    reported: usize,
    format: LogFormat,
}

impl StderrWriter {
    fn report_dropped(&mut self) -> std::io::Result<()> {
        let lost = self.counter.get().map_or(0, ErrorCounter::dropped_lines);
        let left_out = lost - self.reported;
        if left_out == 0 {
            return Ok(());
        }
        self.reported = lost;
        let (now, message) = (WallClock.now(), "lines were left out: standard error was not read in time");
        let line = match self.format {
            LogFormat::Text => format!("{now}  WARN taskhub: {message} left_out={left_out}"),
            LogFormat::Json => serde_json::json!({
                "timestamp": now.to_string(),
                "level": "WARN",
                "fields": { "message": message, "left_out": left_out },
                "target": "taskhub",
            })
            .to_string(),
        };
        writeln!(std::io::stderr().lock(), "{line}")
    }
}

impl Write for StderrWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> std::io::Result<()> {
        std::io::stderr().lock().write_all(line)?;
        self.report_dropped()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The level by Rust's name or by .NET's, whatever its case.
pub(crate) fn rust_level(level: &str) -> Result<&'static str, String> {
    match level.trim().to_ascii_lowercase().as_str() {
        "trace" => Ok("trace"),
        "debug" => Ok("debug"),
        "info" | "information" => Ok("info"),
        "warn" | "warning" => Ok("warn"),
        "error" | "critical" => Ok("error"),
        "off" | "none" => Ok("off"),
        _ => Err("no such log level; say trace, debug, info, warn, error or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::filter_directives;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_level_alone_is_that_of_this_program_and_a_target_is_taken_as_it_stands() {
        for (said, filter) in [
            ("debug", "warn,taskhub=debug"),
            ("Trace", "warn,taskhub=trace"),
            ("error", "error,taskhub=error"),
            ("off", "off,taskhub=off"),
            ("debug,h2=debug", "warn,taskhub=debug,h2=debug"),
            ("taskhub=trace, info", "warn,taskhub=info,taskhub=trace"),
            ("hyper=trace", "hyper=trace"),
        ] {
            assert_eq!(filter_directives(said), filter, "{said}");
        }
    }
}
