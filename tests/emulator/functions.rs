//! Orchestrators and activities that the stories share.

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use taskhub::sdk::{
    DurableError, Either, EventKey, Failure, OrchestrationContext, Registry, TaskError, race,
};
use tokio::sync::Barrier;

pub(crate) const APPROVED: EventKey<String> = EventKey::new("Approved");

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Unlucky {
    #[error("{0} is unlucky")]
    Number(u32),
}

impl DurableError for Unlucky {}

pub(crate) async fn lucky(n: u32) -> Result<u32, Unlucky> {
    if n == 13 { Err(Unlucky::Number(n)) } else { Ok(n) }
}

/// The numbers that were lucky, and those that were not, by their typed error.
pub(crate) async fn sort_out(
    ctx: OrchestrationContext,
    numbers: Vec<u32>,
) -> Result<(Vec<u32>, Vec<u32>), Failure> {
    let tasks: Vec<_> = numbers.into_iter().map(|n| ctx.call(lucky, n)).collect();
    let (mut good, mut bad) = (vec![], vec![]);
    for result in join_all(tasks).await {
        match result {
            Ok(n) => good.push(n),
            Err(TaskError::App(Unlucky::Number(n))) => bad.push(n),
            Err(other) => return Err(other.into()),
        }
    }
    Ok((good, bad))
}

pub(crate) async fn panics((): ()) -> Result<(), Failure> {
    panic!("the roof is on fire")
}

/// The message of what the panicking activity failed with.
pub(crate) async fn survives(ctx: OrchestrationContext, (): ()) -> Result<String, Failure> {
    match ctx.call(panics, ()).await {
        Ok(()) => Ok("nothing happened".to_owned()),
        Err(error) => Ok(error.to_string()),
    }
}

pub(crate) async fn meet(barrier: Arc<Barrier>, name: String) -> Result<String, Failure> {
    // An activity that runs alone waits here for ever.
    barrier.wait().await;
    Ok(name)
}

/// Activities that end only together: they overlap, or nothing ends.
pub(crate) async fn party(ctx: OrchestrationContext, guests: Vec<String>) -> Result<Vec<String>, Failure> {
    let all: Vec<_> = guests.into_iter().map(|guest| ctx.activity(meet).call(guest)).collect();
    join_all(all).await.into_iter().map(|met| met.map_err(Failure::from)).collect()
}

/// Who approved, or that no approval came in time.
pub(crate) async fn approval(ctx: OrchestrationContext, within: Duration) -> Result<Option<String>, Failure> {
    match race(ctx.event(APPROVED), ctx.sleep(within)).await {
        Either::First(by) => Ok(Some(by?)),
        Either::Second(()) => Ok(None),
    }
}

/// A tree of children: how many there are below and with this one.
pub(crate) async fn tree(ctx: OrchestrationContext, depth: u32) -> Result<u32, Failure> {
    if depth == 0 {
        return Ok(1);
    }
    let children: Vec<_> = (0..2).map(|_| ctx.orchestration(tree).call(depth - 1)).collect();
    let mut count = 1;
    for child in join_all(children).await {
        count += child?;
    }
    Ok(count)
}

pub(crate) async fn echo(text: String) -> Result<String, Failure> {
    Ok(text)
}

pub(crate) async fn repeat(ctx: OrchestrationContext, text: String) -> Result<String, Failure> {
    ctx.set_custom_status(&text);
    Ok(ctx.call(echo, text).await?)
}

/// Everything but the party, which needs to know how many come.
pub(crate) fn registry() -> Registry {
    taskhub::orchestration::registry()
        .activity(lucky)
        .activity(panics)
        .activity(echo)
        .orchestration(sort_out)
        .orchestration(survives)
        .orchestration(approval)
        .orchestration(tree)
        .orchestration(repeat)
}
