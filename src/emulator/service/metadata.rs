//! Reads what requests say beside their message.

use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tonic::Status;

/// The hub that a request names. A name that is not text is an error: such a request must not reach the default hub.
///
/// # Errors
///
/// `INVALID_ARGUMENT` where the name is not text.
pub(super) fn hub(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let name = headers.get("taskhub").map(HeaderValue::to_str).transpose();
    let name = name.map_err(|_| Status::invalid_argument("the metadata 'taskhub' is not printable ASCII"))?;
    Ok(name.filter(|name| !name.trim().is_empty()))
}

/// The name that the worker gives itself.
pub(super) fn worker(headers: &HeaderMap) -> Option<String> {
    text(headers, "workerid").map(str::to_owned)
}

/// The SDK that made a call, from its headers. The SDKs' packages for Azure send a name; others are at most known by their
/// gRPC library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sdk {
    Python,
    JavaScript,
    Java,
    /// Go's published package, which sends no name.
    PlainGo,
    Other,
}

/// Which SDK made a call.
pub(super) fn sdk(headers: &HeaderMap) -> Sdk {
    let (named, library) = (text(headers, "x-user-agent"), text(headers, "user-agent").unwrap_or_default());
    match named {
        Some(agent) if agent.starts_with("durabletask-python/") => Sdk::Python,
        Some(agent) if agent.starts_with("durabletask-js/") => Sdk::JavaScript,
        Some(agent) if agent.starts_with("durabletask-java/") => Sdk::Java,
        None if library.contains("grpc-java") => Sdk::Java,
        None if library.contains("grpc-go/") => Sdk::PlainGo,
        Some(_) | None => Sdk::Other,
    }
}

/// The client's deadline: `grpc-timeout`, at most eight digits and a unit.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let raw = text(headers, "grpc-timeout")?;
    let (digits, unit) = raw.split_at_checked(raw.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3_600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_name_that_is_not_text_is_an_error() {
        let named = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            HeaderMap::from_iter([(http::HeaderName::from_static("taskhub"), value)])
        };
        assert!(hub(&named(b"\xff")).is_err());
        assert_eq!(hub(&named(b"orders")).unwrap(), Some("orders"));
        assert_eq!(hub(&named(b" ")).unwrap(), None);
        assert_eq!(hub(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_deadline_is_read_in_every_unit_and_anything_else_is_none() {
        let read = |raw: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                http::HeaderValue::from_static(raw),
            )]);
            deadline(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1_500)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!((read("12"), read("x"), read("")), (None, None, None));
    }
}
