//! Finds circles of files: files that lead back to themselves by what they import.
//!
//! A file stands for the module it holds. That a module names the modules inside it does not count, because it declares
//! them; that one of those names an item of the module around it does.

use super::source::{Named, brought_in, paths_in};
use std::collections::{BTreeMap, BTreeSet};

/// One file: its module and its code.
pub(crate) struct File<'a> {
    pub(crate) module: &'a str,
    pub(crate) root: &'a str,
    pub(crate) code: &'a str,
}

/// Each circle as the modules in it, in the order of their names.
pub(crate) fn circles(files: &[File<'_>]) -> Vec<BTreeSet<String>> {
    let leads = leads(files);
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        leads.keys().map(|from| (from.as_str(), reached(&leads, from))).collect();
    let mut circles: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (from, to) in &reached {
        let circle: BTreeSet<String> =
            to.iter().filter(|module| reached[*module].contains(from)).map(|m| (*m).to_owned()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// To which modules each leads.
fn leads(files: &[File<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module).collect();
    let named: BTreeMap<&str, Vec<Named>> =
        files.iter().map(|file| (file.module, named(file, &modules))).collect();
    let mut leads = BTreeMap::new();
    for file in files {
        let targets =
            named[file.module].iter().filter_map(|Named { path, .. }| home(path, &modules, &named, 0));
        let targets = targets.filter(|target| *target != file.module && *target != file.root);
        let targets = targets.filter(|target| !is_inside(target, file.module));
        leads.insert(file.module.to_owned(), targets.map(str::to_owned).collect());
    }
    leads
}

/// Every path of the crate that a file names.
fn named(file: &File<'_>, modules: &BTreeSet<&str>) -> Vec<Named> {
    let mut named = paths_in(file.code, file.module, file.root);
    let children = modules.iter().filter(|module| is_inside(module, file.module));
    for child in children {
        let name = child[file.module.len()..].trim_start_matches('/');
        if !name.contains('/') {
            named.extend(brought_in(file.code, file.module, name));
        }
    }
    named
}

/// The module whose file a path leads to. An item that a module only passes on (`pub use`) is where it comes from.
fn home<'a>(
    path: &str,
    modules: &BTreeSet<&'a str>,
    named: &BTreeMap<&str, Vec<Named>>,
    depth: usize,
) -> Option<&'a str> {
    let module = modules
        .iter()
        .filter(|module| path == **module || is_inside(path, module))
        .max_by_key(|m| m.len())?;
    let rest = path[module.len()..].trim_start_matches('/');
    let item = rest.split('/').next().unwrap_or_default();
    let passed_on = named[module].iter().find(|Named { path: other, .. }| {
        !item.is_empty() && other != path && other.rsplit('/').next() == Some(item)
    });
    match passed_on {
        Some(Named { path: other, .. }) if depth < 5 => {
            home(other, modules, named, depth + 1).or(Some(module))
        }
        _ => Some(module),
    }
}

fn reached<'a>(leads: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(module) = open.pop() {
        for next in leads.get(module).into_iter().flatten() {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

fn is_inside(path: &str, module: &str) -> bool {
    module.is_empty() && !path.is_empty()
        || path.strip_prefix(module).is_some_and(|rest| rest.starts_with('/'))
}

#[test]
fn a_circle_goes_through_what_a_module_passes_on_and_not_through_the_module_around() {
    let files = [
        ("a", "mod b; mod c; pub use b::{One, Two}; use c::Three;"),
        ("a/b", "use super::c::Three; struct One;"),
        ("a/c", "use crate::a::Two; use super::Around;"),
        ("a/d", "use super::Around;"),
        ("e", "use crate::a::Two;"),
    ];
    let files = files.map(|(module, code)| File { module, root: "", code });
    let circle: BTreeSet<String> = ["a/b", "a/c"].map(str::to_owned).into();
    assert_eq!(circles(&files), [circle]);
}
