//! Holds what workers answer to the limit of a payload, where a hub has one, and to bounds of tags and names.
//!
//! An answer that is refused comes again for ever, so one that holds too much counts as a failure of what it is about
//! (protocol/limits.md#payloads). What clients send is refused before it gets here.

use crate::model::failure;
use crate::wire::{
    self, TaskFailureDetails, operation_action::OperationActionType, operation_result::ResultType,
    orchestrator_action::OrchestratorActionType as Action,
    send_entity_message_action::EntityMessageType as Message,
};
use prost::Message as _;
use std::collections::BTreeMap;

/// What to do about a payload that is too large.
pub(in crate::emulator) const STORE: &str =
    "let the SDK's large-payload store keep it, or keep it elsewhere and send where it is";

/// How a payload is said to have failed that is too large, and tags and names of which there is too much.
const TOO_LARGE: &str = "PayloadTooLarge";
const TOO_MANY_TAGS: &str = "TooManyTags";
const TOO_LONG: &str = "NameTooLong";

/// How many tags an instance or activity may have (protocol/limits.md#names-and-tags); how many bytes a key and a value may have, and all of them together.
///
/// No such bound is documented for the service. What has tags carries them in each of its work items and on each page of
/// a query, so that they have to be few beside what a message takes.
const TAGS: usize = 1_000;
const TAG_KEY: usize = 1_024;
const TAG_VALUE: usize = 64 << 10;
const ALL_TAGS: usize = 256 << 10;

/// How many bytes a name or a version may have.
const NAME: usize = 1_024;

/// How many bytes of failure details are kept; what is longer loses its stack traces and inner failures.
const FAILURE: usize = 256 << 10;
/// How much of a message is kept then.
const FAILURE_MESSAGE: usize = 16 << 10;

/// What is wrong with tags; `None` where nothing is.
pub(in crate::emulator) fn tags(tags: &BTreeMap<String, String>) -> Option<String> {
    if tags.is_empty() {
        return None;
    }
    if tags.len() > TAGS {
        return Some(format!("there are {} tags; at most {TAGS} are allowed", tags.len()));
    }
    let mut all = 0;
    for (key, value) in tags {
        let (key, value) = (key.len(), value.len());
        if key > TAG_KEY {
            return Some(format!("the key of a tag has {key} bytes; at most {TAG_KEY} are allowed"));
        }
        if value > TAG_VALUE {
            return Some(format!("the value of a tag has {value} bytes; at most {TAG_VALUE} are allowed"));
        }
        all += key + value;
    }
    (all > ALL_TAGS).then(|| format!("the tags have {all} bytes together; at most {ALL_TAGS} are allowed"))
}

/// What is wrong with a name or a version; `None` where nothing is.
pub(in crate::emulator) fn name(what: &str, name: &str) -> Option<String> {
    let bytes = name.len();
    (bytes > NAME).then(|| format!("the {what} has {bytes} bytes; at most {NAME} are allowed"))
}

