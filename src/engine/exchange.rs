//! Where the shards of a batch meet: in this process, or, through an [`Exchange`], in several.

use std::ops::Range;

use crate::{Error, Result, Scalar};

/// Joins what the shards of a batch have each a part of: sums at layers that couple samples, losses and their
/// denominators, gradients, metrics, and whether a shard failed.
///
/// A batch is cut into shards, and parts are joined in a fixed binary tree over the shards' numbers (see [`halves`]). So
/// processes that each compute a branch of the tree, and join what they have through an `Exchange`, come to the same
/// bits as one process alone. A network without one keeps all shards to itself.
pub trait Exchange<F: Scalar>: Send + Sync {
    /// Which of a batch's `count` shards this process computes: a branch of the tree.
    fn shards(&self, count: usize) -> Range<usize>;

    /// `part` ← what all processes have there, joined by `join(left, right)`, which leaves its result in `left`, in the
    /// order of the tree. Every process calls it at the same places with as many values.
    ///
    /// # Errors
    /// If another process is out of reach.
    fn join(&self, part: &mut [F], join: &dyn Fn(&mut [F], &[F])) -> Result<()>;

    /// The same for sums in `f64`.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    fn add_up(&self, part: &mut [f64]) -> Result<()>;
}

/// Where the tree over `count` parts is cut: the left branch has the first half of them, and the one in the middle.
///
/// ```
/// use gradus::engine::halves;
/// assert_eq!((halves(2), halves(5), halves(16)), (1, 3, 8));
/// ```
pub fn halves(count: usize) -> usize {
    count.div_ceil(2)
}

/// Joins parts in the order of the tree; the first then has the result.
pub(crate) fn join_tree<T>(parts: &mut [T], join: &mut impl FnMut(&mut T, &mut T)) {
    if parts.len() > 1 {
        let (left, right) = parts.split_at_mut(halves(parts.len()));
        join_tree(left, join);
        join_tree(right, join);
        join(&mut left[0], &mut right[0]);
    }
}

/// The sum of values in the order of the tree.
pub(crate) fn sum_tree(values: &mut dyn Iterator<Item = f64>, count: usize) -> f64 {
    match count {
        0 => 0.0,
        1 => values.next().unwrap_or(0.0),
        _ => {
            let left = halves(count);
            sum_tree(values, left) + sum_tree(values, count - left)
        }
    }
}

/// Refuses to go on in every process if something failed in one: here, or elsewhere.
pub(crate) fn agree<F: Scalar>(exchange: Option<&dyn Exchange<F>>, here: Option<Error>) -> Result<()> {
    let Some(exchange) = exchange else { return here.map_or(Ok(()), Err) };
    let mut failed = [f64::from(u8::from(here.is_some()))];
    exchange.add_up(&mut failed)?;
    match here {
        Some(error) => Err(error),
        None if failed[0] > 0.0 => Err(Error::NotReady { call: "exchange", needs: "every process to succeed" }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{join_tree, sum_tree};

    #[test]
    fn parts_are_joined_in_a_tree() {
        for (count, expected) in
            [(1, "0"), (2, "(0+1)"), (3, "((0+1)+2)"), (4, "((0+1)+(2+3))"), (6, "(((0+1)+2)+((3+4)+5))")]
        {
            let mut parts: Vec<String> = (0..count).map(|part| part.to_string()).collect();
            join_tree(&mut parts, &mut |left, right| *left = format!("({left}+{right})"));
            assert_eq!(parts[0], expected);
        }
        assert_eq!(sum_tree(&mut [1.0, 2.0, 4.0].into_iter(), 3), 7.0);
    }
}
