//! Metrics, updated batch by batch.

use gradus::config::Configured;
use gradus::custom::*;
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
        "CosineSimilarity" => track::<F, CosineSimilarityMetric>(case),
        "AUC" => track::<F, AUC>(case),
        "BinaryIoU" => track::<F, BinaryIoU>(case),
        "ConcordanceCorrelation" => track::<F, ConcordanceCorrelation>(case),
        "F1Score" => track::<F, F1Score>(case),
        "FBetaScore" => track::<F, FBetaScore>(case),
        "FalseNegatives" => track::<F, FalseNegatives>(case),
        "FalsePositives" => track::<F, FalsePositives>(case),
        "IoU" => track::<F, IoU>(case),
        "MeanIoU" => track::<F, MeanIoU>(case),
        "OneHotIoU" => track::<F, OneHotIoU>(case),
        "OneHotMeanIoU" => track::<F, OneHotMeanIoU>(case),
        "PearsonCorrelation" => track::<F, PearsonCorrelation>(case),
        "Precision" => track::<F, Precision>(case),
        "PrecisionAtRecall" => track::<F, PrecisionAtRecall>(case),
        "R2Score" => track::<F, R2Score>(case),
        "Recall" => track::<F, Recall>(case),
        "RecallAtPrecision" => track::<F, RecallAtPrecision>(case),
        "RootMeanSquaredError" => track::<F, RootMeanSquaredError>(case),
        "SensitivityAtSpecificity" => track::<F, SensitivityAtSpecificity>(case),
        "SpecificityAtSensitivity" => track::<F, SpecificityAtSensitivity>(case),
        "TrueNegatives" => track::<F, TrueNegatives>(case),
        "TruePositives" => track::<F, TruePositives>(case),
        "BinaryCrossentropy" => track::<F, LossMetric<BinaryCrossentropy>>(case),
        "CategoricalCrossentropy" => track::<F, LossMetric<CategoricalCrossentropy>>(case),
        "CategoricalHinge" => track::<F, LossMetric<CategoricalHinge>>(case),
        "Hinge" => track::<F, LossMetric<Hinge>>(case),
        "KLDivergence" => track::<F, LossMetric<KLDivergence>>(case),
        "MeanAbsolutePercentageError" => track::<F, LossMetric<MeanAbsolutePercentageError>>(case),
        "MeanSquaredLogarithmicError" => track::<F, LossMetric<MeanSquaredLogarithmicError>>(case),
        "Poisson" => track::<F, LossMetric<Poisson>>(case),
        "SparseCategoricalCrossentropy" => track::<F, LossMetric<SparseCategoricalCrossentropy>>(case),
        "SquaredHinge" => track::<F, LossMetric<SquaredHinge>>(case),
        "LogCoshError" => track::<F, LossMetric<LogCosh>>(case),
        _ => Err(unsupported("this metric")),
    }
}

fn track<F: Scalar, M: Metric<F> + Configured>(case: &Case) -> Result<Results<F>, Stop> {
    let metric = M::from_config(&case.options())?;
    let (prediction, target) = (case.tensor::<F>("y_pred")?, case.tensor::<F>("y_true")?);
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
    metric.check(&prediction.shape()[1..], &target.shape()[1..])?;
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
    let output = match metric.results(&state)[..] {
        // One class alone is a list for Keras where a value a class is asked for.
        [one] if case.find::<F>("output").is_some_and(|output| output.shape() == [1]) => array![F::of(one)].into_dyn(),
        [one] => arr0(F::of(one)).into_dyn(),
        ref several => several.iter().map(|&figure| F::of(figure)).collect::<Array1<F>>().into_dyn(),
    };
    Ok([("output".into(), output)].into())
}
