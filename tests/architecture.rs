//! Keeps the house as ARCHITECTURE.md draws it: who may import whom, how long a file may be, and what things are called.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/citations.rs"]
mod citations;
#[path = "architecture/lengths.rs"]
mod lengths;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/words.rs"]
mod words;

use source::{
    Named, Sources, code_of, files, join, module_of, paths_in, paths_into, read, sources, test_only_modules,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Each floor and the floors it may import beside itself. What is not listed is forbidden.
///
/// A module belongs to the floor with the longest name that begins its path.
const FLOORS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("model", &["wire"]),
    ("clock", &["model"]),
    ("entropy", &["model"]),
    ("busy_wait", &[]),
    ("codec", &[]),
    // The rooms of the engine. The row of the engine itself is its words (commands, records, notices) and their composition.
    ("emulator/engine/entity", &["emulator/engine", "wire", "model"]),
    ("emulator/engine/state", &["emulator/engine", "emulator/engine/entity", "wire", "model"]),
    (
        "emulator/engine/decide",
        &["emulator/engine", "emulator/engine/entity", "emulator/engine/state", "wire", "model"],
    ),
    (
        "emulator/engine/deliver",
        &[
            "emulator/engine",
            "emulator/engine/entity",
            "emulator/engine/state",
            "emulator/engine/decide",
            "wire",
            "model",
        ],
    ),
    (
        "emulator/engine",
        &[
            "emulator/engine/entity",
            "emulator/engine/state",
            "emulator/engine/decide",
            "emulator/engine/deliver",
            "wire",
            "model",
        ],
    ),
    ("emulator/store", &["emulator/engine", "model"]),
    (
        "emulator/dispatch",
        &["emulator/engine", "emulator/store", "clock", "entropy", "busy_wait", "wire", "model"],
    ),
    ("emulator/service", &["emulator/dispatch", "emulator/engine", "wire", "model", "clock"]),
    ("emulator/health", &["emulator/dispatch", "model"]),
    (
        "emulator",
        &[
            "emulator/engine",
            "emulator/store",
            "emulator/dispatch",
            "emulator/service",
            "emulator/health",
            "clock",
            "entropy",
            "busy_wait",
            "model",
            "wire",
        ],
    ),
    ("sdk/replay", &["wire", "model"]),
    ("sdk/registry", &["sdk/replay", "wire", "model"]),
    // Two names of one floor: where the scheduler is, and who we are.
    ("sdk/auth", &["sdk/connect", "model", "clock", "entropy"]),
    ("sdk/connect", &["sdk/auth", "wire", "model", "clock", "entropy"]),
    ("sdk/client", &["sdk/connect", "sdk/replay", "wire", "model", "clock", "entropy"]),
    (
        "sdk/worker",
        &[
            "sdk/client",
            "sdk/connect",
            "sdk/registry",
            "sdk/replay",
            "wire",
            "model",
            "clock",
            "entropy",
            "busy_wait",
        ],
    ),
    ("sdk", &["sdk/replay", "sdk/registry", "sdk/auth", "sdk/connect", "sdk/client", "sdk/worker", "model"]),
    ("view", &["emulator/engine", "wire", "model"]),
    ("report", &["view", "wire", "model"]),
    (
        "testing",
        &[
            "emulator",
            "emulator/engine",
            "emulator/store",
            "emulator/dispatch",
            "sdk",
            "sdk/replay",
            "sdk/registry",
            "sdk/client",
            "sdk/worker",
            "sdk/connect",
            "view",
            "report",
            "clock",
            "entropy",
            "wire",
            "model",
        ],
    ),
    ("activities", &["sdk"]),
    ("orchestration", &["activities", "sdk"]),
];

/// What the `taskhub` command may import of the library.
const COMMAND: (&str, &[&str]) = (
    "the command",
    &["activities", "clock", "emulator", "model", "orchestration", "report", "sdk", "view", "wire"],
);

/// Files that lead back to themselves by what they import, and why each circle stands.
///
/// A circle that is found must be part of one of these; the names are those of modules.
const CIRCLES: &[(&[&str], &str)] = &[];

/// Floors below the purity line, and what of the world they must not name.
const PURE: &[&str] = &[
    "wire",
    "model",
    "emulator/engine",
    "emulator/engine/entity",
    "emulator/engine/state",
    "emulator/engine/decide",
    "emulator/engine/deliver",
    "emulator/store",
    "sdk/replay",
    "sdk/registry",
    "view",
    "report",
    "activities",
    "orchestration",
];
const WORLD: &[&str] =
    &["tokio::", "tonic::", "tracing::", "axum::", "hyper::", "std::fs", "std::net", "std::env"];

const FOLDERS: &[&str] = &["src", "cli", "tests", "benches", "examples", "proto", "fuzz"];
const SOURCES: &[&str] = &["rs", "py", "js", "cjs", "mjs", "sh", "proto"];

