//! The errors of the command, and the exit code of each.

use crate::signals::StopSignal;
use std::net::IpAddr;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A flag, a variable, or the data that one of them names is wrong.
    #[error("{0}")]
    Usage(String),
    /// Another process listens on the port.
    #[error(
        "port {port} is in use on {host}{owner}; stop that process, or choose another port with {flag}; {flag} 0 takes a free one"
    )]
    PortInUse { host: IpAddr, port: u16, flag: &'static str, owner: &'static str },
    /// A second signal came while the emulator was stopping.
    #[error("stopped at once by a second signal, {}", .0.name())]
    Forced(StopSignal),
    /// Something went wrong while running.
    #[error("{0}")]
    Run(String),
}

impl CliError {
    /// An error while running, with its causes.
    pub(crate) fn run(error: impl std::error::Error) -> Self {
        Self::Run(with_causes(&error))
    }

    /// 1 for an error while running, 2 for wrong usage, 3 for a port in use, 128 plus its number for a second signal.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::PortInUse { .. } => 3,
            Self::Forced(signal) => 128 + signal.number(),
            Self::Run(_) => 1,
        }
    }
}

/// An error and its causes in one line. A cause that the text before it contains already is left out.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}
