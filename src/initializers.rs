//! What weights start as.
//!
//! With the fans of a shape, its inputs and outputs per value:
//!
//! | shape | `fan_in` | `fan_out` |
//! | --- | --- | --- |
//! | () | 1 | 1 |
//! | (n) | n | n |
//! | (in, out), a Dense kernel | in | out |
//! | (k₁, …, in, out), a convolution kernel | in · k₁ · … | out · k₁ · … |
//!
//! Numbers are drawn in `f64` and rounded, so that a model in `f32` and one in `f64` start alike.
//!
//! Source: Keras 3, `keras.initializers`.

use std::str::FromStr;

use ndarray::{ArrayD, IxDyn};
use rand::rand_core::RngCore;
use rand_distr::{Distribution as _, Normal, StandardNormal, Uniform};
use serde_json::{Value, json};

use crate::config::class::{self, ClassConfig, checked};
use crate::{Error, Result, Scalar};

/// How the values of a new parameter are drawn.
///
/// | name | values | default |
/// | --- | --- | --- |
/// | `zeros`, `ones`, `constant` | 0, 1, c | c = 0 |
/// | `random_normal` | N(mean, stddev²) | 0, 0.05 |
/// | `truncated_normal` | the same, drawn again beyond 2 · stddev | 0, 0.05 |
/// | `random_uniform` | U(min, max) | −0.05, 0.05 |
/// | `variance_scaling` | variance scale / n, by mode and distribution | 1, `fan_in`, `truncated_normal` |
/// | `glorot_uniform`, `glorot_normal` | the same: 1, `fan_avg`, uniform or truncated normal | |
/// | `he_uniform`, `he_normal` | 2, `fan_in` | |
/// | `lecun_uniform`, `lecun_normal` | 1, `fan_in` | |
/// | `orthogonal` | gain · Q, Q orthogonal and uniformly distributed | 1 |
/// | `identity` | gain · I | 1 |
///
/// # Example
/// ```
/// use gradus::{initializers::Initializer, random};
///
/// let kernel = Initializer::GlorotUniform.array::<f32>(&[784, 128], &mut random::rng(42, "dense/kernel"))?;
/// let limit = (6.0f32 / (784.0 + 128.0)).sqrt();
/// assert!(kernel.iter().all(|w| w.abs() <= limit));
///
/// assert_eq!("he_normal".parse::<Initializer>()?, Initializer::HeNormal);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// One number everywhere.
    Constant(f64),
    /// A normal distribution.
    RandomNormal {
        /// Its mean. Default: 0.
        mean: f64,
        /// Its standard deviation. Default: 0.05.
        stddev: f64,
    },
    /// A uniform distribution.
    RandomUniform {
        /// Its lower bound; Keras's `minval`. Default: −0.05.
        min: f64,
        /// Its upper bound; Keras's `maxval`. Default: 0.05.
        max: f64,
    },
    /// A normal distribution without what is farther from the mean than two standard deviations.
    TruncatedNormal {
        /// Its mean. Default: 0.
        mean: f64,
        /// The standard deviation before truncation, 1.137 times the one after. Default: 0.05.
        stddev: f64,
    },
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 1, `fan_avg`, truncated normal.
    GlorotNormal,
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 1, `fan_avg`, uniform: ±√(6 / (`fan_in` + `fan_out`)).
    GlorotUniform,
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 2, `fan_in`, truncated normal.
    HeNormal,
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 2, `fan_in`, uniform: ±√(6 / `fan_in`).
    HeUniform,
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 1, `fan_in`, truncated normal.
    LecunNormal,
    /// [`VarianceScaling`](Self::VarianceScaling) with scale 1, `fan_in`, uniform: ±√(3 / `fan_in`).
    LecunUniform,
    /// Mean 0 and variance scale / max(1, n), n the fan that `mode` names.
    VarianceScaling {
        /// Above 0. Default: 1.
        scale: f64,
        /// Which fan. Default: [`FanIn`](FanMode::FanIn).
        mode: FanMode,
        /// Which distribution. Default: [`TruncatedNormal`](Distribution::TruncatedNormal).
        distribution: Distribution,
    },
    /// An orthogonal matrix of rows (all axes but the last) × columns (the last axis): its shorter side's vectors have
    /// length `gain` and are orthogonal to each other.
    Orthogonal {
        /// A factor. Default: 1.
        gain: f64,
    },
    /// A matrix with ones on its diagonal.
    Identity {
        /// A factor. Default: 1.
        gain: f64,
    },
}

