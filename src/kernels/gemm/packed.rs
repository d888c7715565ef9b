//! A right side that many products share: packed once, as a recurrent layer's weights for all its timesteps.

use super::{DEPTH, HEIGHT, Matrix, Onto, Panels, Rows, Start, check_fits, cuts, even_cuts, pack, tile};
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch::kernel;
use crate::kernels::vector::Vector;

/// A matrix B in the order in which tiles read it. Its memory is reused from one [`pack`](Packed::pack) to the next.
#[derive(Clone, Debug, Default)]
pub struct Packed<F> {
    panels: Aligned<F>,
    rows: usize,
    cols: usize,
    /// The width of a whole panel: it depends on the instruction set.
    panel: usize,
}

impl<F: crate::Scalar> Packed<F> {
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

kernel! {
    /// [`gemm`](super::gemm) with a right side that was packed before: C = start + A·B.
    ///
    /// # Panics
    /// If the shapes don't match, `c` or the bias is too short, or B was packed for another instruction set.
    pub fn gemm_packed<F, I>(
        a: Matrix<'_, F>, b: &Packed<F>, start: Start<'_, F>, c: &mut [F], c_row_stride: usize,
    ) {
        let (m, n, k) = (a.rows, b.cols, a.cols);
        assert_eq!(k, b.rows, "a has {k} columns, b {} rows", b.rows);
        assert_eq!(I::TILE_VECTORS * I::Vector::LEN, b.panel, "packed for this instruction set");
        check_fits(c.len(), m, n, c_row_stride);
        if let Start::Bias(bias) = start {
            assert_eq!(bias.len(), n, "one bias a column");
        }
        if m == 0 || n == 0 {
            return;
        }
        let c = Rows { start: c.as_mut_ptr(), stride: c_row_stride };
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
                    for panel in Panels::of_tiles::<F, I>(n) {
                        let onto = onto.at_column(panel.start);
                        for (row, rows) in even_cuts(height, I::TILE_ROWS) {
                            let operands = tile::Operands {
                                k: depth,
                                a: a.data.as_ptr().add((i + row) * a.row_stride + p * a.col_stride),
                                a_row: a.row_stride,
                                a_col: a.col_stride,
                                b: b.panels.as_ptr().add(p * width + panel.start * depth),
                                b_row: panel.width,
                            };
                            let c = Rows { start: c.at(i + row, panel.start), stride: c.stride };
                            tile::tile::<F, I>(operands, rows, panel.cols, onto, c);
                        }
                    }
                }
            }
        }
    }
}
