//! Products with few rows, as in predicting one sample: every element of B is used only a few times, so B is read
//! where it lies.

use std::marker::PhantomData;

use super::tile::{Operands, store, sums, total};
use super::{Matrix, Onto, Rows};
use crate::kernels::dispatch::{Instructions, Work};
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
    let strip = Strip { a, b, onto, c };
    // SAFETY: the caller's promise.
    unsafe {
        match a.rows {
            1 => I::apart(SizedStrip::<F, I, 1, 8, 4>(strip, PhantomData)),
            2 => I::apart(SizedStrip::<F, I, 2, 4, 4>(strip, PhantomData)),
            3 => I::apart(SizedStrip::<F, I, 3, 3, 2>(strip, PhantomData)),
            _ => I::apart(SizedStrip::<F, I, 4, 2, 2>(strip, PhantomData)),
        }
    }
}

/// A product with few rows.
struct Strip<'a, F> {
    a: Matrix<'a, F>,
    b: Matrix<'a, F>,
    onto: Onto<F>,
    c: Rows<F>,
}

/// All columns for `M` rows: `VECTORS` vectors at a time, then one in `CHAINS` sums, then what is left.
struct SizedStrip<'a, F, I, const M: usize, const VECTORS: usize, const CHAINS: usize>(Strip<'a, F>, PhantomData<I>);

impl<F: Elementary, I: Instructions<F>, const M: usize, const VECTORS: usize, const CHAINS: usize> Work
    for SizedStrip<'_, F, I, M, VECTORS, CHAINS>
{
    #[inline(always)]
    unsafe fn run(self) {
        let Strip { a, b, onto, c } = self.0;
        let (n, len) = (b.cols, I::Vector::LEN);
        let wide = VECTORS * len;
        let mut operands = Operands {
            k: a.cols,
            a: a.data.as_ptr(),
            a_row: a.row_stride,
            a_col: a.col_stride,
            b: b.data.as_ptr(),
            b_row: b.row_stride,
        };
        let mut j = 0;
        // SAFETY: who makes a strip promises that the operands are as large as they say; j stays below n.
        unsafe {
            while j + wide <= n {
                let sums = sums::<F, I::Vector, M, VECTORS, 1>(operands);
                store::<F, I, M, VECTORS>(sums, wide, onto.at_column(j), c.at_column(j));
                operands.b = operands.b.wrapping_add(wide);
                j += wide;
            }
            while j + len <= n {
                let sums = sums::<F, I::Vector, M, 1, CHAINS>(operands);
                store::<F, I, M, 1>(sums, len, onto.at_column(j), c.at_column(j));
                operands.b = operands.b.wrapping_add(len);
                j += len;
            }
            if j < n {
                let sums = sums_of_part::<F, I::Vector, M, CHAINS>(operands, n - j);
                store::<F, I, M, 1>(sums, n - j, onto.at_column(j), c.at_column(j));
            }
        }
    }
}

/// [`sums`] for fewer columns than a vector holds.
#[inline(always)]
unsafe fn sums_of_part<F: Elementary, V: Vector<F>, const M: usize, const CHAINS: usize>(
    of: Operands<F>,
    cols: usize,
) -> [[V; 1]; M] {
    let mut sums = [[[V::splat(F::zero()); 1]; M]; CHAINS];
    let mut rest = of;
    // SAFETY: the caller promises k columns of A and k rows of B with `cols` elements each.
    unsafe {
        for _ in 0..of.k / CHAINS {
            for sums in &mut sums {
                let b = [V::load_first(rest.b, cols)];
                rest.add_next(b, sums);
            }
        }
        for _ in 0..of.k % CHAINS {
            let b = [V::load_first(rest.b, cols)];
            rest.add_next(b, &mut sums[0]);
        }
    }
    total(sums)
}

/// A of 1 to [`ROWS`] contiguous rows, columns of B contiguous: each element of C is a dot product.
#[inline(always)]
pub unsafe fn dots<F: Elementary, I: Instructions<F>>(a: Matrix<'_, F>, b: Matrix<'_, F>, onto: Onto<F>, c: Rows<F>) {
    let (n, k) = (b.cols, a.cols);
    for i in 0..a.rows {
        let mut j = 0;
        // SAFETY: the caller promises that the operands are as large as they say; i and j stay below m and n.
        unsafe {
            let (row, cols) = (a.data.as_ptr().wrapping_add(i * a.row_stride), b.data.as_ptr());
            let col = |j: usize| cols.wrapping_add(j * b.col_stride);
            while j + 4 <= n {
                let sums = dot::<F, I, 4, 2>(k, row, [col(j), col(j + 1), col(j + 2), col(j + 3)]);
                for (q, sum) in sums.into_iter().enumerate() {
                    put(sum, onto.at_column(j + q), c.at(i, j + q));
                }
                j += 4;
            }
            while j < n {
                let [sum] = dot::<F, I, 1, 8>(k, row, [col(j)]);
                put(sum, onto.at_column(j), c.at(i, j));
                j += 1;
            }
        }
    }
}

/// c = onto + sum for one element.
#[inline(always)]
unsafe fn put<F: Elementary>(sum: F, onto: Onto<F>, c: *mut F) {
    // SAFETY: the caller promises an element of C and its bias.
    unsafe {
        *c = match onto {
            Onto::Zero => sum,
            Onto::C => *c + sum,
            Onto::Bias(bias) => *bias + sum,
        };
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
    let mut sums = [[[I::Vector::splat(F::zero()); COLS]; 1]; CHAINS];
    let mut p = 0;
    // SAFETY: the caller promises k elements of the row and of each column.
    unsafe {
        while p + CHAINS * len <= k {
            for (chain, sums) in sums.iter_mut().enumerate() {
                let x = I::Vector::load(row.add(p + chain * len));
                for (sum, col) in sums[0].iter_mut().zip(cols) {
                    *sum = x.mul_add(I::Vector::load(col.add(p + chain * len)), *sum);
                }
            }
            p += CHAINS * len;
        }
        while p + len <= k {
            let x = I::Vector::load(row.add(p));
            for (sum, col) in sums[0][0].iter_mut().zip(cols) {
                *sum = x.mul_add(I::Vector::load(col.add(p)), *sum);
            }
            p += len;
        }
        if p < k {
            let x = I::Vector::load_first(row.add(p), k - p);
            for (sum, col) in sums[0][0].iter_mut().zip(cols) {
                *sum = x.mul_add(I::Vector::load_first(col.add(p), k - p), *sum);
            }
        }
    }
    let mut dots = [F::zero(); COLS];
    for (dot, sum) in dots.iter_mut().zip(total(sums)[0]) {
        *dot = sum.sum();
    }
    dots
}
