//! Batch normalization.

use super::{add_gamma_and_beta, channels, check_epsilon, zeros};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::normalization::{self, Channels, StepMask};
use crate::layers::{
    Context, CouplesSamples, Coupling, Description, Facts, Grads, Inputs, KeepsState, Layer, ParamBuilder, Params,
    RescalesChannels,
};
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

layer_options! {
    /// Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it by learned factors.
    ///
    /// In training y = γ·(x − μ)/√(V + ε) + β with the mean μ and the (biased) variance V of each channel over the whole
    /// batch, whatever the number of threads. Each step moves `moving_mean` and `moving_variance` towards them:
    /// m ← m·momentum + μ·(1 − momentum). Outside training, and where the layer is frozen, these take the place of μ
    /// and V. Steps that a mask beside the input leaves out count in neither; they are normalized all the same.
    ///
    /// # Shapes
    /// (batch, …) → the same. Parameters, each (channels): `gamma` γ, `beta` β; not learned: `moving_mean`,
    /// `moving_variance`.
    /// # Defaults
    /// `axis` −1, `momentum` 0.99, `epsilon` 0.001, `center` and `scale` true; γ and `moving_variance` start as ones, β and
    /// `moving_mean` as zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: there is no such `axis` or it is the batch, `momentum` is not in 0..=1, `epsilon` is negative, or
    /// `renorm` is asked for.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([3]).add(BatchNormalization::new().epsilon(0.0)).build()?;
    /// let mut pass = model.pass();
    /// let x = array![[1.0f32, 10.0, 5.0], [3.0, 30.0, 7.0]];
    /// model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 })?;
    /// assert_eq!(pass.output(0).data(), [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `BatchNormalization`; Ioffe and Szegedy, *Batch Normalization*, 2015; derived in `docs/backward.md`.
    pub struct BatchNormalization {
        /// The axis of the channels. Default: −1.
        axis: isize = -1,
        /// How much of the moving statistics stays in each step. Default: 0.99.
        momentum: f64 = 0.99,
        /// What is added to the variance. Default: 0.001.
        epsilon: f64 = 1e-3,
        /// Whether β is added. Default: true.
        center: bool = true,
        /// Whether γ multiplies. Default: true.
        scale: bool = true,
        /// How the moving mean starts. Default: zeros.
        moving_mean_initializer: Initializer = Initializer::Zeros,
        /// How the moving variance starts. Default: ones.
        moving_variance_initializer: Initializer = Initializer::Ones,
        /// Batch renormalization, which is not there: true is refused when the layer is built. Default: false.
        renorm: bool = false,
    }
    weights {
        gamma: "γ" = Initializer::Ones => "ones",
        beta: "β" = Initializer::Zeros => "zeros",
    }
}

/// What Keras adds to the number of steps that a mask leaves, so that none at all divides nothing by zero.
const MASKED_EPSILON: f64 = 1e-7;

/// What a pass works out of a batch's sums, per channel.
#[derive(Debug, Default)]
pub struct Statistics<F> {
    /// The mean, and the variance if it is the batch's.
    mean: Vec<F>,
    variance: Vec<F>,
    /// 1/√(V + ε).
    r: Vec<F>,
    /// γ·r and β.
    scale: Vec<F>,
    shift: Vec<F>,
    /// By how many values the mean was divided.
    divisors: Vec<F>,
    /// This shard's Σ g and Σ g·x̂.
    sums: Vec<F>,
    pqs: Vec<F>,
    /// Whether mean and variance are those of the batch, by which the moving ones are to be moved.
    couples_batch: bool,
}

impl BatchNormalization {
    /// How an input is seen as channels.
    fn channels(&self, shape: &[usize]) -> Channels {
        channels(self.axis, shape).expect("refused when it was built")
    }

    /// Where `moving_mean` stands among the parameters; `moving_variance` follows.
    fn moving(&self) -> usize {
        usize::from(self.scale) + usize::from(self.center)
    }