/// Which fan of a shape [`VarianceScaling`](Initializer::VarianceScaling) divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FanMode {
    /// The inputs per output: `fan_in`.
    FanIn,
    /// The outputs per input: `fan_out`.
    FanOut,
    /// The mean of both: `fan_avg`.
    FanAvg,
}

/// What [`VarianceScaling`](Initializer::VarianceScaling) draws from; the variance σ² is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Distribution {
    /// Normal within two of its standard deviations, which are σ / 0.8796…, so that σ remains after truncation.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform within ±√3 σ.
    Uniform,
}

/// The standard deviation of a standard normal variable that is kept within ±2.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// Class, snake-case name and defaults of every initializer.
const ALL: [(&str, &str, Initializer); 15] = {
    use Initializer as I;
    [
        ("Zeros", "zeros", I::Zeros),
        ("Ones", "ones", I::Ones),
        ("Constant", "constant", I::Constant(0.0)),
        ("RandomNormal", "random_normal", I::RandomNormal { mean: 0.0, stddev: 0.05 }),
        ("RandomUniform", "random_uniform", I::RandomUniform { min: -0.05, max: 0.05 }),
        ("TruncatedNormal", "truncated_normal", I::TruncatedNormal { mean: 0.0, stddev: 0.05 }),
        ("GlorotNormal", "glorot_normal", I::GlorotNormal),
        ("GlorotUniform", "glorot_uniform", I::GlorotUniform),
        ("HeNormal", "he_normal", I::HeNormal),
        ("HeUniform", "he_uniform", I::HeUniform),
        ("LecunNormal", "lecun_normal", I::LecunNormal),
        ("LecunUniform", "lecun_uniform", I::LecunUniform),
        ("VarianceScaling", "variance_scaling", {
            I::VarianceScaling { scale: 1.0, mode: FanMode::FanIn, distribution: Distribution::TruncatedNormal }
        }),
        ("Orthogonal", "orthogonal", I::Orthogonal { gain: 1.0 }),
        ("Identity", "identity", I::Identity { gain: 1.0 }),
    ]
};

/// Names that Keras has for some of them besides.
const ALIASES: [(&str, &str); 6] = [
    ("zero", "zeros"),
    ("one", "ones"),
    ("normal", "random_normal"),
    ("uniform", "random_uniform"),
    ("OrthogonalInitializer", "orthogonal"),
    ("IdentityInitializer", "identity"),
];

