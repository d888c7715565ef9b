//! Windows of 3 × 3 with fewer multiplications: Winograd's F(2 × 2, 3 × 3) (Lavin, Gray 2015).
//!
//! The output is cut into tiles of 2 × 2 cells, each of which sees 4 × 4 cells of x. With d these cells and g the kernel,
//! each for one pair of channel and filter,
//!
//! y = Aᵀ·m·A, m = u ⊙ v, v = Bᵀ·d·B, u = G·g·Gᵀ
//!
//! ```text
//!      ⎡1  0 −1  0⎤       ⎡1  0  0⎤
//! Bᵀ = ⎢0  1  1  0⎥   G = ⎢½  ½  ½⎥   Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 −1  1  0⎥       ⎢½ −½  ½⎥        ⎣0  1 −1 −1⎦
//!      ⎣0  1  0 −1⎦       ⎣0  0  1⎦
//! ```
//!
//! takes 16 multiplications for 4 outputs where the sum over taps takes 36. Over all channels, each of the 16 parts is a
//! matrix product of its own: M\[p\] = V\[p\]·U\[p\], tiles by channels times channels by filters. The gradients follow from
//! the same formula: ∂m = A·∂y·Aᵀ, ∂U\[p\] += V\[p\]ᵀ·∂M\[p\], ∂g = Gᵀ·∂u·G. The gradient of x is the same convolution again,
//! of ∂y with the kernel turned by half a turn.
//!
//! Sums and differences of neighbours cost a few times the rounding error of the sum over taps, and where a window holds an
//! infinite value the output may be NaN instead of infinite.

use std::cell::RefCell;
use std::ops::Range;

use super::geometry::{Direction, Geometry, TapSums};
use crate::Scalar;
use crate::kernels::aligned::Aligned;
use crate::kernels::blocks::{block, block_mut, plus};
use crate::kernels::dispatch::kernel;
use crate::kernels::finish::Finish;
use crate::kernels::gemm::{Matrix, Packed, Start, gemm_alone, gemm_units};
use crate::kernels::split::{self, Elements};

/// Channels that go through a transformation together.
const LANES: usize = 8;
/// u, v and m have so many parts.
const PARTS: usize = 16;
/// Tiles that are worked on together: their parts stay in the second cache.
const TILES: usize = 48;
/// More channels than a thread's memory has room for.
const MOST_CHANNELS: usize = 1024;
/// The transformations cost as much as they save where there are fewer channels,
const LEAST_CHANNELS: usize = 48;
/// and that of the kernel where there are fewer tiles.
const LEAST_TILES: usize = 48;

/// From one part of v or m to the next. A power of two in between would put all parts of a tile into the same few lines of
/// the first cache.
const fn room(channels: usize) -> usize {
    TILES * channels + 16
}

/// Neighbouring channels of a cell.
type Lanes<F> = [F; LANES];

/// Memory that calls reuse.
#[derive(Debug)]
pub struct Memory<F> {
    /// (parts, channels, filters)
    u: Aligned<F>,
    /// U\[p\] of all parts, in the order of reading.
    packed: Vec<Packed<F>>,
    /// A cell outside x.
    zeros: Aligned<F>,
}

impl<F> Default for Memory<F> {
    fn default() -> Self {
        Self { u: Aligned::new(), packed: Vec::new(), zeros: Aligned::new() }
    }
}

/// Calls `work` with this thread's memory for the tiles that it works on, v (parts, [`TILES`], c) and m (parts, [`TILES`], k):
/// the same for all layers, so that it stays in the core's cache. The first call of a thread allocates it.
fn with_tiles<F: Scalar>([c, k]: [usize; 2], work: impl FnOnce(&mut [F], &mut [F])) {
    thread_local!(static TILES: RefCell<[Aligned<f64>; 2]> = const { RefCell::new([Aligned::new(), Aligned::new()]) });
    TILES.with_borrow_mut(|memory| {
        let mut of = |place: usize, channels: usize| {
            if memory[place].is_empty() {
                // Pages that are never written take no memory.
                memory[place] = Aligned::zeros(PARTS * room(MOST_CHANNELS));
            }
            let (room, start) = (PARTS * room(channels), memory[place].as_mut_ptr().cast::<F>());
            assert!(size_of::<F>() <= size_of::<f64>() && channels <= MOST_CHANNELS, "there is room");
            // SAFETY: it is as long, its values are numbers whatever their bits, and nobody else has it: calls within `work`
            // have no tiles of their own.
            unsafe { std::slice::from_raw_parts_mut(start, room) }
        };
        let (v, m) = (of(0, c), of(1, k));
        work(v, m);
    });
}

