//! Controls one instance: waits for it, fetches its status and history, raises events, suspends, terminates and deletes it.

use super::calls::Retry;
use super::{Client, Error, Purged, Snapshot};
use crate::model::{History, InstanceId};
use crate::sdk::replay::{DurableError, EventKey};
use crate::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use tonic::Code;

/// One instance that ends with an `O`, or with an `E` as its failure. Cheap to clone.
pub struct Handle<O, E> {
    client: Client,
    id: InstanceId,
    kind: PhantomData<fn() -> (O, E)>,
}

/// What to wait for.
#[derive(Clone, Copy)]
enum AwaitedState {
    Started,
    Ended,
}

impl Client {
    /// A handle to an instance by its id, without a call: there may be no such instance.
    pub fn handle<O, E>(&self, id: impl AsRef<str>) -> Handle<O, E> {
        Handle::new(self.clone(), id.as_ref().to_owned())
    }

    /// Fetches the status of an instance, with its payloads. `None` when there is no such instance.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn get(&self, id: impl AsRef<str>) -> Result<Option<Snapshot>, Error> {
        self.look(id.as_ref(), true).await
    }

    /// As [`Client::get`], without input, output and custom status.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn get_without_payloads(&self, id: impl AsRef<str>) -> Result<Option<Snapshot>, Error> {
        self.look(id.as_ref(), false).await
    }

    async fn look(&self, id: &str, payloads: bool) -> Result<Option<Snapshot>, Error> {
        let request =
            wire::GetInstanceRequest { instance_id: id.to_owned(), get_inputs_and_outputs: payloads };
        let answer = self
            .call(Retry::Always, id, |mut stub| {
                let request = request.clone();
                async move { stub.get_instance(request).await }
            })
            .await?;
        Ok(answer.orchestration_state.filter(|_| answer.exists).map(Snapshot::new))
    }
}

impl<O, E> Handle<O, E> {
    pub(super) fn new(client: Client, id: String) -> Self {
        Self { client, id: InstanceId::unchecked(id), kind: PhantomData }
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The client it asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Fetches the status of the instance, with its payloads.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.client.get(self.id()).await?.ok_or_else(|| self.missing())
    }

