//! The discrete cosine transforms.

use ndarray::{Array, ArrayRef, Axis, Dimension};
use rustdct::DctPlanner;

use super::rows;
use crate::config::{options, words};
use crate::memory::room;
use crate::{Error, Result, Scalar};

/// Which of a transform and its inverse carries the factor between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// The inverse: it divides by 2n (type 1: 2(n − 1)).
    #[default]
    Backward,
    /// Both, by its root. With `orthogonalize` the transform is then a rotation.
    Ortho,
    /// The transform itself.
    Forward,
}

words!(Norm: Backward = "backward", Ortho = "ortho", Forward = "forward");

options! {
    /// The discrete cosine transform of every row, x of n values:
    ///
    /// | type | y\[k\] |
    /// | --- | --- |
    /// | 1 | x₀ + (−1)ᵏ·xₙ₋₁ + 2·Σ xⱼ·cos(π·k·j / (n − 1)), j from 1 to n − 2 |
    /// | 2 | 2·Σ xⱼ·cos(π·k·(2j + 1) / 2n) |
    /// | 3 | x₀ + 2·Σ xⱼ·cos(π·(2k + 1)·j / 2n), j from 1 |
    /// | 4 | 2·Σ xⱼ·cos(π·(2k + 1)·(2j + 1) / 4n) |
    ///
    /// With norm `ortho` it is divided by √(2n), with `forward` by 2n (type 1: n − 1 in place of n).
    ///
    /// # Shapes
    /// Any → the same, but for an axis of `n`.
    /// # Defaults
    /// `dct_type` 2, `n` the length of the axis, `axis` −1, `norm` backward, `orthogonalize` where the norm is `ortho`.
    /// # Errors
    /// A type other than 1, 2, 3, 4; an axis that the array does not have; an axis without values, or for type 1 with
    /// fewer than two.
    /// # Example
    /// ```
    /// use gradus::data::audio::{DCT, Norm};
    /// use ndarray::array;
    ///
    /// assert_eq!(DCT::new().transform(&array![1.0, 1.0])?, array![4.0, 0.0]);
    /// let rotation = DCT::new().norm(Norm::Ortho);
    /// let x = array![[3.0f64, 1.0, 2.0], [0.0, 5.0, 1.0]];
    /// let back = rotation.inverse_transform(&rotation.transform(&x)?)?;
    /// assert!((back - x).iter().all(|difference| difference.abs() < 1e-12));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// `scipy.fft.dct` and `idct`.
    pub struct DCT {
        /// Which of the four: 1 to 4. Default: 2.
        dct_type: usize = 2,
        /// To how many values the axis is cut, or filled with zeros, beforehand. Default: its length.
        n: Option<usize> = None => |n: impl Into<Option<usize>>| n.into(),
        /// The axis; negative ones count from the last. Default: −1.
        axis: isize = -1,
        /// What it is divided by. Default: backward.
        norm: Norm = Norm::Backward,
        /// Whether the values at the ends of the axis are weighed by √2, which makes the matrix of types 1 to 3
        /// orthogonal. Default: where the norm is `ortho`.
        orthogonalize: Option<bool> = None => |orthogonalize: impl Into<Option<bool>>| orthogonalize.into(),
    }
}

impl Default for DCT {
    fn default() -> Self {
        Self::new()
    }
}

impl DCT {
    /// The transform of every row.
    ///
    /// # Errors
    /// See [`DCT`].
    pub fn transform<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>) -> Result<Array<F, D>> {
        self.apply(x, self.dct_type, self.norm)
    }

    /// The way back.
    ///
    /// # Errors
    /// See [`DCT`].
    pub fn inverse_transform<F: Scalar, D: Dimension>(&self, y: &ArrayRef<F, D>) -> Result<Array<F, D>> {
        // Types 2 and 3 undo one another, 1 and 4 themselves, but for a factor.
        let opposite = match self.dct_type {
            2 => 3,
            3 => 2,
            other => other,
        };
        let norm = match self.norm {
            Norm::Backward => Norm::Forward,
            Norm::Ortho => Norm::Ortho,
            Norm::Forward => Norm::Backward,
        };
        self.apply(y, opposite, norm)
    }

    fn apply<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>, dct_type: usize, norm: Norm) -> Result<Array<F, D>> {
        if !(1..=4).contains(&dct_type) {
            return Err(Error::option("dct_type", "1, 2, 3 or 4", self.dct_type));
        }
        let rank = x.ndim();
        let axis = if self.axis < 0 { rank.checked_add_signed(self.axis) } else { self.axis.try_into().ok() };
        let Some(axis) = axis.filter(|&axis| axis < rank) else {
            return Err(Error::option("axis", format!("an axis of an array with {rank}"), self.axis));
        };
        let length = x.len_of(Axis(axis));
        let n = self.n.unwrap_or(length);
        let least = if dct_type == 1 { 2 } else { 1 };
        if n < least {
            return Err(Error::option("n", format!("at least {least} for type {dct_type}"), n));
        }
        let mut shape = x.raw_dim();
        shape[axis] = n;
        room::<[f64; 4]>("n", n, shape.slice())?;
        let mut y = Array::zeros(shape);
        for (mut to, from) in y.lanes_mut(Axis(axis)).into_iter().zip(x.lanes(Axis(axis))) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        let mut values = rows(&y, Axis(axis));
        transform_rows(&mut values, n, dct_type, norm, self.orthogonalize.unwrap_or(self.norm == Norm::Ortho));
        for (mut lane, row) in y.lanes_mut(Axis(axis)).into_iter().zip(values.chunks(n)) {
            lane.iter_mut().zip(row).for_each(|(y, &value)| *y = F::of(value));
        }
        Ok(y)
    }
}

/// A transform of one row, in place.
type Transform = Box<dyn Fn(&mut [f64])>;

/// The transform of rows of n values, in place.
fn transform_rows(rows: &mut [f64], n: usize, dct_type: usize, norm: Norm, orthogonalize: bool) {
    let whole = 2.0 * if dct_type == 1 { n - 1 } else { n } as f64;
    let factor = match norm {
        Norm::Backward => 1.0,
        Norm::Ortho => 1.0 / whole.sqrt(),
        Norm::Forward => 1.0 / whole,
    };
    // The planner's transforms lack the factor 2 of every type.
    let factor = 2.0 * factor;
    let mut planner = DctPlanner::new();
    let process: Transform = match dct_type {
        1 => {
            let plan = planner.plan_dct1(n);
            Box::new(move |row| plan.process_dct1(row))
        }
        2 => {
            let plan = planner.plan_dct2(n);
            Box::new(move |row| plan.process_dct2(row))
        }
        3 => {
            let plan = planner.plan_dct3(n);
            Box::new(move |row| plan.process_dct3(row))
        }
        _ => {
            let plan = planner.plan_dct4(n);
            Box::new(move |row| plan.process_dct4(row))
        }
    };
    let root = std::f64::consts::SQRT_2;
    for row in rows.chunks_mut(n) {
        if orthogonalize && matches!(dct_type, 1 | 3) {
            row[0] *= root;
            row[n - 1] *= if dct_type == 1 { root } else { 1.0 };
        }
        process(row);
        if orthogonalize && matches!(dct_type, 1 | 2) {
            row[0] /= root;
            row[n - 1] /= if dct_type == 1 { root } else { 1.0 };
        }
        for value in row {
            *value *= factor;
        }
    }
}
