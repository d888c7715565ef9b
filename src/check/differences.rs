//! Central differences of a function of several tensors, and their comparison with gradients.

use rand::Rng;

use crate::error::{Comparison, GradientReport, TensorReport};
use crate::{Result, random};

/// The step in proportion to an element. Errors by Taylor, h²·f‴/6, and by rounding, 10⁻¹⁶·f/h, are then alike.
const STEP: f64 = 1e-5;

/// One-sided slopes that differ by more than this part of the largest gradient are looked at again with a smaller step.
const SUSPICIOUS: f64 = 1e-3;

/// How close to look, and at how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closeness {
    /// The error that is allowed, in proportion to the tensor's largest gradient.
    pub tolerance: f64,
    /// Of a tensor with more elements than this, a sample of so many is compared.
    pub sample: usize,
    pub seed: u64,
}

/// A tensor to differentiate by: where the function is looked at, and the gradient that is claimed.
pub(super) struct Variable {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
    pub analytic: Vec<f64>,
}

/// Writes the terms whose sum is the function, for these values of the variables. Differences are taken term by term,
/// so that what does not change leaves no rounding behind.
pub(super) type Terms<'a> = dyn FnMut(&[Vec<f64>], &mut Vec<f64>) -> Result<()> + 'a;

/// Compares the gradients of all variables with differences.
pub(super) fn compare(
    subject: String,
    variables: &[Variable],
    closeness: Closeness,
    terms: &mut Terms<'_>,
) -> Result<GradientReport> {
    let values: Vec<Vec<f64>> = variables.iter().map(|variable| variable.values.clone()).collect();
    let mut probe = Probe { values, middle: Vec::new(), right: Vec::new(), left: Vec::new(), terms };
    (probe.terms)(&probe.values, &mut probe.middle)?;
    let mut tensors = Vec::with_capacity(variables.len());
    for (number, variable) in variables.iter().enumerate() {
        tensors.push(compare_tensor(&mut probe, number, variable, closeness)?);
    }
    Ok(GradientReport { subject, tensors })
}

fn compare_tensor(
    probe: &mut Probe<'_, '_>,
    number: usize,
    variable: &Variable,
    closeness: Closeness,
) -> Result<TensorReport> {
    let len = variable.values.len();
    let mut rng = random::rng(closeness.seed, &variable.name);
    let elements: Vec<usize> = if len <= closeness.sample {
        (0..len).collect()
    } else {
        // Without repetition: one from each of as many stretches of the tensor.
        let stretch = |i: usize| i * len / closeness.sample;
        (0..closeness.sample).map(|i| rng.random_range(stretch(i)..stretch(i + 1))).collect()
    };
    let slopes: Vec<Slopes> =
        elements.iter().map(|&i| probe.slopes(number, Direction::Element(i), STEP)).collect::<Result<_>>()?;
    let analytic = elements.iter().map(|&i| variable.analytic[i]);
    let scale = slopes.iter().map(|slopes| slopes.central).chain(analytic).map(f64::abs).fold(0.0, f64::max);
    let mut report = TensorReport {
        name: variable.name.clone(),
        shape: variable.shape.clone(),
        checked: elements.len(),
        kinks: 0,
        worst: None,
        direction: None,
    };
    let allowed = closeness.tolerance * scale;
    for (&i, &first) in elements.iter().zip(&slopes) {
        let analytic = variable.analytic[i];
        match probe.settle(number, Direction::Element(i), first, analytic, scale, allowed)? {
            None => report.kinks += 1,
            Some((numeric, allowed)) => {
                let found = Comparison { index: Some(place(i, &variable.shape)), analytic, numeric, allowed };
                if report.worst.as_ref().is_none_or(|worst| found.badness() > worst.badness()) {
                    report.worst = Some(found);
                }
            }
        }
    }
    if len > closeness.sample {
        let direction: Vec<f64> = (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
        let parts = variable.analytic.iter().zip(&direction).map(|(a, d)| a * d);
        let (analytic, norm) = (parts.clone().sum::<f64>(), parts.map(|part| part * part).sum::<f64>().sqrt());
        let along = Direction::All(&direction);
        let first = probe.slopes(number, along, STEP)?;
        let scale = norm.max(first.central.abs());
        let settled = probe.settle(number, along, first, analytic, scale, closeness.tolerance * scale)?;
        report.direction = settled.map(|(numeric, allowed)| Comparison { index: None, analytic, numeric, allowed });
    }
    Ok(report)
}

/// The index of an element along each axis.
fn place(mut element: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, &axis) in index.iter_mut().zip(shape).rev() {
        *at = element % axis;
        element /= axis;
    }
    index
}

