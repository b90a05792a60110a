//! Keeps `docs/compatibility.md`: the table of rules, made from the names of these tests and their verdicts.
//!
//! `GOLDEN=write cargo test --test wire -- compatibility` runs every other test and writes the table again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

/// Rules that we keep in another way than the official service, or that it is not known to keep, and why.
const DIFFERS: &[(&str, &str)] = &[
    (
        "g02_a_stream_answers_at_once_and_is_pinged_within_ten_seconds",
        "the service's own cadence is not published; SDKs give up after 120 s of silence",
    ),
    (
        "g02_a_limit_of_zero_means_the_hubs_own_which_is_large",
        "JavaScript and Java send 0; what the service makes of it is not documented, ours is 1,000 of a kind and a switch",
    ),
    (
        "g35_a_stream_that_stays_unread_is_given_up_with_unavailable_and_its_work_handed_out_again",
        "not documented; ours gives a stream up whose worker takes nothing from it for 30 s, by a switch",
    ),
    (
        "g36_a_worker_behind_a_connection_that_went_silent_loses_its_work_to_another",
        "not documented after how long; ours asks with HTTP/2 pings and waits 20 to 30 s, by a switch",
    ),
    (
        "g38_a_turn_that_is_held_for_too_long_goes_to_another_stream_first",
        "the service ties a lease to the connection; ours ends a turn's after 5 minutes, by a switch",
    ),
    (
        "g39_an_activity_that_kills_its_workers_fails_and_work_beside_it_does_not",
        "the service is not known to count; ours fails what ten workers died of, by a switch",
    ),
    (
        "g41_without_a_worker_suspend_and_resume_take_effect_and_a_later_worker_hears_of_both",
        "the service waits for a worker; ours waits 5 s for one, by a switch",
    ),
    (
        "g40_without_a_worker_a_terminate_waits_for_one_and_then_takes_effect_by_itself",
        "the service waits for a worker; ours waits 5 s for one, by a switch",
    ),
    (
        "r95_what_a_javascript_or_python_worker_holds_that_cancels_its_stream_is_still_its_own",
        "not documented; ours waits for as long as the connection lives, 30 s at most, and for no other SDK's worker",
    ),
    (
        "g04_a_completion_sent_twice_is_felt_once_and_fails_nothing",
        "the service is believed to answer NOT_FOUND to the second; every SDK bears with both",
    ),
    (
        "g10_a_missing_instance_does_not_exist_and_cannot_be_waited_for",
        "some in-process backends wait until it is created; the service is reported to answer NOT_FOUND",
    ),
    (
        "g12_what_no_worker_takes_stays_pending_and_can_be_terminated_without_one",
        "seen with the service for instances no worker takes; ours ends every instance so that has had no turn",
    ),
    (
        "r02_a_call_that_names_no_hub_is_for_the_default_hub",
        "the service wants a name; the plain SDKs send none, so ours has a default and a switch to refuse",
    ),
    (
        "r09_without_a_policy_an_ended_instance_is_replaced",
        "the Java suite asks for it, other in-process backends refuse; not documented for the service",
    ),
    (
        "r13_a_child_without_an_id_gets_one_of_its_parents_and_its_actions",
        "SDKs choose the id themselves; the form is the Go backend's",
    ),
    (
        "r31_a_purge_without_recursion_deletes_exactly_one_and_never_what_runs",
        "some backends answer a count of zero for what runs; the service is reported to refuse as here",
    ),
    (
        "r47_an_activity_without_a_version_matches_by_the_version_of_its_orchestration",
        "inferred from two suites that nobody runs against the service",
    ),
    (
        "g22_a_child_under_the_id_of_a_stranger_that_lives_fails_to_its_parent",
        "other backends drop the child and let its parent wait for ever",
    ),
    (
        "g19_a_custom_status_and_a_suspension_outlive_continue_as_new",
        "backends differ on the custom status, and none is documented",
    ),
    (
        "r62_signals_of_a_batch_that_fails_for_good_wait_and_are_never_dropped",
        "other backends give up a batch after some tries; how long calls wait (two minutes of failures) is ours",
    ),
    (
        "r69_a_turn_that_says_it_processed_nothing_is_as_if_given_back",
        "not documented; taken at its word it would be asked again without end",
    ),
    (
        "r74_a_termination_is_all_that_its_turn_tells_and_what_came_before_is_in_history",
        "not documented; Java's worker stops for good where a termination stands beside what ends its code",
    ),
    (
        "r79_a_java_workers_late_completion_is_answered_ok",
        "the service answers NOT_FOUND to every SDK; Java's worker would leave a stream behind that swallows work",
    ),
    (
        "r75_a_star_in_a_filter_is_any_name",
        "Java's worker sends it where it has a function for every name; not documented",
    ),
    (
        "r76_a_signal_that_is_sent_again_under_its_request_id_counts_once",
        "not documented; three SDKs send a call again whose connection broke, and the id is all that tells",
    ),
    (
        "r80_a_payload_of_one_mebibyte_passes_and_a_byte_more_is_refused_with_limit_size_and_remedy",
        "the limit is documented, the code and the text are not; no suite that runs against the scheduler sends more \
         without a payload store (one for Functions over Azure Storage does: JavaScript's `large-output`, 4,608 KiB)",
    ),
    (
        "r82_a_payload_above_one_mebibyte_in_a_completion_fails_what_it_is_of_and_is_answered_ok",
        "not documented for the service; a completion that is refused would be sent again for ever",
    ),
    (
        "r83_a_completion_above_four_mebibytes_fails_what_it_is_of_and_is_answered_ok",
        "the service answers RESOURCE_EXHAUSTED; its worker keeps the item then, and gets it again without end",
    ),
    (
        "r85_tags_and_names_are_bounded_and_a_worker_that_sends_more_fails_what_it_asked_for",
        "no bound is documented: ours are 1,000 tags of 1,024 bytes for the key and 65,536 for the value, 262,144 in \
         all, and names of 1,024 bytes",
    ),
    (
        "r87_a_past_that_its_worker_cannot_take_fails_the_instance_by_name_and_others_go_on",
        "not documented for the service; the turn could never arrive, and would be sent again without end",
    ),
    ("r48_an_empty_category_beside_filters_takes_nothing_of_it", "not documented, and tested by no suite"),
];

