//! Lists what users of a crate can name and call: one line for each item, field, variant, method and implementation.

use super::krate::{
    Found, Krate, ModPath, arguments, attributes, features, is_built, is_hidden, item_name, seen, visibility,
};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Fields, Generics, ImplItem, Item, ItemFn, ItemImpl, Signature, TraitItem, Type, parse_quote,
};

/// Where a public item can be found: its path, and the features that it needs.
type Places = BTreeMap<Found, Vec<(String, BTreeSet<String>)>>;

/// The lines, sorted.
pub(crate) fn listing(krate: &Krate) -> Vec<String> {
    let mut places = Places::new();
    walk(krate, &Vec::new(), &krate.name, &BTreeSet::new(), &mut places);
    let mut lines = BTreeSet::new();
    let mut homes = BTreeMap::new();
    for (found, mut paths) in places {
        let Found::Item(at, name) = &found else { continue };
        paths.sort_by_key(|(path, _)| (path.matches("::").count(), path.clone()));
        paths.dedup_by(|a, b| a.0 == b.0);
        let (home, needs) = paths.remove(0);
        lines.extend(paths.into_iter().map(|(path, needs)| format!("{path}{}: = {home}", said(&needs))));
        let Some(item) = krate.item(at, name) else { continue };
        define(krate, at, item, &home, &needs, &mut lines);
        homes.insert(found, (home, needs));
    }
    for (at, module) in &krate.modules {
        for item in &module.items {
            if let Item::Impl(block) = item {
                implement(krate, at, block, &homes, &mut lines);
            }
        }
    }
    lines.into_iter().collect()
}

/// Finds everything that a module shows, and the modules that it shows.
fn walk(krate: &Krate, at: &ModPath, path: &str, needs: &BTreeSet<String>, places: &mut Places) {
    let Some(module) = krate.modules.get(at) else { return };
    for item in module.items.iter().filter(|item| seen(visibility(item), attributes(item))) {
        if let Some(name) = item_name(item) {
            let needs = needs | &features(attributes(item));
            places
                .entry(Found::Item(at.clone(), name.clone()))
                .or_default()
                .push((format!("{path}::{name}"), needs));
        }
    }
    for (name, child) in module.children.iter().filter(|(_, child)| child.public) {
        let inner = [at.clone(), vec![name.clone()]].concat();
        walk(krate, &inner, &format!("{path}::{name}"), &(needs | &child.features), places);
    }
    for used in module.uses.iter().filter(|used| used.public) {
        let needs = needs | &used.features;
        match (&used.name, krate.find(at, &used.path)) {
            (Some(name), Some(Found::Module(inner))) => {
                walk(krate, &inner, &format!("{path}::{name}"), &needs, places);
            }
            (Some(name), Some(found @ Found::Item(..))) => {
                places.entry(found).or_default().push((format!("{path}::{name}"), needs));
            }
            (None, Some(Found::Module(inner))) => walk(krate, &inner, path, &needs, places),
            (None, Some(Found::Item(..))) => {}
            (name, None) => {
                let name = name.as_deref().unwrap_or("*").to_owned();
                let outside = Found::Item(vec!["(outside)".into()], used.path.join("::"));
                places.entry(outside).or_default().push((format!("{path}::{name}"), needs));
            }
        }
    }
}

