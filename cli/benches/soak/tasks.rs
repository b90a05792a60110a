//! What our worker does; `tests/interop/` has the same under the same names in other languages.

use futures::future::try_join_all;
use std::io::Read as _;
use std::time::Duration;
use taskhub::sdk::{EntityDef, EntityId, EventKey, Failure, OrchestrationContext, Registry, Target, Worker};

const GO: EventKey<i64> = EventKey::new("go");
/// How many counters there are.
pub(crate) const COUNTERS: i64 = 8;

async fn soak_square(number: i64) -> Result<i64, Failure> {
    Ok(number * number)
}

/// Three activities, a timer, a child, a signal, and an event.
async fn soak_order(ctx: OrchestrationContext, number: i64) -> Result<i64, Failure> {
    let squares = (number..number + 3).map(|number| ctx.call(soak_square, number));
    let mut sum: i64 = try_join_all(squares).await?.into_iter().sum();
    ctx.sleep(Duration::from_millis(20)).await;
    sum += ctx.orchestration(soak_child).call(number).await?;
    ctx.signal_entity_named(&counter(number), "add", 1);
    Ok(sum + ctx.event(GO).await?)
}

async fn soak_child(ctx: OrchestrationContext, number: i64) -> Result<i64, Failure> {
    Ok(ctx.call(soak_square, number).await?)
}

/// The counter that instance `number` signals.
pub(crate) fn counter(number: i64) -> EntityId {
    EntityId::new("soak_counter", (number % COUNTERS).to_string())
}

/// What `soak_order` gives back when the event brings `event`.
pub(crate) fn result(number: i64, event: i64) -> i64 {
    (number..number + 3).map(|number| number * number).sum::<i64>() + number * number + event
}

fn registry() -> Registry {
    let counter = EntityDef::function("soak_counter", |state, _, input| {
        *state = (state.as_i64().unwrap_or(0) + input.as_i64().unwrap_or(0)).into();
        Ok(state.clone())
    });
    Registry::new().orchestration(soak_order).orchestration(soak_child).activity(soak_square).entity(counter)
}

/// Works until standard input ends.
pub(crate) fn work(endpoint: &str, hub: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let worker = Worker::for_target(Target::new(endpoint).unwrap().hub(hub), registry()).start().unwrap();
    runtime.block_on(worker.connected());
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(worker.kill());
}
