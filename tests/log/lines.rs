//! Keeps every line of the log as fields, so that each test finds those of its own hub.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// One line of the log.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Line {
    /// A field as text; empty where the line has none of that name.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn says(&self, part: &str) -> bool {
        self.field("message").contains(part)
    }
}

static ALL: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static LISTENS: Once = Once::new();

/// The lines about one hub.
#[derive(Debug)]
pub(crate) struct Lines(&'static str);

impl Lines {
    /// Begins to keep lines, where no test did yet.
    pub(crate) fn of(hub: &'static str) -> Self {
        LISTENS.call_once(|| {
            let ours = Targets::new().with_target("taskhub", LevelFilter::DEBUG);
            // The emulator has a thread of its own, which no subscriber of a test's thread reaches.
            tracing_subscriber::registry().with(Keep.with_filter(ours)).init();
        });
        Self(hub)
    }

    /// What was said about the hub, oldest first.
    pub(crate) fn all(&self) -> Vec<Line> {
        let all = ALL.lock().unwrap();
        all.iter().filter(|line| line.field("hub") == self.0).cloned().collect()
    }

    /// The lines of a level that say `part`.
    pub(crate) fn saying(&self, level: Level, part: &str) -> Vec<Line> {
        self.all().into_iter().filter(|line| line.level == level && line.says(part)).collect()
    }

    /// The one warning of the hub.
    #[track_caller]
    pub(crate) fn the_warning(&self) -> Line {
        let mut all = self.all();
        all.retain(|line| line.level == Level::WARN);
        assert_eq!(all.len(), 1, "{:#?}", self.all());
        all.remove(0)
    }
}

struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        ALL.lock().unwrap().push(Line { level: *event.metadata().level(), fields: fields.0 });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
