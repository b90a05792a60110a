//! Runs activities: decodes, calls, catches what they throw, encodes.

#[cfg(feature = "sdk")]
use super::pace::RunTimes;
use super::{undecodable, unencodable};
use crate::sdk::replay::definition::Activity;
use crate::sdk::replay::{ActivityContext, DurableError, FailureDetails, decode, encode, panic_message};
use crate::wire::TaskFailureDetails;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What an activity ended with, as the wire carries it.
pub(crate) type ActivityResult = Result<Option<String>, TaskFailureDetails>;

/// The future of one run of an activity.
pub(crate) type ActivityRun = Pin<Box<dyn Future<Output = ActivityResult> + Send>>;

/// An activity, its types hidden. Cheap to clone.
#[derive(Clone)]
pub struct ActivityRunner {
    run: Arc<dyn Fn(ActivityContext, Option<String>) -> ActivityRun + Send + Sync>,
    blocking: bool,
    #[cfg(feature = "sdk")]
    pace: Arc<RunTimes>,
}

impl ActivityRunner {
    /// Makes a runner of a function and what it shares with other calls.
    pub fn new<F: Activity<M>, M>(activity: F, state: F::State) -> Self {
        let activity = Arc::new(activity);
        let run = move |context: ActivityContext, input: Option<String>| -> ActivityRun {
            let (activity, state) = (Arc::clone(&activity), state.clone());
            // Nothing runs before the first poll, an ordinary function as little as an async one.
            let call = Caught(Box::pin(async move {
                let what = format!("the input of {:?}", context.name());
                let input = decode::<F::Input>(input.as_deref(), &what).map_err(|why| undecodable(&why))?;
                let output = activity.run(state, context, input).await.map_err(|error| error.to_details())?;
                encode(&output).map(Some).map_err(|why| unencodable(&why))
            }));
            Box::pin(async move { call.await.map_err(FailureDetails::into_wire) })
        };
        Self {
            run: Arc::new(run),
            blocking: false,
            #[cfg(feature = "sdk")]
            pace: Arc::default(),
        }
    }

    pub(super) fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    #[doc(hidden)]
    /// Runs the activity once. A panic becomes a failure.
    pub fn run(&self, context: ActivityContext, input: Option<String>) -> ActivityRun {
        (self.run)(context, input)
    }

    #[doc(hidden)]
    /// Whether a run blocks its thread.
    pub fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// How long its runs have kept their thread.
    #[cfg(feature = "sdk")]
    pub(crate) fn pace(&self) -> &RunTimes {
        &self.pace
    }
}

impl fmt::Debug for ActivityRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityRunner").field("blocking", &self.blocking).finish_non_exhaustive()
    }
}

/// A future whose panic is a failure.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = Result<Option<String>, FailureDetails>>> Future for Caught<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked("activity", &*panic))))
    }
}

pub(super) fn panicked(what: &str, panic: &(dyn Any + Send)) -> FailureDetails {
    let error_type = if what == "activity" { "ActivityPanicked" } else { "OperationPanicked" };
    FailureDetails::new(error_type, format!("the {what} panicked: {}", panic_message(panic)))
}
