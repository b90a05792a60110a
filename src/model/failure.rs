//! Builds failure details as the wire carries them.

use crate::wire::TaskFailureDetails;

/// The error type of what fails because a worker's answer made no sense.
pub(crate) const INVALID_RESPONSE: &str = "InvalidWorkerResponse";

/// Failure details with a type and a message and nothing else.
pub fn details(error_type: &str, message: impl Into<String>) -> TaskFailureDetails {
    TaskFailureDetails {
        error_type: error_type.to_owned(),
        error_message: message.into(),
        ..TaskFailureDetails::default()
    }
}

/// Failure details that tell every SDK's retry policy to give up.
pub fn not_retriable(error_type: &str, message: impl Into<String>) -> TaskFailureDetails {
    TaskFailureDetails { is_non_retriable: true, ..details(error_type, message) }
}
