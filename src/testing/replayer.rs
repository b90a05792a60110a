//! Runs today's code against yesterday's histories, and says where it would go another way.

use crate::model::{History, Status, Timestamp, event};
use crate::report::{self, NotHistory};
use crate::sdk::{Registry, run_turn};
use crate::wire::{
    CompleteOrchestrationAction, ExecutionCompletedEvent, HistoryEvent, OrchestratorRequest,
    history_event::EventType, orchestrator_action::OrchestratorActionType as Action,
};
use std::path::{Path, PathBuf};

/// Runs the orchestrators of a registry against stored histories.
///
/// A history is stored with `taskhub history ID --json`, or by any SDK that exports the protocol's JSON. Run over a
/// folder of them in every build, it finds the change that would break instances that are still running.
///
/// ```
/// # use taskhub::orchestration::{fan_out_fan_in, registry};
/// # use taskhub::testing::{Diverged, Replayer};
/// let replayer = Replayer::new(registry());
/// assert!(matches!(replayer.replay_json("[]"), Err(Diverged::Nothing)));
/// ```
#[derive(Debug, Clone)]
pub struct Replayer {
    registry: Registry,
}

/// Why a history cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Diverged {
    /// The code does something else than history says it did.
    #[error("'{instance}' goes another way: {why}")]
    Code {
        /// The instance.
        instance: String,
        /// What differs, and where in the source.
        why: String,
    },
    /// The code ends otherwise than history says it ended.
    #[error("'{instance}' ends otherwise: history says {then}, and the code now says {now}")]
    End {
        /// The instance.
        instance: String,
        /// How it ended then.
        then: String,
        /// How it ends now.
        now: String,
    },
    /// There is no `ExecutionStarted` in it, so it does not say which orchestrator to run.
    #[error("the history does not say what was started")]
    Nothing,
    /// It is no history.
    #[error(transparent)]
    NotHistory(#[from] NotHistory),
    /// The file or the folder cannot be read.
    #[error("{file}: {source}")]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is about this file.
    #[error("{file}: {why}")]
    In {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        why: Box<Diverged>,
    },
}

impl Replayer {
    /// Runs the orchestrators of this registry.
    pub fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// Follows one history, whether its instance has ended or not.
    ///
    /// # Errors
    ///
    /// [`Diverged`] says what the code does otherwise, and where in the source.
    pub fn replay(&self, history: &History) -> Result<(), Diverged> {
        let history: &[HistoryEvent] = history.as_ref();
        let started = history.iter().find_map(|event| match &event.event_type {
            Some(EventType::ExecutionStarted(started)) => Some(started),
            Some(_) | None => None,
        });
        let instance = started.ok_or(Diverged::Nothing)?.orchestration_instance.clone().unwrap_or_default();
        let ended = history.iter().rev().find_map(|event| match &event.event_type {
            Some(EventType::ExecutionCompleted(ended)) => Some(ended),
            Some(_) | None => None,
        });
        // One turn more than there were: what the last of them scheduled must be in history too.
        let past = history.iter().filter(|event| !is_end(event)).cloned().collect();
        let last = history.last().and_then(|event| event.timestamp).map(|at| Timestamp::from_wire(&at));
        let request = OrchestratorRequest {
            instance_id: instance.instance_id.clone(),
            execution_id: instance.execution_id,
            past_events: past,
            new_events: vec![event::orchestrator_started(last.unwrap_or_default())],
            ..OrchestratorRequest::default()
        };
        let outcome = run_turn(&self.registry, request, None);
        let instance = instance.instance_id;
        if outcome.abandon {
            let why = "the registry has no such version".to_owned();
            return Err(Diverged::Code { instance, why });
        }
        let now =
            outcome.response.actions.into_iter().find_map(|action| match action.orchestrator_action_type {
                Some(Action::CompleteOrchestration(end)) => Some(end),
                Some(_) | None => None,
            });
        let fault = outcome.fault.filter(|fault| !has_failed_so(ended, &fault.error_type));
        if let Some(fault) = fault {
            return Err(Diverged::Code { instance, why: format!("{}: {}", fault.error_type, fault.message) });
        }
        let (then, now) = (ended.map_or_else(open, told_then), now.as_ref().map_or_else(open, told_now));
        // The scheduler ends what is terminated; its code need not have ended.
        let terminated = ended
            .is_some_and(|ended| Status::from_wire(ended.orchestration_status()) == Some(Status::Terminated));
        if then == now || terminated { Ok(()) } else { Err(Diverged::End { instance, then, now }) }
    }

