//! The innermost loop: a few rows of a product, whose left side is runs of memory that begin anywhere.

use std::cmp::Ordering;
use std::marker::PhantomData;

use super::Finish;
use crate::kernels::dispatch::{Instructions, Work};
use crate::kernels::math::Elementary;
use crate::kernels::vector::Vector;

/// No tile has more rows.
pub const MOST_ROWS: usize = 8;

/// The rows of a tile: as in the matrix product, but no more than there are registers for addresses.
#[inline(always)]
pub fn tile_rows<F, I: Instructions<F>>() -> usize {
    I::TILE_ROWS.min(MOST_ROWS)
}

/// A part of the sum: `len` columns of A, `a` scalars behind each row's address, with the rows of B from `b` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub a: usize,
    pub b: usize,
    pub len: usize,
}

/// What a tile sums over.
#[derive(Clone, Copy)]
pub struct Product<'a, F> {
    pub pieces: &'a [Piece],
    /// From one column of A to the next.
    pub a_step: usize,
    /// Row `p` begins at `b[p·b_step]`, and is readable for two vectors.
    pub b: *const F,
    pub b_step: usize,
}

/// What a tile's sums are added to.
#[derive(Clone, Copy)]
pub enum Onto<F> {
    Zero,
    /// What is there.
    C,
    /// A bias for each column.
    Bias(*const F),
}

/// Where a tile's rows are read and written.
#[derive(Clone, Copy)]
pub struct Rows<F> {
    pub a: [*const F; MOST_ROWS],
    pub c: [*mut F; MOST_ROWS],
    pub count: usize,
}

impl<F> Rows<F> {
    #[inline(always)]
    pub fn new() -> Self {
        Self { a: [std::ptr::null(); MOST_ROWS], c: [std::ptr::null_mut(); MOST_ROWS], count: 0 }
    }

    #[inline(always)]
    pub fn push(&mut self, a: *const F, c: *mut F) {
        (self.a[self.count], self.c[self.count]) = (a, c);
        self.count += 1;
    }

    /// Whether there are `count` rows, and their elements of a column lie side by side.
    #[inline(always)]
    fn are_neighbours(&self, count: usize) -> bool {
        self.count == count && (1..count).all(|i| self.a[i] == self.a[0].wrapping_add(i))
    }
}

/// Where a tile's sums go: `cols` columns of `rows`, `shift` behind the rows' places.
#[derive(Clone, Copy)]
pub struct Target<'a, F> {
    pub rows: &'a Rows<F>,
    pub shift: usize,
    pub cols: usize,
    pub onto: Onto<F>,
    pub finish: Finish,
}

/// A tile with so few rows has a loop of its own.
const FEW_ROWS: usize = 2;

/// Runs a tile with the size of its rows in the type: all, or few where that is a case of its own. One with missing rows
/// computes the last one again, and does not store it: a loop for each number of rows would be many times the code, for
/// tiles that are few.
macro_rules! sized {
    ($rows:expr, few: $few:expr, |$ROWS:ident| $work:expr) => {
        sized!(2 4 6 8; $rows, $few, $ROWS, $work)
    };
    ($($size:literal)*; $rows:expr, $few:expr, $ROWS:ident, $work:expr) => {
        match if I::SPECIALISED && $few && $rows <= FEW_ROWS { FEW_ROWS } else { tile_rows::<F, I>() } {
            $($size if const { I::SPECIALISED && $few && $size == FEW_ROWS || is_full::<F, I>($size) } => {
                const $ROWS: usize = $size;
                I::apart($work);
            },)*
            _ => unreachable!("a tile has 4, 6 or 8 rows"),
        }
    };
}

/// Whether so many rows are what [`tile_rows`] says.
const fn is_full<F, I: Instructions<F>>(rows: usize) -> bool {
    rows == if I::TILE_ROWS < MOST_ROWS { I::TILE_ROWS } else { MOST_ROWS }
}

