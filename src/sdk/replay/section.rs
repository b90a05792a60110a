//! Sees that an orchestration calls only entities that its critical section has locked, one call of each at a time.

use super::failure::InvalidCall;
use std::collections::BTreeSet;

/// A critical section: asked for, or held.
#[derive(Debug)]
pub(super) struct Section {
    held: bool,
    locked: BTreeSet<String>,
    busy: BTreeSet<String>,
}

impl Section {
    /// A section whose lock was asked for and is not granted yet.
    pub(super) fn asked(locked: BTreeSet<String>) -> Self {
        Self { held: false, locked, busy: BTreeSet::new() }
    }

    /// The lock is granted.
    pub(super) fn grant(&mut self) {
        self.held = true;
    }

    /// Whether, and why, `entity` may not be called now. It is busy from then on.
    pub(super) fn enter(&mut self, entity: &str) -> Result<(), InvalidCall> {
        if !self.held {
            return Ok(());
        }
        if !self.locked.contains(entity) {
            return Err(InvalidCall::NotLocked { entity: entity.to_owned() });
        }
        if !self.busy.insert(entity.to_owned()) {
            return Err(InvalidCall::Busy { entity: entity.to_owned() });
        }
        Ok(())
    }

    /// The call to `entity` has returned.
    pub(super) fn leave(&mut self, entity: &str) {
        self.busy.remove(entity);
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }
}
