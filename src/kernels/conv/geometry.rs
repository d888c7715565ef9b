//! The sizes of a convolution.

use super::kept::KeptKernel;
use crate::kernels::finish::Finish;
use crate::memory::product;

/// See [`Geometry::is_product`].
const FEWEST_CHANNELS: usize = 8;

/// The sizes of a convolution, along depth, height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Cells of the input.
    pub input: [usize; 3],
    /// Cells of the output.
    pub output: [usize; 3],
    /// Taps of the kernel.
    pub kernel: [usize; 3],
    /// Cells of the input from one output to the next.
    pub strides: [usize; 3],
    /// Cells of the input from one tap to the next.
    pub dilation: [usize; 3],
    /// Cells of padding in front of the input.
    pub before: [usize; 3],
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// How many parts the channels are cut into; each part of the output sees its part of the input alone.
    pub groups: usize,
}

impl Geometry {
    /// Values of one sample of the input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product::<usize>() * self.channels
    }

    /// Values of one sample of the output.
    pub fn output_len(&self) -> usize {
        self.output.iter().product::<usize>() * self.filters
    }

    /// Taps of the kernel over all axes.
    pub(super) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Tap number `tap` along the three axes.
    pub(super) fn tap(&self, tap: usize) -> [usize; 3] {
        let [_, height, width] = self.kernel;
        [tap / width / height, tap / width % height, tap % width]
    }

    /// Values of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.taps() * (self.channels / self.groups) * self.filters
    }

    /// Whether each filter sees one channel alone.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups == self.channels && self.channels > 1
    }

    /// Whether each output is made of the one cell at its place: with few filters or channels vectors would be mostly empty.
    pub(super) fn is_product(&self) -> bool {
        let one_cell = (self.kernel, self.strides, self.before, self.groups) == ([1; 3], [1; 3], [0; 3], 1);
        one_cell && self.input == self.output && self.channels.min(self.filters) >= FEWEST_CHANNELS
    }

    /// Whether every place in a sample, its padding included, has an index.
    fn is_addressable(&self) -> bool {
        let volume = |axis: &dyn Fn(usize) -> usize| {
            (0..3).fold(self.channels.max(self.filters), |n, a| n.saturating_mul(axis(a)))
        };
        let reach = |axis: usize| {
            let last = self.output[axis].saturating_sub(1).saturating_mul(self.strides[axis]);
            let taps = self.kernel[axis].saturating_sub(1).saturating_mul(self.dilation[axis]);
            let taps = taps.saturating_add(1).saturating_add(self.before[axis]);
            last.saturating_add(taps).saturating_add(self.input[axis])
        };
        isize::try_from(volume(&reach)).is_ok() && isize::try_from(volume(&|axis| self.output[axis])).is_ok()
    }

    /// How many samples arrays of these lengths hold.
    ///
    /// # Panics
    /// If they hold different numbers of whole samples, channels and groups don't fit, or sizes overflow.
    #[track_caller]
    pub(super) fn samples(&self, input: usize, output: usize) -> usize {
        assert!(self.is_addressable(), "sizes that overflow");
        let [kd, kh, kw] = self.kernel;
        assert!(product(&[kd, kh, kw, self.channels, self.filters]).is_some(), "a kernel that fits into memory");
        assert!(!self.kernel.contains(&0) && !self.strides.contains(&0), "a kernel and strides without zeros");
        assert!(
            self.groups > 0 && self.channels.is_multiple_of(self.groups) && self.filters.is_multiple_of(self.groups)
        );
        let samples = input.checked_div(self.input_len()).unwrap_or(0);
        assert_eq!(input, samples * self.input_len(), "an input of whole samples");
        assert_eq!(output, samples * self.output_len(), "an output of as many samples");
        samples
    }
}

/// Whose sums over taps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Those of y, over x.
    Forward,
    /// Those of ∂L/∂x, over ∂L/∂y.
    Backward,
}

/// target = finish(bias + sums over taps of the source): [`forward`](super::forward) and
/// [`grad_input`](super::grad_input) in one.
pub(crate) struct TapSums<'a, F> {
    pub geometry: &'a Geometry,
    pub direction: Direction,
    pub source: &'a [F],
    pub kernel: &'a [F],
    /// Where the kernel stays as it is: it in the order of reading.
    pub kept: Option<&'a KeptKernel<F>>,
    pub bias: Option<&'a [F]>,
    pub finish: Finish,
    pub target: &'a mut [F],
}
