//! An emulator in this process, one for each case.

use crate::conformance::{Controls, Hub, Later, Need, Target};
use std::sync::Arc;
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::Emulator;
use taskhub::model::Timestamp;

/// Starts an emulator for each case, with the options that the case needs.
pub(crate) struct InProcess;

impl Target for InProcess {
    fn lacks(&self, _: &[Need]) -> Option<Need> {
        None
    }

    fn hub<'a>(&'a self, needs: &'a [Need]) -> Later<'a, Hub> {
        Box::pin(async move {
            let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
            let mut builder = Emulator::builder();
            for need in needs {
                builder = match *need {
                    Need::StillClock => builder.clock(clock.clone()),
                    Need::Stop | Need::Figures => builder,
                    Need::DynamicHubs => builder.dynamic_hubs(true),
                    Need::NoServiceLimits => builder.service_limits(false),
                    Need::UnstatedLimit(items) => builder.unstated_limit(items),
                    Need::WorkerTimeout(seconds) => builder.worker_timeout(seconds.map(Duration::from_secs)),
                    Need::TurnLease(seconds) => builder.turn_lease(Duration::from_secs(seconds)),
                    Need::ActivityLease(seconds) => builder.activity_lease(Duration::from_secs(seconds)),
                    Need::WorkerLosses(losses) => builder.max_worker_losses(losses),
                };
            }
            let emulator = builder.start().await.expect("the emulator starts");
            let endpoint = emulator.endpoint();
            let controls = Own { clock, emulator: tokio::sync::Mutex::new(Some(emulator)) };
            Hub::new(endpoint, "default".into(), String::new(), Arc::new(controls))
        })
    }
}

/// The emulator of one case, and its clock if that is turned by hand.
struct Own {
    clock: Arc<ManualClock>,
    emulator: tokio::sync::Mutex<Option<Emulator>>,
}

impl Controls for Own {
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(async {
            let emulator = self.emulator.lock().await.take();
            emulator.expect("the case stops it once").stop().await;
        })
    }

    fn turns_held<'a>(&'a self, hub: &'a str) -> Later<'a, Vec<usize>> {
        Box::pin(async move {
            let emulator = self.emulator.lock().await;
            let hub = emulator.as_ref().and_then(|emulator| emulator.hub(hub)).expect("the emulator runs");
            drop(emulator);
            let stats = hub.stats().await.expect("the emulator runs");
            stats.workers.iter().map(|worker| worker.active[0]).collect()
        })
    }
}
