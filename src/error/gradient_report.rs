//! What a comparison of gradients with differences found.

use std::fmt;

use super::show;

/// A gradient as the backward pass has it, beside the difference quotient.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Where in the tensor; none for the derivative along a random direction.
    pub index: Option<Vec<usize>>,
    /// What the backward pass says.
    pub analytic: f64,
    /// What the central difference says.
    pub numeric: f64,
    /// The error that is allowed: relative to the tensor's largest gradient, and the rounding of the difference.
    pub allowed: f64,
}

impl Comparison {
    /// |analytic − numeric|
    pub fn error(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }

    /// Whether the error is within what is allowed; NaN is not.
    pub fn agrees(&self) -> bool {
        self.error() <= self.allowed
    }

    /// How bad it is: above 1 is wrong.
    pub(crate) fn badness(&self) -> f64 {
        let ratio = self.error() / self.allowed;
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.index {
            Some(index) => write!(f, "at {}", show(index))?,
            None => write!(f, "along a random direction")?,
        }
        let Self { analytic, numeric, allowed, .. } = self;
        write!(f, ": analytic {analytic:.9e}, numeric {numeric:.9e}, error {:.1e}, allowed {allowed:.1e}", self.error())
    }
}

/// One tensor's gradient compared with differences.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorReport {
    /// `input`, or a parameter's path.
    pub name: String,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// How many elements were looked at: all, or of a large tensor a sample.
    pub checked: usize,
    /// At how many of them the function has a kink, so that there is nothing to compare with.
    pub kinks: usize,
    /// The element with the largest error in proportion to what is allowed; none if there were only kinks.
    pub worst: Option<Comparison>,
    /// Of a large tensor also the derivative along one random direction, in which every element takes part.
    pub direction: Option<Comparison>,
}

impl TensorReport {
    /// Whether all that was compared agrees.
    pub fn passes(&self) -> bool {
        self.worst.iter().chain(&self.direction).all(Comparison::agrees)
    }

    /// Whether more than a quarter of the elements sit on kinks, so that little was compared: choose other inputs.
    pub fn mostly_kinks(&self) -> bool {
        4 * self.kinks > self.checked
    }
}

impl fmt::Display for TensorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.shape.iter().product();
        write!(f, "{} {}: {} of {total} elements", self.name, show(&self.shape), self.checked)?;
        match self.kinks {
            0 => (),
            1 => write!(f, ", 1 on a kink")?,
            kinks => write!(f, ", {kinks} on kinks")?,
        }
        if self.mostly_kinks() {
            write!(f, " (more than a quarter: choose inputs away from them)")?;
        }
        let found = self.worst.iter().map(|worst| ("worst ", worst)).chain(self.direction.iter().map(|d| ("", d)));
        for (what, comparison) in found {
            let verdict = if comparison.agrees() { "" } else { "  <- WRONG" };
            write!(f, "\n    {what}{comparison}{verdict}")?;
        }
        Ok(())
    }
}

/// What a check of gradients found: every tensor, with its worst element.
///
/// Its `Display` is what [`Error::Gradient`](crate::Error::Gradient) shows:
///
/// ```
/// use gradus::check::check_gradients;
/// use gradus::custom::*;
///
/// // A derivative that has lost its factor.
/// let wrong = Activation::Custom(CustomActivation::new("square", |x| x * x, |x| x));
/// let refused = check_gradients(wrong, &array![[1.0, 3.0]]).unwrap_err();
/// assert!(refused.to_string().contains("input (1, 2): 2 of 2 elements\n    worst at (0, 1): analytic "));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GradientReport {
    /// What was checked.
    pub subject: String,
    /// Inputs first, then parameters.
    pub tensors: Vec<TensorReport>,
}

impl GradientReport {
    /// Whether every tensor agrees.
    pub fn passes(&self) -> bool {
        self.tensors.iter().all(TensorReport::passes)
    }

    /// The report, or if a tensor does not agree the error that holds it.
    pub(crate) fn into_result(self) -> crate::Result<Self> {
        if self.passes() { Ok(self) } else { Err(crate::Error::Gradient(Box::new(self))) }
    }
}

impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passes() { "agree with" } else { "differ from" };
        write!(f, "gradients of {} {verdict} central differences", self.subject)?;
        for tensor in &self.tensors {
            write!(f, "\n  {tensor}")?;
        }
        Ok(())
    }
}
