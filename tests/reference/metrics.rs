//! Metrics, updated batch by batch.

use gradus::config::Configured;
use gradus::prelude::*;
use ndarray::{Axis, arr0};

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    match class {
        "Accuracy" => track::<F, ExactAccuracy>(case),
        "BinaryAccuracy" => track::<F, BinaryAccuracy>(case),
        "CategoricalAccuracy" => track::<F, CategoricalAccuracy>(case),
        "SparseCategoricalAccuracy" => track::<F, SparseCategoricalAccuracy>(case),
        "TopKCategoricalAccuracy" => track::<F, TopKCategoricalAccuracy>(case),
        "SparseTopKCategoricalAccuracy" => track::<F, SparseTopKCategoricalAccuracy>(case),
        "MeanSquaredError" => track::<F, MeanSquaredErrorMetric>(case),
        "MeanAbsoluteError" => track::<F, MeanAbsoluteErrorMetric>(case),
        _ => Err(unsupported("this metric")),
    }
}

fn track<F: Scalar, M: Metric<F> + Configured>(case: &Case) -> Result<Results<F>, Stop> {
    let metric = M::from_config(&case.options())?;
    let (prediction, target) = (case.tensor::<F>("y_pred"), case.tensor::<F>("y_true"));
    let weights = case.find::<F>("sample_weight");
    let all: Vec<usize> = (0..prediction.shape()[0]).collect();
    let batches: Vec<Vec<usize>> = match case.call["batches"].as_array() {
        Some(batches) => {
            let rows = |batch: &serde_json::Value| {
                batch.as_array().unwrap().iter().map(|row| row.as_u64().unwrap() as usize).collect()
            };
            batches.iter().map(rows).collect()
        }
        None => vec![all],
    };
    let mut state = M::State::default();
    for rows in batches {
        let take = |array: &ArrayD<F>| {
            let batch = array.select(Axis(0), &rows);
            (batch.shape().to_vec(), batch.iter().copied().collect::<Vec<F>>())
        };
        let ((p_shape, p), (t_shape, t)) = (take(&prediction), take(&target));
        let w = weights.as_ref().map(|weights| take(weights).1);
        metric.update(&mut state, View::new(&p_shape, &p), View::new(&t_shape, &t), w.as_deref());
    }
    Ok([("output".into(), arr0(F::of(metric.result(&state))).into_dyn())].into())
}
