//! Says what became of a call, in variants one can match and words that say what to do.

use crate::model::InvalidId;
use crate::sdk::connect::{InvalidTarget, Reach, Target};
use crate::sdk::replay::{DurableError, FailureDetails};
use std::time::Duration;
use tonic::{Code, Status};

/// Why a client's call has no result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address or the connection string is wrong.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// An instance id is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// No server answers at the endpoint.
    #[error("no scheduler answers at {endpoint}: {why}; {hint}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the connection said.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The scheduler has no such task hub.
    #[error(
        "the scheduler at {endpoint} has no task hub '{hub}'; create it, or correct TaskHub (for an emulator: DTS_TASK_HUB_NAMES)"
    )]
    HubNotFound {
        /// Where.
        endpoint: String,
        /// The hub asked for.
        hub: String,
    },
    /// The hub has no such instance or entity.
    #[error(
        "there is no instance '{id}' in this task hub: {why}; check the id and the hub, and whether it was purged"
    )]
    NotFound {
        /// Its id.
        id: String,
        /// What the scheduler said.
        why: String,
    },
    /// The id is taken.
    #[error("the id '{id}' is taken: {why}; choose another id, or a reuse policy that replaces its holder")]
    AlreadyExists {
        /// The id.
        id: String,
        /// What the scheduler said.
        why: String,
    },
    /// The instance's status forbids it.
    #[error("instance '{id}' is in no state for this: {why}; look at its status first")]
    WrongStatus {
        /// Its id.
        id: String,
        /// What the scheduler said.
        why: String,
    },
    /// The scheduler does not take the request as it is.
    #[error("the scheduler refused the request: {why}")]
    Refused {
        /// What is wrong with it.
        why: String,
    },
    /// A message is larger than the scheduler or this client takes.
    #[error("a message is too large: {why}; put large data elsewhere and pass a reference")]
    TooLarge {
        /// What was said about it.
        why: String,
    },
    /// The scheduler does not believe who we are, or does not let us.
    #[error(
        "{endpoint} does not let us in: {why}; check 'Authentication' and the roles of the identity on the scheduler"
    )]
    Unauthorized {
        /// Where.
        endpoint: String,
        /// What was said.
        why: String,
    },
    /// The scheduler cannot do this.
    #[error("the scheduler at {endpoint} cannot do this: {why}; does the endpoint name its gRPC port?")]
    Unsupported {
        /// Where.
        endpoint: String,
        /// What was said.
        why: String,
    },
    /// It took longer than allowed.
    #[error("the time allowed is over: {why}; it goes on all the same: wait longer, or ask again")]
    DeadlineExceeded {
        /// For what.
        why: String,
    },
    /// The orchestration failed.
    #[error("orchestration '{id}' failed: {}: {}", details.error_type, details.message)]
    Failed {
        /// Its id.
        id: String,
        /// How it failed; [`Error::failure_as`] reads a typed error from it.
        details: Box<FailureDetails>,
    },
    /// The orchestration was terminated.
    #[error("orchestration '{id}' was terminated, with output {}", output.as_deref().unwrap_or("none"))]
    Terminated {
        /// Its id.
        id: String,
        /// What was given as its output, as JSON.
        output: Option<String>,
    },
    /// The orchestration was cancelled.
    #[error("orchestration '{id}' was cancelled")]
    Canceled {
        /// Its id.
        id: String,
    },
    /// A payload is not of the type it is read as.
    #[error("{what} is not what it is read as: {why}; do both sides agree on the type?")]
    Decode {
        /// Which payload.
        what: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A closure or a generic function was to be called, and has no name of its own.
    #[error("{path} has no name of its own; use the variant of this method that takes a name")]
    Nameless {
        /// The function, as the compiler names it.
        path: &'static str,
    },
    /// A value cannot be written as JSON.
    #[error("{what} cannot be written as JSON: {why}")]
    Encode {
        /// Which value.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// Anything else the scheduler said.
    #[error("the scheduler at {endpoint} answered {:?}: {why}", Code::from(*code))]
    Other {
        /// Where.
        endpoint: String,
        /// The number of the gRPC status code, such as 14 for `UNAVAILABLE`.
        code: i32,
        /// What was said.
        why: String,
    },
}

/// How a scheduler's message about a missing hub begins.
const NO_HUB: &str = "task hub not found";

impl Error {
    /// The target accepts connections, and sent no answer for this long.
    pub(super) fn silent(target: &Target, waited: Duration) -> Self {
        Self::Unreachable {
            endpoint: target.endpoint().to_string(),
            why: format!("nothing was said there in {waited:?}"),
            hint: hint(target),
        }
    }

    /// Reads what became of a call to `target` about `id`.
    pub(crate) fn from_status(status: &Status, target: &Target, id: &str) -> Self {
        let endpoint = target.endpoint().to_string();
        let (id, why) = (id.to_owned(), status.message().to_owned());
        if Reach::of(status) != Reach::Answered {
            return Self::Unreachable { endpoint, why: deepest(status), hint: hint(target) };
        }
        match status.code() {
            Code::NotFound if why.to_ascii_lowercase().starts_with(NO_HUB) => {
                Self::HubNotFound { endpoint, hub: target.hub_name().to_string() }
            }
            Code::NotFound => Self::NotFound { id, why },
            Code::AlreadyExists => Self::AlreadyExists { id, why },
            Code::FailedPrecondition => Self::WrongStatus { id, why },
            Code::InvalidArgument => Self::Refused { why },
            Code::ResourceExhausted | Code::OutOfRange => Self::TooLarge { why },
            Code::Unauthenticated | Code::PermissionDenied => Self::Unauthorized { endpoint, why },
            Code::Unimplemented => Self::Unsupported { endpoint, why },
            Code::DeadlineExceeded => Self::DeadlineExceeded { why },
            code @ (Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::Aborted
            | Code::DataLoss
            | Code::Ok) => Self::Other { endpoint, code: code.into(), why },
        }
    }

    /// The orchestration's own error, where it failed with an `E`.
    pub fn failure_as<E: DurableError>(&self) -> Option<E> {
        if let Self::Failed { details, .. } = self { E::from_details(details) } else { None }
    }

    pub(crate) fn decode(what: &'static str, error: &serde_json::Error) -> Self {
        Self::Decode { what, why: error.to_string() }
    }

    pub(crate) fn encode(what: &'static str, error: &serde_json::Error) -> Self {
        Self::Encode { what, why: error.to_string() }
    }
}

/// What the innermost error says, e.g. "Connection refused": the outer ones only say that there was one.
fn deepest(status: &Status) -> String {
    let mut said = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        said = error.to_string();
        source = error.source();
    }
    said
}

fn hint(target: &Target) -> &'static str {
    if target.endpoint().is_tls() {
        "check the name, the network and the certificate; an emulator wants http:// instead of https://"
    } else {
        "start it there (for example `taskhub emulator`), or correct the endpoint"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &Status) -> Error {
        Error::from_status(status, &Target::new("http://localhost:8080").unwrap().hub("orders"), "id-1")
    }

    #[test]
    fn a_missing_hub_is_told_from_a_missing_instance() {
        let hub = read(&Status::not_found("Task hub not found: orders"));
        assert!(matches!(&hub, Error::HubNotFound { hub, .. } if hub == "orders"), "{hub}");
        let instance = read(&Status::not_found("no orchestration with instance id 'id-1' exists"));
        assert!(matches!(&instance, Error::NotFound { id, .. } if id == "id-1"), "{instance}");
    }

    #[test]
    fn an_answer_that_says_unavailable_is_not_an_unreachable_endpoint() {
        let error = read(&Status::unavailable("the task hub is shutting down"));
        assert!(matches!(error, Error::Other { code: 14, .. }), "{error}");
    }
}
