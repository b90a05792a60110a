//! Says which gRPC code a refusal is.

use crate::emulator::engine::command::Refusal;
use tonic::Status;

/// Every refusal and the code that a client sees for it (wire-semantics B).
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoSuchInstance { .. } | Refusal::NoSuchWorkItem { .. } | Refusal::Purged { .. } => {
                Self::not_found(message)
            }
            Refusal::AlreadyExists { .. } => Self::already_exists(message),
            Refusal::ReusePolicy | Refusal::Id(_) | Refusal::Invalid { .. } => {
                Self::invalid_argument(message)
            }
            Refusal::WrongStatus { .. } => Self::failed_precondition(message),
            Refusal::Full { .. } => Self::resource_exhausted(message),
            Refusal::HistoryReplaced { .. } => Self::aborted(message),
            Refusal::ShuttingDown | Refusal::NotRead => Self::unavailable(message),
        }
    }
}
