//! Keeps what is ready to be handed out, by what a worker must be able to run.

use super::command::{StreamId, WorkKind};
use crate::model::{InstanceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a worker must be able to run: compared with its filters once, not for every piece of work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) kind: WorkKind,
    /// The orchestration's, activity's or entity's name.
    pub(super) name: Arc<str>,
    /// Empty where there is none.
    pub(super) version: Arc<str>,
}

/// A [`Class`] that this worklist knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassId(u32);

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Turn(InstanceId),
    Activity(InstanceId, i32),
    Batch(InstanceId),
}

impl Work {
    /// The instance or entity that it is of.
    pub(super) fn subject(&self) -> &InstanceId {
        match self {
            Self::Turn(id) | Self::Activity(id, _) | Self::Batch(id) => id,
        }
    }
}

/// A piece of work that waits to be handed out.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) work: Work,
    pub(super) class: ClassId,
    /// The stream that gave it back: another one gets it first.
    pub(super) avoid: Option<StreamId>,
}

/// What is ready, in the order in which it became so, and what will be ready later.
///
/// An entry can be out of date (its instance purged, its activity done): whoever takes it checks.
#[derive(Debug, Default)]
pub(super) struct Worklist {
    classes: Vec<Class>,
    known: BTreeMap<Class, ClassId>,
    ready: Vec<VecDeque<Waiting>>,
    with_work: BTreeSet<ClassId>,
    later: BTreeMap<(Timestamp, u64), Waiting>,
    put_off: u64,
}

impl Worklist {
    /// The id of a class, known from now on.
    pub(super) fn class(&mut self, kind: WorkKind, name: &str, version: Option<&str>) -> ClassId {
        let class = Class { kind, name: name.into(), version: version.unwrap_or_default().into() };
        if let Some(id) = self.known.get(&class) {
            return *id;
        }
        let id = ClassId(u32::try_from(self.classes.len()).unwrap_or(u32::MAX));
        self.classes.push(class.clone());
        self.ready.push(VecDeque::new());
        self.known.insert(class, id);
        id
    }

    pub(super) fn named(&self, id: ClassId) -> &Class {
        &self.classes[id.0 as usize]
    }

    /// Puts work at the end of its queue.
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.with_work.insert(waiting.class);
        self.ready[waiting.class.0 as usize].push_back(waiting);
    }

    /// Puts work back at the head of its queue: it was out already.
    pub(super) fn push_front(&mut self, waiting: Waiting) {
        self.with_work.insert(waiting.class);
        self.ready[waiting.class.0 as usize].push_front(waiting);
    }

    /// Keeps work until `at`; then [`Worklist::due`] has it.
    pub(super) fn put_off(&mut self, at: Timestamp, waiting: Waiting) {
        self.put_off += 1;
        self.later.insert((at, self.put_off), waiting);
    }

    /// The next piece of work whose moment has come.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Waiting> {
        let first = self.later.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// The classes that have work.
    pub(super) fn with_work(&self) -> Vec<ClassId> {
        self.with_work.iter().copied().collect()
    }

    /// Whether nothing is ready; what may be out of date counts as ready.
    pub(super) fn is_empty(&self) -> bool {
        self.with_work.is_empty()
    }

    pub(super) fn first(&self, class: ClassId) -> Option<&Waiting> {
        self.ready[class.0 as usize].front()
    }

    pub(super) fn take(&mut self, class: ClassId) -> Option<Waiting> {
        let queue = &mut self.ready[class.0 as usize];
        let taken = queue.pop_front();
        if queue.is_empty() {
            self.with_work.remove(&class);
            // What a peak has left: a queue that fills again grows again.
            if queue.capacity() > 1_024 {
                *queue = VecDeque::new();
            }
        }
        taken
    }

    /// How much is ready, with what may be out of date.
    pub(super) fn ready(&self, class: ClassId) -> &VecDeque<Waiting> {
        &self.ready[class.0 as usize]
    }
}
