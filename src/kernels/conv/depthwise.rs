//! Convolutions whose groups are single channels: each filter sees one channel, and a vector holds neighbouring filters.
//!
//! With a multiplier m, channel c has the filters c·m … c·m + m − 1. Its values are written m times beside each other
//! first, a sample at a time, after which every filter has a channel of its own.

use super::geometry::{Direction, Geometry, TapSums};
use super::line::{Line, MOST_PIXELS, line};
use super::plan::{Gather, Weights};
use super::tile::{Onto, Piece, Product, Rows, Target, tile_each, tile_rows};
use super::weights::{pad, pieces_of_tap, rows_of_output};
use super::workspace::Workspace;
use crate::Scalar;
use crate::kernels::dispatch::kernel;
use crate::kernels::finish::Finish;
use crate::kernels::split::{self, Elements};
use crate::kernels::vector::Vector;

/// The geometry with a channel of its own for each filter.
fn spread(geometry: &Geometry) -> Geometry {
    Geometry { channels: geometry.filters, groups: geometry.filters, ..*geometry }
}

/// The sums over taps of [`forward`](super::forward) and [`grad_input`](super::grad_input) where every channel is a group.
pub fn sum_taps<F: Scalar>(sums: TapSums<'_, F>, workspace: &mut Workspace<F>) {
    let TapSums { geometry, direction, source, kernel, bias, finish, target, .. } = sums;
    let multiplier = geometry.filters / geometry.channels;
    workspace.plans(&spread(geometry));
    let plan = workspace.plans.as_ref().expect("made above").gather(direction);
    let kernel = match direction {
        Direction::Forward => kernel,
        Direction::Backward => {
            // The taps go from the last to the first.
            let packed = workspace.packed.room(kernel.len());
            let taps = kernel.chunks_exact(geometry.filters).rev();
            packed.chunks_exact_mut(geometry.filters).zip(taps).for_each(|(to, from)| to.copy_from_slice(from));
            packed
        }
    };
    if multiplier == 1 {
        return gather(plan, source, kernel, bias, finish, target);
    }
    match direction {
        Direction::Forward => {
            let spread = workspace.spread.room(plan.source_len);
            for (x, y) in source.chunks_exact(geometry.input_len()).zip(target.chunks_exact_mut(geometry.output_len()))
            {
                repeat(x, multiplier, spread);
                gather(plan, spread, kernel, bias, finish, y);
            }
        }
        Direction::Backward => {
            let spread = workspace.spread.room(plan.target_len);
            let samples = source.chunks_exact(geometry.output_len());
            for (grad_y, grad_x) in samples.zip(target.chunks_exact_mut(geometry.input_len())) {
                gather(plan, grad_y, kernel, None, Finish::Linear, spread);
                add_up(spread, multiplier, bias, finish, grad_x);
            }
        }
    }
}

/// [`grad_kernel`](super::grad_kernel) where every channel is a group.
pub fn grad_kernel<F: Scalar>(
    geometry: &Geometry,
    x: &[F],
    grad_y: &[F],
    grad_kernel: &mut [F],
    workspace: &mut Workspace<F>,
) {
    let multiplier = geometry.filters / geometry.channels;
    let own = self::spread(geometry);
    workspace.plans(&own);
    let plan = &workspace.plans.as_ref().expect("made above").weights;
    let padded = workspace.padded.room(plan.padded_len());
    let spread = workspace.spread.room(if multiplier == 1 { 0 } else { own.input_len() });
    for (x, grad_y) in x.chunks_exact(geometry.input_len()).zip(grad_y.chunks_exact(geometry.output_len())) {
        let x = if multiplier == 1 {
            x
        } else {
            repeat(x, multiplier, spread);
            &*spread
        };
        let source = if plan.pads {
            padded.fill(F::zero());
            pad(&own, plan, x, padded);
            &*padded
        } else {
            x
        };
        workspace.stretches.clear();
        rows_of_output(&own, plan, 0, [0; 3], &mut workspace.stretches);
        let size = if plan.pads { plan.padded } else { own.input };
        let (stride, channels) = (own.strides[2], own.channels);
        pieces_of_tap(&workspace.stretches, [0; 3], size, stride, channels, &mut workspace.pieces);
        weights(&own, plan, source, grad_y, &workspace.pieces, grad_kernel);
    }
}

kernel! {
    /// Each value of `x` so many times.
    fn repeat<F>(x: &[F], times: usize, to: &mut [F]) {
        for (to, &x) in to.chunks_exact_mut(times).zip(x) {
            to.fill(x);
        }
    }
}

kernel! {
    /// to = finish(bias + the sums of so many neighbours each), the bias one a channel.
    fn add_up<F>(from: &[F], neighbours: usize, bias: Option<&[F]>, finish: Finish, to: &mut [F]) {
        let channels = bias.map_or(1, <[F]>::len);
        for (i, (to, from)) in to.iter_mut().zip(from.chunks_exact(neighbours)).enumerate() {
            let mut sum = bias.map_or(F::zero(), |bias| bias[i % channels]);
            for &x in from {
                sum += x;
            }
            *to = finish.of(sum);
        }
    }
}

/// Cuts `len` columns from `start` on into (start, length) of two vectors, one vector, and a rest.
#[inline(always)]
fn columns(mut start: usize, len: usize, vector: usize) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        let rest = len - start;
        let cols = if rest >= 2 * vector { 2 * vector } else { rest.min(vector) };
        start += cols;
        (cols > 0).then_some((start - cols, cols))
    })
}

