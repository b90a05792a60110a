//! Declares the flags that say how long the emulator waits for workers, and applies them.

use clap::Args;
use std::time::Duration;
use taskhub::emulator::EmulatorBuilder;

/// How the emulator takes work back from workers that do not answer.
#[derive(Debug, Args)]
pub(crate) struct Delivery {
    /// Silence after which a worker is given up that answers no HTTP/2 ping or reads no work: 30s, 5m or off
    #[arg(long, env = "DTS_WORKER_TIMEOUT", default_value = "30s", value_name = "TIME", value_parser = patience)]
    pub(crate) worker_timeout: Patience,
    /// Longest time that a worker may hold an orchestrator's turn before another worker gets it, or off
    #[arg(long, env = "DTS_TURN_LEASE", default_value = "5m", value_name = "TIME", value_parser = patience)]
    pub(crate) turn_lease: Patience,
    /// The same for activities and entity operations, which may run for hours
    #[arg(long, env = "DTS_ACTIVITY_LEASE", default_value = "off", value_name = "TIME", value_parser = patience)]
    pub(crate) activity_lease: Patience,
    /// Uncompleted work items of a kind for a worker that does not say how many it takes
    #[arg(long, env = "DTS_UNSTATED_LIMIT", default_value = "1000", value_name = "N")]
    pub(crate) unstated_limit: std::num::NonZeroU32,
    /// Workers that may die of the same work item before it fails, or off
    #[arg(long, env = "DTS_MAX_WORKER_LOSSES", default_value = "10", value_name = "N", value_parser = losses)]
    pub(crate) max_worker_losses: Losses,
    /// Time after which terminate, suspend and resume work on instances whose orchestrator no worker takes, or off
    #[arg(long, env = "DTS_UNATTENDED_AFTER", default_value = "5s", value_name = "TIME", value_parser = patience)]
    pub(crate) unattended_after: Patience,
}

impl Delivery {
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

/// A time to wait; none is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Duration>);

fn patience(text: &str) -> Result<Patience, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(Patience(None));
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
        Ok(number) => Ok(Patience(Some(Duration::from_secs(number.saturating_mul(seconds_per_unit))))),
        Err(_) => Err("say a time as 30s, 5m or 2h, or off".to_owned()),
    }
}

/// How many losses; none is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Losses(pub(crate) Option<u32>);

fn losses(text: &str) -> Result<Losses, String> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(Losses(None));
    }
    match text.trim().parse::<u32>() {
        Ok(0) | Err(_) => Err("say a number, 1 at least, or off".to_owned()),
        Ok(number) => Ok(Losses(Some(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_or_without_a_unit_and_off_is_none() {
        let seconds = |text| patience(text).map(|patience| patience.0.map(|time| time.as_secs()));
        assert_eq!(seconds("30"), Ok(Some(30)));
        assert_eq!(seconds("30s"), Ok(Some(30)));
        assert_eq!(seconds("5m"), Ok(Some(300)));
        assert_eq!(seconds("2h"), Ok(Some(7_200)));
        assert_eq!(seconds("OFF"), Ok(None));
        for wrong in ["", "0", "s", "5 m", "-1", "1.5s", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!((losses("off"), losses("3")), (Ok(Losses(None)), Ok(Losses(Some(3)))));
        assert!(losses("0").is_err());
    }
}
