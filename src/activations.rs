//! Activations: what a layer's sums go through.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::class::checked;
use crate::config::{self, Config, Setting};
use crate::kernels::activation as kernels;
use crate::kernels::recurrent::Nonlinearity;
use crate::kernels::{softmax, split};
use crate::tensor::volume;
use crate::{Error, Result, Scalar, View, ViewMut};

/// A function that a layer's sums go through, value by value (softmax: along an axis).
///
/// Given to another layer, `Dense::new(128).activation(Relu)`, it is computed in place; added to a model by itself,
/// `.add(Relu)`, it is a layer.
///
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([3]).add(Relu).add(Activation::LeakyRelu { negative_slope: 0.2 }).build()?;
/// assert_eq!(model.predict(&array![[-1.0f32, 0.0, 2.0]])?, array![[0.0, 0.0, 2.0]].into_dyn());
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `activations`; derived in `docs/backward.md`, "Activations".
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// x
    Linear,
    /// max(x, 0)
    Relu,
    /// x above `threshold`, `negative_slope`·(x − `threshold`) below, at most `max_value`.
    ReluWith {
        /// The largest value that passes; none: all.
        max_value: Option<f64>,
        /// The slope below the threshold.
        negative_slope: f64,
        /// Above it x passes.
        threshold: f64,
    },
    /// x above 0, `negative_slope`·x below; Keras's default slope is 0.2.
    LeakyRelu {
        /// The slope below 0.
        negative_slope: f64,
    },
    /// min(max(x, 0), 6)
    Relu6,
    /// x above 0, α(eˣ − 1) below.
    Elu {
        /// How deep it goes; Keras's default is 1.
        alpha: f64,
    },
    /// 1.0507… · (x above 0, 1.6733…·(eˣ − 1) below): keeps mean 0 and variance 1.
    Selu,
    /// x above 0, α(e^(x/α) − 1) below.
    Celu {
        /// How deep it goes; Keras's default is 1.
        alpha: f64,
    },
    /// x·Φ(x), Φ the normal distribution: exact.
    Gelu,
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))): the approximation of [`Gelu`](Self::Gelu).
    GeluTanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// relu6(x + 3) / 6
    HardSigmoid,
    /// min(max(`slope`·x + ½, 0), 1): with the slope 0.2 what Keras 2 calls `hard_sigmoid`, whose slope is ⅙ in Keras 3.
    HardSigmoidWith {
        /// The slope between 0 and 1.
        slope: f64,
    },
    /// ln σ(x)
    LogSigmoid,
    /// tanh x
    Tanh,
    /// min(max(x, −1), 1)
    HardTanh,
    /// x − tanh x
    TanhShrink,
    /// exp xᵢ / Σ exp x, along the last axis.
    Softmax,
    /// Softmax along an axis, counted from the end if negative.
    SoftmaxOver {
        /// The axis.
        axis: isize,
    },
    /// xᵢ − ln Σ exp x, along the last axis.
    LogSoftmax,
    /// Log-softmax along an axis, counted from the end if negative.
    LogSoftmaxOver {
        /// The axis.
        axis: isize,
    },
    /// ln(1 + eˣ)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x·σ(x), also called swish.
    Silu,
    /// x·relu6(x + 3)/6, also called hard swish.
    HardSilu,
    /// x·tanh(ln(1 + eˣ))
    Mish,
    /// eˣ
    Exponential,
    /// A custom function.
    Custom(Custom),
}

/// A custom function and its derivative, for every scalar: computed in `f64`.
///
/// ```
/// use gradus::prelude::*;
///
/// let square = CustomActivation::new("square", |x| x * x, |x| 2.0 * x);
/// let layer = Dense::new(3).activation(Activation::Custom(square));
/// ```
#[derive(Clone)]
pub struct Custom {
    name: &'static str,
    value: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    derivative: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
}

impl Custom {
    /// From the function and its derivative, both of x.
    pub fn new(
        name: &'static str,
        value: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { name, value: Arc::new(value), derivative: Arc::new(derivative) }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.name).finish()
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }
}

