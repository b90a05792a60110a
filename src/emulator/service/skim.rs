//! Extracts small fields from a message that is too large to be decoded.
//!
//! SDKs send a refused completion again for ever, and only its fields name its work item. So a completion of any length
//! is read as it arrives: the fields that name its work item are kept, all others are skipped, and no more than a few
//! kilobytes are in memory.

use std::collections::BTreeMap;

/// The longest field that is kept, in bytes: tokens and ids are far shorter.
const LONGEST: u64 = 8 << 10;

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is malformed: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// The key of a text field.
pub(super) const fn text(field: u64) -> u64 {
    field << 3 | 2
}

/// The key of a numeric field.
pub(super) const fn number(field: u64) -> u64 {
    field << 3
}

/// What the next byte belongs to.
#[derive(Debug)]
enum SkimState {
    /// The key of a field: its number and type.
    Key(Varint),
    /// The value of a numeric field.
    Number { key: u64, value: Varint },
    /// The length of a field.
    Length { key: u64, length: Varint },
    /// A skipped field, of which so many bytes are left.
    Skipped(u64),
    /// A field that is kept.
    Kept { key: u64, left: u64, body: Vec<u8> },
}

/// A varint of which some bytes have been read.
#[derive(Debug, Default, Clone, Copy)]
struct Varint {
    value: u64,
    bits: u32,
}

impl Varint {
    /// Takes a byte. Returns whether it was the last.
    fn take(&mut self, byte: u8) -> Result<bool, Malformed> {
        if self.bits >= 64 {
            return Err(Malformed("a number has more than ten bytes"));
        }
        self.value |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        Ok(byte & 0x80 == 0)
    }
}

/// Reads a message piece by piece.
#[derive(Debug)]
pub(super) struct Skimmer {
    wanted: &'static [u64],
    state: SkimState,
    /// How many groups are open: a field inside of one is not a field of the message.
    depth: u32,
    /// The fields kept, encoded, by key. As in any decoder the last occurrence counts.
    kept: BTreeMap<u64, Vec<u8>>,
}

impl Skimmer {
    /// Keeps the fields with these keys ([`text`], [`number`]).
    pub(super) fn new(wanted: &'static [u64]) -> Self {
        Self { wanted, state: SkimState::Key(Varint::default()), depth: 0, kept: BTreeMap::new() }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes are no message.
    pub(super) fn read(&mut self, mut piece: &[u8]) -> Result<(), Malformed> {
        while !piece.is_empty() {
            match &mut self.state {
                SkimState::Skipped(left) => {
                    let here = (*left).min(piece.len() as u64);
                    piece = piece.get(usize::try_from(here).unwrap_or(usize::MAX)..).unwrap_or_default();
                    *left -= here;
                    if *left == 0 {
                        self.state = SkimState::Key(Varint::default());
                    }
                }
                SkimState::Kept { key, left, body } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                    let (taken, rest) = piece.split_at(here);
                    body.extend_from_slice(taken);
                    *left -= here as u64;
                    piece = rest;
                    if *left == 0 {
                        let (key, body) = (*key, std::mem::take(body));
                        self.keep(key, &body);
                    }
                }
                SkimState::Key(_) | SkimState::Number { .. } | SkimState::Length { .. } => {
                    let (byte, rest) = (piece[0], &piece[1..]);
                    piece = rest;
                    self.step(byte)?;
                }
            }
        }
        Ok(())
    }

    /// The fields kept, as an encoded message, and whether the last piece ended at the end of a field.
    pub(super) fn end(self) -> (Vec<u8>, Result<(), Malformed>) {
        let end = match self.state {
            SkimState::Key(Varint { bits: 0, .. }) if self.depth == 0 => Ok(()),
            SkimState::Key(_)
            | SkimState::Number { .. }
            | SkimState::Length { .. }
            | SkimState::Skipped(_)
            | SkimState::Kept { .. } => Err(Malformed("it ends in the middle of a field")),
        };
        (self.kept.into_values().flatten().collect(), end)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        match &mut self.state {
            SkimState::Key(varint) => {
                if varint.take(byte)? {
                    let key = varint.value;
                    self.state = self.field(key)?;
                }
            }
            SkimState::Number { key, value } => {
                if value.take(byte)? {
                    let (key, value) = (*key, value.value);
                    if self.is_wanted(key) {
                        let mut field = Vec::new();
                        prost::encoding::encode_varint(key, &mut field);
                        prost::encoding::encode_varint(value, &mut field);
                        self.kept.insert(key, field);
                    }
                    self.state = SkimState::Key(Varint::default());
                }
            }
            SkimState::Length { key, length } => {
                if length.take(byte)? {
                    let (key, length) = (*key, length.value);
                    self.state = match length {
                        0 => {
                            self.kept.remove(&key);
                            SkimState::Key(Varint::default())
                        }
                        _ if length <= LONGEST && self.is_wanted(key) => {
                            SkimState::Kept { key, left: length, body: Vec::new() }
                        }
                        _ => SkimState::Skipped(length),
                    };
                }
            }
            SkimState::Skipped(_) | SkimState::Kept { .. } => {}
        }
        Ok(())
    }