impl Initializer {
    /// Draws an array of `shape`.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    ///
    /// # Example
    /// ```
    /// # use gradus::{initializers::Initializer, random};
    /// let identity = Initializer::Identity { gain: 1.0 }.array::<f64>(&[2, 2], &mut random::rng(0, "w"))?;
    /// assert_eq!(identity, ndarray::array![[1.0, 0.0], [0.0, 1.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn array<F: Scalar>(&self, shape: &[usize], rng: &mut impl RngCore) -> Result<ArrayD<F>> {
        let mut array = ArrayD::zeros(IxDyn(shape));
        self.fill(shape, array.as_slice_mut().unwrap_or_default(), rng)?;
        Ok(array)
    }

    /// Overwrites `out`, the values of a parameter of `shape` in row-major order.
    ///
    /// # Errors
    /// What [`check`](Self::check) finds; [`Error::Shape`] if `out` is not as long as `shape` asks for.
    ///
    /// # Example
    /// ```
    /// # use gradus::{initializers::Initializer, random};
    /// let mut bias = [0.0f32; 3];
    /// Initializer::Constant(0.1).fill(&[3], &mut bias, &mut random::rng(0, "bias"))?;
    /// assert_eq!(bias, [0.1; 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn fill<F: Scalar>(&self, shape: &[usize], out: &mut [F], rng: &mut impl RngCore) -> Result<()> {
        self.check(shape)?;
        if shape.iter().product::<usize>() != out.len() {
            return Err(Error::shape(format!("a shape of {} values", out.len()), shape));
        }
        match *self {
            Self::Zeros => out.fill(F::zero()),
            Self::Ones => out.fill(F::one()),
            Self::Constant(value) => out.fill(F::of(value)),
            Self::RandomNormal { mean, stddev } => normal(out, mean, stddev, rng)?,
            Self::RandomUniform { min, max } => uniform(out, min, max, rng)?,
            Self::TruncatedNormal { mean, stddev } => truncated_normal(out, mean, stddev, rng),
            Self::Orthogonal { gain } => orthogonal(out, shape, gain, rng),
            Self::Identity { gain } => {
                out.fill(F::zero());
                out.iter_mut().step_by(shape[1] + 1).take(shape[1]).for_each(|w| *w = F::of(gain));
            }
            _ => {
                let (scale, mode, distribution) = self.scaling();
                let (fan_in, fan_out) = fans(shape);
                let fan = match mode {
                    FanMode::FanIn => fan_in,
                    FanMode::FanOut => fan_out,
                    FanMode::FanAvg => f64::midpoint(fan_in, fan_out),
                };
                let variance = scale / fan.max(1.0);
                match distribution {
                    Distribution::TruncatedNormal => {
                        truncated_normal(out, 0.0, variance.sqrt() / TRUNCATED_STDDEV, rng);
                    }
                    Distribution::UntruncatedNormal => normal(out, 0.0, variance.sqrt(), rng)?,
                    Distribution::Uniform => {
                        let limit = (3.0 * variance).sqrt();
                        uniform(out, -limit, limit, rng)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether it can fill a parameter of `shape`.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside its range; [`Error::Shape`] if the shape has fewer than two axes for
    /// `Orthogonal`, or other than two for `Identity`.
    pub fn check(&self, shape: &[usize]) -> Result<()> {
        let finite = |name, value: f64| checked(name, value, true, "a finite number");
        match *self {
            Self::Constant(value) => finite("value", value),
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                finite("mean", mean)?;
                checked("stddev", stddev, stddev >= 0.0, "at least 0")
            }
            Self::RandomUniform { min, max } => {
                finite("minval", min)?;
                checked("maxval", max, max >= min, "at least `minval`")
            }
            Self::VarianceScaling { scale, .. } => checked("scale", scale, scale > 0.0, "above 0"),
            Self::Orthogonal { gain } => {
                finite("gain", gain)?;
                if shape.len() >= 2 { Ok(()) } else { Err(Error::shape("at least two axes for `orthogonal`", shape)) }
            }
            Self::Identity { gain } => {
                finite("gain", gain)?;
                if shape.len() == 2 { Ok(()) } else { Err(Error::shape("two axes for `identity`", shape)) }
            }
            _ => Ok(()),
        }
    }

    /// The initializer in Keras's words: a name such as `"glorot_uniform"`, or a class with its options.
    ///
    /// A `seed` is accepted and left aside: the numbers come from the model's seed and the parameter's path.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name or an option that does not exist; [`Error::Option`] for a value that is none.
    ///
    /// # Example
    /// ```
    /// use gradus::initializers::Initializer;
    /// use serde_json::json;
    ///
    /// let config = json!({"class_name": "RandomNormal", "config": {"stddev": 0.02}});
    /// assert_eq!(Initializer::from_config(&config)?, Initializer::RandomNormal { mean: 0.0, stddev: 0.02 });
    /// assert_eq!(Initializer::from_config(&json!("zeros"))?, Initializer::Zeros);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn from_config(config: &Value) -> Result<Self> {
        let given = ClassConfig::read("initializer", config)?;
        let mut initializer: Self = given.class.parse()?;
        let options: &[&str] = match &mut initializer {
            Self::Zeros | Self::Ones => &[],
            Self::Constant(value) => {
                *value = given.number("value", *value)?;
                &["value"]
            }
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                (*mean, *stddev) = (given.number("mean", *mean)?, given.number("stddev", *stddev)?);
                &["mean", "stddev", "seed"]
            }
            Self::RandomUniform { min, max } => {
                (*min, *max) = (given.number("minval", *min)?, given.number("maxval", *max)?);
                &["minval", "maxval", "seed"]
            }
            Self::VarianceScaling { scale, mode, distribution } => {
                *scale = given.number("scale", *scale)?;
                *mode = given.text("mode", mode.name())?.parse()?;
                *distribution = given.text("distribution", distribution.name())?.parse()?;
                &["scale", "mode", "distribution", "seed"]
            }
            Self::Orthogonal { gain } => {
                *gain = given.number("gain", *gain)?;
                &["gain", "seed"]
            }
            Self::Identity { gain } => {
                *gain = given.number("gain", *gain)?;
                &["gain"]
            }
            _ => &["seed"],
        };
        given.only(options)?;
        initializer.check(&[1, 1])?;
        Ok(initializer)
    }

    /// The initializer as Keras 3 saves it.
    ///
    /// # Example
    /// ```
    /// use gradus::initializers::Initializer;
    ///
    /// let config = Initializer::HeNormal.to_config();
    /// assert_eq!(config["class_name"], "HeNormal");
    /// assert_eq!(Initializer::from_config(&config)?, Initializer::HeNormal);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn to_config(&self) -> Value {
        let options = match *self {
            Self::Zeros | Self::Ones => json!({}),
            Self::Constant(value) => json!({ "value": value }),
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                json!({ "seed": null, "mean": mean, "stddev": stddev })
            }
            Self::RandomUniform { min, max } => json!({ "seed": null, "minval": min, "maxval": max }),
            Self::VarianceScaling { scale, mode, distribution } => {
                json!({ "seed": null, "scale": scale, "mode": mode.name(), "distribution": distribution.name() })
            }
            Self::Orthogonal { gain } => json!({ "seed": null, "gain": gain }),
            Self::Identity { gain } => json!({ "gain": gain }),
            _ => json!({ "seed": null }),
        };
        class::write("initializers", self.class(), options)
    }

    /// Keras's name of the class: `GlorotUniform`.
    pub fn class(&self) -> &'static str {
        let same = |other| std::mem::discriminant(self) == std::mem::discriminant(other);
        ALL.iter().find(|(_, _, i)| same(i)).map_or("", |(class, _, _)| class)
    }

    /// Scale, mode and distribution of those that are a case of `VarianceScaling`.
    fn scaling(&self) -> (f64, FanMode, Distribution) {
        use Distribution::{TruncatedNormal, Uniform};
        match *self {
            Self::VarianceScaling { scale, mode, distribution } => (scale, mode, distribution),
            Self::GlorotNormal => (1.0, FanMode::FanAvg, TruncatedNormal),
            Self::GlorotUniform => (1.0, FanMode::FanAvg, Uniform),
            Self::HeNormal => (2.0, FanMode::FanIn, TruncatedNormal),
            Self::HeUniform => (2.0, FanMode::FanIn, Uniform),
            Self::LecunUniform => (1.0, FanMode::FanIn, Uniform),
            _ => (1.0, FanMode::FanIn, TruncatedNormal),
        }
    }
}

