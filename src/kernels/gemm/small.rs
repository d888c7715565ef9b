//! Products with few rows, as in predicting one sample: every element of B is used only a few times, so B is read
//! where it lies.

use std::array::from_fn;

use super::tile::{Operands, store, sums};
use super::{Matrix, Onto, Rows};
use crate::kernels::dispatch::Instructions;
use crate::kernels::math::Elementary;
use crate::kernels::vector::Vector;

/// How many rows are few.
pub const ROWS: usize = 4;

/// A of 1 to [`ROWS`] rows, rows of B contiguous: tiles of few rows and many columns.
#[inline(always)]
pub unsafe fn few_rows<F: Elementary, I: Instructions<F>>(
    a: Matrix<'_, F>,
    b: Matrix<'_, F>,
    onto: Onto<F>,
    c: Rows<F>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match a.rows {
            1 => strip::<F, I::Vector, 1, 8>(a, b, onto, c),
            2 => strip::<F, I::Vector, 2, 4>(a, b, onto, c),
            3 => strip::<F, I::Vector, 3, 2>(a, b, onto, c),
            _ => strip::<F, I::Vector, 4, 2>(a, b, onto, c),
        }
    }
}

/// All columns, `VECTORS` vectors at a time, then one, then what is left.
#[inline(always)]
unsafe fn strip<F: Elementary, V: Vector<F>, const M: usize, const VECTORS: usize>(
    a: Matrix<'_, F>,
    b: Matrix<'_, F>,
    onto: Onto<F>,
    c: Rows<F>,
) {
    let (n, wide) = (b.cols, VECTORS * V::LEN);
    let mut j = 0;
    // SAFETY: the caller promises that the operands are as large as they say; j stays below n.
    unsafe {
        let operands = |j: usize| Operands {
            k: a.cols,
            a: a.data.as_ptr(),
            a_row: a.row_stride,
            a_col: a.col_stride,
            b: b.data.as_ptr().add(if a.cols == 0 { 0 } else { j }),
            b_row: b.row_stride,
        };
        let c_from = |j: usize| Rows { start: c.at(0, j), stride: c.stride };
        while j + wide <= n {
            store(sums::<F, V, M, VECTORS, 1>(operands(j)), wide, onto.from_column(j), c_from(j));
            j += wide;
        }
        while j + V::LEN <= n {
            store(sums::<F, V, M, 1, 4>(operands(j)), V::LEN, onto.from_column(j), c_from(j));
            j += V::LEN;
        }
        if j < n {
            let sums = sums_of_part::<F, V, M, 4>(operands(j), n - j);
            store(sums, n - j, onto.from_column(j), c_from(j));
        }
    }
}

/// [`sums`] for fewer columns than a vector holds.
#[inline(always)]
unsafe fn sums_of_part<F: Elementary, V: Vector<F>, const M: usize, const CHAINS: usize>(
    of: Operands<F>,
    cols: usize,
) -> [[V; 1]; M] {
    let mut sums = [[V::splat(F::zero()); M]; CHAINS];
    let mut p = 0;
    // SAFETY: the caller promises k columns of A and k rows of B with `cols` elements each.
    unsafe {
        let add = |sums: &mut [V; M], p: usize| {
            let b_p = V::load_first(of.b.add(p * of.b_row), cols);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::splat(*of.a.add(i * of.a_row + p * of.a_col)).mul_add(b_p, *sum);
            }
        };
        while p + CHAINS <= of.k {
            for (chain, sums) in sums.iter_mut().enumerate() {
                add(sums, p + chain);
            }
            p += CHAINS;
        }
        while p < of.k {
            add(&mut sums[0], p);
            p += 1;
        }
    }
    from_fn(|i| [sums[1..].iter().fold(sums[0][i], |total, chain| total.add(chain[i]))])
}

/// A of 1 to [`ROWS`] contiguous rows, columns of B contiguous: each element of C is a dot product.
#[inline(always)]
pub unsafe fn dots<F: Elementary, I: Instructions<F>>(a: Matrix<'_, F>, b: Matrix<'_, F>, onto: Onto<F>, c: Rows<F>) {
    let (n, k) = (b.cols, a.cols);
    for i in 0..a.rows {
        let mut j = 0;
        // SAFETY: the caller promises that the operands are as large as they say; i and j stay below m and n.
        unsafe {
            let row = a.data.as_ptr().add(if k == 0 { 0 } else { i * a.row_stride });
            let col = |j: usize| b.data.as_ptr().add(if k == 0 { 0 } else { j * b.col_stride });
            let put = |j: usize, sum: F| {
                let c = c.at(i, j);
                *c = match onto {
                    Onto::Zero => sum,
                    Onto::C => *c + sum,
                    Onto::Bias(bias) => *bias.add(j) + sum,
                };
            };
            while j + 4 <= n {
                let sums = dot::<F, I, 4, 2>(k, row, from_fn(|q| col(j + q)));
                for (q, sum) in sums.into_iter().enumerate() {
                    put(j + q, sum);
                }
                j += 4;
            }
            while j < n {
                let [sum] = dot::<F, I, 1, 8>(k, row, [col(j)]);
                put(j, sum);
                j += 1;
            }
        }
    }
}

/// The dot products of a row with `COLS` columns, each in `CHAINS` sums.
#[inline(always)]
unsafe fn dot<F: Elementary, I: Instructions<F>, const COLS: usize, const CHAINS: usize>(
    k: usize,
    row: *const F,
    cols: [*const F; COLS],
) -> [F; COLS] {
    let len = I::Vector::LEN;
    let mut sums = [[I::Vector::splat(F::zero()); COLS]; CHAINS];
    let mut p = 0;
    // SAFETY: the caller promises k elements of the row and of each column.
    unsafe {
        while p + CHAINS * len <= k {
            for (chain, sums) in sums.iter_mut().enumerate() {
                let x = I::Vector::load(row.add(p + chain * len));
                for (sum, col) in sums.iter_mut().zip(cols) {
                    *sum = x.mul_add(I::Vector::load(col.add(p + chain * len)), *sum);
                }
            }
            p += CHAINS * len;
        }
        while p + len <= k {
            let x = I::Vector::load(row.add(p));
            for (sum, col) in sums[0].iter_mut().zip(cols) {
                *sum = x.mul_add(I::Vector::load(col.add(p)), *sum);
            }
            p += len;
        }
        if p < k {
            let x = I::Vector::load_first(row.add(p), k - p);
            for (sum, col) in sums[0].iter_mut().zip(cols) {
                *sum = x.mul_add(I::Vector::load_first(col.add(p), k - p), *sum);
            }
        }
    }
    from_fn(|q| sums[1..].iter().fold(sums[0][q], |total, chain| total.add(chain[q])).sum())
}
