//! The protocol's messages, by its descriptors.

use prost::Message;
use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Every message and enum, by its full name with the leading dot.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
}

/// The descriptors that the build has made of `proto/`.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/protocol.bin"));
        // The build has encoded them, and every test of this module needs them.
        let files = FileDescriptorSet::decode(&bytes[..]).unwrap_or_default();
        let mut schema = Schema::default();
        for file in files.file {
            let scope =
                file.package.filter(|name| !name.is_empty()).map_or_else(String::new, |n| format!(".{n}"));
            for found in file.enum_type {
                schema.add_enum(&scope, found);
            }
            for found in file.message_type {
                schema.add_message(&scope, found);
            }
        }
        schema
    })
}

impl Schema {
    fn add_enum(&mut self, scope: &str, found: EnumDescriptorProto) {
        self.enums.insert(format!("{scope}.{}", found.name()), found);
    }

    fn add_message(&mut self, scope: &str, mut found: DescriptorProto) {
        let name = format!("{scope}.{}", found.name());
        for inner in std::mem::take(&mut found.nested_type) {
            self.add_message(&name, inner);
        }
        for inner in std::mem::take(&mut found.enum_type) {
            self.add_enum(&name, inner);
        }
        self.messages.insert(name, found);
    }

    /// The fields of a message, none where it is unknown.
    pub(super) fn fields(&self, message: &str) -> &[FieldDescriptorProto] {
        self.messages.get(message).map_or(&[], |found| &found.field)
    }

    /// Whether a field is a map: a list of entries with a key and a value.
    pub(super) fn is_map(&self, field: &FieldDescriptorProto) -> bool {
        let entry = self.messages.get(field.type_name()).and_then(|found| found.options.as_ref());
        is_list(field) && entry.is_some_and(prost_types::MessageOptions::map_entry)
    }

    /// The name of an enum's number.
    pub(super) fn name_of(&self, of: &str, number: i32) -> Option<&str> {
        self.enums.get(of)?.value.iter().find(|value| value.number() == number)?.name.as_deref()
    }

    /// The number of an enum's name.
    pub(super) fn number_of(&self, of: &str, name: &str) -> Option<i32> {
        self.enums
            .get(of)?
            .value
            .iter()
            .find(|value| value.name() == name)
            .map(EnumValueDescriptorProto::number)
    }
}

/// Whether a field may come any number of times.
pub(super) fn is_list(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated
}
