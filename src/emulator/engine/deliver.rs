//! Hands work to workers and answers to those who wait. Nothing here is durable.

pub(crate) mod chunks;
pub(crate) mod draining;
pub(crate) mod expire;
pub(crate) mod gather;
pub(crate) mod hand_out;
pub(crate) mod lease;
pub(crate) mod matching;
pub(crate) mod observe;
pub(crate) mod quarantine;
pub(crate) mod stats;
pub(crate) mod streams;
pub(crate) mod suspects;
pub(crate) mod turn;
pub(crate) mod unclaimed;
pub(crate) mod waiters;
pub(crate) mod worklist;
