//! Keeps `docs/compatibility.md`: the table of rules, made from the list of cases and their verdicts.
//!
//! `GOLDEN=write cargo test --test wire` runs every case and writes the table again.

use crate::conformance::{Case, cases};
use libtest_mimic::{Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

/// What the official suites said when they were last run; `tests/interop/upstream.sh` runs them.
const SUITES: &str = "
## The official suites

`tests/interop/upstream.sh SUITE CHECKOUT` runs an SDK's own end-to-end suite, unmodified, against `taskhub emulator`.

| suite | what it is | passed |
| --- | --- | --- |
| `python-dts` | what the Python SDK marks for the DTS emulator (90), and 5 unmarked | 95 of 95 |
| `python-core` | what it runs against its own in-memory backend (110 end to end, the rest units in the same folders) | 176 of 176 |
| `js` | what the JavaScript SDK runs against the DTS emulator, history export in a run of its own | 185 of 185, and 17 or 18 of 18 |
| `java` | what the Java SDK tags as integration tests (client 81, large payloads 15, history export 2); 7 more are disabled there | 97 of 98 |
| `go` | the Go SDK's client suite, whose own scheduler is replaced by ours | 8 of 10 |

`purgeInstanceFilter` of the Java suite counts what tests before it have left behind; it passes alone. Two tests of the
Go suite send a reuse policy of an older protocol, whose action was field 2; the field is gone, and the statuses that
are left are refused. Maven compiles the Java checkout, so that Gradle is not needed; the suite wants port 4001.

`should delete an export job` of the JavaScript suite is a race: alone it passed 6 times of 12, against one and the same emulator. The
test expects the job's entity to be there after its deletion, in its first state. It is there if the job's orchestration, which
the test terminates at the same time, calls `get` once more after the entity has been deleted, because that call makes the entity anew. If
the termination reaches the orchestration before that call, the entity stays deleted, and the test gets `ExportJobNotFoundError`.

One file of the JavaScript suite is left out: `worker-stream-recovery` wants nothing to listen at first and then starts
the official image by itself.
";

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");

/// Numbers that the list of the suites leaves out.
const LEFT_OUT: [u32; 5] = [28, 29, 43, 44, 49];

/// Whether each case that was run has passed, by name.
#[derive(Clone, Default)]
pub(crate) struct Verdicts(Arc<Mutex<BTreeMap<String, bool>>>);

impl Verdicts {
    pub(crate) fn note(&self, case: &Case, passed: bool) {
        self.0.lock().expect("no case panics with it").insert(case.name(), passed);
    }
}

/// What is checked of the list and its table, beside the rules themselves.
pub(crate) fn checks() -> Vec<Trial> {
    let check =
        |name: &str, run: fn() -> Result<(), Failed>| Trial::test(format!("compatibility::{name}"), run);
    vec![
        check("every_rule_has_a_case", every_rule_has_a_case),
        check("every_case_is_called_what_its_sentence_says", every_case_is_called_what_its_sentence_says),
        check("the_table_lists_every_rule", the_table_lists_every_rule),
    ]
}

fn every_rule_has_a_case() -> Result<(), Failed> {
    let numbers: BTreeSet<&str> = cases().iter().map(|case| case.number).collect();
    let wanted = (1..=41).map(|number| format!("G{number:02}"));
    let wanted = wanted
        .chain((1..=95).filter(|number| !LEFT_OUT.contains(number)).map(|number| format!("R{number:02}")));
    let missing: Vec<String> = wanted.filter(|number| !numbers.contains(number.as_str())).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no case for {missing:?}").into()) }
}

/// So that a reader who sees a case fail finds its function.
fn every_case_is_called_what_its_sentence_says() -> Result<(), Failed> {
    let cases = cases();
    let stray = cases.iter().filter(|case| case.path.rsplit("::").next() != Some(case.slug().as_str()));
    let stray: Vec<_> = stray.map(|case| (case.sentence, case.path)).collect();
    let names: BTreeSet<String> = cases.iter().map(Case::name).collect();
    match (stray.is_empty(), names.len() == cases.len()) {
        (true, true) => Ok(()),
        (true, false) => Err("two cases have one name".into()),
        (false, _) => {
            Err(format!("functions that are not called what their sentences say: {stray:?}").into())
        }
    }
}

fn the_table_lists_every_rule() -> Result<(), Failed> {
    // Every rule passes where all cases do, so the file is known to its last word without a second run of them.
    let all_pass = cases().iter().map(|case| (case.name(), true)).collect();
    let (is, due) = (std::fs::read_to_string(TABLE).unwrap_or_default(), table(&all_pass));
    if is == due {
        return Ok(());
    }
    let stray = is.lines().zip(due.lines()).find(|(is, due)| is != due);
    Err(format!(
        "docs/compatibility.md is stale, or was written when a rule did not pass; run GOLDEN=write cargo test --test wire; the \
         first line that differs, as it is and as it is due: {stray:?}"
    )
    .into())
}

/// Writes the table as the cases that were run have it.
pub(crate) fn write(verdicts: &Verdicts) {
    let passed = verdicts.0.lock().expect("no case panics with it");
    std::fs::write(TABLE, table(&passed)).expect("the table can be written");
}

fn table(passed: &BTreeMap<String, bool>) -> String {
    let mut text = String::from(
        "# Compatibility\n\n\
         What a worker or client in any language may expect of the emulator, rule by rule; [protocol.md](protocol.md) explains\n\
         the rules by topic, and each number leads to its section there. Each sentence is a case of `tests/wire/conformance/`, which speaks the protocol with a raw client\n\
         and a raw worker; its function has the sentence as its name. G1 to G41 are our acceptance list, R1 to R59 what the\n\
         official suites of the SDKs ask for, R60 to R79 and R90 to R95 what their sources ask for where no suite does, R80 to\n\
         R89 what keeps large messages from doing harm.\n\n\
         This file is written by the tests: `GOLDEN=write cargo test --test wire`. `cargo test --test wire G19` runs the cases of\n\
         one rule. To hold another endpoint to the same rules set `TASKHUB_WIRE_ENDPOINT` and `TASKHUB`; a case that needs more\n\
         than an endpoint is left out there.\n\n\
         Where the service's behaviour is not documented, or ours departs from it, the choice stands behind \"differs\".\n\
         Where the case shows a part of a rule only, \"partial\" says which, and who shows the rest.\n\n\
         | rule | sentence | verdict |\n| --- | --- | --- |\n",
    );
    let sections = sections();
    for case in cases() {
        let rule = match sections.get(case.number) {
            Some(section) => format!("[{}]({section})", case.number),
            None => case.number.to_owned(),
        };
        let mut verdict = match (passed.get(&case.name()), case.partly) {
            (Some(true), None) => "pass".to_owned(),
            (Some(true), Some(which)) => format!("partial: {which}"),
            (Some(false), _) => "fail".to_owned(),
            (None, _) => "not run".to_owned(),
        };
        if let Some(why) = case.differs {
            let _ = write!(verdict, "; differs: {why}");
        }
        let _ = writeln!(text, "| {rule} | {} | {verdict} |", case.sentence);
    }
    text.push_str(SUITES);
    text
}

/// The first section of `docs/protocol/` that speaks of each rule.
fn sections() -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    for page in ["transport", "instances", "turns", "entities", "limits"] {
        let text = std::fs::read_to_string(format!("{}/docs/protocol/{page}.md", env!("CARGO_MANIFEST_DIR")));
        let mut section = String::new();
        for line in text.unwrap_or_default().lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                section = format!("protocol/{page}.md#{}", heading.to_lowercase().replace(' ', "-"));
            }
            for word in line.split(|c: char| !c.is_ascii_alphanumeric()) {
                if word.len() == 3 && word.starts_with(['G', 'R']) && !section.is_empty() {
                    sections.entry(word.to_owned()).or_insert_with(|| section.clone());
                }
            }
        }
    }
    sections
}
