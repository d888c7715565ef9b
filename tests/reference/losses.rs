//! Losses: value and gradient.

use gradus::config::Config;
use gradus::prelude::*;
use ndarray::{Axis, arr0, concatenate};
use serde_json::{Value, json};

use super::case::{Case, Results, Stop, unsupported};

/// A loss by its class, with options, prediction and target as it wants them.
struct Call<F> {
    class: &'static str,
    options: Config,
    prediction: ArrayD<F>,
    target: ArrayD<F>,
    weights: Option<ArrayD<F>>,
}

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    if let Some(class) = class.strip_prefix("torch.") {
        return run_torch(case, class);
    }
    let mut options = case.options();
    let (prediction, target) = (case.tensor::<F>("y_pred")?, case.tensor::<F>("y_true")?);
    if class == "CTC" {
        options.insert("max_labels".into(), json!(target.shape()[1]));
    }
    let weights = case.find::<F>("sample_weight");
    let (output, grad) = evaluate(case, class, &options, &prediction, &target, weights.as_ref())?;
    let grad = grad.map(|grad| ("grad.y_pred".into(), grad));
    Ok([("output".into(), output)].into_iter().chain(grad).collect())
}

/// The loss's value, and its gradient where the case has one.
fn evaluate<F: Scalar>(
    case: &Case,
    class: &str,
    options: &Config,
    prediction: &ArrayD<F>,
    target: &ArrayD<F>,
    weights: Option<&ArrayD<F>>,
) -> Result<(ArrayD<F>, Option<ArrayD<F>>), Stop> {
    let loss = Registry::<F>::standard().make_loss(class, options)?;
    let weights = weights.map(|weights| View::new(weights.shape(), weights.as_slice().unwrap()));
    let reduced = loss.describe().reduction != Reduction::None;
    let output = match weights {
        _ if !reduced => loss.unreduced(prediction, target, weights)?,
        None => arr0(loss.call(prediction, target)?).into_dyn(),
        Some(weights) => arr0(loss.call_weighted(prediction, target, weights)?).into_dyn(),
    };
    if !case.has_gradients() {
        return Ok((output, None));
    }
    let upstream = case.find::<F>("grad_output").map_or(vec![F::one()], |grad| grad.iter().copied().collect());
    let grad = loss.gradient_from(prediction, target, weights, &upstream)?;
    Ok((output, Some(grad)))
}

fn run_torch<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    let Call { class: ours, options, prediction, target, weights } = from_torch::<F>(case, class)?;
    let (output, grad) = evaluate(case, ours, &options, &prediction, &target, weights.as_ref())?;
    let given = case.tensor::<F>("y_pred")?;
    let mut results: Results<F> = [("output".into(), output)].into();
    let Some(grad) = grad else { return Ok(results) };
    match class {
        // Means and variances went in side by side.
        "GaussianNLLLoss" => {
            let last = Axis(grad.ndim() - 1);
            let (means, variances) = grad.view().split_at(last, grad.len_of(last) / 2);
            let var = case.tensor::<F>("var")?;
            let mut variances = variances.to_owned();
            for axis in 0..variances.ndim() {
                if var.shape().get(axis).is_none_or(|&len| len == 1 && variances.shape()[axis] != 1) {
                    variances = variances.sum_axis(Axis(axis)).insert_axis(Axis(axis));
                }
            }
            results.insert("grad.y_pred".into(), means.to_owned());
            results.insert("grad.var".into(), reshaped(variances, var.shape()));
        }
        "CTCLoss" if given.shape() != grad.shape() => {
            let frames_first = grad.permuted_axes(vec![1, 0, 2]);
            results.insert("grad.y_pred".into(), frames_first.as_standard_layout().into_owned());
        }
        _ => drop(results.insert("grad.y_pred".into(), reshaped(grad, given.shape()))),
    }
    Ok(results)
}

/// The same values in the shape that the peer was given.
fn reshaped<F: Scalar>(array: ArrayD<F>, shape: &[usize]) -> ArrayD<F> {
    array.into_shape_with_order(shape).expect("as many values")
}