#[test]
fn every_floor_imports_only_what_the_table_allows() {
    let mut broken = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for Module { file, module, code, .. } in modules().iter().filter(|module| module.root.is_empty()) {
        let Some(floor) = floor_of(module) else {
            unknown.insert(format!("{} belongs to no floor; give it a row in FLOORS", file.display()));
            continue;
        };
        let allowed = FLOORS.iter().find(|(name, _)| *name == floor).map_or(&[][..], |(_, allowed)| *allowed);
        for Named { line, path } in paths_in(code, module, "") {
            // A path to the root names something of lib.rs itself, which holds nothing.
            let Some(target) = floor_of(&path) else { continue };
            if target != floor && !allowed.contains(&target) {
                broken.insert(format!("`{floor}` imports `{target}` ({}:{line})", file.display()));
            }
        }
    }
    unknown.extend(broken);
    nothing(unknown, "the floors of ARCHITECTURE.md are not kept");
}

/// A room of the engine may name its words, and not the engine that composes the rooms.
#[test]
fn only_delivery_sees_the_engine_as_a_whole() {
    const BLIND: &[&str] = &["emulator/engine/entity", "emulator/engine/state", "emulator/engine/decide"];
    let mut broken = Vec::new();
    for Module { file, module, code, .. } in modules() {
        if floor_of(module).is_some_and(|floor| BLIND.contains(&floor)) {
            let named = paths_in(code, module, "").into_iter();
            let whole = named.filter(|named| named.path == "emulator/engine/Engine");
            broken.extend(whole.map(|Named { line, .. }| format!("{}:{line}", file.display())));
        }
    }
    nothing(broken, "these see the whole engine");
}

/// What others cannot name, others cannot write.
#[test]
fn no_field_of_the_state_can_be_seen_from_another_room() {
    const DURABLE: &[(&str, &str)] = &[
        ("src/emulator/engine/state.rs", "struct HubState {"),
        ("src/emulator/engine/state/instance.rs", "struct Instance {"),
        ("src/emulator/engine/state/instance.rs", "struct PendingActivity {"),
    ];
    let mut seen = Vec::new();
    for (file, declared) in DURABLE {
        let text = read(Path::new(file));
        let (_, fields) = text.split_once(declared).unwrap_or_else(|| panic!("{file} has no {declared}"));
        let fields = fields.lines().take_while(|line| *line != "}");
        let open = fields.filter(|line| line.trim_start().starts_with("pub") && !line.contains("pub(super)"));
        seen.extend(open.map(|line| format!("{file}: {}", line.trim())));
    }
    nothing(seen, "only `state/apply` writes what is durable");
}

#[test]
fn the_command_imports_only_what_its_row_allows() {
    let mut broken = BTreeSet::new();
    for Module { file, code, .. } in modules().iter().filter(|module| !module.root.is_empty()) {
        for Named { line, path } in paths_into("taskhub", code) {
            let Some(target) = floor_of(&path) else { continue };
            let floor = target.split('/').next().unwrap_or_default();
            if !COMMAND.1.contains(&floor) {
                broken.insert(format!("{} imports `{target}` ({}:{line})", COMMAND.0, file.display()));
            }
        }
    }
    nothing(broken, "the command leans on what is not for it");
}

#[test]
fn no_files_lead_back_to_themselves_but_in_the_circles_that_are_listed() {
    let modules = modules();
    let files: Vec<circles::File<'_>> = modules
        .iter()
        .map(|Module { module, root, code, .. }| circles::File { module, root, code })
        .collect();
    let unknown = circles::circles(&files).into_iter().filter(|circle| {
        !CIRCLES.iter().any(|(listed, _)| circle.iter().all(|module| listed.contains(&module.as_str())))
    });
    let unknown = unknown.map(|circle| circle.into_iter().collect::<Vec<_>>().join(", "));
    nothing(unknown, "these files import each other; move what both need into a file that neither is");
}

#[test]
fn the_table_in_the_document_is_the_table_that_is_kept() {
    let document = read(Path::new("ARCHITECTURE.md"));
    let names =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let written: Vec<(String, BTreeSet<String>)> = document
        .lines()
        .skip_while(|line| *line != "| floor | may import |")
        .skip(2)
        .map_while(|line| line.strip_prefix("| `")?.strip_suffix('|')?.split_once("` |"))
        .map(|(floor, allowed)| (floor.to_owned(), names(allowed)))
        .collect();
    let kept: Vec<(String, BTreeSet<String>)> = FLOORS
        .iter()
        .map(|(floor, allowed)| {
            ((*floor).to_owned(), allowed.iter().map(|name| (*name).to_owned()).collect())
        })
        .collect();
    assert_eq!(written, kept, "ARCHITECTURE.md's table of floors is not FLOORS");
}

