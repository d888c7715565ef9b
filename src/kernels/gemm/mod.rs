//! The matrix product behind every layer: C = A·B, C += A·B and C = bias + A·B.
//!
//! The product is cut into tiles of C small enough for their sums to stay in registers (`tile`). Operands that the
//! tiles would read many times, or in strides, are first copied into the order of reading, a cache-sized block at a
//! time (`pack`). One and the same code is compiled for every scalar and instruction set.
//!
//! The result depends on the operands and the instruction set alone: threads that are idle compute some of its rows and
//! columns, in the order in which one thread does all.

pub(super) mod pack;
mod packed;
mod small;
#[cfg(test)]
pub(super) mod tests;
mod tile;

use std::ops::Range;

use super::dispatch::{Instructions, kernel};
use super::math::Elementary;
use super::split::{self, Elements};
use super::vector::Vector;
use crate::Scalar;

pub use packed::{Packed, gemm_packed};
pub(super) use packed::{gemm_finished, gemm_units};

/// A matrix that somebody else owns: `rows` × `cols`, element (i, j) at `data[i·row_stride + j·col_stride]`.
///
/// One of the strides is 1: rows are contiguous, or after [`t`](Self::t) columns are.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, F> {
    data: &'a [F],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, F> Matrix<'a, F> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// If `data` has fewer than `rows`·`cols` elements.
    #[inline]
    #[track_caller]
    pub fn new(data: &'a [F], rows: usize, cols: usize) -> Self {
        Self::with_row_stride(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows lie `row_stride` apart: a block of columns of a larger one.
    ///
    /// # Panics
    /// If `data` ends before the last element, or rows overlap.
    #[inline]
    #[track_caller]
    pub fn with_row_stride(data: &'a [F], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_fits(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transposed matrix, of the same data.
    #[inline]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }

    /// How many rows and columns it has.
    #[inline]
    pub fn shape(self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Some of its rows and columns.
    #[inline]
    fn block(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let first = rows.start * self.row_stride + cols.start * self.col_stride;
        let data = self.data.get(first..).unwrap_or_default();
        Self { data, rows: rows.len(), cols: cols.len(), ..self }
    }

    /// The rows before `row`, and those from there on.
    ///
    /// # Panics
    /// If it has fewer rows.
    #[inline]
    #[track_caller]
    pub fn split_at_row(self, row: usize) -> (Self, Self) {
        let rest = self.rows.checked_sub(row).expect("a row of the matrix");
        let data = self.data.get(row * self.row_stride..).unwrap_or_default();
        (Self { rows: row, ..self }, Self { rows: rest, data, ..self })
    }
}

/// What the product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, F> {
    /// Nothing: C = A·B.
    Zero,
    /// What C holds: C += A·B.
    Add,
    /// One value a column, as a Dense layer's bias: C = bias + A·B.
    Bias(&'a [F]),
}

/// Row-major data of `len` elements must hold the last element of `rows` × `cols`, rows `row_stride` apart.
#[inline]
#[track_caller]
fn check_fits(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(row_stride >= cols || rows <= 1, "rows of {cols} elements overlap when {row_stride} apart");
    let end = if rows == 0 || cols == 0 {
        Some(0)
    } else {
        (rows - 1).checked_mul(row_stride).and_then(|last| last.checked_add(cols))
    };
    assert!(end.is_some_and(|end| end <= len), "{rows} × {cols}, rows {row_stride} apart, don't fit {len} elements");
}

/// C = start + A·B.
///
/// `a` (m, k), `b` (k, n) → `c` (m, n), row-major, rows `c_row_stride` apart; what lies between the rows stays.
///
/// Sums run over k in a fixed order, but not one after the other: the error is that of a sum in parts.
///
/// # Panics
/// If the shapes don't match, or `c` or the bias is too short.
///
/// ```
/// use gradus::kernels::gemm::{Matrix, Start, gemm};
/// let (x, w) = ([1.0f32, 2.0], [3.0f32, 4.0, 5.0, 6.0]);
/// let mut y = [0.0; 2];
/// gemm(Matrix::new(&x, 1, 2), Matrix::new(&w, 2, 2), Start::Bias(&[100.0, 200.0]), &mut y, 2);
/// assert_eq!(y, [113.0, 216.0]);
/// ```
#[inline]
pub fn gemm<F: Scalar>(a: Matrix<'_, F>, b: Matrix<'_, F>, start: Start<'_, F>, c: &mut [F], c_row_stride: usize) {
    let (m, n) = (a.rows, b.cols);
    check_product(a.shape(), b.shape(), &start, c.len(), c_row_stride);
    if m == 0 || n == 0 {
        return;
    }
    // A column lies in memory as a row does: Cᵀ = Bᵀ·Aᵀ has one row, for which there is a way of its own.
    if n == 1 && m > 1 && c_row_stride == 1 {
        let start = match start {
            Start::Bias(bias) => {
                c[..m].fill(bias[0]);
                Start::Add
            }
            start => start,
        };
        return in_parts(b.t(), a.t(), start, c, m);
    }
    in_parts(a, b, start, c, c_row_stride);
}

/// Operands of the shapes (m, k) and (k, n), a bias and a C of `c_len` elements must fit together.
#[inline]
#[track_caller]
fn check_product<F>(
    [m, k]: [usize; 2],
    [rows, n]: [usize; 2],
    start: &Start<'_, F>,
    c_len: usize,
    c_row_stride: usize,
) {
    assert_eq!(k, rows, "a has {k} columns, b {rows} rows");
    check_fits(c_len, m, n, c_row_stride);
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), n, "one bias a column");
    }
}

