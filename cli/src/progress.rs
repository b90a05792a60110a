//! Shows the demo's progress: a bar on a terminal, plain lines otherwise, nothing for a few items.

use crate::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

/// Fewer items than this are done before a reader could see a bar.
const WORTH_SHOWING: u64 = 1_000;

/// Counts items as they are done, from any thread.
pub(crate) struct Progress {
    total: u64,
    done: AtomicU64,
    shown: ProgressDisplay,
}

enum ProgressDisplay {
    Nothing,
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    /// Begins at nothing done of `total`.
    pub(crate) fn new(total: u64) -> Self {
        let shown = if total < WORTH_SHOWING {
            ProgressDisplay::Nothing
        } else if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} items, {per_sec}, {eta} left");
            let bar = ProgressBar::new(total);
            ProgressDisplay::Bar(style.map(|style| bar.clone().with_style(style)).unwrap_or(bar))
        } else {
            ProgressDisplay::Lines
        };
        Self { total, done: AtomicU64::new(0), shown }
    }

    /// One more is done.
    pub(crate) fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.shown {
            ProgressDisplay::Nothing => {}
            ProgressDisplay::Bar(bar) => bar.inc(1),
            // A line for every tenth part, also when an item is done twice.
            ProgressDisplay::Lines => {
                let tenth = |done: u64| done * 10 / self.total;
                if done <= self.total && tenth(done) > tenth(done - 1) {
                    note(format_args!("{done} of {} items done", self.total));
                }
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let ProgressDisplay::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
