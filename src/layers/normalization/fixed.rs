//! Normalization by statistics of the training data, known before training.

use std::iter::zip;

use ndarray::{ArrayRef, Dimension};
use serde_json::{Value, json};

use crate::config::{Setting, layer_options};
use crate::kernels::elementwise;
use crate::layers::axes::{Axes, resolve};
use crate::layers::{Context, Description, Grads, Layer, ParamBuilder};
use crate::tensor::volume;
use crate::{Error, Result, Scalar, View, ViewMut};

/// Means or variances, row-major over the axes that have their own; a single one stands for all.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureStatistics(Vec<f64>);

impl From<f64> for FeatureStatistics {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

impl From<Vec<f64>> for FeatureStatistics {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}

impl<const N: usize> From<[f64; N]> for FeatureStatistics {
    fn from(values: [f64; N]) -> Self {
        Self(values.to_vec())
    }
}

impl Setting for FeatureStatistics {
    fn to_value(&self) -> Value {
        json!(self.0)
    }

    /// A number, or lists of them, one in another where several axes have statistics of their own.
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Array(items) => {
                let parts: Vec<Self> = items.iter().map(Self::from_value).collect::<Result<_>>()?;
                Ok(Self(parts.into_iter().flat_map(|part| part.0).collect()))
            }
            one => f64::from_value(one).map(Self::from),
        }
    }
}

layer_options! {
    /// y = (x − μ) / max(√V, 1e-7), with the mean μ and the variance V of the training data: features of any scale brought
    /// to mean 0 and variance 1, within the model. With `invert` the way back: y = x·max(√V, 1e-7) + μ.
    ///
    /// [`adapt`](Self::adapt) takes μ and V (biased) from data, before the model is built; they are saved with the
    /// architecture.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters. μ and V have the sizes of `axis`; one number stands for all.
    /// # Defaults
    /// `axis` −1: statistics for each feature; none ([`whole`](Self::whole)): of all values together. `mean` and `variance` none,
    /// `invert` false.
    /// # Errors
    /// When built: mean or variance is missing, negative, not finite or not of the features' number; there is no such
    /// `axis`, or it is the batch.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let x = array![[1.0f32, 100.0], [3.0, 300.0]];
    /// let model = Sequential::new().input([2]).add(Normalization::new().adapt(&x)?).build()?;
    /// assert_eq!(model.predict(&x)?, array![[-1.0f32, -1.0], [1.0, 1.0]].into_dyn());
    ///
    /// let back = Normalization::new().mean([2.0, 200.0]).variance([1.0, 10_000.0]).invert(true);
    /// let model = Sequential::new().input([2]).add(back).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, -1.0]])?, array![[3.0f32, 100.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Normalization`.
    pub struct Normalization {
        /// The axes that have statistics of their own; in an array with the batch as axis 0. Default: −1.
        axis: Option<Axes> = Some(Axes::from(-1)) => |axis: impl Into<Axes>| Some(axis.into()),
        /// μ. Default: what `adapt` found.
        mean: Option<FeatureStatistics> = None => |mean: impl Into<FeatureStatistics>| Some(mean.into()),
        /// V. Default: what `adapt` found.
        variance: Option<FeatureStatistics> = None => |variance: impl Into<FeatureStatistics>| Some(variance.into()),
        /// Whether this is the way back. Default: false.
        invert: bool = false,
    }
}

/// Below this a deviation is none.
const EPSILON: f64 = 1e-7;

/// What a pass needs of each value of a row: y = (x − a)·b + c.
#[derive(Debug, Default)]
pub struct Columns<F> {
    a: Vec<F>,
    b: Vec<F>,
    c: Vec<F>,
}

impl Normalization {
    /// With one mean and one variance of all values, as Keras's `axis=None`.
    pub fn whole(mut self) -> Self {
        self.axis = None;
        self
    }

