//! Reads Rust files as far as the architecture test needs: modules, and the paths they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A path named in a file: where, and what it leads to, as `emulator/engine/Command`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// Every file below `folder` whose name ends in one of `extensions`, sorted, relative to the package.
pub(crate) fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                let name = entry.file_name();
                if name != "target" && name != "node_modules" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)) {
                found.push(path.strip_prefix(root).expect("found below the package").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file of the package.
pub(crate) fn read(file: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A crate of this repository: the folder of its sources, and the name its modules are told apart by.
///
/// The library's modules have no prefix; those of a program begin with the folder that holds it.
pub(crate) struct Sources {
    pub(crate) folder: PathBuf,
    pub(crate) prefix: String,
}

/// The library, and every program: in `src/bin/`, or in a member crate beside `src/`.
pub(crate) fn sources() -> Vec<Sources> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![Sources { folder: "src".into(), prefix: String::new() }];
    let folders = |below: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(root.join(below)).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .map(|path| path.strip_prefix(root).expect("found below the package").to_owned())
            .collect();
        folders.sort();
        folders
    };
    let members = folders("").into_iter().filter(|folder| root.join(folder).join("Cargo.toml").is_file());
    let members = members.map(|folder| folder.join("src"));
    for folder in folders("src/bin").into_iter().chain(members) {
        if root.join(&folder).join("main.rs").is_file() {
            let prefix = folder.to_string_lossy().replace('\\', "/");
            found.push(Sources { folder, prefix });
        }
    }
    found
}

/// The module a file of a crate holds: `src/emulator/engine.rs` is `emulator/engine`, `src/lib.rs` is empty.
pub(crate) fn module_of(file: &Path, sources: &Sources) -> String {
    let below = file.strip_prefix(&sources.folder).expect("a file of the crate").with_extension("");
    let below = match below.to_string_lossy().replace('\\', "/") {
        root if root == "lib" || root == "main" => String::new(),
        module => module,
    };
    join(&sources.prefix, &below)
}

/// Two parts of a module's path, either of which may be empty.
pub(crate) fn join(one: &str, other: &str) -> String {
    match (one, other) {
        ("", other) => other.to_owned(),
        (one, "") => one.to_owned(),
        (one, other) => format!("{one}/{other}"),
    }
}

/// The code of a file without comments, strings and `#[cfg(test)] mod`s; lines stay where they are.
pub(crate) fn code_of(text: &str) -> String {
    without_test_modules(&without_comments_and_strings(text))
}

/// Modules that a file declares for tests only, in files of their own: `#[cfg(test)] mod stories;`.
pub(crate) fn test_only_modules(text: &str) -> BTreeSet<String> {
    let code = without_comments_and_strings(text);
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let after = after.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let (name, _) = after.strip_prefix("mod ")?.split_once(';')?;
        (!name.contains('{')).then(|| name.trim().to_owned())
    });
    declared.collect()
}

/// Every path that starts in this crate, as `code` in `module` names it. `root` is the module of the crate's root.
pub(crate) fn paths_in(code: &str, module: &str, root: &str) -> Vec<Named> {
    let mut named = Vec::new();
    for (start, keyword) in starts(code) {
        let from = if keyword == "crate" { root } else { module };
        let mut base: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
        let mut rest = &code[start..];
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        rest = rest.strip_prefix("crate::").unwrap_or(rest);
        let line = code[..start].matches('\n').count() + 1;
        let base = base.into_iter().map(str::to_owned).collect();
        tree(rest, base, &mut |path| named.push(Named { line, path: path.join("/") }));
    }
    named
}

/// Every path into another crate that `code` names, without the crate's name.
pub(crate) fn paths_into(other: &str, code: &str) -> Vec<Named> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices(other) {
        let begins = !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
        if let Some(rest) = code[at + other.len()..].strip_prefix("::").filter(|_| begins) {
            let line = code[..at].matches('\n').count() + 1;
            tree(rest, Vec::new(), &mut |path| named.push(Named { line, path: path.join("/") }));
        }
    }
    named
}

/// Every path that a `use` of `code` in `module` brings in from `child`, a module that the file declares.
pub(crate) fn brought_in(code: &str, module: &str, child: &str) -> Vec<Named> {
    let mut named = Vec::new();
    for (start, _) in code.match_indices("use ") {
        let rest = code[start + 4..].trim_start();
        let rest = rest.strip_prefix("self::").unwrap_or(rest);
        if rest.strip_prefix(child).is_some_and(|after| after.starts_with("::")) {
            let line = code[..start].matches('\n').count() + 1;
            let base = module.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            tree(rest, base, &mut |path| named.push(Named { line, path: path.join("/") }));
        }
    }
    named
}

/// Where `crate::` and `super::` begin a path; one that says who may see something, `pub(in ..)`, imports nothing.
fn starts(code: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    ["crate", "super"].into_iter().flat_map(move |keyword| {
        code.match_indices(keyword).filter_map(move |(at, _)| {
            let before = &code[..at];
            let begins = !before.ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
            let begins = begins && !before.ends_with("pub(in ");
            (begins && code[at + keyword.len()..].starts_with("::")).then_some((at, keyword))
        })
    })
}

/// Walks a path or a tree of paths, `a::{b, c::d}`, and returns what stands after it.
fn tree<'a>(code: &'a str, base: Vec<String>, found: &mut impl FnMut(&[String])) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() {
                return rest;
            }
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = tree(rest, base.clone(), found);
            if rest.len() == before {
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            }
        }
    }
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    let mut path = base;
    if end > 0 && &code[..end] != "self" {
        path.push(code[..end].to_owned());
    }
    let rest = &code[end..];
    match rest.strip_prefix("::") {
        Some(more) if !more.starts_with('<') => tree(more, path, found),
        _ => {
            found(&path);
            rest
        }
    }
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let skipped = comment(rest).or_else(|| raw_string(rest, &code)).or_else(|| quoted(rest));
        let length = skipped.unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
        let (taken, after) = rest.split_at(length);
        if skipped.is_some() {
            code.extend(taken.chars().filter(|c| *c == '\n'));
            code.push(' ');
        } else {
            code.push_str(taken);
        }
        rest = after;
    }
    code
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |at| at + 2))
}

fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?.chars().take_while(|c| *c == '#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

/// A string, or a character; a quote that begins a lifetime is neither.
fn quoted(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ if quote == '\'' && at > 1 && !rest[1..].starts_with('\\') => return None,
            _ => {}
        }
    }
    None
}

fn without_test_modules(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let length = item_length(&rest[at..]);
        kept.extend(rest[at..at + length].chars().filter(|c| *c == '\n'));
        rest = &rest[at + length..];
    }
    kept.push_str(rest);
    kept
}

/// How long an item is: to its semicolon, or to the brace that closes it.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}
