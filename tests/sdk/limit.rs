//! Tells what becomes of payloads that are over a hub's limit.

use std::time::Duration;
use taskhub::emulator::Emulator;
use taskhub::sdk::{Client, Entity, EntityDef, Failure, OrchestrationContext, Registry, Worker};

/// Long enough for a busy machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
const LIMIT: usize = 100;

async fn letters(count: usize) -> Result<String, Failure> {
    Ok("x".repeat(count))
}

/// Asks for letters, and says how many came, or which failure.
async fn asks(ctx: OrchestrationContext, count: usize) -> Result<String, Failure> {
    Ok(match ctx.call(letters, count).await {
        Ok(letters) => letters.len().to_string(),
        Err(error) => error.into_details().error_type,
    })
}

async fn says(_: OrchestrationContext, count: usize) -> Result<String, Failure> {
    Ok("x".repeat(count))
}

/// Holds letters.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Page(String);

impl Entity for Page {
    const NAME: &'static str = "page";
}

#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "an operation has this shape")]
impl Page {
    fn write(&mut self, count: usize) -> Result<usize, Failure> {
        self.0.push_str(&"x".repeat(count));
        Ok(self.0.len())
    }

    fn read(&mut self, count: usize) -> Result<String, Failure> {
        Ok("x".repeat(count))
    }
}

/// Writes a little, reads too much, writes too much, and writes a little again.
async fn writes(ctx: OrchestrationContext, (): ()) -> Result<Vec<String>, Failure> {
    let page = Page::at("p");
    let mut said = Vec::new();
    let read = ctx.call_entity(&page, Page::write, 10).await?;
    said.push(read.to_string());
    said.push(ctx.call_entity(&page, Page::read, LIMIT).await.unwrap_err().into_details().error_type);
    said.push(ctx.call_entity(&page, Page::write, LIMIT).await.unwrap_err().into_details().error_type);
    said.push(ctx.call_entity(&page, Page::write, 10).await?.to_string());
    Ok(said)
}

#[tokio::test]
async fn an_entity_keeps_the_state_it_had_before_it_grew_too_large() {
    let emulator = Emulator::builder().max_payload(LIMIT).start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let page = EntityDef::<Page>::new().op(Page::write).op(Page::read);
    let _worker = Worker::new(&client, Registry::new().entity(page).orchestration(writes)).start().unwrap();
    let run = client.start(writes, ()).await.unwrap();
    let said = run.result_within(PATIENCE).await.unwrap();
    assert_eq!(said, ["10", "PayloadTooLarge", "PayloadTooLarge", "20"]);
}

#[tokio::test]
async fn a_payload_that_is_too_large_fails_its_work_and_is_not_retried_for_ever() {
    let emulator = Emulator::builder().max_payload(LIMIT).start().await.unwrap();
    let client = Client::connect(&emulator.endpoint()).await.unwrap();
    let registry = Registry::new().activity(letters).orchestration(asks).orchestration(says);
    let _worker = Worker::new(&client, registry).start().unwrap();

    let asked = client.start(asks, LIMIT - 2).await.unwrap();
    assert_eq!(asked.result_within(PATIENCE).await.unwrap(), (LIMIT - 2).to_string());
    let asked = client.start(asks, LIMIT).await.unwrap();
    assert_eq!(asked.result_within(PATIENCE).await.unwrap(), "PayloadTooLarge");

    let said = client.start(says, LIMIT - 2).await.unwrap();
    assert_eq!(said.result_within(PATIENCE).await.unwrap().len(), LIMIT - 2);
    let said = client.start(says, LIMIT).await.unwrap();
    let error = said.result_within(PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("the output has 102 bytes; at most 100 are allowed"), "{error}");
}
