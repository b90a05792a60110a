//! Runs the emulator in the foreground: banner, ready line, ready file, and a clean stop at a signal.

use crate::arguments::EmulatorFlags;
use crate::error::CliError;
use crate::healthcheck::owner;
use crate::logging;
use crate::output::print;
use crate::ready_file::ReadyFile;
use crate::signals::Signals;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use taskhub::emulator::{Emulator, StartError, authority};

/// Longest wait for streams to end before the process ends anyway.
const GRACE: Duration = Duration::from_secs(5);

/// Runs until a signal, or until the emulator ends by itself.
pub(crate) async fn serve(flags: EmulatorFlags) -> Result<(), CliError> {
    let began = WallClock.now();
    let _logs = logging::start(flags.log_level, flags.log_format)?;
    // Before anything listens, so that a signal in between is not lost.
    let mut signals = Signals::new().map_err(CliError::run)?;
    let emulator = start(&flags).await?;
    if flags.host.is_unspecified() {
        tracing::warn!(
            host = %flags.host,
            "the emulator listens on every address of this machine, and has no authentication: any client that reaches one can use it"
        );
    }
    let ready_file = match &flags.ready_file {
        None => None,
        Some(path) => Some(ReadyFile::write(path, ready_text(&flags, &emulator)).map_err(|error| {
            CliError::Run(format!("cannot write the ready file {}: {error}", path.display()))
        })?),
    };
    // The last line is the one that scripts wait for; everything accepts connections by now.
    let ready = WallClock.now().since(began).as_millis();
    let text = format!("{}taskhub emulator ready in {ready} ms\n", banner(&flags, &emulator));
    // On another thread: standard output can be a full pipe, and a signal must be handled all the same.
    let printing = tokio::task::spawn_blocking(move || print(&text));
    let signal = tokio::select! {
        printed = printing => {
            printed.map_err(CliError::run)??;
            signals.next().await
        }
        signal = signals.next() => signal,
    };
    tracing::info!(signal = signal.name(), "stopping");
    drop(ready_file);
    tokio::select! {
        biased;
        // A second signal means now.
        signal = signals.next() => Err(CliError::Forced(signal)),
        stopped = tokio::time::timeout(GRACE, emulator.stop()) => {
            if stopped.is_err() {
                tracing::warn!("streams did not end in {} s; leaving them", GRACE.as_secs());
            }
            Ok(())
        }
    }
}

async fn start(flags: &EmulatorFlags) -> Result<Emulator, CliError> {
    let builder = Emulator::builder()
        .host(flags.host)
        .port(flags.grpc_port)
        .health_port(flags.http_port)
        .hubs(&flags.task_hubs.0)
        .dynamic_hubs(flags.dynamic_task_hubs.0)
        .service_limits(flags.service_limits.0);
    let builder = match flags.max_state {
        Some(bytes) => builder.max_state(bytes),
        None => builder,
    };
    flags.delivery.apply(builder).start().await.map_err(|error| match error {
        StartError::PortInUse { address } => CliError::PortInUse {
            host: address.ip(),
            port: address.port(),
            owner: owner(address),
            flag: if address.port() == flags.grpc_port { "--grpc-port" } else { "--http-port" },
        },
        StartError::Bind { .. } | StartError::Runtime(_) | _ => CliError::run(error),
    })
}

/// Says what runs where; promises nothing that is not there.
fn banner(flags: &EmulatorFlags, emulator: &Emulator) -> String {
    let mut text = format!(
        "taskhub {} (not affiliated with Microsoft; for development and tests only)\n",
        env!("CARGO_PKG_VERSION")
    );
    // Writing to a text cannot fail.
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    row("gRPC", &emulator.endpoint());
    if let Some(health) = emulator.health_address() {
        row("Health", &format!("http://{}/healthz", authority(health)));
    }
    match flags.dashboard_port {
        0 => row("Dashboard", "none yet"),
        port => row("Dashboard", &format!("none yet; nothing is served on port {port}")),
    }
    let dynamic = if flags.dynamic_task_hubs.0 { "others are created on first use" } else { "no others" };
    row("Task hubs", &format!("{} ({dynamic})", flags.task_hubs.0.join(", ")));
    if !flags.service_limits.0 {
        row("Limits", "none of the service's; payloads may be larger than in Azure");
    }
    row("Storage", "in memory, lost on exit");
    row("Connect", &emulator.connection_string());
    text
}

/// What a script needs to find the emulator.
fn ready_text(flags: &EmulatorFlags, emulator: &Emulator) -> String {
    let ready = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "processId": std::process::id(),
        "endpoint": emulator.endpoint(),
        "grpcPort": emulator.address().port(),
        "httpPort": emulator.health_address().map(|address| address.port()),
        "taskHubs": flags.task_hubs.0,
        "dynamicTaskHubs": flags.dynamic_task_hubs.0,
        "connectionString": emulator.connection_string(),
    });
    format!("{ready:#}\n")
}