/// Rules of which these tests show a part only, and who shows the rest.
const PARTLY: &[(&str, &str)] = &[(
    "g34_hello_fan_out_timer_event_child_and_entity_run_in_one_hub",
    "raw client only; `tests/interop` and `tests/interop/upstream.sh` run the Python, JavaScript, Java and Go SDKs; \
     .NET is no part of this repository's runs",
)];

/// What the official suites said when they were last run; `tests/interop/upstream.sh` runs them.
const SUITES: &str = "
## The official suites

`tests/interop/upstream.sh SUITE CHECKOUT` runs an SDK's own end-to-end suite, unmodified, against `taskhub emulator`.

| suite | what it is | passed |
| --- | --- | --- |
| `python-dts` | what the Python SDK marks for the DTS emulator (90), and 5 unmarked | 95 of 95 |
| `python-core` | what it runs against its own in-memory backend (110 end to end, the rest units in the same folders) | 176 of 176 |
| `js` | what the JavaScript SDK runs against the DTS emulator, history export in a run of its own | 185 of 185, and 18 of 18 |
| `java` | what the Java SDK tags as integration tests (client 81, large payloads 15, history export 2); 7 more are disabled there | 97 of 98 |
| `go` | the Go SDK's client suite, whose own scheduler is replaced by ours | 8 of 10 |

`purgeInstanceFilter` of the Java suite counts what tests before it have left behind; it passes alone. Two tests of the
Go suite send a reuse policy of an older protocol, whose action was field 2; the field is gone, and the statuses that
are left are refused. Maven compiles the Java checkout, so that Gradle is not needed; the suite wants port 4001.

One file of the JavaScript suite is left out: `worker-stream-recovery` wants nothing to listen at first and then starts
the official image by itself.
";

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");

/// One rule: its number, the sentence, and the test it is the name of.
struct Rule {
    number: String,
    sentence: String,
    test: String,
}

fn rule(path: &str) -> Option<Rule> {
    let test = path.rsplit("::").next()?;
    let (number, sentence) = test.split_once('_')?;
    let digits = number.strip_prefix(['g', 'r'])?;
    if digits.len() != 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let words = sentence.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next()?.to_ascii_uppercase();
    Some(Rule {
        number: number.to_ascii_uppercase(),
        sentence: format!("{first}{}", letters.as_str()),
        test: test.to_owned(),
    })
}

