//! The innermost loop: a tile of C, whose sums stay in registers.

use super::{Onto, Rows};
use crate::kernels::dispatch::Instructions;
use crate::kernels::math::Elementary;
use crate::kernels::vector::Vector;

/// Parts of A and B whose product a tile adds up: k columns of A with k rows of B.
#[derive(Clone, Copy)]
pub struct Operands<F> {
    pub k: usize,
    /// Element (i, p) is at `a[i·a_row + p·a_col]`.
    pub a: *const F,
    pub a_row: usize,
    pub a_col: usize,
    /// Row p begins at `b[p·b_row]` and is contiguous.
    pub b: *const F,
    pub b_row: usize,
}

impl<F: Elementary> Operands<F> {
    /// Adds the product of the next column of A and the next row of B to the sums.
    #[inline(always)]
    unsafe fn add_next<V: Vector<F>, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        sums: &mut [[V; VECTORS]; ROWS],
    ) {
        let mut b = [V::splat(F::zero()); VECTORS];
        // SAFETY: the caller promises that there are a next column and row.
        unsafe {
            for (v, b) in b.iter_mut().enumerate() {
                *b = V::load(self.b.add(v * V::LEN));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = V::splat(*self.a.add(i * self.a_row));
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = a.mul_add(b, *sum);
                }
            }
        }
        // Behind the last element the pointers are not used again.
        self.a = self.a.wrapping_add(self.a_col);
        self.b = self.b.wrapping_add(self.b_row);
    }
}

/// `rows` ≤ `TILE_ROWS` rows and `cols` ≤ two vectors of C. B is readable for whole vectors.
#[inline(always)]
pub unsafe fn tile<F: Elementary, I: Instructions<F>>(
    operands: Operands<F>,
    rows: usize,
    cols: usize,
    onto: Onto<F>,
    c: Rows<F>,
) {
    /// Tests the number of rows, so that each gets a loop of its own, with all sums in registers.
    macro_rules! by_rows {
        ($vectors:literal: $($rows:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($rows if $rows <= I::TILE_ROWS => unsafe {
                    let sums = sums::<F, I::Vector, $rows, $vectors, 1>(operands);
                    store(sums, cols, onto, c);
                },)*
                _ => unreachable!("a tile has 1 to TILE_ROWS rows"),
            }
        };
    }
    if cols <= I::Vector::LEN {
        by_rows!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    } else {
        by_rows!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// Σₚ a[·, p]·b[p, ·] for `ROWS` rows and `VECTORS` vectors of columns.
///
/// A sum must wait for the one before it; a tile with few sums makes `CHAINS` of each, for every `CHAINS`-th p, so that
/// there is always one to go on with.
#[inline(always)]
pub unsafe fn sums<F: Elementary, V: Vector<F>, const ROWS: usize, const VECTORS: usize, const CHAINS: usize>(
    of: Operands<F>,
) -> [[V; VECTORS]; ROWS] {
    let mut sums = [[[V::splat(F::zero()); VECTORS]; ROWS]; CHAINS];
    let mut rest = of;
    // SAFETY: the caller promises k columns of A and k rows of B, readable for VECTORS vectors.
    unsafe {
        for _ in 0..of.k / CHAINS {
            for sums in &mut sums {
                rest.add_next(sums);
            }
        }
        if CHAINS > 1 {
            for _ in 0..of.k % CHAINS {
                rest.add_next(&mut sums[0]);
            }
        }
    }
    let [first, rest @ ..] = &sums[..] else { unreachable!("a sum has a chain") };
    let mut total = *first;
    for chain in rest {
        for (total, chain) in total.iter_mut().zip(chain) {
            for (total, &chain) in total.iter_mut().zip(chain) {
                *total = total.add(chain);
            }
        }
    }
    total
}

/// c = onto + sums, for the first `cols` columns.
#[inline(always)]
pub unsafe fn store<F: Elementary, V: Vector<F>, const ROWS: usize, const VECTORS: usize>(
    sums: [[V; VECTORS]; ROWS],
    cols: usize,
    onto: Onto<F>,
    c: Rows<F>,
) {
    // SAFETY: the caller promises ROWS rows and `cols` columns of C, and as many biases.
    unsafe {
        if cols == VECTORS * V::LEN {
            for (i, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let c = c.at(i, v * V::LEN);
                    let sum = match onto {
                        Onto::Zero => sum,
                        Onto::C => sum.add(V::load(c)),
                        Onto::Bias(bias) => sum.add(V::load(bias.add(v * V::LEN))),
                    };
                    sum.store(c);
                }
            }
        } else {
            for (i, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let from = v * V::LEN;
                    if from < cols {
                        store_part(sum, from, (cols - from).min(V::LEN), onto, c.at(i, from));
                    }
                }
            }
        }
    }
}

/// c = onto + sum for the first `n` elements of a vector, whose columns begin at `from`.
#[inline(always)]
unsafe fn store_part<F: Elementary, V: Vector<F>>(sum: V, from: usize, n: usize, onto: Onto<F>, c: *mut F) {
    // SAFETY: the caller promises `n` elements of C and biases up to `from + n`.
    unsafe {
        if n == V::LEN {
            match onto {
                Onto::Zero => sum,
                Onto::C => sum.add(V::load(c)),
                Onto::Bias(bias) => sum.add(V::load(bias.add(from))),
            }
            .store(c);
        } else {
            match onto {
                Onto::Zero => sum,
                Onto::C => sum.add(V::load_first(c, n)),
                Onto::Bias(bias) => sum.add(V::load_first(bias.add(from), n)),
            }
            .store_first(c, n);
        }
    }
}