    /// Follows one history that is stored as the protocol's JSON.
    ///
    /// # Errors
    ///
    /// As [`Replayer::replay`], and [`Diverged::NotHistory`].
    pub fn replay_json(&self, text: &str) -> Result<(), Diverged> {
        self.replay(&report::from_json(text)?)
    }

    /// Follows the history in a file.
    ///
    /// # Errors
    ///
    /// As [`Replayer::replay_json`], with the file's name.
    pub fn replay_file(&self, file: impl AsRef<Path>) -> Result<(), Diverged> {
        let file = file.as_ref();
        let unreadable = |source| Diverged::File { file: file.to_owned(), source };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        self.replay_json(&text).map_err(|why| Diverged::In { file: file.to_owned(), why: Box::new(why) })
    }

    /// Follows every `.json` file of a folder, in the order of their names, and says how many there were.
    ///
    /// # Errors
    ///
    /// Of the first file that cannot be followed.
    pub fn replay_folder(&self, folder: impl AsRef<Path>) -> Result<usize, Diverged> {
        let folder = folder.as_ref();
        let unreadable = |source| Diverged::File { file: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                files.push(file);
            }
        }
        files.sort();
        for file in &files {
            self.replay_file(file)?;
        }
        Ok(files.len())
    }
}

fn is_end(event: &HistoryEvent) -> bool {
    matches!(event.event_type, Some(EventType::ExecutionCompleted(_)))
}

/// Whether the instance had failed with just this fault: then it is what history says.
fn has_failed_so(ended: Option<&ExecutionCompletedEvent>, error_type: &str) -> bool {
    let failure = ended.and_then(|ended| ended.failure_details.as_ref());
    failure.is_some_and(|failure| failure.error_type == error_type)
}

fn open() -> String {
    "that it goes on".to_owned()
}

fn told_then(ended: &ExecutionCompletedEvent) -> String {
    let failure = ended.failure_details.as_ref().map(|failure| &failure.error_type);
    told(ended.orchestration_status().as_str_name(), ended.result.as_deref(), failure)
}

fn told_now(end: &CompleteOrchestrationAction) -> String {
    let failure = end.failure_details.as_ref().map(|failure| &failure.error_type);
    told(end.orchestration_status().as_str_name(), end.result.as_deref(), failure)
}

