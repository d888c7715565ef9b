//! Layers: configuration, parameters and shapes. The mathematics is in [`kernels`](crate::kernels).
//!
//! [`Layer`] is what most layers are: one tensor in, one tensor out. [`MultiLayer`] is the general form, with several
//! of either. Both are configuration only. A forward pass changes nothing in the layer, and what the backward pass
//! needs lies in a cache of the layer's own type, which the caller owns.

mod abilities;
mod activation;
mod activity;
mod attention;
mod axes;
mod context;
mod conv;
mod dense;
mod dot;
mod dropout;
mod embedding;
mod global_pool;
mod in_place;
mod masked_merge;
mod masking;
mod merge;
mod normalization;
mod padding_cropping;
mod params;
mod pool;
mod prelu;
mod recurrent;
mod rescaling;
mod reshape;
pub(crate) mod rows;
mod spatial;
mod up_sampling;
mod weight;

pub use abilities::{ChecksValues, CouplesSamples, Facts, KeepsState, MakesMask, RescalesChannels};
pub use activation::{ELU, LeakyReLU, ReLU, SoftmaxLayer};
pub use activity::ActivityRegularization;
pub use attention::{AdditiveAttention, Attention, MultiHeadAttention};
pub use axes::Axes;
pub use context::{Context, GradInputs, Inputs, Mode};
pub(crate) use context::{Feeds, Folded, InputSlot, Kept, NodeShared, Values};
pub use conv::{
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, DepthwiseConv1D, DepthwiseConv2D,
    SeparableConv1D, SeparableConv2D,
};
pub use dense::Dense;
pub use dot::Dot;
pub use dropout::{
    AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D,
};
pub use embedding::Embedding;
pub use global_pool::{
    GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D,
};
pub use in_place::InPlace;
pub use masking::{Masking, WithMask};
pub use merge::{Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract};
pub use normalization::{
    BatchNormalization, FeatureStatistics, GroupNormalization, LayerNormalization, Normalization, RMSNormalization,
    UnitNormalization,
};
pub use padding_cropping::{Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};
pub(crate) use params::GradState;
pub use params::{Grads, ParamBuilder, ParamSpec, Params};
pub use pool::{AvgPool1D, AvgPool2D, AvgPool3D, MaxPool1D, MaxPool2D, MaxPool3D};
pub use prelu::PReLU;
pub use recurrent::{
    AnyCell, Bidirectional, CellGradients, CellMemory, CellShapes, CellStep, ConvLSTM1D, ConvLSTM1DCell, ConvLSTM2D,
    ConvLSTM2DCell, ConvLSTM3D, ConvLSTM3DCell, GRU, GRUCell, LSTM, LSTMCell, MergeMode, RNN, Recurrent, RecurrentCell,
    SequenceDropout, SimpleRNNCell, StackedRNNCells, States, StatesMut, UnitSequences,
};
pub(crate) use recurrent::{bidirectional_from_config, recurrent_from_config, stacked_from_config};
pub use rescaling::Rescaling;
pub use reshape::{Flatten, Identity, Permute, RepeatVector, Reshape};
pub use rows::RowGrads;
pub use spatial::{Border, DataFormat, Padding, PerAxis};
pub use up_sampling::{Interpolation, UpSampling1D, UpSampling2D, UpSampling3D};
pub(crate) use weight::Weight;

use crate::config::Config;
use crate::regularizers::Regularizer;
use crate::{Result, Scalar, Tensor, View, ViewMut};

/// How a layer introduces itself: to the model, to messages and to saved files.
#[derive(Clone, Debug)]
pub struct Description {
    /// The class, such as `Dense`.
    pub class: String,
    /// The name that its user gave it.
    pub name: Option<String>,
    /// Whether training changes its parameters.
    pub trainable: bool,
    /// Its options in Keras's words; none if it cannot be saved.
    pub config: Option<Config>,
    /// The penalty on its output that is added to the loss, divided by the batch size.
    pub activity_regularizer: Option<Regularizer>,
}

impl Description {
    /// Of a layer that says nothing of itself: the class is the name of its type.
    pub fn of_type<T: ?Sized>() -> Self {
        let path = std::any::type_name::<T>();
        let without_generics = path.split('<').next().unwrap_or(path);
        let class = without_generics.rsplit("::").next().unwrap_or(path);
        Self { class: class.into(), name: None, trainable: true, config: None, activity_regularizer: None }
    }

    /// Of a layer with a configuration; `name` and `trainable` are taken from it. A layer that holds a function of one's
    /// own has none.
    pub fn of<T: crate::config::Configured>(layer: &T) -> Self {
        let mut config = layer.to_config();
        let name = config.remove("name").and_then(|name| name.as_str().map(str::to_owned));
        let trainable = config.remove("trainable").and_then(|t| t.as_bool()).unwrap_or(true);
        Self {
            class: T::CLASS.into(),
            name,
            trainable,
            config: layer.has_config().then_some(config),
            activity_regularizer: None,
        }
    }

