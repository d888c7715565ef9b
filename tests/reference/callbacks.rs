//! Callbacks, fed with given figures.

use gradus::custom::*;
use ndarray::arr0;

use super::case::{Case, Results, Stop, unsupported};

/// Passes an epoch's given figure on to `EarlyStopping`, and keeps each epoch's weights.
struct Replay<'a> {
    stopping: &'a mut EarlyStopping<f64>,
    monitor: String,
    values: Vec<f64>,
    weights: Vec<f64>,
    epochs_run: usize,
}

impl Callback<f64> for Replay<'_> {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, f64>) -> gradus::Result<()> {
        self.stopping.on_train_begin(state)
    }
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, f64>, _: &Logs) -> gradus::Result<()> {
        let mut logs = Logs::default();
        logs.insert(self.monitor.clone(), self.values[state.epoch]);
        self.weights.push(state.model().weight("dense/kernel")?[[0, 0]]);
        self.epochs_run = state.epoch + 1;
        self.stopping.on_epoch_end(state, &logs)
    }
    fn on_train_end(&mut self, state: &mut EpochState<'_, f64>) -> gradus::Result<()> {
        self.stopping.on_train_end(state)
    }
}

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    match class {
        "EarlyStopping" => early_stopping(case),
        "ReduceLROnPlateau" => reduce_on_plateau(case),
        _ => Err(unsupported("this callback")),
    }
}

/// Passes an epoch's given figure on, and keeps the rate after each epoch.
struct Rates {
    reduce: ReduceLROnPlateau,
    monitor: String,
    values: Vec<f64>,
    after: Vec<f64>,
}

impl Callback<f64> for Rates {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, f64>) -> gradus::Result<()> {
        self.reduce.on_train_begin(state)
    }
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, f64>, _: &Logs) -> gradus::Result<()> {
        let mut logs = Logs::default();
        logs.insert(self.monitor.clone(), self.values[state.epoch]);
        self.reduce.on_epoch_end(state, &logs)?;
        self.after.push(state.learning_rate());
        Ok(())
    }
}

fn mode(value: &serde_json::Value) -> Monitor {
    match value.as_str() {
        Some("min") => Monitor::Min,
        Some("max") => Monitor::Max,
        _ => Monitor::Auto,
    }
}

/// With the metric that is monitored, which says whether more of it is better.
fn watching(monitor: &str, model: Sequential<f64>) -> Sequential<f64> {
    match monitor.strip_prefix("val_").unwrap_or(monitor) {
        "accuracy" => model.metric(Accuracy::new()),
        _ => model,
    }
}

fn reduce_on_plateau<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let values: Vec<f64> = case.tensor::<f64>("input")?.iter().copied().collect();
    let (mut reduce, mut monitor) = (ReduceLROnPlateau::new(), "val_loss".to_owned());
    for (name, value) in case.options() {
        let number = value.as_f64().unwrap_or(0.0);
        reduce = match name.as_str() {
            "monitor" => {
                monitor = value.as_str().unwrap_or_default().into();
                reduce.monitor(monitor.clone())
            }
            "factor" => reduce.factor(number),
            "patience" => reduce.patience(number as usize),
            "min_delta" => reduce.min_delta(number),
            "cooldown" => reduce.cooldown(number as usize),
            "min_lr" => reduce.min_lr(number),
            "mode" => reduce.mode(mode(&value)),
            "verbose" => reduce,
            _ => return Err(unsupported(format!("option `{name}`"))),
        };
    }
    let rate = case.call["learning_rate"].as_f64().unwrap_or(0.01);
    let model = Sequential::f64().input([1]).add(Dense::new(1));
    let mut model =
        watching(&monitor, model.compile(MeanSquaredError::new(), SGD::new().learning_rate(rate))).build()?;
    let epochs = values.len();
    let mut rates = Rates { reduce, monitor, values, after: Vec::new() };
    // A prediction that is right already: nothing moves, however large the rate.
    let fit = Fit::new().epochs(epochs).verbose(0).callback(&mut rates);
    model.fit(&array![[0.0f64]], &array![[0.0f64]], fit)?;
    let after: Array1<F> = rates.after.iter().map(|&rate| F::of(rate)).collect();
    Ok([("output".into(), after.into_dyn())].into())
}

fn early_stopping<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let values: Vec<f64> = case.tensor::<f64>("input")?.iter().copied().collect();
    let (mut stopping, mut monitor) = (EarlyStopping::<f64>::default(), "val_loss".to_owned());
    for (name, value) in case.options() {
        let number = || value.as_f64().unwrap_or(0.0);
        stopping = match name.as_str() {
            "monitor" => {
                monitor = value.as_str().unwrap_or_default().into();
                stopping.monitor(monitor.clone())
            }
            "patience" => stopping.patience(number() as usize),
            "min_delta" => stopping.min_delta(number()),
            "baseline" if value.is_null() => stopping,
            "baseline" => stopping.baseline(number()),
            "start_from_epoch" => stopping.start_from_epoch(number() as usize),
            "restore_best_weights" => stopping.restore_best_weights(value.as_bool().unwrap_or(false)),
            "mode" => stopping.mode(mode(&value)),
            _ => return Err(unsupported(format!("option `{name}`"))),
        };
    }
    let model = Sequential::f64().input([1]).add(Dense::new(1).use_bias(false));
    let mut model = watching(&monitor, model.compile(MeanSquaredError::new(), SGD::new())).build()?;
    let epochs = values.len();
    let mut replay = Replay { stopping: &mut stopping, monitor, values, weights: Vec::new(), epochs_run: 0 };
    let fit = Fit::new().epochs(epochs).verbose(0).callback(&mut replay);
    model.fit(&array![[1.0f64]], &array![[50.0f64]], fit)?;
    let now = model.weight("dense/kernel")?[[0, 0]];
    let weights_epoch = replay.weights.iter().position(|&weight| weight == now).expect("the weights of some epoch");
    let epochs_run = replay.epochs_run;
    let number = |value: usize| arr0(F::of(value as f64)).into_dyn();
    Ok([
        ("output.stopped_epoch".into(), number(stopping.stopped_epoch().unwrap_or(0))),
        ("output.epochs_run".into(), number(epochs_run)),
        ("output.best_epoch".into(), number(stopping.best_epoch())),
        ("output.best".into(), arr0(F::of(stopping.best().unwrap_or(f64::NAN))).into_dyn()),
        ("output.weights_epoch".into(), number(weights_epoch)),
    ]
    .into())
}
