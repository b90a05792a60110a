//! Reads a crate's modules from its source: their items, and what their names lead to.

use std::collections::{BTreeMap, BTreeSet};
use syn::{Attribute, Item, UseTree, Visibility};

/// A path of modules from the crate's root; the root is empty.
pub(crate) type ModPath = Vec<String>;

pub(crate) struct Krate {
    pub(crate) name: String,
    pub(crate) modules: BTreeMap<ModPath, Module>,
}

#[derive(Default)]
pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    /// `use` by the name that it gives: what it leads to, and whether others see it.
    pub(crate) uses: Vec<Use>,
    pub(crate) children: BTreeMap<String, Child>,
}

#[derive(Clone)]
pub(crate) struct Use {
    /// The name here; none for a glob.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) public: bool,
    pub(crate) features: BTreeSet<String>,
}

#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) public: bool,
    pub(crate) features: BTreeSet<String>,
}

/// What a name leads to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    Module(ModPath),
    /// The item of this name in this module.
    Item(ModPath, String),
}

impl Krate {
    pub(crate) fn of_this_package() -> Self {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::read("taskhub", &|file| {
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        })
    }

    /// Reads `src/lib.rs` and every file that it declares.
    pub(crate) fn read(name: &str, text: &dyn Fn(&str) -> String) -> Self {
        let mut krate = Self { name: name.to_owned(), modules: BTreeMap::new() };
        krate.file(Vec::new(), "src/lib.rs", "src/", text);
        krate
    }

    fn file(&mut self, at: ModPath, file: &str, folder: &str, text: &dyn Fn(&str) -> String) {
        let parsed = syn::parse_file(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.module(at, parsed.items, folder, text);
    }

    fn module(&mut self, at: ModPath, items: Vec<Item>, folder: &str, text: &dyn Fn(&str) -> String) {
        let mut module = Module::default();
        for item in items.into_iter().filter(|item| is_built(attributes(item))) {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let (public, features) = (seen(&inner.vis, &inner.attrs), features(&inner.attrs));
                    module.children.insert(name.clone(), Child { public, features });
                    let path = [at.clone(), vec![name.clone()]].concat();
                    let below = format!("{folder}{name}/");
                    match inner.content {
                        Some((_, items)) => self.module(path, items, &below, text),
                        None => self.file(path, &format!("{folder}{name}.rs"), &below, text),
                    }
                }
                Item::Use(used) => {
                    let (public, features) = (seen(&used.vis, &used.attrs), features(&used.attrs));
                    let mut add = |name, path| {
                        module.uses.push(Use { name, path, public, features: features.clone() });
                    };
                    tree(&used.tree, Vec::new(), &mut add);
                }
                other => module.items.push(other),
            }
        }
        self.modules.insert(at, module);
    }

    /// What a path leads to as the module `at` names it; nothing for what is outside of the crate.
    pub(crate) fn find(&self, at: &[String], path: &[String]) -> Option<Found> {
        self.find_within(at, path, 32)
    }

    /// `depth` bounds circles of globs that import each other.
    fn find_within(&self, at: &[String], path: &[String], depth: usize) -> Option<Found> {
        let depth = depth.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Found::Module(Vec::new()),
            "self" => Found::Module(at.to_vec()),
            "super" => Found::Module(at.split_last()?.1.to_vec()),
            name => self.named(at, name, rest.is_empty(), depth)?,
        };
        match (rest, start) {
            ([], found) => Some(found),
            (rest, Found::Module(module)) => self.find_within(&module, rest, depth),
            // `Type::Variant` and the like are not followed.
            (_, Found::Item(..)) => None,
        }
    }

    /// What a name stands for in a module: its own, or imported. Where a path ends, an item is meant before a module.
    fn named(&self, at: &[String], name: &str, ends: bool, depth: usize) -> Option<Found> {
        let module = self.modules.get(at)?;
        let child = module.children.contains_key(name);
        let child = child.then(|| Found::Module([at, &[name.to_owned()]].concat()));
        if child.is_some() && !ends {
            return child;
        }
        if module.items.iter().any(|item| item_name(item).as_deref() == Some(name)) {
            return Some(Found::Item(at.to_vec(), name.to_owned()));
        }
        let by_name = module.uses.iter().filter(|used| used.name.as_deref() == Some(name));
        let found = by_name
            .filter(|used| used.path.first().is_some_and(|first| first != name || used.path.len() > 1));
        if let Some(found) = found.into_iter().find_map(|used| self.find_within(at, &used.path, depth)) {
            return Some(found);
        }
        if child.is_some() {
            return child;
        }
        let globs = module.uses.iter().filter(|used| used.name.is_none());
        globs.into_iter().find_map(|glob| match self.find_within(at, &glob.path, depth)? {
            Found::Module(from) if from != at => self.named(&from, name, ends, depth),
            Found::Module(_) | Found::Item(..) => None,
        })
    }

    pub(crate) fn item(&self, at: &[String], name: &str) -> Option<&Item> {
        self.modules.get(at)?.items.iter().find(|item| item_name(item).as_deref() == Some(name))
    }

    /// The path that an imported name stands for, where it leads out of what is read: `wire::Message`, `tonic::Code`.
    pub(crate) fn imported(&self, at: &[String], name: &str) -> Option<String> {
        let used = self.modules.get(at)?.uses.iter().find(|used| used.name.as_deref() == Some(name))?;
        let path: Vec<&str> = used.path.iter().map(String::as_str).filter(|part| *part != "crate").collect();
        let outside = ["wire", "tonic", "prost", "prost_types", "http", "hyper", "axum"];
        outside.contains(path.first()?).then(|| path.join("::"))
    }
}

fn tree(tree: &UseTree, mut path: Vec<String>, add: &mut impl FnMut(Option<String>, Vec<String>)) {
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            self::tree(&inner.tree, path, add);
        }
        UseTree::Name(name) if name.ident == "self" => add(path.last().cloned(), path),
        UseTree::Name(name) => {
            path.push(name.ident.to_string());
            add(Some(name.ident.to_string()), path);
        }
        UseTree::Rename(rename) => {
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            add(Some(rename.rename.to_string()), path);
        }
        UseTree::Glob(_) => add(None, path),
        UseTree::Group(group) => group.items.iter().for_each(|item| self::tree(item, path.clone(), add)),
    }
}

/// The name of an item that can be named from elsewhere.
pub(crate) fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

pub(crate) fn visibility(item: &Item) -> &Visibility {
    match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Union(item) => &item.vis,
        _ => &Visibility::Inherited,
    }
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether something is `pub`, and not hidden from users.
pub(crate) fn seen(visibility: &Visibility, attributes: &[Attribute]) -> bool {
    matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes)
}

pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc") && arguments(attribute) == "hidden")
}

/// Whether a build with every feature, and for no test, has it.
pub(crate) fn is_built(attributes: &[Attribute]) -> bool {
    conditions(attributes).all(|condition| {
        !condition.starts_with("not") && !condition.contains("doctest") && condition != "test"
    })
}

/// The features without which it is not there.
pub(crate) fn features(attributes: &[Attribute]) -> BTreeSet<String> {
    let quoted = |condition: String| -> String {
        condition.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" or ")
    };
    conditions(attributes).map(quoted).filter(|features| !features.is_empty()).collect()
}

fn conditions(attributes: &[Attribute]) -> impl Iterator<Item = String> + '_ {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).map(arguments)
}

/// What stands between an attribute's parentheses.
pub(crate) fn arguments(attribute: &Attribute) -> String {
    attribute.meta.require_list().map_or_else(|_| String::new(), |list| list.tokens.to_string())
}