impl FromStr for Initializer {
    type Err = Error;

    /// From a name of Keras's, `glorot_uniform` or `GlorotUniform`, with the default options.
    fn from_str(name: &str) -> Result<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
        let found = ALL.iter().find(|(class, snake, _)| *class == name || *snake == name);
        found
            .map(|(_, _, initializer)| initializer.clone())
            .ok_or_else(|| Error::unknown("initializer", name, ALL.iter().map(|(_, snake, _)| *snake)))
    }
}

impl FanMode {
    fn name(self) -> &'static str {
        match self {
            Self::FanIn => "fan_in",
            Self::FanOut => "fan_out",
            Self::FanAvg => "fan_avg",
        }
    }
}

impl FromStr for FanMode {
    type Err = Error;

    /// From Keras's `fan_in`, `fan_out`, `fan_avg`.
    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::FanIn, Self::FanOut, Self::FanAvg];
        all.into_iter().find(|m| m.name() == name).ok_or_else(|| Error::unknown("mode", name, all.map(Self::name)))
    }
}

impl Distribution {
    fn name(self) -> &'static str {
        match self {
            Self::TruncatedNormal => "truncated_normal",
            Self::UntruncatedNormal => "untruncated_normal",
            Self::Uniform => "uniform",
        }
    }
}

