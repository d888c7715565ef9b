//! What a convolution does with its sums while they are at hand.

use super::math::Elementary;
use super::vector::Vector;
use crate::Scalar;

/// What follows a sum: nothing, or a comparison that costs nothing where the sum is still in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// y = sum
    Linear,
    /// y = max(sum, 0), NaN staying NaN.
    Relu,
    /// y = min(max(sum, 0), 6), NaN staying NaN.
    Relu6,
}

impl Finish {
    /// What becomes of one sum.
    #[inline(always)]
    pub(super) fn of<F: Scalar>(self, sum: F) -> F {
        let (zero, six) = (F::zero(), F::of(6.0));
        match self {
            Self::Relu | Self::Relu6 if sum < zero => zero,
            Self::Relu6 if sum > six => six,
            Self::Linear | Self::Relu | Self::Relu6 => sum,
        }
    }

    /// What becomes of a vector of them.
    #[inline(always)]
    pub(super) fn of_vector<F: Scalar, V: Vector<F>>(self, sums: V) -> V {
        match self {
            Self::Linear => sums,
            Self::Relu => sums.relu(),
            Self::Relu6 => sums.relu().min(V::splat(F::of(6.0))),
        }
    }

    /// What becomes of so many sums side by side.
    ///
    /// # Safety
    /// There are so many from `sums` on, and nobody else has them.
    #[inline(always)]
    pub(super) unsafe fn of_row<F: Elementary, V: Vector<F>>(self, sums: *mut F, count: usize) {
        let whole = count - count % V::LEN;
        // SAFETY: the caller's promise.
        unsafe {
            for at in (0..whole).step_by(V::LEN) {
                self.of_vector(V::load(sums.add(at))).store(sums.add(at));
            }
            for at in whole..count {
                *sums.add(at) = self.of(*sums.add(at));
            }
        }
    }
}