fn told(status: &str, result: Option<&str>, failure: Option<&String>) -> String {
    let status = status.trim_start_matches("ORCHESTRATION_STATUS_");
    match (failure, result) {
        (Some(failure), _) => format!("{status} with {failure}"),
        (None, Some(result)) => format!("{status} with {result}"),
        (None, None) => status.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::{Failure, OrchestrationContext};
    use crate::wire;

    async fn first(_: u32) -> Result<u32, Failure> {
        Ok(1)
    }
    async fn second(_: u32) -> Result<u32, Failure> {
        Ok(2)
    }
    async fn both(ctx: OrchestrationContext, input: u32) -> Result<u32, Failure> {
        Ok(ctx.call(first, input).await? + ctx.call(second, input).await?)
    }
    async fn turned(ctx: OrchestrationContext, input: u32) -> Result<u32, Failure> {
        Ok(ctx.call(second, input).await? + ctx.call(first, input).await?)
    }
    async fn longer(ctx: OrchestrationContext, input: u32) -> Result<u32, Failure> {
        let sum = both(ctx.clone(), input).await?;
        Ok(sum + ctx.call(first, input).await?)
    }
    async fn eager(ctx: OrchestrationContext, input: u32) -> Result<u32, Failure> {
        let second = ctx.call(second, input);
        Ok(ctx.call(first, input).await? + second.await?)
    }
    async fn doubled(ctx: OrchestrationContext, input: u32) -> Result<u32, Failure> {
        Ok(both(ctx, input).await? * 2)
    }

    fn scheduled(id: i32, name: &str) -> HistoryEvent {
        let task =
            wire::ScheduleTaskAction { name: name.into(), input: Some("5".into()), ..Default::default() };
        event::task_scheduled(id, Timestamp::EPOCH, task)
    }

    /// The history of `both`; it is as long as the number of turns that were taken.
    fn history(turns: usize) -> Vec<HistoryEvent> {
        let at = Timestamp::EPOCH;
        let started = wire::ExecutionStartedEvent {
            name: "both".into(),
            input: Some("5".into()),
            orchestration_instance: Some(wire::OrchestrationInstance {
                instance_id: "one".into(),
                execution_id: Some("life".into()),
            }),
            ..Default::default()
        };
        let turn = || event::orchestrator_started(at);
        let (one, two) =
            (event::task_completed(at, 1, Some("1".into())), event::task_completed(at, 2, Some("2".into())));
        let end = event::execution_completed(3, at, Status::Completed, Some("3".into()), None);
        let all = [
            vec![turn(), event::execution_started(at, started), scheduled(1, "first")],
            vec![turn(), one, scheduled(2, "second")],
            vec![turn(), two, end],
        ];
        all.into_iter().take(turns).flatten().collect()
    }

    fn replayed<F, M>(code: F, turns: usize) -> Result<(), Diverged>
    where
        F: crate::sdk::Orchestrator<M>,
    {
        let registry =
            Registry::new().orchestration_named("both", None, code).activity(first).activity(second);
        Replayer::new(registry).replay(&history(turns).into())
    }

    #[test]
    fn code_that_has_not_changed_follows_its_history_ended_or_not() {
        for turns in 1..=3 {
            replayed(both, turns).unwrap();
        }
    }

    #[test]
    fn code_that_calls_something_else_is_found_with_its_line() {
        for turns in 1..=3 {
            let why = replayed(turned, turns).unwrap_err().to_string();
            assert!(why.contains("activity 'first' was scheduled as #1"), "{why}");
            assert!(why.contains("src/testing/replayer.rs:"), "{why}");
        }
        let why = replayed(eager, 1).unwrap_err().to_string();
        assert!(why.contains("the code"), "{why}");
        assert!(why.contains("src/testing/replayer.rs:"), "{why}");
    }

    #[test]
    fn code_that_goes_on_or_ends_otherwise_is_found() {
        // As far as history goes it does the same.
        replayed(longer, 2).unwrap();
        assert!(matches!(replayed(longer, 3), Err(Diverged::Code { .. } | Diverged::End { .. })));
        replayed(doubled, 2).unwrap();
        let why = replayed(doubled, 3).unwrap_err().to_string();
        assert_eq!(
            why,
            "'one' ends otherwise: history says COMPLETED with 3, and the code now says COMPLETED with 6"
        );
    }

    #[test]
    fn what_is_not_registered_is_said_and_a_folder_is_followed_whole() {
        let unregistered = Replayer::new(Registry::new()).replay(&history(1).into()).unwrap_err().to_string();
        assert!(unregistered.contains("OrchestratorTaskNotFound"), "{unregistered}");

        let folder = tempfile::tempdir().unwrap();
        for turns in 1..=3 {
            let file = folder.path().join(format!("{turns}.json"));
            std::fs::write(file, report::json(&history(turns).into())).unwrap();
        }
        std::fs::write(folder.path().join("README.md"), "no history").unwrap();
        let registry = Registry::new().orchestration(both).activity(first).activity(second);
        assert_eq!(Replayer::new(registry.clone()).replay_folder(folder.path()).unwrap(), 3);
        std::fs::write(folder.path().join("4.json"), "[{]").unwrap();
        let broken = Replayer::new(registry).replay_folder(folder.path()).unwrap_err().to_string();
        assert!(broken.contains("4.json: this is no history"), "{broken}");
    }
}
