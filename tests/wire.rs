//! Runs the rules of the protocol (`wire/conformance`) against the emulator, and keeps the table of their verdicts.
//!
//! Each rule is a test of its own: `cargo test --test wire G19` runs those of that number, and any part of a sentence is a filter
//! too. `TASKHUB_WIRE_ENDPOINT` (and `TASKHUB`, `default` otherwise) names another scheduler to hold to the same rules; a case that
//! needs more of it than an endpoint is ignored then. `GOLDEN=write` writes `docs/compatibility.md`.

#![expect(clippy::wildcard_enum_match_arm, reason = "a case looks for one event among many")]

#[path = "wire/compatibility.rs"]
mod compatibility;
#[path = "wire/conformance/lib.rs"]
mod conformance;
#[path = "wire/emulator.rs"]
mod emulator;

use compatibility::Verdicts;
use conformance::{Case, Remote, Target, cases};
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let target: Arc<dyn Target> = match std::env::var("TASKHUB_WIRE_ENDPOINT") {
        Ok(endpoint) => {
            Arc::new(Remote::new(endpoint, std::env::var("TASKHUB").unwrap_or_else(|_| "default".into())))
        }
        Err(_) => Arc::new(emulator::InProcess),
    };
    let write = std::env::var("GOLDEN").is_ok_and(|golden| golden == "write");
    let verdicts = Verdicts::default();
    let mut trials: Vec<Trial> =
        cases().into_iter().map(|case| trial(case, target.clone(), verdicts.clone())).collect();
    if !write {
        trials.extend(compatibility::checks());
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if write {
        compatibility::write(&verdicts);
    }
    conclusion.exit_code()
}

fn trial(case: Case, target: Arc<dyn Target>, verdicts: Verdicts) -> Trial {
    let (name, lacks) = (case.name(), target.lacks(case.needs));
    let run = move || -> Result<(), Failed> {
        verdicts.note(&case, false);
        case.run(&*target);
        verdicts.note(&case, true);
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(lacks.is_some())
}
