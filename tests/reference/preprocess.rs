//! Preparing data.

use gradus::config::Configured;
use gradus::custom::*;
use gradus::data::preprocessing::{
    LabelEncoder, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, RobustScaler, SimpleImputer, StandardScaler,
};
use gradus::data::{self, Fold};
use ndarray::arr0;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, step: &str) -> Result<Results<F>, Stop> {
    match step {
        "train_test_split" | "validation_split" => split(case, step),
        "KFold" | "StratifiedKFold" | "GroupKFold" | "TimeSeriesSplit" => folds(case, step),
        "StandardScaler" | "MinMaxScaler" | "MaxAbsScaler" | "RobustScaler" => scaler(case, step),
        "Normalizer" => {
            // It learns nothing: a case may leave the input away that others are fitted on.
            let given = if case.has("input.1") { "input.1" } else { "input" };
            let y = Normalizer::from_config(&case.options())?.transform(&table(case, given)?)?;
            Ok([("output".into(), y.into_dyn())].into())
        }
        "SimpleImputer" => {
            let mut options = case.options();
            if options.get("missing_values").is_some_and(|value| value == "nan") {
                options.remove("missing_values");
            }
            let imputer = SimpleImputer::from_config(&options)?.fit(&table::<F>(case, "input.0")?)?;
            Ok([("output".into(), imputer.transform(&table(case, "input.1")?)?.into_dyn())].into())
        }
        "LabelEncoder" => {
            let labels = whole_numbers(&case.tensor::<f64>("input")?);
            let encoder = LabelEncoder::fit(labels.iter().copied());
            let numbers = encoder.transform(labels.iter().copied())?;
            let classes: Array1<F> = encoder.classes().iter().map(|&class| F::of(class as f64)).collect();
            let output = numbers.mapv(|number| F::of(number as f64)).into_dyn();
            Ok([("output".into(), output), ("output.classes".into(), classes.into_dyn())].into())
        }
        "OneHotEncoder" => one_hot(case),
        "Normalization" => normalization(case),
        "Rescaling" => in_a_model(Rescaling::from_config(&case.options())?, &case.tensor("input")?),
        "to_categorical" => {
            let classes = match (case.config["num_classes"].as_u64(), case.tensor::<f64>("output")) {
                (Some(classes), _) => classes as usize,
                // Keras counts to the greatest label; here the number is always said.
                (None, Ok(output)) => output.shape().last().copied().unwrap_or_default(),
                (None, Err(_)) => return Err(unsupported("classes that are not counted")),
            };
            let labels = case.tensor::<f64>("input")?.mapv(|label| label as i64);
            Ok([("output".into(), data::to_categorical_f64(&labels, classes)?.mapv(F::of).into_dyn())].into())
        }
        _ => Err(unsupported("this step")),
    }
}

fn table<F: Scalar>(case: &Case, name: &str) -> Result<Array2<F>, Stop> {
    case.tensor(name)?.into_dimensionality().map_err(|_| unsupported("another input than a table"))
}

fn whole_numbers(values: &ArrayD<f64>) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}

/// A scaler as saved and loaded, with what it learned by the peer's names.
fn scaler<F: Scalar>(case: &Case, step: &str) -> Result<Results<F>, Stop> {
    let (train, other) = (table::<F>(case, "input.0")?, table::<F>(case, "input.1")?);
    let mut results = Results::new();
    macro_rules! run {
        ($scaler:ident, $($learned:literal as $told:literal),*) => {{
            let fitted = $scaler::from_config(&case.options())?.fit(&train)?.to_config();
            let scaler = $scaler::from_config(&fitted)?;
            let z = scaler.transform(&other)?;
            results.insert("output.inverse".into(), scaler.inverse_transform(&z)?.into_dyn());
            results.insert("output".into(), z.into_dyn());
            $({
                let values = fitted[$learned].as_array().expect("a list");
                let values: Array1<F> = values.iter().map(|v| F::of(v.as_f64().unwrap_or(f64::NAN))).collect();
                results.insert($told.into(), values.into_dyn());
            })*
        }};
    }
    match step {
        "StandardScaler" => {
            run!(StandardScaler, "mean" as "output.mean", "variance" as "output.var", "scale" as "output.scale");
        }
        "MinMaxScaler" => {
            run!(MinMaxScaler, "data_min" as "output.data_min", "data_max" as "output.data_max");
            // scikit-learn's z = x · scale + min.
            let [low, high] = match case.options().get("feature_range") {
                Some(range) => [0, 1].map(|end| F::of(range[end].as_f64().unwrap_or(0.0))),
                None => [F::zero(), F::one()],
            };
            let (least, greatest) = (&results["output.data_min"], &results["output.data_max"]);
            let range = (greatest - least).mapv(|range| if range == F::zero() { F::one() } else { range });
            let scale = range.mapv(|range| (high - low) / range);
            let min = (least * &scale).mapv(|product| low - product);
            results.insert("output.scale".into(), scale);
            results.insert("output.min".into(), min);
        }
        "MaxAbsScaler" => {
            run!(MaxAbsScaler, "max_abs" as "output.scale");
            let scale = results["output.scale"].mapv(|scale| if scale == F::zero() { F::one() } else { scale });
            results.insert("output.scale".into(), scale);
        }
        _ => run!(RobustScaler, "center" as "output.center", "scale" as "output.scale"),
    }
    Ok(results)
}

