//! How a batch is cut into shards.

use std::ops::Range;

use super::graph::Graph;
use super::shapes::Shapes;
use crate::Scalar;
use crate::ids::{SlotId, each};
use crate::tensor::volume;

/// A batch is cut into no more shards than this: each has gradients of its own.
pub(crate) const MOST_SHARDS: usize = 32;
/// Rows of a shard, where a batch has many: kernels are slower with fewer, and the values of more do not stay in a core's cache.
const ROWS: std::ops::RangeInclusive<usize> = 16..=64;
/// And where it has few.
const FEWEST_ROWS: usize = 8;

/// How many rows a shard has at least, where the batch has as many.
///
/// A shard writes a gradient of every weight, once. Where a row uses each weight once, as in dense layers, it takes many rows to
/// make that small beside their own work; a convolution uses its kernel at every place of the output, a recurrent layer at
/// every step.
pub(crate) fn rows_a_shard<F: Scalar>(graph: &Graph<F>, shapes: &Shapes) -> usize {
    /// Uses of each weight that outweigh writing its gradient.
    const USES: usize = 512;
    let places = |slot: SlotId| volume(&shapes.of[slot]) / shapes.of[slot].last().copied().unwrap_or(1).max(1);
    let (mut weights, mut uses) = (0usize, 0usize);
    for node in &graph.nodes {
        let Some(layer) = graph.layer(node) else { continue };
        // Of a table a row uses what it asks for, and so does its gradient.
        let specs = graph.specs[layer.specs.clone()].iter().filter(|spec| spec.table_rows().is_none());
        let own: usize = specs.map(|spec| spec.range.len()).sum();
        let most = node.inputs.iter().map(|input| input.slot).chain(each(&node.outputs)).map(places).max().unwrap_or(0);
        weights += if layer.shares.is_some() { 0 } else { own };
        uses = uses.saturating_add(own.saturating_mul(most));
    }
    (USES * weights).div_ceil(uses.max(1)).clamp(*ROWS.start(), *ROWS.end())
}

/// How many shards a batch of so many rows is cut into, of about `rows_a_shard` rows each: a power of two where that leaves each
/// enough, so that they are shared out evenly, and at least two. It depends on the batch and the network alone, so that sums are
/// added in the same order on every machine.
pub(crate) fn shard_count(rows: usize, rows_a_shard: usize) -> usize {
    let count = rows.div_ceil(rows_a_shard).checked_next_power_of_two().unwrap_or(MOST_SHARDS);
    count.max(2).min(rows / FEWEST_ROWS).clamp(1, MOST_SHARDS)
}

/// The rows of shard `number` of `count`: as even as can be.
pub(crate) fn shard_rows(batch: usize, number: usize, count: usize) -> Range<usize> {
    number * batch / count..(number + 1) * batch / count
}

#[cfg(test)]
mod tests {
    use super::{rows_a_shard, shard_count};
    use crate::custom::*;

    #[test]
    fn networks_that_use_their_weights_often_are_cut_finely() {
        let rows = |model: Sequential<f32>| {
            let model = model.build().expect("it builds");
            let shapes = model.graph.shapes_for(std::iter::empty()).expect("fixed");
            rows_a_shard(&model.graph, &shapes)
        };
        assert_eq!(rows(Sequential::new().input([784]).add(Dense::new(128)).add(Dense::new(10))), 64);
        assert_eq!(rows(Sequential::new().input([28, 28, 1]).add(Conv2D::new(32, 3)).add(Conv2D::new(64, 3))), 16);
        assert_eq!(rows(Sequential::new().input([28, 28]).add(LSTM::new(128)).add(Dense::new(10))), 19);
        assert_eq!(rows(Sequential::new().input([6]).add(Relu)), 16, "no weights at all");
    }

    #[test]
    fn shards_are_even_and_not_too_small() {
        for (batch, rows, count) in [
            (1, 16, 1),
            (15, 16, 1),
            (16, 16, 2),
            (24, 16, 2),
            (128, 16, 8),
            (128, 19, 8),
            (128, 64, 2),
            (100_000, 64, 32),
        ] {
            assert_eq!(shard_count(batch, rows), count, "{batch} rows, {rows} a shard");
        }
    }
}
