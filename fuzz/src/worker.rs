//! Gives a worker turns and batches that no scheduler would send.

use prost::Message;
use std::time::Duration;
use taskhub::sdk::{
    Either, Entity, EntityDef, EventKey, Failure, OrchestrationContext, Registry, RetryPolicy, race,
    run_entity_batch, run_turn,
};
use taskhub::wire;

const GO: EventKey<u32> = EventKey::new("Go");

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Meter(u32);

impl Entity for Meter {
    const NAME: &'static str = "meter";
}

impl Meter {
    fn add(&mut self, by: u32) -> Result<u32, Failure> {
        self.0 = self.0.checked_add(by).ok_or_else(|| Failure::permanent("the meter is full"))?;
        Ok(self.0)
    }
}

async fn double(n: u32) -> Result<u32, Failure> {
    n.checked_mul(2).ok_or_else(|| Failure::permanent("too much"))
}

async fn everything(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let retry = RetryPolicy::attempts(3).first_interval(Duration::from_secs(1));
    let doubled = ctx.activity(double).retry(retry).call(n);
    let child = ctx.orchestration(everything).call(n / 2);
    let went = match race(ctx.event(GO), ctx.sleep(Duration::from_secs(60))).await {
        Either::First(went) => went?,
        Either::Second(()) => 0,
    };
    let meter = Meter::at("a");
    let _lock = ctx.lock([&meter]).await?;
    let metered = ctx.call_entity(&meter, Meter::add, went).await?;
    Ok(doubled.await?.saturating_add(metered).saturating_add(child.await.unwrap_or_default()))
}

fn registry() -> Registry {
    Registry::new()
        .orchestration(everything)
        .activity(double)
        .entity(EntityDef::<Meter>::new().op(Meter::add))
}

/// A turn. It is answered, and twice with the same answer.
pub fn history(bytes: &[u8]) {
    let Ok(turn) = wire::OrchestratorRequest::decode(bytes) else { return };
    let registry = registry();
    let answer = run_turn(&registry, turn.clone(), None).response;
    assert_eq!(answer, run_turn(&registry, turn, None).response, "the same turn has one answer");
}

/// A batch of an entity's operations. It is answered, and never with more results than there were operations.
pub fn batch(bytes: &[u8]) {
    let Ok(batch) = wire::EntityRequest::decode(bytes) else { return };
    let operations = batch.operation_requests.len();
    let answer = run_entity_batch(&registry(), batch);
    assert!(answer.results.len() <= operations, "{answer:?}");
}
