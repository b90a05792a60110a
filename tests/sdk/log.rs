//! Hears what is logged in this process.
//!
//! A worker logs on threads of its own, so that all tests share one log: a test looks for a name that only it uses.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// What this process logs.
#[derive(Default)]
pub struct Log {
    /// Our own warnings and errors.
    warnings: watch::Sender<Vec<String>>,
    /// Everything, at every level and of every library, once a test has asked for it.
    everything: Mutex<String>,
    wants_everything: AtomicBool,
}

static LOG: OnceLock<Log> = OnceLock::new();

impl Log {
    /// Begins to listen, or goes on.
    pub fn listen() -> &'static Self {
        LOG.get_or_init(|| {
            tracing::subscriber::set_global_default(Listener).unwrap();
            Self::default()
        })
    }

    /// Listens to everything from now on.
    pub fn listen_to_everything() -> &'static Self {
        let log = Self::listen();
        log.wants_everything.store(true, Ordering::SeqCst);
        log
    }

    /// Everything that was logged since it was asked for.
    pub fn everything(&self) -> String {
        self.everything.lock().unwrap().clone()
    }

    /// Waits for a warning with all of these in it.
    pub async fn warning(&self, parts: &[&str]) {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        self.warnings.subscribe().wait_for(|lines| lines.iter().any(has)).await.unwrap();
    }

    /// How many warnings have all of these in them so far.
    pub fn count(&self, parts: &[&str]) -> usize {
        self.warnings.borrow().iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    fn add(&self, metadata: &Metadata<'_>, line: String) {
        if self.wants_everything.load(Ordering::SeqCst) {
            let mut everything = self.everything.lock().unwrap();
            writeln!(everything, "{}{line}", metadata.target()).unwrap();
        }
        if is_our_warning(metadata) {
            self.warnings.send_modify(|lines| lines.push(line));
        }
    }
}

fn is_our_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("taskhub") && *metadata.level() <= Level::WARN
}

struct Listener;

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let everything = LOG.get().is_some_and(|log| log.wants_everything.load(Ordering::SeqCst));
        everything || is_our_warning(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        LOG.get().into_iter().for_each(|log| log.add(event.metadata(), line.0.clone()));
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut line = Line::default();
        attributes.record(&mut line);
        LOG.get().into_iter().for_each(|log| log.add(attributes.metadata(), line.0.clone()));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
