//! Keeps names apart, and the words in them known.

use super::{Module, modules, nothing};
use std::collections::BTreeMap;

/// Names that more than one type has: how many types at the most, and why.
const SHARED: &[(&str, usize, &str)] = &[
    ("Entity", 2, "an entity as the hub keeps it, and as its author writes it"),
    ("EntityQuery", 2, "the client's question, and the hub's command that it becomes"),
    ("Error", 3, "by Rust's custom a module's error, named with its module"),
    ("ListIds", 2, "the client's question, and the hub's command that it becomes"),
    ("Operation", 2, "an operation as its author writes it, and as it waits in the hub"),
    ("Query", 2, "the client's question, and the hub's command that it becomes"),
    ("Task", 2, "a future of an orchestrator, and the row that shows it"),
];

/// Every type that a file declares: not the associated ones of a trait, which are indented.
pub(crate) fn types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let indented = line.starts_with(' ');
        let line = line.trim_start();
        let line = match line.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => line.strip_prefix("pub ").unwrap_or(line),
        };
        let (keyword, rest) = line.split_once(' ')?;
        let declares = match keyword {
            "struct" | "enum" | "trait" | "union" => true,
            "type" => !indented,
            _ => false,
        };
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        (declares && !name.is_empty()).then_some(name)
    })
}

#[test]
fn no_two_types_share_a_name_but_those_that_are_listed() {
    let mut homes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Module { module, code, .. } in modules() {
        for name in types(code) {
            homes.entry(name).or_default().push(module);
        }
    }
    let shared = homes.into_iter().filter_map(|(name, homes)| {
        let allowed = SHARED.iter().find(|(listed, ..)| *listed == name).map_or(1, |(_, most, _)| *most);
        (homes.len() > allowed).then(|| format!("`{name}` in {}", homes.join(", ")))
    });
    nothing(shared, "one name is one type; say of each what it is of, or why not, in SHARED");
}

#[test]
fn types_are_found_but_not_those_of_traits() {
    let code = "pub(crate) struct A<T>(T);\nenum B {\n}\nmod c {\n    pub struct D;\n    type E = u8;\n}\npub type F = u8;\n";
    assert_eq!(types(code).collect::<Vec<_>>(), ["A", "B", "D", "F"]);
}
