//! Starts the sample's orchestration and waits for it: one of two terminals, `worker.rs` is the other.
//!
//! ```sh
//! ENDPOINT=http://localhost:8080 TASKHUB=default cargo run --example client -- 3 5 8
//! ```

use taskhub::orchestration::fan_out_fan_in;
use taskhub::sdk::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().skip(1).map(|item| item.parse()).collect::<Result<Vec<i64>, _>>()?;
    let items = if given.is_empty() { (1..=10).collect() } else { given };

    let client = Client::from_env().await?;
    let run = client.start(fan_out_fan_in, items).tag("from", "example").await?;
    println!("started {} at {}", run.id(), client.target());

    let summary = run.result().await?;
    println!("results: {:?}", summary.results);
    println!("sum {}, average {:?}", summary.sum, summary.average);
    for failed in summary.failures {
        println!("item {} failed: {}", failed.item, failed.reason);
    }
    Ok(())
}