    fn work_out<F: Scalar>(&self, count: usize, masked: bool, kept: &mut Statistics<F>, cx: &Context<'_, F>) {
        let epsilon = F::of(self.epsilon);
        kept.couples_batch = !cx.totals.is_empty();
        for values in
            [&mut kept.mean, &mut kept.variance, &mut kept.r, &mut kept.scale, &mut kept.shift, &mut kept.divisors]
        {
            zeros(values, count);
        }
        if kept.couples_batch {
            let moments = cx.totals;
            for ch in 0..count {
                let (n, mean, squares) = (moments[ch], moments[count + ch], moments[2 * count + ch]);
                let (divisor, moved) = if masked {
                    // Keras divides by a little more than n: its mean is a little off, and squares are taken around it.
                    let divisor = n + F::of(MASKED_EPSILON);
                    (divisor, mean * (F::of(MASKED_EPSILON) / divisor))
                } else {
                    (n.max(F::one()), F::zero())
                };
                kept.mean[ch] = mean - moved;
                kept.variance[ch] = (squares + n * moved * moved) / divisor;
                kept.divisors[ch] = divisor;
            }
        } else {
            kept.mean.copy_from_slice(cx.params.at(self.moving()));
            kept.variance.copy_from_slice(cx.params.at(self.moving() + 1));
        }
        for ch in 0..count {
            kept.r[ch] = (kept.variance[ch] + epsilon).sqrt().recip();
        }
        kept.scale.copy_from_slice(&kept.r);
        if self.scale {
            kept.scale.iter_mut().zip(cx.params.at(0)).for_each(|(scale, &gamma)| *scale *= gamma);
        }
        if self.center {
            kept.shift.copy_from_slice(cx.params.at(usize::from(self.scale)));
        }
    }
}

/// The mask, as far as it says something of an input of this shape: one of steps, which have values.
fn step_mask<'a, F: Scalar>(shape: &[usize], cx: &Context<'a, F>) -> StepMask<'a> {
    cx.mask().filter(|_| shape.len() > 2).map(|mask| (mask, volume(&shape[2..])))
}

