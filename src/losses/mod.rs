//! Losses: what a network is trained to make small.
//!
//! A [`Loss`] says what one row of a prediction costs and how that changes with the prediction. Weights, masks and
//! reduction are the same for all losses and live in `losses/reduction.rs`; a loss never sees them.

mod call;
mod crossentropy;
mod ctc;
mod focal;
mod likelihood;
mod margin;
pub(crate) mod output;
mod overlap;
mod pointwise;
pub(crate) mod reduction;

pub use call::LossCall;
pub(crate) use crossentropy::class_axis;
pub use crossentropy::{BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy};
pub use ctc::CTC;
pub use focal::{Alpha, BinaryFocalCrossentropy, CategoricalFocalCrossentropy};
pub use likelihood::{BernoulliNLL, GaussianNLL, NLL};
pub use margin::{CategoricalHinge, CosineSimilarity, Hinge, SquaredHinge};
pub use overlap::{Dice, Tversky};
pub use pointwise::{
    HingeEmbedding, Huber, KLDivergence, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredLogarithmicError, Poisson, PoissonNLL, SmoothL1,
};
pub use reduction::Reduction;

use crate::config::{Config, Configured};
use crate::{Activation, Result, Scalar, View, ViewMut};

/// How a loss introduces itself.
#[derive(Clone, Debug)]
pub struct LossDescription {
    /// The class, such as `MeanSquaredError`.
    pub class: String,
    /// How the values of the rows become one.
    pub reduction: Reduction,
    /// The options in Keras's words; none if it cannot be saved.
    pub config: Option<Config>,
}

impl LossDescription {
    /// Of a loss that says nothing of itself: the mean over the batch.
    pub fn of_type<T: ?Sized>() -> Self {
        let class = crate::layers::Description::of_type::<T>().class;
        Self { class, reduction: Reduction::SumOverBatchSize, config: None }
    }

    /// Of a loss with a configuration.
    pub fn of<T: Configured>(loss: &T, reduction: Reduction) -> Self {
        Self { class: T::CLASS.into(), reduction, config: Some(loss.to_config()) }
    }
}

/// The circumstances of a loss's evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossContext<'a, F> {
    /// With [`Loss::sums`]: the sums over the whole batch.
    pub totals: &'a [F],
}

/// A prediction and what it was before the activation that made it.
#[derive(Clone, Copy, Debug)]
pub struct Fused<'a, F> {
    /// The activation f.
    pub activation: &'a Activation,
    /// z, before the activation: logits.
    pub logits: View<'a, F>,
    /// f(z).
    pub prediction: View<'a, F>,
}

