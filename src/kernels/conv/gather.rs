//! The output of a convolution, and the gradient of its input: for each pixel a sum over taps.

use std::ops::Range;

use super::plan::Gather;
use super::tile::{Onto, Product, Rows, Target, tile_along, tile_dots, tile_rows};
use super::{Finish, Geometry};
use crate::Scalar;
use crate::kernels::dispatch::kernel;
use crate::kernels::gemm::{Matrix, Panels, pack};
use crate::kernels::split::{self, Elements};
use crate::kernels::vector::Vector;

/// The columns of a tile.
pub fn panel<F: Scalar>() -> usize {
    let mut columns = [0];
    panel_into::<F>(&[], &mut columns);
    columns[0]
}

kernel! {
    /// Two vectors, of whatever length this processor's have.
    fn panel_into<F, I>(_of: &[F], columns: &mut [usize; 1]) {
        columns[0] = 2 * I::Vector::LEN;
    }
}

kernel! {
    /// Copies the kernel into the order in which [`gather`] reads it for [`forward`](super::forward): for each group and
    /// two vectors of filters, tap by tap, channel by channel.
    pub fn pack_forward<F, I>(geometry: &Geometry, plan: &Gather, kernel: &[F], packed: &mut [F]) {
        let panel = 2 * I::Vector::LEN;
        let (columns, depth) = (plan.columns, plan.taps * plan.depth);
        if plan.by_dots(I::Vector::LEN) {
            // Column after column.
            assert!(kernel.len() == depth * geometry.filters && packed.len() >= kernel.len(), "room for the kernel");
            for (column, to) in packed.chunks_exact_mut(depth).take(geometry.filters).enumerate() {
                for (to, from) in to.iter_mut().zip(kernel.chunks_exact(geometry.filters)) {
                    *to = from[column];
                }
            }
            return;
        }
        let group_len = columns.div_ceil(panel) * panel * depth;
        assert!(packed.len() >= geometry.groups * group_len, "room for the kernel");
        let matrix = Matrix::new(kernel, depth, geometry.filters);
        for group in 0..geometry.groups {
            // SAFETY: the columns lie inside the matrix, and there is room for them.
            unsafe {
                let to = packed.as_mut_ptr().add(group * group_len);
                pack::columns::<F, I>(matrix, (0, depth), group * columns, Panels::of_width(columns, panel), to);
            }
        }
    }
}

kernel! {
    /// Copies the kernel into the order in which [`gather`] reads it for [`grad_input`](super::grad_input): for each
    /// group and two vectors of channels, tap by tap from the last, filter by filter.
    pub fn pack_backward<F, I>(geometry: &Geometry, plan: &Gather, kernel: &[F], packed: &mut [F]) {
        let panel = 2 * I::Vector::LEN;
        let Gather { columns, depth, taps, .. } = *plan;
        if plan.by_dots(I::Vector::LEN) {
            // Of each group and channel, tap by tap.
            assert!(kernel.len() == taps * columns * geometry.filters && packed.len() >= kernel.len(), "room for the kernel");
            for (number, to) in packed.chunks_exact_mut(depth).take(geometry.channels * taps).enumerate() {
                let (column, tap) = (number / taps, taps - 1 - number % taps);
                let from = (tap * columns + column % columns) * geometry.filters + column / columns * depth;
                to.copy_from_slice(&kernel[from..from + depth]);
            }
            return;
        }
        let panel_len = taps * depth * panel;
        let group_len = columns.div_ceil(panel) * panel_len;
        assert!(packed.len() >= geometry.groups * group_len, "room for the kernel");
        for tap in 0..taps {
            let of_tap = Matrix::new(&kernel[tap * columns * geometry.filters..], columns, geometry.filters).t();
            for group in 0..geometry.groups {
                let mut col = 0;
                while col < columns {
                    let from = group * group_len + col / panel * panel_len + (taps - 1 - tap) * depth * panel;
                    // SAFETY: as in `pack_forward`.
                    unsafe {
                        let to = packed.as_mut_ptr().add(from);
                        let one = Panels::of_width(panel.min(columns - col), panel);
                        pack::columns::<F, I>(of_tap, (group * depth, depth), col, one, to);
                    }
                    col += panel;
                }
            }
        }
    }
}

/// Values of the packed kernel that stay in the first cache while pixels go by.
const NEAR: usize = 4096;
/// Values of the source that stay in the second cache while the panels go by.
const SOURCE: usize = 32_768;
/// Pixels that a panel of the kernel is read for at least, where there are as many.
const FEWEST_PIXELS: usize = 96;

