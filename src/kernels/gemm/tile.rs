//! The innermost loop: a tile of C, whose sums stay in registers.

use std::marker::PhantomData;

use super::{Onto, Rows};
use crate::kernels::dispatch::{Instructions, Work};
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
    /// The next row of B, as far as the tile reads it.
    #[inline(always)]
    unsafe fn next_of_b<V: Vector<F>, const VECTORS: usize>(&self) -> [V; VECTORS] {
        let mut b = [V::splat(F::zero()); VECTORS];
        for v in 0..VECTORS {
            // SAFETY: the caller promises that there is a next row, readable for VECTORS vectors.
            b[v] = unsafe { V::load(self.b.add(v * V::LEN)) };
        }
        b
    }

    /// Adds the product of the next column of A and the next row of B, which was read as `b`, to the sums.
    #[inline(always)]
    pub unsafe fn add_next<V: Vector<F>, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        b: [V; VECTORS],
        sums: &mut [[V; VECTORS]; ROWS],
    ) {
        for i in 0..ROWS {
            // SAFETY: the caller promises that there is a next column.
            let a = V::splat(unsafe { *self.a.add(i * self.a_row) });
            for v in 0..VECTORS {
                sums[i][v] = a.mul_add(b[v], sums[i][v]);
            }
        }
        // Behind the last element the pointers are not used again.
        self.a = self.a.wrapping_add(self.a_col);
        self.b = self.b.wrapping_add(self.b_row);
    }
}

/// The chains of sums added up.
#[inline(always)]
pub fn total<F, V: Vector<F>, const ROWS: usize, const VECTORS: usize, const CHAINS: usize>(
    chains: [[[V; VECTORS]; ROWS]; CHAINS],
) -> [[V; VECTORS]; ROWS] {
    let mut total = chains[0];
    for chain in 1..CHAINS {
        for i in 0..ROWS {
            for v in 0..VECTORS {
                total[i][v] = total[i][v].add(chains[chain][i][v]);
            }
        }
    }
    total
}

/// `rows` ≤ `TILE_ROWS` rows and `cols` ≤ `TILE_VECTORS` vectors of C. B is readable for whole vectors.
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
        ($vectors:literal $neighbours:literal: $($rows:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($rows if const { exists::<F, I>($rows, $vectors, $neighbours) } => unsafe {
                    I::apart(Tile::<F, I, $rows, $vectors, $neighbours> {
                        operands, cols, onto, c, instructions: PhantomData,
                    });
                },)*
                _ => unreachable!("a tile has 1 to TILE_ROWS rows"),
            }
        };
    }
    let neighbours = I::SPECIALISED && rows == I::TILE_ROWS && operands.a_row == 1;
    match (cols.div_ceil(I::Vector::LEN), neighbours) {
        (1, true) => by_rows!(1 true: 1 2 3 4 5 6 7 8),
        (1, false) => by_rows!(1 false: 1 2 3 4 5 6 7 8),
        (2, true) => by_rows!(2 true: 1 2 3 4 5 6 7 8),
        (2, false) => by_rows!(2 false: 1 2 3 4 5 6 7 8),
        (_, true) => by_rows!(3 true: 1 2 3 4 5 6 7 8),
        (_, false) => by_rows!(3 false: 1 2 3 4 5 6 7 8),
    }
}

/// Whether there is a tile of this kind.
const fn exists<F, I: Instructions<F>>(rows: usize, vectors: usize, neighbours: bool) -> bool {
    let fits = rows <= I::TILE_ROWS && vectors <= I::TILE_VECTORS;
    fits && (!neighbours || I::SPECIALISED && rows == I::TILE_ROWS)
}

/// A tile with its size in the type, and whether the elements of a column of A are neighbours: then one address serves them
/// all, where else one is worked out after the other.
struct Tile<F, I, const ROWS: usize, const VECTORS: usize, const NEIGHBOURS: bool> {
    operands: Operands<F>,
    cols: usize,
    onto: Onto<F>,
    c: Rows<F>,
    instructions: PhantomData<I>,
}

