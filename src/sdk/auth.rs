//! Proves who we are: tokens, where they come from, and how long they are kept.

mod cache;
#[cfg(feature = "azure")]
mod chain;
mod method;

#[cfg(feature = "azure")]
mod entra;
#[cfg(not(feature = "azure"))]
#[path = "auth/without_azure.rs"]
mod entra;

pub(crate) use cache::Cache;
pub(crate) use entra::source;
pub use method::{Authentication, Method};

use crate::model::Timestamp;
use std::fmt;
use std::pin::Pin;

/// What a token for the Durable Task Scheduler is asked for.
pub const SCOPE: &str = "https://durabletask.io/.default";

/// A bearer token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    expires: Timestamp,
}

impl Token {
    /// A token that is worth something until `expires`.
    pub fn new(secret: impl Into<String>, expires: Timestamp) -> Self {
        Self { secret: secret.into(), expires }
    }

    /// When it is worth nothing any more.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The token itself, for a request; nothing else should ask for it.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("secret", &"(redacted)")
            .field("expires", &self.expires.to_string())
            .finish()
    }
}

/// The future that a [`TokenSource`] returns.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<Token, NoToken>> + Send + 'a>>;

/// Where tokens come from. Asked when a token is needed and the last one is about to expire, by one at a time.
pub trait TokenSource: Send + Sync {
    /// A new token for `scope`.
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a>;

    /// What it is called in messages.
    #[expect(clippy::unnecessary_literal_bound, reason = "implementations may compute theirs")]
    fn name(&self) -> &str {
        "token source"
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token from {from}: {why}")]
pub struct NoToken {
    from: String,
    why: String,
}

impl NoToken {
    /// `from` is the source's name, `why` says what to do about it and never holds a secret.
    pub fn new(from: impl Into<String>, why: impl Into<String>) -> Self {
        Self { from: from.into(), why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let shown = format!("{:?}", Token::new("s3cret", Timestamp::EPOCH));
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("redacted"), "{shown}");
    }
}
