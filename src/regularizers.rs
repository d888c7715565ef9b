//! Penalties on weights or outputs, added to the loss.
//!
//! Source: Keras 3, `keras.regularizers`.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::config::class::{self, ClassConfig, checked};
use crate::{Error, Result, Scalar};

/// A penalty on the values of a tensor.
///
/// | name | penalty | default |
/// | --- | --- | --- |
/// | `l1` | l1 · Σ \|x\| | 0.01 |
/// | `l2` | l2 · Σ x² | 0.01 |
/// | `l1_l2` | l1 · Σ \|x\| + l2 · Σ x² | both 0.01 by this name, 0 as `L1L2` |
/// | `orthogonal_regularizer` | factor · mean over i < j of \|uᵢ · uⱼ\|, uᵢ the rows or columns at length 1 | 0.01, rows |
///
/// # Example
/// ```
/// use gradus::regularizers::Regularizer;
///
/// let w = [3.0f32, -4.0];
/// let l2 = Regularizer::L2(0.1);
/// assert_eq!(l2.penalty(&w, &[2]), 2.5);
/// let mut gradient = [0.0; 2];
/// l2.add_gradient(&w, &[2], 1.0, &mut gradient);
/// assert_eq!(gradient, [0.6, -0.8]); // 2 · l2 · w
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[doc(alias = "weight decay")]
#[doc(alias = "penalty")]
pub enum Regularizer {
    /// l1 · Σ |x|, by its factor.
    L1(f64),
    /// l2 · Σ x², by its factor.
    L2(f64),
    /// Both.
    L1L2 {
        /// The factor of Σ |x|.
        l1: f64,
        /// The factor of Σ x².
        l2: f64,
    },
    /// For matrices: how far the rows, or the columns, are from being orthogonal to each other.
    ///
    /// A matrix with a single vector has no pair and no penalty, where Keras gives NaN. The work grows with the square
    /// of the number of vectors.
    OrthogonalRegularizer {
        /// A factor.
        factor: f64,
        /// Which vectors.
        mode: OrthogonalMode,
    },
}

/// Which vectors of a matrix [`OrthogonalRegularizer`](Regularizer::OrthogonalRegularizer) takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OrthogonalMode {
    /// The rows: for a Dense kernel (inputs, units), a vector an input.
    Rows,
    /// The columns: a vector a unit.
    Columns,
}

const NAMES: [&str; 4] = ["l1", "l2", "l1_l2", "orthogonal_regularizer"];
const OPTION: &str = "at least 0 and finite";
/// Vectors shorter than this are not brought to length 1 but divided by it: Keras's epsilon.
const SHORTEST: f64 = 1e-7;

impl Regularizer {
    /// The penalty on `x`, a tensor of `shape`. NaN where [`check`](Self::check) refuses the shape.
    pub fn penalty<F: Scalar>(&self, x: &[F], shape: &[usize]) -> F {
        match *self {
            Self::L1(l1) => F::of(l1) * absolute_sum(x),
            Self::L2(l2) => F::of(l2) * square_sum(x),
            Self::L1L2 { l1, l2 } => {
                // A factor of 0 leaves its sum out, whatever it is.
                let l1 = if l1 == 0.0 { F::zero() } else { F::of(l1) * absolute_sum(x) };
                let l2 = if l2 == 0.0 { F::zero() } else { F::of(l2) * square_sum(x) };
                l1 + l2
            }
            Self::OrthogonalRegularizer { factor, mode } => {
                let Some(vectors) = Vectors::of(x, shape, mode) else { return F::nan() };
                let mut sum = F::zero();
                vectors.each_pair(|_, _, cosine, _, _| sum += cosine.abs());
                F::of(factor / vectors.pairs()) * sum
            }
        }
    }