/// The layer in a model, fitted on the first input where statistics are not given.
fn normalization<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let mut layer = Normalization::from_config(&case.options())?;
    let inputs = case.several::<F>("input");
    let (Some(fitted_on), Some(x)) = (inputs.first(), inputs.last()) else { return Err(unsupported("no input")) };
    if !case.options().contains_key("mean") {
        layer = layer.adapt(fitted_on)?;
    }
    in_a_model(layer, x)
}

/// What a model of this layer alone makes of the input; of a single axis, each value is a sample.
fn in_a_model<F: Scalar, L: Layer<F> + 'static>(layer: L, x: &ArrayD<F>) -> Result<Results<F>, Stop> {
    let rows = if x.ndim() == 1 { x.clone().insert_axis(Axis(1)) } else { x.clone() };
    let input = Input::of::<F>(rows.shape()[1..].to_vec());
    let model = ModelBuilder::new([&input], [&input.apply(layer)]).build()?;
    let y = model.predict(&rows)?;
    Ok([("output".into(), if x.ndim() == 1 { y.remove_axis(Axis(1)) } else { y })].into())
}

fn one_hot<F: Scalar>(case: &Case) -> Result<Results<F>, Stop> {
    let whole = |name: &str| Ok::<_, Stop>(table::<f64>(case, name)?.mapv(|value| value as i64));
    let mut encoder = OneHotEncoder::new();
    for (name, value) in case.options() {
        encoder = match (name.as_str(), value.as_str()) {
            ("drop", Some("first")) => encoder.drop_first(true),
            ("handle_unknown", Some(word)) => encoder.ignore_unknown(word == "ignore"),
            ("sparse_output", _) => encoder,
            _ => return Err(unsupported(format!("option `{name}`"))),
        };
    }
    let y = encoder.fit(&whole("input.0")?)?.transform(&whole("input.1")?)?;
    Ok([("output".into(), y.mapv(F::of).into_dyn())].into())
}

fn number<F: Scalar>(name: &str, value: usize) -> (String, ArrayD<F>) {
    (name.into(), arr0(F::of(value as f64)).into_dyn())
}

/// What `input` says: the number of rows, or a label a row, as `y_true` does.
fn rows(case: &Case) -> Result<(usize, Vec<i64>), Stop> {
    let given = if case.has("y_true") { "y_true" } else { "input" };
    let given = whole_numbers(&case.tensor(given)?);
    Ok((if given.len() == 1 { given[0] as usize } else { given.len() }, given))
}

/// How many of `rows` have each label, by ascending labels.
fn counts<F: Scalar>(name: &str, labels: &[i64], rows: &[usize]) -> (String, ArrayD<F>) {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let count = |class: &i64| F::of(rows.iter().filter(|&&row| labels[row] == *class).count() as f64);
    (name.into(), classes.iter().map(count).collect::<Array1<F>>().into_dyn())
}

