//! Copies blocks of the operands into the order in which the tiles read them.

use std::cell::RefCell;

use super::{DEPTH, HEIGHT, Matrix, Panel, Panels, WIDTH, even_cuts};
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch::Instructions;
use crate::kernels::math::Elementary;
use crate::kernels::vector::Vector;

/// The buffers of a thread: one block of A and one of B, with room for the larger scalar.
struct Buffers {
    a: Aligned<f64>,
    b: Aligned<f64>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers { a: Aligned::new(), b: Aligned::new() }) };
}

/// This thread's buffers for a block of A and one of B. The first call of a thread allocates them.
#[inline(always)]
pub fn buffers<F>() -> (*mut F, *mut F) {
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.a.is_empty() {
            allocate(buffers);
        }
        (buffers.a.as_mut_ptr().cast(), buffers.b.as_mut_ptr().cast())
    })
}

#[cold]
fn allocate(buffers: &mut Buffers) {
    // The tiles of a block are filled up to less than twice their rows.
    buffers.a = Aligned::zeros(2 * HEIGHT * DEPTH);
    buffers.b = Aligned::zeros((WIDTH + 64) * DEPTH);
}

/// Packs panels of B, whose columns begin behind column `j`, rows `p0`..`p0 + depth`: panel after panel, row after row, the
/// last panel filled up with zeros.
#[inline(always)]
pub unsafe fn columns<F: Elementary, I: Instructions<F>>(
    b: Matrix<'_, F>,
    (p0, depth): (usize, usize),
    j: usize,
    panels: Panels,
    to: *mut F,
) {
    let len = I::Vector::LEN;
    let by_rows = b.col_stride == 1;
    // SAFETY: the caller promises panels inside B and a buffer for them, the last panel filled up.
    unsafe {
        if by_rows {
            // Whole rows, since these are read as they lie in memory, into all whole panels side by side.
            for p in 0..depth {
                let from = b.data.as_ptr().add((p0 + p) * b.row_stride + j);
                let mut to = to;
                for panel in panels.clone() {
                    if !panel.is_full() {
                        break;
                    }
                    for v in (0..panel.width).step_by(len) {
                        I::Vector::load(from.add(panel.start + v)).store(to.add(p * panel.width + v));
                    }
                    to = to.add(panel.width * depth);
                }
            }
        }
        let mut to = to;
        for panel in panels {
            let Panel { start, cols, width } = panel;
            let from = b.data.as_ptr().add(p0 * b.row_stride + (j + start) * b.col_stride);
            if !by_rows {
                transposed::<F, I>(from, b.col_stride, cols, depth, to, width);
            }
            if !panel.is_full() {
                for p in 0..depth {
                    for col in if by_rows { 0 } else { cols }..width {
                        *to.add(p * width + col) =
                            if col < cols { *from.add(p * b.row_stride + col) } else { F::zero() };
                    }
                }
            }
            to = to.add(width * depth);
        }
    }
}

/// How far apart the columns of a packed tile of A lie: its rows, filled up to whole blocks of a transposition.
#[inline(always)]
pub const fn tile_stride<F, I: Instructions<F>>() -> usize {
    I::TILE_ROWS.next_multiple_of(I::Vector::BLOCK)
}

/// Packs rows `i`..`i + height` of A, columns `p`..`p + depth`: tile after tile, each column after column. What lies
/// behind the rows of a tile is not to be read.
#[inline(always)]
pub unsafe fn rows<F: Elementary, I: Instructions<F>>(
    a: Matrix<'_, F>,
    (p0, depth): (usize, usize),
    (i, height): (usize, usize),
    to: *mut F,
) {
    let stride = tile_stride::<F, I>();
    debug_assert!(height.div_ceil(I::TILE_ROWS) * stride * depth <= 2 * HEIGHT * DEPTH, "fits the buffer");
    for (number, (row, rows)) in even_cuts(height, I::TILE_ROWS).enumerate() {
        // SAFETY: the caller promises a block inside A and a buffer for it.
        unsafe {
            let from = a.data.as_ptr().add((i + row) * a.row_stride + p0 * a.col_stride);
            let to = to.add(number * stride * depth);
            if a.row_stride == 1 {
                for p in 0..depth {
                    for at in (0..rows).step_by(I::Vector::LEN) {
                        let from = from.add(p * a.col_stride + at);
                        let whole = rows - at >= I::Vector::LEN;
                        let part = if whole { I::Vector::load(from) } else { I::Vector::load_first(from, rows - at) };
                        part.store(to.add(p * stride + at));
                    }
                }
            } else {
                // Rows of the next tile are copied along where they fill a block.
                let lines = stride.min(a.rows - (i + row));
                transposed::<F, I>(from, a.row_stride, lines, depth, to, stride);
            }
        }
    }
}

/// Writes `lines` contiguous lines of `len` scalars as columns: `to[p·to_stride + l] = from[l·from_stride + p]`.
#[inline(always)]
unsafe fn transposed<F: Elementary, I: Instructions<F>>(
    from: *const F,
    from_stride: usize,
    lines: usize,
    len: usize,
    to: *mut F,
    to_stride: usize,
) {
    let block = I::Vector::BLOCK;
    let (whole_lines, whole_len) = (lines - lines % block, len - len % block);
    // SAFETY: the caller's promise; all indices are below `lines` and `len`.
    unsafe {
        let mut p = 0;
        while p < whole_len {
            let mut l = 0;
            while l < whole_lines {
                I::Vector::transpose(from.add(l * from_stride + p), from_stride, to.add(p * to_stride + l), to_stride);
                l += block;
            }
            p += block;
        }
        for l in 0..lines {
            for p in (if l < whole_lines { whole_len } else { 0 })..len {
                *to.add(p * to_stride + l) = *from.add(l * from_stride + p);
            }
        }
    }
}
