//! Names every way in which the command can fail, and the exit code of each.

use crate::{healthcheck, items, logging};
use std::net::IpAddr;

/// Why the command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The work items are wrong.
    #[error(transparent)]
    Items(#[from] items::Malformed),
    /// The input of an orchestration is not JSON.
    #[error("--input is not JSON: {0}; quote it for the shell, as in --input '[1, 2, 3]'")]
    Input(serde_json::Error),
    /// There is no such log level.
    #[error(transparent)]
    LogLevel(#[from] logging::UnknownLevel),
    /// An address or a hub's name that cannot be one.
    #[error("{0}")]
    Usage(String),
    /// Somebody else listens there.
    #[error(
        "port {port} is in use on {host}; stop who has it, or choose another with {flag}; {flag} 0 takes a free one"
    )]
    PortInUse { host: IpAddr, port: u16, flag: &'static str },
    /// The emulator that was asked is not well.
    #[error(transparent)]
    Unwell(#[from] healthcheck::Unwell),
    /// Something went wrong while running.
    #[error("{0}")]
    Run(String),
}

impl Failure {
    /// A failure while running, told with its causes.
    pub(crate) fn run(error: impl std::error::Error) -> Self {
        Self::Run(told(&error))
    }

    /// 1 while running, 2 for what was asked wrongly, 3 for a port in use.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Items(_) | Self::Input(_) | Self::LogLevel(_) | Self::Usage(_) => 2,
            Self::PortInUse { .. } => 3,
            Self::Unwell(_) | Self::Run(_) => 1,
        }
    }
}

/// An error and what caused it, in one line; a cause that its error has told already is left out.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
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
