//! Which taps meet which pixels, worked out once for a geometry.

use super::geometry::{Direction, Geometry};
use super::line::Windows;
use super::tile::Piece;
use crate::kernels::split::part_of;

/// All that the three passes of one geometry need to know.
#[derive(Debug)]
pub struct Plans {
    pub geometry: Geometry,
    pub forward: Gather,
    pub backward: Gather,
    pub weights: Weights,
}

impl Plans {
    pub fn new(geometry: &Geometry) -> Self {
        Self {
            geometry: *geometry,
            forward: Gather::new(geometry, true),
            backward: Gather::new(geometry, false),
            weights: Weights::new(geometry),
        }
    }

    /// That of the sums over taps.
    pub fn gather(&self, direction: Direction) -> &Gather {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        }
    }
}

/// Every pixel of the target is a sum over taps of a pixel of the source: y from x, or ∂L/∂x from ∂L/∂y.
///
/// Pixels with the same taps are a class. Inside, away from the border, there is one class; along an axis with border on
/// both sides there are a few; of two axes the classes are pairs.
#[derive(Debug)]
pub struct Gather {
    pub classes: Vec<Class>,
    pub groups: usize,
    /// Channels of the source within a group: what a tap sums over.
    pub depth: usize,
    /// Channels of the target within a group.
    pub columns: usize,
    /// Taps of the kernel.
    pub taps: usize,
    /// Values of one sample.
    pub source_len: usize,
    pub target_len: usize,
    /// Pixels of one sample of the target.
    pub pixels: usize,
}

/// Pixels whose sums run over the same taps.
#[derive(Debug)]
pub struct Class {
    /// The taps, neighbours joined to one piece. `b` counts rows of the packed kernel.
    pub pieces: Vec<Piece>,
    /// Each pixel is one of `outer` plus one of `inner`: (source, target), in scalars.
    pub outer: Vec<(usize, usize)>,
    pub inner: Vec<(usize, usize)>,
    /// Where all taps of a line of the window are there, and neighbours, and so are the pixels of a line.
    pub windows: Option<Windows>,
}

impl Class {
    /// Visits stretch `number` of `count` of the pixels of so many samples, line by line: sample, where the line's source and target
    /// begin, and its pixels.
    #[inline(always)]
    pub fn each_line(
        &self,
        samples: usize,
        (number, count): (usize, usize),
        mut visit: impl FnMut(usize, (usize, usize), &[(usize, usize)]),
    ) {
        let (outer, inner) = (self.outer.len(), self.inner.len());
        let pixels = part_of(samples * outer * inner, number, count);
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            let (line, start) = (pixel / inner, pixel % inner);
            let end = inner.min(start + pixels.end - pixel);
            pixel += end - start;
            visit(line / outer, self.outer[line % outer], &self.inner[start..end]);
        }
    }

    /// The same pixel by pixel: sample, and where source and target begin.
    #[inline(always)]
    pub fn each_pixel(&self, samples: usize, stretch: (usize, usize), mut visit: impl FnMut(usize, usize, usize)) {
        self.each_line(samples, stretch, |sample, (from, to), pixels| {
            for &(inner_from, inner_to) in pixels {
                visit(sample, from + inner_from, to + inner_to);
            }
        });
    }
}

/// A class along one axis.
#[derive(Debug, PartialEq)]
struct AxisClass {
    /// Tap, in the order of the packed kernel, and cells of the source behind the first one's.
    taps: Vec<(usize, usize)>,
    /// Cell of the source that the first tap meets, and cell of the target.
    cells: Vec<(usize, usize)>,
}

impl AxisClass {
    /// Its windows, where they have all taps, these are neighbours, and so are the cells of the target.
    fn windows(&self, taps: usize) -> Option<Windows> {
        let stride = self.cells.get(1).map_or(1, |second| second.0.wrapping_sub(self.cells[0].0));
        let windows = Windows { taps, stride };
        let all_taps = self.taps.len() == taps && self.taps.iter().enumerate().all(|(i, &tap)| tap == (i, i));
        let neighbours = self.cells.windows(2).all(|two| two[1] == (two[0].0 + stride, two[0].1 + 1));
        (windows.are_known() && all_taps && neighbours).then_some(windows)
    }
}

/// The classes of axis number `axis`.
fn axis_classes(geometry: &Geometry, axis: usize, forward: bool) -> Vec<AxisClass> {
    let (input, output, taps) = (geometry.input[axis], geometry.output[axis], geometry.kernel[axis]);
    let (stride, dilation, before) = (geometry.strides[axis], geometry.dilation[axis], geometry.before[axis]);
    let mut classes: Vec<AxisClass> = Vec::new();
    for target in 0..if forward { output } else { input } {
        // The cell of the source that a tap meets. Backwards the taps go the other way, so that cells rise with them.
        let meets = |tap: usize| {
            if forward {
                (target * stride + tap * dilation).checked_sub(before).filter(|&cell| cell < input)
            } else {
                let ahead = (target + before).checked_sub((taps - 1 - tap) * dilation)?;
                (ahead % stride == 0).then_some(ahead / stride).filter(|&cell| cell < output)
            }
        };
        let met = || (0..taps).filter_map(|tap| meets(tap).map(|cell| (tap, cell)));
        let first = met().next().map_or(0, |(_, cell)| cell);
        let same = |class: &&mut AxisClass| met().map(|(tap, cell)| (tap, cell - first)).eq(class.taps.iter().copied());
        match classes.iter_mut().find(same) {
            Some(class) => class.cells.push((first, target)),
            None => classes.push(AxisClass {
                taps: met().map(|(tap, cell)| (tap, cell - first)).collect(),
                cells: vec![(first, target)],
            }),
        }
    }
    classes
}

