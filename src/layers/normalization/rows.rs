//! Layer, root-mean-square and unit normalization: each sample, or each of its rows, by itself.

use super::{add_gamma_and_beta, check_epsilon, zeros};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::reorder;
use crate::kernels::row_norm::{self, Kind};
use crate::layers::{Axes, Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder};
use crate::{Error, Result, Scalar, View, ViewMut};

/// What a pass keeps of each row, and the arrays with the normalized axes last, where they are not last already.
#[derive(Debug, Default)]
pub struct Rows<F> {
    /// (rows, 2): mean and factor.
    stats: Vec<F>,
    /// The order of axes in which the normalized ones are last.
    dims: Vec<usize>,
    x: Vec<F>,
    y: Vec<F>,
    grads: Vec<F>,
}

/// The sizes of the axes that are normalized together, for samples of the shape `input`.
fn normalized(axes: &Axes, input: &[usize]) -> Result<Vec<usize>> {
    let rank = input.len() + 1;
    let mut chosen = Vec::new();
    for i in 0..axes.as_slice().len().max(1) {
        chosen.push(axes.resolve("axis", i, rank)?);
    }
    chosen.sort_unstable();
    if chosen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::option("axis", "axes that differ", format!("{:?}", axes.as_slice())));
    }
    Ok(chosen.iter().map(|&axis| input[axis - 1]).collect())
}

/// Writes the order of axes in which those of `axes` are last; returns how many values a row has, and whether anything
/// moves. Allocates in the first step only.
fn order(axes: &Axes, shape: &[usize], dims: &mut Vec<usize>) -> (usize, bool) {
    let rank = shape.len();
    let is_chosen = |axis: &usize| {
        (0..axes.as_slice().len()).any(|i| axes.resolve("axis", i, rank).expect("refused when it was built") == *axis)
    };
    dims.clear();
    dims.extend((1..rank).filter(|axis| !is_chosen(axis)));
    dims.extend((1..rank).filter(is_chosen));
    let n = (1..rank).filter(is_chosen).map(|axis| shape[axis]).product();
    (n, dims.windows(2).any(|pair| pair[0] > pair[1]))
}

/// y = (x − c)·r·γ + β over the chosen axes.
#[allow(clippy::too_many_arguments)]
fn forward<F: Scalar>(
    kind: Kind,
    epsilon: f64,
    axes: &Axes,
    gamma: Option<&[F]>,
    beta: Option<&[F]>,
    x: View<'_, F>,
    mut y: ViewMut<'_, F>,
    kept: &mut Rows<F>,
) {
    let (n, moves) = order(axes, x.shape(), &mut kept.dims);
    if x.is_empty() {
        return;
    }
    kept.stats.resize(2 * x.len() / n, F::zero());
    let epsilon = F::of(epsilon);
    if moves {
        kept.x.resize(x.len(), F::zero());
        kept.y.resize(x.len(), F::zero());
        reorder::permute(&x, x.shape(), &kept.dims, &mut kept.x);
        row_norm::normalize_rows(kind, epsilon, gamma, beta, n, &kept.x, &mut kept.y, &mut kept.stats);
        reorder::permute_backward(&kept.y, x.shape(), &kept.dims, &mut y);
    } else {
        row_norm::normalize_rows(kind, epsilon, gamma, beta, n, &x, &mut y, &mut kept.stats);
    }
}

