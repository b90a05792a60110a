//! Talks to a scheduler that is there already: starts an orchestration, prints a history.

use crate::arguments::{History, Run, Scheduler};
use crate::failure::{Failure, told};
use crate::output::{note, plain, print, print_data};
use std::io::IsTerminal;
use taskhub::model::Status;
use taskhub::report::{self, Head, Look};
use taskhub::sdk::auth::Authentication;
use taskhub::sdk::client::Client;
use taskhub::sdk::connect::Target;
use taskhub::wire::HistoryEvent;

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
        return print(&format!("{}\n", handle.id()));
    }
    if std::io::stderr().is_terminal() {
        note(plain(&format!("{} is {}; waiting for its end", flags.name, handle.id())));
    }
    let ended = handle.ended().await.map_err(Failure::run)?;
    match (ended.status(), ended.failure()) {
        (Status::Completed, _) => {
            let output = ended.as_wire().output.as_deref().unwrap_or("null");
            print_data(output)
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
    let Some(snapshot) = client.peek(&flags.id).await.map_err(Failure::run)? else {
        let target = client.target();
        return Err(Failure::Run(format!("there is no instance {:?} in {target}", flags.id)));
    };
    let events = client.history(&flags.id).await.map_err(Failure::run)?;
    if flags.json {
        print_data(&report::json(&events))
    } else if flags.table {
        print(&report::table(&events))
    } else {
        let head = Head {
            name: snapshot.name().to_owned(),
            id: snapshot.id().to_owned(),
            status: Some(snapshot.status()),
        };
        let timeline = report::timeline_of(&head, &events, Look::default());
        print(&format!("{timeline}{}", waits(snapshot.status(), &events)))
    }
}

/// What an instance without an open row waits for: a history says nothing of that.
fn waits(status: Status, events: &[HistoryEvent]) -> &'static str {
    match status {
        Status::Pending => {
            "  nothing has happened yet: it waits for its time, or for a worker that has its name\n"
        }
        Status::Running if report::open(events).is_empty() => {
            "  no task is open: it waits for an event, or for a worker to take its next turn\n"
        }
        Status::Running
        | Status::Suspended
        | Status::Completed
        | Status::Failed
        | Status::Terminated
        | Status::Canceled => "",
    }
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
    let target = target.map_err(|error| match (&flags.endpoint, variable()) {
        (None, Some(variable)) => Failure::Usage(format!("{variable} is wrong: {}", told(&error))),
        (Some(_), _) | (None, None) => Failure::Usage(told(&error)),
    })?;
    let target = match &flags.task_hub {
        Some(hub) => target.hub(hub),
        None => target,
    };
    Client::to(target).await.map_err(Failure::run)
}

/// The variable that says where the scheduler is, where one does.
fn variable() -> Option<&'static str> {
    let names = ["ENDPOINT", "DTS_CONNECTION_STRING", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"];
    names.into_iter().find(|name| std::env::var(name).is_ok_and(|value| !value.trim().is_empty()))
}