fn split<F: Scalar>(case: &Case, step: &str) -> Result<Results<F>, Stop> {
    let (n, labels) = rows(case)?;
    let config = case.options();
    if step == "validation_split" {
        let (train, validation) = data::validation_split(n, config["validation_split"].as_f64().unwrap_or(0.0))?;
        return Ok([
            number("output.train_size", train.len()),
            number("output.validation_size", validation.len()),
            number("output.validation_first", validation.start),
        ]
        .into());
    }
    let fraction = test_fraction(&config, n)?;
    let stratify = labels.len() > 1 && (config.contains_key("stratify") || case.call.get("stratify").is_some());
    let (train, test) = if config.get("shuffle").is_some_and(|shuffle| shuffle == false) {
        // The last rows test, as the last rows validate; half a row less is cut off where that one rounds.
        let test = (n as f64 * fraction).ceil();
        let (train, test) = data::validation_split(n, (test - 0.5) / n as f64)?;
        (train.collect(), test.collect())
    } else if stratify {
        data::stratified_split(&labels, fraction, 0)?
    } else {
        data::train_test_split(n, fraction, 0)?
    };
    let mut results: Results<F> =
        [number("output.train_size", train.len()), number("output.test_size", test.len())].into();
    results.insert("output.train".into(), as_numbers(&train));
    results.insert("output.test".into(), as_numbers(&test));
    if labels.len() > 1 {
        results.extend([counts("output.train_counts", &labels, &train), counts("output.test_counts", &labels, &test)]);
    }
    Ok(results)
}

/// The part that tests, which scikit-learn is told as a part or a count, of the rows that test or of the others.
fn test_fraction(config: &gradus::config::Config, n: usize) -> Result<f64, Stop> {
    let count = |value: &serde_json::Value| value.as_u64().map(|count| count as f64);
    // Half a row less, so that the count comes out however the product is rounded.
    let part = |test: f64| (test - 0.5) / n as f64;
    match (config.get("test_size"), config.get("train_size")) {
        (None, None) => Ok(0.25),
        (Some(test), None) => Ok(count(test).map_or_else(|| test.as_f64().unwrap_or(f64::NAN), part)),
        (None, Some(train)) => {
            let floor = || (n as f64 * train.as_f64().unwrap_or(f64::NAN)).floor();
            Ok(part(n as f64 - count(train).unwrap_or_else(floor)))
        }
        (Some(_), Some(_)) => Err(unsupported("`test_size` and `train_size` together")),
    }
}

fn as_numbers<F: Scalar>(rows: &[usize]) -> ArrayD<F> {
    rows.iter().map(|&row| F::of(row as f64)).collect::<Array1<F>>().into_dyn()
}

fn folds<F: Scalar>(case: &Case, step: &str) -> Result<Results<F>, Stop> {
    let (n, labels) = rows(case)?;
    let config = case.options();
    let whole = |name: &str| config.get(name).and_then(serde_json::Value::as_u64).map(|value| value as usize);
    let splits = whole("n_splits").unwrap_or(5);
    let shuffle = config.get("shuffle").and_then(serde_json::Value::as_bool).unwrap_or(false);
    let folds = match step {
        "KFold" => data::KFold::new().n_splits(splits).shuffle(shuffle).split(n)?,
        "StratifiedKFold" => data::StratifiedKFold::new().n_splits(splits).shuffle(shuffle).split(&labels)?,
        "GroupKFold" => data::GroupKFold::new().n_splits(splits).split(&labels)?,
        _ => {
            let mut split = data::TimeSeriesSplit::new().n_splits(splits).gap(whole("gap").unwrap_or(0));
            if let Some(rows) = whole("max_train_size") {
                split = split.max_train_size(rows);
            }
            if let Some(rows) = whole("test_size") {
                split = split.test_size(rows);
            }
            split.split(n)?
        }
    };
    let sizes = |side: fn(&Fold) -> &Vec<usize>| -> ArrayD<F> {
        folds.iter().map(|fold| F::of(side(fold).len() as f64)).collect::<Array1<F>>().into_dyn()
    };
    let mut results: Results<F> = [
        ("output.test_sizes".into(), sizes(|fold| &fold.test)),
        ("output.train_sizes".into(), sizes(|fold| &fold.train)),
    ]
    .into();
    let tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.iter().copied()).collect();
    results.insert("output.test_rows".into(), as_numbers(&tested));
    for (i, fold) in folds.iter().enumerate() {
        results.insert(format!("output.test.{i}"), as_numbers(&fold.test));
        results.insert(format!("output.train.{i}"), as_numbers(&fold.train));
    }
    if labels.len() > 1 {
        let rows: Vec<_> = folds.iter().map(|fold| counts::<F>("", &labels, &fold.test).1).collect();
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        results.insert("output.test_counts".into(), ndarray::stack(Axis(0), &views).unwrap());
    }
    Ok(results)
}