impl<F: Scalar> Layer<F> for BatchNormalization {
    type Cache = Statistics<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let shape = [&[1], input].concat();
        let count = channels(self.axis, &shape)?.count;
        check_epsilon(self.epsilon)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::option("momentum", "in 0..=1", self.momentum));
        }
        if self.renorm {
            return Err(Error::option("renorm", "false: there is no batch renormalization here", true));
        }
        add_gamma_and_beta(params, &[count], self.scale.then_some(&self.gamma), self.center.then_some(&self.beta))?;
        params.add_state("moving_mean", &[count], &self.moving_mean_initializer)?;
        params.add_state("moving_variance", &[count], &self.moving_variance_initializer)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, kept: &mut Statistics<F>, cx: &Context<'_, F>) {
        let channels = self.channels(x.shape());
        self.work_out(channels.count, step_mask(x.shape(), cx).is_some(), kept, cx);
        normalization::normalize(channels, &kept.mean, &kept.scale, &kept.shift, &x, &mut y);
    }

    /// With x̂ = (x − μ)·r, A = Σ g and B = Σ g·x̂ over the batch and D values a channel:
    /// ∂L/∂β = A, ∂L/∂γ = B, ∂L/∂x = γ·r·(g − A/D − x̂·B/D); with moving statistics ∂L/∂x = γ·r·g.
    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        kept: &mut Statistics<F>,
        cx: &Context<'_, F>,
    ) {
        let channels = self.channels(x.shape());
        let count = channels.count;
        if grads.wanted() {
            if !kept.couples_batch {
                let sums = zeros(&mut kept.sums, 2 * count);
                normalization::add_gradient_sums(channels, &kept.mean, &kept.r, &x, &grad_y, sums);
            }
            let (a, b) = kept.sums.split_at(count);
            let add = |to: &mut [F], from: &[F]| to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
            if self.scale {
                add(grads.at_mut(0), b);
            }
            if self.center {
                add(grads.at_mut(usize::from(self.scale)), a);
            }
        }
        let Some(mut grad_x) = grad_x else { return };
        let mask = step_mask(x.shape(), cx);
        let pqs = zeros(&mut kept.pqs, 3 * count);
        pqs[..count].copy_from_slice(&kept.scale);
        if kept.couples_batch {
            let (a, b) = (&cx.totals[..count], &cx.totals[count..]);
            for ch in 0..count {
                let (divisor, r) = (kept.divisors[ch], kept.r[ch]);
                let factor = kept.scale[ch] / divisor;
                // Where the mean is a little off, so is the sum of what lies around it: see `work_out`.
                let off = if mask.is_some() {
                    b[ch] * r * kept.mean[ch] * (F::of(MASKED_EPSILON) / divisor)
                } else {
                    F::zero()
                };
                pqs[count + ch] = factor * r * b[ch];
                pqs[2 * count + ch] = factor * (a[ch] - off);
            }
        }
        normalization::normalize_backward(channels, mask, &kept.mean, pqs, &x, &grad_y, &mut grad_x);
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn rescales_channels(&self) -> Option<&dyn RescalesChannels<F>> {
        Some(self)
    }

    fn couples_samples(&self) -> Option<&dyn CouplesSamples<F, Statistics<F>>> {
        Some(self)
    }

    fn keeps_state(&self) -> Option<&dyn KeepsState<F, Statistics<F>>> {
        Some(self)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}

/// With the moving statistics y = γ·r·x + (β − γ·r·μ).
impl<F: Scalar> RescalesChannels<F> for BatchNormalization {
    fn scale_and_shift(&self, params: &Params<'_, F>) -> Option<(Vec<F>, Vec<F>)> {
        if self.axis != -1 {
            return None;
        }
        let (mean, variance) = (params.at(self.moving()), params.at(self.moving() + 1));
        let mut scale: Vec<F> = variance.iter().map(|&v| (v + F::of(self.epsilon)).sqrt().recip()).collect();
        if self.scale {
            scale.iter_mut().zip(params.at(0)).for_each(|(scale, &gamma)| *scale *= gamma);
        }
        let mut shift: Vec<F> = mean.iter().zip(&scale).map(|(&mean, &scale)| -mean * scale).collect();
        if self.center {
            shift.iter_mut().zip(params.at(usize::from(self.scale))).for_each(|(shift, &beta)| *shift += beta);
        }
        Some((scale, shift))
    }
}

impl<F: Scalar> CouplesSamples<F, Statistics<F>> for BatchNormalization {
    fn sums(&self, inputs: &[&[usize]]) -> Coupling {
        let input = inputs[0];
        let axis = super::resolve("axis", self.axis, input.len() + 1).unwrap_or(1);
        let count = input.get(axis - 1).copied().unwrap_or_default();
        Coupling { forward: 3 * count, backward: 2 * count }
    }

    /// For each channel: the number of values, their mean, and the sum of their squares around it.
    fn forward_sums(&self, inputs: Inputs<'_, F>, sums: &mut [F], cx: &Context<'_, F>) {
        let x = inputs.get(0);
        normalization::add_moments(self.channels(x.shape()), step_mask(x.shape(), cx), &x, sums);
    }

    /// For each channel: A = Σ g and B = Σ g·x̂.
    fn backward_sums(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &[Tensor<F>],
        sums: &mut [F],
        kept: &mut Statistics<F>,
        cx: &Context<'_, F>,
    ) {
        if !cx.backward_follows() {
            return; // nobody asks for a gradient here, and there is none
        }
        let (x, grad_y) = (inputs.get(0), grad_outputs[0].view());
        let channels = self.channels(x.shape());
        normalization::add_gradient_sums(channels, &kept.mean, &kept.r, &x, &grad_y, sums);
        kept.sums.clear();
        kept.sums.extend_from_slice(sums);
    }

    /// Numbers of values, means and sums of squares, as of two samples.
    fn join_forward(&self, left: &mut [F], right: &[F]) {
        normalization::join_moments(right, left);
    }
}

impl<F: Scalar> KeepsState<F, Statistics<F>> for BatchNormalization {
    /// Once a step: all shards have worked out the same statistics.
    fn update_state(&self, state: &mut Grads<'_, F>, kept: &Statistics<F>, cx: &Context<'_, F>) {
        if !kept.couples_batch || cx.shard() > 0 {
            return;
        }
        let (stays, comes) = (F::of(self.momentum), F::of(1.0 - self.momentum));
        for (number, batch) in [(self.moving(), &kept.mean), (self.moving() + 1, &kept.variance)] {
            for (moving, &now) in state.at_mut(number).iter_mut().zip(batch) {
                *moving = *moving * stays + now * comes;
            }
        }
    }
}