/// Values of the source that stay in the second cache while the columns go by.
const SOURCE: usize = 32_768;

/// target = finish(bias + Σ taps), element by element, for every pixel of every sample.
///
/// `source` (samples, pixels, n), `kernel` (taps, n), `bias` (n), `target` (samples, pixels, n).
fn gather<F: Scalar>(plan: &Gather, source: &[F], kernel: &[F], bias: Option<&[F]>, finish: Finish, target: &mut [F]) {
    let samples = target.len().checked_div(plan.target_len).unwrap_or(0);
    assert!(source.len() >= samples * plan.source_len && kernel.len() >= plan.taps * plan.groups, "sizes as planned");
    assert!(bias.is_none_or(|bias| bias.len() == plan.groups), "one bias a channel");
    let stretches = (samples * plan.source_len).div_ceil(SOURCE).max(1);
    let parts = split::parts(target.len() * plan.taps * EACH);
    let target = Elements::of(target);
    split::each(parts, &|number| {
        for stretch in split::part_of(stretches.max(parts), number, parts) {
            gather_part(plan, source, kernel, bias, finish, target, samples, (stretch, stretches.max(parts)));
        }
    });
}

/// A multiplication here takes so many times as long as in a product, where operands are read less often.
const EACH: usize = 4;

kernel! {
    /// Stretch `number` of `count` of all pixels of [`gather`], which has checked all sizes. No other part has these.
    fn gather_part<F, I>(
        plan: &Gather,
        source: &[F],
        kernel: &[F],
        bias: Option<&[F]>,
        finish: Finish,
        target: Elements<F>,
        samples: usize,
        stretch: (usize, usize),
    ) {
        let (n, full) = (plan.groups, tile_rows::<F, I>());
        for class in &plan.classes {
            let mut whole = 0;
            if let Some(windows) = class.windows.filter(|_| I::SPECIALISED) {
                whole = n - n % I::Vector::LEN;
                class.each_line(samples, stretch, |sample, (from, to), pixels| {
                    let from = source.as_ptr().wrapping_add(sample * plan.source_len + from);
                    let to = target.start().wrapping_add(sample * plan.target_len + to);
                    for pixels in pixels.chunks(MOST_PIXELS) {
                        let own = Line {
                            source: from.wrapping_add(pixels[0].0),
                            kernel: kernel.as_ptr(),
                            pieces: &class.pieces,
                            target: to.wrapping_add(pixels[0].1),
                            pixels: pixels.len(),
                            channels: n,
                            bias: bias.map(<[F]>::as_ptr),
                            finish,
                        };
                        // SAFETY: the plan's places lie inside the samples.
                        unsafe { line::<F, I>(windows, own) };
                    }
                });
            }
            for (column, cols) in columns(whole, n, I::Vector::LEN) {
                let mut rows = Rows::new();
                let flush = |rows: &mut Rows<F>| {
                    // SAFETY: the plan's places lie inside the samples, and the columns inside the channels.
                    unsafe {
                        let b = kernel.as_ptr().add(column);
                        let product = Product { pieces: &class.pieces, a_step: 1, b, b_step: n };
                        let onto = bias.map_or(Onto::Zero, |bias| Onto::Bias(bias.as_ptr().add(column)));
                        tile_each::<F, I>(product, Target { rows, shift: column, cols, onto, finish });
                    }
                    rows.count = 0;
                };
                class.each_pixel(samples, stretch, |sample, from, to| {
                    let from = source.as_ptr().wrapping_add(sample * plan.source_len + from);
                    rows.push(from, target.start().wrapping_add(sample * plan.target_len + to));
                    if rows.count == full {
                        flush(&mut rows);
                    }
                });
                if rows.count > 0 {
                    flush(&mut rows);
                }
            }
        }
    }
}

kernel! {
    /// `grad_kernel`[t, c] += Σ over pixels of x[pixel + t, c] · `grad_y`[pixel, c], for one sample.
    fn weights<F, I>(
        geometry: &Geometry,
        plan: &Weights,
        source: &[F],
        grad_y: &[F],
        pieces: &[Piece],
        grad_kernel: &mut [F],
    ) {
        let (n, full) = (geometry.filters, tile_rows::<F, I>());
        assert!(source.len() >= plan.sample_len() && grad_y.len() >= geometry.output_len());
        assert!(grad_kernel.len() >= plan.rows.len() * n);
        let grad_kernel = grad_kernel.as_mut_ptr();
        for (column, cols) in columns(0, n, I::Vector::LEN) {
            let mut rows = Rows::new();
            for (tap, &place) in plan.rows.iter().enumerate() {
                // SAFETY: the plan's places lie inside the sample, and the columns inside the channels.
                unsafe {
                    rows.push(source.as_ptr().add(place), grad_kernel.add(tap * n));
                    if rows.count == full || tap + 1 == plan.rows.len() {
                        let (a_step, b) = (geometry.strides[2] * n, grad_y.as_ptr().add(column));
                        let product = Product { pieces, a_step, b, b_step: n };
                        let (onto, finish) = (Onto::C, Finish::Linear);
                        tile_each::<F, I>(product, Target { rows: &rows, shift: column, cols, onto, finish });
                        rows.count = 0;
                    }
                }
            }
        }
    }
}
