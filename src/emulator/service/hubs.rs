//! Finds the hub that a request is for.

use super::{MissingHub, metadata};
use crate::clock::{Clock as _, WallClock};
use crate::emulator::dispatch::{Handle, Limiter};
use crate::model::HubName;
use http::HeaderMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::Status;

/// How many hubs a warning lists.
const LISTED: usize = 10;

/// Makes a hub and runs it on the emulator's thread.
pub(in crate::emulator) type NewHub = Arc<dyn Fn(&HubName) -> Handle + Send + Sync>;

/// Every hub of an emulator, by name.
#[derive(Clone)]
pub(in crate::emulator) struct Hubs {
    known: Arc<Mutex<BTreeMap<HubName, Handle>>>,
    make: NewHub,
    /// The first that was named: it serves requests that name none, where there is no `default`.
    first: HubName,
    /// Whether an unknown hub is made when it is first named.
    dynamic: bool,
    missing: MissingHub,
    warnings: Arc<Mutex<Limiter>>,
}

impl Hubs {
    pub(in crate::emulator) fn new(
        names: &[HubName],
        dynamic: bool,
        missing: MissingHub,
        make: NewHub,
    ) -> Self {
        let known = names.iter().map(|name| (name.clone(), make(name))).collect();
        let first = names.first().cloned().unwrap_or_else(|| HubName::new("default"));
        Self { known: Arc::new(Mutex::new(known)), make, first, dynamic, missing, warnings: Arc::default() }
    }

    /// The first that was named.
    pub(in crate::emulator) fn first(&self) -> &HubName {
        &self.first
    }

    /// The hub of that name, if there is one.
    pub(in crate::emulator) fn get(&self, name: &HubName) -> Option<Handle> {
        self.known().get(name).cloned()
    }

    pub(in crate::emulator) fn all(&self) -> Vec<(HubName, Handle)> {
        self.known().iter().map(|(name, hub)| (name.clone(), hub.clone())).collect()
    }

    /// The hub that a request is for (wire-semantics A.2).
    pub(in crate::emulator) fn of(&self, headers: &HeaderMap) -> Result<Handle, Status> {
        let name = self.name(headers)?;
        let mut known = self.known();
        if let Some(hub) = known.get(&name) {
            return Ok(hub.clone());
        }
        if !self.dynamic {
            self.warn_of_unknown(&name, &known);
            return Err(Status::not_found(format!("Task hub not found: {name}")));
        }
        let hub = (self.make)(&name);
        known.insert(name, hub.clone());
        Ok(hub)
    }

    /// Tells of a hub that was asked for and is not there: most often one side has the name and the other has not.
    fn warn_of_unknown(&self, name: &HubName, known: &BTreeMap<HubName, Handle>) {
        if !tracing::enabled!(tracing::Level::WARN) {
            return;
        }
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = warnings.allows(name.as_str(), WallClock.now()) {
            let mut hubs: Vec<_> = known.keys().take(LISTED).map(HubName::as_str).collect();
            if known.len() > hubs.len() {
                hubs.push("...");
            }
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(
                hub = name.as_str(),
                hubs = hubs.join(", "),
                left_out,
                hint =
                    "correct the name, add it to the task hubs, or let unknown ones be created on first use",
                "there is no such task hub"
            );
        }
    }

    /// Makes the hub that a request names; in place of the one it has, where that is asked for.
    pub(super) async fn create(&self, headers: &HeaderMap, replace: bool) -> Result<(), Status> {
        let name = self.name(headers)?;
        let replaced = {
            let mut known = self.known();
            if known.contains_key(&name) && !replace {
                return Err(Status::already_exists(format!(
                    "task hub '{name}' already exists; set recreateIfExists to replace it"
                )));
            }
            let hub = (self.make)(&name);
            known.insert(name, hub)
        };
        if let Some(replaced) = replaced {
            replaced.stop().await;
        }
        Ok(())
    }

    /// Deletes the hub that a request names, with everything in it. The hub of requests that name none stays, where it would
    /// not come into being again: the emulator says that it serves, and without that hub it would not.
    pub(super) async fn delete(&self, headers: &HeaderMap) -> Result<(), Status> {
        let name = self.name(headers)?;
        if self.known().contains_key(&name) && !self.dynamic && self.serves_the_unnamed(&name) {
            return Err(Status::failed_precondition(format!(
                "task hub '{name}' serves requests that name none and cannot be deleted; \
                 CreateTaskHub with recreateIfExists empties it"
            )));
        }
        let deleted = self.known().remove(&name);
        match deleted {
            Some(hub) => {
                hub.stop().await;
                Ok(())
            }
            None => Err(Status::not_found(format!("Task hub not found: {name}"))),
        }
    }

    /// Whether requests that name no hub get this one.
    fn serves_the_unnamed(&self, name: &HubName) -> bool {
        self.missing == MissingHub::Default && *name == self.unnamed()
    }

    /// The hub of requests that name none.
    fn unnamed(&self) -> HubName {
        let default = HubName::new("default");
        if self.known().contains_key(&default) { default } else { self.first.clone() }
    }

    fn name(&self, headers: &HeaderMap) -> Result<HubName, Status> {
        let named = metadata::hub(headers)
            .map_err(|_| Status::invalid_argument("the metadata 'taskhub' is not printable ASCII"))?;
        match (named, self.missing) {
            (Some(name), MissingHub::Default | MissingHub::Reject) => Ok(HubName::new(name)),
            (None, MissingHub::Default) => Ok(self.unnamed()),
            (None, MissingHub::Reject) => {
                Err(Status::invalid_argument("the request names no task hub; send the metadata 'taskhub'"))
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<HubName, Handle>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