    fn is_wanted(&self, key: u64) -> bool {
        self.depth == 0 && self.wanted.contains(&key)
    }

    /// What follows the key of a field.
    fn field(&mut self, key: u64) -> Result<SkimState, Malformed> {
        Ok(match key & 7 {
            0 => SkimState::Number { key, value: Varint::default() },
            1 => SkimState::Skipped(8),
            2 => SkimState::Length { key, length: Varint::default() },
            3 => {
                self.depth += 1;
                SkimState::Key(Varint::default())
            }
            4 => {
                self.depth = self.depth.checked_sub(1).ok_or(Malformed("a group ends that has not begun"))?;
                SkimState::Key(Varint::default())
            }
            5 => SkimState::Skipped(4),
            _ => return Err(Malformed("a field is of no known type")),
        })
    }

    fn keep(&mut self, key: u64, body: &[u8]) {
        self.state = SkimState::Key(Varint::default());
        // Bytes that are no text would make the whole of what is kept unreadable.
        if std::str::from_utf8(body).is_err() {
            return;
        }
        let mut field = Vec::with_capacity(body.len() + 8);
        prost::encoding::encode_varint(key, &mut field);
        prost::encoding::encode_varint(body.len() as u64, &mut field);
        field.extend_from_slice(body);
        self.kept.insert(key, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use prost::Message as _;

    fn skim(message: &[u8], piece: usize) -> Result<Vec<u8>, Malformed> {
        let mut skimmer = Skimmer::new(const { &[text(1), number(2), text(5)] });
        for piece in message.chunks(piece) {
            skimmer.read(piece)?;
        }
        let (kept, end) = skimmer.end();
        end.map(|()| kept)
    }

    #[test]
    fn what_names_the_work_is_kept_and_all_else_is_passed_over_however_it_comes() {
        let small = wire::ActivityResponse {
            instance_id: "i".repeat(300),
            task_id: -7,
            completion_token: "token".into(),
            ..Default::default()
        };
        let failure_details =
            Some(wire::TaskFailureDetails { error_message: "m".repeat(70_000), ..Default::default() });
        let result = Some("r".repeat(100_000));
        let large = wire::ActivityResponse { result, failure_details, ..small.clone() }.encode_to_vec();
        for piece in [1, 2, 3, 7, 4_096, large.len()] {
            let kept = skim(&large, piece).unwrap();
            assert!(kept.len() < 400);
            assert_eq!(wire::ActivityResponse::decode(&*kept).unwrap(), small);
        }
    }

    #[test]
    fn memory_is_bounded_by_what_is_wanted_and_not_by_what_comes() {
        let mut skimmer = Skimmer::new(const { &[text(1), number(2), text(5)] });
        for number in 0..100_000_u32 {
            let again = wire::ActivityResponse {
                instance_id: format!("{number}"),
                task_id: 1,
                completion_token: "t".repeat(9_000),
                ..Default::default()
            };
            skimmer.read(&again.encode_to_vec()).unwrap();
        }
        let (kept, end) = skimmer.end();
        let kept = wire::ActivityResponse::decode(&*kept).unwrap();
        assert_eq!(end, Ok(()));
        assert_eq!((kept.instance_id.as_str(), kept.task_id), ("99999", 1), "the last one counts");
        assert_eq!(kept.completion_token, "", "no token is that long");
    }

    #[test]
    fn what_is_in_a_group_is_no_field_of_the_message() {
        // Group 9 with a field 5 in it, then the field 5 of the message, a fixed64 and a fixed32.
        let mut message = vec![0x4b, 0x2a, 1, b'x', 0x4c, 0x2a, 1, b'y'];
        message.extend([0x31, 0, 0, 0, 0, 0, 0, 0, 0, 0x3d, 0, 0, 0, 0]);
        let kept = skim(&message, 1).unwrap();
        assert_eq!(wire::ActivityResponse::decode(&*kept).unwrap().completion_token, "y");
    }

    #[test]
    fn what_is_no_message_is_called_so() {
        for senseless in [&[0x2a, 5, b'x'][..], &[0x80], &[0xff; 11], &[0x4c], &[0x4b], &[0x2f, 0]] {
            assert!(skim(senseless, 1).is_err(), "{senseless:?}");
        }
    }
}
