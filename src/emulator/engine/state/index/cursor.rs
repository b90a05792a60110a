//! Writes and reads the continuation tokens of pages of instances.
//!
//! A token is never empty and never `0`, which some SDKs take for the end, and it spells the id it stands at: one of
//! the SDKs looks for it there.

use crate::emulator::engine::command::Refusal;
use crate::model::{InstanceId, Timestamp};

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// In a walk by the moment of creation.
    Created(Timestamp, InstanceId),
    /// In a walk by id.
    Named(InstanceId),
    /// In a walk by the moment of the end.
    Ended(Timestamp, InstanceId),
    /// The same, of a client that walks on until a page is empty.
    EndedUntilEmpty(Timestamp, InstanceId),
}

impl Cursor {
    pub(super) fn write(&self) -> String {
        match self {
            Self::Created(at, id) => format!("created/{}/{id}", at.as_micros()),
            Self::Named(id) => format!("named/{id}"),
            Self::Ended(at, id) => format!("ended/{}/{id}", at.as_micros()),
            Self::EndedUntilEmpty(at, id) => format!("ended-until-empty/{}/{id}", at.as_micros()),
        }
    }

    pub(super) fn read(token: &str) -> Result<Self, Refusal> {
        let parsed = token.split_once('/').and_then(|(order, rest)| match order {
            "named" if !rest.is_empty() => Some(Self::Named(InstanceId::unchecked(rest))),
            "created" => moment_and_id(rest).map(|(at, id)| Self::Created(at, id)),
            "ended" => moment_and_id(rest).map(|(at, id)| Self::Ended(at, id)),
            "ended-until-empty" => moment_and_id(rest).map(|(at, id)| Self::EndedUntilEmpty(at, id)),
            _ => None,
        });
        parsed.ok_or_else(|| Refusal::Invalid {
            what: format!(
                "the continuation token {token:?} is none of this hub's: give back what the last page said"
            ),
        })
    }
}

fn moment_and_id(rest: &str) -> Option<(Timestamp, InstanceId)> {
    let (micros, id) = rest.split_once('/')?;
    let at = Timestamp::from_micros(micros.parse().ok()?);
    (!id.is_empty()).then(|| (at, InstanceId::unchecked(id)))
}
