//! Declares the command line: flags, their environment variables and their defaults.

use crate::delivery::DeliveryFlags;
use crate::logging::{self, LogFormat};
use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::path::PathBuf;
use taskhub::model::HubName;

/// The Durable Task Scheduler in Rust: without a command, the fan-out/fan-in demo.
///
/// Not affiliated with Microsoft; for development and tests only.
#[derive(Debug, Parser)]
#[command(name = "taskhub", version = VERSION, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What to do; nothing: the demo.
    #[command(subcommand)]
    pub(crate) command: Option<Invocation>,
    /// What the demo works on.
    #[command(flatten)]
    pub(crate) demo: DemoFlags,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (protocol: durabletask 1.12.0)");

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Invocation {
    /// Run the emulator until it is told to stop
    Emulator(EmulatorFlags),
    /// Ask a running emulator whether it is well: exit code 0 or 1
    Healthcheck(HealthcheckFlags),
    /// Start an orchestration by name, wait for its end and print its output
    Run(RunFlags),
    /// Print what happened to an instance
    History(HistoryFlags),
}

/// Where the demo's work items come from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct DemoFlags {
    /// Work items, whole numbers with commas between them [default: 1 to 10]
    #[arg(long, value_name = "N,N,...", allow_hyphen_values = true)]
    pub(crate) items: Option<String>,
    /// A file with a JSON array of whole numbers; - is standard input
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) items_file: Option<PathBuf>,
    /// The work items 1 to N
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<NonZeroU32>,
}

/// How the emulator is run. Flags and variables have the names of the official image, where it has them.
#[derive(Debug, Args)]
pub(crate) struct EmulatorFlags {
    /// Address to listen on
    #[arg(long, env = "DTS_EMULATOR_HOST", default_value = "127.0.0.1", value_parser = address)]
    pub(crate) host: IpAddr,
    /// Port of the gRPC service; 0 takes a free one
    #[arg(long, env = "DTS_GRPC_PORT", default_value_t = 8080)]
    pub(crate) grpc_port: u16,
    /// Port of the health page; 0 takes a free one
    #[arg(long, env = "DTS_HTTP_PORT", default_value_t = 8081)]
    pub(crate) http_port: u16,
    /// Port of the dashboard; accepted, and nothing is served there yet
    #[arg(long, env = "DTS_DASHBOARD_PORT", default_value_t = 8082)]
    pub(crate) dashboard_port: u16,
    /// Task hubs, with commas between them
    #[arg(
        long,
        env = "DTS_TASK_HUB_NAMES",
        default_value = "default",
        value_name = "HUB,HUB,...",
        value_parser = TaskHubs::parse
    )]
    pub(crate) task_hubs: TaskHubs,
    /// Create a task hub when it is first used
    #[arg(
        long,
        env = "DTS_USE_DYNAMIC_TASK_HUBS",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_name = "BOOL",
        value_parser = bool_flag
    )]
    pub(crate) dynamic_task_hubs: BoolFlag,
    /// Most bytes that instances and entities may take: above it nothing new is started, signalled or raised until
    /// something is purged, and what has begun goes on [default: any number]
    #[arg(long, env = "DTS_MAX_STATE", value_name = "BYTES")]
    pub(crate) max_state: Option<usize>,
    /// Refuse what is too large for the service in Azure: payloads above 1 MiB, messages above 4 MiB
    #[arg(long, env = "DTS_SERVICE_LIMITS", default_value = "on", value_name = "on|off", value_parser = bool_flag)]
    pub(crate) service_limits: BoolFlag,
    /// Least severe log that is written: trace, debug, info, warn, error, off, or .NET's names for them
    #[arg(long, env = "DTS_EMULATOR_LOG_LEVEL", value_name = "LEVEL", value_parser = logging::rust_level)]
    pub(crate) log_level: Option<&'static str>,
    /// How logs are written, to standard error
    #[arg(long, env = "DTS_EMULATOR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Write the ports and the connection string as JSON to this file once the emulator is ready
    #[arg(long, env = "DTS_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// How long workers are waited for.
    #[command(flatten)]
    pub(crate) delivery: DeliveryFlags,
}

/// A boolean that environment variables spell in many ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BoolFlag(pub(crate) bool);

fn bool_flag(text: &str) -> Result<BoolFlag, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(BoolFlag(true)),
        "false" | "0" | "no" | "off" | "" => Ok(BoolFlag(false)),
        _ => Err("say true or false".to_owned()),
    }
}

/// The hubs that a list names, in its order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskHubs(pub(crate) Vec<String>);

impl TaskHubs {
    fn parse(list: &str) -> Result<Self, String> {
        let mut hubs: Vec<String> = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let carried = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '=' | '"' | '\'');
            if let Some(wrong) = name.chars().find(|c| !carried(*c)) {
                return Err(format!(
                    "the task hub {name:?} has {wrong:?} in it, which no connection string carries; name it with letters, digits and -"
                ));
            }
            if !hubs.iter().any(|known| HubName::new(known) == HubName::new(name)) {
                hubs.push(name.to_owned());
            }
        }
        if hubs.is_empty() {
            hubs.push("default".to_owned());
        }
        Ok(Self(hubs))
    }
}

/// The address that a host's name stands for.
fn address(host: &str) -> Result<IpAddr, String> {
    let name = host.trim().trim_matches(['[', ']']);
    let unknown = |reason: &dyn std::fmt::Display| {
        format!("it has no address: {reason}; say 127.0.0.1, or 0.0.0.0 for all")
    };
    let mut found = (name, 0).to_socket_addrs().map_err(|error| unknown(&error))?;
    found
        .next()
        .map(|address| address.ip())
        .ok_or_else(|| unknown(&"the name is known and stands for nothing"))
}

/// Which emulator is asked for its health.
#[derive(Debug, Args)]
pub(crate) struct HealthcheckFlags {
    /// Address of the emulator
    #[arg(long, env = "DTS_EMULATOR_HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port of its health page
    #[arg(long, env = "DTS_HTTP_PORT", default_value_t = 8081)]
    pub(crate) http_port: u16,
    /// Also ask whether this task hub is there
    #[arg(long, value_name = "NAME")]
    pub(crate) hub: Option<String>,
    /// Longest wait for each answer
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub(crate) timeout: NonZeroU32,
}

/// Which scheduler a client command talks to.
#[derive(Debug, Args)]
pub(crate) struct SchedulerFlags {
    /// Where the scheduler is [default: what ENDPOINT or a connection string in the environment says]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Its task hub [default: what TASKHUB or that connection string says]
    #[arg(long, value_name = "NAME")]
    pub(crate) task_hub: Option<String>,
    /// Longest wait for each answer of the scheduler; how long an orchestration may take is not limited
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub(crate) timeout: NonZeroU32,
}

/// What is started, and with what.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Name of the orchestration, as its worker registered it
    pub(crate) name: String,
    /// Its input, as JSON
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) input: Option<String>,
    /// Instance id [default: a new one]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Print the instance id and do not wait for the end
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) scheduler: SchedulerFlags,
}

/// Whose history is printed, and how.
#[derive(Debug, Args)]
pub(crate) struct HistoryFlags {
    /// Instance id
    pub(crate) id: String,
    /// As a table [default: as a timeline]
    #[arg(long)]
    pub(crate) table: bool,
    /// As JSON
    #[arg(long, conflicts_with = "table")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) scheduler: SchedulerFlags,
}
