//! Starts an instance.

use super::calls::Retry;
use super::{Client, Error, Handle};
use crate::entropy;
use crate::model::{InstanceId, Status, Timestamp};
use crate::sdk::replay::{Orchestrator, name_of, names_itself};
use crate::wire;
use serde::Serialize;
use std::any::type_name;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

/// Which earlier instances of its id a new instance may replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reuse(Option<Vec<Status>>);

impl Reuse {
    /// Replaces an instance that has ended; this is the scheduler's default.
    pub const fn ended() -> Self {
        Self(None)
    }

    /// Replaces no instance: an id that was used and not purged is refused.
    pub const fn never() -> Self {
        Self(Some(Vec::new()))
    }

    /// Replaces any instance; one that still runs is terminated first.
    pub fn always() -> Self {
        Self(Some(Status::ALL.to_vec()))
    }

    /// Replaces an instance with one of these statuses.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        Self(Some(statuses.into_iter().collect()))
    }

    fn into_wire(self) -> Option<wire::OrchestrationIdReusePolicy> {
        let statuses = self.0?.into_iter().map(|status| status.to_wire().into()).collect();
        Some(wire::OrchestrationIdReusePolicy { replaceable_status: statuses })
    }
}

/// The start of an instance, being prepared; awaiting it starts the instance.
///
/// # Errors
///
/// Awaiting it gives [`Error::AlreadyExists`] when the id is taken, [`Error::Id`] when it is none, [`Error::Encode`] when the input
/// cannot be written as JSON, [`Error::Nameless`] for a closure or a generic function; otherwise what the scheduler refuses.
#[must_use = "nothing is started before this is awaited"]
pub struct Start<O, E> {
    client: Client,
    request: wire::CreateInstanceRequest,
    after: Option<Duration>,
    /// What was wrong before there was a request to send.
    wrong: Option<Error>,
    kind: PhantomData<fn() -> (O, E)>,
}

impl Client {
    /// Starts an orchestration by its function. Await it, or set more options first.
    #[expect(clippy::needless_pass_by_value, reason = "a function and its input read best as they are")]
    pub fn start<F, M>(&self, orchestrator: F, input: F::Input) -> Start<F::Output, F::Error>
    where
        F: Orchestrator<M>,
    {
        let _ = orchestrator;
        let mut start = Start::new(self.clone(), name_of::<F>(), &input);
        if !names_itself::<F>() {
            start.wrong = Some(Error::Nameless { path: type_name::<F>() });
        }
        start
    }

    /// Starts an orchestration by its name, with `input` as JSON: one in another language, or one whose function is
    /// not at hand. Await it, or set more options first.
    pub fn start_named<E>(&self, name: &str, input: impl Serialize) -> Start<serde_json::Value, E> {
        Start::new(self.clone(), name, &input)
    }
}

impl<O, E> Start<O, E> {
    pub(super) fn new(client: Client, name: &str, input: &impl Serialize) -> Self {
        let (input, wrong) = match serde_json::to_string(input) {
            Ok(json) => (Some(json), None),
            Err(error) => (None, Some(Error::encode("the input", &error))),
        };
        let request = wire::CreateInstanceRequest { name: name.to_owned(), input, ..Default::default() };
        Self { client, request, after: None, wrong, kind: PhantomData }
    }

    /// Gives the instance this id; a random one unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.request.instance_id = id.into();
        if let Err(invalid) = InstanceId::parse(&self.request.instance_id) {
            self.wrong.get_or_insert(invalid.into());
        }
        self
    }

    /// Runs this version of the orchestration.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.request.version = Some(version.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.insert(key.into(), value.into());
        self
    }

    /// Starts the instance at `moment` instead of at once.
    pub fn at(mut self, moment: Timestamp) -> Self {
        self.request.scheduled_start_timestamp = Some(moment.to_wire());
        self.after = None;
        self
    }

    /// Starts the instance after `delay` instead of at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = Some(delay);
        self
    }

    /// Sets which earlier instances of the same id this one may replace; those that have ended unless set.
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.request.orchestration_id_reuse_policy = reuse.into_wire();
        self
    }

    async fn send(self) -> Result<Handle<O, E>, Error> {
        let Self { client, mut request, after, wrong, kind: _ } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let now = client.target().time().now();
        request.request_time = Some(now.to_wire());
        if let Some(delay) = after {
            request.scheduled_start_timestamp = Some(now.plus(delay).to_wire());
        }
        // A random id makes the call safe to repeat: where it is taken, an earlier attempt of this call took it.
        let ours = request.instance_id.is_empty();
        if ours {
            request.instance_id = entropy::uuid().simple().to_string();
        }
        let (retry, id) = (if ours { Retry::Always } else { Retry::NotSent }, request.instance_id.clone());
        let started = client
            .call(retry, &id, |mut stub| {
                let request = request.clone();
                async move { stub.start_instance(request).await }
            })
            .await;
        match started {
            Ok(started) => Ok(Handle::new(client, started.instance_id)),
            Err(Error::AlreadyExists { .. }) if ours => Ok(Handle::new(client, id)),
            Err(error) => Err(error),
        }
    }
}

impl<O: 'static, E: 'static> IntoFuture for Start<O, E> {
    type Output = Result<Handle<O, E>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reuse_policy_is_absent_empty_or_a_list() {
        assert_eq!(Reuse::ended().into_wire(), None);
        assert_eq!(Reuse::never().into_wire().unwrap().replaceable_status, Vec::<i32>::new());
        assert_eq!(Reuse::always().into_wire().unwrap().replaceable_status.len(), 7);
        assert_eq!(Reuse::of([Status::Failed]).into_wire().unwrap().replaceable_status, vec![3]);
    }
}
