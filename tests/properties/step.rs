//! Draws what happens in a case: a list of steps, each meaningful whatever went before.

use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that happens. Numbers pick among what there is at that moment, modulo how many there are.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Start { who: u8, later: Option<u16>, reuse: Reuse },
    Raise { who: u8 },
    Terminate { who: u8, recursive: bool },
    Suspend { who: u8 },
    Resume { who: u8 },
    Rewind { who: u8 },
    Restart { who: u8, new_id: bool },
    Purge { who: u8, recursive: bool },
    PurgeEnded,
    Wait { who: u8, started: bool },
    Signal { entity: u8, later: Option<u16> },
    PurgeEntity { entity: u8 },
    Open { shape: u8 },
    Close { which: u8 },
    Turn { which: u8, turn: Turn },
    Activity { which: u8, ok: bool },
    Batch { which: u8, batch: Batch },
    Abandon { which: u8 },
    Late { which: u8 },
    Pass { millis: u16 },
    Reload { calm: bool },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Reuse {
    Unsaid,
    Nothing,
    Everything,
    Ended,
}

/// What a worker makes of a turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) wishes: Vec<Wish>,
    pub(crate) ending: Ending,
    /// How many countable events are consumed; all where nothing is said.
    pub(crate) consumed: Option<u8>,
    /// Whether the answer comes in two parts.
    pub(crate) in_parts: bool,
    /// Whether the worker wants the history again instead of answering.
    pub(crate) forgetful: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    Activity { again: bool },
    Timer { millis: u16 },
    Child { who: Option<u8> },
    Send { who: u8 },
    Terminate { who: u8, recursive: bool },
    Call { entity: u8 },
    Signal { entity: u8, later: Option<u16> },
    Lock { set: u8 },
    Unlock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Open,
    Complete,
    Fail,
    ContinueAsNew {
        carry: bool,
    },
    /// Of a rewind turn: the worker does not know how.
    Refuse,
}

/// What a worker makes of an entity batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Batch {
    Run { at_most: u8, keep: bool, spread: Option<u8> },
    Nothing,
    Crash { for_good: bool },
    Malformed,
}

fn maybe_later() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![3 => Just(None), 1 => (0..900_u16).prop_map(Some)]
}

fn wish(entities: u32) -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => prop::bool::weighted(0.2).prop_map(|again| Wish::Activity { again }),
        2 => (0..600_u16).prop_map(|millis| Wish::Timer { millis }),
        2 => prop::option::weighted(0.6, any::<u8>()).prop_map(|who| Wish::Child { who }),
        2 => any::<u8>().prop_map(|who| Wish::Send { who }),
        1 => any::<(u8, bool)>().prop_map(|(who, recursive)| Wish::Terminate { who, recursive }),
        entities => any::<u8>().prop_map(|entity| Wish::Call { entity }),
        entities => (any::<u8>(), maybe_later()).prop_map(|(entity, later)| Wish::Signal { entity, later }),
        entities => any::<u8>().prop_map(|set| Wish::Lock { set }),
        entities => Just(Wish::Unlock),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        8 => Just(Ending::Open),
        3 => Just(Ending::Complete),
        2 => Just(Ending::Fail),
        2 => any::<bool>().prop_map(|carry| Ending::ContinueAsNew { carry }),
        1 => Just(Ending::Refuse),
    ]
}

fn turn(entities: u32) -> impl Strategy<Value = Turn> {
    let parts = (
        vec(wish(entities), 0..4),
        ending(),
        prop::option::weighted(0.2, 1..4_u8),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.05),
    );
    parts.prop_map(|(wishes, ending, consumed, in_parts, forgetful)| Turn {
        wishes,
        ending,
        consumed,
        in_parts,
        forgetful,
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    prop_oneof![
        8 => (1..4_u8, prop::bool::weighted(0.8), prop::option::weighted(0.2, any::<u8>()))
            .prop_map(|(at_most, keep, spread)| Batch::Run { at_most, keep, spread }),
        1 => Just(Batch::Nothing),
        1 => prop::bool::weighted(0.3).prop_map(|for_good| Batch::Crash { for_good }),
        1 => Just(Batch::Malformed),
    ]
}

/// How often entities, clients' management and the machine's faults come up, in a mix of steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) entities: u32,
    pub(crate) management: u32,
    pub(crate) faults: u32,
}

fn step(mix: Mix) -> impl Strategy<Value = Step> {
    let Mix { entities, management, faults } = mix;
    let who = any::<u8>;
    let reuse = prop_oneof![
        3 => Just(Reuse::Unsaid),
        1 => Just(Reuse::Nothing),
        1 => Just(Reuse::Everything),
        1 => Just(Reuse::Ended),
    ];
    let clients = prop_oneof![
        6 => (who(), maybe_later(), reuse).prop_map(|(who, later, reuse)| Step::Start { who, later, reuse }),
        6 => who().prop_map(|who| Step::Raise { who }),
        1 + management => any::<(u8, bool)>().prop_map(|(who, recursive)| Step::Terminate { who, recursive }),
        management => who().prop_map(|who| Step::Suspend { who }),
        management => who().prop_map(|who| Step::Resume { who }),
        management => who().prop_map(|who| Step::Rewind { who }),
        management => any::<(u8, bool)>().prop_map(|(who, new_id)| Step::Restart { who, new_id }),
        management => any::<(u8, bool)>().prop_map(|(who, recursive)| Step::Purge { who, recursive }),
        1 => Just(Step::PurgeEnded),
        2 => any::<(u8, bool)>().prop_map(|(who, started)| Step::Wait { who, started }),
        entities => (any::<u8>(), maybe_later()).prop_map(|(entity, later)| Step::Signal { entity, later }),
        1 => any::<u8>().prop_map(|entity| Step::PurgeEntity { entity }),
    ];
    let workers = prop_oneof![
        3 => any::<u8>().prop_map(|shape| Step::Open { shape }),
        faults => any::<u8>().prop_map(|which| Step::Close { which }),
        16 => (any::<u8>(), turn(entities)).prop_map(|(which, turn)| Step::Turn { which, turn }),
        6 => (any::<u8>(), prop::bool::weighted(0.7)).prop_map(|(which, ok)| Step::Activity { which, ok }),
        2 * entities => (any::<u8>(), batch()).prop_map(|(which, batch)| Step::Batch { which, batch }),
        faults => any::<u8>().prop_map(|which| Step::Abandon { which }),
        faults => any::<u8>().prop_map(|which| Step::Late { which }),
    ];
    let machine = prop_oneof![
        4 => (0..1_500_u16).prop_map(|millis| Step::Pass { millis }),
        faults => any::<bool>().prop_map(|calm| Step::Reload { calm }),
    ];
    prop_oneof![5 => clients, 8 => workers, 2 => machine]
}

/// A case: what happens, in order.
pub(crate) fn case(mix: Mix, longest: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(mix), 1..longest)
}