/// The lines of one item, without its implementations.
fn define(
    krate: &Krate,
    at: &ModPath,
    item: &Item,
    home: &str,
    needs: &BTreeSet<String>,
    lines: &mut BTreeSet<String>,
) {
    let name = home.rsplit("::").next().unwrap_or(home);
    let said = said(needs);
    let text = |node: &dyn Fn() -> String| format!("{home}{said}: {}", node());
    let shown = |tokens: Type| text_of(&named_in_full(krate, at, tokens));
    match item {
        Item::Fn(item) => {
            lines.insert(text(&|| format!("pub {}", signature(krate, at, &item.sig))));
        }
        Item::Const(item) => {
            lines.insert(text(&|| format!("pub const {name}: {}", shown((*item.ty).clone()))));
        }
        Item::Static(item) => {
            lines.insert(text(&|| format!("pub static {name}: {}", shown((*item.ty).clone()))));
        }
        Item::Type(item) => {
            let generics = parameters(&item.generics);
            lines.insert(text(&|| format!("pub type {name}{generics} = {}", shown((*item.ty).clone()))));
        }
        Item::Struct(item) => {
            let (generics, bounds) = (&item.generics, &item.generics.where_clause);
            let declared = on_one_line(parse_quote!(pub struct X #generics #bounds {}));
            let declared = declared.replacen("struct X", &format!("struct {name}"), 1);
            let rest =
                if item.fields.iter().all(|field| seen(&field.vis, &field.attrs)) { "" } else { " { .. }" };
            let (open, derives) = modifiers(&item.attrs);
            lines.insert(text(&|| format!("{open}{declared}{rest}{derives}")));
            for (number, field) in
                item.fields.iter().enumerate().filter(|(_, field)| seen(&field.vis, &field.attrs))
            {
                let field_name = field.ident.as_ref().map_or_else(|| number.to_string(), ToString::to_string);
                lines.insert(format!("{home}::{field_name}: {}", shown(field.ty.clone())));
            }
        }
        Item::Enum(item) => {
            let (open, derives) = modifiers(&item.attrs);
            lines.insert(text(&|| format!("{open}pub enum {name}{}{derives}", parameters(&item.generics))));
            for variant in item.variants.iter().filter(|variant| !is_hidden(&variant.attrs)) {
                let fields = variant.fields.iter().map(|field| {
                    let name = field.ident.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                    format!("{name}{}", shown(field.ty.clone()))
                });
                let fields = fields.collect::<Vec<_>>().join(", ");
                let fields = match &variant.fields {
                    Fields::Named(_) => format!(" {{ {fields} }}"),
                    Fields::Unnamed(_) => format!("({fields})"),
                    Fields::Unit => String::new(),
                };
                lines.insert(format!("{home}::{}{fields}", variant.ident));
            }
        }
        Item::Trait(item) => {
            let (generics, bounds) = (&item.generics, &item.supertraits);
            let declared = on_one_line(parse_quote!(pub trait X #generics: #bounds {}));
            lines.insert(text(&|| declared.replacen("trait X", &format!("trait {name}"), 1)));
            for item in &item.items {
                let line = match item {
                    TraitItem::Fn(item) if !is_hidden(&item.attrs) => {
                        let provided = if item.default.is_some() { "provided " } else { "" };
                        (item.sig.ident.to_string(), format!("{provided}{}", signature(krate, at, &item.sig)))
                    }
                    TraitItem::Const(item) => {
                        (item.ident.to_string(), format!("const {}: {}", item.ident, shown(item.ty.clone())))
                    }
                    TraitItem::Type(item) => {
                        let (ident, bounds) = (&item.ident, &item.bounds);
                        let declared = on_one_line(parse_quote!(trait #ident: #bounds {}));
                        (ident.to_string(), declared.replacen("trait", "type", 1))
                    }
                    _ => continue,
                };
                lines.insert(format!("{home}::{}: {}", line.0, line.1));
            }
        }
        _ => {}
    }
}

/// The lines of an implementation whose type, or whose trait, users can name.
fn implement(
    krate: &Krate,
    at: &ModPath,
    block: &ItemImpl,
    homes: &BTreeMap<Found, (String, BTreeSet<String>)>,
    lines: &mut BTreeSet<String>,
) {
    if is_hidden(&block.attrs) || !is_built(&block.attrs) {
        return;
    }
    let of = leading(&block.self_ty).and_then(|path| krate.find(at, &path));
    let Some((home, needs)) = of.and_then(|of| homes.get(&of)) else { return };
    let needs = needs | &features(&block.attrs);
    match &block.trait_ {
        Some((_, name, _)) => {
            let parts: Vec<String> = name.segments.iter().map(|part| part.ident.to_string()).collect();
            // A trait of the crate's own counts where users see it.
            if krate.find(at, &parts).is_some_and(|found| !homes.contains_key(&found)) {
                return;
            }
            let header = ItemImpl { attrs: Vec::new(), items: Vec::new(), ..block.clone() };
            lines.insert(format!("{home}{}: {}", said(&needs), on_one_line(Item::Impl(header))));
        }
        None => {
            for item in &block.items {
                match item {
                    ImplItem::Fn(item) if seen(&item.vis, &item.attrs) && is_built(&item.attrs) => {
                        let (name, sig) = (&item.sig.ident, signature(krate, at, &item.sig));
                        let extra = said(&features(&item.attrs));
                        lines.insert(format!("{home}::{name}{extra}: pub {sig}"));
                    }
                    ImplItem::Const(item) if seen(&item.vis, &item.attrs) => {
                        let of = text_of(&named_in_full(krate, at, item.ty.clone()));
                        lines.insert(format!("{home}::{}: pub const {}: {of}", item.ident, item.ident));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The path that a type begins with; references and boxes of it are other types.
fn leading(of: &Type) -> Option<Vec<String>> {
    match of {
        Type::Path(path) => Some(path.path.segments.iter().map(|part| part.ident.to_string()).collect()),
        _ => None,
    }
}

fn said(needs: &BTreeSet<String>) -> String {
    if needs.is_empty() {
        String::new()
    } else {
        format!(" [{}]", needs.iter().cloned().collect::<Vec<_>>().join(", "))
    }
}

/// `non_exhaustive`, and what is derived.
fn modifiers(attributes: &[Attribute]) -> (&'static str, String) {
    let open = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    let derived = attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).map(arguments);
    let mut names: Vec<String> = derived
        .flat_map(|list| list.split(',').map(|name| name.trim().replace(' ', "")).collect::<Vec<_>>())
        .collect();
    names.sort();
    let derive_list =
        if names.is_empty() { String::new() } else { format!(", derive({})", names.join(", ")) };
    (if open { "non_exhaustive " } else { "" }, derive_list)
}

fn signature(krate: &Krate, at: &ModPath, signature: &Signature) -> String {
    let mut signature = signature.clone();
    InFull { krate, at }.visit_signature_mut(&mut signature);
    let function: ItemFn = parse_quote!(#signature {});
    on_one_line(Item::Fn(function))
}

fn named_in_full(krate: &Krate, at: &ModPath, mut of: Type) -> Type {
    InFull { krate, at }.visit_type_mut(&mut of);
    of
}

/// Writes imported names of the wire and of the transport with the path they come from, so that they are noticed.
struct InFull<'a> {
    krate: &'a Krate,
    at: &'a ModPath,
}

impl VisitMut for InFull<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(first) = path.segments.first() else { return };
        let Some(full) = self.krate.imported(self.at, &first.ident.to_string()) else { return };
        let (arguments, rest) =
            (first.arguments.clone(), path.segments.iter().skip(1).cloned().collect::<Vec<_>>());
        let Ok(mut whole) = syn::parse_str::<syn::Path>(&full) else { return };
        if let Some(last) = whole.segments.last_mut() {
            last.arguments = arguments;
        }
        whole.segments.extend(rest);
        *path = whole;
    }
}

/// An item on one line, without its empty body.
fn on_one_line(item: Item) -> String {
    let file = syn::File { shebang: None, attrs: Vec::new(), items: vec![item] };
    let text = prettyplease::unparse(&file).split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches("{}").trim_end().trim_end_matches([';', ',']);
    [("( ", "("), (", )", ")"), (",)", ")"), ("< ", "<"), (", >", ">")]
        .iter()
        .fold(text.to_owned(), |text, (wide, narrow)| text.replace(wide, narrow))
}

fn text_of(of: &Type) -> String {
    on_one_line(parse_quote!(type X = #of;)).replacen("type X = ", "", 1)
}

/// `<..>`, and nothing where there are no parameters.
fn parameters(generics: &Generics) -> String {
    on_one_line(parse_quote!(struct X #generics;)).replacen("struct X", "", 1)
}
