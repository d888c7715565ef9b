//! Attention over some of a sample's axes: the others become samples of their own.

use crate::kernels::reorder;
use crate::layers::axes::{Axes, resolve};
use crate::{Error, Result, Scalar, Tensor, View};

/// The order in which the axes of a tensor (batch, …, features) are looked at: first those that are not attended over,
/// which are like more samples, then those that are, which are like one sequence.
#[derive(Debug, Default)]
pub struct Folding {
    /// The axes behind the batch in this order, the features last.
    dims: Vec<usize>,
    /// How many of them are not attended over.
    others: usize,
}

impl Folding {
    /// For tensors of `rank` axes, the batch included; without `axes` all but batch and features are attended over.
    ///
    /// # Errors
    /// If an axis is the batch or the features, is not there, or stands twice; if none is named.
    pub fn new(axes: Option<&Axes>, rank: usize) -> Result<Self> {
        if let Some(axes) = axes {
            let mut seen = Vec::new();
            for &axis in axes.as_slice() {
                let counted = resolve("attention_axes", axis, rank)?;
                if counted == rank - 1 || seen.contains(&counted) {
                    let expected = "axes between batch and features, each once";
                    return Err(Error::option("attention_axes", expected, format!("{:?}", axes.as_slice())));
                }
                seen.push(counted);
            }
            if seen.is_empty() {
                return Err(Error::option("attention_axes", "at least one axis", "none"));
            }
        }
        let mut folding = Self::default();
        folding.set(axes, rank);
        Ok(folding)
    }

    /// As [`new`](Self::new), which has found the axes good; allocates the first time only.
    pub fn set(&mut self, axes: Option<&Axes>, rank: usize) {
        let attended = || axes.into_iter().flat_map(Axes::as_slice).filter_map(|&axis| resolve("", axis, rank).ok());
        self.dims.clear();
        self.dims.extend((1..rank - 1).filter(|&axis| axes.is_some() && attended().all(|other| other != axis)));
        self.others = self.dims.len();
        match axes {
            Some(_) => self.dims.extend(attended()),
            None => self.dims.extend(1..rank - 1),
        }
        self.dims.push(rank - 1);
    }

    /// The sizes of the axes that are not attended over, of a tensor of this shape, the batch included.
    pub fn others<'a>(&'a self, shape: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        self.dims[..self.others].iter().map(|&axis| shape[axis])
    }

    /// The sizes of the axes that are attended over.
    pub fn attended<'a>(&'a self, shape: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        self.dims[self.others..self.dims.len() - 1].iter().map(|&axis| shape[axis])
    }

    /// How many axes are attended over.
    pub fn attended_axes(&self) -> usize {
        self.dims.len() - 1 - self.others
    }

    /// Whether a tensor must be reordered to lie in memory as it is looked at.
    fn moves(&self) -> bool {
        self.dims.iter().enumerate().any(|(i, &axis)| axis != i + 1)
    }

    /// The values of x as they are looked at: x itself, or `folded`, which [`fold`](Self::fold) has filled.
    pub fn of<'a, F: Scalar>(&self, x: View<'a, F>, folded: &'a [F]) -> &'a [F] {
        if self.moves() { folded } else { x.data() }
    }

    /// Fills `folded` where x must be reordered.
    pub fn fold<F: Scalar>(&self, x: View<'_, F>, folded: &mut Vec<F>) {
        if self.moves() {
            folded.resize(x.len(), F::zero());
            reorder::permute(&x, x.shape(), &self.dims, folded);
        }
    }

    /// Where the values of a tensor that will be of the shape `shape` go: to `y` itself, or first into `folded`.
    pub fn to<'a, F: Scalar>(&self, y: &'a mut [F], folded: &'a mut Vec<F>) -> &'a mut [F] {
        if !self.moves() {
            return y;
        }
        folded.resize(y.len(), F::zero());
        folded
    }

    /// Brings what [`to`](Self::to) sent into `folded` to its place in `y`.
    pub fn unfold<F: Scalar>(&self, folded: &[F], y: &mut Tensor<F>) {
        if self.moves() {
            let (shape, y) = y.view_mut().into_parts();
            reorder::permute_backward(folded, shape, &self.dims, y);
        }
    }

    /// Brings values that lie as they are looked at into the order of a tensor of this shape; `scratch` is overwritten.
    pub fn unfold_in_place<F: Scalar>(&self, values: &mut Vec<F>, shape: &[usize], scratch: &mut Vec<F>) {
        if self.moves() {
            scratch.resize(values.len(), F::zero());
            reorder::permute_backward(values, shape, &self.dims, scratch);
            std::mem::swap(values, scratch);
        }
    }

    /// A mask (batch, timesteps) of a tensor of this shape as one of the places that are looked at: `folded`.
    pub fn fold_mask(&self, mask: Option<&[bool]>, shape: &[usize], folded: &mut Vec<bool>) {
        folded.clear();
        let Some(mask) = mask else { return };
        let (axes, steps) = (&self.dims[..self.dims.len() - 1], shape[1]);
        let step: usize = shape[2..].iter().product();
        let places = axes.iter().map(|&axis| shape[axis]).product();
        for of_row in mask.chunks_exact(steps) {
            folded.extend((0..places).map(|place| of_row[reorder::source(place, shape, axes) / step]));
        }
    }
}
