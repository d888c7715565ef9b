//! The memory of a convolution.

use super::geometry::Geometry;
use super::plan::Plans;
use super::{tile, weights, winograd};
use crate::kernels::aligned::Aligned;

/// Memory that calls reuse, and what has been worked out for a geometry.
#[derive(Debug)]
pub struct Workspace<F> {
    pub(super) plans: Option<Box<Plans>>,
    /// The kernel, or gradients of the output, in the order of reading.
    pub(super) packed: Aligned<F>,
    /// Samples of the input with their padding.
    pub(super) padded: Aligned<F>,
    /// A sample with a channel for each filter (`depthwise`).
    pub(super) spread: Aligned<F>,
    pub(super) stretches: Vec<weights::Stretch>,
    pub(super) pieces: Vec<tile::Piece>,
    pub(super) winograd: winograd::Memory<F>,
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
    pub(super) fn plans(&mut self, geometry: &Geometry) -> &Plans {
        if self.plans.as_ref().is_none_or(|plans| plans.geometry != *geometry) {
            self.plans = Some(Box::new(Plans::new(geometry)));
        }
        self.plans.as_ref().expect("made above")
    }
}
