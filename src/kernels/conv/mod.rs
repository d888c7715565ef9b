//! Convolution over one, two or three axes: the output, the gradient of the input and the gradient of the kernel.
//!
//! Arrays have their channels last: x (batch, d, h, w, in) and y (batch, od, oh, ow, out); the kernel is
//! (kd, kh, kw, in / groups, out). What has fewer axes has size 1 along those in front. Along each axis, with step s,
//! dilation r and p cells of padding in front, output o meets input o·s + t·r − p through tap t of the kernel:
//!
//! | | |
//! | --- | --- |
//! | [`forward`] | y\[o, c\] = b\[c\] + Σ over t, i of x\[o·s + t·r − p, i\] · k\[t, i, c\] |
//! | [`grad_input`] | ∂L/∂x\[j, i\] = Σ over c and those t, o with o·s + t·r − p = j of ∂L/∂y\[o, c\] · k\[t, i, c\] |
//! | [`grad_kernel`] | ∂L/∂k\[t, i, c\] = Σ over samples and o of x\[o·s + t·r − p, i\] · ∂L/∂y\[o, c\] |
//!
//! x is 0 outside the input. A transposed convolution is `grad_input`, which is why that takes a bias.
//!
//! # Method
//! All three are matrix products whose left side, the patches of x, is never written down. A tile of the product asks
//! for the patches of a few pixels; these are runs of x that begin at an address a pixel (`tile`). The first two are the
//! same gathering of taps, over the kernel copied into the order of reading (`gather`); pixels at the border, or between
//! the steps of a transposed convolution, have fewer taps and are gathered apart (`plan`), so that no product with
//! padding is computed. The third sums over pixels instead (`weights`).
//!
//! A product with few columns (an image of one or three channels from many) runs its vectors along the sums.
//! Where every channel is a group of its own, sums over channels are of one term, and vectors run along the channels
//! (`depthwise`).
//!
//! Windows of 3 × 3 over many channels are computed with fewer multiplications (`winograd`).
//!
//! One thread computes a call, in an order that depends on the sizes and the instruction set alone.

mod depthwise;
mod gather;
mod plan;
#[cfg(test)]
mod tests;
mod tile;
mod weights;
mod winograd;

use plan::Plans;

use crate::Scalar;
use crate::kernels::aligned::Aligned;

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
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Tap number `tap` along the three axes.
    fn tap(&self, tap: usize) -> [usize; 3] {
        let [_, height, width] = self.kernel;
        [tap / width / height, tap / width % height, tap % width]
    }

    /// Values of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.taps() * (self.channels / self.groups) * self.filters
    }

    /// Whether each filter sees one channel alone.
    fn is_depthwise(&self) -> bool {
        self.groups == self.channels && self.channels > 1
    }

    /// Whether every place in a sample, its padding included, has an index.
    fn is_addressable(&self) -> bool {
        let volume = |axis: &dyn Fn(usize) -> usize| {
            (0..3).fold(self.channels.max(self.filters), |n, a| n.saturating_mul(axis(a)))
        };
        let reach = |axis: usize| {
            let last = self.output[axis].saturating_sub(1).saturating_mul(self.strides[axis]);
            let taps = self.kernel[axis].saturating_mul(self.dilation[axis]).saturating_add(self.before[axis]);
            last.saturating_add(taps).saturating_add(self.input[axis])
        };
        isize::try_from(volume(&reach)).is_ok() && isize::try_from(volume(&|axis| self.output[axis])).is_ok()
    }

    /// How many samples arrays of these lengths hold.
    ///
    /// # Panics
    /// If they hold different numbers of whole samples, channels and groups don't fit, or sizes overflow.
    #[track_caller]
    fn samples(&self, input: usize, output: usize) -> usize {
        assert!(self.is_addressable(), "sizes that overflow");
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

/// What follows a sum: nothing, or a comparison that costs nothing where the sum is still in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// y = sum
    Linear,
    /// y = max(sum, 0), NaN staying NaN.
    Relu,
}

/// Memory that calls reuse, and what has been worked out for a geometry.
#[derive(Debug)]
pub struct Workspace<F> {
    plans: Option<Box<Plans>>,
    /// The kernel, or gradients of the output, in the order of reading.
    packed: Aligned<F>,
    /// Samples of the input with their padding.
    padded: Aligned<F>,
    /// A sample with a channel for each filter (`depthwise`).
    spread: Aligned<F>,
    stretches: Vec<weights::Stretch>,
    pieces: Vec<tile::Piece>,
    winograd: winograd::Memory<F>,
}

impl<F> Default for Workspace<F> {
    fn default() -> Self {
        Self {
            plans: None,
            packed: Aligned::new(),
            padded: Aligned::new(),
            spread: Aligned::new(),
            stretches: Vec::new(),
            pieces: Vec::new(),
            winograd: winograd::Memory::default(),
        }
    }
}