/// The length of an axis, and how many values lie between two of its places.
fn along(axis: isize, shape: &[usize]) -> (usize, usize) {
    let axis = resolve(axis, shape.len()).unwrap_or(shape.len() - 1);
    (shape[axis], volume(&shape[axis + 1..]))
}

fn resolve(axis: isize, rank: usize) -> Option<usize> {
    if axis < 0 { rank.checked_add_signed(axis) } else { usize::try_from(axis).ok() }
        .filter(|&axis| axis > 0 && axis < rank)
}

impl Activation {
    /// Refuses options that do not fit a tensor of `rank` axes, the batch included.
    pub(crate) fn check(&self, rank: usize) -> Result<()> {
        match self {
            Self::SoftmaxOver { axis } | Self::LogSoftmaxOver { axis } if resolve(*axis, rank).is_none() => {
                Err(Error::option("axis", format!("an axis of {rank} other than the batch"), axis))
            }
            Self::Softmax | Self::LogSoftmax if rank < 2 => Err(Error::option("axis", "an axis beside the batch", -1)),
            Self::ReluWith { max_value, negative_slope, threshold } => {
                if let Some(most) = max_value.filter(|most| !(*most >= 0.0)) {
                    return Err(Error::option("max_value", "at least 0", most));
                }
                checked("negative_slope", *negative_slope, *negative_slope >= 0.0, "at least 0")?;
                checked("threshold", *threshold, true, "a finite number")
            }
            Self::LeakyRelu { negative_slope } => {
                checked("negative_slope", *negative_slope, *negative_slope >= 0.0, "at least 0")
            }
            Self::HardSigmoidWith { slope } => checked("slope", *slope, *slope > 0.0, "above 0"),
            Self::Elu { alpha } => checked("alpha", *alpha, *alpha >= 0.0, "at least 0"),
            Self::Celu { alpha } => checked("alpha", *alpha, *alpha != 0.0, "other than 0"),
            _ => Ok(()),
        }
    }

    /// How many values to copy and change at a time, so that they stay in the first cache in between: some rows of the last
    /// axis, of `units` values. None where sums run over another axis: then it is all of them.
    pub(crate) fn part(&self, units: usize) -> Option<usize> {
        const VALUES: usize = 2048;
        let whole = matches!(self, Self::SoftmaxOver { .. } | Self::LogSoftmaxOver { .. });
        (!whole && units > 0).then(|| units * (VALUES / units).max(1))
    }

    /// Whether the derivative is computed from x; otherwise y = f(x) suffices.
    pub(crate) fn needs_input(&self) -> bool {
        use Activation::{Custom, Gelu, GeluTanh, HardSilu, HardTanh, Mish, ReluWith, Silu, TanhShrink};
        matches!(self, ReluWith { .. } | HardTanh | Gelu | GeluTanh | Silu | HardSilu | Mish | TanhShrink | Custom(_))
    }

    /// Keeps x in `cache` if [`backward`](Self::backward) will need it.
    pub(crate) fn keep_input<F: Scalar>(&self, x: &[F], cache: &mut Vec<F>) {
        if self.needs_input() {
            cache.clear();
            cache.extend_from_slice(x);
        }
    }

    /// Whether f goes element by element, by formulas of this crate alone.
    pub(crate) fn is_elementwise(&self) -> bool {
        use Activation::{Custom, LogSoftmax, LogSoftmaxOver, Softmax, SoftmaxOver};
        !matches!(self, Softmax | SoftmaxOver { .. } | LogSoftmax | LogSoftmaxOver { .. } | Custom(_))
    }

    /// y ← f(y), in place.
    pub(crate) fn forward<F: Scalar>(&self, mut y: ViewMut<'_, F>) {
        if self.is_elementwise() {
            split::elements(&mut y, &|_, y| self.forward_part(ViewMut::new(&[y.len()], y)));
        } else {
            self.forward_part(y);
        }
    }

