//! Turns an encoded message into JSON.

use super::schema::{Schema, is_list};
use crate::model::Timestamp;
use base64::Engine;
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::Type;
use prost_types::value::Kind;
use serde_json::{Map, Number, Value};

/// One field as it is on the wire.
enum RawField<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message as JSON. A field that does not match its descriptor is left out.
pub(super) fn message(schema: &Schema, name: &str, mut bytes: &[u8]) -> Value {
    match name {
        ".google.protobuf.Timestamp" => return time(bytes),
        ".google.protobuf.Duration" => return duration(bytes),
        ".google.protobuf.Value" => {
            return prost_types::Value::decode(bytes).map_or(Value::Null, struct_value);
        }
        _ => {}
    }
    let fields = schema.fields(name);
    let wrapped = name.starts_with(".google.protobuf.") && name.ends_with("Value");
    let mut object = Map::new();
    for field in fields.iter().filter(|field| wrapped || is_written_at_zero(field)) {
        object.insert(field.json_name().to_owned(), scalar(schema, field, &RawField::Number(0)));
    }
    while let Some((number, raw)) = next(&mut bytes) {
        let Some(field) = fields.iter().find(|field| field.number().unsigned_abs() == number) else {
            continue;
        };
        let key = field.json_name().to_owned();
        if schema.is_map(field) {
            let RawField::Bytes(entry) = raw else { continue };
            let Value::Object(mut entry) = message(schema, field.type_name(), entry) else { continue };
            let map = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
            let name = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.remove("value").unwrap_or_else(|| Value::String(String::new()));
            if let Value::Object(map) = map {
                map.insert(name, value);
            }
        } else if is_list(field) {
            let value = scalar(schema, field, &raw);
            let list = object.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else {
            object.insert(key, scalar(schema, field, &raw));
        }
    }
    if wrapped { object.remove("value").unwrap_or_default() } else { Value::Object(object) }
}

/// Whether a field is written although it is zero: 0 is an id and a status.
fn is_written_at_zero(field: &FieldDescriptorProto) -> bool {
    matches!(field.r#type(), Type::Int32 | Type::Enum) && !is_list(field) && field.oneof_index.is_none()
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u32, RawField<'a>)> {
    if bytes.is_empty() {
        return None;
    }
    let (number, kind) = decode_key(bytes).ok()?;
    let raw = match kind {
        WireType::Varint => RawField::Number(decode_varint(bytes).ok()?),
        WireType::SixtyFourBit => RawField::Number(bytes.try_get_u64_le().ok()?),
        WireType::ThirtyTwoBit => RawField::Number(bytes.try_get_u32_le().ok()?.into()),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            RawField::Bytes(taken)
        }
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    Some((number, raw))
}

#[expect(clippy::cast_possible_truncation, reason = "a varint holds a 32-bit number in its lower half")]
#[expect(clippy::cast_possible_wrap, reason = "negative numbers travel as their two's complement")]
fn scalar(schema: &Schema, field: &FieldDescriptorProto, raw: &RawField<'_>) -> Value {
    match (field.r#type(), raw) {
        (Type::Message, RawField::Bytes(bytes)) => message(schema, field.type_name(), bytes),
        (Type::String, RawField::Bytes(bytes)) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        (Type::Bytes, RawField::Bytes(bytes)) => {
            Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        (Type::String | Type::Bytes, RawField::Number(_)) => Value::String(String::new()),
        (Type::Bool, RawField::Number(number)) => Value::Bool(*number != 0),
        (Type::Enum, RawField::Number(number)) => {
            let number = *number as i32;
            schema.name_of(field.type_name(), number).map_or_else(|| number.into(), Value::from)
        }
        (Type::Double, RawField::Number(bits)) => real(f64::from_bits(*bits)),
        (Type::Float, RawField::Number(bits)) => real(f64::from(f32::from_bits(*bits as u32))),
        (Type::Int64 | Type::Sfixed64, RawField::Number(number)) => {
            Value::String((*number as i64).to_string())
        }
        (Type::Uint64 | Type::Fixed64, RawField::Number(number)) => Value::String(number.to_string()),
        (Type::Uint32 | Type::Fixed32, RawField::Number(number)) => (*number as u32).into(),
        (Type::Sint32 | Type::Sint64, RawField::Number(number)) => {
            let value = ((*number >> 1) as i64) ^ -((*number & 1) as i64);
            value.into()
        }
        (_, RawField::Number(number)) => (*number as i32).into(),
        (_, RawField::Bytes(_)) => Value::Null,
    }
}

fn time(bytes: &[u8]) -> Value {
    let wire = prost_types::Timestamp::decode(bytes).unwrap_or_default();
    let whole = Timestamp::from_wire(&prost_types::Timestamp { nanos: 0, ..wire }).to_string();
    let text = match wire.nanos {
        0 => whole.replace(".000000Z", "Z"),
        nanos if nanos % 1_000 == 0 => whole.replace(".000000Z", &format!(".{:06}Z", nanos / 1_000)),
        nanos => whole.replace(".000000Z", &format!(".{nanos:09}Z")),
    };
    Value::String(text)
}

fn duration(bytes: &[u8]) -> Value {
    let wire = prost_types::Duration::decode(bytes).unwrap_or_default();
    Value::String(wire.to_string())
}

fn struct_value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => real(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(struct_value).collect(),
        Some(Kind::StructValue(object)) => {
            object.fields.into_iter().map(|(key, value)| (key, struct_value(value))).collect()
        }
    }
}

/// A number. JSON has no infinities and no NaN: they are written as text.
fn real(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}