impl FromStr for Distribution {
    type Err = Error;

    /// From Keras's `truncated_normal` or `normal`, `untruncated_normal`, `uniform`.
    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::TruncatedNormal, Self::UntruncatedNormal, Self::Uniform];
        let name = if name == "normal" { "truncated_normal" } else { name };
        let found = all.into_iter().find(|d| d.name() == name);
        found.ok_or_else(|| Error::unknown("distribution", name, all.map(Self::name)))
    }
}

/// `fan_in` and `fan_out` of a shape; the table is above.
#[allow(clippy::match_same_arms)]
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [ref window @ .., inputs, outputs] => {
            let window: f64 = window.iter().map(|&k| k as f64).product();
            (inputs as f64 * window, outputs as f64 * window)
        }
    }
}

fn normal<F: Scalar>(out: &mut [F], mean: f64, stddev: f64, rng: &mut impl RngCore) -> Result<()> {
    let normal = Normal::new(mean, stddev).map_err(|_| Error::option("stddev", "a finite number", stddev))?;
    for w in out {
        *w = F::of(normal.sample(rng));
    }
    Ok(())
}

fn uniform<F: Scalar>(out: &mut [F], min: f64, max: f64, rng: &mut impl RngCore) -> Result<()> {
    if min >= max {
        // `check` has let nothing through but equal bounds.
        out.fill(F::of(min));
        return Ok(());
    }
    let uniform =
        Uniform::new(min, max).map_err(|_| Error::option("maxval", "at a finite distance above `minval`", max))?;
    for w in out {
        *w = F::of(uniform.sample(rng));
    }
    Ok(())
}

fn truncated_normal<F: Scalar>(out: &mut [F], mean: f64, stddev: f64, rng: &mut impl RngCore) {
    for w in out {
        // Nineteen of twenty are kept.
        let z = loop {
            let z: f64 = StandardNormal.sample(rng);
            if z.abs() <= 2.0 {
                break z;
            }
        };
        *w = F::of(mean + stddev * z);
    }
}

/// The Q of a normally distributed matrix A = QR with a positive diagonal of R, which is distributed uniformly.
///
/// Gram–Schmidt on the vectors of the longer side's length gives this Q without a correction of signs. Each vector is
/// projected twice: the second time takes away what rounding left.
fn orthogonal<F: Scalar>(out: &mut [F], shape: &[usize], gain: f64, rng: &mut impl RngCore) {
    if out.is_empty() {
        return;
    }
    let columns = shape[shape.len() - 1];
    let rows = out.len() / columns;
    let (length, count) = (rows.max(columns), rows.min(columns));
    let mut vectors: Vec<f64> = (0..out.len()).map(|_| StandardNormal.sample(rng)).collect();
    for i in 0..count {
        let (before, rest) = vectors.split_at_mut(i * length);
        let vector = &mut rest[..length];
        for _ in 0..2 {
            for other in before.chunks_exact(length) {
                let along = dot(other, vector);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let norm = dot(vector, vector).sqrt();
        for v in vector {
            *v /= norm;
        }
    }
    for (at, w) in out.iter_mut().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let from = if rows < columns { row * length + column } else { column * length + row };
        *w = F::of(gain * vectors[from]);
    }
}

/// Σ xᵢyᵢ, in eight sums that the processor adds side by side.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let (x_lanes, x_rest) = x.as_chunks::<8>();
    let (y_lanes, y_rest) = y.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

impl crate::config::Setting for Initializer {
    fn to_value(&self) -> Value {
        self.to_config()
    }
    fn from_value(value: &Value) -> Result<Self> {
        Self::from_config(value)
    }
}