/// [`gemm`] on this thread alone.
pub(super) fn gemm_alone<F: Scalar>(
    a: Matrix<'_, F>,
    b: Matrix<'_, F>,
    start: Start<'_, F>,
    c: &mut [F],
    c_row_stride: usize,
) {
    check_product(a.shape(), b.shape(), &start, c.len(), c_row_stride);
    product(Way::of(&a, &b), a, b, start, Elements::of(c), c_row_stride);
}

/// The ways in which a product is computed, by its shape.
#[derive(Clone, Copy)]
enum Way {
    /// Few rows, rows of B contiguous.
    FewRows,
    /// Few rows, columns of B contiguous.
    Dots,
    Blocked,
}

impl Way {
    #[inline]
    fn of<F>(a: &Matrix<'_, F>, b: &Matrix<'_, F>) -> Self {
        if a.rows <= small::ROWS && b.col_stride == 1 {
            Self::FewRows
        } else if a.rows <= small::ROWS && a.col_stride == 1 {
            Self::Dots
        } else {
            Self::Blocked
        }
    }

    /// Rows and columns that a part has a multiple of. Few rows need it, so that each element is summed up as in the whole: their
    /// columns are taken together by up to eight vectors. Else they are about a tile.
    fn units(self, [rows, _]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::FewRows => [rows, 384],
            Self::Dots => [rows, 16],
            Self::Blocked => [8, 48],
        }
    }
}

/// The product of matrices that fit, on all threads that are idle.
#[inline]
fn in_parts<F: Scalar>(a: Matrix<'_, F>, b: Matrix<'_, F>, start: Start<'_, F>, c: &mut [F], c_row_stride: usize) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let (way, c) = (Way::of(&a, &b), Elements::of(c));
    let work = m.saturating_mul(n).saturating_mul(k);
    let parts = split::parts(work);
    if parts == 1 {
        return product(way, a, b, start, c, c_row_stride);
    }
    let units = way.units([m, n]);
    let count = [m.div_ceil(units[0]), n.div_ceil(units[1])];
    let [by_rows, by_columns] = split::rows_and_columns(parts, work, count, [m * k, k * n]);
    split::each(by_rows * by_columns, &|number| {
        let of = |axis: usize, len: usize, number, parts| {
            let range = split::part_of(count[axis], number, parts);
            (range.start * units[axis]).min(len)..(range.end * units[axis]).min(len)
        };
        let (rows, columns) = (of(0, m, number / by_columns, by_rows), of(1, n, number % by_columns, by_columns));
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[columns.clone()]),
            start => start,
        };
        let (a, b) = (a.block(rows.clone(), 0..k), b.block(0..k, columns.clone()));
        product(way, a, b, start, c.behind(rows.start * c_row_stride + columns.start), c_row_stride);
    });
}