/// Where to step.
#[derive(Clone, Copy)]
enum Direction<'a> {
    Element(usize),
    All(&'a [f64]),
}

/// The slopes of the function at a point.
#[derive(Clone, Copy, Debug)]
struct Slopes {
    central: f64,
    /// |right − left|: 2h·f″ where the function is smooth.
    gap: f64,
    /// What rounding may have done to them.
    noise: f64,
}

/// The function at a point, to be looked at around it.
struct Probe<'a, 'b> {
    values: Vec<Vec<f64>>,
    middle: Vec<f64>,
    right: Vec<f64>,
    left: Vec<f64>,
    terms: &'a mut Terms<'b>,
}

impl Probe<'_, '_> {
    fn slopes(&mut self, number: usize, direction: Direction<'_>, step: f64) -> Result<Slopes> {
        let at = self.values[number].clone();
        let step = match direction {
            Direction::Element(i) => step * at[i].abs().max(1.0),
            Direction::All(_) => step,
        };
        self.shift(number, &at, direction, step);
        (self.terms)(&self.values, &mut self.right)?;
        self.shift(number, &at, direction, -step);
        (self.terms)(&self.values, &mut self.left)?;
        self.values[number] = at;
        let (mut right, mut left, mut size) = (0.0, 0.0, 0.0);
        for ((r, m), l) in self.right.iter().zip(&self.middle).zip(&self.left) {
            right += r - m;
            left += m - l;
            if r != l {
                size += r.abs().max(l.abs());
            }
        }
        let noise = 8.0 * f64::EPSILON * size / step + 1e-13;
        Ok(Slopes { central: (right + left) / (2.0 * step), gap: (right - left).abs() / step, noise })
    }

    fn shift(&mut self, number: usize, at: &[f64], direction: Direction<'_>, step: f64) {
        match direction {
            Direction::Element(i) => self.values[number][i] = at[i] + step,
            Direction::All(direction) => {
                for ((value, at), d) in self.values[number].iter_mut().zip(at).zip(direction) {
                    *value = at + step * d;
                }
            }
        }
    }

    /// The difference to compare with and the error that is allowed; none on a kink. A kink that is only near, within
    /// the first step but not within a smaller one, is stepped around.
    fn settle(
        &mut self,
        number: usize,
        direction: Direction<'_>,
        first: Slopes,
        analytic: f64,
        scale: f64,
        allowed: f64,
    ) -> Result<Option<(f64, f64)>> {
        let agrees = |slopes: &Slopes| (slopes.central - analytic).abs() <= allowed + slopes.noise;
        if agrees(&first) && first.gap <= SUSPICIOUS * scale + first.noise {
            return Ok(Some((first.central, allowed + first.noise)));
        }
        let (mut before, mut step, mut kink) = (first, STEP, false);
        for _ in 0..2 {
            step /= 10.0;
            let now = self.slopes(number, direction, step)?;
            // Where the function is smooth the gap shrinks with the step.
            kink = now.gap > 0.3 * before.gap && now.gap > SUSPICIOUS * scale + 2.0 * now.noise;
            if !kink && agrees(&now) {
                return Ok(Some((now.central, allowed + now.noise)));
            }
            before = now;
        }
        Ok((!kink).then_some((first.central, allowed + first.noise)))
    }
}
