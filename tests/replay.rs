//! Replays orchestrations against histories, turn by turn.

mod replay {
    mod combinators;
    mod story;
}