impl<F> Workspace<F> {
    /// The plans for a geometry: those of the last call, if it had the same.
    fn plans(&mut self, geometry: &Geometry) -> &Plans {
        if self.plans.as_ref().is_none_or(|plans| plans.geometry != *geometry) {
            self.plans = Some(Box::new(Plans::new(geometry)));
        }
        self.plans.as_ref().expect("made above")
    }
}

/// y = finish(bias + x ∗ kernel): see the [module](self).
///
/// `x` (batch, input, channels), `kernel` (taps, channels / groups, filters), `bias` (filters) → `y` (batch, output,
/// filters).
///
/// # Panics
/// If a slice does not have as many values as the geometry says.
///
/// ```
/// use gradus::kernels::conv::{Finish, Geometry, Workspace, forward};
/// let sum_of_neighbours = Geometry {
///     input: [1, 1, 4], output: [1, 1, 3], kernel: [1, 1, 2], strides: [1; 3], dilation: [1; 3], before: [0; 3],
///     channels: 1, filters: 1, groups: 1,
/// };
/// let mut y = [0.0f32; 3];
/// forward(&sum_of_neighbours, &[1., 2., 3., 4.], &[1., 1.], None, Finish::Linear, &mut y, &mut Workspace::default());
/// assert_eq!(y, [3.0, 5.0, 7.0]);
/// ```
pub fn forward<F: Scalar>(
    geometry: &Geometry,
    x: &[F],
    kernel: &[F],
    bias: Option<&[F]>,
    finish: Finish,
    y: &mut [F],
    workspace: &mut Workspace<F>,
) {
    let samples = geometry.samples(x.len(), y.len());
    assert_eq!(kernel.len(), geometry.kernel_len(), "the kernel's size");
    if geometry.is_depthwise() {
        return depthwise::forward(geometry, x, kernel, bias, finish, y, workspace);
    }
    if winograd::fits(geometry, samples) {
        return winograd::forward(geometry, x, kernel, bias, finish, y, &mut workspace.winograd);
    }
    workspace.plans(geometry);
    let plan = &workspace.plans.as_ref().expect("made above").forward;
    let packed = workspace.packed.room(plan.packed_len(gather::panel::<F>()));
    gather::pack_forward(geometry, plan, kernel, packed);
    gather::gather(plan, x, packed, bias, finish, y);
}

/// ∂L/∂x of [`forward`], plus a bias if there is one: see the [module](self).
///
/// `grad_y` (batch, output, filters), `kernel` (taps, channels / groups, filters), `bias` (channels) → `grad_x` (batch,
/// input, channels). With a bias and a finish it is a transposed convolution.
///
/// # Panics
/// If a slice does not have as many values as the geometry says.
pub fn grad_input<F: Scalar>(
    geometry: &Geometry,
    grad_y: &[F],
    kernel: &[F],
    bias: Option<&[F]>,
    finish: Finish,
    grad_x: &mut [F],
    workspace: &mut Workspace<F>,
) {
    let samples = geometry.samples(grad_x.len(), grad_y.len());
    assert_eq!(kernel.len(), geometry.kernel_len(), "the kernel's size");
    if geometry.is_depthwise() {
        return depthwise::grad_input(geometry, grad_y, kernel, bias, finish, grad_x, workspace);
    }
    if winograd::fits(geometry, samples) {
        return winograd::grad_input(geometry, grad_y, kernel, bias, finish, grad_x, &mut workspace.winograd);
    }
    workspace.plans(geometry);
    let plan = &workspace.plans.as_ref().expect("made above").backward;
    let packed = workspace.packed.room(plan.packed_len(gather::panel::<F>()));
    gather::pack_backward(geometry, plan, kernel, packed);
    gather::gather(plan, grad_y, packed, bias, finish, grad_x);
}

/// `grad_kernel` += ∂L/∂kernel of [`forward`]: see the [module](self).
///
/// `x` (batch, input, channels), `grad_y` (batch, output, filters), `grad_kernel` (taps, channels / groups, filters).
///
/// # Panics
/// If a slice does not have as many values as the geometry says.
pub fn grad_kernel<F: Scalar>(
    geometry: &Geometry,
    x: &[F],
    grad_y: &[F],
    grad_kernel: &mut [F],
    workspace: &mut Workspace<F>,
) {
    let samples = geometry.samples(x.len(), grad_y.len());
    assert_eq!(grad_kernel.len(), geometry.kernel_len(), "the kernel's size");
    if geometry.is_depthwise() {
        return depthwise::grad_kernel(geometry, x, grad_y, grad_kernel, workspace);
    }
    if winograd::fits(geometry, samples) {
        return winograd::grad_kernel(geometry, x, grad_y, grad_kernel, &mut workspace.winograd);
    }
    workspace.plans(geometry);
    let plan = &workspace.plans.as_ref().expect("made above").weights;
    let packed = workspace.packed.room(plan.packed_len(gather::panel::<F>()));
    let (padded, stretches, pieces) = (&mut workspace.padded, &mut workspace.stretches, &mut workspace.pieces);
    weights::grad_kernel(geometry, plan, x, grad_y, padded, packed, stretches, pieces, grad_kernel);
}
