//! What a model was compiled for, in Keras's words, and the state of its optimizer.

use serde_json::{Value, json};

use super::super::Model;
use super::super::compile::{Compile, Compiled};
use super::super::registry::Registry;
use super::super::saving::compile_config;
use super::places::{Place, snake_case};
use super::words::earlier_optimizer;
use crate::config::{self, Config};
use crate::error::show;
use crate::formats::hdf5::{Content, Dataset, Group};
use crate::formats::safetensors::Tensor;
use crate::optimizers::Driver;
use crate::schedules::LearningRate;
use crate::{Error, Result, Scalar};

/// Short words of Keras's for losses and metrics.
const SHORT: [(&str, &str); 9] = [
    ("mse", "mean_squared_error"),
    ("mae", "mean_absolute_error"),
    ("mape", "mean_absolute_percentage_error"),
    ("msle", "mean_squared_logarithmic_error"),
    ("bce", "binary_crossentropy"),
    ("kld", "kl_divergence"),
    ("kullback_leibler_divergence", "kl_divergence"),
    ("logcosh", "log_cosh"),
    ("acc", "accuracy"),
];

/// What a configuration of Keras says the model was compiled for.
pub(super) fn compile<F: Scalar>(keras: &Value, outputs: &[String], registry: &Registry<F>) -> Result<Compile<F>> {
    let optimizer = keras.get("optimizer").or_else(|| keras.get("optimizer_config")).unwrap_or(&Value::Null);
    let (class, mut options) = config::class_and_config(optimizer)?;
    options.remove("name");
    earlier_optimizer(&mut options);
    let losses = for_outputs(keras.get("loss"), outputs, true)?;
    let weights = for_outputs(keras.get("loss_weights"), outputs, true)?;
    let metrics = for_outputs(keras.get("metrics"), outputs, false)?;
    let weighted = for_outputs(keras.get("weighted_metrics"), outputs, false)?;
    let mut described = Vec::new();
    for output in 0..outputs.len() {
        let loss = object(&losses[output], "loss", &registry.loss_classes())?;
        let mut watched = Vec::new();
        for (given, weighted) in [(&metrics[output], false), (&weighted[output], true)] {
            let list = given.as_array().cloned().unwrap_or_else(|| vec![given.clone()]);
            for metric in list.iter().filter(|metric| !metric.is_null()) {
                let metric = object(metric, "metric", &registry.metric_classes())?;
                watched.push(json!({ "metric": metric, "weighted": weighted }));
            }
        }
        described.push(json!({ "loss": loss, "weight": weights[output], "metrics": watched }));
    }
    Compile::from_config(&json!({ "optimizer": config::object(&class, options), "outputs": described }), registry)
}

/// What is given for each output: by the outputs' names, as a list, or once. One thing for all only where `shared`.
fn for_outputs(given: Option<&Value>, outputs: &[String], shared: bool) -> Result<Vec<Value>> {
    let count = outputs.len();
    match given {
        None | Some(Value::Null) => Ok(vec![Value::Null; count]),
        Some(Value::Object(by_name)) if !by_name.contains_key("class_name") => {
            if let Some(other) = by_name.keys().find(|name| !outputs.contains(name)) {
                return Err(Error::unknown("output", other, outputs.iter().cloned()));
            }
            Ok(outputs.iter().map(|name| by_name.get(name).cloned().unwrap_or_default()).collect())
        }
        // Of one output a list may be its own, or hold that.
        Some(Value::Array(list)) if count == 1 && !shared && !list.iter().any(Value::is_array) => Ok(vec![json!(list)]),
        Some(Value::Array(list)) if list.len() == count => Ok(list.clone()),
        Some(one) if count == 1 || (shared && !one.is_array()) => Ok(vec![one.clone(); count]),
        Some(other) => Err(Error::option("compile", format!("something for each of {count} outputs"), other)),
    }
}

/// A loss or a metric of a name such as `mse`, of an object, or of what Keras writes for a function.
fn object(given: &Value, what: &'static str, classes: &[&str]) -> Result<Value> {
    let name = match given {
        Value::String(name) => name.as_str(),
        Value::Object(fields) if fields.get("class_name").and_then(Value::as_str) == Some("function") => {
            fields.get("config").and_then(Value::as_str).unwrap_or_default()
        }
        _ => {
            let (class, mut options) = config::class_and_config(given)?;
            // What all of Keras's have, and what says nothing here.
            for option in ["name", "dtype"].into_iter().filter(|_| what == "loss") {
                options.remove(option);
            }
            options.remove("dtype");
            return Ok(config::object(&class, options));
        }
    };
    let long = SHORT.iter().find(|(short, _)| *short == name.to_lowercase()).map_or(name, |(_, long)| long);
    let class = classes.iter().find(|class| **class == long || snake_case(class) == long);
    let class = class.ok_or_else(|| Error::unknown(what, name, classes.iter().copied()))?;
    Ok(config::object(class, Config::new()))
}

