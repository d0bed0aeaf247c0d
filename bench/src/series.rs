//! Many measurements of one quantity, and their statistics.

use std::time::Duration;

/// Measurements, in microseconds or the unit of their table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds a value.
    pub(crate) fn push(&mut self, value: f64) {
        let place = self.0.partition_point(|other| other.total_cmp(&value).is_lt());
        self.0.insert(place, value);
    }

    /// Adds a time, in microseconds.
    pub(crate) fn push_time(&mut self, time: Duration) {
        self.push(micros(time));
    }

    /// All of them, the smallest first.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest that `percent` of all do not exceed; not a number if there are none.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// Half are below it.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The smallest.
    pub(crate) fn min(&self) -> f64 {
        self.percentile(0)
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        self.percentile(100)
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut series = Self::default();
        values.into_iter().for_each(|value| series.push(value));
        series
    }
}

/// A time in microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// How much of `time` each of `count` took, in microseconds; not a number if there were none.
pub(crate) fn micros_each(time: Duration, count: usize) -> f64 {
    if count == 0 { f64::NAN } else { micros(time) / real(count) }
}

/// How many of `count` there were in a second.
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    real(count) / time.as_secs_f64()
}

/// A count as a real number.
#[expect(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
pub(crate) fn real(count: usize) -> f64 {
    count as f64
}
