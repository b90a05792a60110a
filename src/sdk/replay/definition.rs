//! Says which functions are orchestrators, activities and entity operations.
//!
//! The traits are implemented for functions and closures of the right shape. Their parameter `M` only tells the
//! shapes apart; it is always inferred.

use super::activity::ActivityContext;
use super::codec::Payload;
use super::context::OrchestrationContext;
use super::entity::{Entity, EntityContext};
use super::failure::DurableError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The future of an activity.
pub(crate) type ActivityFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The future of an orchestrator. It stays on the thread it was made on.
pub(crate) type OrchestratorFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>>>>;

/// A function that is an activity.
///
/// An ordinary or an async function from an input to a `Result`. An [`ActivityContext`] may come before the input,
/// and before that an `Arc` of what the activity needs, such as a pool of connections.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity",
    label = "this function has not the shape of an activity",
    note = "an activity is `fn(I) -> Result<O, E>` or `async fn(I) -> Result<O, E>`, where `ActivityContext` may come first, and before it `Arc<S>`",
    note = "`I` and `O` implement `Serialize` and `DeserializeOwned`, and `E` implements `taskhub::sdk::DurableError`; an async activity's future is `Send`",
    note = "an orchestrator is started with `ctx.orchestration(f).call(input)`"
)]
pub trait Activity<M>: Send + Sync + 'static {
    /// What it takes.
    type Input: Payload;
    /// What it gives.
    type Output: Payload;
    /// What it fails with.
    type Error: DurableError;
    /// What it shares with other calls: `()` or an `Arc`.
    type State: Clone + Send + Sync + 'static;

    /// Runs it. An ordinary function runs before this returns.
    fn run(
        &self,
        state: Self::State,
        context: ActivityContext,
        input: Self::Input,
    ) -> ActivityFuture<Self::Output, Self::Error>;
}

/// Marks an ordinary function.
#[derive(Debug)]
pub struct Ordinary;

/// Marks an async function.
#[derive(Debug)]
pub struct Async;

macro_rules! activity {
    ([$($generic:ident)?] $state:ty, ($($arg:ident: $type:ty),*), |$s:ident, $c:ident, $i:ident| ($($pass:expr),*)) => {
        impl<F, I, O, E $(, $generic)?> Activity<(Ordinary, fn($($type),*) -> Result<O, E>)> for F
        where
            F: Fn($($type),*) -> Result<O, E> + Send + Sync + 'static,
            I: Payload,
            O: Payload,
            E: DurableError,
            $($generic: Send + Sync + 'static,)?
        {
            type Input = I;
            type Output = O;
            type Error = E;
            type State = $state;

            fn run(&self, $s: $state, $c: ActivityContext, $i: I) -> ActivityFuture<O, E> {
                let _ = (&$s, &$c);
                Box::pin(std::future::ready(self($($pass),*)))
            }
        }

        impl<F, I, Fut, O, E $(, $generic)?> Activity<(Async, fn($($type),*) -> Fut)> for F
        where
            F: Fn($($type),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<O, E>> + Send + 'static,
            I: Payload,
            O: Payload,
            E: DurableError,
            $($generic: Send + Sync + 'static,)?
        {
            type Input = I;
            type Output = O;
            type Error = E;
            type State = $state;

            fn run(&self, $s: $state, $c: ActivityContext, $i: I) -> ActivityFuture<O, E> {
                let _ = (&$s, &$c);
                Box::pin(self($($pass),*))
            }
        }
    };
}

activity!([] (), (i: I), |_state, _context, input| (input));
activity!([] (), (c: ActivityContext, i: I), |_state, context, input| (context, input));
activity!([S] Arc<S>, (s: Arc<S>, i: I), |state, _context, input| (state, input));
activity!([S] Arc<S>, (s: Arc<S>, c: ActivityContext, i: I), |state, context, input| (state, context, input));

/// A function that is an orchestrator: `async fn(OrchestrationContext, I) -> Result<O, E>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an orchestrator",
    label = "this function has not the shape of an orchestrator",
    note = "an orchestrator is `async fn(OrchestrationContext, I) -> Result<O, E>`",
    note = "`I` and `O` implement `Serialize` and `DeserializeOwned`, and `E` implements `taskhub::sdk::DurableError`"
)]
pub trait Orchestrator<M>: Send + Sync + 'static {
    /// What it takes.
    type Input: Payload;
    /// What it gives.
    type Output: Payload;
    /// What it fails with.
    type Error: DurableError;

    /// Begins an execution. Nothing of it runs before the future is polled.
    fn begin(
        &self,
        context: OrchestrationContext,
        input: Self::Input,
    ) -> OrchestratorFuture<Self::Output, Self::Error>;
}

impl<F, I, Fut, O, E> Orchestrator<fn(I) -> Fut> for F
where
    F: Fn(OrchestrationContext, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + 'static,
    I: Payload,
    O: Payload,
    E: DurableError,
{
    type Input = I;
    type Output = O;
    type Error = E;

    fn begin(&self, context: OrchestrationContext, input: I) -> OrchestratorFuture<O, E> {
        Box::pin(self(context, input))
    }
}

/// A function that is an operation of an entity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation of an entity",
    label = "this function has not the shape of an operation",
    note = "an operation is `fn(&mut S, I) -> Result<O, E>` or `fn(&mut S, &mut EntityContext, I) -> Result<O, E>`, where `S` implements `taskhub::sdk::Entity`"
)]
pub trait Operation<M>: Send + Sync + 'static {
    /// The entity's state.
    type State: Entity;
    /// What it takes.
    type Input: Payload;
    /// What it gives.
    type Output: Payload;
    /// What it fails with.
    type Error: DurableError;

    /// Does it. What a failed operation did to the state and the context is undone by the caller.
    ///
    /// # Errors
    ///
    /// The operation's own.
    fn perform(
        &self,
        state: &mut Self::State,
        context: &mut EntityContext,
        input: Self::Input,
    ) -> Result<Self::Output, Self::Error>;
}

impl<F, S, I, O, E> Operation<(S, fn(I) -> Result<O, E>)> for F
where
    F: Fn(&mut S, I) -> Result<O, E> + Send + Sync + 'static,
    S: Entity,
    I: Payload,
    O: Payload,
    E: DurableError,
{
    type State = S;
    type Input = I;
    type Output = O;
    type Error = E;

    fn perform(&self, state: &mut S, _context: &mut EntityContext, input: I) -> Result<O, E> {
        self(state, input)
    }
}

impl<F, S, I, O, E> Operation<(S, EntityContext, fn(I) -> Result<O, E>)> for F
where
    F: Fn(&mut S, &mut EntityContext, I) -> Result<O, E> + Send + Sync + 'static,
    S: Entity,
    I: Payload,
    O: Payload,
    E: DurableError,
{
    type State = S;
    type Input = I;
    type Output = O;
    type Error = E;

    fn perform(&self, state: &mut S, context: &mut EntityContext, input: I) -> Result<O, E> {
        self(state, context, input)
    }
}
