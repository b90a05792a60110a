//! Gets tokens from Microsoft Entra ID.

use super::chain::{Chain, Link};
use super::{Authentication, Method, NoToken, Token, TokenFuture, TokenSource};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::sdk::connect::InvalidTarget;
use azure_core::credentials::{Secret, TokenCredential};
use azure_identity as azure;
use std::sync::Arc;
use std::time::Duration;

/// How long a machine that is not in Azure may keep us waiting for a managed identity.
const PROBE: Duration = Duration::from_secs(2);

type Source = Arc<dyn TokenSource>;

/// The source for `authentication`, `None` where none is needed.
pub(crate) fn source(
    authentication: &Authentication,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Source>, InvalidTarget> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let made = match authentication.method {
        Method::None => return Ok(None),
        Method::DefaultAzure => Ok(default_azure(authentication, clock, &variable)),
        Method::ManagedIdentity => managed(authentication),
        Method::WorkloadIdentity => workload(authentication),
        Method::Environment => environment(&variable),
        Method::AzureCli => cli(authentication),
    };
    made.map(Some).map_err(|error| InvalidTarget::Identity {
        given: authentication.method.as_str(),
        why: error.to_string(),
    })
}

/// What other languages' libraries call the default credential; the Rust library has none, so the order is here.
fn default_azure(
    authentication: &Authentication,
    clock: &Arc<dyn Clock>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Source {
    let at_once = |source| Link { source, patience: None };
    let links = vec![
        at_once(environment(variable)),
        at_once(workload(authentication)),
        Link { source: managed(authentication), patience: Some(PROBE) },
        at_once(developer()),
    ];
    Arc::new(Chain::new(links, Arc::clone(clock)))
}

fn environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Source, NoToken> {
    const NAME: &str = "Environment";
    let need = |name: &str| variable(name).ok_or_else(|| NoToken::new(NAME, format!("{name} is not set")));
    let (tenant, client) = (need("AZURE_TENANT_ID")?, need("AZURE_CLIENT_ID")?);
    let secret =
        need("AZURE_CLIENT_SECRET").map_err(|error| match variable("AZURE_CLIENT_CERTIFICATE_PATH") {
            Some(_) => NoToken::new(NAME, "certificates cannot be served; set AZURE_CLIENT_SECRET"),
            None => error,
        })?;
    made(NAME, azure::ClientSecretCredential::new(&tenant, client, Secret::new(secret), None))
}

fn workload(authentication: &Authentication) -> Result<Source, NoToken> {
    let options = azure::WorkloadIdentityCredentialOptions {
        client_id: authentication.client_id.clone(),
        tenant_id: authentication.tenant_id.clone(),
        token_file_path: authentication.token_file_path.clone(),
        ..Default::default()
    };
    made("WorkloadIdentity", azure::WorkloadIdentityCredential::new(Some(options)))
}

fn managed(authentication: &Authentication) -> Result<Source, NoToken> {
    let options = azure::ManagedIdentityCredentialOptions {
        user_assigned_id: authentication.client_id.clone().map(azure::UserAssignedId::ClientId),
        ..Default::default()
    };
    made("ManagedIdentity", azure::ManagedIdentityCredential::new(Some(options)))
}

fn cli(authentication: &Authentication) -> Result<Source, NoToken> {
    let options = azure::AzureCliCredentialOptions {
        tenant_id: authentication.tenant_id.clone(),
        ..Default::default()
    };
    made("AzureCli", azure::AzureCliCredential::new(Some(options)))
}

fn developer() -> Result<Source, NoToken> {
    made("developer tools (az, azd)", azure::DeveloperToolsCredential::new(None))
}

fn made<C: TokenCredential + 'static>(
    name: &'static str,
    credential: azure_core::Result<Arc<C>>,
) -> Result<Source, NoToken> {
    match credential {
        Ok(credential) => Ok(Arc::new(Credential { name, credential })),
        Err(error) => Err(NoToken::new(name, error.to_string())),
    }
}

/// A credential of the Azure library as a token source.
struct Credential {
    name: &'static str,
    credential: Arc<dyn TokenCredential>,
}

impl TokenSource for Credential {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(async move {
            let answer = self.credential.get_token(&[scope], None).await;
            let token = answer.map_err(|error| NoToken::new(self.name, error.to_string()))?;
            let micros = token.expires_on.unix_timestamp_nanos() / 1_000;
            let expires = Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
            Ok(Token::new(token.token.secret(), expires))
        })
    }

    fn name(&self) -> &str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_names_the_variable_that_is_missing() {
        let missing = environment(&variables(&[("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")]));
        assert!(missing.err().unwrap().to_string().contains("AZURE_CLIENT_SECRET is not set"));
        let certificate = environment(&variables(&[
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem"),
        ]));
        assert!(certificate.err().unwrap().to_string().contains("certificates cannot be served"));
    }

    #[test]
    fn the_environment_with_all_three_variables_is_a_source() {
        let source = environment(&variables(&[
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", "secret"),
        ]));
        assert_eq!(source.ok().unwrap().name(), "Environment");
    }

    #[test]
    fn a_tenant_that_is_none_is_refused_by_name() {
        let strange =
            Authentication { tenant_id: Some("a b".into()), ..Authentication::new(Method::AzureCli) };
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::WallClock);
        let error = source(&strange, &clock).err().unwrap();
        assert!(matches!(&error, InvalidTarget::Identity { given: "AzureCli", .. }), "{error}");
    }
}
