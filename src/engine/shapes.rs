//! The shapes of a graph's outputs, for each choice of the inputs' shapes that has come.

use std::sync::{Arc, Mutex};

/// So many choices of the inputs' shapes are kept; the one that was least recently used goes.
pub(crate) const MOST_KEPT: usize = 32;

/// The shapes of all outputs of a graph, without the batch axis, for one choice of the inputs' shapes.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// By output.
    pub of: Vec<Vec<usize>>,
    /// For each output, how many values a row of the mask has that its layer makes beside it; 0 without.
    pub mask_lens: Vec<usize>,
}

impl Shapes {
    /// Whether these are the inputs' shapes.
    pub fn have_inputs<'s>(&self, mut inputs: impl Iterator<Item = &'s [usize]>) -> bool {
        let mut own = self.of.iter();
        inputs.all(|input| own.next().is_some_and(|own| own == input))
    }
}

/// The shapes of a graph that have been worked out.
#[derive(Debug, Default)]
pub(crate) struct KnownShapes {
    /// Where no axis is open.
    pub(super) fixed: Option<Arc<Shapes>>,
    /// Where one is; the last was used last.
    pub(super) open: Mutex<Vec<Arc<Shapes>>>,
}

impl KnownShapes {
    /// Of a graph whose only shapes these are.
    pub fn fixed(shapes: Shapes) -> Self {
        Self { fixed: Some(Arc::new(shapes)), open: Mutex::default() }
    }
}
