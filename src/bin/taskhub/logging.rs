//! Sends logs to standard error, at the level and in the form that the flags ask for.

use crate::arguments::{Emulator, LogFormat};
use crate::failure::Failure;
use tracing_subscriber::filter::EnvFilter;

/// Starts logging. Flag and variable come first, `RUST_LOG` second, `info` last.
pub(crate) fn start(flags: &Emulator) -> Result<(), Failure> {
    let said = std::env::var("RUST_LOG").ok().filter(|said| !said.trim().is_empty());
    let filter = match (flags.log_level, said) {
        (Some(level), _) => EnvFilter::new(level),
        (None, Some(said)) => EnvFilter::try_new(&said)
            .map_err(|error| Failure::Usage(format!("RUST_LOG={said:?} is no filter for logs: {error}")))?,
        (None, None) => EnvFilter::new("info"),
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
