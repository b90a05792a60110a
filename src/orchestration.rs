//! The sample's orchestration: fan out over the items, fan in what came of them. Copy it and put your own steps in.

use crate::activities::{Failed, Summary, aggregate, list_work_items, process};
use crate::sdk::{Failure, OrchestrationContext, Registry};
use futures_util::future::join_all;

/// Lists the items, processes all of them in parallel, and aggregates the results.
///
/// One item that fails does not lose the others: the summary says which failed, and why.
///
/// # Errors
///
/// The items cannot be listed, or the results not be aggregated.
pub async fn fan_out_fan_in(ctx: OrchestrationContext, asked: Vec<i64>) -> Result<Summary, Failure> {
    let items = ctx.call(list_work_items, asked).await?;

    // Fan out: every call is on its way here, before the first is awaited.
    let tasks: Vec<_> = items.iter().map(|&item| ctx.call(process, item)).collect();

    // Fan in: wait until all have settled, well or not.
    let settled = join_all(tasks).await;
    let outcomes = items
        .into_iter()
        .zip(settled)
        .map(|(item, result)| result.map_err(|error| Failed { item, reason: error.to_string() }));
    Ok(ctx.call(aggregate, outcomes.collect()).await?)
}

/// Everything a worker needs to run it.
pub fn registry() -> Registry {
    Registry::new()
        .orchestration(fan_out_fan_in)
        .activity(list_work_items)
        .activity(process)
        .activity(aggregate)
}