/// PyTorch's call in gradus's words.
fn from_torch<F: Scalar>(case: &Case, class: &str) -> Result<Call<F>, Stop> {
    let (mut prediction, mut target) = (case.tensor::<F>("y_pred")?, case.tensor::<F>("y_true")?);
    let soft = prediction.ndim() == target.ndim();
    let mut options = Config::new();
    let mut set = |name: &str, value: Value| drop(options.insert(name.into(), value));
    let mut weights = None;
    let ours = match class {
        "MSELoss" => "MeanSquaredError",
        "L1Loss" => "MeanAbsoluteError",
        "HuberLoss" => "Huber",
        "SmoothL1Loss" => "SmoothL1",
        "KLDivLoss" => "KLDivergence",
        "PoissonNLLLoss" => "PoissonNLL",
        "HingeEmbeddingLoss" => "HingeEmbedding",
        "BCELoss" | "BCEWithLogitsLoss" => "BernoulliNLL",
        "GaussianNLLLoss" => "GaussianNLL",
        "CrossEntropyLoss" | "NLLLoss" => "NLL",
        "CTCLoss" => "CTC",
        _ => return Err(unsupported("no such loss")),
    };
    let classes = ours == "NLL";
    match ours {
        "BernoulliNLL" => set("from_logits", json!(class == "BCEWithLogitsLoss")),
        "NLL" => {
            set("from_logits", json!(class == "CrossEntropyLoss"));
            set("soft_targets", json!(soft));
            if !soft {
                set("ignore_class", json!(-100));
            }
        }
        "GaussianNLL" => {
            let mut var = case.tensor::<F>("var")?;
            while var.ndim() < prediction.ndim() {
                let last = Axis(var.ndim());
                var = var.insert_axis(last);
            }
            let var = var.broadcast(prediction.raw_dim()).expect("a variance for each").to_owned();
            let last = Axis(prediction.ndim() - 1);
            prediction = concatenate(last, &[prediction.view(), var.view()]).unwrap();
        }
        "CTC" => {
            (prediction, target) = ctc(case, prediction, &target);
            set("lengths", json!(true));
            set("max_labels", json!(target.shape()[1] - 1));
            set("per_label", json!(true)); // as PyTorch's mean does
        }
        "KLDivergence" => {
            set("from_log", json!(true));
            set("per_element", json!(true));
        }
        _ => set("per_element", json!(true)),
    }
    for (name, value) in case.options() {
        match (name.as_str(), value.as_str()) {
            ("reduction", Some("batchmean")) => {
                // A value a sample: its elements in one row.
                let rows = |array: ArrayD<F>| {
                    let rows = array.shape()[0];
                    let len = array.len() / rows;
                    array.into_shape_with_order(vec![rows, len]).unwrap()
                };
                (prediction, target) = (rows(prediction), rows(target));
                set("per_element", json!(false));
            }
            ("reduction", Some("mean")) => (),
            ("reduction", _) => {
                set("reduction", value);
                if ours == "CTC" {
                    set("per_label", json!(false));
                }
            }
            ("weight", _) if classes => set("class_weight", value),
            ("weight", _) => {
                let weight: Vec<F> = value.as_array().unwrap().iter().map(|w| F::of(w.as_f64().unwrap())).collect();
                let weight = ArrayD::from_shape_vec(vec![weight.len()], weight).unwrap();
                weights = Some(weight.broadcast(prediction.raw_dim()).unwrap().to_owned());
            }
            ("ignore_index", _) => {
                if !soft {
                    set("ignore_class", value);
                }
            }
            ("eps", _) => set("epsilon", value),
            (
                "delta" | "beta" | "log_target" | "log_input" | "full" | "margin" | "pos_weight" | "label_smoothing",
                _,
            ) => {
                set(&name, value);
            }
            ("blank" | "zero_infinity", _) => set(&name, value),
            _ => return Err(unsupported(format!("option `{name}`"))),
        }
    }
    Ok(Call { class: ours, options, prediction, target, weights })
}

/// Frames by sample, and targets that begin with their number of frames and are filled up with the blank.
fn ctc<F: Scalar>(case: &Case, prediction: ArrayD<F>, targets: &ArrayD<F>) -> (ArrayD<F>, ArrayD<F>) {
    let blank = F::of(case.config["blank"].as_f64().unwrap_or(0.0));
    let counts = |name: &str| -> Option<Vec<usize>> {
        case.find::<f64>(name).map(|counts| counts.iter().map(|&count| count as usize).collect())
    };
    let target_lengths = counts("target_lengths");
    let samples = target_lengths.as_ref().map_or(targets.shape()[0], Vec::len);
    // PyTorch's order is (time, batch, classes).
    let frames_first = prediction.shape()[1] == samples;
    let prediction = if frames_first {
        prediction.permuted_axes(vec![1, 0, 2]).as_standard_layout().into_owned()
    } else {
        prediction
    };
    let frames = prediction.shape()[1];
    let input_lengths = counts("input_lengths").unwrap_or_else(|| vec![frames; samples]);
    let target_lengths = target_lengths.unwrap_or_else(|| vec![targets.shape()[1]; samples]);
    let longest = *target_lengths.iter().max().unwrap();
    let mut rows = ArrayD::from_elem(vec![samples, 1 + longest], blank);
    let mut start = 0;
    for (row, (&labels, &frames)) in target_lengths.iter().zip(&input_lengths).enumerate() {
        rows[[row, 0]] = F::of(frames as f64);
        for label in 0..labels {
            // One after another, or a row a sample.
            rows[[row, 1 + label]] = if targets.ndim() == 1 { targets[[start + label]] } else { targets[[row, label]] };
        }
        start += labels;
    }
    (prediction, rows)
}
