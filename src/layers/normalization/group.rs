//! Group normalization.

use super::{Channels, add_gamma_and_beta, channels, check_epsilon, zeros};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::normalization;
use crate::layers::{Context, Description, Facts, Grads, Layer, ParamBuilder};
use crate::{Error, Result, Scalar, View, ViewMut};

layer_options! {
    /// Brings each group of channels of a sample to mean 0 and variance 1, then scales and shifts each channel by
    /// learned factors. It does in training what it does outside, and no sample depends on another.
    ///
    /// y = γ·(x − μ)/√(V + ε) + β with μ and V over all places and the channels of a group. One channel a group
    /// (`groups` −1) is instance normalization.
    ///
    /// # Shapes
    /// (batch, …) → the same. Parameters, each (channels): `gamma` γ, `beta` β.
    /// # Defaults
    /// `groups` 32, `axis` −1, `epsilon` 0.001, `center` and `scale` true; γ starts as ones, β as zeros; no regularizers,
    /// no constraints.
    /// # Errors
    /// When built: there is no such `axis` or it is the batch, `groups` is neither −1 nor a divisor of the number of
    /// channels, or `epsilon` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 2]).add(GroupNormalization::new().groups(-1).epsilon(0.0)).build()?;
    /// let y = model.predict(&array![[[1.0f32, 10.0], [3.0, 30.0]]])?;
    /// assert_eq!(y, array![[[-1.0f32, -1.0], [1.0, 1.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GroupNormalization`; Wu and He, *Group Normalization*, 2018; derived in `docs/backward.md`.
    pub struct GroupNormalization {
        /// How many groups the channels are put into; −1: each is one by itself. Default: 32.
        groups: isize = 32,
        /// The axis of the channels. Default: −1.
        axis: isize = -1,
        /// What is added to the variance. Default: 0.001.
        epsilon: f64 = 1e-3,
        /// Whether β is added. Default: true.
        center: bool = true,
        /// Whether γ multiplies. Default: true.
        scale: bool = true,
    }
    weights {
        gamma: "γ" = Initializer::Ones => "ones",
        beta: "β" = Initializer::Zeros => "zeros",
    }
}

/// Mean and factor of each channel of each sample, and what a sample is worked out in.
#[derive(Debug, Default)]
pub struct Statistics<F> {
    /// (rows, 2, channels): μ and r, alike for the channels of a group.
    of_rows: Vec<F>,
    /// Values of one sample: moments; scale and shift; sums; p, q, s.
    moments: Vec<F>,
    affine: Vec<F>,
    sums: Vec<F>,
    pqs: Vec<F>,
    /// ∂L/∂β and ∂L/∂γ over all samples.
    grads: Vec<F>,
}

impl GroupNormalization {
    fn channels(&self, shape: &[usize]) -> Channels {
        channels(self.axis, shape).expect("refused when it was built")
    }

    /// How many channels are in a group.
    fn group_len(&self, channels: usize) -> usize {
        usize::try_from(self.groups).map_or(1, |groups| channels / groups.max(1)).max(1)
    }

    /// γ of a channel.
    fn gamma<F: Scalar>(&self, cx: &Context<'_, F>, channel: usize) -> F {
        if self.scale { cx.params.at(0)[channel] } else { F::one() }
    }
}