    /// Waits until the first turn of the instance is done, or the instance has ended.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn started(&self) -> Result<Snapshot, Error> {
        self.wait(AwaitedState::Started).await
    }

    /// Waits until the instance has completed, failed, or been terminated.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn ended(&self) -> Result<Snapshot, Error> {
        self.wait(AwaitedState::Ended).await
    }

    /// As [`Handle::started`], for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`Handle::started`], and [`Error::DeadlineExceeded`] after `limit`.
    pub async fn started_within(&self, limit: Duration) -> Result<Snapshot, Error> {
        self.within(limit, "its first turn", self.started()).await
    }

    /// As [`Handle::ended`], for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`Handle::ended`], and [`Error::DeadlineExceeded`] after `limit`.
    pub async fn ended_within(&self, limit: Duration) -> Result<Snapshot, Error> {
        self.within(limit, "its end", self.ended()).await
    }

    /// Waits until it has ended, and reads its result.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], [`Error::Terminated`] or [`Error::Canceled`] when it ended otherwise; [`Error::Decode`]
    /// when its output is not an `O`; [`Error::NotFound`] when there is no such instance.
    pub async fn result(&self) -> Result<O, Error>
    where
        O: DeserializeOwned,
    {
        self.ended().await?.result()
    }

    /// Waits until it has ended, and tells its own error from every other end.
    ///
    /// # Errors
    ///
    /// As [`Handle::result`], except that a failure which is an `E` is the inner error.
    pub async fn outcome(&self) -> Result<Result<O, E>, Error>
    where
        O: DeserializeOwned,
        E: DurableError,
    {
        match self.result().await {
            Ok(output) => Ok(Ok(output)),
            Err(error) => error.failure_as().map(Err).ok_or(error),
        }
    }

    /// As [`Handle::result`], for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`Handle::result`], and [`Error::DeadlineExceeded`] after `limit`.
    pub async fn result_within(&self, limit: Duration) -> Result<O, Error>
    where
        O: DeserializeOwned,
    {
        self.ended_within(limit).await?.result()
    }

    /// Waits again where a front end of the scheduler cuts a long wait short, or the scheduler is restarted.
    async fn wait(&self, until: AwaitedState) -> Result<Snapshot, Error> {
        let request =
            wire::GetInstanceRequest { instance_id: self.id().to_owned(), get_inputs_and_outputs: true };
        loop {
            let answer = self
                .client
                .attempt(Retry::Patient, |mut stub| {
                    let request = request.clone();
                    async move {
                        match until {
                            AwaitedState::Started => stub.wait_for_instance_start(request).await,
                            AwaitedState::Ended => stub.wait_for_instance_completion(request).await,
                        }
                    }
                })
                .await;
            match answer {
                Ok(wire::GetInstanceResponse { exists: true, orchestration_state: Some(state) }) => {
                    return Ok(Snapshot::new(state));
                }
                Ok(_) => return Err(self.missing()),
                Err(status) if status.code() == Code::DeadlineExceeded => {}
                Err(status) => return Err(Error::from_status(&status, self.client.target(), self.id())),
            }
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        wait: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let clock = self.client.target().time();
        let over = clock.sleep_until(clock.now().plus(limit));
        tokio::select! {
            biased;
            answer = wait => answer,
            () = over => Err(Error::DeadlineExceeded {
                why: format!("instance '{}' did not reach {what} within {limit:?}", self.id),
            }),
        }
    }

    fn missing(&self) -> Error {
        Error::NotFound { id: self.id().to_owned(), why: "it was never started, or it was purged".into() }
    }

    /// Raises an event.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance, [`Error::Encode`] when `value` cannot be written.
    pub async fn raise<T: Serialize>(&self, event: EventKey<T>, value: T) -> Result<(), Error> {
        self.raise_named(event.name(), value).await
    }

    /// Raises an event by its name, with `data` as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance, [`Error::Encode`] when `data` cannot be written.
    pub async fn raise_named(&self, name: &str, data: impl Serialize) -> Result<(), Error> {
        let data = serde_json::to_string(&data).map_err(|error| Error::encode("the event's data", &error))?;
        let request = wire::RaiseEventRequest {
            instance_id: self.id().to_owned(),
            name: name.to_owned(),
            input: Some(data),
        };
        // Two calls would be two events.
        self.tell(Retry::NotSent, request, |mut stub, request| async move { stub.raise_event(request).await })
            .await
            .map(drop)
    }

    /// Suspends the instance: events still arrive and are kept, and the orchestrator does not run.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn suspend(&self, reason: &str) -> Result<(), Error> {
        let request =
            wire::SuspendRequest { instance_id: self.id().to_owned(), reason: Some(reason.to_owned()) };
        self.tell(
            Retry::Always,
            request,
            |mut stub, request| async move { stub.suspend_instance(request).await },
        )
        .await
        .map(drop)
    }

    /// Resumes the instance after [`Handle::suspend`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn resume(&self, reason: &str) -> Result<(), Error> {
        let request =
            wire::ResumeRequest { instance_id: self.id().to_owned(), reason: Some(reason.to_owned()) };
        self.tell(
            Retry::Always,
            request,
            |mut stub, request| async move { stub.resume_instance(request).await },
        )
        .await
        .map(drop)
    }

    /// Terminates the instance with `output`, and leaves its children running. This returns before the instance has ended:
    /// [`Handle::ended`] waits for that.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance, [`Error::Encode`] when `output` cannot be written.
    pub async fn terminate(&self, output: impl Serialize) -> Result<(), Error> {
        self.end(&output, false).await
    }

    /// Terminates the instance and all its descendants with `output`.
    ///
    /// # Errors
    ///
    /// As [`Handle::terminate`].
    pub async fn terminate_tree(&self, output: impl Serialize) -> Result<(), Error> {
        self.end(&output, true).await
    }

    async fn end(&self, output: &impl Serialize, recursive: bool) -> Result<(), Error> {
        let output = serde_json::to_string(output).map_err(|error| Error::encode("the output", &error))?;
        let request =
            wire::TerminateRequest { instance_id: self.id().to_owned(), output: Some(output), recursive };
        self.tell(Retry::Always, request, |mut stub, request| async move {
            stub.terminate_instance(request).await
        })
        .await
        .map(drop)
    }

    /// Rewinds a failed instance: its failed activities and children run again, and all other results are kept.
    ///
    /// # Errors
    ///
    /// [`Error::WrongStatus`] when it has not failed, [`Error::NotFound`] when there is no such instance.
    pub async fn rewind(&self, reason: &str) -> Result<(), Error> {
        let request = wire::RewindInstanceRequest {
            instance_id: self.id().to_owned(),
            reason: Some(reason.to_owned()),
        };
        self.tell(
            Retry::NotSent,
            request,
            |mut stub, request| async move { stub.rewind_instance(request).await },
        )
        .await
        .map(drop)
    }

    /// Starts an ended instance again with the same input, under the same id.
    ///
    /// # Errors
    ///
    /// [`Error::WrongStatus`] while it runs, [`Error::NotFound`] when there is no such instance.
    pub async fn restart(&self) -> Result<(), Error> {
        self.again(false).await.map(drop)
    }

    /// Starts a new instance with the same input, and leaves this one as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such instance.
    pub async fn restart_as_new(&self) -> Result<Self, Error> {
        self.again(true).await
    }

    async fn again(&self, new_id: bool) -> Result<Self, Error> {
        let request = wire::RestartInstanceRequest {
            instance_id: self.id().to_owned(),
            restart_with_new_instance_id: new_id,
        };
        let answer =
            self.tell(Retry::NotSent, request, |mut stub, request| async move {
                stub.restart_instance(request).await
            })
            .await?;
        Ok(Self::new(self.client.clone(), answer.instance_id))
    }

    /// Deletes the instance, which must have ended. [`Purged::deleted`] is 0 when there is no such instance.
    ///
    /// # Errors
    ///
    /// [`Error::WrongStatus`] while it runs.
    pub async fn purge(&self) -> Result<Purged, Error> {
        self.client.purge_one(self.id(), false).await
    }

    /// Deletes the instance, which must have ended, and those of its descendants that have ended.
    ///
    /// # Errors
    ///
    /// [`Error::WrongStatus`] while it runs.
    pub async fn purge_tree(&self) -> Result<Purged, Error> {
        self.client.purge_one(self.id(), true).await
    }

    /// What happened in its current execution, in order; empty when there is no such instance.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn history(&self) -> Result<History, Error> {
        self.client.history(self.id()).await
    }

    async fn tell<Q, A, F, Fut>(&self, retry: Retry, request: Q, call: F) -> Result<A, Error>
    where
        Q: Clone,
        F: Fn(crate::sdk::connect::SchedulerStub, Q) -> Fut,
        Fut: Future<Output = Result<tonic::Response<A>, tonic::Status>>,
    {
        self.client.call(retry, self.id(), |stub| call(stub, request.clone())).await
    }
}

impl<O, E> Clone for Handle<O, E> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), id: self.id.clone(), kind: PhantomData }
    }
}

impl<O, E> fmt::Debug for Handle<O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id()).field("client", &self.client).finish()
    }
}
