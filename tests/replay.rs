//! Replays orchestrations against histories, turn by turn.

#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    reason = "tests unwrap, and durable functions have the shape they have"
)]

mod replay {
    mod combinators;
    mod control;
    mod cost;
    mod entities;
    mod garbage;
    mod programs;
    mod retries;
    mod rules;
    mod special;
    mod story;
    mod waiting;
}
