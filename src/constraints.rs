//! What weights are held to after every update.
//!
//! Source: Keras 3, `keras.constraints`.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::config::class::{self, ClassConfig, checked};
use crate::{Error, Result, Scalar};

/// A projection of the weights, made after an optimizer's update.
///
/// A norm |w| is that of all weights which differ in their places on `axis` only: for a Dense kernel (inputs, units) and
/// axis 0, one norm a unit; for a convolution kernel (kh, kw, in, out), `[0, 1, 2]` gives one a filter. ε = 10⁻⁷, so that
/// a norm is missed by that much, as in Keras.
///
/// | name | w becomes | default |
/// | --- | --- | --- |
/// | `max_norm` | w · min(\|w\|, `max_value`) / (ε + \|w\|) | 2, axis 0 |
/// | `non_neg` | max(w, 0) | |
/// | `unit_norm` | w / (ε + \|w\|) | axis 0 |
/// | `min_max_norm` | w · (rate · clip(\|w\|, `min_value`, `max_value`) + (1 − rate) · \|w\|) / (ε + \|w\|) | 0, 1, 1, axis 0 |
///
/// # Example
/// ```
/// use gradus::constraints::Constraint;
///
/// let mut kernel = [3.0f64, 0.3, 4.0, 0.4]; // (2, 2): columns of length 5 and 0.5
/// Constraint::MaxNorm { max_value: 1.0, axis: vec![0] }.apply(&mut kernel, &[2, 2]);
/// assert!((kernel[0] - 0.6).abs() < 1e-6 && (kernel[2] - 0.8).abs() < 1e-6);
/// assert!((kernel[1] - 0.3).abs() < 1e-6 && (kernel[3] - 0.4).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constraint {
    /// Norms of at most `max_value`.
    MaxNorm {
        /// The largest norm. Default: 2.
        max_value: f64,
        /// The axes a norm goes over; −1 is the last. Default: 0.
        axis: Vec<isize>,
    },
    /// No weight below 0.
    NonNeg,
    /// Norms of 1.
    UnitNorm {
        /// The axes a norm goes over; −1 is the last. Default: 0.
        axis: Vec<isize>,
    },
    /// Norms within bounds, or a step towards them.
    MinMaxNorm {
        /// The smallest norm. Default: 0.
        min_value: f64,
        /// The largest norm. Default: 1.
        max_value: f64,
        /// How much of the way: 1 goes all of it. Default: 1.
        rate: f64,
        /// The axes a norm goes over; −1 is the last. Default: 0.
        axis: Vec<isize>,
    },
}

const NAMES: [&str; 4] = ["max_norm", "non_neg", "unit_norm", "min_max_norm"];
const EPSILON: f64 = 1e-7;

impl Constraint {
    /// Projects `w`, the weights of a parameter of `shape`, row-major.
    ///
    /// Nothing is allocated for the first axis, the last, or a row of axes up to either. An axis that the shape has not
    /// is passed over; [`check`](Self::check) refuses it.
    pub fn apply<F: Scalar>(&self, w: &mut [F], shape: &[usize]) {
        let clip = |norm: F, min: f64, max: f64| norm.max(F::of(min)).min(F::of(max));
        match self {
            Self::NonNeg => {
                for w in w {
                    // Not `max`, which would make 0 of a NaN.
                    if *w < F::zero() {
                        *w = F::zero();
                    }
                }
            }
            Self::MaxNorm { max_value, axis } => rescale(w, shape, axis, |norm| clip(norm, 0.0, *max_value)),
            Self::UnitNorm { axis } => rescale(w, shape, axis, |_| F::one()),
            Self::MinMaxNorm { min_value, max_value, rate, axis } => rescale(w, shape, axis, |norm| {
                F::of(*rate) * clip(norm, *min_value, *max_value) + F::of(1.0 - rate) * norm
            }),
        }
    }

