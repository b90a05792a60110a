//! Runs the sample's worker: one of two terminals, `client.rs` is the other.
//!
//! ```sh
//! ENDPOINT=http://localhost:8080 TASKHUB=default cargo run --example worker
//! ```
//!
//! `http://` is plain, for an emulator; `https://` is TLS, with the identity that this machine has. With nothing set it
//! is the emulator at <http://localhost:8080>.

use taskhub::orchestration;
use taskhub::sdk::{Target, Worker};

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("ctrl-c cannot be heard: {error}");
    }
}

async fn interrupted_twice() {
    interrupted().await;
    interrupted().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let target = Target::from_env()?;
    println!("working for {target}; stop with ctrl-c");
    let interrupted = interrupted();
    // What has begun ends before this returns, unless it takes longer than the worker's grace, or ctrl-c comes again.
    tokio::select! {
        ended = Worker::for_target(target, orchestration::registry()).run_until(interrupted) => println!("{}", ended?),
        () = interrupted_twice() => println!("stopped at once"),
    }
    // Threads that do not end do not keep the process.
    Ok(())
}
