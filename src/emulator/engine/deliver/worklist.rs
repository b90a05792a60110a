//! Keeps what is ready to be handed out, by what a worker must be able to run.

use crate::emulator::engine::command::{StreamId, WorkKind};
use crate::emulator::engine::volatile::{ClassId, Placement, Stage};
use crate::model::{InstanceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a worker must be able to run: compared with its filters once, not for every piece of work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) kind: WorkKind,
    /// The orchestration's, activity's or entity's name.
    pub(crate) name: Arc<str>,
    /// Empty where there is none.
    pub(crate) version: Arc<str>,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Turn(InstanceId),
    Activity(InstanceId, i32),
    Batch(InstanceId),
}

impl Work {
    /// The instance or entity that it is of.
    pub(crate) fn subject(&self) -> &InstanceId {
        match self {
            Self::Turn(id) | Self::Activity(id, _) | Self::Batch(id) => id,
        }
    }
}

/// A piece of work that waits to be handed out.
#[derive(Debug, Clone)]
pub(crate) struct WaitingWork {
    pub(crate) work: Work,
    pub(crate) class: ClassId,
    /// The stream that gave it back: another one gets it first.
    pub(crate) avoid: Option<StreamId>,
}

/// A class, who needs it, and what of it is ready.
#[derive(Debug)]
struct ClassQueue {
    class: Class,
    /// How many instances and activities are of this class.
    users: usize,
    ready: VecDeque<WaitingWork>,
    /// How many entries are known to be out of date.
    stale: usize,
    /// Whether it is among `crowded`.
    is_crowded: bool,
    /// Whether it is among `idle`.
    is_idle: bool,
}

impl ClassQueue {
    fn of(class: Class) -> Self {
        Self { class, users: 0, ready: VecDeque::new(), stale: 0, is_crowded: false, is_idle: false }
    }

    fn is_needed(&self) -> bool {
        self.users > 0 || !self.ready.is_empty()
    }
}

/// How many classes are remembered that no instance, activity or work is of. Work whose name comes and goes, as that of
/// a chain of activities does, finds its class again.
const IDLE: usize = 256;

/// What is ready, in the order in which it became so, and what will be ready later.
///
/// An entry can be out of date (its instance purged, its activity done): who takes it checks. Where half of a queue is,
/// [`Worklist::take_crowded`] names it, so that those entries are dropped though the head of the queue waits.
#[derive(Debug)]
pub(crate) struct Worklist {
    classes: BTreeMap<ClassId, ClassQueue>,
    known: BTreeMap<Class, ClassId>,
    named: u64,
    with_work: BTreeSet<ClassId>,
    /// Classes that got work when they had none.
    woken: Vec<ClassId>,
    /// Classes of whose entries at least half are out of date.
    crowded: Vec<ClassId>,
    /// Classes that were not needed when they were put here, the oldest first.
    idle: VecDeque<ClassId>,
    /// What is said of a class that is forgotten: it has no name, and no work.
    forgotten: ClassQueue,
    later: BTreeMap<(Timestamp, u64), WaitingWork>,
    put_off: u64,
}

impl Default for Worklist {
    fn default() -> Self {
        Self {
            classes: BTreeMap::new(),
            known: BTreeMap::new(),
            named: 0,
            with_work: BTreeSet::new(),
            woken: Vec::new(),
            crowded: Vec::new(),
            idle: VecDeque::new(),
            forgotten: ClassQueue::of(Class { kind: WorkKind::Turn, name: "".into(), version: "".into() }),
            later: BTreeMap::new(),
            put_off: 0,
        }
    }
}

impl Worklist {
    /// The id of a class, known from now on and as long as it is needed.
    pub(crate) fn class(&mut self, kind: WorkKind, name: &str, version: Option<&str>) -> ClassId {
        let class = Class { kind, name: name.into(), version: version.unwrap_or_default().into() };
        if let Some(id) = self.known.get(&class) {
            return *id;
        }
        self.named += 1;
        let id = ClassId(self.named);
        self.classes.insert(id, ClassQueue::of(class.clone()));
        self.known.insert(class, id);
        self.note_idle(id);
        id
    }

    pub(crate) fn named(&self, id: ClassId) -> &Class {
        &self.classes.get(&id).unwrap_or(&self.forgotten).class
    }

    /// The classes of a name, in any version.
    pub(crate) fn of_name(&self, kind: WorkKind, name: &str) -> impl Iterator<Item = ClassId> {
        let name: Arc<str> = name.into();
        let first = Class { kind, name: Arc::clone(&name), version: "".into() };
        let from_there = self.known.range(first..);
        from_there
            .take_while(move |(class, _)| class.kind == kind && class.name == name)
            .map(|(_, class)| *class)
    }

    /// An instance or activity of this class has come into being.
    pub(crate) fn retain(&mut self, id: ClassId) {
        if let Some(queue) = self.classes.get_mut(&id) {
            queue.users += 1;
        }
    }

    /// An instance or activity of this class is gone, or is of another class now. `stage` is where its work was.
    pub(crate) fn release(&mut self, id: ClassId, stage: Stage) {
        self.leave(id, stage);
        if let Some(queue) = self.classes.get_mut(&id) {
            queue.users = queue.users.saturating_sub(1);
            self.note_idle(id);
        }
    }

