//! Runs the emulator in the foreground: banner, ready line, ready file, and a clean stop when told to.

use crate::arguments::Emulator as Flags;
use crate::failure::Failure;
use crate::logging;
use crate::signals::Signals;
use serde_json::json;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use taskhub::emulator::{Emulator, StartError};

/// Longest wait for streams to end before the process ends anyway.
const GRACE: Duration = Duration::from_secs(5);

/// Runs until a signal, or until the emulator ends by itself.
pub(crate) async fn serve(flags: Flags) -> Result<(), Failure> {
    let began = WallClock.now();
    logging::start(&flags)?;
    // Before anything listens, so that a signal in between is not lost.
    let mut signals = Signals::new()?;
    let hubs = hubs(&flags.task_hubs);
    let emulator = start(&flags, &hubs).await?;
    banner(&flags, &hubs, &emulator);
    if let Some(path) = &flags.ready_file {
        write_ready_file(path, &flags, &emulator, &hubs)
            .map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))?;
    }
    // The line that scripts wait for; everything accepts connections by now.
    println!("taskhub emulator ready in {} ms", WallClock.now().since(began).as_millis());

    let name = signals.next().await;
    tracing::info!(signal = name, "stopping");
    tokio::select! {
        stopped = tokio::time::timeout(GRACE, emulator.stop()) => {
            if stopped.is_err() {
                tracing::warn!("streams did not end in {} s; leaving them", GRACE.as_secs());
            }
        }
        // A second signal means now.
        _ = signals.next() => tracing::warn!("stopping at once"),
    }
    Ok(())
}

/// The names in a list with commas; `default` if there is none.
fn hubs(list: &str) -> Vec<String> {
    let named: Vec<String> =
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if named.is_empty() { vec!["default".to_owned()] } else { named }
}

async fn start(flags: &Flags, hubs: &[String]) -> Result<Emulator, Failure> {
    let builder = Emulator::builder()
        .host(address(&flags.host)?)
        .port(flags.grpc_port)
        .health_port(flags.http_port)
        .hubs(hubs)
        .dynamic_hubs(flags.dynamic_task_hubs.0);
    builder.start().await.map_err(|error| match error {
        StartError::PortInUse { address } => Failure::PortInUse {
            host: address.ip(),
            port: address.port(),
            flag: if address.port() == flags.grpc_port { "--grpc-port" } else { "--http-port" },
        },
        StartError::Bind { .. } | StartError::Runtime(_) | _ => Failure::run(error),
    })
}

/// The address that a host's name stands for.
fn address(host: &str) -> Result<IpAddr, Failure> {
    let name = host.trim_matches(['[', ']']);
    let unknown = |reason: &dyn std::fmt::Display| {
        Failure::Usage(format!("--host {host:?} has no address: {reason}; say 127.0.0.1, or 0.0.0.0 for all"))
    };
    let mut found = (name, 0).to_socket_addrs().map_err(|error| unknown(&error))?;
    found
        .next()
        .map(|address| address.ip())
        .ok_or_else(|| unknown(&"the name is known and stands for nothing"))
}

/// Says what runs where; promises nothing that is not there.
fn banner(flags: &Flags, hubs: &[String], emulator: &Emulator) {
    let dynamic = if flags.dynamic_task_hubs.0 { "others are created on first use" } else { "no others" };
    println!(
        "taskhub {} (not affiliated with Microsoft; for development and tests only)",
        env!("CARGO_PKG_VERSION")
    );
    println!("  gRPC       {}", emulator.endpoint());
    if let Some(health) = emulator.health_address() {
        // Where it listens everywhere, this machine is named as one can reach it.
        let host = emulator.endpoint();
        let host = host.rsplit_once(':').map_or("", |(host, _)| host);
        println!("  Health     {host}:{}/healthz", health.port());
    }
    println!("  Dashboard  none yet; nothing is served on port {}", flags.dashboard_port);
    println!("  Task hubs  {} ({dynamic})", hubs.join(", "));
    println!("  Storage    in memory, lost on exit");
    println!("  Connect    {}", emulator.connection_string_for(&hubs[0]));
}

/// Writes what a script needs to find the emulator. The file is there as a whole or not at all.
fn write_ready_file(path: &Path, flags: &Flags, emulator: &Emulator, hubs: &[String]) -> std::io::Result<()> {
    let ready = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "processId": std::process::id(),
        "endpoint": emulator.endpoint(),
        "grpcPort": emulator.address().port(),
        "httpPort": emulator.health_address().map(|address| address.port()),
        "taskHubs": hubs,
        "dynamicTaskHubs": flags.dynamic_task_hubs.0,
        "connectionString": emulator.connection_string_for(&hubs[0]),
    });
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    std::fs::write(&beside, format!("{ready:#}\n"))?;
    std::fs::rename(&beside, path)
}