kernel! {
    /// A product, or part of it, whose shapes have been checked. No other part has these elements of C.
    fn product<F, I>(
        way: Way, a: Matrix<'_, F>, b: Matrix<'_, F>, start: Start<'_, F>, c: Elements<F>, c_row_stride: usize,
    ) {
        let c = Rows { start: c.start(), stride: c_row_stride };
        let onto = match start {
            Start::Bias(bias) => Onto::Bias(bias.as_ptr()),
            Start::Zero => Onto::Zero,
            Start::Add => Onto::C,
        };
        // SAFETY: a, b, c and the bias were checked to hold what their shapes say, and I is what the processor has.
        unsafe {
            match way {
                Way::FewRows => small::few_rows::<F, I>(a, b, onto, c),
                Way::Dots => small::dots::<F, I>(a, b, onto, c),
                Way::Blocked => blocked::<F, I>(a, b, onto, c),
            }
        }
    }
}

/// Where the rows of C, or of a part of it, begin.
#[derive(Clone, Copy)]
struct Rows<F> {
    start: *mut F,
    stride: usize,
}

impl<F> Rows<F> {
    /// Where element (i, j) is.
    #[inline(always)]
    unsafe fn at(self, i: usize, j: usize) -> *mut F {
        // SAFETY: the caller asks for elements of C only.
        unsafe { self.start.add(i * self.stride + j) }
    }

    /// The rows from column `j` on.
    #[inline(always)]
    unsafe fn at_column(self, j: usize) -> Self {
        // SAFETY: as above.
        Self { start: unsafe { self.start.add(j) }, stride: self.stride }
    }
}

/// What a tile's sums are added to: [`Start`], with the bias of the tile's first column.
#[derive(Clone, Copy)]
enum Onto<F> {
    Zero,
    C,
    Bias(*const F),
}

impl<F> Onto<F> {
    /// For columns from `j` on.
    #[inline(always)]
    unsafe fn at_column(self, j: usize) -> Self {
        match self {
            // SAFETY: the caller asks for columns of C only.
            Onto::Bias(bias) => Onto::Bias(unsafe { bias.add(j) }),
            zero_or_c => zero_or_c,
        }
    }
}

/// Columns of A, and rows of B, in a block: a panel of B, as wide as a tile, then takes 24 KiB (with AVX-512 72 KiB, which
/// come from the second cache in time).
const DEPTH: usize = 384;
/// Rows of A in a block, which stays in the second cache: at most 160 × 384 scalars.
const HEIGHT: usize = 160;
/// Columns of B in a block: at most 1024 × 384 scalars.
const WIDTH: usize = 1024;
/// With no more rows of A than so many vectors hold, copying B would take longer than reading it in place.
const B_IN_PLACE_VECTORS: usize = 4;
/// With fewer columns of B than this, copying A would take longer than reading it in place.
const A_PACKED_COLS: usize = 512;