/// The gradient of x, and into `kept.grads` those of γ and β, if `learns`.
#[allow(clippy::too_many_arguments)]
fn backward<F: Scalar>(
    kind: Kind,
    axes: &Axes,
    gamma: Option<&[F]>,
    x: View<'_, F>,
    grad_y: &[F],
    grad_x: Option<ViewMut<'_, F>>,
    learns: bool,
    kept: &mut Rows<F>,
) {
    let (n, moves) = order(axes, x.shape(), &mut kept.dims);
    zeros(&mut kept.grads, if learns { 2 * n } else { 0 });
    if x.is_empty() {
        return;
    }
    let Rows { stats, dims, x: moved_x, y: moved_g, grads } = kept;
    if !moves {
        let mut grad_x = grad_x;
        let grad_x: &mut [F] = grad_x.as_deref_mut().unwrap_or(&mut []);
        return row_norm::normalize_rows_backward(kind, gamma, n, &x, stats, grad_y, grad_x, grads);
    }
    // The moved x lies there from the forward pass; the output's place takes the gradient.
    reorder::permute(grad_y, x.shape(), dims, moved_g);
    match grad_x {
        None => row_norm::normalize_rows_backward(kind, gamma, n, moved_x, stats, moved_g, &mut [], grads),
        Some(mut grad_x) => {
            // In the order of rows first, then back over the moved x, which nobody needs any more.
            row_norm::normalize_rows_backward(kind, gamma, n, moved_x, stats, moved_g, &mut grad_x, grads);
            moved_x.copy_from_slice(&grad_x);
            reorder::permute_backward(moved_x, x.shape(), dims, &mut grad_x);
            reorder::permute(&x, x.shape(), dims, moved_x);
        }
    }
}

fn add<F: Scalar>(to: &mut [F], from: &[F]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
}

layer_options! {
    /// Brings each sample to mean 0 and variance 1 over the last axis, or others, then scales and shifts it by learned
    /// factors. It does in training what it does outside, and no sample depends on another.
    ///
    /// y = γ·(x − μ)/√(V + ε) + β, μ and V over `axis`. With `rms_scaling` y = γ·x/√(V + ε), Keras's old form of
    /// [`RMSNormalization`], and there is no β.
    ///
    /// # Shapes
    /// (batch, …) → the same. Parameters `gamma` γ and `beta` β, as large as the axes that are normalized, in their order.
    /// # Defaults
    /// `axis` −1, `epsilon` 0.001, `center` and `scale` true, `rms_scaling` false; γ starts as ones, β as zeros; no
    /// regularizers, no constraints.
    /// # Errors
    /// When built: an `axis` does not exist, is the batch or stands there twice, or `epsilon` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2]).add(LayerNormalization::new().epsilon(0.0)).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, 3.0], [50.0, 10.0]])?, array![[-1.0f32, 1.0], [1.0, -1.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `LayerNormalization`; Ba, Kiros and Hinton, *Layer Normalization*, 2016; derived in `docs/backward.md`.
    pub struct LayerNormalization {
        /// The axis or axes that are normalized together. Default: −1.
        axis: Axes = Axes::from(-1) => |axis: impl Into<Axes>| axis.into(),
        /// What is added to the variance. Default: 0.001.
        epsilon: f64 = 1e-3,
        /// Whether β is added. Default: true.
        center: bool = true,
        /// Whether γ multiplies. Default: true.
        scale: bool = true,
        /// Whether the mean stays where it is, and only the variance becomes 1. Default: false.
        rms_scaling: bool = false,
    }
    weights {
        gamma: "γ" = Initializer::Ones => "ones",
        beta: "β" = Initializer::Zeros => "zeros",
    }
}

impl LayerNormalization {
    fn kind(&self) -> Kind {
        if self.rms_scaling { Kind::Variance } else { Kind::Layer }
    }

    /// As in Keras: `rms_scaling` has γ always, β never.
    fn has_gamma(&self) -> bool {
        self.scale || self.rms_scaling
    }

    fn has_beta(&self) -> bool {
        self.center && !self.rms_scaling
    }
}

