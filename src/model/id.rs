//! Gives names their types: instances, executions and hubs.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest instance or entity id a client may choose, in characters.
const MAX_ID_LENGTH: usize = 100;

/// The id of an orchestration, or of an entity (`@name@key`), in one hub. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

/// Why an id was turned down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The id is empty.
    #[error("the instance id is empty; give it 1 to {MAX_ID_LENGTH} characters")]
    Empty,
    /// The id is longer than the service takes.
    #[error(
        "the instance id exceeds the maximum length: it has {length} characters, {MAX_ID_LENGTH} are allowed"
    )]
    TooLong {
        /// How many characters it has.
        length: usize,
    },
    /// The id has a character outside printable ASCII.
    #[error(
        "the instance id has the character {character:?} at position {position}; only printable ASCII (space to ~) is allowed"
    )]
    Character {
        /// The first such character.
        character: char,
        /// Where it stands, counted in characters from 0.
        position: usize,
    },
    /// The id starts with `@`, which names entities, but an orchestration was meant.
    #[error(
        "the instance id {id:?} starts with '@', which is reserved for entities; choose another first character"
    )]
    Reserved {
        /// The id as given.
        id: String,
    },
    /// An entity was meant, but the id has not the form `@name@key`.
    #[error("the entity id {id:?} has not the form @name@key")]
    NotAnEntity {
        /// The id as given.
        id: String,
    },
}

impl InstanceId {
    /// Parses the id that a client chose for an orchestration (protocol/instances.md#ids: 1 to 100 printable ASCII
    /// characters, `@` first is reserved).
    ///
    /// # Errors
    ///
    /// [`InvalidId`] says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, InvalidId> {
        let id = Self::checked(raw)?;
        if raw.starts_with('@') {
            return Err(InvalidId::Reserved { id: raw.to_owned() });
        }
        Ok(id)
    }

    /// Parses the id of an entity: `@name@key`, under the same limits.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] says what is wrong with it.
    pub fn parse_entity(raw: &str) -> Result<Self, InvalidId> {
        let id = Self::checked(raw)?;
        if id.entity_name().is_none() {
            return Err(InvalidId::NotAnEntity { id: raw.to_owned() });
        }
        Ok(id)
    }

    /// Takes an id as it stands: to look something up, or where a worker derived it (ids of nested children may
    /// pass the length that clients are held to).
    pub fn unchecked(raw: impl Into<Arc<str>>) -> Self {
        Self(raw.into())
    }

    fn checked(raw: &str) -> Result<Self, InvalidId> {
        let length = raw.chars().count();
        match length {
            0 => return Err(InvalidId::Empty),
            1..=MAX_ID_LENGTH => {}
            length => return Err(InvalidId::TooLong { length }),
        }
        match raw.chars().enumerate().find(|(_, c)| !matches!(c, ' '..='~')) {
            Some((position, character)) => Err(InvalidId::Character { character, position }),
            None => Ok(Self(raw.into())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id names an entity (`@...`).
    pub fn is_entity(&self) -> bool {
        self.0.starts_with('@')
    }

    /// The name part of `@name@key`; `None` when the id has not that form or the name is empty.
    pub fn entity_name(&self) -> Option<&str> {
        let (name, _key) = self.0.strip_prefix('@')?.split_once('@')?;
        (!name.is_empty()).then_some(name)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The id of one execution: 32 lower-case hex digits where we mint it, whatever a client gave otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(Arc<str>);

impl ExecutionId {
    /// Takes an execution id as it stands.
    pub fn new(raw: impl Into<Arc<str>>) -> Self {
        Self(raw.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a task hub; compared without regard to ASCII case, shown as it was given.
#[derive(Debug, Clone)]
pub struct HubName(Arc<str>);

impl HubName {
    /// Takes a hub's name, trimmed of white space around it.
    pub fn new(raw: &str) -> Self {
        Self(raw.trim().into())
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for HubName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HubName {}

impl PartialOrd for HubName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HubName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_101_characters_is_refused_and_one_of_100_is_not() {
        assert!(InstanceId::parse(&"x".repeat(100)).is_ok());
        assert_eq!(InstanceId::parse(&"x".repeat(101)), Err(InvalidId::TooLong { length: 101 }));
    }

    #[test]
    fn a_control_character_is_named_with_its_place() {
        assert_eq!(
            InstanceId::parse("ab\u{7}c"),
            Err(InvalidId::Character { character: '\u{7}', position: 2 })
        );
    }

    #[test]
    fn an_entity_id_has_a_name_and_a_key_that_may_hold_more_at_signs() {
        assert_eq!(InstanceId::unchecked("@counter@a@b").entity_name(), Some("counter"));
        assert_eq!(InstanceId::unchecked("@@key").entity_name(), None);
        assert_eq!(
            InstanceId::parse_entity("@counter"),
            Err(InvalidId::NotAnEntity { id: "@counter".into() })
        );
        assert_eq!(InstanceId::parse("@counter@a"), Err(InvalidId::Reserved { id: "@counter@a".into() }));
    }

    #[test]
    fn hubs_are_the_same_whatever_the_case_of_their_name() {
        assert_eq!(HubName::new(" Default "), HubName::new("default"));
    }
}
