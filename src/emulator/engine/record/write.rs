//! Writes the fields of a record as protobuf does, straight from the values: no payload is copied before its bytes are
//! written.

use crate::model::{ExecutionId, InstanceId, Timestamp};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Writes fields, or only counts how many bytes they would take.
pub(super) struct FieldWriter<'a> {
    out: Option<&'a mut Vec<u8>>,
    length: usize,
}

impl<'a> FieldWriter<'a> {
    /// How many bytes `write` writes.
    pub(super) fn measure(write: impl Fn(&mut FieldWriter<'_>)) -> usize {
        let mut counting = FieldWriter { out: None, length: 0 };
        write(&mut counting);
        counting.length
    }

    pub(super) fn to(out: &'a mut Vec<u8>) -> Self {
        Self { out: Some(out), length: 0 }
    }

    fn varint(&mut self, value: u64) {
        self.length += encoded_len_varint(value);
        if let Some(out) = &mut self.out {
            encode_varint(value, *out);
        }
    }

    fn key(&mut self, field: u32, wire: WireType) {
        self.length += encoded_len_varint(u64::from(field << 3));
        if let Some(out) = &mut self.out {
            encode_key(field, wire, *out);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
    }

    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.key(field, WireType::Varint);
        self.varint(value);
    }

    pub(super) fn count(&mut self, field: u32, value: usize) {
        self.number(field, value as u64);
    }

    pub(super) fn flag(&mut self, field: u32, value: bool) {
        self.number(field, u64::from(value));
    }

    /// An action's id, which may be negative.
    pub(super) fn action(&mut self, field: u32, id: i32) {
        // As protobuf writes an int32: ten bytes where it is negative, which no SDK's ids are.
        #[expect(clippy::cast_sign_loss, reason = "the sign is in the bits")]
        self.number(field, i64::from(id) as u64);
    }

    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, WireType::LengthDelimited);
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A text that may be missing, which is not the empty text.
    pub(super) fn maybe_text(&mut self, field: u32, text: Option<&str>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    pub(super) fn id(&mut self, field: u32, id: &InstanceId) {
        self.text(field, id.as_str());
    }

    pub(super) fn execution(&mut self, field: u32, execution: &ExecutionId) {
        self.text(field, execution.as_str());
    }

    pub(super) fn moment(&mut self, field: u32, at: Timestamp) {
        self.key(field, WireType::SixtyFourBit);
        self.raw(&at.as_micros().to_le_bytes());
    }

    /// A message of the protocol.
    pub(super) fn message(&mut self, field: u32, message: &impl Message) {
        let length = message.encoded_len();
        self.key(field, WireType::LengthDelimited);
        self.varint(length as u64);
        self.length += length;
        if let Some(out) = &mut self.out {
            message.encode_raw(*out);
        }
    }

    /// A message of our own, whose fields `write` writes.
    pub(super) fn nested(&mut self, field: u32, write: impl Fn(&mut FieldWriter<'_>)) {
        let length = FieldWriter::measure(&write);
        self.key(field, WireType::LengthDelimited);
        self.varint(length as u64);
        match &mut self.out {
            Some(out) => {
                let mut inner = FieldWriter::to(out);
                write(&mut inner);
                self.length += inner.length;
            }
            None => self.length += length,
        }
    }
}