impl<F: Scalar> Layer<F> for LayerNormalization {
    type Cache = Rows<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let shape = normalized(&self.axis, input)?;
        check_epsilon(self.epsilon)?;
        add_gamma_and_beta(
            params,
            &shape,
            self.has_gamma().then_some(&self.gamma),
            self.has_beta().then_some(&self.beta),
        )?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, kept: &mut Rows<F>, cx: &Context<'_, F>) {
        let gamma = self.has_gamma().then(|| cx.params.at(0));
        let beta = self.has_beta().then(|| cx.params.at(usize::from(self.has_gamma())));
        forward(self.kind(), self.epsilon, &self.axis, gamma, beta, x, y, kept);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        kept: &mut Rows<F>,
        cx: &Context<'_, F>,
    ) {
        let gamma = self.has_gamma().then(|| cx.params.at(0));
        backward(self.kind(), &self.axis, gamma, x, &grad_y, grad_x, grads.wanted(), kept);
        let (of_gamma, of_beta) = kept.grads.split_at(kept.grads.len() / 2);
        if grads.wanted() && self.has_gamma() {
            add(grads.at_mut(0), of_gamma);
        }
        if grads.wanted() && self.has_beta() {
            add(grads.at_mut(usize::from(self.has_gamma())), of_beta);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}

layer_options! {
    /// Divides each sample by its root mean square over the last axis, or others, and scales it by learned factors.
    ///
    /// y = s·x/√(mean of x² + ε), over `axis`.
    ///
    /// # Shapes
    /// (batch, …) → the same. Parameter `scale` s, as large as the axes that are normalized, in their order.
    /// # Defaults
    /// `axis` −1, `epsilon` 10⁻⁶; s starts as ones.
    /// # Errors
    /// When built: an `axis` does not exist, is the batch or stands there twice, or `epsilon` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2]).add(RMSNormalization::new().epsilon(0.0)).build()?;
    /// let y = model.predict(&array![[1.0f32, 7.0]])?;
    /// assert_eq!(y, array![[0.2f32, 1.4]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `RMSNormalization`; Zhang and Sennrich, *Root Mean Square Layer Normalization*, 2019; derived in
    /// `docs/backward.md`.
    pub struct RMSNormalization {
        /// The axis or axes that are normalized together. Default: −1.
        axis: Axes = Axes::from(-1) => |axis: impl Into<Axes>| axis.into(),
        /// What is added to the mean square. Default: 10⁻⁶.
        epsilon: f64 = 1e-6,
    }
}

impl<F: Scalar> Layer<F> for RMSNormalization {
    type Cache = Rows<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let shape = normalized(&self.axis, input)?;
        check_epsilon(self.epsilon)?;
        params.add("scale", &shape, Initializer::Ones)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, kept: &mut Rows<F>, cx: &Context<'_, F>) {
        forward(Kind::Rms, self.epsilon, &self.axis, Some(cx.params.at(0)), None, x, y, kept);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        kept: &mut Rows<F>,
        cx: &Context<'_, F>,
    ) {
        backward(Kind::Rms, &self.axis, Some(cx.params.at(0)), x, &grad_y, grad_x, grads.wanted(), kept);
        if grads.wanted() {
            add(grads.at_mut(0), &kept.grads[..kept.grads.len() / 2]);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).mask(MaskRule::Stop) // as in Keras, which forgets the mask here
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}

layer_options! {
    /// Divides each sample by its length over the last axis, or others.
    ///
    /// y = x/‖x‖ over `axis`; a length below 10⁻¹² counts as 10⁻¹², and zeros stay zeros.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `axis` −1.
    /// # Errors
    /// When built: an `axis` does not exist, is the batch or stands there twice.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2]).add(UnitNormalization::new()).build()?;
    /// assert_eq!(model.predict(&array![[3.0f32, 4.0], [0.0, 0.0]])?, array![[0.6f32, 0.8], [0.0, 0.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `UnitNormalization`; derived in `docs/backward.md`.
    pub struct UnitNormalization {
        /// The axis or axes over which the length is taken. Default: −1.
        axis: Axes = Axes::from(-1) => |axis: impl Into<Axes>| axis.into(),
    }
}

impl<F: Scalar> Layer<F> for UnitNormalization {
    type Cache = Rows<F>;

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        normalized(&self.axis, input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, kept: &mut Rows<F>, _: &Context<'_, F>) {
        forward(Kind::Unit, 0.0, &self.axis, None, None, x, y, kept);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        kept: &mut Rows<F>,
        _: &Context<'_, F>,
    ) {
        backward(Kind::Unit, &self.axis, None, x, &grad_y, grad_x, false, kept);
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
