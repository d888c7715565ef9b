//! The shapes of a graph's outputs at given sizes of its inputs.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

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
    fixed: Option<Arc<Shapes>>,
    /// Where one is; the last was used last.
    open: Mutex<Vec<Arc<Shapes>>>,
}

impl KnownShapes {
    /// Of a graph whose only shapes these are.
    pub fn fixed(shapes: Shapes) -> Self {
        Self { fixed: Some(Arc::new(shapes)), open: Mutex::default() }
    }

    /// The shapes of a graph without open axes.
    pub fn get_fixed(&self) -> Option<&Arc<Shapes>> {
        self.fixed.as_ref()
    }

    /// The shapes for inputs of these shapes; `infer` works them out if they are not known.
    pub fn find<'s>(
        &self,
        inputs: impl Iterator<Item = &'s [usize]> + Clone,
        infer: impl FnOnce() -> Result<Shapes>,
    ) -> Result<Arc<Shapes>> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        // What a thread that panicked has left there are whole shapes all the same.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = open.iter().rposition(|shapes| shapes.have_inputs(inputs.clone())) {
            open[place..].rotate_left(1);
        } else {
            let shapes = infer()?;
            if open.len() == MOST_KEPT {
                open.remove(0);
            }
            open.push(Arc::new(shapes));
        }
        Ok(open.last().expect("just put there").clone())
    }
}
