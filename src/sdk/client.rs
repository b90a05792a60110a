//! Starts instances, waits for them, and queries and controls them.

mod calls;
mod entities;
mod error;
mod handle;
mod history;
mod purge;
mod query;
mod snapshot;
mod start;

pub use entities::{EntityQuery, EntitySnapshot};
pub use error::Error;
pub use handle::Handle;
pub use purge::{Purge, Purged};
pub use query::{ListIds, Query};
pub use snapshot::Snapshot;
pub use start::{Reuse, Start};

use super::connect::{Role, SchedulerStub, Target, Transport};
use calls::Retry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a scheduler may take to answer `Hello`.
const HELLO: Duration = Duration::from_secs(10);

/// Talks to one task hub. Cheap to clone; every clone shares the connection.
///
/// It needs the tokio runtime it was made in: that runtime carries the connection.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    stub: SchedulerStub,
}

impl Client {
    /// Connects to the hub `default` of the scheduler at `endpoint`, e.g. `http://localhost:8080`.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] for an address that is none, [`Error::Unreachable`] when no server answers there, and
    /// [`Error::HubNotFound`].
    pub async fn connect(endpoint: &str) -> Result<Self, Error> {
        Self::connect_to(Target::new(endpoint)?).await
    }

    /// Connects to what a connection string names.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] names the part of it that is missing or wrong; otherwise as [`Client::connect`].
    pub async fn from_connection_string(raw: &str) -> Result<Self, Error> {
        Self::connect_to(Target::from_connection_string(raw)?).await
    }

    /// Connects to what the environment names, see [`Target::from_env`].
    ///
    /// # Errors
    ///
    /// As [`Client::from_connection_string`].
    pub async fn from_env() -> Result<Self, Error> {
        Self::connect_to(Target::from_env()?).await
    }

    /// Connects to a target, and says at once whether a scheduler answers there.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect_to(target: Target) -> Result<Self, Error> {
        let client = Self::connect_lazy(target)?;
        client.hello(Retry::Never).await?;
        Ok(client)
    }

    /// A client that connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] when the target cannot be put into an HTTP request.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect_lazy(target: Target) -> Result<Self, Error> {
        let stub = Transport::new(&target, Role::Client)?.stub(target.message_limit());
        Ok(Self { inner: Arc::new(Inner { target, stub }) })
    }

    /// The target that the client connects to.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Asks whether the scheduler is there and knows the hub.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::HubNotFound`] or [`Error::Unauthorized`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.hello(Retry::Always).await
    }

    /// Calls `Hello`. A server that accepts the connection and sends no answer counts as unreachable.
    async fn hello(&self, retry: Retry) -> Result<(), Error> {
        let clock = self.target().time();
        let late = clock.sleep_until(clock.now().plus(HELLO));
        tokio::select! {
            biased;
            said = self.call(retry, "", |mut stub| async move { stub.hello(()).await }) => said,
            () = late => Err(Error::silent(self.target(), HELLO)),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.inner.target).finish()
    }
}
