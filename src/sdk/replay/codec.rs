//! Writes values as JSON, and reads them back; the only place that does.

use super::failure::{DecodeError, InvalidCall};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What goes over the wire: anything that serde writes and reads.
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}

/// Writes a value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

/// Writes a value, or says of which call it is the input.
pub(super) fn encoded<T: Serialize>(value: T, what: &str) -> Result<String, InvalidCall> {
    encode(&value).map_err(|why| InvalidCall::Unencodable { name: what.to_owned(), why: why.to_string() })
}

/// Reads a value. Absent and empty both stand for `null`: other languages send either when there is nothing.
pub(crate) fn decode<T: DeserializeOwned>(text: Option<&str>, what: &str) -> Result<T, DecodeError> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("null");
    serde_json::from_str(text).map_err(|why| DecodeError {
        what: what.to_owned(),
        wanted: std::any::type_name::<T>(),
        why: why.to_string(),
    })
}
