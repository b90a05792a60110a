//! Mints ids from a seed: the same seed gives the same ids in the same order.

use crate::model::{ExecutionId, InstanceId};
use uuid::Uuid;

/// A source of ids that is a value: it draws nothing from the system.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ids {
    seed: Uuid,
    minted: u64,
}

impl Ids {
    pub(crate) fn new(seed: u128) -> Self {
        Self { seed: Uuid::from_u128(seed), minted: 0 }
    }

    /// A fresh uuid; its randomness is that of the seed.
    pub(crate) fn uuid(&mut self) -> Uuid {
        self.minted += 1;
        let hashed = Uuid::new_v5(&self.seed, &self.minted.to_be_bytes());
        uuid::Builder::from_random_bytes(*hashed.as_bytes()).into_uuid()
    }

    /// 32 lower-case hex digits, the form that other SDKs rely on (protocol/instances.md#executions).
    pub(crate) fn execution(&mut self) -> ExecutionId {
        ExecutionId::new(self.uuid().simple().to_string())
    }

    /// An id for an instance whose creator gave none.
    pub(crate) fn instance(&mut self) -> InstanceId {
        InstanceId::unchecked(self.uuid().simple().to_string())
    }

    /// What tells this engine's completion tokens from those of another life of the hub.
    pub(crate) fn life(&self) -> String {
        // Hashed, so that seeds that differ in their last digit alone make lives that differ.
        let simple = Uuid::new_v5(&self.seed, b"life").simple().to_string();
        simple[..12].to_owned()
    }
}