    fn forward_part<F: Scalar>(&self, mut y: ViewMut<'_, F>) {
        match self {
            Self::Linear => (),
            Self::Relu => kernels::relu(&mut y),
            Self::ReluWith { max_value, negative_slope, threshold } => {
                let most = F::of(max_value.unwrap_or(f64::INFINITY));
                kernels::relu_with(&mut y, most, F::of(*negative_slope), F::of(*threshold));
            }
            Self::LeakyRelu { negative_slope } => kernels::leaky_relu(&mut y, F::of(*negative_slope)),
            Self::Relu6 => kernels::relu6(&mut y),
            Self::Elu { alpha } => kernels::elu(&mut y, F::of(*alpha)),
            Self::Selu => kernels::selu(&mut y),
            Self::Celu { alpha } => kernels::celu(&mut y, F::of(*alpha)),
            Self::Gelu => kernels::gelu(&mut y),
            Self::GeluTanh => kernels::gelu_tanh(&mut y),
            Self::Sigmoid => kernels::sigmoid(&mut y),
            Self::HardSigmoid => kernels::hard_sigmoid(&mut y),
            Self::HardSigmoidWith { slope } => kernels::hard_sigmoid_with(&mut y, F::of(*slope)),
            Self::LogSigmoid => kernels::log_sigmoid(&mut y),
            Self::Tanh => kernels::tanh(&mut y),
            Self::HardTanh => kernels::hard_tanh(&mut y),
            Self::TanhShrink => kernels::tanh_shrink(&mut y),
            Self::Softmax => {
                let classes = y.last_axis();
                softmax::softmax(&mut y, classes, 1);
            }
            Self::SoftmaxOver { axis } => {
                let (n, inner) = along(*axis, y.shape());
                softmax::softmax(&mut y, n, inner);
            }
            Self::LogSoftmax => {
                let classes = y.last_axis();
                softmax::log_softmax(&mut y, classes, 1);
            }
            Self::LogSoftmaxOver { axis } => {
                let (n, inner) = along(*axis, y.shape());
                softmax::log_softmax(&mut y, n, inner);
            }
            Self::Softplus => kernels::softplus(&mut y),
            Self::Softsign => kernels::softsign(&mut y),
            Self::Silu => kernels::silu(&mut y),
            Self::HardSilu => kernels::hard_silu(&mut y),
            Self::Mish => kernels::mish(&mut y),
            Self::Exponential => kernels::exponential(&mut y),
            Self::Custom(custom) => y.iter_mut().for_each(|y| *y = F::of((custom.value)(y.f64()))),
        }
    }

    /// grad ← grad · f′, in place, from y = f(x), or from x where it [is needed](Self::needs_input).
    pub(crate) fn backward<F: Scalar>(&self, x: &[F], y: View<'_, F>, mut grad: ViewMut<'_, F>) {
        if self.is_elementwise() {
            split::elements(&mut grad, &|start, grad| {
                let part = start..start + grad.len();
                let (y, shape) = (&y[part.clone()], [grad.len()]);
                self.backward_part(x.get(part).unwrap_or_default(), View::new(&shape, y), ViewMut::new(&shape, grad));
            });
        } else {
            self.backward_part(x, y, grad);
        }
    }