/// Whether this is the faster way for so many samples: see `docs/measurements/conv.md`.
pub fn fits(geometry: &Geometry, samples: usize) -> bool {
    let Geometry { input, output, kernel, strides, dilation, before, channels, filters, groups } = *geometry;
    let whole_planes = input[0] == output[0] && before[0] == 0;
    // The gradient of x is cut into tiles as well.
    let of_planes = |size: [usize; 3]| {
        let (cells, tiles) = (size[1] * size[2], size[1].div_ceil(2) * size[2].div_ceil(2));
        // Tiles that are cut off at the edges cost as much as whole ones.
        samples * size[0] * tiles >= LEAST_TILES && 9 * cells >= 8 * PARTS * tiles / 5
    };
    whole_planes
        && (kernel, strides, dilation, groups) == ([1, 3, 3], [1; 3], [1; 3], 1)
        && before[1].max(before[2]) <= 2
        && channels.is_multiple_of(LANES)
        && filters.is_multiple_of(LANES)
        && channels.min(filters) >= LEAST_CHANNELS
        && channels.max(filters) <= MOST_CHANNELS
        && of_planes(input)
        && of_planes(output)
}

/// Where the tiles lie: on all planes of a batch, counted on.
#[derive(Clone, Copy)]
struct Grid {
    input: [usize; 2],
    output: [usize; 2],
    before: [usize; 2],
}

impl Grid {
    fn of(geometry: &Geometry) -> Self {
        let flat = |size: [usize; 3]| [size[1], size[2]];
        Self { input: flat(geometry.input), output: flat(geometry.output), before: flat(geometry.before) }
    }

    /// That of the gradient of the input: output o was made of inputs o + t − p, so input i sees outputs i − t + p.
    fn turned(self) -> Self {
        Self { input: self.output, output: self.input, before: self.before.map(|before| 2 - before) }
    }

    /// How many tiles there are in a batch whose output has `cells` cells.
    fn tiles(&self, cells: usize) -> usize {
        let [height, width] = self.output;
        cells / (height * width) * height.div_ceil(2) * width.div_ceil(2)
    }

    /// A tile's plane, and its first cell of the output.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.output.map(|size| size.div_ceil(2));
        (tile / (down * across), [tile / across % down * 2, tile % across * 2])
    }

    /// The place of the next tile.
    #[inline(always)]
    fn after(&self, (plane, [y, x]): (usize, [usize; 2])) -> (usize, [usize; 2]) {
        if x + 2 < self.output[1] {
            (plane, [y, x + 2])
        } else if y + 2 < self.output[0] {
            (plane, [y + 2, 0])
        } else {
            (plane + 1, [0, 0])
        }
    }

    /// The cells of x that a tile sees, of `c` channels each; `zeros` outside.
    #[inline(always)]
    fn seen<'a, F>(
        &self,
        (plane, first): (usize, [usize; 2]),
        c: usize,
        x: &'a [F],
        zeros: &'a [F],
    ) -> [[&'a [F]; 4]; 4] {
        let [height, width] = self.input;
        let mut cells = [[zeros; 4]; 4];
        for (i, row) in cells.iter_mut().enumerate() {
            let y = (first[0] + i).wrapping_sub(self.before[0]);
            for (j, cell) in row.iter_mut().enumerate() {
                let across = (first[1] + j).wrapping_sub(self.before[1]);
                if y < height && across < width {
                    *cell = &x[((plane * height + y) * width + across) * c..][..c];
                }
            }
        }
        cells
    }

    /// Where the values of a tile's cells of y begin, of `k` channels each; none outside.
    #[inline(always)]
    fn made(&self, (plane, first): (usize, [usize; 2]), k: usize) -> [[Option<usize>; 2]; 2] {
        let [height, width] = self.output;
        let mut cells = [[None; 2]; 2];
        for (i, row) in cells.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().enumerate() {
                let (y, x) = (first[0] + i, first[1] + j);
                if y < height && x < width {
                    *cell = Some(((plane * height + y) * width + x) * k);
                }
            }
        }
        cells
    }
}

