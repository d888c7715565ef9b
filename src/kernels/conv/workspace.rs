//! The memory of a convolution.

use super::geometry::Geometry;
use super::plan::Plans;
use super::{tile, weights, winograd};
use crate::kernels::aligned::Aligned;
use crate::kernels::gemm::Packed;

/// So many plans of other geometries are kept.
const MOST_KEPT: usize = 31;

/// Memory that calls reuse, and what has been worked out for a geometry.
#[derive(Debug)]
pub struct Workspace<F> {
    pub(super) plans: Option<Box<Plans>>,
    /// Those of other geometries that came before; the last was used last.
    kept: Vec<Plans>,
    /// The kernel, or gradients of the output, in the order of reading.
    pub(super) packed: Aligned<F>,
    /// Samples of the input with their padding.
    pub(super) padded: Aligned<F>,
    /// A sample with a channel for each filter (`depthwise`).
    pub(super) spread: Aligned<F>,
    pub(super) stretches: Vec<weights::Stretch>,
    pub(super) pieces: Vec<tile::Piece>,
    pub(super) winograd: winograd::Memory<F>,
    pub(super) product: Packed<F>,
}

impl<F> Default for Workspace<F> {
    fn default() -> Self {
        Self {
            plans: None,
            kept: Vec::new(),
            packed: Aligned::new(),
            padded: Aligned::new(),
            spread: Aligned::new(),
            stretches: Vec::new(),
            pieces: Vec::new(),
            winograd: winograd::Memory::default(),
            product: Packed::default(),
        }
    }
}

impl<F> Workspace<F> {
    /// The plans for a geometry: those of the last call, if it had the same, or of one before. Inputs may come in a few sizes.
    pub(super) fn plans(&mut self, geometry: &Geometry) -> &Plans {
        let kept = &mut self.kept;
        let plans = self.plans.get_or_insert_with(|| Box::new(Plans::new(geometry)));
        if plans.geometry != *geometry {
            if let Some(place) = kept.iter().rposition(|plans| plans.geometry == *geometry) {
                kept[place..].rotate_left(1);
            } else {
                if kept.len() == MOST_KEPT {
                    kept.remove(0);
                }
                kept.push(Plans::new(geometry));
            }
            let last = kept.last_mut().expect("just put there");
            std::mem::swap(&mut **plans, last);
        }
        plans
    }
}