impl Gather {
    fn new(geometry: &Geometry, forward: bool) -> Self {
        let Geometry { input, output, channels, filters, groups, kernel, .. } = *geometry;
        let (source, target) = if forward { (input, output) } else { (output, input) };
        let (from, to) = if forward { (channels, filters) } else { (filters, channels) };
        let depth = from / groups;
        let axes = [0, 1, 2].map(|axis| axis_classes(geometry, axis, forward));
        let mut classes = Vec::new();
        for z in &axes[0] {
            for y in &axes[1] {
                // Cells of the two outer axes, and of all three, counted through.
                let across = |z: usize, y: usize, size: [usize; 3]| (z * size[1] + y) * size[2];
                let outer: Vec<(usize, usize)> = z
                    .cells
                    .iter()
                    .flat_map(|z| y.cells.iter().map(move |y| (z, y)))
                    .map(|(z, y)| (across(z.0, y.0, source) * from, across(z.1, y.1, target) * to))
                    .collect();
                for x in &axes[2] {
                    let mut pieces: Vec<Piece> = Vec::new();
                    for tz in &z.taps {
                        for ty in &y.taps {
                            for tx in &x.taps {
                                let a = (across(tz.1, ty.1, source) + tx.1) * from;
                                let b = (across(tz.0, ty.0, kernel) + tx.0) * depth;
                                match pieces.last_mut() {
                                    Some(last) if last.a + last.len == a && last.b + last.len == b => last.len += depth,
                                    _ => pieces.push(Piece { a, b, len: depth }),
                                }
                            }
                        }
                    }
                    let inner = x.cells.iter().map(|x| (x.0 * from, x.1 * to)).collect();
                    classes.push(Class { pieces, outer: outer.clone(), inner, windows: x.windows(kernel[2]) });
                }
            }
        }
        let volume = |size: [usize; 3]| size.iter().product::<usize>();
        Self {
            classes,
            groups,
            depth,
            columns: to / groups,
            taps: volume(kernel),
            source_len: volume(source) * from,
            target_len: volume(target) * to,
            pixels: volume(target),
        }
    }

    /// Whether columns are so few that a vector of them would be mostly empty, and vectors run along the sums instead.
    pub fn by_dots(&self, vector: usize) -> bool {
        self.columns <= 4 && self.depth >= vector
    }

    /// Values of the packed kernel, in panels of so many columns.
    pub fn packed_len(&self, panel: usize) -> usize {
        self.groups * self.columns.div_ceil(panel) * panel * self.taps * self.depth
    }
}

/// The gradient of the kernel: sums over pixels, for each row (tap, channel) of the kernel.
#[derive(Debug)]
pub struct Weights {
    /// Whether a tap ever meets padding: then x is copied with its padding around it.
    pub pads: bool,
    /// Cells of a sample as it is read.
    pub padded: [usize; 3],
    /// Where each row of the kernel begins to read, in scalars, for the first group.
    pub rows: Vec<usize>,
    /// Samples that are copied at once.
    pub samples: usize,
    /// Pixels that are summed over at once.
    pub pixels: usize,
    channels: usize,
}

/// Pixels of the output that a pass of the tiles over the kernel sums up: their gradients, two vectors wide, are to stay
/// in the first cache beside their patches of x.
const PIXELS: usize = 256;

impl Weights {
    fn new(geometry: &Geometry) -> Self {
        let Geometry { input, output, kernel, strides, dilation, before, channels, groups, .. } = *geometry;
        let reach =
            |axis: usize| (output[axis].saturating_sub(1) * strides[axis]) + (kernel[axis] - 1) * dilation[axis] + 1;
        let pads = (0..3).any(|axis| before[axis] > 0 || reach(axis) > input[axis]);
        let padded = if pads { [0, 1, 2].map(|axis| reach(axis).max(before[axis] + input[axis])) } else { input };
        let mut rows = Vec::with_capacity(kernel.iter().product::<usize>() * channels / groups);
        for z in 0..kernel[0] {
            for y in 0..kernel[1] {
                for x in 0..kernel[2] {
                    let cell = (z * dilation[0] * padded[1] + y * dilation[1]) * padded[2] + x * dilation[2];
                    rows.extend((0..channels / groups).map(|channel| cell * channels + channel));
                }
            }
        }
        let sample = output.iter().product::<usize>();
        Self { pads, padded, rows, samples: (PIXELS / sample.max(1)).max(1), pixels: PIXELS, channels }
    }

    /// Values of one sample as it is read.
    pub fn sample_len(&self) -> usize {
        self.padded.iter().product::<usize>() * self.channels
    }

    /// Values of the samples that are copied at once.
    pub fn padded_len(&self) -> usize {
        if self.pads { self.samples * self.sample_len() } else { 0 }
    }

    /// Values of the gradients that are summed over at once, in one panel of so many columns.
    pub fn packed_len(&self, panel: usize) -> usize {
        self.pixels * panel
    }
}