    /// Work of this class has left `stage` without being handed out: an entry for it is out of date.
    pub(crate) fn leave(&mut self, id: ClassId, stage: Stage) {
        match stage {
            Stage::Idle | Stage::Resting | Stage::Out(_) => {}
            Stage::Ready => {
                let Some(queue) = self.classes.get_mut(&id) else { return };
                queue.stale += 1;
                if queue.stale * 2 >= queue.ready.len() && !queue.is_crowded {
                    queue.is_crowded = true;
                    self.crowded.push(id);
                }
            }
        }
    }

    /// Remembers that a class is not needed now.
    fn note_idle(&mut self, id: ClassId) {
        if let Some(queue) = self.classes.get_mut(&id)
            && !queue.is_needed()
            && !queue.is_idle
        {
            queue.is_idle = true;
            self.idle.push_back(id);
        }
    }

    /// Forgets classes that are not needed, save the latest, and names those that are forgotten.
    pub(crate) fn forget_idle(&mut self) -> Vec<ClassId> {
        let mut forgotten = Vec::new();
        while self.idle.len() > IDLE
            && let Some(id) = self.idle.pop_front()
        {
            let Some(queue) = self.classes.get_mut(&id) else { continue };
            queue.is_idle = false;
            if !queue.is_needed() {
                self.known.remove(&queue.class);
                self.classes.remove(&id);
                forgotten.push(id);
            }
        }
        forgotten
    }

    /// Takes in an activity that was scheduled, the first time that it is heard of.
    pub(crate) fn ready_activity(
        &mut self,
        id: &InstanceId,
        task: i32,
        place: &mut Placement,
        name: &str,
        version: Option<&str>,
    ) {
        if place.class == ClassId::NONE {
            place.class = self.class(WorkKind::Activity, name, version);
            place.stage = Stage::Ready;
            self.retain(place.class);
            let work = Work::Activity(id.clone(), task);
            self.push(WaitingWork { work, class: place.class, avoid: None });
        }
    }

    /// Puts work at the end of its queue.
    pub(crate) fn push(&mut self, waiting: WaitingWork) {
        if let Some(queue) = self.waken(waiting.class) {
            queue.ready.push_back(waiting);
        }
    }

    /// Puts work back at the head of its queue: it was out already.
    pub(crate) fn push_front(&mut self, waiting: WaitingWork) {
        if let Some(queue) = self.waken(waiting.class) {
            queue.ready.push_front(waiting);
        }
    }

    fn waken(&mut self, id: ClassId) -> Option<&mut ClassQueue> {
        let queue = self.classes.get_mut(&id);
        debug_assert!(queue.is_some(), "what is put into the worklist has a class that is needed");
        if queue.as_ref().is_some_and(|queue| queue.ready.is_empty()) {
            self.with_work.insert(id);
            self.woken.push(id);
        }
        queue
    }

    /// The classes that got work since the last call; one may have none any more.
    pub(crate) fn take_woken(&mut self) -> Vec<ClassId> {
        std::mem::take(&mut self.woken)
    }

    /// The classes in whose queues at least half of the entries are out of date.
    pub(crate) fn take_crowded(&mut self) -> Vec<ClassId> {
        std::mem::take(&mut self.crowded)
    }

    /// Takes a whole queue, so that what is out of date can be left out; [`Worklist::put_back`] follows.
    pub(crate) fn take_all(&mut self, id: ClassId) -> VecDeque<WaitingWork> {
        self.classes.get_mut(&id).map(|queue| std::mem::take(&mut queue.ready)).unwrap_or_default()
    }

    /// Puts back what still stands of a queue.
    pub(crate) fn put_back(&mut self, id: ClassId, ready: VecDeque<WaitingWork>) {
        let Some(queue) = self.classes.get_mut(&id) else { return };
        (queue.stale, queue.is_crowded) = (0, false);
        queue.ready = ready;
        if queue.ready.is_empty() {
            self.with_work.remove(&id);
            self.note_idle(id);
        }
    }

    /// Keeps work until `at`; then [`Worklist::due`] has it.
    pub(crate) fn put_off(&mut self, at: Timestamp, waiting: WaitingWork) {
        self.put_off += 1;
        self.later.insert((at, self.put_off), waiting);
    }

    /// The next piece of work whose moment has come.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<WaitingWork> {
        let first = self.later.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// The classes that have work.
    pub(crate) fn with_work(&self) -> Vec<ClassId> {
        self.with_work.iter().copied().collect()
    }

    /// Whether nothing is ready; what may be out of date counts as ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.with_work.is_empty()
    }

    /// Whether a class has work, be it out of date.
    pub(crate) fn has(&self, id: ClassId) -> bool {
        self.first(id).is_some()
    }

    pub(crate) fn first(&self, id: ClassId) -> Option<&WaitingWork> {
        self.classes.get(&id)?.ready.front()
    }

    pub(crate) fn take(&mut self, id: ClassId) -> Option<WaitingWork> {
        let queue = self.classes.get_mut(&id)?;
        let taken = queue.ready.pop_front();
        if queue.ready.is_empty() {
            queue.stale = 0;
            // What a peak has left: a queue that fills again grows again.
            if queue.ready.capacity() > 1_024 {
                queue.ready = VecDeque::new();
            }
            self.with_work.remove(&id);
            self.note_idle(id);
        }
        taken
    }

    /// How much is ready, with what may be out of date.
    pub(crate) fn ready(&self, id: ClassId) -> &VecDeque<WaitingWork> {
        &self.classes.get(&id).unwrap_or(&self.forgotten).ready
    }

    /// How many classes are known.
    #[cfg(test)]
    pub(crate) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// How many entries wait, those that are out of date among them.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        self.classes.values().map(|queue| queue.ready.len()).sum()
    }
}
