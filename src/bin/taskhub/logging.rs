//! Sends logs to standard error, at the level and in the form that the flags ask for.

use crate::arguments::{Emulator, LogFormat};
use tracing_subscriber::filter::EnvFilter;

/// A log level that nobody knows.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a log level; say trace, debug, info, warn, error or off")]
pub(crate) struct UnknownLevel(String);

/// Starts logging. Flag and variable come first, `RUST_LOG` second, `info` last.
pub(crate) fn start(flags: &Emulator) -> Result<(), UnknownLevel> {
    let filter = match flags.log_level.as_deref().map(str::trim) {
        Some(level) if !level.is_empty() => EnvFilter::new(rust_level(level)?),
        _ => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A subscriber that is there already was put there on purpose.
    let _ = match flags.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    Ok(())
}

/// The level by Rust's name or by .NET's, whatever its case.
fn rust_level(level: &str) -> Result<&'static str, UnknownLevel> {
    match level.to_ascii_lowercase().as_str() {
        "trace" => Ok("trace"),
        "debug" => Ok("debug"),
        "info" | "information" => Ok("info"),
        "warn" | "warning" => Ok("warn"),
        "error" | "critical" => Ok("error"),
        "off" | "none" => Ok("off"),
        _ => Err(UnknownLevel(level.to_owned())),
    }
}
