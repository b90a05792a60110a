//! The flags that say how long the emulator waits for workers, and how they are applied.

use clap::Args;
use std::time::Duration;
use taskhub::emulator::EmulatorBuilder;

/// How the emulator takes work back from workers that do not answer.
#[derive(Debug, Args)]
pub(crate) struct DeliveryFlags {
    /// Silence after which a worker is given up that answers no HTTP/2 ping or reads no work: 30s, 5m or off
    #[arg(long, env = "DTS_WORKER_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = time_limit)]
    pub(crate) worker_timeout: TimeLimit,
    /// Longest time that a worker may hold an orchestrator's turn before another worker gets it, or off
    #[arg(long, env = "DTS_TURN_LEASE", default_value = "5m", value_name = "TIME", value_parser = time_limit)]
    pub(crate) turn_lease: TimeLimit,
    /// The same for activities and entity operations, which may run for hours
    #[arg(long, env = "DTS_ACTIVITY_LEASE", default_value = "off", value_name = "TIME", value_parser = time_limit)]
    pub(crate) activity_lease: TimeLimit,
    /// Uncompleted work items of a kind for a worker that does not say how many it takes
    #[arg(long, env = "DTS_UNSTATED_LIMIT", default_value = "1000", value_name = "N")]
    pub(crate) unstated_limit: std::num::NonZeroU32,
    /// Workers that may die of the same work item before it fails, or off
    #[arg(long, env = "DTS_MAX_WORKER_LOSSES", default_value = "10", value_name = "N", value_parser = loss_limit)]
    pub(crate) max_worker_losses: LossLimit,
    /// Time after which terminate, suspend and resume work on instances whose orchestrator no worker takes, or off
    #[arg(long, env = "DTS_UNATTENDED_AFTER", default_value = "5s", value_name = "TIME", value_parser = time_limit)]
    pub(crate) unattended_after: TimeLimit,
}

impl DeliveryFlags {
    pub(crate) fn apply(&self, builder: EmulatorBuilder) -> EmulatorBuilder {
        builder
            .worker_timeout(self.worker_timeout.0)
            .turn_lease(self.turn_lease.0)
            .activity_lease(self.activity_lease.0)
            .unstated_limit(usize::try_from(self.unstated_limit.get()).unwrap_or(usize::MAX))
            .max_worker_losses(self.max_worker_losses.0)
            .unattended(self.unattended_after.0)
    }
}

/// How long to wait; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub(crate) Option<Duration>);

fn time_limit(text: &str) -> Result<TimeLimit, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(TimeLimit(None));
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    let seconds_per_unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("say a time as 30s, 5m or 2h, or off".to_owned()),
    };
    match number.parse::<u64>() {
        Ok(0) => Err("say off for no limit; a time is a second at least".to_owned()),
        Ok(number) => Ok(TimeLimit(Some(Duration::from_secs(number.saturating_mul(seconds_per_unit))))),
        Err(_) => Err("say a time as 30s, 5m or 2h, or off".to_owned()),
    }
}

/// How many losses are allowed; `None` is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LossLimit(pub(crate) Option<u32>);

fn loss_limit(text: &str) -> Result<LossLimit, String> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(LossLimit(None));
    }
    match text.trim().parse::<u32>() {
        Ok(0) | Err(_) => Err("say a number, 1 at least, or off".to_owned()),
        Ok(number) => Ok(LossLimit(Some(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_or_without_a_unit_and_off_is_none() {
        let seconds = |text| time_limit(text).map(|limit| limit.0.map(|time| time.as_secs()));
        assert_eq!(seconds("30"), Ok(Some(30)));
        assert_eq!(seconds("30s"), Ok(Some(30)));
        assert_eq!(seconds("5m"), Ok(Some(300)));
        assert_eq!(seconds("2h"), Ok(Some(7_200)));
        assert_eq!(seconds("OFF"), Ok(None));
        for wrong in ["", "0", "s", "5 m", "-1", "1.5s", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!((loss_limit("off"), loss_limit("3")), (Ok(LossLimit(None)), Ok(LossLimit(Some(3)))));
        assert!(loss_limit("0").is_err());
    }
}
