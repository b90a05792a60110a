//! Keeps `docs/protocol/` and the code together: what is cited exists, what is written is kept somewhere.

use super::{nothing, source_files, source_of_crates};
use crate::source::{files, read};
use std::collections::BTreeSet;
use std::path::Path;

/// Every section of the pages, as comments cite it: `protocol/turns.md#shape`.
fn sections() -> BTreeSet<String> {
    let mut sections = BTreeSet::new();
    for page in files("docs/protocol", &["md"]) {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = read(&page);
        for heading in text.lines().filter_map(|line| line.strip_prefix("## ")) {
            sections.insert(format!("protocol/{name}#{}", heading.to_lowercase().replace(' ', "-")));
        }
    }
    sections
}

/// Every citation of a text: `protocol/`, a page, and a section.
fn citations(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("protocol/").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/.#-".contains(c))).unwrap_or(rest.len());
        let cited = rest[..end].trim_end_matches('.');
        cited.contains(".md#").then_some(cited)
    })
}

#[test]
fn every_section_of_the_protocol_that_is_cited_exists() {
    let sections = sections();
    let mut stray = Vec::new();
    let pages =
        files("docs", &["md"]).into_iter().chain(["ARCHITECTURE.md".into(), "CONTRIBUTING.md".into()]);
    for file in source_files(&["rs"]).into_iter().chain(pages) {
        let text = read(&file);
        stray.extend(
            citations(&text)
                .filter(|cited| !sections.contains(*cited))
                .map(|cited| format!("{}: {cited}", file.display())),
        );
    }
    nothing(stray, "there is no such section in docs/protocol/");
}

#[test]
fn every_section_of_the_protocol_is_cited_by_the_code_that_keeps_it() {
    let texts: Vec<String> = source_of_crates().iter().map(|file| read(file)).collect();
    let cited: BTreeSet<&str> = texts.iter().flat_map(|text| citations(text)).collect();
    let uncited = sections().into_iter().filter(|section| !cited.contains(section.as_str()));
    nothing(uncited, "no comment in the code cites these sections of docs/protocol/");
}

#[test]
fn every_rule_of_the_table_is_explained() {
    let pages: String = files("docs/protocol", &["md"]).iter().map(|page| read(page)).collect();
    let explained: BTreeSet<&str> =
        pages.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_number(word)).collect();
    let table = read(Path::new("docs/compatibility.md"));
    let rules: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split(']').next())
        .filter(|word| is_number(word))
        .collect();
    nothing(
        rules.difference(&explained).map(|rule| (*rule).to_owned()),
        "docs/protocol/ does not speak of these rules",
    );
    nothing(explained.difference(&rules).map(|rule| (*rule).to_owned()), "there are no such rules");
}

fn is_number(word: &str) -> bool {
    word.len() == 3 && word.starts_with(['G', 'R']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}
