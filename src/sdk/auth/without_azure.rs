//! Says that this build holds no token sources of its own.

use super::{Authentication, Method, TokenSource};
use crate::clock::Clock;
use crate::sdk::connect::InvalidTarget;
use std::sync::Arc;

/// The source for `authentication`, `None` where none is needed.
pub(crate) fn source(
    authentication: &Authentication,
    _clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn TokenSource>>, InvalidTarget> {
    if matches!(authentication.method, Method::None) {
        return Ok(None);
    }
    Err(InvalidTarget::Identity {
        given: authentication.method.as_str(),
        why: "this build is without the 'azure' feature; turn it on, or give the target a token source"
            .into(),
    })
}