    /// With the means and variances of data whose first axis counts the rows.
    ///
    /// # Errors
    /// No rows; values that are not finite; no such axis.
    pub fn adapt<F: Scalar, D: Dimension>(mut self, x: &ArrayRef<F, D>) -> Result<Self> {
        let refuse = |expected: &str, received: String| Error::data("Normalization::adapt", expected, received);
        if x.is_empty() {
            return Err(refuse("at least one row", crate::error::show(x.shape())));
        }
        if let Some(value) = x.iter().find(|value| !value.is_finite()) {
            return Err(refuse("finite numbers", value.to_string()));
        }
        let shape = x.shape().get(1..).unwrap_or(&[]);
        let places = self.places(shape)?;
        let groups = places.iter().max().map_or(0, |last| last + 1);
        let (mut means, mut variances) = (vec![0.0; groups], vec![0.0; groups]);
        let each = || zip(places.iter().cycle().copied(), x.iter().map(|value| value.f64()));
        let count = (x.len() / groups) as f64;
        for (place, value) in each() {
            means[place] += value / count;
        }
        // A sum of rounded shares is not exact; what is left is added in a second round.
        let mut rests = vec![0.0; groups];
        each().for_each(|(place, value)| rests[place] += (value - means[place]) / count);
        zip(&mut means, rests).for_each(|(mean, rest)| *mean += rest);
        each().for_each(|(place, value)| variances[place] += (value - means[place]).powi(2) / count);
        (self.mean, self.variance) = (Some(FeatureStatistics(means)), Some(FeatureStatistics(variances)));
        Ok(self)
    }

    /// For each value of a row of this shape, which mean and variance are its own.
    fn places(&self, shape: &[usize]) -> Result<Vec<usize>> {
        let mut own = vec![false; shape.len()];
        if let Some(axes) = &self.axis {
            for &axis in axes.as_slice() {
                own[resolve("axis", axis, shape.len() + 1)? - 1] = true;
            }
        }
        let strides = |axis: usize| volume(&shape[axis + 1..]);
        let place = |value: usize| {
            let kept = (0..shape.len()).filter(|&axis| own[axis]);
            kept.fold(0, |place, axis| place * shape[axis] + value / strides(axis) % shape[axis])
        };
        Ok((0..volume(shape)).map(place).collect())
    }

    /// Means and deviations for each value of a row.
    fn columns<F: Scalar>(&self, shape: &[usize]) -> Result<Columns<F>> {
        let needs = "needs `adapt` on training data, or `mean` and `variance`";
        let (Some(mean), Some(variance)) = (&self.mean, &self.variance) else {
            return Err(Error::option("mean", "there beside `variance`", "none").within(needs));
        };
        let places = self.places(shape)?;
        let groups = places.iter().max().map_or(0, |last| last + 1);
        for (option, FeatureStatistics(values), least) in [("mean", mean, f64::MIN), ("variance", variance, 0.0)] {
            if values.len() != groups && values.len() != 1 {
                let expected = format!("one number, or {groups} of them, one for each feature");
                return Err(Error::option(option, expected, format!("{} numbers", values.len())));
            }
            if let Some(value) = values.iter().find(|value| !(value.is_finite() && **value >= least)) {
                let expected = if least == 0.0 { "finite numbers, at least 0" } else { "finite numbers" };
                return Err(Error::option(option, expected, value));
            }
        }
        let of = |FeatureStatistics(values): &FeatureStatistics, place: usize| {
            if values.len() == 1 { values[0] } else { values[place] }
        };
        let mut columns = Columns { a: Vec::new(), b: Vec::new(), c: Vec::new() };
        for place in places {
            let (mean, deviation) = (of(mean, place), of(variance, place).sqrt().max(EPSILON));
            let (a, b, c) = if self.invert { (0.0, deviation, mean) } else { (mean, 1.0 / deviation, 0.0) };
            columns.a.push(F::of(a));
            columns.b.push(F::of(b));
            columns.c.push(F::of(c));
        }
        Ok(columns)
    }
}

impl<F: Scalar> Layer<F> for Normalization {
    type Cache = Columns<F>;

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        self.columns::<F>(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, columns: &mut Columns<F>, _: &Context<'_, F>) {
        if columns.a.len() != x.row_len() {
            *columns = self.columns(&x.shape()[1..]).expect("refused when it was built");
        }
        elementwise::affine_columns(&x, &columns.a, &columns.b, &columns.c, &mut y);
    }

    /// ∂y/∂x is the factor of each column.
    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        columns: &mut Columns<F>,
        _: &Context<'_, F>,
    ) {
        if let Some(mut grad_x) = grad_x {
            elementwise::scale_columns(&grad_y, &columns.b, &mut grad_x);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
