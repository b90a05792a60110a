//! Keeps the task hubs of an emulator by name: finds, creates and deletes them.
//!
//! A door (gRPC, HTTP) reads from its request which hub is named, and renders a [`HubError`] in its own way.

use super::handle::HubHandle;
use super::limiter::WarningLimiter;
use crate::clock::Clock;
use crate::model::HubName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many hubs a warning lists.
const LISTED: usize = 10;

/// Makes a hub and runs it on the emulator's thread.
pub(in crate::emulator) type NewHub = Arc<dyn Fn(&HubName) -> HubHandle + Send + Sync>;

/// What a request that names no hub gets (protocol/transport.md#hubs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingHub {
    /// The hub `default`, or the first there is: the plain clients of several SDKs name none.
    #[default]
    Default,
    /// `INVALID_ARGUMENT`, as a scheduler that cannot route it.
    Reject,
}

/// Which hubs there are from the start, and which hub a request gets.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Naming {
    /// The hubs that exist from the start.
    pub(in crate::emulator) names: Vec<HubName>,
    /// Whether an unknown hub is made when it is first named.
    pub(in crate::emulator) dynamic: bool,
    /// What a request that names no hub gets.
    pub(in crate::emulator) missing: MissingHub,
}

/// Why a request has no hub, or why the hubs are not changed as it asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::emulator) enum HubError {
    /// There is no hub of that name.
    #[error("Task hub not found: {name}")]
    NotFound { name: HubName },
    /// The request names no hub, and no hub is meant by that.
    #[error("the request names no task hub")]
    Unnamed,
    /// There is a hub of that name already.
    #[error("task hub '{name}' already exists")]
    AlreadyExists { name: HubName },
    /// The hub serves requests that name none, so it stays.
    #[error("task hub '{name}' serves requests that name none and cannot be deleted")]
    ServesTheUnnamed { name: HubName },
}

/// Every hub of an emulator, by name.
#[derive(Clone)]
pub(in crate::emulator) struct Hubs {
    known: Arc<Mutex<BTreeMap<HubName, HubHandle>>>,
    make: NewHub,
    /// The first that was named: it serves requests that name none, where there is no `default`.
    first: HubName,
    /// Whether an unknown hub is made when it is first named.
    dynamic: bool,
    missing: MissingHub,
    clock: Arc<dyn Clock>,
    warnings: Arc<Mutex<WarningLimiter>>,
}

impl Hubs {
    pub(in crate::emulator) fn new(naming: Naming, make: NewHub, clock: Arc<dyn Clock>) -> Self {
        let Naming { names, dynamic, missing } = naming;
        let known = names.iter().map(|name| (name.clone(), make(name))).collect();
        let first = names.first().cloned().unwrap_or_else(|| HubName::new("default"));
        let (known, warnings) = (Arc::new(Mutex::new(known)), Arc::default());
        Self { known, make, first, dynamic, missing, clock, warnings }
    }

    /// The first that was named.
    pub(in crate::emulator) fn first(&self) -> &HubName {
        &self.first
    }

    /// The hub of that name, if there is one.
    pub(in crate::emulator) fn get(&self, name: &HubName) -> Option<HubHandle> {
        self.known().get(name).cloned()
    }

    pub(in crate::emulator) fn all(&self) -> Vec<(HubName, HubHandle)> {
        self.known().iter().map(|(name, hub)| (name.clone(), hub.clone())).collect()
    }

    /// The hub that a request is for, by the name it gives (protocol/transport.md#hubs).
    ///
    /// # Errors
    ///
    /// [`HubError::NotFound`] or [`HubError::Unnamed`].
    pub(in crate::emulator) fn find(&self, named: Option<&str>) -> Result<HubHandle, HubError> {
        let name = self.name(named)?;
        let mut known = self.known();
        if let Some(hub) = known.get(&name) {
            return Ok(hub.clone());
        }
        if !self.dynamic {
            self.warn_of_unknown(&name, &known);
            return Err(HubError::NotFound { name });
        }
        let hub = (self.make)(&name);
        known.insert(name, hub.clone());
        Ok(hub)
    }

    /// Warns of a hub that was asked for and does not exist: most often one side has the name and the other has not.
    fn warn_of_unknown(&self, name: &HubName, known: &BTreeMap<HubName, HubHandle>) {
        if !tracing::enabled!(tracing::Level::WARN) {
            return;
        }
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = warnings.allows(name.as_str(), self.clock.now()) {
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
    ///
    /// # Errors
    ///
    /// [`HubError::Unnamed`] or [`HubError::AlreadyExists`].
    pub(in crate::emulator) async fn create(
        &self,
        named: Option<&str>,
        replace: bool,
    ) -> Result<(), HubError> {
        let name = self.name(named)?;
        let replaced = {
            let mut known = self.known();
            if known.contains_key(&name) && !replace {
                return Err(HubError::AlreadyExists { name });
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
    ///
    /// # Errors
    ///
    /// [`HubError::Unnamed`], [`HubError::NotFound`] or [`HubError::ServesTheUnnamed`].
    pub(in crate::emulator) async fn delete(&self, named: Option<&str>) -> Result<(), HubError> {
        let name = self.name(named)?;
        if self.known().contains_key(&name) && !self.dynamic && self.serves_the_unnamed(&name) {
            return Err(HubError::ServesTheUnnamed { name });
        }
        let deleted = self.known().remove(&name);
        match deleted {
            Some(hub) => {
                hub.stop().await;
                Ok(())
            }
            None => Err(HubError::NotFound { name }),
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

    fn name(&self, named: Option<&str>) -> Result<HubName, HubError> {
        match (named, self.missing) {
            (Some(name), MissingHub::Default | MissingHub::Reject) => Ok(HubName::new(name)),
            (None, MissingHub::Default) => Ok(self.unnamed()),
            (None, MissingHub::Reject) => Err(HubError::Unnamed),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<HubName, HubHandle>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
