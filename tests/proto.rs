//! Proves `proto/` equal to the published protocol: every name, number, type, label and method.

use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use std::collections::{BTreeMap, BTreeSet};

/// Facts of the published descriptors, as `tests/interop/descriptors.py` writes them.
const PUBLISHED: &str = include_str!("fixtures/protocol.txt");

#[test]
fn ours_says_what_the_published_protocol_says() {
    let published: BTreeSet<String> = published().map(str::to_owned).collect();
    let ours = ours();
    let missing = published.difference(&ours).map(|fact| format!("  published only: {fact}"));
    let extra = ours.difference(&published).map(|fact| format!("  ours only:      {fact}"));
    let differences: Vec<String> = missing.chain(extra).collect();
    assert!(
        differences.is_empty(),
        "proto/ differs from the published protocol:\n{}",
        differences.join("\n")
    );
}

#[test]
fn the_published_facts_are_a_sorted_list_without_repeats() {
    let facts: Vec<&str> = published().collect();
    let sorted: Vec<&str> = facts.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(facts, sorted, "tests/fixtures/protocol.txt was edited by hand");
    assert_eq!(facts.iter().filter(|fact| fact.starts_with("rpc ")).count(), 29);
}

fn published() -> impl Iterator<Item = &'static str> {
    PUBLISHED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The facts of our own files, read by the compiler that `build.rs` uses.
fn ours() -> BTreeSet<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let set =
        protox::compile(["orchestrator_service.proto"], [format!("{root}/proto")]).expect("proto/ compiles");
    let mut facts = BTreeSet::new();
    for file in set.file.iter().filter(|file| !file.name().starts_with("google/")) {
        facts_of_file(file, &mut facts);
    }
    facts
}

fn facts_of_file(file: &FileDescriptorProto, facts: &mut BTreeSet<String>) {
    facts.insert(format!("syntax {}", file.syntax()));
    facts.insert(format!("package {}", file.package.as_deref().unwrap_or("(none)")));
    for declared in &file.enum_type {
        facts_of_enum(declared, "", facts);
    }
    for message in &file.message_type {
        facts_of_message(message, "", facts);
    }
    for service in &file.service {
        for method in &service.method {
            let asks = direction(method.client_streaming(), method.input_type());
            let gives = direction(method.server_streaming(), method.output_type());
            facts.insert(format!("rpc {}.{} {asks} -> {gives}", service.name(), method.name()));
        }
    }
}

fn direction(streams: bool, message: &str) -> String {
    format!("{}{}", if streams { "stream " } else { "" }, message.trim_start_matches('.'))
}

fn facts_of_enum(declared: &EnumDescriptorProto, prefix: &str, facts: &mut BTreeSet<String>) {
    for value in &declared.value {
        facts.insert(format!("enum {prefix}{}.{} = {}", declared.name(), value.name(), value.number()));
    }
}

fn facts_of_message(message: &DescriptorProto, prefix: &str, facts: &mut BTreeSet<String>) {
    let name = format!("{prefix}{}", message.name());
    facts.insert(format!("message {name}"));
    let entries: Entries<'_> =
        message.nested_type.iter().filter(|nested| is_map_entry(nested)).map(|e| (e.name(), e)).collect();
    for field in &message.field {
        let mut fact =
            format!("field {name}.{} = {} {}", field.name(), field.number(), type_of(field, &entries));
        if field.proto3_optional() {
            fact.push_str(" optional");
        } else if let Some(oneof) = field.oneof_index {
            let oneof = usize::try_from(oneof).expect("an index is not negative");
            fact = [&fact, "oneof", message.oneof_decl[oneof].name()].join(" ");
        }
        if field.options.as_ref().is_some_and(prost_types::FieldOptions::deprecated) {
            fact.push_str(" deprecated");
        }
        facts.insert(fact);
    }
    for range in &message.reserved_range {
        facts.insert(format!("reserved {name} {}..{}", range.start(), range.end()));
    }
    for declared in &message.enum_type {
        facts_of_enum(declared, &format!("{name}."), facts);
    }
    for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
        facts_of_message(nested, &format!("{name}."), facts);
    }
}

/// The hidden messages that a `map` field is made of, by their short name.
type Entries<'a> = BTreeMap<&'a str, &'a DescriptorProto>;

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

/// The type as a `.proto` file would write it: `string`, `repeated Thing`, `map<string, string>`.
fn type_of(field: &FieldDescriptorProto, entries: &Entries<'_>) -> String {
    let name = match field.type_name.as_deref() {
        Some(named) => named.trim_start_matches('.').to_owned(),
        None => field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    if field.label() != Label::Repeated {
        return name;
    }
    match name.rsplit('.').next().and_then(|short| entries.get(short)) {
        None => format!("repeated {name}"),
        Some(entry) => {
            let parts: Vec<String> = entry.field.iter().map(|part| type_of(part, &Entries::new())).collect();
            format!("map<{}>", parts.join(", "))
        }
    }
}
