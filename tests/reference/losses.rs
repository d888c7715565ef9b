//! Losses: value and gradient.

use gradus::prelude::*;
use ndarray::arr0;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    if class.starts_with("torch.") {
        return Err(unsupported("PyTorch's losses"));
    }
    let loss = Registry::<F>::standard().make_loss(class, &case.options())?;
    let (prediction, target) = (case.tensor::<F>("y_pred"), case.tensor::<F>("y_true"));
    let weights = case.find::<F>("sample_weight");
    let weights = weights.as_ref().map(|weights| View::new(weights.shape(), weights.as_slice().unwrap()));
    let reduced = loss.describe().reduction != Reduction::None;
    let output = match weights {
        _ if !reduced => loss.unreduced(&prediction, &target, weights)?,
        None => arr0(loss.call(&prediction, &target)?).into_dyn(),
        Some(weights) => arr0(loss.call_weighted(&prediction, &target, weights)?).into_dyn(),
    };
    let upstream = case.find::<F>("grad_output").map_or(vec![F::one()], |grad| grad.iter().copied().collect());
    let grad = loss.gradient_from(&prediction, &target, weights, &upstream)?;
    Ok([("output".into(), output), ("grad.y_pred".into(), grad)].into())
}