    /// `gradient` += `scale` · ∂penalty/∂x.
    ///
    /// ∂|x|/∂x is the sign of x, 0 at 0. For the orthogonal penalty, with s = 1/|xᵢ|, ∂/∂xᵢ of |uᵢ · uⱼ| is
    /// s · sign(uᵢ · uⱼ) · (uⱼ − (uᵢ · uⱼ) uᵢ).
    pub fn add_gradient<F: Scalar>(&self, x: &[F], shape: &[usize], scale: F, gradient: &mut [F]) {
        match *self {
            Self::L1(l1) => add_sign(scale * F::of(l1), x, gradient),
            Self::L2(l2) => add_scaled(scale * F::of(2.0 * l2), x, gradient),
            Self::L1L2 { l1, l2 } => {
                if l1 != 0.0 {
                    add_sign(scale * F::of(l1), x, gradient);
                }
                if l2 != 0.0 {
                    add_scaled(scale * F::of(2.0 * l2), x, gradient);
                }
            }
            Self::OrthogonalRegularizer { factor, mode } => {
                let Some(vectors) = Vectors::of(x, shape, mode) else {
                    gradient.fill(F::nan());
                    return;
                };
                let scale = scale * F::of(factor / vectors.pairs());
                vectors.each_pair(|i, j, cosine, of_i, of_j| {
                    let sign = sign(cosine);
                    for k in 0..vectors.length {
                        let (at_i, at_j) = (vectors.at(i, k), vectors.at(j, k));
                        let (u_i, u_j) = (x[at_i] * of_i.inverse, x[at_j] * of_j.inverse);
                        // A vector that is too short is divided by a constant, so that only the first term is left.
                        let (back_i, back_j) = (cosine * of_i.turns * u_i, cosine * of_j.turns * u_j);
                        gradient[at_i] += scale * sign * of_i.inverse * (u_j - back_i);
                        gradient[at_j] += scale * sign * of_j.inverse * (u_i - back_j);
                    }
                });
            }
        }
    }

    /// Whether it has a penalty for tensors of `shape`.
    ///
    /// # Errors
    /// [`Error::Option`] for a factor that is negative or not finite; [`Error::Shape`] for the orthogonal penalty of a
    /// tensor that has not two axes.
    pub fn check(&self, shape: &[usize]) -> Result<()> {
        let factor = |name, value: f64| checked(name, value, value >= 0.0, OPTION);
        match *self {
            Self::L1(l1) => factor("l1", l1),
            Self::L2(l2) => factor("l2", l2),
            Self::L1L2 { l1, l2 } => factor("l1", l1).and_then(|()| factor("l2", l2)),
            Self::OrthogonalRegularizer { factor: f, .. } => {
                factor("factor", f)?;
                match shape.len() {
                    2 => Ok(()),
                    _ => Err(Error::shape("two axes for `orthogonal_regularizer`", shape)),
                }
            }
        }
    }

    /// The regularizer in Keras's words: a name such as `"l2"`, or a class with its options.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name or an option that does not exist; [`Error::Option`] for a value that is none.
    ///
    /// # Example
    /// ```
    /// use gradus::regularizers::Regularizer;
    /// use serde_json::json;
    ///
    /// let config = json!({"class_name": "L1L2", "config": {"l1": 0.1}});
    /// assert_eq!(Regularizer::from_config(&config)?, Regularizer::L1L2 { l1: 0.1, l2: 0.0 });
    /// assert_eq!(Regularizer::from_config(&json!("l2"))?, Regularizer::L2(0.01));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn from_config(config: &Value) -> Result<Self> {
        let given = ClassConfig::read("regularizer", config)?;
        let mut regularizer: Self = given.class.parse()?;
        let options: &[&str] = match &mut regularizer {
            Self::L1(l1) => {
                *l1 = given.number("l1", *l1)?;
                &["l1"]
            }
            Self::L2(l2) => {
                *l2 = given.number("l2", *l2)?;
                &["l2"]
            }
            Self::L1L2 { l1, l2 } => {
                (*l1, *l2) = (given.number("l1", *l1)?, given.number("l2", *l2)?);
                &["l1", "l2"]
            }
            Self::OrthogonalRegularizer { factor, mode } => {
                *factor = given.number("factor", *factor)?;
                *mode = given.text("mode", mode.name())?.parse()?;
                &["factor", "mode"]
            }
        };
        given.only(options)?;
        regularizer.check(&[1, 1])?;
        Ok(regularizer)
    }

    /// The regularizer as Keras 3 saves it; [`from_config`](Self::from_config) reads it.
    ///
    /// # Example
    /// ```
    /// # use gradus::regularizers::Regularizer;
    /// assert_eq!(Regularizer::L2(0.1).to_config()["config"]["l2"], 0.1);
    /// ```
    pub fn to_config(&self) -> Value {
        let (class, options) = match *self {
            Self::L1(l1) => ("L1", json!({ "l1": l1 })),
            Self::L2(l2) => ("L2", json!({ "l2": l2 })),
            Self::L1L2 { l1, l2 } => ("L1L2", json!({ "l1": l1, "l2": l2 })),
            Self::OrthogonalRegularizer { factor, mode } => {
                ("OrthogonalRegularizer", json!({ "factor": factor, "mode": mode.name() }))
            }
        };
        class::write("regularizers", class, options)
    }
}

impl FromStr for Regularizer {
    type Err = Error;

