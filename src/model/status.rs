//! Names the runtime statuses of an instance.

use crate::wire::OrchestrationStatus as Wire;
use std::fmt;

/// Where an instance stands, as clients see it.
///
/// The wire's `CONTINUED_AS_NEW` is missing on purpose: it is only ever a worker's wish, never a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
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
    /// Ended because a client or its parent terminated it.
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

    #[doc(hidden)]
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

    #[doc(hidden)]
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

/// A choice of statuses: any of them, unless it names some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses(u8);

impl Statuses {
    /// Every status.
    pub const ANY: Self = Self(u8::MAX);

    /// Those, and no other.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        Self(statuses.into_iter().fold(0, |chosen, status| chosen | 1 << status as u8))
    }

    #[doc(hidden)]
    /// Reads a wire's list, where an empty one chooses all. What no instance ever has chooses nothing: a list of
    /// `CONTINUED_AS_NEW` alone, or of numbers that are no status, fits no instance.
    pub fn from_wire(list: &[i32]) -> Self {
        if list.is_empty() {
            return Self::ANY;
        }
        let known = list.iter().filter_map(|number| Wire::try_from(*number).ok());
        Self::of(known.filter_map(Status::from_wire))
    }

    /// Whether it is one of them.
    pub const fn contains(self, status: Status) -> bool {
        self.0 & 1 << status as u8 != 0
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self::ANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_chooses_all_and_one_that_no_instance_fits_chooses_none() {
        let chosen = |list: &[i32]| {
            let chosen = Statuses::from_wire(list);
            Status::ALL.into_iter().filter(|status| chosen.contains(*status)).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&[]), Status::ALL);
        assert_eq!(chosen(&[Wire::Failed.into(), 99, Wire::Failed.into()]), [Status::Failed]);
        assert_eq!(chosen(&[Wire::ContinuedAsNew.into()]), []);
        assert_eq!(chosen(&[99, -1]), []);
    }
}
