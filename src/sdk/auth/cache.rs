//! Keeps the token until shortly before it expires, and lets one caller at a time ask for the next.

use super::{NoToken, SCOPE, Token, TokenSource};
use crate::clock::Clock;
use crate::model::Timestamp;
use http::HeaderValue;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The last token, ready to be put into a request.
pub(crate) struct Cache {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    kept: RwLock<Option<Kept>>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Kept {
    header: HeaderValue,
    refresh_at: Timestamp,
    expires: Timestamp,
}

impl Cache {
    pub(crate) fn new(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: RwLock::new(None), asking: tokio::sync::Mutex::new(()) }
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token, where it need not be replaced yet.
    pub(crate) fn fresh(&self) -> Option<HeaderValue> {
        let kept = self.kept()?;
        (self.clock.now() < kept.refresh_at).then_some(kept.header)
    }

    /// The token; asks for a new one where the last is about to expire.
    ///
    /// While a call asks for a new token, and where that fails, the last token serves until it expires.
    pub(crate) async fn get(&self) -> Result<HeaderValue, NoToken> {
        let usable = || self.kept().filter(|kept| self.clock.now() < kept.expires).map(|kept| kept.header);
        let _one = match (self.asking.try_lock(), usable()) {
            (Ok(one), _) => one,
            (Err(_), Some(header)) => return Ok(header),
            (Err(_), None) => self.asking.lock().await,
        };
        if let Some(header) = self.fresh() {
            return Ok(header);
        }
        match self.source.token(SCOPE).await {
            Ok(token) => self.keep(&token),
            Err(error) => match usable() {
                Some(header) => {
                    tracing::warn!(source = self.source.name(), %error, "no new token; the last one serves until it expires");
                    Ok(header)
                }
                None => Err(error),
            },
        }
    }

    fn keep(&self, token: &Token) -> Result<HeaderValue, NoToken> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", token.secret()))
            .map_err(|_| NoToken::new(self.source.name(), "the token is not printable ASCII"))?;
        // Keeps the token out of HTTP/2's header tables and of every `Debug` output.
        header.set_sensitive(true);
        let now = self.clock.now();
        let life = token.expires().since(now);
        // A token that lives shorter than the margin is used for half of its life, not asked for at every call.
        let refresh_at =
            now.plus(life.checked_sub(MARGIN).filter(|left| !left.is_zero()).unwrap_or(life / 2));
        let kept = Kept { header: header.clone(), refresh_at, expires: token.expires() };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::sdk::auth::TokenFuture;
    use std::sync::Mutex;

    /// Gives token-1, token-2, ... that live for an hour each, or fails.
    #[derive(Default)]
    struct CountingSource {
        state: Mutex<(u32, bool)>,
        clock: Option<Arc<ManualClock>>,
    }

    impl TokenSource for CountingSource {
        fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
            assert_eq!(scope, SCOPE);
            Box::pin(async {
                tokio::task::yield_now().await;
                let mut state = self.state.lock().unwrap();
                if state.1 {
                    return Err(NoToken::new("counted", "it was told to fail"));
                }
                state.0 += 1;
                let now = self.clock.as_ref().unwrap().now();
                Ok(Token::new(format!("token-{}", state.0), now.plus(Duration::from_secs(3600))))
            })
        }
    }

    fn cache() -> (Arc<ManualClock>, Arc<CountingSource>, Cache) {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let source = Arc::new(CountingSource { clock: Some(clock.clone()), ..CountingSource::default() });
        (clock.clone(), source.clone(), Cache::new(source, clock))
    }

    async fn token(cache: &Cache) -> String {
        let header = match cache.fresh() {
            Some(header) => header,
            None => cache.get().await.unwrap(),
        };
        assert!(header.is_sensitive());
        header.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_replaced_five_minutes_before_it_expires() {
        let (clock, _, cache) = cache();
        assert_eq!(token(&cache).await, "Bearer token-1");
        clock.advance(Duration::from_secs(54 * 60));
        assert_eq!(token(&cache).await, "Bearer token-1");
        clock.advance(Duration::from_secs(60));
        assert_eq!(token(&cache).await, "Bearer token-2");
    }

    #[tokio::test]
    async fn many_callers_ask_once() {
        let (_, source, cache) = cache();
        let all = futures::future::join_all((0..50).map(|_| token(&cache))).await;
        assert!(all.iter().all(|header| header == "Bearer token-1"));
        assert_eq!(source.state.lock().unwrap().0, 1);
    }

    #[tokio::test]
    async fn when_asking_fails_the_last_token_serves_until_it_expires() {
        let (clock, source, cache) = cache();
        token(&cache).await;
        source.state.lock().unwrap().1 = true;
        clock.advance(Duration::from_secs(58 * 60));
        assert_eq!(token(&cache).await, "Bearer token-1");
        clock.advance(Duration::from_secs(2 * 60));
        assert!(cache.get().await.unwrap_err().to_string().contains("told to fail"));
    }
}
