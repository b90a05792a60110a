//! The `taskhub` command: reads flags, runs one subcommand, and ends with its exit code.

mod arguments;
mod call_timeout;
mod delivery;
mod demo;
mod environment;
mod error;
mod healthcheck;
mod items;
mod logging;
mod output;
mod progress;
mod ready_file;
mod remote;
mod serve;
mod signals;

use arguments::{Arguments, Invocation};
use error::CliError;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(environment::arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::last_line(&format!("taskhub: {}", output::plain(&error.to_string())));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        // Neither needs a runtime: the emulator has its own, and the health check is two system calls.
        Some(Invocation::Healthcheck(flags)) => Ok(healthcheck::healthcheck(&flags)?),
        Some(Invocation::Emulator(flags)) => in_runtime(serve::serve(flags)),
        Some(Invocation::Run(flags)) => in_runtime(remote::run(flags)),
        Some(Invocation::History(flags)) => in_runtime(remote::history(flags)),
        None => in_runtime(demo::demo(arguments.demo)),
    }
}

/// Runs `future` on this thread.
fn in_runtime(future: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::run)?;
    let done = runtime.block_on(future);
    // Blocking tasks, such as a write to a full pipe, would keep the process alive.
    runtime.shutdown_background();
    done
}