    /// Whether it can hold a parameter of `shape`.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside its range, or an axis that the shape has not or that is named twice.
    ///
    /// # Example
    /// ```
    /// # use gradus::constraints::Constraint;
    /// let filters = Constraint::UnitNorm { axis: vec![0, 1, 2] };
    /// assert!(filters.check(&[3, 3, 16, 32]).is_ok());
    /// assert!(filters.check(&[784, 128]).is_err());
    /// ```
    pub fn check(&self, shape: &[usize]) -> Result<()> {
        self.check_values()?;
        let axes = self.axes();
        let n = shape.len();
        for (i, &axis) in axes.iter().enumerate() {
            let at = resolve(axis, n);
            if at.is_none() || axes[..i].iter().any(|&other| resolve(other, n) == at) {
                let expected = format!("different axes of a parameter {}", crate::error::show(shape));
                return Err(Error::option("axis", expected, format!("{axes:?}")));
            }
        }
        Ok(())
    }

    fn check_values(&self) -> Result<()> {
        match *self {
            Self::MaxNorm { max_value, .. } => checked("max_value", max_value, max_value >= 0.0, "at least 0"),
            Self::NonNeg | Self::UnitNorm { .. } => Ok(()),
            Self::MinMaxNorm { min_value, max_value, rate, .. } => {
                checked("min_value", min_value, min_value >= 0.0, "at least 0")?;
                checked("max_value", max_value, max_value >= min_value, "at least `min_value`")?;
                checked("rate", rate, (0.0..=1.0).contains(&rate), "in 0..=1")
            }
        }
    }

    fn axes(&self) -> &[isize] {
        match self {
            Self::NonNeg => &[],
            Self::MaxNorm { axis, .. } | Self::UnitNorm { axis } | Self::MinMaxNorm { axis, .. } => axis,
        }
    }

    /// The constraint in Keras's words: a name such as `"max_norm"`, or a class with its options.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name or an option that does not exist; [`Error::Option`] for a value that is none.
    ///
    /// # Example
    /// ```
    /// use gradus::constraints::Constraint;
    /// use serde_json::json;
    ///
    /// let config = json!({"class_name": "UnitNorm", "config": {"axis": [0, 1, 2]}});
    /// assert_eq!(Constraint::from_config(&config)?, Constraint::UnitNorm { axis: vec![0, 1, 2] });
    /// assert_eq!(Constraint::from_config(&json!("non_neg"))?, Constraint::NonNeg);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn from_config(config: &Value) -> Result<Self> {
        let given = ClassConfig::read("constraint", config)?;
        let mut constraint: Self = given.class.parse()?;
        let options: &[&str] = match &mut constraint {
            Self::NonNeg => &[],
            Self::MaxNorm { max_value, .. } => {
                *max_value = given.number("max_value", *max_value)?;
                &["max_value", "axis"]
            }
            Self::UnitNorm { .. } => &["axis"],
            Self::MinMaxNorm { min_value, max_value, rate, .. } => {
                *min_value = given.number("min_value", *min_value)?;
                *max_value = given.number("max_value", *max_value)?;
                *rate = given.number("rate", *rate)?;
                &["min_value", "max_value", "rate", "axis"]
            }
        };
        given.only(options)?;
        if let Some(value) = given.get("axis") {
            let whole = |v: &Value| v.as_i64().and_then(|v| isize::try_from(v).ok());
            let given: Option<Vec<isize>> = match value {
                Value::Array(axes) => axes.iter().map(whole).collect(),
                one => whole(one).map(|axis| vec![axis]),
            };
            let given = given.ok_or_else(|| Error::option("axis", "a whole number or a list of them", value))?;
            if let Self::MaxNorm { axis, .. } | Self::UnitNorm { axis } | Self::MinMaxNorm { axis, .. } =
                &mut constraint
            {
                *axis = given;
            }
        }
        constraint.check_values()?;
        Ok(constraint)
    }

    /// The constraint as Keras 3 saves it; [`from_config`](Self::from_config) reads it.
    ///
    /// # Example
    /// ```
    /// # use gradus::constraints::Constraint;
    /// assert_eq!(Constraint::NonNeg.to_config()["class_name"], "NonNeg");
    /// ```
    pub fn to_config(&self) -> Value {
        let axis = match self.axes() {
            &[one] => json!(one),
            many => json!(many),
        };
        let (class, options) = match self {
            Self::NonNeg => ("NonNeg", json!({})),
            Self::MaxNorm { max_value, .. } => ("MaxNorm", json!({ "max_value": max_value, "axis": axis })),
            Self::UnitNorm { .. } => ("UnitNorm", json!({ "axis": axis })),
            Self::MinMaxNorm { min_value, max_value, rate, .. } => {
                let options = json!({ "min_value": min_value, "max_value": max_value, "rate": rate, "axis": axis });
                ("MinMaxNorm", options)
            }
        };
        class::write("constraints", class, options)
    }
}

