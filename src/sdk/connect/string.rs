//! Parses connection strings: `Endpoint=...;TaskHub=...;Authentication=...`.

use super::{Endpoint, InvalidTarget};
use crate::model::HubName;
use crate::sdk::auth::{Authentication, Method};

/// What a connection string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// Where the scheduler listens.
    pub endpoint: Endpoint,
    /// The task hub, where the string names one; Functions hosts take it from elsewhere.
    pub hub: Option<HubName>,
    /// How to prove who we are.
    pub authentication: Authentication,
}

impl ConnectionString {
    /// Parses a connection string.
    ///
    /// Keys are read without regard to case, of two equal keys the later one wins, and unknown keys are
    /// passed over, as in the official SDKs: a string that works there works here.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] names the part that is missing or wrong.
    pub fn parse(raw: &str) -> Result<Self, InvalidTarget> {
        let mut parts = Parts::default();
        for (index, part) in raw.split(';').enumerate() {
            if part.trim().is_empty() {
                continue;
            }
            let (key, value) = part.split_once('=').ok_or(InvalidTarget::NotAPair { position: index + 1 })?;
            parts.set(key.trim(), value.trim());
        }
        parts.read()
    }
}

/// The values of the keys that are known; empty values count as absent.
#[derive(Default)]
struct Parts<'a> {
    endpoint: Option<&'a str>,
    hub: Option<&'a str>,
    authentication: Option<&'a str>,
    client_id: Option<&'a str>,
    tenant_id: Option<&'a str>,
    token_file: Option<&'a str>,
    tenants: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn set(&mut self, key: &str, value: &'a str) {
        let slot = match key.to_ascii_lowercase().as_str() {
            "endpoint" => &mut self.endpoint,
            "taskhub" => &mut self.hub,
            "authentication" => &mut self.authentication,
            "clientid" => &mut self.client_id,
            "tenantid" => &mut self.tenant_id,
            "tokenfilepath" => &mut self.token_file,
            "additionallyallowedtenants" => &mut self.tenants,
            _ => return,
        };
        *slot = (!value.is_empty()).then_some(value);
    }

    fn read(self) -> Result<ConnectionString, InvalidTarget> {
        let endpoint = self.endpoint.ok_or(InvalidTarget::Missing { name: "Endpoint" })?;
        let method = self.authentication.ok_or(InvalidTarget::Missing { name: "Authentication" })?;
        let own = |value: Option<&str>| value.map(str::to_owned);
        Ok(ConnectionString {
            endpoint: Endpoint::parse(endpoint)?,
            hub: self.hub.map(HubName::new),
            authentication: Authentication {
                method: Method::parse(method)?,
                client_id: own(self.client_id),
                tenant_id: own(self.tenant_id),
                token_file_path: self.token_file.map(Into::into),
                additionally_allowed_tenants: self
                    .tenants
                    .map(|all| all.split(',').map(|one| one.trim().to_owned()).collect())
                    .unwrap_or_default(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_whatever_its_case_and_order() {
        let read = ConnectionString::parse(
            " authentication = workloadidentity ; TASKHUB=Orders;endpoint=https://s.westus.durabletask.io;\
             ClientID=c;TenantId=t;TokenFilePath=/var/token;AdditionallyAllowedTenants=a, b;Colour=blue;",
        )
        .unwrap();
        assert_eq!(read.endpoint.to_string(), "https://s.westus.durabletask.io:443");
        assert_eq!(read.hub, Some(HubName::new("orders")));
        assert_eq!(
            read.authentication,
            Authentication {
                method: Method::WorkloadIdentity,
                client_id: Some("c".into()),
                tenant_id: Some("t".into()),
                token_file_path: Some("/var/token".into()),
                additionally_allowed_tenants: vec!["a".into(), "b".into()],
            }
        );
    }

    #[test]
    fn of_two_equal_keys_the_later_one_wins() {
        let read = ConnectionString::parse(
            "Endpoint=http://a:1;TaskHub=x;taskhub=y;Authentication=None;ENDPOINT=http://b:2",
        )
        .unwrap();
        assert_eq!((read.endpoint.host(), read.hub), ("b", Some(HubName::new("y"))));
    }

    #[test]
    fn a_missing_part_is_named() {
        assert_eq!(
            ConnectionString::parse("TaskHub=x;Authentication=None"),
            Err(InvalidTarget::Missing { name: "Endpoint" })
        );
        assert_eq!(
            ConnectionString::parse("Endpoint=http://a:1;TaskHub=x;Authentication="),
            Err(InvalidTarget::Missing { name: "Authentication" })
        );
        assert_eq!(ConnectionString::parse(""), Err(InvalidTarget::Missing { name: "Endpoint" }));
    }

    #[test]
    fn a_part_without_an_equals_sign_is_named_by_its_place_and_never_repeated() {
        let error = ConnectionString::parse("Endpoint=http://a:1;hunter2;Authentication=None").unwrap_err();
        assert_eq!(error, InvalidTarget::NotAPair { position: 2 });
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_wrong_authentication_type_is_named_with_what_is_possible() {
        let error =
            ConnectionString::parse("Endpoint=http://a:1;TaskHub=x;Authentication=Password").unwrap_err();
        assert!(matches!(&error, InvalidTarget::Authentication { given, .. } if given == "Password"));
        assert!(error.to_string().contains("DefaultAzure"), "{error}");
    }

    #[test]
    fn a_type_that_rust_cannot_serve_says_so_and_names_the_alternatives() {
        for name in ["AzurePowerShell", "VisualStudio", "visualstudiocode", "IntelliJ", "InteractiveBrowser"]
        {
            let raw = format!("Endpoint=https://a;TaskHub=x;Authentication={name}");
            let error = ConnectionString::parse(&raw).unwrap_err();
            assert!(matches!(&error, InvalidTarget::CannotServe { given, .. } if given == name));
            assert!(error.to_string().contains("AzureCli"), "{error}");
        }
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for raw in
            ["=", ";;;", "=;=;=", "Endpoint", "Endpoint==", "\u{0}=\u{ffff}", "Endpoint=http://\u{1f980}"]
        {
            assert!(ConnectionString::parse(raw).is_err(), "{raw:?}");
        }
    }
}
