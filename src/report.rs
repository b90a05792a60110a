//! Shows a history as something to read: a table, a timeline, a sequence, or JSON.
//!
//! Everything here looks at a [`History`](crate::model::History) and at nothing else, so it shows what a scheduler in Azure did as
//! well as what an emulator did.
//!
//! # Layout
//!
//! - [`json`], [`from_json`]: the protocol's own JSON, written and read by what the protocol says of itself.
//! - [`table`]: one line an event. [`timeline`]: one line a task, over time. [`sequence`]: a mermaid diagram.
//! - [`normal`]: the same text for every run that did the same, whatever its ids, its times and its turns.
//!
//! What a history says of its instance (its tasks, their attempts folded) is read by [`crate::view`].

mod json;
mod normal;
mod sequence;
mod table;
mod timeline;

pub use json::{NotHistory, from_json, json};
pub use normal::normal;
pub use sequence::sequence;
pub use table::table;
pub use timeline::{Head, TimelineStyle, timeline, timeline_in, timeline_of};

pub use crate::view::one_line;

use crate::view::{failed, moment, short, spoken};
