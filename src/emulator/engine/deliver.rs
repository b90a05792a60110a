//! Hands work to workers, and answers to those who wait.
//!
//! Nothing here is durable: it follows the records (`follow`), and is made anew from the state after a rebuild (`ready`).
//! Where delivery finds that something has to fail, because no worker can receive it or because it kills its workers, it
//! has that decided, and follows the records of it.

mod answers;
mod chunks;
pub(crate) mod departure;
mod draining;
mod expire;
mod fire;
mod follow;
pub(crate) mod gather;
pub(crate) mod hand_out;
pub(crate) mod lease;
mod long;
mod matching;
pub(crate) mod observe;
mod quarantine;
mod ready;
pub(crate) mod returned;
pub(crate) mod stats;
pub(crate) mod streams;
pub(crate) mod suspects;
pub(crate) mod turn;
mod unattended;
pub(crate) mod unclaimed;
pub(crate) mod waiters;
pub(crate) mod worklist;