/// C = finish(onto + Σ A·B) for 1 to `tile_rows` rows and no more columns than two vectors have, where the columns of A are
/// neighbours: `a_step` is 1.
///
/// # Safety
/// The rows' addresses with the pieces behind them are readable; B for whole vectors; C for `cols` columns.
#[inline(always)]
pub unsafe fn tile_along<F: Elementary, I: Instructions<F>>(product: Product<'_, F>, target: Target<'_, F>) {
    // SAFETY: the caller's promise.
    unsafe { wide::<F, I, ALONG>(product, target) }
}

/// The same for columns of A that lie `a_step` apart.
///
/// # Safety
/// As [`tile_along`].
#[inline(always)]
pub unsafe fn tile<F: Elementary, I: Instructions<F>>(product: Product<'_, F>, target: Target<'_, F>) {
    // SAFETY: the caller's promise.
    unsafe {
        if product.a_step == 1 {
            wide::<F, I, ALONG>(product, target);
        } else if I::SPECIALISED && target.rows.are_neighbours(tile_rows::<F, I>()) {
            wide::<F, I, BESIDE>(product, target);
        } else {
            wide::<F, I, SPREAD>(product, target);
        }
    }
}

#[inline(always)]
unsafe fn of_width<F: Elementary, I: Instructions<F>, const VECTORS: usize, const KIND: u8>(
    product: Product<'_, F>,
    target: Target<'_, F>,
) {
    // SAFETY: the caller's promise. Rows that are neighbours are all of a tile's.
    unsafe {
        sized!(target.rows.count, few: KIND != SPREAD && KIND != BESIDE, |ROWS| Tile::<F, I, ROWS, VECTORS, KIND> {
            product,
            target,
            instructions: PhantomData,
        });
    }
}

#[inline(always)]
unsafe fn wide<F: Elementary, I: Instructions<F>, const KIND: u8>(product: Product<'_, F>, target: Target<'_, F>) {
    // SAFETY: the caller's promise.
    unsafe {
        if target.cols <= I::Vector::LEN {
            of_width::<F, I, 1, KIND>(product, target);
        } else {
            of_width::<F, I, 2, KIND>(product, target);
        }
    }
}

/// The same with a product element by element: column j of C is the sum over p of A\[·, p\]\[j\] · B\[p\]\[j\]. An element
/// of A is `cols` scalars at its address, `shift` behind.
///
/// # Safety
/// As [`tile_along`]; A and B are readable for `cols` columns, which are two vectors, one, or less.
#[inline(always)]
pub unsafe fn tile_each<F: Elementary, I: Instructions<F>>(product: Product<'_, F>, target: Target<'_, F>) {
    // SAFETY: the caller's promise.
    unsafe {
        match target.cols.cmp(&I::Vector::LEN) {
            Ordering::Less => of_width::<F, I, 1, EACH_PART>(product, target),
            Ordering::Equal => of_width::<F, I, 1, EACH>(product, target),
            Ordering::Greater => of_width::<F, I, 2, EACH>(product, target),
        }
    }
}

/// One scalar of A counts for all columns.
const SPREAD: u8 = 0;
/// The same, where the columns of A are neighbours. An address for each row and what is added to it are then the same for
/// several columns, which are taken in one round; else there is as much counting as multiplying.
const ALONG: u8 = 1;
/// The same, where the rows of A are neighbours: one address serves them all.
const BESIDE: u8 = 2;
/// A has whole vectors.
const EACH: u8 = 3;
/// A and B have part of a vector.
const EACH_PART: u8 = 4;

/// Columns of A in one round of [`ALONG`].
const ROUND: usize = 4;

/// A tile with its size in the type.
struct Tile<'a, F, I, const ROWS: usize, const VECTORS: usize, const KIND: u8> {
    product: Product<'a, F>,
    target: Target<'a, F>,
    instructions: PhantomData<I>,
}

