//! Talks to a running scheduler: starts an orchestration, prints a history.

use crate::arguments::{HistoryFlags, RunFlags, SchedulerFlags};
use crate::call_timeout::{CallTimeout, WaitNotices};
use crate::error::{CliError, with_causes};
use crate::output::{note, plain, print, print_data};
use std::io::IsTerminal as _;
use taskhub::model::{self, Status};
use taskhub::report::{self, Head, TimelineStyle};
use taskhub::sdk::auth::Authentication;
use taskhub::sdk::client::{Client, Handle, Snapshot};
use taskhub::sdk::connect::Target;
use taskhub::view::{InstanceView, WaitsFor};

/// Starts an orchestration; prints its output when it has ended, or its id with `--no-wait`.
pub(crate) async fn run(flags: RunFlags) -> Result<(), CliError> {
    // Parsed before anything is sent: malformed JSON would only fail later, in the worker.
    let input: Option<serde_json::Value> =
        flags.input.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            CliError::Usage(format!(
                "--input is not JSON: {error}; quote it for the shell, as in --input '[1, 2, 3]'"
            ))
        })?;
    let client = connect(&flags.scheduler).await?;
    let mut start = client.start_named::<serde_json::Value>(&flags.name, input);
    if let Some(id) = flags.id {
        start = start.id(id);
    }
    let timeout = CallTimeout::seconds(flags.scheduler.timeout);
    let known = format!("{} said hello, and whether it started anything is not known", client.target());
    let what = format!("the start of {}", flags.name);
    let handle = timeout.answer(&what, &known, async { start.await }).await?;
    if flags.no_wait {
        return print(&format!("{}\n", handle.id()));
    }
    if std::io::stderr().is_terminal() {
        note(plain(&format!("{} is {}; waiting for its end", flags.name, handle.id())));
    }
    let ended = end_of(&handle, timeout).await?;
    match (ended.status(), ended.failure()) {
        (Status::Completed, _) => {
            let output = ended.output_json().unwrap_or("null");
            print_data(output)
        }
        (_, Some(failure)) => Err(CliError::Run(format!(
            "{} failed with {}: {}",
            handle.id(),
            failure.error_type,
            failure.message
        ))),
        (status, None) => Err(CliError::Run(format!("{} ended as {status}", handle.id()))),
    }
}

/// Waits for the end of an instance, however long it takes, as long as the scheduler answers where it stands.
async fn end_of<O, E>(handle: &Handle<O, E>, timeout: CallTimeout) -> Result<Snapshot, CliError> {
    let (mut notices, id) = (WaitNotices::default(), handle.id());
    let ended = handle.ended();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            ended = &mut ended => return ended.map_err(CliError::run),
            () = notices.next() => {
                let what = format!("the status of {id}");
                let known = format!("{} started it, and has not reported its end", handle.client().target());
                let look = async { Ok(handle.client().get_without_payloads(id).await) };
                let stands = match timeout.answer(&what, &known, look).await? {
                    Ok(Some(snapshot)) if snapshot.status() == Status::Pending => {
                        "PENDING: no worker has taken it yet".to_owned()
                    }
                    Ok(Some(snapshot)) => snapshot.status().to_string(),
                    Ok(None) => "gone".to_owned(),
                    // The wait itself goes on through a restart of the scheduler, and says when it gives up.
                    Err(error) => with_causes(&error),
                };
                note(plain(&format!("waiting for the end of {id} since {} s; it is {stands}", notices.waited())));
            }
        }
    }
}

/// Prints what happened to an instance.
pub(crate) async fn history(flags: HistoryFlags) -> Result<(), CliError> {
    let client = connect(&flags.scheduler).await?;
    // The scheduler streams nothing for an unknown id, which must not look like an empty history.
    let timeout = CallTimeout::seconds(flags.scheduler.timeout);
    let target = client.target();
    let (what, known) = (format!("the status of {}", flags.id), format!("{target} said hello"));
    let Some(snapshot) = timeout.answer(&what, &known, client.get_without_payloads(&flags.id)).await? else {
        return Err(CliError::Run(format!("there is no instance {:?} in {target}", flags.id)));
    };
    let (what, known) = (format!("the history of {}", flags.id), format!("it is {}", snapshot.status()));
    let events = timeout.answer(&what, &known, client.history(&flags.id)).await?;
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
        let timeline = report::timeline_of(&head, &events, TimelineStyle::default());
        print(&format!("{timeline}{}", waits(snapshot.status(), &events)))
    }
}

/// What an instance without an open task waits for, which its history does not say.
fn waits(status: Status, history: &model::History) -> String {
    match status {
        Status::Pending => format!("  {}\n", WaitsFor::FirstTurn),
        Status::Running => match WaitsFor::of(&InstanceView::of(history.as_ref())) {
            WaitsFor::FirstTurn | WaitsFor::EventOrWorker => {
                format!("  {}\n", WaitsFor::EventOrWorker)
            }
            WaitsFor::Nothing | WaitsFor::Tasks(_) => String::new(),
        },
        Status::Suspended | Status::Completed | Status::Failed | Status::Terminated | Status::Canceled => {
            String::new()
        }
        // A status that a later version adds.
        _ => String::new(),
    }
}

/// Connects to the scheduler that the flags name, or else the environment.
async fn connect(flags: &SchedulerFlags) -> Result<Client, CliError> {
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
        (None, Some(variable)) => CliError::Usage(format!("{variable} is wrong: {}", with_causes(&error))),
        (Some(_), _) | (None, None) => CliError::Usage(with_causes(&error)),
    })?;
    let target = match &flags.task_hub {
        Some(hub) => target.hub(hub),
        None => target,
    };
    let (what, known) =
        (format!("a hello of {target}"), "it may listen there and does not answer".to_owned());
    CallTimeout::seconds(flags.timeout).answer(&what, &known, Client::connect_to(target)).await
}

/// The variable that says where the scheduler is, where one does.
fn variable() -> Option<&'static str> {
    let names = ["ENDPOINT", "DTS_CONNECTION_STRING", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"];
    names.into_iter().find(|name| std::env::var(name).is_ok_and(|value| !value.trim().is_empty()))
}
