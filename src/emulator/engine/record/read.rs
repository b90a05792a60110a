//! Reads the fields of a record: each is taken by its number, and none may be left.

use super::RecordError;
use crate::model::{ExecutionId, InstanceId, Timestamp};
use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

/// The fields of one message that are not taken yet, in the order in which they stand.
#[derive(Debug)]
pub(super) struct Fields {
    of: &'static str,
    left: Vec<(u32, FieldValue)>,
}

#[derive(Debug)]
enum FieldValue {
    Number(u64),
    Fixed(i64),
    Bytes(Bytes),
}

impl Fields {
    /// Takes a message apart; payloads stay slices of `bytes`.
    pub(super) fn of(of: &'static str, mut bytes: Bytes) -> Result<Self, RecordError> {
        let broken = |_| RecordError::Broken { of };
        let mut left = Vec::new();
        while bytes.has_remaining() {
            let (field, wire) = decode_key(&mut bytes).map_err(broken)?;
            let value = match wire {
                WireType::Varint => FieldValue::Number(decode_varint(&mut bytes).map_err(broken)?),
                WireType::SixtyFourBit if bytes.remaining() >= 8 => FieldValue::Fixed(bytes.get_i64_le()),
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut bytes).map_err(broken)?;
                    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.remaining());
                    FieldValue::Bytes(bytes.split_to(length.ok_or(RecordError::Broken { of })?))
                }
                WireType::SixtyFourBit
                | WireType::ThirtyTwoBit
                | WireType::StartGroup
                | WireType::EndGroup => {
                    return Err(RecordError::Broken { of });
                }
            };
            left.push((field, value));
        }
        Ok(Self { of, left })
    }

    /// Ends reading: a field that is left is one that this reader does not know.
    pub(super) fn end<T>(self, read: T) -> Result<T, RecordError> {
        match self.left.first() {
            None => Ok(read),
            Some((field, _)) => Err(RecordError::Unknown { of: self.of, field: *field }),
        }
    }

    /// The first field that is left, taken out.
    pub(super) fn take_first(&mut self) -> Option<(u32, Bytes)> {
        match self.left.first()? {
            (field, FieldValue::Bytes(bytes)) => {
                let taken = (*field, bytes.clone());
                self.left.remove(0);
                Some(taken)
            }
            (_, FieldValue::Number(_) | FieldValue::Fixed(_)) => None,
        }
    }

    fn take(&mut self, field: u32) -> Option<FieldValue> {
        let at = self.left.iter().position(|(number, _)| *number == field)?;
        Some(self.left.remove(at).1)
    }

    fn missing(&self, field: u32) -> RecordError {
        RecordError::Missing { of: self.of, field }
    }

    fn value<T>(value: Option<T>, missing: RecordError) -> Result<T, RecordError> {
        value.ok_or(missing)
    }

    pub(super) fn maybe_number(&mut self, field: u32) -> Option<u64> {
        self.take(field)
            .and_then(|value| if let FieldValue::Number(number) = value { Some(number) } else { None })
    }

    pub(super) fn number(&mut self, field: u32) -> Result<u64, RecordError> {
        let number = self.maybe_number(field);
        Self::value(number, self.missing(field))
    }

    pub(super) fn count(&mut self, field: u32) -> Result<usize, RecordError> {
        let count = usize::try_from(self.number(field)?).ok();
        Self::value(count, self.missing(field))
    }

    pub(super) fn flag(&mut self, field: u32) -> Result<bool, RecordError> {
        Ok(self.number(field)? != 0)
    }

    pub(super) fn maybe_action(&mut self, field: u32) -> Option<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "written from an i32")]
        self.maybe_number(field).map(|id| id as i32)
    }

    pub(super) fn action(&mut self, field: u32) -> Result<i32, RecordError> {
        let id = self.maybe_action(field);
        Self::value(id, self.missing(field))
    }

    pub(super) fn maybe_moment(&mut self, field: u32) -> Option<Timestamp> {
        self.take(field).and_then(|value| {
            if let FieldValue::Fixed(micros) = value { Some(Timestamp::from_micros(micros)) } else { None }
        })
    }

    pub(super) fn moment(&mut self, field: u32) -> Result<Timestamp, RecordError> {
        let moment = self.maybe_moment(field);
        Self::value(moment, self.missing(field))
    }

    pub(super) fn maybe_bytes(&mut self, field: u32) -> Option<Bytes> {
        self.take(field)
            .and_then(|value| if let FieldValue::Bytes(bytes) = value { Some(bytes) } else { None })
    }

    pub(super) fn bytes(&mut self, field: u32) -> Result<Bytes, RecordError> {
        let bytes = self.maybe_bytes(field);
        Self::value(bytes, self.missing(field))
    }

    /// Every value of a field, in order.
    pub(super) fn all(&mut self, field: u32) -> Vec<Bytes> {
        let mut taken = Vec::new();
        for (number, value) in std::mem::take(&mut self.left) {
            if number == field
                && let FieldValue::Bytes(bytes) = value
            {
                taken.push(bytes);
            } else {
                self.left.push((number, value));
            }
        }
        taken
    }

    pub(super) fn maybe_text(&mut self, field: u32) -> Result<Option<String>, RecordError> {
        let of = self.of;
        let text = self.maybe_bytes(field).map(|bytes| String::from_utf8(bytes.into()));
        text.transpose().map_err(|_| RecordError::Broken { of })
    }

    pub(super) fn text(&mut self, field: u32) -> Result<String, RecordError> {
        let text = self.maybe_text(field)?;
        Self::value(text, self.missing(field))
    }

    pub(super) fn id(&mut self, field: u32) -> Result<InstanceId, RecordError> {
        Ok(InstanceId::unchecked(self.text(field)?))
    }

    pub(super) fn ids(&mut self, field: u32) -> Result<Vec<InstanceId>, RecordError> {
        let of = self.of;
        let id = |bytes: Bytes| match std::str::from_utf8(&bytes) {
            Ok(id) => Ok(InstanceId::unchecked(id)),
            Err(_) => Err(RecordError::Broken { of }),
        };
        self.all(field).into_iter().map(id).collect()
    }

    pub(super) fn execution(&mut self, field: u32) -> Result<ExecutionId, RecordError> {
        Ok(ExecutionId::new(self.text(field)?))
    }

    pub(super) fn maybe_message<M: Message + Default>(
        &mut self,
        field: u32,
    ) -> Result<Option<M>, RecordError> {
        let of = self.of;
        self.maybe_bytes(field).map(M::decode).transpose().map_err(|_| RecordError::Broken { of })
    }

    pub(super) fn message<M: Message + Default>(&mut self, field: u32) -> Result<M, RecordError> {
        let message = self.maybe_message(field)?;
        Self::value(message, self.missing(field))
    }

    /// A message of our own.
    pub(super) fn maybe_nested<T>(
        &mut self,
        field: u32,
        read: impl Fn(Bytes) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        self.maybe_bytes(field).map(read).transpose()
    }

    /// Every message of our own of a field, in order.
    pub(super) fn all_nested<T>(
        &mut self,
        field: u32,
        read: impl Fn(Bytes) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        self.all(field).into_iter().map(read).collect()
    }
}