impl<F: Elementary, I: Instructions<F>, const ROWS: usize, const VECTORS: usize, const KIND: u8> Work
    for Tile<'_, F, I, ROWS, VECTORS, KIND>
{
    #[inline(always)]
    unsafe fn run(self) {
        let Product { pieces, a_step, b, b_step } = self.product;
        let mut sums = [[I::Vector::splat(F::zero()); VECTORS]; ROWS];
        // SAFETY: who makes a tile promises what its parts ask for; behind the last column no address is used.
        unsafe {
            let mut rows = [std::ptr::null(); ROWS];
            for i in 0..ROWS {
                rows[i] = self.target.rows.a[i.min(self.target.rows.count - 1)];
                if KIND == EACH || KIND == EACH_PART {
                    rows[i] = rows[i].wrapping_add(self.target.shift);
                }
            }
            for piece in pieces {
                let mut a = rows;
                for i in 0..ROWS {
                    a[i] = a[i].wrapping_add(piece.a);
                }
                let mut b = b.wrapping_add(piece.b * b_step);
                let (mut at, mut left) = (0, piece.len);
                while KIND == ALONG && left >= ROUND {
                    for column in 0..ROUND {
                        self.add_column(&mut sums, a, at + column, b.wrapping_add(column * b_step));
                    }
                    (at, left) = (at + ROUND, left - ROUND);
                    b = b.wrapping_add(ROUND * b_step);
                }
                for _ in 0..left {
                    self.add_column(&mut sums, a, at, b);
                    at += if KIND == ALONG { 1 } else { a_step };
                    b = b.wrapping_add(b_step);
                }
            }
            self.store(sums);
        }
    }
}

impl<F: Elementary, I: Instructions<F>, const ROWS: usize, const VECTORS: usize, const KIND: u8>
    Tile<'_, F, I, ROWS, VECTORS, KIND>
{
    /// sums += A\[·, p\]·B\[p\], where the rows' elements of column p lie `at` behind `a`, and B\[p\] at `b`.
    #[inline(always)]
    unsafe fn add_column(&self, sums: &mut [[I::Vector; VECTORS]; ROWS], a: [*const F; ROWS], at: usize, b: *const F) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut row_of_b = [I::Vector::splat(F::zero()); VECTORS];
            for v in 0..VECTORS {
                let b = b.wrapping_add(v * I::Vector::LEN);
                row_of_b[v] =
                    if KIND == EACH_PART { I::Vector::load_first(b, self.target.cols) } else { I::Vector::load(b) };
            }
            for i in 0..ROWS {
                let a = if KIND == BESIDE { a[0].wrapping_add(at + i) } else { a[i].wrapping_add(at) };
                for v in 0..VECTORS {
                    let a = match KIND {
                        EACH => I::Vector::load(a.wrapping_add(v * I::Vector::LEN)),
                        EACH_PART => I::Vector::load_first(a, self.target.cols),
                        _ => I::Vector::splat(*a),
                    };
                    sums[i][v] = a.mul_add(row_of_b[v], sums[i][v]);
                }
            }
        }
    }

    /// c = finish(onto + sums)
    #[inline(always)]
    unsafe fn store(&self, sums: [[I::Vector; VECTORS]; ROWS]) {
        let (Target { rows, shift, cols, onto, finish }, len) = (self.target, I::Vector::LEN);
        // SAFETY: rows beyond the count are not written, nor columns beyond `cols`.
        unsafe {
            if cols == VECTORS * len {
                let mut start = [I::Vector::splat(F::zero()); VECTORS];
                if let Onto::Bias(bias) = onto {
                    for v in 0..VECTORS {
                        start[v] = I::Vector::load(bias.add(v * len));
                    }
                }
                for i in 0..ROWS {
                    if i < rows.count {
                        for v in 0..VECTORS {
                            let c = rows.c[i].add(shift + v * len);
                            let start = if matches!(onto, Onto::C) { I::Vector::load(c) } else { start[v] };
                            let sum = start.add(sums[i][v]);
                            finish.of_vector(sum).store(c);
                        }
                    }
                }
            } else {
                // A variable number of columns needs a loop, and a loop needs the sums in memory: in a copy of their
                // own, or the compiler would keep them there while they are added up.
                let mut copy = [[I::Vector::splat(F::zero()); VECTORS]; ROWS];
                let copy = copy.as_mut_ptr().cast::<F>();
                for i in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[i][v].store(copy.add((i * VECTORS + v) * len));
                    }
                }
                I::apart(Part { sums: copy, sums_row: VECTORS * len, target: self.target });
            }
        }
    }
}