    /// From a name of Keras's, `l2` or `L2`, with the default options.
    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "l1" | "L1" => Self::L1(0.01),
            "l2" | "L2" => Self::L2(0.01),
            "l1_l2" => Self::L1L2 { l1: 0.01, l2: 0.01 },
            "l1l2" | "L1L2" => Self::L1L2 { l1: 0.0, l2: 0.0 },
            "orthogonal_regularizer" | "OrthogonalRegularizer" => {
                Self::OrthogonalRegularizer { factor: 0.01, mode: OrthogonalMode::Rows }
            }
            _ => return Err(Error::unknown("regularizer", name, NAMES)),
        })
    }
}

impl OrthogonalMode {
    fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Columns => "columns",
        }
    }
}

impl FromStr for OrthogonalMode {
    type Err = Error;

    /// From Keras's `rows` and `columns`.
    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::Rows, Self::Columns];
        all.into_iter().find(|m| m.name() == name).ok_or_else(|| Error::unknown("mode", name, all.map(Self::name)))
    }
}

/// The rows or columns of a matrix.
struct Vectors<'a, F> {
    x: &'a [F],
    count: usize,
    length: usize,
    /// From one vector to the next, and from a value of a vector to the next.
    steps: (usize, usize),
}

/// What a vector is multiplied by to have length 1.
#[derive(Clone, Copy)]
struct Scale<F> {
    inverse: F,
    /// 1, or 0 for a vector so short that it keeps another length.
    turns: F,
}

impl<'a, F: Scalar> Vectors<'a, F> {
    fn of(x: &'a [F], shape: &[usize], mode: OrthogonalMode) -> Option<Self> {
        let &[rows, columns] = shape else { return None };
        Some(match mode {
            OrthogonalMode::Rows => Self { x, count: rows, length: columns, steps: (columns, 1) },
            OrthogonalMode::Columns => Self { x, count: columns, length: rows, steps: (1, columns) },
        })
    }

    fn at(&self, vector: usize, k: usize) -> usize {
        vector * self.steps.0 + k * self.steps.1
    }

    fn dot(&self, i: usize, j: usize) -> F {
        (0..self.length).map(|k| self.x[self.at(i, k)] * self.x[self.at(j, k)]).sum()
    }

    fn scale(&self, i: usize) -> Scale<F> {
        let length = self.dot(i, i).sqrt();
        let shortest = F::of(SHORTEST);
        if length > shortest {
            Scale { inverse: length.recip(), turns: F::one() }
        } else {
            Scale { inverse: shortest.recip(), turns: F::zero() }
        }
    }

    /// Calls `f(i, j, uᵢ · uⱼ, scales of i and j)` for all i < j.
    fn each_pair(&self, mut f: impl FnMut(usize, usize, F, Scale<F>, Scale<F>)) {
        for i in 0..self.count {
            let of_i = self.scale(i);
            for j in i + 1..self.count {
                let of_j = self.scale(j);
                f(i, j, self.dot(i, j) * of_i.inverse * of_j.inverse, of_i, of_j);
            }
        }
    }

    /// The number of pairs, at least 1.
    fn pairs(&self) -> f64 {
        let n = self.count as f64;
        (n * (n - 1.0) / 2.0).max(1.0)
    }
}

/// 1, 0 or −1.
fn sign<F: Scalar>(x: F) -> F {
    if x == F::zero() { x } else { x.signum() }
}

fn add_sign<F: Scalar>(scale: F, x: &[F], gradient: &mut [F]) {
    for (g, &x) in gradient.iter_mut().zip(x) {
        *g += scale * sign(x);
    }
}

fn add_scaled<F: Scalar>(scale: F, x: &[F], gradient: &mut [F]) {
    for (g, &x) in gradient.iter_mut().zip(x) {
        *g += scale * x;
    }
}

fn absolute_sum<F: Scalar>(x: &[F]) -> F {
    F::of(sum(x, f64::abs))
}

fn square_sum<F: Scalar>(x: &[F]) -> F {
    F::of(sum(x, |x| x * x))
}

/// Σ f(x) in `f64`, in sixteen sums that the processor adds side by side.
#[inline]
fn sum<F: Scalar>(x: &[F], f: impl Fn(f64) -> f64) -> f64 {
    let (lanes, rest) = x.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for x in lanes {
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum += f(x.f64());
        }
    }
    sums.into_iter().sum::<f64>() + rest.iter().map(|&x| f(x.f64())).sum::<f64>()
}

impl crate::config::Setting for Regularizer {
    fn to_value(&self) -> Value {
        self.to_config()
    }
    fn from_value(value: &Value) -> Result<Self> {
        Self::from_config(value)
    }
}
