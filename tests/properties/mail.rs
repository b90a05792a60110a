//! Keeps a book of everything that was sent, to know whether it arrived: once, in order, and at all.

use std::collections::BTreeMap;
use taskhub::model::{InstanceId, Timestamp};

/// One life of an instance under its id: it ends when it is purged, replaced or restarted.
pub(crate) type Life = (InstanceId, Timestamp);

/// An event on its way to an orchestration.
#[derive(Debug)]
struct Letter {
    to: Life,
    _sender: String,
    /// Whether it is owed: it is not where its target may have been over when it came.
    owed: bool,
    seen: bool,
}

/// An operation on its way to an entity.
#[derive(Debug)]
struct Errand {
    entity: InstanceId,
    _sender: String,
    /// Whether it waits for a moment: such a one keeps no order.
    later: Option<Timestamp>,
    gone: bool,
    done: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Mail {
    numbers: u64,
    letters: BTreeMap<u64, Letter>,
    latest: BTreeMap<(Life, String), u64>,
    errands: BTreeMap<u64, Errand>,
    latest_done: BTreeMap<(InstanceId, String), u64>,
}

/// What an input says: who sent it, and its number.
fn parse(text: &str) -> (&str, u64) {
    let (sender, number) = text.split_once('#').expect("every input is sender#number");
    (sender, number.parse().expect("a number"))
}

impl Mail {
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A text to send.
    pub(crate) fn write(&mut self, sender: &str) -> String {
        format!("{sender}#{}", self.number())
    }

    pub(crate) fn sent(&mut self, text: &str, to: Life, owed: bool) {
        let (sender, number) = parse(text);
        self.letters.insert(number, Letter { to, _sender: sender.to_owned(), owed, seen: false });
    }

    /// An instance has consumed an event.
    pub(crate) fn saw(&mut self, life: &Life, text: &str) {
        let (sender, number) = parse(text);
        let letter =
            self.letters.get_mut(&number).unwrap_or_else(|| panic!("{text} was never sent to {life:?}"));
        assert_eq!(&letter.to, life, "{text} went astray");
        assert!(!letter.seen, "{text} came twice to {life:?}");
        letter.seen = true;
        let latest = self.latest.insert((life.clone(), sender.to_owned()), number);
        assert!(latest.is_none_or(|latest| latest < number), "{text} was overtaken by {latest:?}");
    }

    /// A life is over: what is still on its way is owed no more.
    pub(crate) fn over(&mut self, life: &Life) {
        for letter in self.letters.values_mut().filter(|letter| letter.to == *life) {
            letter.owed = false;
        }
    }

    /// Nothing is on its way any more: what was owed has come.
    pub(crate) fn assert_all_came(&self) {
        for (number, letter) in &self.letters {
            assert!(letter.seen || !letter.owed, "number {number} was lost: {letter:?}");
        }
    }

    /// No lock is held any more, and no operation is on its way: every operation has run.
    pub(crate) fn assert_all_ran(&self) {
        for (number, errand) in &self.errands {
            assert!(errand.done || errand.gone, "operation {number} was lost: {errand:?}");
        }
    }

    pub(crate) fn ordered(&mut self, text: &str, entity: &InstanceId, later: Option<Timestamp>) {
        let (sender, number) = parse(text);
        let errand =
            Errand { entity: entity.clone(), _sender: sender.to_owned(), later, gone: false, done: false };
        self.errands.insert(number, errand);
    }

    /// A worker has been given an operation.
    pub(crate) fn offered(&self, text: &str, entity: &InstanceId, now: Timestamp) {
        let (_, number) = parse(text);
        let errand = self.errands.get(&number).unwrap_or_else(|| panic!("{text} was never sent"));
        assert_eq!(&errand.entity, entity, "{text} went astray");
        assert!(!errand.done, "{text} runs twice");
        assert!(!errand.gone, "{text} was purged or given up");
        assert!(errand.later.is_none_or(|due| due <= now), "{text} came early");
    }

    /// A worker has run an operation, and its answer counts.
    pub(crate) fn done(&mut self, text: &str) {
        let (sender, number) = parse(text);
        let Some(errand) = self.errands.get_mut(&number) else { panic!("{text} was never sent") };
        if errand.gone {
            return;
        }
        assert!(!errand.done, "{text} ran twice");
        errand.done = true;
        if errand.later.is_none() {
            let latest = self.latest_done.insert((errand.entity.clone(), sender.to_owned()), number);
            assert!(latest.is_none_or(|latest| latest < number), "{text} was overtaken by {latest:?}");
        }
    }

    /// Operations are given up, and will not run.
    pub(crate) fn given_up(&mut self, texts: &[String]) {
        for text in texts {
            if let Some(errand) = self.errands.get_mut(&parse(text).1) {
                errand.gone = true;
            }
        }
    }

    /// An entity is purged, with all that was on its way to it.
    pub(crate) fn purged(&mut self, entity: &InstanceId) {
        for errand in self.errands.values_mut().filter(|errand| errand.entity == *entity && !errand.done) {
            errand.gone = true;
        }
    }
}
