//! Keeps the words in names known: each is the field's, or plain, or explained in ARCHITECTURE.md's table of words.

use super::names::types;
use super::{Module, modules, nothing};
use crate::source::read;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Words that need no explanation: Rust's, the protocol's, gRPC's, the field's, and plain ones for what they name.
const PLAIN: &str = "abandoned abort accept accepted actions activities admission alive an answer answered answering \
    answers apply arguments arrive arrived as asked async at attempt attempts auth authentication \
    awaited axis azure backoff batch begun body bound bounded bounds budget builder by cached call \
    caller callers calls cancellation cancelled capacity caught cause chain change changed channel \
    checks child chunks client clock close closing code codec commit condition config confirm \
    confirmation connect connection connections context continue continued control core counted counters \
    counting counts credential cursor data decide decided decider decision decode decoder def definition \
    deliver delivery demo descriptors details diagram differs dispatch dispatcher diverged doing \
    draining drive driver drop durable emulator encode encoded encoder end ended ending endpoint engine \
    entities entity entra entropy entry environment erased err error events excess executors expire \
    explain extension failed failing failure faults field fields file filter finished fire follow for \
    format found framed frames function future generation get golden guard hand handle hands head \
    headers health healthcheck held history hold hubs id ids index inner input instances into invalid is \
    items job jobs journal json keep keeping key kind large leases leave left lib limit limiter limits \
    link list listen listening live log logging logs long look lookup loop loopback loss lost main \
    manual mark matching memory merge merged message metadata method mismatch missing model name names \
    nearest new next no node normal not note observe observed offer on once open opened opening \
    operation options or orchestration orchestrator ordinary out outbox outcome outgoing output owner \
    page parent parse parsed parts payload pending piece ping placement placements plan policy poll pool \
    ports problem progress purge purged query queue queued raised ran raw reach read reader reading \
    readme ready reason receiver receiving recipe records ref registered registry remote render rendered \
    repeat replay replayer reply report request requests reserved response rest restart result retry \
    returned reuse rewind role root row rpc rule run runner running scenario schedule scheduled \
    scheduler schema sdk section seen sender sent sequence serve served service serving settles share \
    shared shutdown side signal signals site size sized skipped sleep small snapshot socket source \
    standing start state stats status statuses step stop stopped store stream streams string stub \
    subject summary sync table takes target tasks terminate terminated termination test testing tests \
    text time timeline timer timers times timestamp token too transport turns unary unfinished until \
    unwritten user value varint version versioning view volatile waited waiter waiters waiting waits \
    walk wall warned warning watchdog watches why wire without words worker workers worklist write \
    writer";

/// Words that are still to be explained, or to give way to a standard one.
const TO_EXPLAIN: &str = "accused announced coarse departure either elsewhere facts fake forgetful front gather gathered \
    gathering habit interest interests kept lane ledger losses malformed naming news notice notices \
    oversized pace past patience quarantine race rewound script shown skim skimmer spare standstill \
    suspects trouble truth unattended unclaimed unwell verdict watch woken";

/// The words of a name in either style: `LeaseId` and `lease_id` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        match letter {
            '_' | '/' => words.push(String::new()),
            upper if upper.is_uppercase() => words.push(upper.to_lowercase().collect()),
            letter => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Every word that the table of words explains, by itself or as part of a name.
fn glossary() -> BTreeSet<String> {
    let document = read(Path::new("ARCHITECTURE.md"));
    let rows = document.lines().skip_while(|line| !line.starts_with("| word | means |")).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| "));
    rows.flat_map(|row| {
        let (word, means) = row.split_once('|').unwrap_or_default();
        let named = means.split('`').skip(1).step_by(2).flat_map(words);
        word.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase).chain(named).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn every_word_in_the_name_of_a_module_or_type_is_known() {
    let glossary = glossary();
    let listed: BTreeSet<&str> = PLAIN.split_whitespace().chain(TO_EXPLAIN.split_whitespace()).collect();
    let mut unknown: BTreeMap<String, String> = BTreeMap::new();
    for Module { module, root, code, .. } in modules() {
        let module = module.strip_prefix(root.as_str()).unwrap_or(module);
        for name in types(code).chain([module]) {
            for word in words(name) {
                if !listed.contains(word.as_str()) && !glossary.contains(&word) {
                    unknown.entry(word).or_insert_with(|| name.to_owned());
                }
            }
        }
    }
    let unknown = unknown.into_iter().map(|(word, name)| format!("`{word}` in `{name}`"));
    nothing(
        unknown,
        "use the field's word, or explain these in ARCHITECTURE.md (in PLAIN only what needs no explanation)",
    );
}

#[test]
fn words_are_found_in_both_styles() {
    assert_eq!(words("LeaseId"), ["lease", "id"]);
    assert_eq!(words("emulator/keep_alive"), ["emulator", "keep", "alive"]);
}
