//! Tries one token source after another, and stays with the first that has a token.

use super::{NoToken, Token, TokenFuture, TokenSource};
use crate::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// One attempt: a source, or why it could not even be set up.
pub(super) struct Link {
    pub(super) source: Result<Arc<dyn TokenSource>, NoToken>,
    /// How long the source may take to answer, where it asks a service that this machine may not have.
    pub(super) patience: Option<Duration>,
}

/// Sources in the order they are tried.
pub(super) struct Chain {
    links: Vec<Link>,
    clock: Arc<dyn Clock>,
    /// The link that gave a token: the links before it are not asked again.
    winner: AtomicUsize,
}

const NONE: usize = usize::MAX;

impl Chain {
    pub(super) fn new(links: Vec<Link>, clock: Arc<dyn Clock>) -> Self {
        Self { links, clock, winner: AtomicUsize::new(NONE) }
    }

    async fn ask(&self, link: &Link, scope: &str) -> Result<Token, NoToken> {
        let source = link.source.as_ref().map_err(NoToken::clone)?;
        let Some(patience) = link.patience else {
            return source.token(scope).await;
        };
        let until = self.clock.now().plus(patience);
        tokio::select! {
            biased;
            token = source.token(scope) => token,
            () = self.clock.sleep_until(until) => {
                Err(NoToken::new(source.name(), format!("it did not answer within {patience:?}")))
            }
        }
    }

    async fn first(&self, scope: &str) -> Result<Token, NoToken> {
        if let Some(link) = self.links.get(self.winner.load(Ordering::Acquire)) {
            // A source that worked once is asked without a limit: it exists on this machine.
            return match &link.source {
                Ok(source) => source.token(scope).await,
                Err(error) => Err(error.clone()),
            };
        }
        let mut reasons = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            match self.ask(link, scope).await {
                Ok(token) => {
                    self.winner.store(index, Ordering::Release);
                    return Ok(token);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let why = format!("none of its sources has one: {}", reasons.join("; "));
        Err(NoToken::new(self.name(), why))
    }
}

impl TokenSource for Chain {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(self.first(scope))
    }

    fn name(&self) -> &'static str {
        "DefaultAzure"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Timestamp;
    use crate::sdk::auth::SCOPE;

    /// Answers, fails, or never says anything.
    enum Fake {
        Token(&'static str),
        Fails(&'static str),
        Silent,
    }

    impl TokenSource for Fake {
        fn token<'a>(&'a self, _: &'a str) -> TokenFuture<'a> {
            Box::pin(async move {
                match self {
                    Self::Token(secret) => Ok(Token::new(*secret, Timestamp::EPOCH)),
                    Self::Fails(why) => Err(NoToken::new("fake", *why)),
                    Self::Silent => std::future::pending().await,
                }
            })
        }
    }

    fn chain(sources: Vec<Fake>) -> (Arc<ManualClock>, Chain) {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let links = sources
            .into_iter()
            .map(|fake| Link {
                patience: matches!(fake, Fake::Silent).then_some(Duration::from_secs(2)),
                source: Ok(Arc::new(fake) as Arc<dyn TokenSource>),
            })
            .collect();
        (clock.clone(), Chain::new(links, clock))
    }

    #[tokio::test]
    async fn the_first_source_with_a_token_wins_and_stays() {
        let (_, chain) = chain(vec![Fake::Fails("not set"), Fake::Token("b"), Fake::Token("c")]);
        assert_eq!(chain.token(SCOPE).await.unwrap().secret(), "b");
        assert_eq!(chain.winner.load(Ordering::Acquire), 1);
        assert_eq!(chain.token(SCOPE).await.unwrap().secret(), "b");
    }

    #[tokio::test]
    async fn when_none_has_a_token_every_reason_is_told() {
        let (_, chain) = chain(vec![Fake::Fails("no secret"), Fake::Fails("no file")]);
        let error = chain.token(SCOPE).await.unwrap_err().to_string();
        assert!(error.contains("no secret") && error.contains("no file"), "{error}");
    }

    #[tokio::test]
    async fn a_source_that_never_answers_is_passed_over() {
        let (clock, chain) = chain(vec![Fake::Silent, Fake::Token("b")]);
        let mut asked = chain.token(SCOPE);
        assert!(futures::poll!(&mut asked).is_pending());
        clock.advance(Duration::from_secs(2));
        assert_eq!(asked.await.unwrap().secret(), "b");
    }
}
