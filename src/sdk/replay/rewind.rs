//! Rewrites the history of a failed execution, so that only what failed is run again.

use crate::wire::{HistoryEvent, history_event::EventType};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Whether a turn asks for a rewind: it is rewound now, and it had ended before.
pub(crate) fn is_asked(past: &[HistoryEvent], new: &[HistoryEvent]) -> bool {
    is_rewound(new) && past.iter().any(|e| matches!(e.event_type, Some(EventType::ExecutionCompleted(_))))
}

/// Whether a rewind is among these events.
pub(crate) fn is_rewound(events: &[HistoryEvent]) -> bool {
    events.iter().any(|e| matches!(e.event_type, Some(EventType::ExecutionRewound(_))))
}

/// The history without what failed, and under a new execution id.
///
/// Failed activities vanish with their scheduling, so that the code schedules them again; failed children keep it, for
/// the scheduler rewinds them in their turn.
pub(crate) fn rewritten(
    past: Vec<HistoryEvent>,
    new: Vec<HistoryEvent>,
    execution_id: &str,
) -> Vec<HistoryEvent> {
    let failed: BTreeSet<i32> = past
        .iter()
        .filter_map(|event| match &event.event_type {
            Some(EventType::TaskFailed(task)) => Some(task.task_scheduled_id),
            _ => None,
        })
        .collect();
    let parent = new.iter().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionRewound(rewound)) => {
            Some((rewound.parent_execution_id.clone(), rewound.parent_trace_context.clone()))
        }
        _ => None,
    });
    let (parent_execution, parent_trace) = parent.unwrap_or_default();
    let kept = past.into_iter().chain(new).filter(|event| match &event.event_type {
        Some(
            EventType::TaskFailed(_)
            | EventType::SubOrchestrationInstanceFailed(_)
            | EventType::ExecutionCompleted(_),
        ) => false,
        Some(EventType::TaskScheduled(_)) => !failed.contains(&event.event_id),
        _ => true,
    });
    let renamed = kept.map(|mut event| {
        if let Some(EventType::ExecutionStarted(started)) = &mut event.event_type {
            if let Some(instance) = &mut started.orchestration_instance {
                instance.execution_id = Some(execution_id.to_owned());
            }
            let parent = started.parent_instance.as_mut().and_then(|p| p.orchestration_instance.as_mut());
            if let (Some(parent), Some(id)) = (parent, &parent_execution) {
                parent.execution_id = Some(id.clone());
            }
            if parent_trace.is_some() {
                started.parent_trace_context.clone_from(&parent_trace);
            }
        }
        event
    });
    renamed.collect()
}

/// The id of the execution that a rewind begins: the same for the same rewind, should its turn come twice.
pub(crate) fn execution_id(instance: &str, execution: &str, past: usize) -> String {
    let name = format!("{instance}_{execution}_{past}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string()
}
