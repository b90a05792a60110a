//! Sends logs to standard error, at the level and in the form that the flags ask for.
//!
//! Whether somebody reads them is no matter of the emulator's: a thread of its own writes them, and what it cannot write
//! in time is left out and counted.

use crate::arguments::{Emulator, LogFormat};
use crate::failure::Failure;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;

/// How many lines are kept that are not written yet.
const KEPT: usize = 8_192;

/// Longest wait for the lines that are kept, when the process ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// The log while it is open. Dropping it writes what is kept, as far as somebody reads it.
pub(crate) struct Logs(Option<WorkerGuard>);

/// Starts logging. Flag and variable come first, `RUST_LOG` second, `info` last.
pub(crate) fn start(flags: &Emulator) -> Result<Logs, Failure> {
    let said = std::env::var("RUST_LOG").ok().filter(|said| !said.trim().is_empty());
    let filter = match (flags.log_level, said) {
        (Some(level), _) => EnvFilter::new(ours(level)),
        (None, Some(said)) => EnvFilter::try_new(ours(&said))
            .map_err(|error| Failure::Usage(format!("RUST_LOG={said:?} is no filter for logs: {error}")))?,
        (None, None) => EnvFilter::new(ours("info")),
    };
    let counter = Arc::new(OnceLock::new());
    let stderr = Counted { counter: Arc::clone(&counter), told: 0, format: flags.log_format };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(KEPT)
        .thread_name("taskhub-log")
        .finish(stderr);
    // It is made after the writer that reads it, and before the first line is written.
    let _ = counter.set(writer.error_counter());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A subscriber that is there already was put there on purpose.
    let _ = match flags.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    Ok(Logs(Some(guard)))
}

/// A filter in which a level alone is that of this program; a library shows more than warnings where it is named.
fn ours(filter: &str) -> String {
    let parts = || filter.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut directives = Vec::new();
    for level in parts().filter_map(|part| rust_level(part).ok()) {
        let libraries = if matches!(level, "error" | "off") { level } else { "warn" };
        directives.extend([libraries.to_owned(), format!("taskhub={level}")]);
    }
    directives.extend(parts().filter(|part| rust_level(part).is_err()).map(str::to_owned));
    directives.join(",")
}

impl Drop for Logs {
    fn drop(&mut self) {
        let Some(guard) = self.0.take() else { return };
        // The guard waits for the writer, and complains where it cannot: both only as long as is allowed here.
        let (done, ended) = mpsc::channel();
        let ending = std::thread::Builder::new().spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        if ending.is_ok() {
            let _ = ended.recv_timeout(FAREWELL);
        }
    }
}

/// Standard error, with a line for what was left out before.
struct Counted {
    counter: Arc<OnceLock<ErrorCounter>>,
    told: usize,
    format: LogFormat,
}

impl Counted {
    fn tell_of_lost(&mut self) -> std::io::Result<()> {
        let lost = self.counter.get().map_or(0, ErrorCounter::dropped_lines);
        let left_out = lost - self.told;
        if left_out == 0 {
            return Ok(());
        }
        self.told = lost;
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

impl Write for Counted {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> std::io::Result<()> {
        std::io::stderr().lock().write_all(line)?;
        self.tell_of_lost()
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
    use super::ours;
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
            assert_eq!(ours(said), filter, "{said}");
        }
    }
}