/// Cuts failure details that are too long to be kept: what failed is still said, and how it began.
fn cut(details: &mut TaskFailureDetails) {
    let bytes = details.encoded_len();
    if bytes <= FAILURE {
        return;
    }
    details.stack_trace = None;
    details.inner_failure = None;
    details.properties.clear();
    for text in [&mut details.error_message, &mut details.error_type] {
        let end = (0..=FAILURE_MESSAGE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
    let cut = format!("{} (cut here: the failure's details had {bytes} bytes)", details.error_message);
    details.error_message = cut;
}

/// The most bytes that a payload may have; `None` is any number.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Limit(pub(in crate::emulator) Option<usize>);

impl Limit {
    fn exceeded(self, what: &str, payload: Option<&String>) -> Option<TaskFailureDetails> {
        Some(failure::not_retriable(TOO_LARGE, self.why_not(what, payload)?))
    }

    /// What is wrong with a payload that is too much, and what to do; `None` where nothing is.
    pub(in crate::emulator) fn why_not(self, what: &str, payload: Option<&String>) -> Option<String> {
        let (limit, bytes) = (self.0?, payload?.len());
        (bytes > limit).then(|| format!("the {what} has {bytes} bytes; at most {limit} are allowed: {STORE}"))
    }

    /// A turn that answers with too much fails its orchestration, and does nothing else.
    pub(crate) fn on_turn(self, answer: &mut wire::OrchestratorResponse) {
        let status = self.exceeded("custom status", answer.custom_status.as_ref());
        let failed = status.or_else(|| answer.actions.iter().find_map(|action| self.on_action(action)));
        if let Some(failed) = failed {
            super::malformed::fail(answer, failed);
            return;
        }
        for action in &mut answer.actions {
            if let Some(Action::CompleteOrchestration(complete)) = &mut action.orchestrator_action_type {
                self.on_failure(complete.failure_details.as_mut());
            }
        }
    }

    /// Failure details are cut, not refused: they say what went wrong.
    fn on_failure(self, details: Option<&mut TaskFailureDetails>) {
        if let (Some(_), Some(details)) = (self.0, details) {
            cut(details);
        }
    }

    fn on_action(self, action: &wire::OrchestratorAction) -> Option<TaskFailureDetails> {
        let tagged = |wrong: Option<String>| Some(failure::not_retriable(TOO_MANY_TAGS, wrong?));
        let named = |what, it: Option<&String>| Some(failure::not_retriable(TOO_LONG, name(what, it?)?));
        match action.orchestrator_action_type.as_ref()? {
            Action::ScheduleTask(task) => self
                .exceeded("activity's input", task.input.as_ref())
                .or_else(|| tagged(tags(&task.tags)))
                .or_else(|| named("activity's name", Some(&task.name)))
                .or_else(|| named("activity's version", task.version.as_ref())),
            Action::CreateSubOrchestration(child) => self
                .exceeded("sub-orchestration's input", child.input.as_ref())
                .or_else(|| tagged(tags(&child.tags)))
                .or_else(|| named("sub-orchestration's name", Some(&child.name)))
                .or_else(|| named("sub-orchestration's version", child.version.as_ref())),
            Action::SendEvent(sent) => self
                .exceeded("event's data", sent.data.as_ref())
                .or_else(|| named("event's name", Some(&sent.name))),
            Action::CompleteOrchestration(complete) => self
                .exceeded("output", complete.result.as_ref())
                .or_else(|| named("new version", complete.new_version.as_ref())),
            Action::TerminateOrchestration(end) => self.exceeded("output", end.reason.as_ref()),
            Action::SendEntityMessage(sent) => {
                let (operation, input) = match sent.entity_message_type.as_ref()? {
                    Message::EntityOperationSignaled(signal) => (&signal.operation, signal.input.as_ref()),
                    Message::EntityOperationCalled(call) => (&call.operation, call.input.as_ref()),
                    Message::EntityLockRequested(_) | Message::EntityUnlockSent(_) => return None,
                };
                self.exceeded("operation's input", input)
                    .or_else(|| named("operation's name", Some(operation)))
            }
            Action::CreateTimer(_) | Action::RewindOrchestration(_) => None,
        }
    }

    /// An activity whose result is too much has failed.
    pub(crate) fn on_activity(self, answer: &mut wire::ActivityResponse) {
        if let Some(failed) = self.exceeded("activity's result", answer.result.as_ref()) {
            answer.result = None;
            answer.failure_details = Some(failed);
        }
        self.on_failure(answer.failure_details.as_mut());
    }

    /// Why a batch has left more than is allowed: a state or a side effect that is too much. An operation whose result is
    /// too much has failed, and what it did stands.
    pub(crate) fn on_batch(self, answer: &mut wire::EntityBatchResult) -> Option<TaskFailureDetails> {
        let state = self.exceeded("entity's state", answer.entity_state.as_ref());
        let effect = || {
            answer.actions.iter().find_map(|action| match action.operation_action_type.as_ref()? {
                OperationActionType::SendSignal(signal) => {
                    self.exceeded("signal's input", signal.input.as_ref())
                }
                OperationActionType::StartNewOrchestration(start) => {
                    self.exceeded("orchestration's input", start.input.as_ref())
                }
            })
        };
        let failed = state.or_else(effect);
        self.on_failure(answer.failure_details.as_mut());
        for result in &mut answer.results {
            let success = match &mut result.result_type {
                Some(ResultType::Success(success)) => success,
                Some(ResultType::Failure(failed)) => {
                    self.on_failure(failed.failure_details.as_mut());
                    continue;
                }
                None => continue,
            };
            if let Some(failed) = self.exceeded("operation's result", success.result.as_ref()) {
                let (start_time_utc, end_time_utc) = (success.start_time_utc, success.end_time_utc);
                let failure = wire::OperationResultFailure {
                    failure_details: Some(failed),
                    start_time_utc,
                    end_time_utc,
                };
                result.result_type = Some(ResultType::Failure(failure));
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_is_too_long_still_says_what_failed() {
        let mut details = TaskFailureDetails {
            stack_trace: Some("at ".repeat(200_000)),
            ..failure::details("TooBad", "\u{e9}".repeat(100_000))
        };
        Limit(Some(1)).on_failure(Some(&mut details));
        assert_eq!(details.error_type, "TooBad");
        assert!(details.error_message.starts_with('\u{e9}'));
        assert!(details.encoded_len() < 20_000, "{}", details.encoded_len());
        let kept =
            TaskFailureDetails { stack_trace: Some("at ".repeat(80_000)), ..failure::details("a", "b") };
        let mut details = kept.clone();
        Limit(Some(1)).on_failure(Some(&mut details));
        assert_eq!(details, kept);
    }
}