/// The sums over taps of [`forward`](super::forward) and [`grad_input`](super::grad_input).
pub fn sum_taps<F: Scalar>(sums: TapSums<'_, F>, memory: &mut Memory<F>) {
    let TapSums { geometry, direction, source, kernel, kept, bias, finish, target } = sums;
    let (grid, c, k) = (Grid::of(geometry), geometry.channels, geometry.filters);
    let backward = direction == Direction::Backward;
    let Memory { u, packed, zeros } = memory;
    let packed = if let Some(kept) = kept {
        kept.winograd.get_or_init(|| {
            let mut packed = Vec::new();
            pack(kernel, [c, k], backward, &mut Aligned::new(), &mut packed);
            packed
        })
    } else {
        pack(kernel, [c, k], backward, u, packed);
        packed
    };
    let (grid, channels) = if backward { (grid.turned(), [k, c]) } else { (grid, [c, k]) };
    zeros.resize(channels[0]);
    convolve(grid, channels, source, zeros, packed, bias, finish, target);
}

/// U\[p\] = (G·g·Gᵀ)\[p\] of a kernel of c channels and k filters, transposed and turned for the gradient of the input.
fn pack<F: Scalar>(kernel: &[F], [c, k]: [usize; 2], backward: bool, u: &mut Aligned<F>, packed: &mut Vec<Packed<F>>) {
    let u = u.room(PARTS * c * k);
    packed.resize_with(PARTS, Packed::default);
    kernel_parts(kernel, backward, u);
    for (packed, u) in packed.iter_mut().zip(u.chunks_exact(c * k)) {
        let u = Matrix::new(u, c, k);
        packed.pack(if backward { u.t() } else { u });
    }
}

/// Some tiles at a time: their v, the products, y. Threads that are idle take other tiles, or other filters of the same.
fn convolve<F: Scalar>(
    grid: Grid,
    [c, k]: [usize; 2],
    x: &[F],
    zeros: &[F],
    kernel: &[Packed<F>],
    bias: Option<&[F]>,
    finish: Finish,
    y: &mut [F],
) {
    let tiles = grid.tiles(y.len() / k);
    let (work, units) = (PARTS * tiles * c * k, kernel[0].units());
    let whole = [tiles.div_ceil(LANES), units];
    let [by_tiles, by_filters] =
        split::rows_and_columns(split::parts(work), work, whole, [PARTS * tiles * c, PARTS * c * k]);
    let (blocks, y) = (tiles.div_ceil(TILES).max(by_tiles), Elements::of(y));
    split::each(by_tiles * by_filters, &|number| {
        let units = split::part_of(units, number % by_filters, by_filters);
        for block in split::part_of(blocks, number / by_filters, by_tiles) {
            let tiles = split::part_of(tiles, block, blocks);
            with_tiles([c, k], |v, m| {
                input_parts(&grid, tiles.clone(), c, x, zeros, v);
                for ((packed, v), m) in kernel.iter().zip(v.chunks_exact(room(c))).zip(m.chunks_exact_mut(room(k))) {
                    gemm_units(Matrix::new(v, tiles.len(), c), packed, units.clone(), m);
                }
                output(&grid, tiles, k, kernel[0].columns_of(units.clone()), m, bias, finish, y);
            });
        }
    });
}

