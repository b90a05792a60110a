//! Names every way in which the command can fail, and the exit code of each.

use crate::signals::Signal;
use crate::{healthcheck, items};
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
    /// The scheduler's address, or what the environment says of it, is wrong.
    #[error("{0}")]
    Usage(String),
    /// Somebody else listens there.
    #[error(
        "port {port} is in use on {host}{owner}; stop who has it, or choose another with {flag}; {flag} 0 takes a free one"
    )]
    PortInUse { host: IpAddr, port: u16, flag: &'static str, owner: &'static str },
    /// The emulator that was asked is not well.
    #[error(transparent)]
    Unwell(#[from] healthcheck::Unwell),
    /// It was told to stop a second time and did not wait for anybody.
    #[error("stopped at once by a second signal, {}", .0.name())]
    Forced(Signal),
    /// Something went wrong while running.
    #[error("{0}")]
    Run(String),
}

impl Failure {
    /// A failure while running, told with its causes.
    pub(crate) fn run(error: impl std::error::Error) -> Self {
        Self::Run(told(&error))
    }

    /// 1 while running, 2 for what was asked wrongly, 3 for a port in use, 128 and its number for a second signal.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Items(_) | Self::Input(_) | Self::Usage(_) => 2,
            Self::PortInUse { .. } => 3,
            Self::Forced(signal) => 128 + signal.number(),
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
