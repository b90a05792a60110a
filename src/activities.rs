//! The sample's activities: plain functions, value in, value out. Copy them and put your own work in.

use crate::sdk::{DurableError, Failure};
use serde::{Deserialize, Serialize};

/// Why an item could not be processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum WorkError {
    /// The square of the item does not fit.
    #[error("the square of {item} is too large")]
    TooLarge {
        /// The item.
        item: i64,
    },
}

impl DurableError for WorkError {
    fn retryable(&self) -> bool {
        false // the same item has the same square tomorrow
    }
}

/// What came of all items.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The results, in the order of the items.
    pub results: Vec<i64>,
    /// Their sum.
    pub sum: i64,
    /// Their average; nothing when there are no results.
    pub average: Option<f64>,
    /// The items that failed, and why.
    pub failures: Vec<Failed>,
}

/// An item that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The item.
    pub item: i64,
    /// Why it failed.
    pub reason: String,
}

/// Lists the items to work on. Yours may read a queue, a table or a folder.
///
/// # Errors
///
/// None here; yours will have some.
pub fn list_work_items(asked: Vec<i64>) -> Result<Vec<i64>, Failure> {
    Ok(asked)
}

/// Processes one item: squares it.
///
/// # Errors
///
/// The square is too large.
pub async fn process(item: i64) -> Result<i64, WorkError> {
    item.checked_mul(item).ok_or(WorkError::TooLarge { item })
}

/// Puts together what came of all items: a result for each, or why there is none.
///
/// # Errors
///
/// The sum is too large.
#[expect(clippy::cast_precision_loss, reason = "an average of numbers this large is rounded anyway")]
pub fn aggregate(outcomes: Vec<Result<i64, Failed>>) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    for outcome in outcomes {
        match outcome {
            Ok(result) => summary.results.push(result),
            Err(failed) => summary.failures.push(failed),
        }
    }
    let sum = summary.results.iter().try_fold(0_i64, |sum, result| sum.checked_add(*result));
    summary.sum = sum.ok_or_else(|| Failure::permanent("the sum of the results is too large"))?;
    let count = summary.results.len();
    summary.average = (count > 0).then(|| summary.sum as f64 / count as f64);
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn processed(item: i64) -> Result<i64, WorkError> {
        process(item).now_or_never().expect("it waits for nothing")
    }

    #[test]
    fn an_item_is_squared() {
        assert_eq!(processed(7), Ok(49));
        assert_eq!(processed(-3), Ok(9));
    }

    #[test]
    fn a_square_that_does_not_fit_is_an_error_that_names_the_item() {
        assert_eq!(processed(i64::MAX), Err(WorkError::TooLarge { item: i64::MAX }));
    }

    #[test]
    fn the_squares_of_1_to_10_add_up_to_385_and_are_38_and_a_half_on_average() {
        let outcomes = (1..=10).map(|item| Ok(item * item)).collect();
        let summary = aggregate(outcomes).unwrap();
        assert_eq!(summary.results, [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
        assert_eq!((summary.sum, summary.average, summary.failures), (385, Some(38.5), vec![]));
    }

    #[test]
    fn a_failure_is_told_and_loses_no_result() {
        let failed = Failed { item: 5, reason: "no luck".into() };
        let summary = aggregate(vec![Ok(4), Err(failed.clone())]).unwrap();
        assert_eq!(summary.results, [4]);
        assert_eq!(summary.failures, [failed]);
    }

    #[test]
    fn nothing_has_no_average() {
        assert_eq!(aggregate(vec![]).unwrap(), Summary::default());
    }
}
