//! Reads the command line together with its environment variables.

use crate::arguments::Arguments;
use crate::output::note;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory, Error, FromArgMatches};
use std::ffi::OsString;

/// The arguments of this process; ends it where they are wrong, or where they ask for help.
pub(crate) fn arguments() -> Arguments {
    let given: Vec<OsString> = std::env::args_os().collect();
    let mut command = without_empty_variables(Arguments::command());
    let read = command.try_get_matches_from_mut(&given);
    read.and_then(|matches| Arguments::from_arg_matches(&matches)).unwrap_or_else(|error| {
        if let Some(variable) = variable_at_fault(&command, &error, &given) {
            note(format_args!(
                "taskhub: the environment variable {variable} is wrong, and no flag overrides it"
            ));
        }
        error.exit()
    })
}

/// Treats an empty variable as unset: compose files pass on unset variables that way.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let name = arg.get_env();
        name.and_then(std::env::var_os).is_some_and(|value| value.to_string_lossy().trim().is_empty())
    };
    command.mut_subcommands(|command| {
        command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
    })
}

/// The environment variable that a wrong value came from, unless a flag gave it.
fn variable_at_fault(command: &Command, error: &Error, given: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = shown.split([' ', '[', '=']).next()?;
    if given.iter().any(|word| word.to_string_lossy().split('=').next() == Some(flag)) {
        return None;
    }
    let command = given.iter().find_map(|word| command.find_subcommand(word))?;
    let arg = command.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"))?;
    let name = arg.get_env().filter(|name| std::env::var_os(name).is_some())?;
    Some(name.to_string_lossy().into_owned())
}