impl<F: Scalar> Layer<F> for GroupNormalization {
    type Cache = Statistics<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let count = channels(self.axis, &[&[1], input].concat())?.count;
        check_epsilon(self.epsilon)?;
        let fits = self.groups == -1
            || usize::try_from(self.groups).is_ok_and(|groups| groups > 0 && groups <= count && count % groups == 0);
        if !fits {
            return Err(Error::option("groups", format!("-1 or a divisor of the {count} channels"), self.groups));
        }
        add_gamma_and_beta(params, &[count], self.scale.then_some(&self.gamma), self.center.then_some(&self.beta))?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, kept: &mut Statistics<F>, cx: &Context<'_, F>) {
        let (channels, row_len) = (self.channels(x.shape()), x.row_len());
        let (c, group_len) = (channels.count, self.group_len(channels.count));
        if row_len == 0 {
            return;
        }
        let of_rows = zeros(&mut kept.of_rows, 2 * c * x.rows());
        let rows = x.chunks_exact(row_len).zip(y.chunks_exact_mut(row_len)).zip(of_rows.chunks_exact_mut(2 * c));
        for ((x, y), of_row) in rows {
            let moments = zeros(&mut kept.moments, 3 * c);
            normalization::add_moments(channels, None, x, moments);
            let (mean, r) = of_row.split_at_mut(c);
            for start in (0..c).step_by(group_len) {
                let mut of_group = [F::zero(); 3];
                for ch in start..start + group_len {
                    normalization::join_moments(&[moments[ch], moments[c + ch], moments[2 * c + ch]], &mut of_group);
                }
                let [n, of_mean, squares] = of_group;
                mean[start..start + group_len].fill(of_mean);
                r[start..start + group_len].fill((squares / n + F::of(self.epsilon)).sqrt().recip());
            }
            let affine = zeros(&mut kept.affine, 2 * c);
            let (scale, shift) = affine.split_at_mut(c);
            for (ch, scale) in scale.iter_mut().enumerate() {
                *scale = r[ch] * self.gamma(cx, ch);
            }
            if self.center {
                shift.copy_from_slice(cx.params.at(usize::from(self.scale)));
            }
            normalization::normalize(channels, mean, scale, shift, x, y);
        }
    }

    /// For the values of a group, n of them, with x̂ = (x − μ)·r, A = Σ γ·g and B = Σ γ·g·x̂:
    /// ∂L/∂x = r·(γ·g − A/n − x̂·B/n). For each channel ∂L/∂β = Σ g and ∂L/∂γ = Σ g·x̂ over all samples.
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
        let (channels, row_len) = (self.channels(x.shape()), x.row_len());
        let (c, group_len) = (channels.count, self.group_len(channels.count));
        if row_len == 0 {
            return;
        }
        zeros(&mut kept.grads, 2 * c);
        let mut grad_x = grad_x;
        let rows = x.chunks_exact(row_len).zip(grad_y.chunks_exact(row_len)).zip(kept.of_rows.chunks_exact(2 * c));
        for (row, ((x, g), of_row)) in rows.enumerate() {
            let (mean, r) = of_row.split_at(c);
            let sums = zeros(&mut kept.sums, 2 * c);
            normalization::add_gradient_sums(channels, mean, r, x, g, sums);
            kept.grads.iter_mut().zip(&*sums).for_each(|(total, &sum)| *total += sum);
            let Some(grad_x) = grad_x.as_mut() else { continue };
            let pqs = zeros(&mut kept.pqs, 3 * c);
            let n = F::of((group_len * (row_len / c)) as f64);
            for start in (0..c).step_by(group_len) {
                let group = start..start + group_len;
                let of_group =
                    |sums: &[F]| group.clone().map(|ch| self.gamma(cx, ch) * sums[ch]).fold(F::zero(), |a, b| a + b);
                let (a, b) = (of_group(&sums[..c]), of_group(&sums[c..]));
                for ch in group.clone() {
                    pqs[ch] = r[ch] * self.gamma(cx, ch);
                    pqs[c + ch] = r[ch] * r[ch] * b / n;
                    pqs[2 * c + ch] = r[ch] * a / n;
                }
            }
            let grad_x = &mut grad_x[row * row_len..(row + 1) * row_len];
            normalization::normalize_backward(channels, None, mean, pqs, x, g, grad_x);
        }
        if grads.wanted() {
            let (a, b) = kept.grads.split_at(c);
            let add = |to: &mut [F], from: &[F]| to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
            if self.scale {
                add(grads.at_mut(0), b);
            }
            if self.center {
                add(grads.at_mut(usize::from(self.scale)), a);
            }
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
