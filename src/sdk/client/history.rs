//! Fetches the history of an instance.

use super::calls::Retry;
use super::{Client, Error};
use crate::model::History;
use crate::wire;

impl Client {
    /// What happened in an instance's current execution, in order; empty when there is no such instance.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn history(&self, id: impl AsRef<str>) -> Result<History, Error> {
        let id = id.as_ref();
        let request = wire::StreamInstanceHistoryRequest { instance_id: id.to_owned(), ..Default::default() };
        let mut chunks = self
            .call(Retry::Always, id, |mut stub| {
                let request = request.clone();
                async move { stub.stream_instance_history(request).await }
            })
            .await?;
        let mut events = Vec::new();
        loop {
            match chunks.message().await {
                Ok(Some(chunk)) => events.extend(chunk.events),
                Ok(None) => return Ok(events.into()),
                Err(status) => {
                    let error = Error::from_status(&status, self.target(), id);
                    // Of a missing instance some schedulers send `NOT_FOUND`, others an empty stream.
                    let missing = events.is_empty() && matches!(error, Error::NotFound { .. });
                    return if missing { Ok(History::default()) } else { Err(error) };
                }
            }
        }
    }
}