    /// With a penalty on the output.
    #[must_use]
    pub fn activity_regularizer(mut self, regularizer: Option<&Regularizer>) -> Self {
        self.activity_regularizer = regularizer.cloned();
        self
    }
}

/// What becomes of the mask (batch, time) that may travel beside a layer's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskRule {
    /// The output has the first input's mask.
    #[default]
    Pass,
    /// The output has none.
    Stop,
    /// The layer makes one: [`Layer::makes_mask`].
    Make,
    /// The layer makes one of the inputs' if all of them have one; without, the output has none either.
    MakeOfAll,
    /// The layer makes one of the inputs' if at least one has one.
    MakeOfAny,
}

/// A value that a layer refuses: [`ChecksValues`]. The model adds who refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The row of the layer's input that it stands in.
    pub row: usize,
    /// What would do.
    pub expected: String,
    /// What stands there.
    pub received: String,
}

/// How many sums a layer that couples samples exchanges between the shards of a batch, before its forward and before
/// its backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coupling {
    /// Values that [`CouplesSamples::forward_sums`] fills.
    pub forward: usize,
    /// Values that [`CouplesSamples::backward_sums`] fills.
    pub backward: usize,
}

/// A layer with one input and one output.
///
/// Three methods make a layer; the rest have defaults. What not every layer can do is a trait of its own, which the layer
/// hands out if it has it ([`InPlace`], [`ChecksValues`], [`MakesMask`], [`CouplesSamples`], [`KeepsState`]). See `docs/your-own-layer.md`, and [`check_layer`], which puts a
/// layer through everything that it must hold.
///
/// [`check_layer`]: crate::check::check_layer
///
/// ```
/// use gradus::custom::*;
///
/// /// y = b·x with one learned factor b.
/// #[derive(Clone, Debug)]
/// struct Scale;
///
/// impl<F: Scalar> Layer<F> for Scale {
///     type Cache = ();
///     fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
///         params.add("factor", &[1], Initializer::Ones)?;
///         Ok(input.to_vec())
///     }
///     fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, _: &mut (), cx: &Context<'_, F>) {
///         let factor = cx.params.get("factor")[0];
///         y.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y = factor * x);
///     }
///     fn backward(
///         &self, x: View<'_, F>, _: View<'_, F>, grad_y: ViewMut<'_, F>, grad_x: Option<ViewMut<'_, F>>,
///         grads: &mut Grads<'_, F>, _: &mut (), cx: &Context<'_, F>,
///     ) {
///         let factor = cx.params.get("factor")[0];
///         grads.get_mut("factor")[0] += grad_y.iter().zip(x.iter()).map(|(&g, &x)| g * x).sum();
///         if let Some(mut grad_x) = grad_x {
///             grad_x.iter_mut().zip(grad_y.iter()).for_each(|(grad_x, &g)| *grad_x = factor * g);
///         }
///     }
/// }
///
/// check_layer(Scale, &[3])?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer",
    note = "an activation is given as `Relu`, not as a string; a whole model is added with `add` or `apply`"
)]
#[doc(alias = "custom layer")]
pub trait Layer<F: Scalar>: Send + Sync {
    /// What the backward pass needs of a forward pass beyond its input, output and parameters.
    type Cache: Default + Send + Sync + 'static;

    /// Makes the parameters for inputs of the shape `input` (without the batch axis) and returns the output's shape.
    ///
    /// # Errors
    /// If an option is outside its range, or the layer cannot take such an input.
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>>;

    /// y ← f(x), keeping in `cache` what [`backward`](Self::backward) needs. `y` holds stale values.
    fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, cache: &mut Self::Cache, cx: &Context<'_, F>);

    /// `grad_x` ← ∂L/∂x and `grads` += ∂L/∂parameters, from `grad_y` = ∂L/∂y.
    ///
    /// `x` and `y` are the forward pass's. Nobody reads `grad_y` afterwards, so a layer may compute in its place.
    /// `grad_x` is none where nobody needs it and holds stale values otherwise. It is called once for a forward pass, and
    /// may use up the cache. A shared layer is called several times in one pass, each with a cache of its own, which is why
    /// gradients of parameters add up.
    #[allow(clippy::too_many_arguments)]
    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut Self::Cache,
        cx: &Context<'_, F>,
    );

    /// Class, name and options. The default tells the type's name only: such a layer runs but cannot be saved.
    fn describe(&self) -> Description {
        Description::of_type::<Self>()
    }

    /// Constant answers about the layer: whether it is a reshape, what becomes of masks.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// How many values a pass keeps and computes in for one row, beyond inputs and outputs, where they may be many more than
    /// these: a batch for which there is no memory is then refused before any is taken. By default 0.
    fn workspace(&self, _input: &[usize]) -> usize {
        0
    }

    /// The layer as one that can write its output over an input.
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        None
    }

    /// The layer as one that refuses some values.
    fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
        None
    }

    /// The layer as one that makes a mask.
    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        None
    }

    /// The layer as one that, outside training, rescales the channels of its input.
    fn rescales_channels(&self) -> Option<&dyn RescalesChannels<F>> {
        None
    }

    /// The layer as one whose samples depend on one another.
    fn couples_samples(&self) -> Option<&dyn CouplesSamples<F, Self::Cache>> {
        None
    }

    /// The layer as one that has state which is not learned.
    fn keeps_state(&self) -> Option<&dyn KeepsState<F, Self::Cache>> {
        None
    }
}

