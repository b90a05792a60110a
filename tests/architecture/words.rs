//! Keeps the words in names known: each is the field's, or plain, or explained in ARCHITECTURE.md's table of words.

use super::names::types;
use super::{Module, modules, nothing};
use crate::source::read;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Words that need no explanation: Rust's, the protocol's, gRPC's, the field's, and plain ones for what they name.
const PLAIN: &str = "abandoned abort accept accepted activities address admission admit alive an answer apply arguments \
    arrive arrived as asked async attempt auth authentication awaited axis azure backoff batch body bool \
    bound bounded budget buffer buffered builder by cached call caller cancellation cancelled capacity \
    caught cause chain change changed channel checks child chunk cli client clock closing code codec \
    commit condition config confirm confirmation connect connection context continue continued control \
    core counted counters counting credential cursor data decide decided decider decision decode decoder \
    def definition deliver delivery demo descriptors details diagram differs dispatch dispatcher display \
    diverged doing draining drive driver drop durable either emulator encode encoded encoder end ended ending \
    endpoint engine entities entity entra entropy entry environment erased err error excess executors \
    expire explain extension facts failed failing failure fake field file filter finished fire first \
    flag flags follow for forgetful format found framed frames function future generation get golden \
    grpc guard hand handle handler head headers health healthcheck held history hold id index inner \
    input interest into invalid invocation job journal json keep keeping kept key kind large lazy left \
    lib limit limiter link list listen listening live log logging long look lookup loop loopback loss \
    lost main malformed manual mark matching memory merge merged message metadata method mismatch \
    missing mode model name nearest new next no node normal not note observe observed offer offload on \
    once open opened opening operation options or orchestration orchestrator ordinary out outbox outcome \
    outgoing output oversized owner page parent parse parsed parts payload peeked pending permit ping \
    placeholders placement plan policy poll pool port problem progress purge purged query queue queued \
    race raised ran raw reach read reader readme ready reason receive receiver recipe ref registered \
    registry remote render rendered repeat replay replayer replies reply report request response rest \
    restart result retry returned reuse rewind rewound role root router row rpc rule run runner running \
    scenario schedule scheduled scheduler schema script sdk section seen sender sent sequence serve \
    served service settles share shared shutdown side signal site size sized skim skimmer skipped sleep \
    small snapshot socket source standing start state stats status statuses stderr step stop stopped \
    store stream string stub style subject summary sync table takes target terminate terminated \
    termination test testing text time timeline timeout timeouts timer timestamp token too transport \
    unary unfinished until usage user value varint version versioning view volatile waited waiter \
    waiting walk wall warned warning watch watchdog watches why wire without woken worker worklist write \
    writer";

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
    let listed: BTreeSet<&str> = PLAIN.split_whitespace().collect();
    let mut unknown: BTreeMap<String, String> = BTreeMap::new();
    for Module { module, root, code, .. } in modules() {
        let module = module.strip_prefix(root.as_str()).unwrap_or(module);
        for name in types(code).chain([module]) {
            for word in words(name) {
                let one = word.strip_suffix('s').unwrap_or(&word);
                if ![word.as_str(), one].iter().any(|word| listed.contains(word) || glossary.contains(*word))
                {
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
