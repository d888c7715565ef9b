//! How a batch is cut into shards.

use std::ops::Range;

/// A batch is cut into no more shards than this.
pub(crate) const MOST_SHARDS: usize = 16;

/// How many shards a batch of so many rows is cut into. It depends on nothing else, so that sums are added in the same
/// order on every machine: at least two where each has eight rows to do, else about 64 rows a shard, whose values
/// stay in a core's cache.
pub(crate) fn shard_count(rows: usize) -> usize {
    const ROWS: usize = 64;
    const FEWEST_ROWS: usize = 8;
    rows.div_ceil(ROWS).max(2).min(rows / FEWEST_ROWS).clamp(1, MOST_SHARDS)
}

/// The rows of shard `number` of `count`: as even as can be.
pub(crate) fn shard_rows(batch: usize, number: usize, count: usize) -> Range<usize> {
    number * batch / count..(number + 1) * batch / count
}
