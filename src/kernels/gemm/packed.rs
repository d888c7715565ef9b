//! A right side that many products share: packed once, as a recurrent layer's weights for all its timesteps.

use std::ops::Range;

use super::{DEPTH, HEIGHT, Matrix, Onto, Panels, Rows, Start, check_product, cuts, even_cuts, pack, tile};
use crate::Scalar;
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch::kernel;
use crate::kernels::finish::Finish;
use crate::kernels::split::{self, Elements};
use crate::kernels::vector::Vector;

/// A matrix B in the order in which tiles read it. Its memory is reused from one [`pack`](Packed::pack) to the next.
#[derive(Clone, Debug)]
pub struct Packed<F> {
    panels: Aligned<F>,
    rows: usize,
    cols: usize,
    /// The width of a whole panel: it depends on the instruction set.
    panel: usize,
}

impl<F> Default for Packed<F> {
    fn default() -> Self {
        Self { panels: Aligned::new(), rows: 0, cols: 0, panel: 0 }
    }
}

impl<F: Scalar> Packed<F> {
    /// How many parts the columns have that can be worked on apart: panels, of which the last two may share what is left.
    pub(in crate::kernels) fn units(&self) -> usize {
        (self.cols.div_ceil(self.panel).max(2)) - 1
    }

    /// Some of these parts as panels.
    fn panels_of(&self, units: Range<usize>) -> Range<usize> {
        units.start..if units.end == self.units() { units.end + 1 } else { units.end }
    }

    /// Their columns.
    pub(in crate::kernels) fn columns_of(&self, units: Range<usize>) -> Range<usize> {
        let end = if units.end == self.units() { self.cols } else { units.end * self.panel };
        units.start * self.panel..end
    }

    /// Copies `b` (k, n) into panels.
    pub fn pack(&mut self, b: Matrix<'_, F>) {
        pack_panels(b, self);
    }
}

kernel! {
    fn pack_panels<F, I>(b: Matrix<'_, F>, packed: &mut Packed<F>) {
        (packed.rows, packed.cols, packed.panel) = (b.rows, b.cols, I::TILE_VECTORS * I::Vector::LEN);
        if b.rows == 0 || b.cols == 0 {
            return; // sizes that no data bounds
        }
        let width = b.cols.next_multiple_of(I::Vector::LEN);
        packed.panels.resize(width * b.rows);
        for (p, depth) in cuts(b.rows, DEPTH) {
            // SAFETY: a block of all columns of B; the buffer has room for its panels behind those of the blocks before.
            unsafe {
                let to = packed.panels.as_mut_ptr().add(p * width);
                pack::columns::<F, I>(b, (p, depth), 0, Panels::of_tiles::<F, I>(b.cols), to);
            }
        }
    }
}

/// [`gemm`](super::gemm) with a right side that was packed before: C = start + A·B.
///
/// # Panics
/// If the shapes don't match, `c` or the bias is too short, or B was packed for another instruction set.
#[inline]
pub fn gemm_packed<F: Scalar>(a: Matrix<'_, F>, b: &Packed<F>, start: Start<'_, F>, c: &mut [F], c_row_stride: usize) {
    gemm_finished(a, b, start, Finish::Linear, c, c_row_stride);
}

/// The same with something done to the sums: C = finish(start + A·B).
pub(in crate::kernels) fn gemm_finished<F: Scalar>(
    a: Matrix<'_, F>,
    b: &Packed<F>,
    start: Start<'_, F>,
    finish: Finish,
    c: &mut [F],
    c_row_stride: usize,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    check_product(a.shape(), [b.rows, n], &start, c.len(), c_row_stride);
    if m == 0 || n == 0 {
        return;
    }
    let c = Elements::of(c);
    let work = m.saturating_mul(n).saturating_mul(k);
    let parts = split::parts(work);
    if parts == 1 {
        return product(a, b, start, finish, c, c_row_stride, b.panels_of(0..b.units()));
    }
    let tiles = m.div_ceil(ROWS);
    let [by_rows, by_columns] = split::rows_and_columns(parts, work, [tiles, b.units()], [m * k, k * n]);
    split::each(by_rows * by_columns, &|number| {
        let tiles = split::part_of(tiles, number / by_columns, by_rows);
        let rows = (tiles.start * ROWS).min(m)..(tiles.end * ROWS).min(m);
        let panels = b.panels_of(split::part_of(b.units(), number % by_columns, by_columns));
        let (a, c) = (a.block(rows.clone(), 0..k), c.behind(rows.start * c_row_stride));
        product(a, b, start, finish, c, c_row_stride, panels);
    });
}

/// C = A·B for some units of B's columns, on this thread alone; `c` has rows as long as B's.
pub(in crate::kernels) fn gemm_units<F: Scalar>(a: Matrix<'_, F>, b: &Packed<F>, units: Range<usize>, c: &mut [F]) {
    check_product(a.shape(), [b.rows, b.cols], &Start::<F>::Zero, c.len(), b.cols);
    product(a, b, Start::Zero, Finish::Linear, Elements::of(c), b.cols, b.panels_of(units));
}

/// A part has a multiple of so many rows, about a tile.
const ROWS: usize = 8;

kernel! {
    /// Some panels of a product whose shapes have been checked. No other part has these elements of C.
    fn product<F, I>(
        a: Matrix<'_, F>,
        b: &Packed<F>,
        start: Start<'_, F>,
        finish: Finish,
        c: Elements<F>,
        c_row_stride: usize,
        panels: Range<usize>,
    ) {
        let (m, n, k) = (a.rows, b.cols, a.cols);
        assert_eq!(I::TILE_VECTORS * I::Vector::LEN, b.panel, "packed for this instruction set");
        let c = Rows { start: c.start(), stride: c_row_stride };
        let width = n.next_multiple_of(I::Vector::LEN);
        // SAFETY: a, b, c and the bias were checked to hold what their shapes say, and I is what the processor has.
        unsafe {
            let onto = match start {
                Start::Zero => Onto::Zero,
                Start::Add => Onto::C,
                Start::Bias(bias) => Onto::Bias(bias.as_ptr()),
            };
            for (p, depth) in cuts(k, DEPTH) {
                let onto = if p == 0 { onto } else { Onto::C };
                for (i, height) in cuts(m, HEIGHT) {
                    for panel in Panels::of_tiles::<F, I>(n).skip(panels.start).take(panels.len()) {
                        let onto = onto.at_column(panel.start);
                        for (row, rows) in even_cuts(height, I::TILE_ROWS) {
                            let operands = tile::Operands {
                                k: depth,
                                a: a.data.as_ptr().wrapping_add((i + row) * a.row_stride + p * a.col_stride),
                                a_row: a.row_stride,
                                a_col: a.col_stride,
                                b: b.panels.as_ptr().add(p * width + panel.start * depth),
                                b_row: panel.width,
                            };
                            let c = Rows { start: c.at(i + row, panel.start), stride: c.stride };
                            tile::tile::<F, I>(operands, rows, panel.cols, onto, c);
                            if finish != Finish::Linear && p + depth == k {
                                for row in 0..rows {
                                    finish.of_row::<F, I::Vector>(c.at(row, 0), panel.cols);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