/// target = finish(bias + Σ taps), for every pixel of every sample.
///
/// `source` (samples, pixels, groups · depth), `packed` as [`pack_forward`] or [`pack_backward`] leaves it, `target`
/// (samples, pixels, groups · columns), `bias` (groups · columns).
pub fn gather<F: Scalar>(
    plan: &Gather,
    source: &[F],
    packed: &[F],
    bias: Option<&[F]>,
    finish: Finish,
    target: &mut [F],
) {
    let samples = target.len().checked_div(plan.target_len).unwrap_or(0);
    let pixels = samples * plan.pixels;
    assert!(source.len() >= samples * plan.source_len, "as many samples of the source");
    assert!(packed.len() >= plan.packed_len(panel::<F>()), "the packed kernel");
    assert!(bias.is_none_or(|bias| bias.len() == plan.groups * plan.columns), "one bias a column");
    let panels = plan.groups * if plan.by_dots(panel::<F>() / 2) { 1 } else { plan.columns.div_ceil(panel::<F>()) };
    let a_pixel = (samples * plan.source_len).div_ceil(pixels.max(1));
    let at_once = (SOURCE / a_pixel.max(1)).max(FEWEST_PIXELS);
    let stretches = pixels.div_ceil(at_once).max(1);
    // Stretches of pixels are worked on one after the other; where others help they do some, or some of the panels.
    let work = target.len() * plan.taps * plan.depth;
    let values = [samples * plan.source_len, packed.len()];
    let [by_pixels, by_panels] = split::rows_and_columns(split::parts(work), work, [pixels, panels], values);
    let target = Elements::of(target);
    split::each(by_pixels * by_panels, &|number| {
        let panels = split::part_of(panels, number % by_panels, by_panels);
        let count = stretches.max(by_pixels);
        for stretch in split::part_of(count, number / by_panels, by_pixels) {
            let part = Part { samples, stretch: (stretch, count), panels: panels.clone() };
            gather_part(plan, source, packed, bias, finish, target, &part);
        }
    });
}

/// Some panels of some pixels.
struct Part {
    samples: usize,
    /// Which stretch of the pixels, of how many.
    stretch: (usize, usize),
    /// Counted through all groups.
    panels: Range<usize>,
}

kernel! {
    /// A part of [`gather`], which has checked all sizes. No other part has these pixels and panels.
    fn gather_part<F, I>(
        plan: &Gather,
        source: &[F],
        packed: &[F],
        bias: Option<&[F]>,
        finish: Finish,
        target: Elements<F>,
        part: &Part,
    ) {
        let (panel, full) = (2 * I::Vector::LEN, tile_rows::<F, I>());
        let rows_of_b = plan.taps * plan.depth;
        let dots = plan.by_dots(I::Vector::LEN);
        let panels = if dots { 1 } else { plan.columns.div_ceil(panel) };
        let near = (NEAR / (rows_of_b * panel).max(1)).clamp(1, panels.max(1));

        let mut first = part.panels.start;
        while first < part.panels.end {
            let group = first / panels;
            let some = first % panels..panels.min(first % panels + near).min(part.panels.end - group * panels);
            first += some.len();
            for class in &plan.classes {
                let mut rows = Rows::new();
                let flush = |rows: &mut Rows<F>| {
                    if dots {
                        for column in group * plan.columns..(group + 1) * plan.columns {
                            // SAFETY: the plan's places lie inside the samples and the packed kernel.
                            unsafe {
                                let b = packed.as_ptr().add(column * rows_of_b);
                                let product = Product { pieces: &class.pieces, a_step: 1, b, b_step: 1 };
                                let onto = bias.map_or(Onto::Zero, |bias| Onto::Bias(bias.as_ptr().add(column)));
                                let target = Target { rows, shift: column, cols: 1, onto, finish };
                                tile_dots::<F, I>(product, target);
                            }
                        }
                        rows.count = 0;
                        return;
                    }
                    for number in some.clone() {
                        let column = group * plan.columns + number * panel;
                        let cols = panel.min(plan.columns - number * panel);
                        // SAFETY: the plan's places lie inside the samples; the packed kernel has whole panels.
                        unsafe {
                            let b = packed.as_ptr().add((group * panels + number) * rows_of_b * panel);
                            let product = Product { pieces: &class.pieces, a_step: 1, b, b_step: panel };
                            let onto = bias.map_or(Onto::Zero, |bias| Onto::Bias(bias.as_ptr().add(column)));
                            let target = Target { rows, shift: column, cols, onto, finish };
                            tile_along::<F, I>(product, target);
                        }
                    }
                    rows.count = 0;
                };
                class.each_pixel(part.samples, part.stretch, |sample, from, to| {
                    let from = source.as_ptr().wrapping_add(sample * plan.source_len + group * plan.depth + from);
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
