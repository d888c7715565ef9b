//! How far two clouds of points lie apart, each taken for a normal distribution.

use ndarray::{Array1, Array2, ArrayRef, Axis, Ix2};

use crate::{Error, Result, Scalar};

/// The squared Fréchet distance of two samples, each taken for a normal distribution: with means μ and covariances Σ
/// (divided by n − 1)
///
/// ```text
/// d² = ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2·tr (Σ_a Σ_b)^½
/// ```
///
/// On features of a classifier it measures generated images against real ones: 0 for the same distribution. The last
/// trace is Σ √λ over the eigenvalues of Σ_a^½ Σ_b Σ_a^½, which is symmetric. Computed in `f64`.
///
/// # Shapes
/// (samples, features) each; the numbers of samples may differ.
/// # Errors
/// If the features are not as many, one sample has fewer than two rows, or a number is not finite.
/// # Example
/// ```
/// use gradus::metrics::frechet_distance;
/// use gradus::prelude::*;
///
/// let a = array![[0.0f64, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]];
/// assert!(frechet_distance(&a, &a)?.abs() < 1e-9);
/// assert!((frechet_distance(&a, &(&a + 3.0))? - 18.0).abs() < 1e-9); // moved by (3, 3)
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Heusel et al. (2017), "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium".
pub fn frechet_distance<F: Scalar>(a: &ArrayRef<F, Ix2>, b: &ArrayRef<F, Ix2>) -> Result<f64> {
    let call = "frechet_distance";
    if a.ncols() != b.ncols() {
        return Err(Error::data(call, format!("{} features in both samples", a.ncols()), format!("{}", b.ncols())));
    }
    for sample in [a, b] {
        if sample.nrows() < 2 {
            return Err(Error::data(call, "two rows at least in each sample", format!("{}", sample.nrows())));
        }
        if let Some(row) = sample.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
            return Err(Error::data(call, "finite numbers", format!("others in row {row}")));
        }
    }
    let ((mean_a, cov_a), (mean_b, cov_b)) = (moments(a), moments(b));
    let between = (&mean_a - &mean_b).mapv(|x| x * x).sum();
    let (values, vectors) = eigen(cov_a.clone());
    let root = (&vectors * &values.mapv(|value| value.max(0.0).sqrt())).dot(&vectors.t());
    let (values, _) = eigen(root.dot(&cov_b).dot(&root));
    let common: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
    Ok(between + cov_a.diag().sum() + cov_b.diag().sum() - 2.0 * common)
}

/// Mean and covariance.
fn moments<F: Scalar>(sample: &ArrayRef<F, Ix2>) -> (Array1<f64>, Array2<f64>) {
    let sample = sample.mapv(Scalar::f64);
    let mean = sample.sum_axis(Axis(0)) / sample.nrows() as f64;
    let centred = sample - &mean;
    let covariance = centred.t().dot(&centred) / (centred.nrows() - 1) as f64;
    (mean, covariance)
}

/// The eigenvalues of a symmetric matrix, and its eigenvectors as columns, by Jacobi's rotations: each makes one pair of
/// places off the diagonal zero, until all are small.
fn eigen(mut a: Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    const SWEEPS: usize = 60; // six or seven are enough for a hundred rows
    let n = a.nrows();
    let mut vectors = Array2::eye(n);
    let size: f64 = a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..SWEEPS {
        let off: f64 = a.indexed_iter().filter(|((i, j), _)| i != j).map(|(_, x)| x * x).sum::<f64>().sqrt();
        if off <= 1e-14 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[[p, q]] == 0.0 {
                    continue;
                }
                // The angle whose rotation of rows and columns p and q makes a_pq zero: t = tan, the smaller root.
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let t = if theta == 0.0 { 1.0 } else { t };
                let cos = 1.0 / t.hypot(1.0);
                let sin = t * cos;
                for k in 0..n {
                    let (kp, kq) = (a[[k, p]], a[[k, q]]);
                    (a[[k, p]], a[[k, q]]) = (cos * kp - sin * kq, sin * kp + cos * kq);
                }
                for k in 0..n {
                    let (pk, qk) = (a[[p, k]], a[[q, k]]);
                    (a[[p, k]], a[[q, k]]) = (cos * pk - sin * qk, sin * pk + cos * qk);
                    let (kp, kq) = (vectors[[k, p]], vectors[[k, q]]);
                    (vectors[[k, p]], vectors[[k, q]]) = (cos * kp - sin * kq, sin * kp + cos * kq);
                }
            }
        }
    }
    (a.diag().to_owned(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn eigenvectors_make_the_matrix_again() {
        let a = Array2::from_shape_fn((9, 9), |(i, j)| ((i * j + i + j) % 7) as f64 - if i == j { 3.0 } else { 0.0 });
        let (values, vectors) = eigen(a.clone());
        let again = (&vectors * &values).dot(&vectors.t());
        assert!((&again - &a).iter().all(|x| x.abs() < 1e-12));
        assert!((vectors.t().dot(&vectors) - Array2::<f64>::eye(9)).iter().all(|x| x.abs() < 1e-12));
    }

    #[test]
    fn along_the_axes_it_is_the_distance_of_the_deviations() {
        // Diagonal covariances: d² = Σ (μ_a − μ_b)² + (σ_a − σ_b)².
        let a = array![[1.0f64, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]];
        let b = &a * &array![3.0, 0.5] + &array![1.0, -1.0];
        let deviation = (4.0f64 / 3.0).sqrt();
        let want = 2.0 + (2.0 * deviation).powi(2) + (0.5 * 2.0 * deviation).powi(2);
        assert!((frechet_distance(&a, &b).unwrap() - want).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let a = array![[1.0f32, 2.0], [3.0, 4.0]];
        assert!(frechet_distance(&a, &array![[1.0], [2.0]]).unwrap_err().to_string().contains("2 features"));
        assert!(frechet_distance(&a, &array![[1.0, 2.0]]).unwrap_err().to_string().contains("two rows"));
        let broken = array![[1.0, f32::NAN], [2.0, 3.0]];
        assert!(frechet_distance(&a, &broken).unwrap_err().to_string().contains("row 0"));
    }
}
