//! Thousands of programs that nobody would write: layers of every class with options that may be absurd, in chains and
//! graphs, losses, metrics, optimizers and data that need not fit, every call. Each answers with a value or an error: none
//! panics, none aborts, in processes that have little memory.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use gradus::config::Config;
use gradus::custom::*;
use serde_json::{Value, json};

use super::child;
use super::dice::Dice;

/// Programs a child runs.
const PROGRAMS: u64 = 1000;
/// No program may take longer.
const MOST_TIME: Duration = Duration::from_secs(60);

/// What no option is meant to be.
fn absurd(dice: &mut Dice) -> Value {
    match dice.below(24) {
        0 => json!(0),
        1 => json!(-1),
        2 => json!(1u64 << 31),
        3 => json!(1u64 << 32),
        4 => json!(1u64 << 40),
        5 => json!(1u64 << 62),
        6 => json!(i64::MAX),
        7 => json!(u64::MAX),
        8 => json!(i64::MIN),
        9 => json!(65_536),
        10 => json!(1e308),
        11 => json!(-1e-320),
        12 => json!("nan"),
        13 => json!("inf"),
        14 => json!([]),
        15 => json!([0, 0]),
        16 => json!([1u64 << 40, 1u64 << 40]),
        17 => json!([-1, -1, -1, -1, -1, -1, -1, -1]),
        18 => json!("no such word"),
        19 => json!({ "class_name": "Dense", "config": { "units": u64::MAX } }),
        20 => json!({}),
        21 => Value::Null,
        22 => json!(true),
        _ => json!(2.5),
    }
}

fn word(dice: &mut Dice, of: &[&str]) -> Value {
    json!(*dice.choose(of))
}

fn number(dice: &mut Dice, low: usize, high: usize) -> Value {
    json!(low + dice.below(high - low + 1))
}

const ACTIVATIONS: [&str; 12] = [
    "relu",
    "tanh",
    "sigmoid",
    "softmax",
    "elu",
    "gelu",
    "linear",
    "softplus",
    "swish",
    "selu",
    "hard_sigmoid",
    "exponential",
];

/// A value that the option `name` may have; none to leave it at its default.
fn plausible(name: &str, dice: &mut Dice, depth: usize) -> Option<Value> {
    let flag = |dice: &mut Dice| json!(dice.once_in(2));
    Some(match name {
        "units" | "output_dim" | "input_dim" | "num_heads" | "key_dim" | "value_dim" | "head_dim" => number(dice, 1, 6),
        "filters" | "n" | "groups" | "depth_multiplier" | "num_query_heads" | "num_key_value_heads" => {
            number(dice, 1, 4)
        }
        "kernel_size" | "pool_size" | "strides" | "size" => number(dice, 1, 3),
        "dilation_rate" => number(dice, 1, 2),
        "padding" => match dice.below(3) {
            0 => number(dice, 0, 2),
            1 => json!("valid"),
            _ => json!("same"),
        },
        "cropping" => number(dice, 0, 1),
        "target_shape" => match dice.below(3) {
            0 => json!([-1]),
            1 => json!([-1, 1]),
            _ => json!([2, -1]),
        },
        "dims" => {
            let rank = 1 + dice.below(3);
            let mut dims: Vec<usize> = (1..=rank).collect();
            let (a, b) = (dice.below(rank), dice.below(rank));
            dims.swap(a, b);
            json!(dims)
        }
        "axis" | "axes" => json!(dice.below(3) as i64 - 1),
        "rate" | "dropout" | "recurrent_dropout" | "stddev" | "alpha" | "negative_slope" | "seed" => {
            json!(dice.below(10) as f64 / 10.0)
        }
        "activation" | "recurrent_activation" => word(dice, &ACTIVATIONS),
        "return_sequences" | "return_state" | "go_backwards" | "use_bias" | "mask_zero" | "reset_after"
        | "trainable" | "keepdims" | "center" | "scale" | "normalize" | "use_scale" | "nesterov" | "amsgrad"
        | "centered" | "from_logits" | "use_causal_mask" => flag(dice),
        "interpolation" => word(dice, &["nearest", "bilinear"]),
        "merge_mode" => word(dice, &["concat", "sum", "mul", "ave"]),
        "kernel_initializer" | "bias_initializer" | "recurrent_initializer" | "embeddings_initializer" => {
            word(dice, &["zeros", "ones", "glorot_uniform", "he_normal", "orthogonal", "random_normal"])
        }
        "kernel_regularizer" | "bias_regularizer" | "activity_regularizer" | "recurrent_regularizer" => {
            word(dice, &["l1", "l2", "l1_l2"])
        }
        "kernel_constraint" | "bias_constraint" => word(dice, &["max_norm", "non_neg", "unit_norm"]),
        "learning_rate" => json!(10f64.powi(-(dice.below(5) as i32))),
        "clipnorm" | "clipvalue" | "global_clipnorm" | "momentum" | "weight_decay" | "label_smoothing" | "delta" => {
            json!(0.1 + dice.below(8) as f64 / 10.0)
        }
        "num_classes" | "k" => number(dice, 1, 4),
        "num_thresholds" => number(dice, 2, 20),
        "layer" | "backward_layer" if depth < 2 => {
            let class = *dice.choose(&["Dense", "LSTM", "GRU", "Conv1D", "Dropout", "SimpleRNN", "Flatten", "Conv2D"]);
            let sizes = ["units", "filters", "kernel_size", "rate"].map(|name| (name, number(dice, 1, 3)));
            let known = options_of(class);
            let config: Config = sizes
                .into_iter()
                .filter(|(name, _)| known.iter().any(|known| known == name))
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            json!({ "class_name": class, "config": config })
        }
        "cell" | "cells" if depth < 2 => {
            let cell = |dice: &mut Dice| {
                let class = *dice.choose(&["LSTMCell", "GRUCell", "SimpleRNNCell"]);
                json!({ "class_name": class, "config": { "units": 1 + dice.below(4) } })
            };
            if name == "cell" { cell(dice) } else { json!([cell(dice), cell(dice)]) }
        }
        _ => return None,
    })
}

