//! What the workloads run: `square`, and orchestrators that call it in different ways.

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;
use taskhub::sdk::{Failure, OrchestrationContext, Registry};

pub(crate) async fn square(i: u32) -> Result<u64, Failure> {
    Ok(u64::from(i) * u64::from(i))
}

/// All at once, then the sum.
pub(crate) async fn fan(ctx: OrchestrationContext, n: u32) -> Result<u64, Failure> {
    let tasks: Vec<_> = (1..=n).map(|i| ctx.call(square, i)).collect();
    let mut sum = 0;
    for result in join_all(tasks).await {
        sum += result?;
    }
    Ok(sum)
}

/// One after another.
pub(crate) async fn chain(ctx: OrchestrationContext, n: u32) -> Result<u64, Failure> {
    let mut sum = 0;
    for i in 1..=n {
        sum += ctx.call(square, i).await?;
    }
    Ok(sum)
}

/// All at once, and taken as they come: where they come one a turn, the worst case for replay.
pub(crate) async fn trickle(ctx: OrchestrationContext, n: u32) -> Result<u64, Failure> {
    let mut tasks: FuturesUnordered<_> = (1..=n).map(|i| ctx.call(square, i)).collect();
    let mut sum = 0;
    while let Some(result) = tasks.next().await {
        sum += result?;
    }
    Ok(sum)
}

/// Timers that fire one after another, a millisecond apart.
pub(crate) async fn timers(ctx: OrchestrationContext, n: u32) -> Result<(), Failure> {
    let timers: Vec<_> = (1..=n).map(|i| ctx.sleep(Duration::from_millis(i.into()))).collect();
    join_all(timers).await;
    Ok(())
}

pub(crate) fn sum_of_squares(n: u32) -> u64 {
    (1..=u64::from(n)).map(|i| i * i).sum()
}

pub(crate) fn registry() -> Registry {
    Registry::new()
        .activity(square)
        .orchestration(fan)
        .orchestration(chain)
        .orchestration(trickle)
        .orchestration(timers)
}
