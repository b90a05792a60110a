//! Decides which versions of orchestrations a worker runs, and what it does with the others.

use std::cmp::Ordering;
use std::sync::Arc;

/// What a worker does with an orchestration of a version it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mismatch {
    /// Gives the turn back; another worker may take it.
    #[default]
    Reject,
    /// Fails the orchestration.
    Fail,
}

/// Which versions of orchestrations a worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versioning {
    rule: Rule,
    mismatch: Mismatch,
    children: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Rule {
    #[default]
    None,
    Strict(String),
    CurrentOrOlder(String),
}

impl Versioning {
    /// Runs every version.
    pub fn none() -> Self {
        Self::default()
    }

    /// Runs this version and no other.
    pub fn strict(version: impl Into<String>) -> Self {
        Self { rule: Rule::Strict(version.into()), ..Self::default() }
    }

    /// Runs this version and older ones.
    pub fn current_or_older(version: impl Into<String>) -> Self {
        Self { rule: Rule::CurrentOrOlder(version.into()), ..Self::default() }
    }

    /// Sets what to do with other versions; their turns are given back unless set.
    #[must_use]
    pub fn on_mismatch(mut self, mismatch: Mismatch) -> Self {
        self.mismatch = mismatch;
        self
    }

    /// Sets the version of children whose call names none.
    #[must_use]
    pub fn for_children(mut self, version: &str) -> Self {
        self.children = Some(version.into());
        self
    }

    /// The version to list in the work-item filters; the protocol cannot say "or older".
    pub(crate) fn only(&self) -> Option<&str> {
        match &self.rule {
            Rule::Strict(version) => Some(version),
            Rule::None | Rule::CurrentOrOlder(_) => None,
        }
    }

    pub(crate) fn of_children(&self) -> Option<Arc<str>> {
        self.children.clone()
    }

    pub(crate) fn mismatch(&self) -> Mismatch {
        self.mismatch
    }

    /// What is wrong with an orchestration's version, if it is not to be run.
    pub(crate) fn objection(&self, version: Option<&str>) -> Option<String> {
        let version = version.unwrap_or_default();
        match &self.rule {
            Rule::Strict(ours) if compare(version, ours) != Ordering::Equal => Some(format!(
                "the orchestration version '{version}' does not match the worker version '{ours}'"
            )),
            Rule::CurrentOrOlder(ours) if compare(version, ours) == Ordering::Greater => Some(format!(
                "the orchestration version '{version}' is greater than the worker version '{ours}'"
            )),
            Rule::None | Rule::Strict(_) | Rule::CurrentOrOlder(_) => None,
        }
    }
}

/// Orders versions: none before any, numbers part by part, everything else as text without regard to case.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    match (a.trim(), b.trim()) {
        ("", "") => Ordering::Equal,
        ("", _) => Ordering::Less,
        (_, "") => Ordering::Greater,
        (a, b) => match (numbers(a), numbers(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.to_lowercase().cmp(&b.to_lowercase()),
        },
    }
}

/// The two to four numbers of a version such as `1.2` or `1.2.3.4`; what is left out comes before 0.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let parts: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.filter(|parts| (2..=4).contains(&parts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_not_by_text() {
        assert_eq!(compare("1.10", "1.9"), Ordering::Greater);
        assert_eq!(compare("1.0", "1.0.0"), Ordering::Less);
        assert_eq!(compare("", "0.1"), Ordering::Less);
        assert_eq!(compare("Beta", "beta"), Ordering::Equal);
    }

    #[test]
    fn strict_takes_one_version_and_current_or_older_takes_what_came_before() {
        let strict = Versioning::strict("1.2");
        assert_eq!(strict.objection(Some("1.2")), None);
        assert!(strict.objection(Some("1.1")).unwrap().contains("does not match"));
        assert!(strict.objection(None).is_some());
        let older = Versioning::current_or_older("1.2");
        assert_eq!(older.objection(Some("1.1")), None);
        assert_eq!(older.objection(None), None);
        assert!(older.objection(Some("1.3")).unwrap().contains("is greater than"));
        assert_eq!(Versioning::none().objection(Some("9.9")), None);
    }
}
