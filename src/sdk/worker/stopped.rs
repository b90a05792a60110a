//! Says what a worker left running when it stopped.

use std::fmt;

/// How a worker has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stopped {
    /// What was still running: its thread, if it keeps one, goes on until it returns, and its result is dropped. The
    /// scheduler hands it out again. Empty where all that had begun has ended.
    pub left: Vec<Left>,
}

/// Something that a worker left running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Left {
    /// A turn of an orchestration.
    Turn {
        /// The instance.
        instance_id: String,
    },
    /// A batch of operations of an entity.
    Batch {
        /// The entity's id.
        instance_id: String,
    },
    /// An activity.
    Activity {
        /// Its name.
        name: String,
        /// The instance that called it.
        instance_id: String,
        /// The number of the call in that instance.
        task_id: i32,
    },
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn { instance_id } => write!(f, "a turn of {instance_id:?}"),
            Self::Batch { instance_id } => write!(f, "a batch of {instance_id:?}"),
            Self::Activity { name, instance_id, task_id } => {
                write!(f, "the activity {name:?} (task {task_id} of {instance_id:?})")
            }
        }
    }
}

/// How many are named in a line of the log.
const NAMED: usize = 10;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left.is_empty() {
            return f.write_str("nothing was left running");
        }
        write!(f, "{} left running: ", self.left.len())?;
        for (at, left) in self.left.iter().take(NAMED).enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{left}")?;
        }
        match self.left.len().checked_sub(NAMED) {
            Some(more) if more > 0 => write!(f, ", and {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_was_left_up_to_a_number() {
        assert_eq!(Stopped::default().to_string(), "nothing was left running");
        let left = Left::Activity { name: "pay".into(), instance_id: "a".into(), task_id: 3 };
        let one = Stopped { left: vec![left] };
        assert_eq!(one.to_string(), "1 left running: the activity \"pay\" (task 3 of \"a\")");
        let many = Stopped { left: vec![Left::Turn { instance_id: "a".into() }; 12] };
        assert!(many.to_string().ends_with("a turn of \"a\", and 2 more"), "{many}");
    }
}