    fn backward_part<F: Scalar>(&self, x: &[F], y: View<'_, F>, mut grad: ViewMut<'_, F>) {
        match self {
            Self::Linear => (),
            Self::Relu => kernels::relu_backward(&y, &mut grad),
            Self::ReluWith { max_value, negative_slope, threshold } => {
                let most = F::of(max_value.unwrap_or(f64::INFINITY));
                kernels::relu_with_backward(x, &mut grad, most, F::of(*negative_slope), F::of(*threshold));
            }
            Self::LeakyRelu { negative_slope } => {
                kernels::leaky_relu_backward(&y, &mut grad, F::of(*negative_slope));
            }
            Self::Relu6 => kernels::relu6_backward(&y, &mut grad),
            Self::Elu { alpha } => kernels::elu_backward(&y, &mut grad, F::of(*alpha)),
            Self::Selu => kernels::selu_backward(&y, &mut grad),
            Self::Celu { alpha } => kernels::celu_backward(&y, &mut grad, F::of(*alpha)),
            Self::Gelu => kernels::gelu_backward(x, &mut grad),
            Self::GeluTanh => kernels::gelu_tanh_backward(x, &mut grad),
            Self::Sigmoid => kernels::sigmoid_backward(&y, &mut grad),
            Self::HardSigmoid => kernels::hard_sigmoid_backward(&y, &mut grad),
            Self::HardSigmoidWith { slope } => kernels::hard_sigmoid_with_backward(&y, &mut grad, F::of(*slope)),
            Self::LogSigmoid => kernels::log_sigmoid_backward(&y, &mut grad),
            Self::Tanh => kernels::tanh_backward(&y, &mut grad),
            Self::HardTanh => kernels::hard_tanh_backward(x, &mut grad),
            Self::TanhShrink => kernels::tanh_shrink_backward(x, &mut grad),
            Self::Softmax => softmax::softmax_backward(&y, &mut grad, y.last_axis(), 1),
            Self::SoftmaxOver { axis } => {
                let (n, inner) = along(*axis, y.shape());
                softmax::softmax_backward(&y, &mut grad, n, inner);
            }
            Self::LogSoftmax => softmax::log_softmax_backward(&y, &mut grad, y.last_axis(), 1),
            Self::LogSoftmaxOver { axis } => {
                let (n, inner) = along(*axis, y.shape());
                softmax::log_softmax_backward(&y, &mut grad, n, inner);
            }
            Self::Softplus => kernels::softplus_backward(&y, &mut grad),
            Self::Softsign => kernels::softsign_backward(&y, &mut grad),
            Self::Silu => kernels::silu_backward(x, &mut grad),
            Self::HardSilu => kernels::hard_silu_backward(x, &mut grad),
            Self::Mish => kernels::mish_backward(x, &mut grad),
            Self::Exponential => kernels::exponential_backward(&y, &mut grad),
            Self::Custom(custom) => {
                grad.iter_mut().zip(x).for_each(|(grad, x)| *grad *= F::of((custom.derivative)(x.f64())));
            }
        }
    }
}

/// Inside a recurrent layer, on the values of a gate.
impl<F: Scalar> Nonlinearity<F> for Activation {
    fn forward(&self, y: &mut [F], units: usize) {
        let shape = [y.len() / units, units];
        Self::forward(self, ViewMut::new(&shape, y));
    }

    fn backward(&self, x: &[F], y: &[F], grad: &mut [F], units: usize) {
        let shape = [y.len() / units, units];
        Self::backward(self, x, View::new(&shape, y), ViewMut::new(&shape, grad));
    }

    fn needs_input(&self) -> bool {
        Self::needs_input(self)
    }
}

