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
//! Windows of a single cell are a plain product of matrices (`product`).
//!
//! Windows of 3 × 3 over many channels are computed with fewer multiplications (`winograd`).
//!
//! Sums are taken in an order that depends on the sizes and the instruction set alone. Threads that are idle compute some of
//! the outputs.

mod depthwise;
mod gather;
mod geometry;
mod kept;
mod line;
mod plan;
mod product;
#[cfg(test)]
mod tests;
mod tile;
mod weights;
mod winograd;
mod workspace;

pub use geometry::Geometry;
pub(crate) use geometry::{Direction, TapSums};
pub(crate) use kept::KeptKernel;
pub use workspace::Workspace;

pub use crate::kernels::finish::Finish;

use crate::Scalar;
use crate::kernels::aligned::Aligned;

/// By which of the ways above the passes of a geometry go.
enum Method {
    Depthwise,
    Product,
    Winograd,
    Gather,
}

impl Method {
    /// The fastest, for so many samples.
    fn of(geometry: &Geometry, samples: usize) -> Self {
        if geometry.is_depthwise() {
            Self::Depthwise
        } else if geometry.is_product() {
            Self::Product
        } else if winograd::fits(geometry, samples) {
            Self::Winograd
        } else {
            Self::Gather
        }
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
    let direction = Direction::Forward;
    sum_taps(TapSums { geometry, direction, source: x, kernel, kept: None, bias, finish, target: y }, workspace);
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
    let direction = Direction::Backward;
    let sums = TapSums { geometry, direction, source: grad_y, kernel, kept: None, bias, finish, target: grad_x };
    sum_taps(sums, workspace);
}

/// [`forward`] or [`grad_input`].
pub(crate) fn sum_taps<F: Scalar>(sums: TapSums<'_, F>, workspace: &mut Workspace<F>) {
    let TapSums { geometry, kernel, .. } = sums;
    let samples = match sums.direction {
        Direction::Forward => geometry.samples(sums.source.len(), sums.target.len()),
        Direction::Backward => geometry.samples(sums.target.len(), sums.source.len()),
    };
    assert_eq!(kernel.len(), geometry.kernel_len(), "the kernel's size");
    if sums.source.is_empty() || sums.target.is_empty() {
        return without_taps(sums);
    }
    match Method::of(geometry, samples) {
        Method::Depthwise => depthwise::sum_taps(sums, workspace),
        Method::Product => product::sum_taps(sums, &mut workspace.product),
        Method::Winograd => winograd::sum_taps(sums, &mut workspace.winograd),
        Method::Gather => {
            workspace.plans(geometry);
            let plan = workspace.plans.as_ref().expect("made above").gather(sums.direction);
            let len = plan.packed_len(gather::panel::<F>());
            let pack = |packed: &mut [F]| match sums.direction {
                Direction::Forward => gather::pack_forward(geometry, plan, kernel, packed),
                Direction::Backward => gather::pack_backward(geometry, plan, kernel, packed),
            };
            let packed: &[F] = if let Some(kept) = sums.kept {
                kept.gathered.get_or_init(|| {
                    let mut packed = Aligned::zeros(len);
                    pack(&mut packed);
                    packed
                })
            } else {
                let packed = workspace.packed.room(len);
                pack(packed);
                packed
            };
            gather::gather(plan, sums.source, packed, sums.bias, sums.finish, sums.target);
        }
    }
}

/// Sums over no taps: the bias alone.
fn without_taps<F: Scalar>(sums: TapSums<'_, F>) {
    let TapSums { bias, finish, target, .. } = sums;
    target.fill(F::zero());
    let Some(bias) = bias.filter(|bias| !bias.is_empty()) else { return };
    for cell in target.chunks_exact_mut(bias.len()) {
        for (y, &bias) in cell.iter_mut().zip(bias) {
            *y = finish.of(bias);
        }
    }
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
    if x.is_empty() || grad_y.is_empty() || grad_kernel.is_empty() {
        return; // nothing to add up
    }
    match Method::of(geometry, samples) {
        Method::Depthwise => depthwise::grad_kernel(geometry, x, grad_y, grad_kernel, workspace),
        Method::Product => product::grad_kernel(geometry, x, grad_y, grad_kernel),
        Method::Winograd => winograd::grad_kernel(geometry, x, grad_y, grad_kernel, &mut workspace.winograd),
        Method::Gather => {
            workspace.plans(geometry);
            let plan = &workspace.plans.as_ref().expect("made above").weights;
            let packed = workspace.packed.room(plan.packed_len(gather::panel::<F>()));
            let (padded, stretches, pieces) = (&mut workspace.padded, &mut workspace.stretches, &mut workspace.pieces);
            weights::grad_kernel(geometry, plan, x, grad_y, padded, packed, stretches, pieces, grad_kernel);
        }
    }
}
