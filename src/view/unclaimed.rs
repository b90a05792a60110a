//! Says of work that no worker takes because of its name which name was probably meant.

use crate::emulator::engine::command::WorkKind;
use crate::wire::WorkItemFilters;

/// What to say of work of a name that no worker has registered.
pub fn unclaimed(kind: WorkKind, name: &str, registered: &WorkItemFilters) -> String {
    let (what, known): (_, Vec<&str>) = match kind {
        WorkKind::Turn => {
            ("orchestration", registered.orchestrations.iter().map(|f| f.name.as_str()).collect())
        }
        WorkKind::Activity => ("activity", registered.activities.iter().map(|f| f.name.as_str()).collect()),
        WorkKind::Batch => ("entity", registered.entities.iter().map(|f| f.name.as_str()).collect()),
    };
    let hint = match (known.contains(&name), meant(name, known.iter().copied())) {
        (true, _) => "it is registered, but not in this version".to_owned(),
        (false, Some(meant)) => format!("did you mean {meant:?}?"),
        (false, None) if known.is_empty() => "none is registered at all".to_owned(),
        (false, None) => format!("registered: {}", known.join(", ")),
    };
    format!("no worker has registered the {what} {name:?}; {hint}")
}

/// The known name that is nearest to `name`, if one is near enough to be a slip.
fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |other: &&str| {
        let allowed = (name.chars().count().max(other.chars().count()) / 3).max(1);
        distance(name, other) <= allowed
    };
    known.into_iter().filter(near).min_by_key(|other| distance(name, other))
}

/// How many characters must be put in, taken out or exchanged to make one name of the other, their case aside.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, c) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, o) in other.iter().enumerate() {
            let changed = diagonal + usize::from(c != *o);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_no_worker_takes_is_shown_with_the_name_that_was_probably_meant() {
        let activity = |name: &str| crate::wire::ActivityFilter { name: name.into(), versions: vec![] };
        let registered =
            WorkItemFilters { activities: vec![activity("square"), activity("sum")], ..Default::default() };
        let said = |kind, name| unclaimed(kind, name, &registered);
        assert_eq!(
            said(WorkKind::Activity, "squared"),
            "no worker has registered the activity \"squared\"; did you mean \"square\"?"
        );
        assert_eq!(
            said(WorkKind::Activity, "charge"),
            "no worker has registered the activity \"charge\"; registered: square, sum"
        );
        assert_eq!(
            said(WorkKind::Turn, "square"),
            "no worker has registered the orchestration \"square\"; none is registered at all"
        );
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["square", "list_items", "aggregate"];
        assert_eq!(meant("squared", known), Some("square"));
        assert_eq!(meant("Square", known), Some("square"));
        assert_eq!(meant("listItems", known), Some("list_items"));
        assert_eq!(meant("charge", known), None);
        assert_eq!(meant("x", []), None);
    }
}
