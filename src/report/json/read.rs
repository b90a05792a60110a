//! Turns JSON into an encoded message.

use super::NotHistory;
use super::schema::{Schema, is_list};
use base64::Engine;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::Type;
use prost_types::value::Kind;
use serde_json::Value;

/// How deep messages may be nested. prost's decoder has a similar limit.
const MAX_DEPTH: usize = 90;

/// A message, encoded. Unknown fields are ignored: newer schedulers may write them.
pub(super) fn message(schema: &Schema, name: &str, value: &Value) -> Result<Vec<u8>, NotHistory> {
    nested(schema, name, value, MAX_DEPTH)
}

fn nested(schema: &Schema, name: &str, value: &Value, depth: usize) -> Result<Vec<u8>, NotHistory> {
    let depth = depth.checked_sub(1).ok_or_else(|| NotHistory::because("it is nested too deep"))?;
    match name {
        ".google.protobuf.Timestamp" => return time(value).map(|time| time.encode_to_vec()),
        ".google.protobuf.Duration" => {
            let duration = value.as_str().and_then(|text| text.parse::<prost_types::Duration>().ok());
            return duration.map(|it| it.encode_to_vec()).ok_or_else(|| expected(value, "a duration"));
        }
        ".google.protobuf.Value" => return Ok(struct_value(value, depth)?.encode_to_vec()),
        _ => {}
    }
    let fields = schema.fields(name);
    let mut bytes = Vec::new();
    if name.starts_with(".google.protobuf.") && name.ends_with("Value") {
        for field in fields {
            put(schema, field, value, depth, &mut bytes)?;
        }
        return Ok(bytes);
    }
    let Value::Object(object) = value else { return Err(expected(value, "an object")) };
    for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let Some(field) = fields.iter().find(|field| field.json_name() == key || field.name() == key) else {
            continue;
        };
        put_field(schema, field, value, depth, &mut bytes).map_err(|error| error.inside(key))?;
    }
    Ok(bytes)
}

fn put_field(
    schema: &Schema,
    field: &FieldDescriptorProto,
    value: &Value,
    depth: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), NotHistory> {
    if schema.is_map(field) {
        let Value::Object(map) = value else { return Err(expected(value, "an object")) };
        for (key, value) in map {
            let entry = serde_json::json!({ "key": key, "value": value });
            put(schema, field, &entry, depth, bytes).map_err(|error| error.inside(key))?;
        }
        Ok(())
    } else if is_list(field) {
        let Value::Array(list) = value else { return Err(expected(value, "an array")) };
        list.iter().try_for_each(|value| put(schema, field, value, depth, bytes))
    } else {
        put(schema, field, value, depth, bytes)
    }
}

#[expect(clippy::cast_sign_loss, reason = "negative numbers travel as their two's complement")]
fn put(
    schema: &Schema,
    field: &FieldDescriptorProto,
    value: &Value,
    depth: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), NotHistory> {
    let number = field.number().unsigned_abs();
    let mut varint = |of: u64| {
        encode_key(number, WireType::Varint, bytes);
        encode_varint(of, bytes);
        Ok(())
    };
    let content = match field.r#type() {
        Type::Bool => return varint(value.as_bool().ok_or_else(|| expected(value, "true or false"))?.into()),
        Type::Enum => {
            let named = value.as_str().and_then(|name| schema.number_of(field.type_name(), name));
            let found = named.map(i64::from).or_else(|| value.as_i64());
            return varint(found.ok_or_else(|| expected(value, "a name of the enum"))? as u64);
        }
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => {
            return varint(whole(value).ok_or_else(|| expected(value, "a whole number"))? as u64);
        }
        Type::Double => {
            let real = value.as_f64().ok_or_else(|| expected(value, "a number"))?;
            encode_key(number, WireType::SixtyFourBit, bytes);
            bytes.extend_from_slice(&real.to_le_bytes());
            return Ok(());
        }
        Type::String => value.as_str().ok_or_else(|| expected(value, "a text"))?.as_bytes().to_vec(),
        Type::Bytes => {
            let text = value.as_str().ok_or_else(|| expected(value, "a text"))?;
            let read = base64::engine::general_purpose::STANDARD.decode(text);
            read.map_err(|_| expected(value, "base64"))?
        }
        Type::Message => nested(schema, field.type_name(), value, depth)?,
        Type::Float
        | Type::Fixed32
        | Type::Fixed64
        | Type::Sfixed32
        | Type::Sfixed64
        | Type::Sint32
        | Type::Sint64
        | Type::Group => return Err(NotHistory::because("the protocol has no such field yet")),
    };
    encode_key(number, WireType::LengthDelimited, bytes);
    encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(&content);
    Ok(())
}

/// A whole number; some writers put large ones, or all of them, into text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn time(value: &Value) -> Result<prost_types::Timestamp, NotHistory> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| expected(value, "a time in RFC 3339"))
}

fn struct_value(value: &Value, depth: usize) -> Result<prost_types::Value, NotHistory> {
    let depth = depth.checked_sub(1).ok_or_else(|| NotHistory::because("it is nested too deep"))?;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => {
            let values = list.iter().map(|value| struct_value(value, depth)).collect::<Result<_, _>>()?;
            Kind::ListValue(prost_types::ListValue { values })
        }
        Value::Object(object) => {
            let field = |(key, value): (&String, &Value)| Ok((key.clone(), struct_value(value, depth)?));
            let fields = object.iter().map(field).collect::<Result<_, NotHistory>>()?;
            Kind::StructValue(prost_types::Struct { fields })
        }
    };
    Ok(prost_types::Value { kind: Some(kind) })
}

fn expected(value: &Value, what: &str) -> NotHistory {
    NotHistory::because(format!("{} is not {what}", crate::report::short(&value.to_string(), 60)))
}