fn run(arguments: &[&str]) -> String {
    let this = std::env::current_exe().expect("a test knows its own program");
    let output = Command::new(this).args(arguments).output().expect("the program runs again");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every rule and the test that holds us to it, in the order of their numbers.
fn rules() -> Vec<Rule> {
    let listed = run(&["--list", "--format", "terse"]);
    let mut rules: Vec<Rule> =
        listed.lines().filter_map(|line| line.strip_suffix(": test")).filter_map(rule).collect();
    rules.sort_by(|one, other| (&one.number, &one.test).cmp(&(&other.number, &other.test)));
    rules
}

#[test]
fn every_rule_has_a_test() {
    let numbers: Vec<String> = rules().into_iter().map(|rule| rule.number).collect();
    let wanted = (1..=41)
        .map(|number| format!("G{number:02}"))
        // The list of the suites leaves out 28, 29, 43, 44 and 49.
        .chain(
            (1..=94)
                .filter(|number| ![28, 29, 43, 44, 49].contains(number))
                .map(|number| format!("R{number:02}")),
        );
    let missing: Vec<String> = wanted.filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

#[test]
fn every_difference_is_one_of_a_rule() {
    let tests: Vec<String> = rules().into_iter().map(|rule| rule.test).collect();
    let noted = DIFFERS.iter().chain(PARTLY);
    let stray: Vec<_> = noted.filter(|(test, _)| !tests.iter().any(|is| is == test)).collect();
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn the_compatibility_table_lists_every_rule() {
    let rules = rules();
    if std::env::var("GOLDEN").is_ok_and(|golden| golden == "write") {
        let results = run(&["--skip", "compatibility"]);
        let passed: BTreeMap<String, bool> = results
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "))
            .filter_map(|(path, verdict)| {
                Some((path.split(" - ").next()?.rsplit("::").next()?.to_owned(), verdict == "ok"))
            })
            .collect();
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).expect("docs can be made");
        std::fs::write(TABLE, table(&rules, &passed)).expect("the table can be written");
    }
    // Every rule passes where all tests do, so the file is known to its last word without a second run of them.
    let all_pass = rules.iter().map(|rule| (rule.test.clone(), true)).collect();
    let (is, due) = (std::fs::read_to_string(TABLE).unwrap_or_default(), table(&rules, &all_pass));
    let stray = is.lines().zip(due.lines()).find(|(is, due)| is != due);
    assert!(
        is == due,
        "docs/compatibility.md is stale, or was written when a rule did not pass; run GOLDEN=write cargo test --test \
         wire -- compatibility; the first line that differs, as it is and as it is due: {stray:?}"
    );
}

fn table(rules: &[Rule], passed: &BTreeMap<String, bool>) -> String {
    let differs: BTreeMap<&str, &str> = DIFFERS.iter().copied().collect();
    let partly: BTreeMap<&str, &str> = PARTLY.iter().copied().collect();
    let mut text = String::from(
        "# Compatibility\n\n\
         What a worker or client in any language may expect of the emulator, rule by rule. Each rule is the name of a\n\
         test in `tests/wire/`, which speaks the protocol with a raw client and a raw worker. G1 to G41 are our\n\
         acceptance list, R1 to R59 what the official suites of the SDKs ask for, R60 to R79 and R90 to R95 what\n\
         their sources ask for where no suite does, R80 to R89 what keeps large messages from doing harm.\n\n\
         This file is written by the tests: `GOLDEN=write cargo test --test wire -- compatibility`. To hold another\n\
         endpoint to the same rules set `TASKHUB_WIRE_ENDPOINT` and `TASKHUB`.\n\n\
         Where the service's behaviour is not documented, or ours departs from it, the choice stands behind \"differs\".\n\
         Where these tests show a part of a rule only, \"partial\" says which, and who shows the rest.\n\n\
         Comments in the code that cite `wire-semantics` and a number mean the protocol notes of this project, which are\n\
         kept outside of it; each rule of them that matters has its G or R number here.\n\n\
         | rule | sentence | verdict |\n| --- | --- | --- |\n",
    );
    for Rule { number, sentence, test } in rules {
        let mut verdict = match passed.get(test) {
            Some(true) => if partly.contains_key(test.as_str()) { "partial" } else { "pass" }.to_owned(),
            Some(false) => "fail".to_owned(),
            None => "not run".to_owned(),
        };
        if let Some(what) = partly.get(test.as_str()) {
            let _ = write!(verdict, ": {what}");
        }
        if let Some(why) = differs.get(test.as_str()) {
            let _ = write!(verdict, "; differs: {why}");
        }
        let _ = writeln!(text, "| {number} | {sentence} | {verdict} |");
    }
    text.push_str(SUITES);
    text
}