/// `grad_kernel` += ∂L/∂kernel of [`forward`](super::forward).
pub fn grad_kernel<F: Scalar>(
    geometry: &Geometry,
    x: &[F],
    grad_y: &[F],
    grad_kernel: &mut [F],
    memory: &mut Memory<F>,
) {
    let (grid, c, k) = (Grid::of(geometry), geometry.channels, geometry.filters);
    let Memory { u: grad_u, zeros, .. } = memory;
    let grad_u = grad_u.room(PARTS * c * k);
    zeros.resize(c);
    let tiles = grid.tiles(grad_y.len() / k);
    for first in (0..tiles).step_by(TILES) {
        let count = TILES.min(tiles - first);
        with_tiles([c, k], |v, grad_m| {
            input_parts(&grid, first..first + count, c, x, zeros, v);
            gradient_parts(&grid, first..first + count, k, grad_y, grad_m);
            let start = if first == 0 { Start::Zero } else { Start::Add };
            let parts = v.chunks_exact(room(c)).zip(grad_m.chunks_exact(room(k)));
            for ((v, grad_m), grad_u) in parts.zip(grad_u.chunks_exact_mut(c * k)) {
                gemm_alone(Matrix::new(v, count, c).t(), Matrix::new(grad_m, count, k), start, grad_u, k);
            }
        });
    }
    if tiles > 0 {
        kernel_gradient(grad_u, grad_kernel);
    }
}

/// a − b
#[inline(always)]
fn minus<F: Scalar>(a: Lanes<F>, b: Lanes<F>) -> Lanes<F> {
    let mut out = a;
    for i in 0..LANES {
        out[i] -= b[i];
    }
    out
}

/// a / 2
#[inline(always)]
fn half<F: Scalar>(a: Lanes<F>) -> Lanes<F> {
    let mut out = a;
    for out in &mut out {
        *out *= F::of(0.5);
    }
    out
}

/// Bᵀ·d
#[inline(always)]
fn b_t<F: Scalar>([d0, d1, d2, d3]: [Lanes<F>; 4]) -> [Lanes<F>; 4] {
    [minus(d0, d2), plus(d1, d2), minus(d2, d1), minus(d1, d3)]
}

/// G·g
#[inline(always)]
fn g<F: Scalar>([g0, g1, g2]: [Lanes<F>; 3]) -> [Lanes<F>; 4] {
    let (ends, middle) = (half(plus(g0, g2)), half(g1));
    [g0, plus(ends, middle), minus(ends, middle), g2]
}

/// Gᵀ·u
#[inline(always)]
fn g_t<F: Scalar>([u0, u1, u2, u3]: [Lanes<F>; 4]) -> [Lanes<F>; 3] {
    let (sum, difference) = (half(plus(u1, u2)), half(minus(u1, u2)));
    [plus(u0, sum), difference, plus(sum, u3)]
}

/// Aᵀ·m
#[inline(always)]
fn a_t<F: Scalar>([m0, m1, m2, m3]: [Lanes<F>; 4]) -> [Lanes<F>; 2] {
    [plus(m0, plus(m1, m2)), minus(minus(m1, m2), m3)]
}

/// A·y
#[inline(always)]
fn a<F: Scalar>([y0, y1]: [Lanes<F>; 2]) -> [Lanes<F>; 4] {
    [y0, plus(y0, y1), minus(y0, y1), minus([F::zero(); LANES], y1)]
}

/// R·x·Rᵀ for a function that multiplies a column by R: first the columns of x, then the rows of what that gives.
#[inline(always)]
fn both_ways<F: Scalar, const N: usize, const M: usize>(
    x: [[Lanes<F>; N]; N],
    r: impl Fn([Lanes<F>; N]) -> [Lanes<F>; M],
) -> [[Lanes<F>; M]; M] {
    let mut columns = [[[F::zero(); LANES]; N]; M];
    for j in 0..N {
        let mut column = [[F::zero(); LANES]; N];
        for i in 0..N {
            column[i] = x[i][j];
        }
        let column = r(column);
        for i in 0..M {
            columns[i][j] = column[i];
        }
    }
    let mut out = [[[F::zero(); LANES]; M]; M];
    for i in 0..M {
        out[i] = r(columns[i]);
    }
    out
}

kernel! {
    /// u = G·g·Gᵀ for every channel and filter, of the kernel turned by half a turn if asked.
    fn kernel_parts<F, I>(kernel: &[F], turned: bool, u: &mut [F]) {
        let n = kernel.len() / 9;
        for at in (0..n).step_by(LANES) {
            let mut taps = [[[F::zero(); LANES]; 3]; 3];
            for i in 0..3 {
                for j in 0..3 {
                    let tap = 3 * i + j;
                    taps[i][j] = block(kernel, if turned { 8 - tap } else { tap } * n + at);
                }
            }
            let parts = both_ways(taps, g);
            for i in 0..4 {
                for j in 0..4 {
                    *block_mut(u, (4 * i + j) * n + at) = parts[i][j];
                }
            }
        }
    }
}

