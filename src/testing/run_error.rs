//! Says why a test hub cannot bring an orchestration to its end.

use std::fmt;

/// Why an orchestration did not end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing will ever happen again, and it still waits.
    Waiting {
        /// What each orchestration waits for, and the line of code that asked for it.
        waits: Vec<String>,
        /// Work that is ready and cannot be run: names that are not registered, with those that look alike.
        unclaimed: Vec<String>,
        /// What has happened so far, as a table.
        history: String,
    },
    /// The same history gives another turn when it is replayed.
    NotDeterministic {
        /// Which turn, counted from 1.
        turn: usize,
        /// What differs.
        difference: String,
        /// What has happened so far, as a table.
        history: String,
    },
    /// An activity waits for something that only a runtime could bring.
    Foreign {
        /// The activity's name.
        activity: String,
    },
    /// It took more turns than any test should need.
    TooManyTurns {
        /// How many.
        turns: usize,
    },
    /// Something about the test itself is wrong.
    Setup {
        /// What, and what to do.
        what: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { waits, unclaimed, history } => {
                writeln!(f, "the orchestration waits for what will never come:")?;
                waits.iter().chain(unclaimed).try_for_each(|line| writeln!(f, "  {line}"))?;
                write!(f, "{history}")
            }
            Self::NotDeterministic { turn, difference, history } => {
                writeln!(f, "turn {turn} is another one when its history is replayed: {difference}")?;
                write!(f, "{history}")
            }
            Self::Foreign { activity } => write!(
                f,
                "the activity {activity:?} waits for something that only an async runtime brings; mock it, or test it against an emulator"
            ),
            Self::TooManyTurns { turns } => {
                write!(f, "{turns} turns and no end; is it meant to run for ever? then say `until`")
            }
            Self::Setup { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for RunError {}
