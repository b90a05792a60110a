//! Reaches a scheduler: its address, its hub, who we are, and the channel that carries the calls.

mod backoff;
mod channel;
mod endpoint;
mod environment;
mod loopback;
mod string;

pub(crate) use backoff::Backoff;
pub(crate) use channel::{Reach, Role, SchedulerStub, Transport};
pub use endpoint::{Endpoint, InvalidTarget};
pub use string::ConnectionString;

use super::auth::{self, Authentication, TokenSource};
use crate::clock::{Clock, WallClock};
use crate::model::HubName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The largest message that goes either way, in bytes; the service takes 4 MiB, an emulator may take more.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// How often a silent connection is tried, and how long an answer may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(20);

/// When a connection that carries nothing counts as lost.
#[derive(Debug, Clone, Copy)]
struct PingSchedule {
    every: Duration,
    answer: Duration,
}

/// A scheduler's task hub, and everything that is needed to reach it. Cheap to clone; connects to nothing.
///
/// ```
/// # fn main() -> Result<(), taskhub::sdk::connect::InvalidTarget> {
/// use taskhub::sdk::connect::Target;
///
/// let target = Target::new("http://localhost:8080")?.hub("orders");
/// let same = Target::from_connection_string("Endpoint=http://localhost:8080;TaskHub=orders;Authentication=None")?;
/// assert_eq!(target.to_string(), same.to_string());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Target {
    endpoint: Endpoint,
    hub: HubName,
    identity: Option<Arc<dyn TokenSource>>,
    roots: Option<Arc<str>>,
    max_message: usize,
    keep_alive: PingSchedule,
    clock: Arc<dyn Clock>,
}

impl Target {
    /// The hub `default` of the scheduler at `endpoint`, without identity.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget::Endpoint`] says what is wrong with the address.
    pub fn new(endpoint: &str) -> Result<Self, InvalidTarget> {
        Ok(Self {
            endpoint: Endpoint::parse(endpoint)?,
            hub: HubName::new("default"),
            identity: None,
            roots: None,
            max_message: MAX_MESSAGE,
            keep_alive: PingSchedule { every: PING_EVERY, answer: PING_ANSWER },
            clock: Arc::new(WallClock),
        })
    }

    /// What a connection string names: `Endpoint=...;TaskHub=...;Authentication=...`, with `ClientID`, `TenantId`,
    /// `TokenFilePath` and `AdditionallyAllowedTenants` where the type of authentication reads them.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] names the part that is missing or wrong.
    pub fn from_connection_string(raw: &str) -> Result<Self, InvalidTarget> {
        let read = ConnectionString::parse(raw)?;
        if read.hub.is_none() {
            return Err(InvalidTarget::Missing { name: "TaskHub" });
        }
        Self::from_parsed(read)
    }

    /// What the environment names: `ENDPOINT` and `TASKHUB` as the official samples read them (`http://` is plain,
    /// `https://` is TLS with the identity this machine has), or a connection string in `DTS_CONNECTION_STRING` or
    /// `DURABLE_TASK_SCHEDULER_CONNECTION_STRING`. With nothing set it is the hub `default` at
    /// `http://localhost:8080`.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] names the part that is missing or wrong.
    pub fn from_env() -> Result<Self, InvalidTarget> {
        environment::target(|name| std::env::var(name).ok())
    }

    fn from_parsed(read: ConnectionString) -> Result<Self, InvalidTarget> {
        let ConnectionString { endpoint, hub, authentication } = read;
        let target = Self { endpoint, ..Self::new("http://localhost")? };
        let target = match hub {
            Some(hub) => Self { hub, ..target },
            None => target,
        };
        target.authentication(&authentication)
    }

    /// Chooses the task hub.
    #[must_use]
    pub fn hub(self, name: impl AsRef<str>) -> Self {
        Self { hub: HubName::new(name.as_ref()), ..self }
    }

    /// Chooses how to prove who we are.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] where this build or this machine cannot do it, or where a token would travel in the clear.
    pub fn authentication(self, authentication: &Authentication) -> Result<Self, InvalidTarget> {
        match auth::source(authentication, &self.clock)? {
            Some(source) => self.identity(source),
            None => Ok(Self { identity: None, ..self }),
        }
    }

    /// Takes tokens from `source` and sends one with every call.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget::TokenInTheClear`] when the endpoint is plain `http://`.
    pub fn identity(self, source: Arc<dyn TokenSource>) -> Result<Self, InvalidTarget> {
        if !self.endpoint.is_tls() {
            return Err(InvalidTarget::TokenInTheClear { endpoint: self.endpoint });
        }
        Ok(Self { identity: Some(source), ..self })
    }

    /// Trusts the certificates in `pem` besides those that the machine trusts, for TLS.
    #[must_use]
    pub fn trust(self, pem: impl Into<Arc<str>>) -> Self {
        Self { roots: Some(pem.into()), ..self }
    }

    /// Sets the largest message that is taken or sent, in bytes; 64 MiB unless set.
    #[must_use]
    pub fn max_message(self, bytes: usize) -> Self {
        Self { max_message: bytes, ..self }
    }

    /// Pings a connection that carried nothing for `every` (30 s unless set), and takes it for lost when there is no answer
    /// within `answer` (20 s unless set). A scheduler that stopped without a word is so noticed after the two together.
    #[must_use]
    pub fn keep_alive(self, every: Duration, answer: Duration) -> Self {
        Self { keep_alive: PingSchedule { every, answer }, ..self }
    }

    /// Takes the time from `clock`; the machine's unless set. Tests turn one by hand.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Where the scheduler listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The task hub.
    pub fn hub_name(&self) -> &HubName {
        &self.hub
    }

    /// Whether a token goes with every call.
    pub fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    pub(crate) fn message_limit(&self) -> usize {
        self.max_message
    }

    pub(crate) fn time(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// The address and the hub, as messages name them.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (task hub '{}')", self.endpoint, self.hub)
    }
}

/// Never shows a token.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("endpoint", &self.endpoint.to_string())
            .field("hub", &self.hub.as_str())
            .field("identity", &self.identity.as_ref().map(|source| source.name()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::auth::Method;

    #[test]
    fn a_connection_string_without_a_hub_names_what_is_missing() {
        let error = Target::from_connection_string("Endpoint=http://localhost:8080;Authentication=None");
        assert_eq!(error.unwrap_err(), InvalidTarget::Missing { name: "TaskHub" });
    }

    #[test]
    fn a_token_never_travels_in_the_clear() {
        let target = Target::new("http://localhost:8080").unwrap();
        let secret = Authentication { method: Method::AzureCli, ..Authentication::none() };
        assert!(matches!(target.authentication(&secret), Err(InvalidTarget::TokenInTheClear { .. })));
    }

    #[test]
    fn none_needs_no_identity_whatever_the_scheme() {
        for scheme in ["http", "https"] {
            let raw = format!("Endpoint={scheme}://localhost:8080;TaskHub=x;Authentication=none");
            assert!(!Target::from_connection_string(&raw).unwrap().has_identity());
        }
    }
}