kernel! {
    /// `grad_kernel` += Gᵀ·∂u·G
    fn kernel_gradient<F, I>(grad_u: &[F], grad_kernel: &mut [F]) {
        let n = grad_kernel.len() / 9;
        for at in (0..n).step_by(LANES) {
            let mut parts = [[[F::zero(); LANES]; 4]; 4];
            for i in 0..4 {
                for j in 0..4 {
                    parts[i][j] = block(grad_u, (4 * i + j) * n + at);
                }
            }
            let taps = both_ways(parts, g_t);
            for i in 0..3 {
                for j in 0..3 {
                    let to = block_mut(grad_kernel, (3 * i + j) * n + at);
                    *to = plus(*to, taps[i][j]);
                }
            }
        }
    }
}

kernel! {
    /// v = Bᵀ·d·B for some tiles.
    fn input_parts<F, I>(grid: &Grid, tiles: Range<usize>, c: usize, x: &[F], zeros: &[F], v: &mut [F]) {
        let mut place = grid.place(tiles.start);
        for t in 0..tiles.len() {
            let cells = grid.seen(place, c, x, zeros);
            for ch in (0..c).step_by(LANES) {
                let mut d = [[[F::zero(); LANES]; 4]; 4];
                for i in 0..4 {
                    for j in 0..4 {
                        d[i][j] = block(cells[i][j], ch);
                    }
                }
                let parts = both_ways(d, b_t);
                for i in 0..4 {
                    for j in 0..4 {
                        *block_mut(v, (4 * i + j) * room(c) + t * c + ch) = parts[i][j];
                    }
                }
            }
            place = grid.after(place);
        }
    }
}

kernel! {
    /// y = finish(bias + Aᵀ·m·A) for some tiles and filters, which no other part has.
    fn output<F, I>(
        grid: &Grid, tiles: Range<usize>, k: usize, filters: Range<usize>, m: &[F], bias: Option<&[F]>, finish: Finish,
        y: Elements<F>,
    ) {
        let mut place = grid.place(tiles.start);
        for t in 0..tiles.len() {
            let cells = grid.made(place, k);
            for ch in filters.clone().step_by(LANES) {
                let mut parts = [[[F::zero(); LANES]; 4]; 4];
                for i in 0..4 {
                    for j in 0..4 {
                        parts[i][j] = block(m, (4 * i + j) * room(k) + t * k + ch);
                    }
                }
                let made = both_ways(parts, a_t);
                for i in 0..2 {
                    for j in 0..2 {
                        let Some(cell) = cells[i][j] else { continue };
                        let mut value = made[i][j];
                        if let Some(bias) = bias {
                            value = plus(value, block(bias, ch));
                        }
                        if finish != Finish::Linear {
                            for y in &mut value {
                                *y = finish.of(*y);
                            }
                        }
                        // SAFETY: a cell of y has k values, and these are this part's.
                        unsafe { *y.start().add(cell + ch).cast::<Lanes<F>>() = value };
                    }
                }
            }
            place = grid.after(place);
        }
    }
}

kernel! {
    /// ∂m = A·∂y·Aᵀ for some tiles.
    fn gradient_parts<F, I>(grid: &Grid, tiles: Range<usize>, k: usize, grad_y: &[F], grad_m: &mut [F]) {
        let mut place = grid.place(tiles.start);
        for t in 0..tiles.len() {
            let cells = grid.made(place, k);
            for ch in (0..k).step_by(LANES) {
                let mut grad = [[[F::zero(); LANES]; 2]; 2];
                for i in 0..2 {
                    for j in 0..2 {
                        if let Some(cell) = cells[i][j] {
                            grad[i][j] = block(grad_y, cell + ch);
                        }
                    }
                }
                let parts = both_ways(grad, a);
                for i in 0..4 {
                    for j in 0..4 {
                        *block_mut(grad_m, (4 * i + j) * room(k) + t * k + ch) = parts[i][j];
                    }
                }
            }
            place = grid.after(place);
        }
    }
}