/// A layer with several inputs or outputs: merges, attention, recurrent layers with states.
///
/// The same verbs as [`Layer`]. Inputs are asked for by number, and gradients of inputs are written one at a time,
/// since two inputs may be the same tensor.
pub trait MultiLayer<F: Scalar>: Send + Sync {
    /// What the backward pass needs of a forward pass beyond inputs, outputs and parameters.
    type Cache: Default + Send + Sync + 'static;

    /// Makes the parameters for inputs of these shapes (without the batch axis) and returns the outputs' shapes.
    ///
    /// # Errors
    /// If an option is outside its range, or the layer cannot take such inputs.
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>>;

    /// outputs ← f(inputs), keeping in `cache` what [`backward`](Self::backward) needs.
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut Self::Cache, cx: &Context<'_, F>);

    /// Gradients of the inputs, written through `grad_inputs`, and `grads` += those of the parameters; once for a forward
    /// pass, as in [`Layer`].
    #[allow(clippy::too_many_arguments)]
    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut Self::Cache,
        cx: &Context<'_, F>,
    );

    /// Class, name and options. The default tells the type's name only: such a layer runs but cannot be saved.
    fn describe(&self) -> Description {
        Description::of_type::<Self>()
    }

    /// Constant answers about the layer: what becomes of masks. By default the outputs have none.
    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop)
    }

    /// How many values a pass keeps and computes in for one row, beyond inputs and outputs, where they may be many more than
    /// these: a batch for which there is no memory is then refused before any is taken. By default 0.
    fn workspace(&self, _inputs: &[&[usize]]) -> usize {
        0
    }

    /// The layer as one that can write its output over an input.
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        None
    }

    /// The layer as one that refuses some values.
    fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
        None
    }

    /// The layer as one that makes a mask.
    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        None
    }

    /// The layer as one whose samples depend on one another.
    fn couples_samples(&self) -> Option<&dyn CouplesSamples<F, Self::Cache>> {
        None
    }

    /// The layer as one that has state which is not learned.
    fn keeps_state(&self) -> Option<&dyn KeepsState<F, Self::Cache>> {
        None
    }
}

/// A layer that another does the work of: the one that its `acting()` makes of its options, whose cache it has.
macro_rules! acts_as {
    ($name:ident, $cache:ty) => {
        impl<F: $crate::Scalar> $crate::layers::Layer<F> for $name {
            type Cache = $cache;

            fn build(
                &self,
                input: &[usize],
                params: &mut $crate::layers::ParamBuilder<'_, F>,
            ) -> $crate::Result<Vec<usize>> {
                $crate::layers::Layer::build(&self.acting(), input, params)
            }

            fn forward(
                &self,
                x: $crate::View<'_, F>,
                y: $crate::ViewMut<'_, F>,
                cache: &mut Self::Cache,
                cx: &$crate::layers::Context<'_, F>,
            ) {
                $crate::layers::Layer::forward(&self.acting(), x, y, cache, cx);
            }

            fn backward(
                &self,
                x: $crate::View<'_, F>,
                y: $crate::View<'_, F>,
                grad_y: $crate::ViewMut<'_, F>,
                grad_x: Option<$crate::ViewMut<'_, F>>,
                grads: &mut $crate::layers::Grads<'_, F>,
                cache: &mut Self::Cache,
                cx: &$crate::layers::Context<'_, F>,
            ) {
                $crate::layers::Layer::backward(&self.acting(), x, y, grad_y, grad_x, grads, cache, cx);
            }

            fn facts(&self) -> $crate::layers::Facts {
                $crate::layers::Layer::<F>::facts(&self.acting())
            }

            fn workspace(&self, input: &[usize]) -> usize {
                $crate::layers::Layer::<F>::workspace(&self.acting(), input)
            }

            fn describe(&self) -> $crate::layers::Description {
                let regularizer = $crate::layers::Layer::<F>::describe(&self.acting()).activity_regularizer;
                $crate::layers::Description::of(self).activity_regularizer(regularizer.as_ref())
            }
        }
    };
}
use acts_as;