/// The sums of a tile of which not all columns are stored: one function for the tiles of every size.
struct Part<'a, F> {
    sums: *const F,
    /// From one row of the sums to the next.
    sums_row: usize,
    target: Target<'a, F>,
}

impl<F: Elementary> Work for Part<'_, F> {
    #[inline(always)]
    unsafe fn run(self) {
        let Target { rows, shift, cols, onto, finish } = self.target;
        for i in 0..rows.count {
            for col in 0..cols {
                // SAFETY: who makes a part promises so many rows and columns.
                unsafe {
                    let (sum, c) = (*self.sums.add(i * self.sums_row + col), rows.c[i].add(shift + col));
                    store(sum, col, onto, finish, c);
                }
            }
        }
    }
}

/// c = finish(onto + sum) for one element, of column `col`.
#[inline(always)]
unsafe fn store<F: Elementary>(sum: F, col: usize, onto: Onto<F>, finish: Finish, c: *mut F) {
    // SAFETY: the caller promises an element of C and a bias for its column.
    unsafe {
        let start = match onto {
            Onto::Zero => F::zero(),
            Onto::C => *c,
            Onto::Bias(bias) => *bias.add(col),
        };
        *c = finish.of(start + sum);
    }
}

/// c = finish(onto + Σ A·B) for one column of C: dot products along the pieces, of which
/// `len` scalars lie together in A as in B.
///
/// # Safety
/// As [`tile_along`]; B is readable where the pieces say.
#[inline(always)]
pub unsafe fn tile_dots<F: Elementary, I: Instructions<F>>(product: Product<'_, F>, target: Target<'_, F>) {
    // SAFETY: the caller's promise.
    unsafe {
        sized!(target.rows.count, few: true, |ROWS| Dots::<F, I::Vector, ROWS> { product, target, vector: PhantomData });
    }
}

/// A column of a tile, with its size in the type.
struct Dots<'a, F, V, const ROWS: usize> {
    product: Product<'a, F>,
    target: Target<'a, F>,
    vector: PhantomData<V>,
}

impl<F: Elementary, V: Vector<F>, const ROWS: usize> Work for Dots<'_, F, V, ROWS> {
    #[inline(always)]
    unsafe fn run(self) {
        let Target { rows: of, shift, onto, finish, .. } = self.target;
        let mut sums = [V::splat(F::zero()); ROWS];
        // SAFETY: who makes it promises what its parts ask for.
        unsafe {
            let mut rows = [std::ptr::null(); ROWS];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = of.a[i.min(of.count - 1)];
            }
            for piece in self.product.pieces {
                let mut a = rows;
                for a in &mut a {
                    *a = a.wrapping_add(piece.a);
                }
                let b = self.product.b.wrapping_add(piece.b);
                let mut at = 0;
                while at + V::LEN <= piece.len {
                    let b = V::load(b.add(at));
                    for (sum, a) in sums.iter_mut().zip(a) {
                        *sum = V::load(a.add(at)).mul_add(b, *sum);
                    }
                    at += V::LEN;
                }
                let rest = piece.len - at;
                if rest > 0 {
                    let b = V::load_first(b.add(at), rest);
                    for (sum, a) in sums.iter_mut().zip(a) {
                        *sum = V::load_first(a.add(at), rest).mul_add(b, *sum);
                    }
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                if i < of.count {
                    store(sum.sum(), 0, onto, finish, of.c[i].add(shift));
                }
            }
        }
    }
}
