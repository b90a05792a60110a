//! The phases of an orchestration, and what each record makes of each of them.

use crate::model::{Status, Timestamp};
use crate::wire;
use bytes::Bytes;

/// How an instance ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) output: Option<String>,
    pub(crate) failure: Option<Box<wire::TaskFailureDetails>>,
    pub(crate) at: Timestamp,
}

/// Where an orchestration stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// No turn of it is committed, of whatever execution. Clients see PENDING, suspended or not.
    Pending { suspended: bool },
    /// Turns are committed. `rewritten`: its history was written anew since the last one, and it is to have a turn though
    /// nothing has arrived.
    Running { rewritten: bool },
    /// The same, and its worker was told to do nothing until it is resumed.
    Suspended { rewritten: bool },
    /// A worker is asked to write its history anew.
    Rewinding {
        /// The end that is being undone; it stands again if the worker refuses.
        undone: End,
        /// The encoded `ExecutionRewound`.
        event: Bytes,
        suspended: bool,
    },
    /// It has ended. `suspended`: it was when it ended, and is again if the end is undone.
    Ended { end: End, suspended: bool },
}

/// What a record says to a phase.
#[derive(Debug)]
pub(super) enum PhaseInput {
    /// A turn is committed, and ends nothing.
    Committed { suspended: bool },
    /// A turn is committed that ends the orchestration, or it ends without one.
    Ended { end: End, suspended: bool },
    /// The next execution begins.
    Continued { suspended: bool },
    /// Suspended or resumed without a worker.
    Paused { suspended: bool },
    /// A rewind begins.
    RewindBegan { event: Bytes },
    /// The worker has written the history anew.
    Rewound { rewritten: bool },
    /// The worker has refused to.
    RewindRefused,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Pending { suspended: false }
    }
}

impl Phase {
    fn begun(suspended: bool, rewritten: bool) -> Self {
        if suspended { Self::Suspended { rewritten } } else { Self::Running { rewritten } }
    }

    /// The phase after a record. The pairs that are never decided leave the phase as it is.
    pub(super) fn after(self, input: PhaseInput) -> Self {
        match (self, input) {
            // A turn is committed.
            (
                Self::Pending { .. } | Self::Running { .. } | Self::Suspended { .. },
                PhaseInput::Committed { suspended } | PhaseInput::Continued { suspended },
            ) => Self::begun(suspended, false),
            (
                Self::Pending { .. } | Self::Running { .. } | Self::Suspended { .. } | Self::Rewinding { .. },
                PhaseInput::Ended { end, suspended },
            ) => Self::Ended { end, suspended },
            // Suspended or resumed without a worker.
            (Self::Pending { .. }, PhaseInput::Paused { suspended }) => Self::Pending { suspended },
            (
                Self::Running { rewritten } | Self::Suspended { rewritten },
                PhaseInput::Paused { suspended },
            ) => Self::begun(suspended, rewritten),
            (Self::Rewinding { undone, event, .. }, PhaseInput::Paused { suspended }) => {
                Self::Rewinding { undone, event, suspended }
            }
            // A rewind, and what becomes of it.
            (Self::Ended { end, suspended }, PhaseInput::RewindBegan { event }) => {
                Self::Rewinding { undone: end, event, suspended }
            }
            (Self::Rewinding { suspended, .. }, PhaseInput::Rewound { rewritten }) => {
                Self::begun(suspended, rewritten)
            }
            (Self::Rewinding { undone, suspended, .. }, PhaseInput::RewindRefused) => {
                Self::Ended { end: undone, suspended }
            }
            // Never decided: only what has ended is rewound, the turn of a rewind commits nothing else, an end stands.
            (
                phase @ (Self::Pending { .. } | Self::Running { .. } | Self::Suspended { .. }),
                PhaseInput::RewindBegan { .. } | PhaseInput::Rewound { .. } | PhaseInput::RewindRefused,
            )
            | (
                phase @ Self::Rewinding { .. },
                PhaseInput::Committed { .. } | PhaseInput::Continued { .. } | PhaseInput::RewindBegan { .. },
            )
            | (
                phase @ Self::Ended { .. },
                PhaseInput::Committed { .. }
                | PhaseInput::Ended { .. }
                | PhaseInput::Continued { .. }
                | PhaseInput::Paused { .. }
                | PhaseInput::Rewound { .. }
                | PhaseInput::RewindRefused,
            ) => phase,
        }
    }

    /// The status as clients see it.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Pending { .. } => Status::Pending,
            Self::Running { .. } | Self::Rewinding { suspended: false, .. } => Status::Running,
            Self::Suspended { .. } | Self::Rewinding { suspended: true, .. } => Status::Suspended,
            Self::Ended { end, .. } => end.status,
        }
    }

    /// Whether it is suspended as far as its committed turns, or an end without a worker, say.
    pub(crate) fn is_suspended(&self) -> bool {
        match self {
            Self::Pending { suspended }
            | Self::Rewinding { suspended, .. }
            | Self::Ended { suspended, .. } => *suspended,
            Self::Running { .. } => false,
            Self::Suspended { .. } => true,
        }
    }

    /// Whether a turn could be handed out: something has arrived, or a history is to be written anew or was.
    pub(super) fn wants_turn(&self, has_arrived: bool) -> bool {
        match self {
            Self::Pending { .. } => has_arrived,
            Self::Running { rewritten } | Self::Suspended { rewritten } => *rewritten || has_arrived,
            Self::Rewinding { .. } => true,
            Self::Ended { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(status: Status) -> End {
        End { status, output: None, failure: None, at: Timestamp::from_micros(1) }
    }

    fn failed() -> Phase {
        Phase::default().after(PhaseInput::Ended { end: end(Status::Failed), suspended: false })
    }

    #[test]
    fn a_rewind_that_is_refused_leaves_the_end_that_was() {
        let rewinding = failed().after(PhaseInput::RewindBegan { event: Bytes::new() });
        assert_eq!(rewinding.status(), Status::Running);
        assert!(rewinding.wants_turn(false));
        assert_eq!(rewinding.after(PhaseInput::RewindRefused), failed());
    }

    #[test]
    fn a_history_that_was_rewritten_wants_one_turn() {
        let rewritten = failed()
            .after(PhaseInput::RewindBegan { event: Bytes::new() })
            .after(PhaseInput::Rewound { rewritten: true });
        assert!(rewritten.wants_turn(false));
        let paused = rewritten.after(PhaseInput::Paused { suspended: true });
        assert!(paused.wants_turn(false), "a suspension takes no turn away");
        assert!(!paused.after(PhaseInput::Committed { suspended: true }).wants_turn(false));
    }

    #[test]
    fn what_has_ended_is_left_by_a_rewind_alone() {
        for input in [
            PhaseInput::Committed { suspended: true },
            PhaseInput::Ended { end: end(Status::Terminated), suspended: true },
            PhaseInput::Continued { suspended: true },
            PhaseInput::Paused { suspended: true },
            PhaseInput::Rewound { rewritten: true },
            PhaseInput::RewindRefused,
        ] {
            assert_eq!(failed().after(input), failed());
        }
    }

    #[test]
    fn an_instance_that_has_not_begun_is_pending_though_it_is_suspended() {
        let pending = Phase::default().after(PhaseInput::Paused { suspended: true });
        assert_eq!((pending.status(), pending.is_suspended()), (Status::Pending, true));
        let begun = pending.after(PhaseInput::Committed { suspended: true });
        assert_eq!(begun.status(), Status::Suspended);
    }
}
