//! Talks to a scheduler that is there already: starts an orchestration, prints a history.

use crate::arguments::{History, Run, Scheduler};
use crate::failure::{Failure, told};
use std::io::IsTerminal;
use taskhub::model::Status;
use taskhub::report;
use taskhub::sdk::auth::Authentication;
use taskhub::sdk::client::Client;
use taskhub::sdk::connect::Target;

/// Starts an orchestration; prints its output when it has ended, or its id if nobody waits for that.
pub(crate) async fn run(flags: Run) -> Result<(), Failure> {
    // Read before anything is sent: what is not JSON would fail in the worker, far from here.
    let input: Option<serde_json::Value> =
        flags.input.as_deref().map(serde_json::from_str).transpose().map_err(Failure::Input)?;
    let client = connect(&flags.scheduler).await?;
    let mut start = client.start_named::<serde_json::Value>(&flags.name, input);
    if let Some(id) = flags.id {
        start = start.id(id);
    }
    let handle = start.await.map_err(Failure::run)?;
    if flags.no_wait {
        println!("{}", handle.id());
        return Ok(());
    }
    if std::io::stderr().is_terminal() {
        eprintln!("{} is {}; waiting for its end", flags.name, handle.id());
    }
    let ended = handle.ended().await.map_err(Failure::run)?;
    match (ended.status(), ended.failure()) {
        (Status::Completed, _) => {
            println!("{}", ended.as_wire().output.as_deref().unwrap_or("null"));
            Ok(())
        }
        (_, Some(failure)) => Err(Failure::Run(format!(
            "{} failed with {}: {}",
            handle.id(),
            failure.error_type,
            failure.message
        ))),
        (status, None) => Err(Failure::Run(format!("{} ended as {status}", handle.id()))),
    }
}

/// Prints what happened to an instance.
pub(crate) async fn history(flags: History) -> Result<(), Failure> {
    let client = connect(&flags.scheduler).await?;
    // The scheduler streams nothing for an id that nobody has, which must not look like a short history.
    if client.peek(&flags.id).await.map_err(Failure::run)?.is_none() {
        let target = client.target();
        return Err(Failure::Run(format!("there is no instance {:?} in {target}", flags.id)));
    }
    let events = client.history(&flags.id).await.map_err(Failure::run)?;
    if flags.json {
        println!("{}", report::json(&events));
    } else if flags.table {
        print!("{}", report::table(&events));
    } else {
        print!("{}", report::timeline(&events));
    }
    Ok(())
}

/// What the flags name, and where they say nothing, what the environment names.
async fn connect(flags: &Scheduler) -> Result<Client, Failure> {
    let target = match &flags.endpoint {
        None => Target::from_env(),
        Some(endpoint) => Target::new(endpoint).and_then(|target| {
            if target.endpoint().is_tls() {
                target.authentication(&Authentication::default_azure())
            } else {
                Ok(target)
            }
        }),
    };
    let target = target.map_err(|error| Failure::Usage(told(&error)))?;
    let target = match &flags.task_hub {
        Some(hub) => target.hub(hub),
        None => target,
    };
    Client::to(target).await.map_err(Failure::run)
}
