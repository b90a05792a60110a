//! Shows the status of an instance.

use super::Error;
use crate::model::{Status, Timestamp};
use crate::sdk::replay::FailureDetails;
use crate::wire;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The status of an instance when the scheduler was asked, with its payloads where those were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    state: Box<wire::OrchestrationState>,
    status: Status,
}

impl Snapshot {
    /// Reads it from the wire; a status that no instance can have counts as running.
    pub(crate) fn new(state: wire::OrchestrationState) -> Self {
        let status = Status::from_wire(state.orchestration_status()).unwrap_or(Status::Running);
        Self { state: Box::new(state), status }
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        &self.state.instance_id
    }

    /// The orchestration's name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The orchestration's version, where it has one.
    pub fn version(&self) -> Option<&str> {
        self.state.version.as_deref().filter(|version| !version.is_empty())
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The id of the current execution; every life of an instance has one of its own.
    pub fn execution_id(&self) -> Option<&str> {
        self.state.execution_id.as_deref()
    }

    /// The id of the instance that started it, where one did.
    pub fn parent_id(&self) -> Option<&str> {
        self.state.parent_instance_id.as_deref()
    }

    /// When it was created.
    pub fn created(&self) -> Option<Timestamp> {
        self.state.created_timestamp.as_ref().map(Timestamp::from_wire)
    }

    /// When its status or history last changed.
    pub fn updated(&self) -> Option<Timestamp> {
        self.state.last_updated_timestamp.as_ref().map(Timestamp::from_wire)
    }

    /// When it ended, where it has.
    pub fn completed(&self) -> Option<Timestamp> {
        self.state.completed_timestamp.as_ref().map(Timestamp::from_wire)
    }

    /// When it was to begin, where the start said so.
    pub fn scheduled(&self) -> Option<Timestamp> {
        self.state.scheduled_start_timestamp.as_ref().map(Timestamp::from_wire)
    }

    /// Its tags.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.state.tags
    }

    /// How it failed, where it did.
    pub fn failure(&self) -> Option<FailureDetails> {
        self.state.failure_details.clone().map(FailureDetails::from_wire)
    }

    /// Its input; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] when it is not a `T`.
    pub fn input<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read("the input", self.state.input.as_deref())
    }

    /// Its output; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] when it is not a `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read("the output", self.state.output.as_deref())
    }

    /// Its custom status; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] when it is not a `T`.
    pub fn custom_status<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read("the custom status", self.state.custom_status.as_deref())
    }

    /// Its output as the JSON text that it is; `None` where it has none.
    pub fn output_json(&self) -> Option<&str> {
        self.state.output.as_deref()
    }

    /// The result of an instance that has ended, or how it ended otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], [`Error::Terminated`] or [`Error::Canceled`]; [`Error::Decode`] when the output is not a
    /// `T`; [`Error::WrongStatus`] when it has not ended.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let id = self.state.instance_id.clone();
        match self.status {
            Status::Completed => {
                let output = self.state.output.as_deref().filter(|json| !json.is_empty());
                serde_json::from_str(output.unwrap_or("null"))
                    .map_err(|error| Error::decode("the output", &error))
            }
            Status::Failed => {
                Err(Error::Failed { id, details: Box::new(self.failure().unwrap_or_default()) })
            }
            Status::Terminated => Err(Error::Terminated { id, output: self.state.output.clone() }),
            Status::Canceled => Err(Error::Canceled { id }),
            Status::Pending | Status::Running | Status::Suspended => {
                Err(Error::WrongStatus { id, why: format!("it is {} and has no result yet", self.status) })
            }
        }
    }
}

/// Other SDKs write an empty string where they mean nothing.
fn read<T: DeserializeOwned>(what: &'static str, json: Option<&str>) -> Result<Option<T>, Error> {
    json.filter(|json| !json.is_empty())
        .map(|json| serde_json::from_str(json).map_err(|error| Error::decode(what, &error)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: Status, output: Option<&str>) -> Snapshot {
        let mut state = wire::OrchestrationState {
            instance_id: "a".into(),
            output: output.map(str::to_owned),
            ..wire::OrchestrationState::default()
        };
        state.set_orchestration_status(status.to_wire());
        Snapshot::new(state)
    }

    #[test]
    fn an_orchestration_without_output_has_the_unit_as_its_result() {
        for output in [None, Some(""), Some("null")] {
            ended(Status::Completed, output).result::<()>().unwrap();
        }
    }

    #[test]
    fn an_output_of_another_type_is_a_decode_error_that_says_where() {
        let error = ended(Status::Completed, Some("[1,\"x\"]")).result::<Vec<u32>>().unwrap_err();
        assert!(matches!(&error, Error::Decode { what: "the output", .. }), "{error}");
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn the_other_ends_are_errors_of_their_own() {
        assert!(matches!(ended(Status::Failed, None).result::<()>(), Err(Error::Failed { .. })));
        assert!(matches!(
            ended(Status::Terminated, Some("7")).result::<()>(),
            Err(Error::Terminated { output: Some(output), .. }) if output == "7"
        ));
        assert!(matches!(ended(Status::Running, None).result::<()>(), Err(Error::WrongStatus { .. })));
    }
}
