//! Remembers the names that functions are registered by, for calls that name the function itself.

use super::failure::InvalidCall;
use super::function_name::{name_of, names_itself};
use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a function is registered as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Its name on the wire.
    pub name: Arc<str>,
    /// Its version; `None` when it serves every version.
    pub version: Option<Arc<str>>,
}

/// The names that functions were registered by, to call them by the function itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct FunctionNames(BTreeMap<TypeId, Registered>);

impl FunctionNames {
    /// Notes what `F` is registered as. The first registration of a function is the one that calls go to.
    pub(crate) fn note<F: 'static>(&mut self, registered: Registered) {
        self.0.entry(TypeId::of::<F>()).or_insert(registered);
    }

    /// What `F` is registered as, if it is.
    pub(crate) fn find<F: 'static>(&self) -> Option<&Registered> {
        self.0.get(&TypeId::of::<F>())
    }

    /// The name, and perhaps the version, that a call of `F` asks for.
    pub(super) fn of<F: 'static>(&self) -> Result<(String, Option<String>), InvalidCall> {
        match self.find::<F>() {
            Some(known) => Ok((known.name.to_string(), known.version.as_deref().map(str::to_owned))),
            None if names_itself::<F>() => Ok((name_of::<F>().to_owned(), None)),
            None => Err(InvalidCall::Nameless { path: type_name::<F>() }),
        }
    }
}