impl<F: Elementary, I: Instructions<F>, const ROWS: usize, const VECTORS: usize, const NEIGHBOURS: bool> Work
    for Tile<F, I, ROWS, VECTORS, NEIGHBOURS>
{
    #[inline(always)]
    unsafe fn run(self) {
        let a_row = if NEIGHBOURS { 1 } else { self.operands.a_row };
        // SAFETY: who makes a tile promises what its parts ask for.
        unsafe {
            let sums = sums::<F, I::Vector, ROWS, VECTORS, 1>(Operands { a_row, ..self.operands });
            store::<F, I, ROWS, VECTORS>(sums, self.cols, self.onto, self.c);
        }
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
        // At least two steps a round: counting and branching take as long as a row of sums.
        let times = if CHAINS > 1 { 1 } else { 2 };
        for _ in 0..of.k / (CHAINS * times) {
            for _ in 0..times {
                for chain in 0..CHAINS {
                    let b = rest.next_of_b();
                    rest.add_next(b, &mut sums[chain]);
                }
            }
        }
        for _ in 0..of.k % (CHAINS * times) {
            let b = rest.next_of_b();
            rest.add_next(b, &mut sums[0]);
        }
    }
    total(sums)
}

/// c = onto + sums, for the first `cols` columns.
#[inline(always)]
pub unsafe fn store<F: Elementary, I: Instructions<F>, const ROWS: usize, const VECTORS: usize>(
    mut sums: [[I::Vector; VECTORS]; ROWS],
    cols: usize,
    onto: Onto<F>,
    c: Rows<F>,
) {
    let len = I::Vector::LEN;
    // SAFETY: the caller promises ROWS rows and `cols` columns of C, and as many biases.
    unsafe {
        if cols == VECTORS * len {
            match onto {
                Onto::Zero => (),
                Onto::C => {
                    for i in 0..ROWS {
                        for v in 0..VECTORS {
                            sums[i][v] = sums[i][v].add(I::Vector::load(c.at(i, v * len)));
                        }
                    }
                }
                Onto::Bias(bias) => {
                    for v in 0..VECTORS {
                        let bias = I::Vector::load(bias.add(v * len));
                        for i in 0..ROWS {
                            sums[i][v] = sums[i][v].add(bias);
                        }
                    }
                }
            }
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v].store(c.at(i, v * len));
                }
            }
        } else {
            // A variable number of columns needs a loop, and a loop needs the sums in memory: in a copy of their own, or
            // the compiler would keep them there while they are added up.
            let mut copy = [[I::Vector::splat(F::zero()); VECTORS]; ROWS];
            let copy = copy.as_mut_ptr().cast::<F>();
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    sums[i][v].store(copy.add((i * VECTORS + v) * len));
                }
            }
            I::apart(Part::<F, I> {
                sums: Rows { start: copy, stride: VECTORS * len },
                rows: ROWS,
                cols,
                onto,
                c,
                instructions: PhantomData,
            });
        }
    }
}

/// The sums of a tile of which not all columns are stored: one function for the tiles of every size.
struct Part<F, I> {
    sums: Rows<F>,
    rows: usize,
    cols: usize,
    onto: Onto<F>,
    c: Rows<F>,
    instructions: PhantomData<I>,
}

impl<F: Elementary, I: Instructions<F>> Work for Part<F, I> {
    #[inline(always)]
    unsafe fn run(self) {
        let len = I::Vector::LEN;
        for i in 0..self.rows {
            for from in (0..self.cols).step_by(len) {
                // SAFETY: who makes a part promises so many rows and columns.
                unsafe {
                    let sum = I::Vector::load(self.sums.at(i, from));
                    store_part(sum, from, (self.cols - from).min(len), self.onto, self.c.at(i, from));
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