impl Activation {
    /// Keras's name and the options.
    fn words(&self) -> (&'static str, Config) {
        let options = |pairs: &[(&str, Value)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let plain = Config::new();
        match self {
            Self::Linear => ("linear", plain),
            Self::Relu => ("relu", plain),
            Self::ReluWith { max_value, negative_slope, threshold } => {
                let max_value = ("max_value", max_value.to_value());
                let (slope, threshold) = (("negative_slope", json!(negative_slope)), ("threshold", json!(threshold)));
                ("relu", options(&[max_value, slope, threshold]))
            }
            Self::LeakyRelu { negative_slope } => ("leaky_relu", options(&[("negative_slope", json!(negative_slope))])),
            Self::Relu6 => ("relu6", plain),
            Self::Elu { alpha } => ("elu", options(&[("alpha", json!(alpha))])),
            Self::Selu => ("selu", plain),
            Self::Celu { alpha } => ("celu", options(&[("alpha", json!(alpha))])),
            Self::Gelu => ("gelu", plain),
            Self::GeluTanh => ("gelu", options(&[("approximate", json!(true))])),
            Self::Sigmoid => ("sigmoid", plain),
            Self::HardSigmoid => ("hard_sigmoid", plain),
            Self::HardSigmoidWith { slope } => ("hard_sigmoid", options(&[("slope", json!(slope))])),
            Self::LogSigmoid => ("log_sigmoid", plain),
            Self::Tanh => ("tanh", plain),
            Self::HardTanh => ("hard_tanh", plain),
            Self::TanhShrink => ("tanh_shrink", plain),
            Self::Softmax => ("softmax", plain),
            Self::SoftmaxOver { axis } => ("softmax", options(&[("axis", json!(axis))])),
            Self::LogSoftmax => ("log_softmax", plain),
            Self::LogSoftmaxOver { axis } => ("log_softmax", options(&[("axis", json!(axis))])),
            Self::Softplus => ("softplus", plain),
            Self::Softsign => ("softsign", plain),
            Self::Silu => ("silu", plain),
            Self::HardSilu => ("hard_silu", plain),
            Self::Mish => ("mish", plain),
            Self::Exponential => ("exponential", plain),
            Self::Custom(custom) => (custom.name, plain),
        }
    }

    /// The activation of this Keras name and these options. `hard_sigmoid` may have a `slope` other than ⅙, as in files of Keras 2.
    ///
    /// # Errors
    /// If there is none of that name, or it does not have such an option.
    pub fn from_words(name: &str, options: &Config) -> Result<Self> {
        let known: &[&str] = match name {
            "relu" => &["max_value", "negative_slope", "threshold"],
            "leaky_relu" => &["negative_slope"],
            "elu" | "celu" => &["alpha"],
            "gelu" => &["approximate"],
            "hard_sigmoid" => &["slope"],
            "softmax" | "log_softmax" => &["axis"],
            _ => &[],
        };
        let number = |option: &str, default: f64| config::take(options, option, default);
        let made = match name {
            "linear" => Self::Linear,
            "relu" if options.is_empty() => Self::Relu,
            "relu" => Self::ReluWith {
                max_value: config::take(options, "max_value", None)?,
                negative_slope: number("negative_slope", 0.0)?,
                threshold: number("threshold", 0.0)?,
            },
            "leaky_relu" => Self::LeakyRelu { negative_slope: number("negative_slope", 0.2)? },
            "relu6" => Self::Relu6,
            "elu" => Self::Elu { alpha: number("alpha", 1.0)? },
            "selu" => Self::Selu,
            "celu" => Self::Celu { alpha: number("alpha", 1.0)? },
            "gelu" if config::take(options, "approximate", false)? => Self::GeluTanh,
            "gelu" => Self::Gelu,
            "sigmoid" => Self::Sigmoid,
            "hard_sigmoid" => match config::take(options, "slope", None)? {
                None => Self::HardSigmoid,
                Some(slope) => Self::HardSigmoidWith { slope },
            },
            "log_sigmoid" => Self::LogSigmoid,
            "tanh" => Self::Tanh,
            "hard_tanh" => Self::HardTanh,
            "tanh_shrink" => Self::TanhShrink,
            "softmax" => match config::take(options, "axis", -1)? {
                -1 => Self::Softmax,
                axis => Self::SoftmaxOver { axis },
            },
            "log_softmax" => match config::take(options, "axis", -1)? {
                -1 => Self::LogSoftmax,
                axis => Self::LogSoftmaxOver { axis },
            },
            "softplus" => Self::Softplus,
            "softsign" => Self::Softsign,
            "silu" | "swish" => Self::Silu,
            "hard_silu" | "hard_swish" => Self::HardSilu,
            "mish" => Self::Mish,
            "exponential" => Self::Exponential,
            _ => return Err(Error::unknown("activation", name, NAMES)),
        };
        config::refuse_unknown(options, known)?;
        Ok(made)
    }
}

/// Every activation's name in Keras.
const NAMES: [&str; 23] = [
    "linear",
    "relu",
    "leaky_relu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "gelu",
    "sigmoid",
    "hard_sigmoid",
    "log_sigmoid",
    "tanh",
    "hard_tanh",
    "tanh_shrink",
    "softmax",
    "log_softmax",
    "softplus",
    "softsign",
    "silu",
    "hard_silu",
    "mish",
    "exponential",
    "swish",
];

impl Setting for Activation {
    fn to_value(&self) -> Value {
        let (name, mut options) = self.words();
        if options.is_empty() {
            return json!(name);
        }
        options.insert("name".into(), json!(name));
        Value::Object(options)
    }

    /// A name, or an object with the name and options.
    fn from_value(value: &Value) -> Result<Self> {
        if value.is_null() {
            return Ok(Self::Linear);
        }
        let (name, options) = config::class_and_config(value)?;
        Self::from_words(&name, &options)
    }

    fn has_config(&self) -> bool {
        !matches!(self, Self::Custom(_))
    }
}
