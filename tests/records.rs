//! Reads the kept records with `docs/records.proto`, as any protobuf tool would.

use protox::prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};
use std::collections::BTreeSet;

const KEPT: &str = include_str!("fixtures/records/version-1.txt");

#[test]
fn the_documented_format_is_the_one_that_is_written() {
    let root = env!("CARGO_MANIFEST_DIR");
    let files =
        protox::compile(["records.proto"], [format!("{root}/docs"), format!("{root}/proto")]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    let record = pool.get_message_by_name("taskhub.records.Record").unwrap();
    let mut written = BTreeSet::new();
    for line in KEPT.lines() {
        let (name, hex) = line.split_once(": ").unwrap();
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let read = DynamicMessage::decode(record.clone(), &*bytes.collect::<Vec<u8>>()).unwrap();
        visit(name, &read, &mut written);
    }
    let declared: BTreeSet<String> = pool
        .all_messages()
        .filter(|message| message.package_name() == "taskhub.records")
        .flat_map(|message| message.fields().map(|field| field.full_name().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(written, declared, "what is written, and what docs/records.proto declares");
}

/// Collects the fields of our own messages that a record has; one that the document does not declare is an error.
fn visit(name: &str, message: &DynamicMessage, written: &mut BTreeSet<String>) {
    let of = message.descriptor();
    let unknown: Vec<u32> =
        message.unknown_fields().map(protox::prost_reflect::UnknownField::number).collect();
    assert!(unknown.is_empty(), "{name}: {} has the fields {unknown:?}", of.full_name());
    for (field, value) in message.fields() {
        if of.package_name() == "taskhub.records" {
            written.insert(field.full_name().to_owned());
        }
        let values = if let Value::List(values) = value { values.clone() } else { vec![value.clone()] };
        for value in &values {
            if let Value::Message(inner) = value {
                visit(name, inner, written);
            }
        }
    }
}
