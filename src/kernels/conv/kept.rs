//! Kernels that stay as they are.

use std::sync::OnceLock;

use crate::kernels::aligned::Aligned;
use crate::kernels::gemm::Packed;

/// A kernel in the order of reading, for as long as it stays as it is: each of the ways of
/// [`sum_taps`](super::sum_taps) has its own.
#[derive(Debug)]
pub(crate) struct KeptKernel<F> {
    pub(super) gathered: OnceLock<Aligned<F>>,
    pub(super) product: OnceLock<Packed<F>>,
    pub(super) winograd: OnceLock<Vec<Packed<F>>>,
}

impl<F> Default for KeptKernel<F> {
    fn default() -> Self {
        Self { gathered: OnceLock::new(), product: OnceLock::new(), winograd: OnceLock::new() }
    }
}
