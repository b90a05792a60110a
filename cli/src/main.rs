//! The `taskhub` command: flags to builders, and an exit code at the end.

mod arguments;
mod delivery;
mod demo;
mod environment;
mod failure;
mod healthcheck;
mod items;
mod logging;
mod output;
mod patience;
mod progress;
mod ready_file;
mod remote;
mod serve;
mod signals;

use arguments::{Arguments, Command};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    match act(environment::arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::last_word(&format!("taskhub: {}", output::plain(&failure.to_string())));
            ExitCode::from(failure.code())
        }
    }
}

fn act(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        // Neither needs a runtime: the emulator has its own, and the health check is two system calls.
        Some(Command::Healthcheck(flags)) => Ok(healthcheck::healthcheck(&flags)?),
        Some(Command::Emulator(flags)) => in_runtime(serve::serve(flags)),
        Some(Command::Run(flags)) => in_runtime(remote::run(flags)),
        Some(Command::History(flags)) => in_runtime(remote::history(flags)),
        None => in_runtime(demo::demo(arguments.demo)),
    }
}

/// Runs `future` on this thread.
fn in_runtime(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::run)?;
    let done = runtime.block_on(future);
    // Whatever is still waited for on another thread is not waited for here.
    runtime.shutdown_background();
    done
}
