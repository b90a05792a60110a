//! Replays orchestrations against histories, turn by turn.

mod replay {
    mod combinators;
    mod control;
    mod entities;
    mod retries;
    mod rules;
    mod special;
    mod story;
    mod waiting;
}