/// In which order Keras has an optimizer's arrays: one for each weight, or several in turn.
fn is_in_turn(class: &str, arrays: usize) -> bool {
    arrays <= 1 || (arrays == 2 && ["Adam", "AdamW", "Adamax", "Adadelta", "Ftrl", "Lamb"].contains(&class))
}

/// Takes up an optimizer's state, if the file has one in the form that is known.
///
/// # Errors
/// Why not; the driver is then as it was.
pub(super) fn read_state<F: Scalar>(driver: &mut Driver<F>, places: &[Place], optimizer: &Group<'_>) -> Result<()> {
    let vars = optimizer.group("vars")?;
    let (slots, has_rate) = slots(driver, places)?;
    let first = 1 + usize::from(has_rate);
    let (expected, received) = (first + slots.len(), vars.names().count());
    if expected != received {
        return Err(Error::data(vars.path(), format!("{expected} arrays"), received.to_string()));
    }
    let number = |at: usize| -> Result<f64> {
        let dataset = single(vars.dataset(&at.to_string())?)?;
        Ok(dataset.read()?.to_array::<f64>().first().copied().unwrap_or_default())
    };
    let steps = number(0)?;
    let rate = if has_rate { Some(number(1)?) } else { None };
    if let Some(wrong) =
        [Some(steps), rate].into_iter().flatten().find(|number| !(number.is_finite() && *number >= 0.0))
    {
        return Err(Error::data(vars.path(), "finite numbers, at least 0", wrong.to_string()));
    }
    let arrays = (first..).map(|at| vars.dataset(&at.to_string())).zip(&slots);
    let arrays = arrays.map(|(array, slot)| Ok((array?, slot))).collect::<Result<Vec<_>>>()?;
    for (array, (range, shape)) in &arrays {
        if array.shape() != shape {
            return Err(Error::data(array.path(), format!("the shape {}", show(shape)), show(array.shape())));
        }
        debug_assert_eq!(crate::tensor::volume(shape), range.len());
    }
    let read = arrays.iter().map(|(array, (range, _))| Ok((range.clone(), array.read()?.to_array::<F>())));
    for (range, values) in read.collect::<Result<Vec<_>>>()? {
        driver.state[range].iter_mut().zip(&values).for_each(|(to, &value)| *to = value);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above; a count
    let steps = steps as u64;
    driver.calls = steps;
    // Files hold it in 32 bits.
    let own = driver.learning_rate();
    driver.rate = rate.filter(|rate| (rate - own).abs() > 1e-6 * own.abs());
    Ok(())
}

fn single(dataset: Dataset<'_>) -> Result<Dataset<'_>> {
    match dataset.shape() {
        [] | [1] => Ok(dataset),
        other => Err(Error::data(dataset.path(), "a single number", show(other))),
    }
}

/// Range and shape.
type Slot = (std::ops::Range<usize>, Vec<usize>);

/// The optimizer's arrays in Keras's order; and whether the rate is a number beside them, not a schedule.
fn slots<F: Scalar>(driver: &Driver<F>, places: &[Place]) -> Result<(Vec<Slot>, bool)> {
    let (class, _) = driver.optimizer().describe().unwrap_or_default();
    let mut slots = Vec::new();
    for place in places.iter().filter(|place| place.trains && !place.copy) {
        let own: Vec<_> = driver.state_arrays().filter(|(weight, _)| *weight == place.name).collect();
        if !is_in_turn(&class, own.len()) {
            let expected = "an optimizer whose arrays have Keras's order";
            return Err(Error::data("optimizer", expected, format!("{class} with {} arrays a weight", own.len())));
        }
        slots.extend(own.into_iter().map(|(_, array)| (array.range.clone(), array.shape.clone())));
    }
    let has_rate = matches!(driver.optimizer().options().learning_rate, LearningRate::Constant(_));
    Ok((slots, has_rate))
}

/// Puts an optimizer's state beside the weights, where Keras has the same.
pub(super) fn write_state<F: Scalar>(driver: &Driver<F>, places: &[Place], content: &mut Content) -> Result<()> {
    let Ok((slots, has_rate)) = slots(driver, places) else { return Ok(()) };
    let at = |number: usize| format!("optimizer/vars/{number}");
    let steps = i64::try_from(driver.steps()).unwrap_or(i64::MAX);
    content.insert(&at(0), Tensor::new(&[], vec![steps])?);
    if has_rate {
        #[allow(clippy::cast_possible_truncation)] // Keras has it in 32 bits
        let rate = driver.learning_rate() as f32;
        content.insert(&at(1), Tensor::new(&[], vec![rate])?);
    }
    for (number, (range, shape)) in slots.into_iter().enumerate() {
        let values = driver.state[range].to_vec();
        content.insert(&at(1 + usize::from(has_rate) + number), Tensor::new(&shape, values)?);
    }
    Ok(())
}

/// Losses that Keras does not have, and options that it does not have of those that it has.
const OTHER_LOSSES: [&str; 6] = ["BernoulliNLL", "GaussianNLL", "HingeEmbedding", "NLL", "PoissonNLL", "SmoothL1"];
const OTHER_OPTIONS: [&str; 14] = [
    "per_element",
    "from_log",
    "log_target",
    "blank",
    "max_labels",
    "lengths",
    "per_label",
    "zero_infinity",
    "learning_rate_multipliers",
    "decoupled_weight_decay",
    "maximize",
    "epsilon_after_correction",
    "epsilon_in_root",
    "dampening",
];

/// The options that are not at their defaults, which are Keras's; none if Keras has one of them not.
fn of_keras(mut options: Config, usual: &Config) -> Option<Config> {
    options.retain(|name, value| usual.get(name) != Some(value));
    (!options.keys().any(|name| OTHER_OPTIONS.contains(&name.as_str()))).then_some(options)
}

/// `{"class_name": …, "config": …}` as Keras writes it.
fn within(module: &str, class: &str, options: Config) -> Value {
    let mut object = config::object(class, options);
    object["module"] = json!(module);
    object["registered_name"] = Value::Null;
    object
}

fn loss<F: Scalar>(own: &Value, registry: &Registry<F>) -> Option<Value> {
    let (class, options) = config::class_and_config(own).ok()?;
    if OTHER_LOSSES.contains(&class.as_str()) {
        return None;
    }
    let usual = registry.make_loss(&class, &Config::new()).ok()?.describe().config?;
    Some(within("keras.losses", &class, of_keras(options, &usual)?))
}

fn optimizer<F: Scalar>(own: &Value, registry: &Registry<F>) -> Option<Value> {
    let (class, options) = config::class_and_config(own).ok()?;
    let (_, usual) = registry.make_optimizer(&class, &Config::new()).ok()?.describe()?;
    let mut options = of_keras(options, &usual)?;
    if let Some(schedule) = options.get_mut("learning_rate").filter(|rate| rate.is_object()) {
        let (class, of_schedule) = config::class_and_config(schedule).ok()?;
        *schedule = within("keras.optimizers.schedules", &class, of_schedule);
    }
    Some(within("keras.optimizers", &class, options))
}

fn metric<F: Scalar>(own: &Value, registry: &Registry<F>) -> Option<Value> {
    let (class, mut options) = config::class_and_config(own).ok()?;
    options.retain(|_, value| !value.is_null());
    // Only by this name does Keras choose by the loss.
    if class == "accuracy" {
        return Some(json!(class));
    }
    registry.metric_classes().contains(&class.as_str()).then(|| within("keras.metrics", &class, options))
}

/// What a model was compiled for, in Keras's form; none if that has no words.
pub(super) fn export<F: Scalar>(model: &Model<F>) -> Option<Value> {
    let compiled: &Compiled<F> = model.compiled.as_ref()?;
    let own = compile_config(compiled)?;
    let registry = Registry::<F>::standard();
    let outputs = own["outputs"].as_array()?;
    let losses: Option<Vec<Value>> = outputs.iter().map(|output| loss(&output["loss"], &registry)).collect();
    let weights: Vec<Value> = outputs.iter().map(|output| output["weight"].clone()).collect();
    let metrics = |weighted: bool| -> Option<Vec<Value>> {
        let of = |output: &Value| {
            let all = output["metrics"].as_array().cloned().unwrap_or_default();
            let some = all.iter().filter(|watched| watched["weighted"].as_bool() == Some(weighted));
            some.map(|watched| metric(&watched["metric"], &registry)).collect::<Option<Value>>()
        };
        outputs.iter().map(of).collect()
    };
    let one = |mut list: Vec<Value>| if list.len() == 1 { list.remove(0) } else { Value::Array(list) };
    let weights = if weights.iter().all(|weight| weight.as_f64() == Some(1.0)) { Value::Null } else { one(weights) };
    Some(json!({
        "optimizer": optimizer(&own["optimizer"], &registry)?, "loss": one(losses?), "loss_weights": weights,
        "metrics": one(metrics(false)?), "weighted_metrics": one(metrics(true)?),
        "run_eagerly": false, "steps_per_execution": 1, "jit_compile": false,
    }))
}