/// Options without which a class is none.
const REQUIRED: [&str; 14] = [
    "units",
    "filters",
    "kernel_size",
    "rate",
    "n",
    "target_shape",
    "dims",
    "output_dim",
    "input_dim",
    "num_heads",
    "key_dim",
    "layer",
    "cells",
    "stddev",
];

/// The names of a class's options, as an error about one that it has not tells them.
fn options_of(class: &str) -> Vec<String> {
    let options = json!({ "no such option": 1 });
    let refused = Registry::<f32>::standard().make_layer(class, options.as_object().unwrap());
    names_in(refused.err().map(|error| error.to_string()))
}

fn names_in(message: Option<String>) -> Vec<String> {
    let message = message.unwrap_or_default();
    let Some(list) = message.split("; there ").nth(1) else { return Vec::new() };
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All classes with the names of their options.
struct Classes {
    layers: Vec<(String, Vec<String>)>,
    losses: Vec<(String, Vec<String>)>,
    metrics: Vec<(String, Vec<String>)>,
    optimizers: Vec<(String, Vec<String>)>,
}

impl Classes {
    fn all() -> Self {
        let registry = Registry::<f32>::standard();
        let bad = json!({ "no such option": 1 });
        let bad = bad.as_object().unwrap();
        let with = |classes: Vec<&str>, options: &dyn Fn(&str) -> Vec<String>| {
            classes.into_iter().map(|class| (class.to_owned(), options(class))).collect()
        };
        let of_loss = |class: &str| names_in(registry.make_loss(class, bad).err().map(|error| error.to_string()));
        let of_optimizer =
            |class: &str| names_in(registry.make_optimizer(class, bad).err().map(|error| error.to_string()));
        let of_metric = |class: &str| {
            let outputs = json!([{ "loss": "mean_squared_error", "metrics": [{ "metric": { "class_name": class, "config": bad } }] }]);
            let compile = Compile::<f32>::from_config(
                &json!({ "optimizer": { "class_name": "SGD", "config": {} }, "outputs": outputs }),
                &registry,
            );
            names_in(compile.err().map(|error| error.to_string()))
        };
        Self {
            layers: with(registry.layer_classes(), &options_of),
            losses: with(registry.loss_classes(), &of_loss),
            metrics: with(registry.metric_classes(), &of_metric),
            optimizers: with(registry.optimizer_classes(), &of_optimizer),
        }
    }
}

/// An object of a class with some options; with `sane` none of them is absurd.
fn object(of: &(String, Vec<String>), sane: bool, dice: &mut Dice) -> (String, Config) {
    let (class, names) = of;
    let mut config = Config::new();
    for name in names {
        let required = REQUIRED.contains(&name.as_str());
        if (required || dice.once_in(3))
            && let Some(value) = plausible(name, dice, 0)
        {
            config.insert(name.clone(), value);
        }
    }
    if !sane && !names.is_empty() {
        for _ in 0..=dice.below(2) {
            let name = dice.choose(names).clone();
            config.insert(name, absurd(dice));
        }
    }
    (class.clone(), config)
}

/// How far the programs of a child came.
#[derive(Default)]
struct Reached {
    programs: u64,
    built: u64,
    fitted: u64,
    trained: u64,
    predicted: u64,
    errors: BTreeMap<&'static str, u64>,
}

impl Reached {
    fn note<T>(&mut self, what: &'static str, result: gradus::Result<T>) -> Option<T> {
        if let Err(error) = &result {
            assert!(!error.to_string().is_empty());
            *self.errors.entry(what).or_default() += 1;
        }
        result.ok()
    }
}

fn input_shape(dice: &mut Dice) -> Vec<usize> {
    let rank = 1 + dice.below(4);
    (0..rank).map(|axis| if axis + 1 == rank { 1 + dice.below(6) } else { 3 + dice.below(5) }).collect()
}

/// Values that layers of numbers and of words both take, or some that no layer takes.
fn values(shape: &[usize], rows: usize, sane: bool, dice: &mut Dice) -> ArrayD<f32> {
    let shape = [&[rows], shape].concat();
    let whole = dice.once_in(2);
    let mut array =
        ArrayD::from_shape_fn(
            shape,
            |_| {
                if whole { dice.below(2) as f32 } else { dice.below(2001) as f32 / 1000.0 - 1.0 }
            },
        );
    if !sane && !array.is_empty() {
        let bad = *dice.choose(&[f32::NAN, f32::INFINITY, -1.0, 1e30, 0.5, f32::MIN_POSITIVE, 1e9]);
        let place = dice.below(array.len());
        *array.iter_mut().nth(place).unwrap() = bad;
    }
    array
}

/// A chain, or a chain with branches, that is built step by step: what does not fit is left out again.
fn model(classes: &Classes, sane: bool, dice: &mut Dice, reached: &mut Reached) -> Option<Model> {
    let registry = Registry::<f32>::standard();
    let shape = input_shape(dice);
    let x = Input::new(shape.clone());
    let mut y = x.clone();
    let mut depth = 0;
    for _ in 0..=dice.below(7) {
        let absurd_here = !sane && dice.once_in(3);
        let (class, config) = object(dice.choose(&classes.layers), !absurd_here, dice);
        let Some(layer) = reached.note("layer", registry.make_layer(&class, &config)) else { continue };
        let next = if dice.once_in(5) {
            // A second branch: another layer, or the same again, and what joins them.
            let (class, config) = object(dice.choose(&classes.layers), true, dice);
            let Some(other) = reached.note("layer", registry.make_layer(&class, &config)) else { continue };
            let merge =
                *dice.choose(&["Add", "Concatenate", "Multiply", "Average", "Maximum", "Subtract", "Dot", "Attention"]);
            let options = if merge == "Dot" { json!({ "axes": 1 }) } else { json!({}) };
            let merge = registry.make_layer(merge, options.as_object().unwrap()).unwrap();
            let (left, right) = (y.apply(&layer), if dice.once_in(2) { y.apply(&other) } else { y.apply(&layer) });
            call(&merge, [&left, &right])
        } else {
            y.apply(&layer)
        };
        // Most programs go on with what fits; some insist.
        let built = ModelBuilder::new([&x], [&next]).build();
        if reached.note("build", built).is_some() || (!sane && dice.once_in(12)) {
            (y, depth) = (next, depth + 1);
        }
    }
    if depth == 0 || dice.once_in(4) {
        y = y.apply(Dense::new(1 + dice.below(3)));
    }
    if dice.once_in(2) {
        y = y.apply(Flatten::new()).apply(Dense::new(2));
    }
    reached.note("build", ModelBuilder::new([&x], [&y]).seed(dice.throw()).build())
}

/// What it is trained for: losses are tried until one fits.
fn compile(model: &mut Model, classes: &Classes, sane: bool, dice: &mut Dice, reached: &mut Reached) -> bool {
    let registry = Registry::<f32>::standard();
    let as_value = |(class, config): (String, Config)| json!({ "class_name": class, "config": config });
    for attempt in 0..8 {
        let optimizer = as_value(object(dice.choose(&classes.optimizers), sane || attempt > 2, dice));
        let loss = if attempt > 5 {
            json!({ "class_name": "MeanSquaredError", "config": {} })
        } else {
            as_value(object(dice.choose(&classes.losses), sane || attempt > 2, dice))
        };
        let metrics: Vec<Value> = (0..if attempt > 5 { 0 } else { dice.below(2) })
            .map(|_| json!({ "metric": as_value(object(dice.choose(&classes.metrics), sane, dice)), "weighted": dice.once_in(2) }))
            .collect();
        let outputs = json!([{ "loss": loss, "weight": 1.0, "metrics": metrics }]);
        let compile = Compile::from_config(&json!({ "optimizer": optimizer, "outputs": outputs }), &registry);
        let Some(compile) = reached.note("compile", compile) else { continue };
        if reached.note("compile", model.compile(compile)).is_some() {
            return true;
        }
    }
    false
}

fn fit_options<'a>(sane: bool, dice: &mut Dice) -> Fit<'a, f32> {
    let mut fit = Fit::new().verbose(0).batch_size(1 + dice.below(9)).epochs(1 + dice.below(2));
    if dice.once_in(4) {
        fit = fit.validation_split(0.25);
    }
    if sane {
        return fit;
    }
    match dice.below(9) {
        0 => fit.batch_size(usize::MAX),
        1 => fit.batch_size(0),
        2 => fit.validation_split(2.0),
        3 => fit.initial_epoch(usize::MAX),
        4 => fit.steps_per_epoch(usize::MAX),
        5 => fit.class_weight([(usize::MAX, 1.0)]),
        6 => fit.class_weight([(1, f64::NAN)]),
        7 => fit.validation_batch_size(0).validation_freq(0),
        _ => fit.validation_freq(usize::MAX).steps_per_epoch(0),
    }
}

/// One program from its number.
fn program(number: u64, classes: &Classes, folder: &Path, reached: &mut Reached) {
    let mut dice = Dice::new(number);
    let dice = &mut dice;
    // Half of the programs err in one place or another; the others only combine.
    let sane = dice.once_in(2);
    let Some(mut model) = model(classes, sane, dice, reached) else { return };
    reached.built += 1;
    let _ = model.summary().to_string();
    if dice.once_in(3) {
        reached.note("threads", model.set_threads(*dice.choose(&[0, 1, 2, 3, 1 << 20, usize::MAX])));
    }
    let shape: Vec<usize> = model.input_shape(0).to_vec();
    let rows = 1 + dice.below(20);
    let data_is_sane = sane || !dice.once_in(4);
    let x = values(&shape, rows, data_is_sane, dice);
    let compiled = compile(&mut model, classes, sane, dice, reached);
    if compiled {
        // Targets of the output's shape, or labels.
        let output: Vec<usize> = model.output_shape(0).to_vec();
        let labels = &output[..output.len() - 1];
        let mut fitted = false;
        for shape in [&output[..], labels, &[labels, &[1]].concat()] {
            let y = values(shape, rows, true, dice).mapv(f32::abs);
            let result = model.fit(&x, &y, fit_options(sane || fitted, dice));
            reached.note("fit", result);
            let again = model.fit(&x, &y, Fit::new().verbose(0));
            if reached.note("fit", again).is_some() && !fitted {
                fitted = true;
                reached.trained += 1;
                reached.note("evaluate", model.evaluate(&x, &y));
                reached.note("gradients", model.gradients_on_batch(&x, &y, Fit::new()));
                let wrong = values(&[7, 7], rows, true, dice);
                reached.note("fit", model.fit(&wrong, &y, Fit::new().verbose(0)));
                reached.note("evaluate", model.evaluate(&x, &wrong));
            }
        }
        // Data that the loss refuses has been at `fit` all the same.
        reached.fitted += 1;
        let path = folder.join("checkpoint");
        if reached.note("save", model.save_checkpoint(&path)).is_some() {
            reached.note("resume", model.resume(&path));
        }
    }
    let y = model.predict(&x);
    let y = reached.note("predict", y);
    reached.predicted += 1;
    let path = folder.join("model");
    if reached.note("save", model.save(&path)).is_some() {
        let loaded = Model::<f32>::load(&path).expect("what was saved is loaded");
        let again = loaded.predict(&x);
        let same = |a: &ArrayD<f32>, b: &ArrayD<f32>| {
            a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
        };
        match (y, again) {
            (Some(y), Ok(again)) => assert!(same(&y, &again), "a loaded model predicts the same"),
            (y, again) => assert_eq!(y.is_some(), again.is_ok()),
        }
        assert!(Model::<f64>::load(&path).is_err() || model.count_params() == 0, "another scalar");
    }
    let batch = *dice.choose(&[0, 1, 3, 1 << 40, usize::MAX]);
    let mut predictor = model.predictor(batch);
    let mut out = vec![0.0; model.output_shape(0).iter().product()];
    reached.note("predictor", predictor.run(x.as_slice().unwrap_or_default(), &mut out));
    let few = x.as_slice().map(|x| &x[..x.len() / rows]).unwrap_or_default();
    reached.note("predictor", predictor.run(few, &mut out));
    let names: Vec<String> = model.layer_names().into_iter().map(str::to_owned).collect();
    let name = dice.choose(&names);
    reached.note("layers", model.layer_outputs(&x, &[name, "none"]));
    reached.note("layers", model.layer_outputs(&x, &[name]));
    reached.note("layers", model.set_trainable(name, false));
}

/// The body of a child: its programs, and a line at the end. Before each it writes which it is.
#[test]
fn programs_in_a_child() {
    let Some(told) = child::told() else { return };
    let (folder, first) = told.rsplit_once(' ').unwrap();
    let (folder, first): (&Path, u64) = (Path::new(folder), first.parse().unwrap());
    let classes = Classes::all();
    assert!(classes.layers.len() > 60 && classes.losses.len() > 20 && classes.metrics.len() > 20);
    let mut reached = Reached::default();
    let mut bad = Vec::new();
    let programs = std::env::var("GRADUS_PROGRAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(PROGRAMS);
    for number in first..first + programs {
        std::fs::write(folder.join("now"), number.to_string()).unwrap();
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| program(number, &classes, folder, &mut reached)));
        if result.is_err() {
            eprintln!("in program {number}");
            bad.push(format!("program {number} panicked"));
        }
        if began.elapsed() > MOST_TIME {
            bad.push(format!("program {number} took {:?}", began.elapsed()));
        }
        reached.programs += 1;
    }
    let Reached { programs, built, fitted, trained, predicted, errors } = reached;
    println!(
        "{programs} programs, {built} built, {fitted} at `fit`, {trained} trained, {predicted} at `predict`; errors {errors:?}"
    );
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(2 * fitted >= programs && 2 * predicted >= programs, "half of them reach `fit` and `predict`");
    assert!(5 * trained >= 2 * programs, "and many learn");
}

#[test]
fn programs_that_nobody_would_write() {
    std::thread::scope(|scope| {
        for half in 0..2u64 {
            scope.spawn(move || {
                let folder = child::folder(&format!("misuse-{half}"));
                let what = format!("{} {}", folder.display(), half * PROGRAMS);
                // 6 GB of addresses, most of which nobody touches, and four minutes.
                let limits = "ulimit -v 6000000; ulimit -t 240; ulimit -c 0";
                let output = child::command("misuse::programs_in_a_child", &what, limits).output().unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let now = std::fs::read_to_string(folder.join("now")).unwrap_or_default();
                let errors = text(&output.stderr);
                let end: String = errors.chars().rev().take(20_000).collect::<Vec<_>>().into_iter().rev().collect();
                assert!(output.status.success(), "{} in program {now}: {end}", output.status);
                let out = text(&output.stdout);
                out.lines().filter(|line| line.contains("programs,")).for_each(|line| println!("{line}"));
                std::fs::remove_dir_all(&folder).unwrap();
            });
        }
    });
}
