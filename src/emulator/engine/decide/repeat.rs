//! Recognises a request that a client sends again.
//!
//! .NET, JavaScript and Go send a call again whose connection broke, and cannot know whether it was taken. What a client
//! signals has an id for that.

use crate::model::InstanceId;
use std::collections::{BTreeSet, VecDeque};
use uuid::Uuid;

/// How many requests are remembered: a call is sent again within seconds.
const REMEMBERED: usize = 10_000;

/// The requests of clients that were taken last, each with the entity it was for.
///
/// Gone with the process: a client that sends a call again over a restart of the hub is taken at its word.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    recent: BTreeSet<(Uuid, InstanceId)>,
    order: VecDeque<(Uuid, InstanceId)>,
}

impl Requests {
    /// Notes a request. Whether it is the first of its id for that entity.
    pub(crate) fn is_first(&mut self, request: Uuid, entity: &InstanceId) -> bool {
        let key = (request, entity.clone());
        if !self.recent.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_remembered_by_entity_and_the_oldest_is_forgotten() {
        let (a, b) = (InstanceId::unchecked("@c@a"), InstanceId::unchecked("@c@b"));
        let mut requests = Requests::default();
        assert!(requests.is_first(Uuid::from_u128(0), &a));
        assert!(requests.is_first(Uuid::from_u128(0), &b));
        for request in 1..REMEMBERED as u128 {
            assert!(!requests.is_first(Uuid::from_u128(0), &b));
            requests.is_first(Uuid::from_u128(request), &a);
        }
        assert!(requests.is_first(Uuid::from_u128(0), &a), "it was the oldest");
        assert_eq!(requests.order.len(), REMEMBERED);
    }
}
