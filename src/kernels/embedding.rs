//! Tables of vectors, looked up by whole numbers.

use super::dispatch::kernel;
use crate::Scalar;

/// The row that `id` names, if it is a whole number below `rows`.
#[inline(always)]
pub fn row<F: Scalar>(id: F, rows: usize) -> Option<usize> {
    let whole = id.to_usize()?;
    (whole < rows && F::of(whole as f64) == id).then_some(whole)
}

/// The first of `ids` that names no row of a table of `rows`.
pub fn first_bad_id<F: Scalar>(ids: &[F], rows: usize) -> Option<usize> {
    ids.iter().position(|&id| row(id, rows).is_none())
}

/// The rows that `ids` name, of a table of `rows`.
pub fn rows_of<F: Scalar>(ids: &[F], rows: usize) -> impl Iterator<Item = usize> + '_ {
    ids.iter().filter_map(move |&id| row(id, rows))
}

kernel! { memory_bound:
    /// `y[i] = table[ids[i]]`: `ids` (n), `table` (rows, width) → `y` (n, width). An id that names no row gives zeros.
    pub fn look_up<F>(ids: &[F], table: &[F], width: usize, y: &mut [F]) {
        let rows = table.len() / width.max(1);
        for (y, &id) in y.chunks_exact_mut(width.max(1)).zip(ids) {
            match row(id, rows) {
                Some(row) => y.copy_from_slice(&table[row * width..][..width]),
                None => y.fill(F::zero()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found() {
        let table = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut y = [9.0; 8];
        look_up(&[2.0, 0.0, 3.0, 0.5], &table, 2, &mut y);
        assert_eq!(y, [5.0, 6.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        for (ids, bad) in [([0.0f64, 2.0], None), ([0.0, 3.0], Some(1)), ([-1.0, 0.0], Some(0)), ([0.0, 0.5], Some(1))]
        {
            assert_eq!(first_bad_id(&ids, 3), bad);
        }
        assert_eq!(first_bad_id(&[f32::NAN], 3), Some(0));
    }
}
