//! Names the runtime statuses of an instance.

use crate::wire::OrchestrationStatus as Wire;
use std::fmt;

/// Where an instance stands, as clients see it.
///
/// The wire's `CONTINUED_AS_NEW` is missing on purpose: it is only ever a worker's wish, never a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Created; its first turn is not committed yet.
    Pending,
    /// At least one turn is committed.
    Running,
    /// Suspended; events still arrive and are kept.
    Suspended,
    /// Ended with a result.
    Completed,
    /// Ended with a failure.
    Failed,
    /// Ended because somebody terminated it.
    Terminated,
    /// Ended because it was cancelled; no known SDK asks for it, the wire has it.
    Canceled,
}

impl Status {
    /// Every status, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Suspended,
        Self::Completed,
        Self::Failed,
        Self::Terminated,
        Self::Canceled,
    ];

    /// Whether nothing more can happen to the instance by itself.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Terminated | Self::Canceled => true,
            Self::Pending | Self::Running | Self::Suspended => false,
        }
    }

    /// The status as the wire names it.
    pub const fn to_wire(self) -> Wire {
        match self {
            Self::Pending => Wire::Pending,
            Self::Running => Wire::Running,
            Self::Suspended => Wire::Suspended,
            Self::Completed => Wire::Completed,
            Self::Failed => Wire::Failed,
            Self::Terminated => Wire::Terminated,
            Self::Canceled => Wire::Canceled,
        }
    }

    /// Reads a wire status; `None` for `CONTINUED_AS_NEW`, which no instance ever has.
    pub const fn from_wire(wire: Wire) -> Option<Self> {
        match wire {
            Wire::Pending => Some(Self::Pending),
            Wire::Running => Some(Self::Running),
            Wire::Suspended => Some(Self::Suspended),
            Wire::Completed => Some(Self::Completed),
            Wire::Failed => Some(Self::Failed),
            Wire::Terminated => Some(Self::Terminated),
            Wire::Canceled => Some(Self::Canceled),
            Wire::ContinuedAsNew => None,
        }
    }

    /// The status in capitals, as documents and dashboards write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Terminated => "TERMINATED",
            Self::Canceled => "CANCELED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
