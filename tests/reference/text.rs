//! Texts and sequences: vocabularies, padding, windows.

use gradus::config::{Configured, Setting};
use gradus::custom::*;
use gradus::data::text::{TextVectorization, Vectorizer};
use gradus::data::{PadSequences, Side, Windows};
use ndarray::Slice;
use serde_json::Value;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, name: &str) -> Result<Results<F>, Stop> {
    match name {
        "TextVectorization" => vectorization(case),
        "pad_sequences" => padding(case),
        "timeseries_dataset_from_array" => windows(case),
        _ => Err(unsupported("this preprocessing")),
    }
}

fn vectorization<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let texts = |value: &Value| Vec::<String>::from_value(value);
    let mut options = case.options();
    options.retain(|name, _| name != "vocabulary" && name != "idf_weights");
    let text = TextVectorization::from_config(&options)?;
    let vectorizer = if case.call["adapt"].is_null() {
        let given = [&case.config["vocabulary"], &case.call["vocabulary"]].into_iter().find(|value| !value.is_null());
        let weights = Option::<Vec<f64>>::from_value(&case.config["idf_weights"])?;
        text.with_vocabulary(texts(given.ok_or_else(|| unsupported("a case without vocabulary"))?)?, weights)?
    } else {
        let learned = text.adapt(&texts(&case.call["adapt"])?)?;
        if !case.call["vocabulary"].is_null() && texts(&case.call["vocabulary"])? != learned.vocabulary() {
            return Err(Stop::Refused(format!("another vocabulary: {:?}", learned.vocabulary())));
        }
        learned
    };
    // What is saved and loaded does the same.
    let vectorizer = Vectorizer::from_config(&vectorizer.to_config()?)?;
    Ok([("output".into(), vectorizer.transform::<F>(&texts(&case.call["texts"])?).into_dyn())].into())
}

fn padding<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let option = |name: &str| Some(&case.config[name]).filter(|value| !value.is_null());
    let side = |name| option(name).map_or(Ok(Side::Pre), Side::from_value);
    let value = option("value").map_or(Ok(0.0), f64::from_value)?;
    let pad = PadSequences::new()
        .maxlen(Option::<usize>::from_value(&case.config["maxlen"])?)
        .padding(side("padding")?)
        .truncating(side("truncating")?)
        .value(F::of(value));
    let steps = case.tensor::<F>("input")?;
    let mut from = 0;
    let sequences: Vec<ArrayD<F>> = case
        .tensor::<f64>("lengths")?
        .iter()
        .map(|&length| {
            let to = from + length as usize;
            let sequence = steps.slice_axis(Axis(0), Slice::from(from..to)).to_owned();
            from = to;
            sequence
        })
        .collect();
    Ok([("output".into(), pad.pad_arrays(&sequences)?.into_dyn())].into())
}

fn windows<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let mut options = case.options();
    if options.get("shuffle").is_some_and(|shuffle| shuffle == true) {
        return Err(unsupported("the order of Keras's shuffle"));
    }
    // Batches are those of `fit`.
    options.retain(|name, _| !["batch_size", "shuffle", "seed"].contains(&name.as_str()));
    let windows = Windows::from_config(&options)?;
    let inputs = case.several::<F>("input");
    if let [series, targets] = &inputs[..] {
        let (x, y) = windows.with_targets(series, targets)?;
        let targets = ["output.targets", "output.1"].map(|name| (name.into(), y.clone().into_dyn()));
        let windows = ["output", "output.0"].map(|name| (name.into(), x.clone().into_dyn()));
        return Ok(windows.into_iter().chain(targets).collect());
    }
    let [series] = &inputs[..] else { return Err(unsupported("other inputs than a series and its targets")) };
    let windows = windows.over(series)?.into_dyn();
    Ok([("output".into(), windows.clone()), ("output.0".into(), windows)].into())
}
