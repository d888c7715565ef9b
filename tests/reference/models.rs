//! Whole models: some training steps from given weights.

use gradus::config::Setting;
use gradus::prelude::*;
use ndarray::Axis;
use serde_json::{Value, json};

use super::case::{Case, Results, Stop};

pub fn run<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let registry = Registry::<F>::standard();
    let config = &case.config;
    let mut model = Model::<F>::from_config(&config["model"], &registry)?;
    let losses = config["loss"].as_array().cloned().unwrap_or_else(|| vec![config["loss"].clone()]);
    let weights = config["loss_weights"].as_array().cloned().unwrap_or_default();
    let outputs: Vec<Value> = losses
        .iter()
        .enumerate()
        .map(|(i, loss)| json!({ "loss": loss, "weight": weights.get(i).unwrap_or(&Value::Null) }))
        .collect();
    model
        .compile(Compile::from_config(&json!({ "optimizer": config["optimizer"], "outputs": outputs }), &registry)?)?;
    let given: Vec<(String, ArrayD<F>)> =
        case.below("param.").into_iter().map(|(name, value)| (name.replacen('.', "/", 1), value)).collect();
    model.set_weights(given.iter().map(|(path, value)| (path, value)))?;

    let inputs = scaled_inputs::<F>(case);
    let (targets, sample_weights) = (case.several::<F>("y_true"), case.several::<F>("sample_weight"));
    let rows = |value: &Value| -> Vec<usize> { Vec::from_value(value).unwrap() };
    let class_weights: Vec<(usize, f64)> = config["class_weight"]
        .as_object()
        .map(|weights| weights.iter().map(|(k, v)| (k.parse().unwrap(), v.as_f64().unwrap())).collect())
        .unwrap_or_default();

    let mut results = Results::new();
    let mut loss_by_step = Vec::new();
    for (step, batch) in config["batches"].as_array().unwrap().iter().enumerate() {
        let batch = rows(batch);
        let take = |arrays: &[ArrayD<F>]| arrays.iter().map(|array| array.select(Axis(0), &batch)).collect::<Vec<_>>();
        let (x, y, w) = (take(&inputs), take(&targets), take(&sample_weights));
        let weights = || w.iter().fold(Fit::new().class_weight(class_weights.iter().copied()), Fit::sample_weight);
        if step == 0 {
            for (path, grad) in model.gradients_on_batch(x.as_slice(), y.as_slice(), weights())? {
                results.insert(format!("grad0.{}", path.replace('/', ".")), grad);
            }
        }
        let options = weights().batch_size(batch.len()).shuffle(false).verbose(0);
        loss_by_step.push(F::of(model.fit(x.as_slice(), y.as_slice(), options)?.get("loss")[0]));
    }
    results.insert("output.loss".into(), Array1::from(loss_by_step).into_dyn());
    for (path, weight) in model.get_weights() {
        results.insert(format!("output.final.{}", path.replace('/', ".")), weight);
    }
    let predict = rows(&config["predict"]);
    let x: Vec<ArrayD<F>> = inputs.iter().map(|array| array.select(Axis(0), &predict)).collect();
    let predictions = model.predict_all(x.as_slice())?;
    let single = predictions.len() == 1;
    for (i, prediction) in predictions.into_iter().enumerate() {
        results.insert(if single { "output.predict".into() } else { format!("output.predict.{i}") }, prediction);
    }
    Ok(results)
}

/// Images come as bytes and are seen as 0 to 1.
fn scaled_inputs<F: Scalar>(case: &Case) -> Vec<ArrayD<F>> {
    let bytes = case.find::<F>("input").is_some() && case.is_bytes("input");
    let scale = if bytes { F::of(255.0) } else { F::one() };
    case.several::<F>("input").into_iter().map(|input| input.mapv(|x| x / scale)).collect()
}