impl FromStr for Constraint {
    type Err = Error;

    /// From a name of Keras's, `max_norm` or `MaxNorm`, with the default options.
    fn from_str(name: &str) -> Result<Self> {
        let axis = vec![0];
        Ok(match name {
            "max_norm" | "MaxNorm" => Self::MaxNorm { max_value: 2.0, axis },
            "non_neg" | "NonNeg" => Self::NonNeg,
            "unit_norm" | "UnitNorm" => Self::UnitNorm { axis },
            "min_max_norm" | "MinMaxNorm" => Self::MinMaxNorm { min_value: 0.0, max_value: 1.0, rate: 1.0, axis },
            _ => return Err(Error::unknown("constraint", name, NAMES)),
        })
    }
}

/// An axis counted from the front, if there is such a one among `n`.
fn resolve(axis: isize, n: usize) -> Option<usize> {
    let at = if axis < 0 { n.checked_sub(axis.unsigned_abs()) } else { usize::try_from(axis).ok() };
    at.filter(|&at| at < n)
}

/// Multiplies the weights under each norm by `desired`(norm) / (ε + norm).
fn rescale<F: Scalar>(w: &mut [F], shape: &[usize], axis: &[isize], desired: impl Fn(F) -> F) {
    if w.is_empty() {
        return;
    }
    let n = shape.len();
    let over = |at: usize| axis.iter().any(|&a| resolve(a, n) == Some(at));
    // Axes of a kind in a row are one axis: (outer …) kept, (middle …) summed, (inner …) kept.
    let outer = (0..n).take_while(|&at| !over(at)).count();
    let middle = (outer..n).take_while(|&at| over(at)).count();
    if (outer + middle..n).any(over) {
        return rescale_any(w, shape, over, desired);
    }
    let inner: usize = shape[outer + middle..].iter().product();
    let length: usize = shape[outer..outer + middle].iter().product();
    for block in w.chunks_exact_mut(length * inner) {
        for start in 0..inner {
            let norm = block[start..].iter().step_by(inner).map(|&w| w * w).sum::<F>().sqrt();
            let factor = desired(norm) / (F::of(EPSILON) + norm);
            block[start..].iter_mut().step_by(inner).for_each(|w| *w *= factor);
        }
    }
}

/// [`rescale`] for axes that are not in a row.
fn rescale_any<F: Scalar>(w: &mut [F], shape: &[usize], over: impl Fn(usize) -> bool, desired: impl Fn(F) -> F) {
    // The place of a weight's norm: its place in a tensor where the axes summed over have length 1.
    let place = |mut index: usize| {
        let (mut place, mut step) = (0, 1);
        for (at, &size) in shape.iter().enumerate().rev() {
            if !over(at) {
                place += index % size * step;
                step *= size;
            }
            index /= size;
        }
        place
    };
    let kept = (0..shape.len()).filter(|&at| !over(at)).map(|at| shape[at]).product();
    let mut factors = vec![F::zero(); kept];
    for (index, &w) in w.iter().enumerate() {
        factors[place(index)] += w * w;
    }
    for factor in &mut factors {
        let norm = factor.sqrt();
        *factor = desired(norm) / (F::of(EPSILON) + norm);
    }
    for (index, w) in w.iter_mut().enumerate() {
        *w *= factors[place(index)];
    }
}

impl crate::config::Setting for Constraint {
    fn to_value(&self) -> Value {
        self.to_config()
    }
    fn from_value(value: &Value) -> Result<Self> {
        Self::from_config(value)
    }
}