/// What a network is trained to make small.
///
/// A prediction of shape (batch, …, classes) is seen as rows of its last axis; a loss gives each row a value, and a
/// gradient where each row's value counts with a weight. The weights hold sample weights, masks and the reduction's
/// denominator.
///
/// Two methods make a loss; the rest have defaults. See `docs/your-own-loss.md`, and
/// [`check_loss`](crate::check::check_loss), which compares its gradient with differences.
///
/// ```
/// use gradus::custom::*;
///
/// /// (p − t)⁴, averaged over the last axis.
/// struct Quartic;
///
/// impl<F: Scalar> Loss<F> for Quartic {
///     fn values(&self, p: View<'_, F>, t: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
///         let n = p.last_axis();
///         for ((value, p), t) in values.iter_mut().zip(p.chunks(n)).zip(t.chunks(n)) {
///             *value = p.iter().zip(t).map(|(&p, &t)| (p - t).powi(4)).sum::<F>() / F::of(n as f64);
///         }
///     }
///     fn gradient(&self, p: View<'_, F>, t: View<'_, F>, weights: &[F], mut grad: ViewMut<'_, F>, _: &LossContext<'_, F>) {
///         let n = p.last_axis();
///         for (row, grad) in grad.chunks_mut(n).enumerate() {
///             for (i, grad) in grad.iter_mut().enumerate() {
///                 let error = p[row * n + i] - t[row * n + i];
///                 *grad = weights[row] * F::of(4.0) * error.powi(3) / F::of(n as f64);
///             }
///         }
///     }
/// }
///
/// check_loss(&Quartic, &array![[0.2, 0.9]], &array![[0.0, 1.0]])?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[allow(unused_variables)]
#[doc(alias = "custom loss")]
#[doc(alias = "loss function")]
pub trait Loss<F: Scalar>: Send + Sync {
    /// The value of every row: `values` has the shape of [`values_shape`](Self::values_shape).
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], cx: &LossContext<'_, F>);

    /// grad ← Σ over rows of weight · ∂value/∂prediction. `grad` holds stale values.
    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        grad: ViewMut<'_, F>,
        cx: &LossContext<'_, F>,
    );

    /// Class, reduction and options. By default the type's name and the mean over the batch; such a loss trains but
    /// cannot be saved.
    fn describe(&self) -> LossDescription {
        LossDescription::of_type::<Self>()
    }

    /// The shape of one sample's values, from the shape of one sample's prediction: all but the last axis.
    fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
        prediction.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()
    }

    /// The shape that one sample's target must have: that of the prediction.
    ///
    /// # Errors
    /// If the loss does not take such predictions.
    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        Ok(prediction.to_vec())
    }

    /// Refuses targets that the loss cannot work with. `prediction` is the shape of one sample's.
    ///
    /// # Errors
    /// If a label is out of range, say; the message names row and value.
    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        Ok(())
    }

    /// Whether targets tell how much each row counts (`ignore_class`, weights of classes).
    fn ignores_rows(&self) -> bool {
        false
    }

    /// With [`ignores_rows`](Self::ignores_rows): writes how much a row counts where that is not 1, in its weight and in
    /// the denominator of a mean; 0 takes it out. `counts` holds ones.
    fn counts(&self, target: View<'_, F>, counts: &mut [F]) {}

    /// Whether the loss can be computed, and differentiated, from what comes before an activation: exact where the
    /// activation has rounded to 0 or 1. Then a model that ends in this activation trains so.
    fn fuses_with(&self, activation: &Activation) -> bool {
        false
    }

    /// values ← those of [`values`](Self::values), for an activation that it [fuses with](Self::fuses_with).
    fn fused_values(&self, of: Fused<'_, F>, target: View<'_, F>, values: &mut [F]) {
        self.values(of.prediction, target, values, &LossContext::default());
    }

    /// grad ← the gradient before the activation, for an activation that it [fuses with](Self::fuses_with).
    fn fused_gradient(&self, of: Fused<'_, F>, target: View<'_, F>, weights: &[F], grad: ViewMut<'_, F>) {}

    /// Whether values are the whole batch's, not each row's: then [`values_shape`](Self::values_shape) is the shape of
    /// all of them, and every shard computes them from the sums over the batch. Such a loss has no masks, and no
    /// weights in training.
    fn couples_batch(&self) -> bool {
        false
    }

    /// How many sums over the whole batch the values need: 0 unless samples are coupled (Dice, Tversky).
    /// `prediction` is without the batch axis.
    fn sums(&self, prediction: &[usize]) -> usize {
        0
    }

    /// One shard's part of the sums that `values` and `gradient` find in [`LossContext::totals`]. They add up.
    fn partial_sums(&self, prediction: View<'_, F>, target: View<'_, F>, sums: &mut [F]) {}
}

/// [`options!`](crate::config) for a loss: adds `name` and `reduction`.
macro_rules! loss_options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($options:tt)* }
    ) => {
        $crate::config::options! {
            $(#[$meta])*
            pub struct $name {
                /// The loss's name. Default: none.
                name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
                /// How the values of the rows become one. Default: [`SumOverBatchSize`](crate::losses::Reduction::SumOverBatchSize).
                reduction: $crate::losses::Reduction = $crate::losses::Reduction::SumOverBatchSize,
                $($options)*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

pub(crate) use loss_options;