#[test]
fn nothing_below_the_purity_line_names_the_world() {
    let mut broken = Vec::new();
    for Module { file, module, code, .. } in modules() {
        let Some(floor) = floor_of(module).filter(|floor| PURE.contains(floor)) else { continue };
        for (number, line) in code.lines().enumerate() {
            for name in WORLD.iter().filter(|name| names(line, name)) {
                broken.push(format!("`{floor}` names `{name}` ({}:{})", file.display(), number + 1));
            }
        }
    }
    nothing(broken, "these floors must stay pure");
}

#[test]
fn a_floor_is_foo_rs_beside_foo_and_no_file_is_a_drawer() {
    const DRAWERS: &[&str] = &["mod", "util", "utils", "helper", "helpers", "common", "misc"];
    let drawers = source_files(SOURCES).into_iter().filter_map(|file| {
        let name = file.file_stem()?.to_string_lossy().into_owned();
        DRAWERS.contains(&name.as_str()).then(|| format!("{}", file.display()))
    });
    nothing(drawers, "name these for what they decide");
}

#[test]
fn every_source_file_begins_with_a_sentence() {
    let silent = source_of_crates().into_iter().filter(|file| {
        let text = read(file);
        let first: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//! ")).collect();
        let begins =
            first.first().is_some_and(|line| line.starts_with(|c: char| c.is_uppercase() || c == '`'));
        let ends = first.last().is_some_and(|line| line.ends_with(['.', ':']));
        !(begins && ends)
    });
    let silent = silent.map(|file| file.display().to_string());
    nothing(silent, "the first line of these is not a `//!` sentence");
}

#[test]
fn rust_files_are_written_in_ascii() {
    let mut strange = Vec::new();
    for file in source_files(&["rs"]) {
        for (number, line) in read(&file).lines().enumerate().filter(|(_, line)| !line.is_ascii()) {
            strange.push(format!("{}:{}: {}", file.display(), number + 1, line.escape_unicode()));
        }
    }
    nothing(strange, "write these characters as escapes");
}

#[test]
fn paths_are_found_in_groups_and_beside_code_but_not_in_comments_strings_and_tests() {
    let text = r#"
        use crate::{model::{Status, self}, wire}; // crate::not::this
        use super::store::Memory;
        pub(in crate::emulator) fn f<'a>(x: &'a str, c: char) -> crate::clock::At { g("crate::nor::this", '"', 'x'); super::super::sdk::run() }
        #[cfg(test)]
        mod tests { use crate::neither::this; }
    "#;
    let mut found: Vec<String> =
        paths_in(&code_of(text), "emulator/engine", "").into_iter().map(|n| n.path).collect();
    found.sort();
    let expected =
        ["clock/At", "emulator/store/Memory", "model", "model/Status", "sdk/run", "wire"].map(str::to_owned);
    assert_eq!(found, expected);
}

/// A file of a crate that is not for tests only.
#[expect(clippy::struct_field_names, reason = "the module's path is called so everywhere else")]
struct Module {
    file: PathBuf,
    /// Its path, from the crate's root.
    module: String,
    /// The root of its crate: empty for the library.
    root: String,
    code: String,
}

/// Every file of every crate that is not for tests only; read once, because most tests want them all.
fn modules() -> &'static [Module] {
    static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| sources().iter().flat_map(modules_of).collect());
    &MODULES
}

fn modules_of(sources: &Sources) -> Vec<Module> {
    let texts: Vec<_> =
        files_of(sources).map(|file| (module_of(&file, sources), read(&file), file)).collect();
    let for_tests: BTreeSet<String> = texts
        .iter()
        .flat_map(|(module, text, _)| {
            test_only_modules(text).into_iter().map(move |name| join(module, &name))
        })
        .collect();
    let kept = texts.into_iter().filter(|(module, _, _)| {
        !module.is_empty() && !for_tests.iter().any(|test| Path::new(module).starts_with(test))
    });
    kept.map(|(module, text, file)| Module {
        file,
        module,
        root: sources.prefix.clone(),
        code: code_of(&text),
    })
    .collect()
}

/// The Rust files of a crate; a program's are not the library's, though its folder may be inside.
fn files_of(sources: &Sources) -> impl Iterator<Item = PathBuf> {
    let folder = sources.folder.to_string_lossy().into_owned();
    let program = !sources.prefix.is_empty();
    files(&folder, &["rs"]).into_iter().filter(move |file| program || !file.starts_with("src/bin"))
}

fn source_of_crates() -> Vec<PathBuf> {
    sources().iter().flat_map(files_of).collect()
}

fn floor_of(path: &str) -> Option<&'static str> {
    let floors = FLOORS.iter().map(|(floor, _)| *floor);
    floors.filter(|floor| Path::new(path).starts_with(floor)).max_by_key(|floor| floor.len())
}

/// Whether `line` names `name`, and not a longer word that ends in it.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
}

fn source_files(extensions: &[&str]) -> Vec<PathBuf> {
    FOLDERS.iter().flat_map(|folder| files(folder, extensions)).collect()
}

fn nothing(broken: impl IntoIterator<Item = String>, what: &str) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}
