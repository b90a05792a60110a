//! Reads the target from the environment, with the names that the official samples use.

use super::{ConnectionString, InvalidTarget, Target};
use crate::model::HubName;
use crate::sdk::auth::Authentication;

/// Where an emulator listens by default.
const DEFAULT_ENDPOINT: &str = "http://localhost:8080";
/// The hub an emulator has by default.
const DEFAULT_HUB: &str = "default";
/// Connection strings, the first that is set wins.
const CONNECTION_STRINGS: [&str; 2] = ["DTS_CONNECTION_STRING", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"];

/// Decides the target from named values; empty ones count as absent.
///
/// `ENDPOINT` comes first, being what one sets for a single run; then the connection strings, which deployments
/// set; `TASKHUB` fills in wherever no string names a hub.
pub(super) fn target(variable: impl Fn(&str) -> Option<String>) -> Result<Target, InvalidTarget> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let hub = || HubName::new(set("TASKHUB").as_deref().unwrap_or(DEFAULT_HUB));
    if let Some(endpoint) = set("ENDPOINT") {
        return at(&endpoint, &hub());
    }
    match CONNECTION_STRINGS.iter().find_map(|name| set(name)) {
        Some(raw) => {
            let mut read = ConnectionString::parse(&raw)?;
            read.hub.get_or_insert_with(hub);
            Target::from_parsed(read)
        }
        None => at(DEFAULT_ENDPOINT, &hub()),
    }
}

/// `http://` is plain and without identity, `https://` is TLS with the identity this machine has.
fn at(endpoint: &str, hub: &HubName) -> Result<Target, InvalidTarget> {
    let target = Target::new(endpoint)?.hub(hub.as_str());
    if target.endpoint().is_tls() {
        target.authentication(&Authentication::default_azure())
    } else {
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Target, InvalidTarget> {
        target(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[track_caller]
    fn reaches(variables: &[(&str, &str)], endpoint: &str, hub: &str) {
        let target = with(variables).unwrap();
        assert_eq!((target.endpoint().to_string().as_str(), target.hub_name().as_str()), (endpoint, hub));
        assert!(!target.has_identity());
    }

    #[test]
    fn with_nothing_set_it_is_the_local_emulator() {
        reaches(&[], "http://localhost:8080", "default");
        reaches(&[("ENDPOINT", ""), ("TASKHUB", " ")], "http://localhost:8080", "default");
    }

    #[test]
    fn endpoint_and_taskhub_are_what_the_samples_set() {
        reaches(&[("ENDPOINT", "http://box:9090"), ("TASKHUB", "orders")], "http://box:9090", "orders");
    }

    #[test]
    fn a_connection_string_is_respected_and_taskhub_fills_in_its_hub() {
        let raw = "Endpoint=http://box:9090;Authentication=None";
        reaches(&[("DTS_CONNECTION_STRING", raw), ("TASKHUB", "orders")], "http://box:9090", "orders");
        reaches(&[("DURABLE_TASK_SCHEDULER_CONNECTION_STRING", raw)], "http://box:9090", "default");
    }

    #[test]
    fn endpoint_comes_before_a_connection_string() {
        let raw = "Endpoint=http://box:9090;TaskHub=a;Authentication=None";
        reaches(
            &[("DTS_CONNECTION_STRING", raw), ("ENDPOINT", "http://other:1")],
            "http://other:1",
            "default",
        );
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_it() {
        assert!(with(&[("ENDPOINT", "gopher://x")]).unwrap_err().to_string().contains("gopher://x"));
    }
}