/// The general way: block by block, tile by tile.
#[inline(always)]
unsafe fn blocked<F: Elementary, I: Instructions<F>>(a: Matrix<'_, F>, b: Matrix<'_, F>, onto: Onto<F>, c: Rows<F>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let a_in_place = n < A_PACKED_COLS || m <= I::TILE_ROWS;
    let b_in_place = b.col_stride == 1 && m <= B_IN_PLACE_VECTORS * I::Vector::LEN;

    let (packed_a, packed_b) = pack::buffers::<F>();
    for (p, depth) in cuts(k, DEPTH) {
        let onto = if p == 0 { onto } else { Onto::C };
        for (j, width) in cuts(n, WIDTH) {
            // SAFETY: blocks lie inside the matrices, and fit the buffers by the constants above.
            unsafe {
                // A panel whose columns fill no vectors is always copied, and filled up with zeros.
                let panels = Panels::of_tiles::<F, I>(width);
                let copied = if b_in_place { panels.clone().not_full() } else { panels.clone() };
                let first_copied = copied.start;
                pack::columns::<F, I>(b, (p, depth), j, copied, packed_b);
                for (i, height) in cuts(m, HEIGHT) {
                    let tiles = even_cuts(height, I::TILE_ROWS);
                    if !a_in_place {
                        pack::rows::<F, I>(a, (p, depth), (i, height), packed_a);
                    }
                    for panel in panels.clone() {
                        let col = j + panel.start;
                        let (b_panel, b_stride) = if panel.start >= first_copied {
                            (packed_b.add((panel.start - first_copied) * depth).cast_const(), panel.width)
                        } else {
                            (b.data.as_ptr().add(p * b.row_stride + col), b.row_stride)
                        };
                        let onto = onto.at_column(col);
                        for (number, (row, rows)) in tiles.clone().enumerate() {
                            let (a_panel, a_row, a_col) = if a_in_place {
                                let first = (i + row) * a.row_stride + p * a.col_stride;
                                (a.data.as_ptr().add(first), a.row_stride, a.col_stride)
                            } else {
                                let stride = pack::tile_stride::<F, I>();
                                (packed_a.add(number * stride * depth).cast_const(), 1, stride)
                            };
                            let c = Rows { start: c.at(i + row, col), stride: c.stride };
                            let operands =
                                tile::Operands { k: depth, a: a_panel, a_row, a_col, b: b_panel, b_row: b_stride };
                            tile::tile::<F, I>(operands, rows, panel.cols, onto, c);
                        }
                    }
                }
            }
        }
    }
}

/// Columns of B that tiles read together: as many vectors as fit `width`, of which `cols` columns count.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    start: usize,
    cols: usize,
    width: usize,
}

impl Panel {
    /// Whether all columns count.
    #[inline(always)]
    fn is_full(self) -> bool {
        self.cols == self.width
    }
}

/// Columns 0..`end` cut into panels.
#[derive(Clone)]
pub(super) struct Panels {
    start: usize,
    end: usize,
    /// The width of a panel.
    width: usize,
    /// The width of a vector, if the last panels may have fewer of them.
    vector: usize,
}

impl Panels {
    /// Panels of the width of a tile. What is left for the last two they share, so that none is much narrower.
    #[inline(always)]
    fn of_tiles<F, I: Instructions<F>>(n: usize) -> Self {
        let vector = I::Vector::LEN;
        Self { start: 0, end: n, width: I::TILE_VECTORS * vector, vector }
    }

    /// Panels that are all as wide, the last one filled up.
    #[inline(always)]
    pub fn of_width(n: usize, width: usize) -> Self {
        Self { start: 0, end: n, width, vector: width }
    }

    /// What is left behind all full panels.
    #[inline(always)]
    fn not_full(self) -> Self {
        let (mut left, mut rest) = (self.clone(), self);
        while rest.next().is_some_and(Panel::is_full) {
            left = rest.clone();
        }
        left
    }
}

impl Iterator for Panels {
    type Item = Panel;

    #[inline(always)]
    fn next(&mut self) -> Option<Panel> {
        let (start, left) = (self.start, self.end - self.start);
        if left == 0 {
            return None;
        }
        let shared = if left > self.width && left <= 2 * self.width - self.vector { left.div_ceil(2) } else { left };
        let width = shared.min(self.width).next_multiple_of(self.vector);
        let cols = left.min(width);
        self.start += cols;
        Some(Panel { start, cols, width })
    }
}

/// Cuts 0..`len` into (start, length) of nearly the same length, at most `most`; one empty part if `len` is 0.
#[inline(always)]
fn even_cuts(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let parts = len.div_ceil(most).max(1);
    let (short, longer) = (len / parts, len % parts);
    (0..parts).map(move |i| (i * short + i.min(longer), short + usize::from(i < longer)))
}

/// Cuts 0..`len` into (start, length) of nearly the same length, multiples of 32 but for the last; so is `most`.
#[inline(always)]
fn cuts(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = len.div_ceil(most).max(1);
    let step = len.div_ceil(parts).next_multiple_of(32);
    (0..parts)
        .map(move |i| (i * step, step))
        .filter(move |&(start, _)| start < len || start == 0)
        .map(move |(start, step)| (start, step.min(len - start)))
}
