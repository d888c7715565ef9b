//! What is plotted of trainings and scores.

use super::{Figure, HeatMap, LinePlot};
use crate::metrics::scores::{ConfusionMatrix, Normalize, PrecisionRecallCurve, RocCurve, auc};
use crate::schedules::Schedule;
use crate::training::History;
use crate::tuning::{Results, Value};
use crate::{Error, Result};

/// Each metric of a training over its epochs, that of training and that of validation, at the epochs that had one, in one
/// plot.
///
/// # Example
/// ```
/// use gradus::plots::learning_curves;
/// use gradus::prelude::*;
///
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let (x, y) = (array![[1.0f32], [2.0], [3.0], [4.0]], array![[3.0f32], [5.0], [7.0], [9.0]]);
/// let history = model.fit(&x, &y, Fit::new().epochs(5).validation_split(0.5).verbose(0))?;
/// learning_curves(&history).save(std::env::temp_dir().join("gradus-doc-history.png"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn learning_curves(history: &History) -> Figure {
    let names = history.names();
    let mut figure = Figure::new();
    for name in names.iter().filter(|name| !name.starts_with("val_")) {
        let mut plot = LinePlot::new(name.replace('_', " ")).x_label("epoch");
        if history.points(name).last().is_none_or(|&(epoch, _)| epoch < 3) {
            // So few have whole numbers below them.
            plot = plot.x_limits(0.0, 4.0);
        }
        for (label, name) in [("training", name.clone()), ("validation", format!("val_{name}"))] {
            let (epochs, values): (Vec<f64>, Vec<f64>) =
                history.points(&name).into_iter().map(|(epoch, value)| (epoch as f64 + 1.0, value)).unzip();
            plot = match epochs.len() {
                0 => plot,
                // A line needs two.
                1 => plot.points(label, &epochs, &values),
                _ => plot.line(label, &epochs, &values),
            };
        }
        figure = figure.add(plot);
    }
    figure
}

/// What a search found: the scores in the order of the trials with the best so far, and for each hyper-parameter that is a
/// number the scores over its values.
///
/// # Example
/// ```
/// use gradus::plots;
/// use gradus::tuning::{RandomSearch, Space};
/// let space = Space::new().log_uniform("rate", 1e-4..=1.0).integer("units", 8..=64);
/// let results = RandomSearch::new(space, 20).run(|trial| Ok((trial.number("rate")?.log10() + 2.0).powi(2)))?;
/// plots::search(&results).save(std::env::temp_dir().join("gradus-doc-search.png"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn search(results: &Results) -> Figure {
    let scored: Vec<_> = results.trials().iter().filter_map(|done| Some((done, done.score()?))).collect();
    let scores: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
    let numbers: Vec<f64> = (1..=results.trials().len()).map(|i| i as f64).collect();
    let every: Vec<f64> = results.trials().iter().map(|done| done.score().unwrap_or(f64::NAN)).collect();
    let mut figure = Figure::new().add(
        LinePlot::new("search")
            .x_label("trial")
            .y_label("score")
            .line("best so far", &numbers, &results.best_so_far())
            .points("trials", &numbers, &every),
    );
    for name in results.space.names() {
        let values = scored.iter().map(|(done, _)| done.trial.value(name).ok().and_then(Value::as_number));
        if let Some(values) = values.collect::<Option<Vec<f64>>>() {
            let plot = LinePlot::new(name.replace('_', " ")).x_label(name).y_label("score");
            let logarithmic = results.space.is_logarithmic(name);
            figure = figure.add(plot.points("trials", &values, &scores).log_x(logarithmic));
        }
    }
    figure
}

/// ROC curves, each named with the area under it, and the line of chance.
///
/// # Errors
/// [`Undefined`](Error::Undefined) for a curve of one class only.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, roc_curve};
/// use gradus::plots::roc;
/// use ndarray::array;
///
/// let curve = roc_curve(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// roc(&[("network", &curve)])?.save(std::env::temp_dir().join("gradus-doc-roc.svg"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn roc(curves: &[(&str, &RocCurve)]) -> Result<LinePlot> {
    let mut plot = LinePlot::new("ROC curve")
        .x_label("false positive rate")
        .y_label("true positive rate")
        .x_limits(-0.01, 1.01)
        .y_limits(-0.01, 1.02);
    for (name, curve) in curves {
        if curve.fpr.iter().chain(&curve.tpr).any(|rate| rate.is_nan()) {
            return Err(Error::undefined("roc", format!("`{name}` has rows of one class only")));
        }
        let area = auc(&curve.fpr, &curve.tpr)?;
        plot = plot.line(format!("{name}, area {area:.4}"), &curve.fpr.to_vec(), &curve.tpr.to_vec());
    }
    Ok(plot.dashed("chance", &[0.0, 1.0], &[0.0, 1.0]))
}

/// Curves of precision over recall, as steps, each named with its average precision.
///
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, precision_recall_curve};
/// use gradus::plots::precision_recall;
/// use ndarray::array;
///
/// let curve = precision_recall_curve(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// precision_recall(&[("network", &curve)]).save(std::env::temp_dir().join("gradus-doc-pr.svg"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn precision_recall(curves: &[(&str, &PrecisionRecallCurve)]) -> LinePlot {
    let mut plot = LinePlot::new("Precision and recall")
        .x_label("recall")
        .y_label("precision")
        .x_limits(-0.01, 1.01)
        .y_limits(-0.01, 1.02);
    for (name, curve) in curves {
        let (mut x, mut y, mut area) = (Vec::new(), Vec::new(), 0.0);
        for i in 0..curve.recall.len() {
            // A precision holds down to the next recall.
            x.push(curve.recall[i]);
            y.push(curve.precision[i]);
            if let Some(&next) = curve.recall.get(i + 1) {
                area += (curve.recall[i] - next) * curve.precision[i];
                x.push(next);
                y.push(curve.precision[i]);
            }
        }
        plot = plot.line(format!("{name}, average precision {area:.4}"), &x, &y);
    }
    plot
}

/// A confusion matrix: how many rows of each true class were predicted as each class, or their shares of the true class.
///
/// `names` are those of the classes, or `&[]`: their numbers.
///
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, confusion_matrix};
/// use gradus::plots::confusion;
/// use ndarray::array;
///
/// let matrix = confusion_matrix(&array![0, 1, 1, 0], &array![0, 1, 0, 0], &Classification::new())?;
/// confusion(&matrix, &["no", "yes"], false).save(std::env::temp_dir().join("gradus-doc-confusion.png"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn confusion(matrix: &ConfusionMatrix, names: &[&str], shares: bool) -> HeatMap {
    let names: Vec<String> = match names {
        [] => matrix.labels().iter().map(ToString::to_string).collect(),
        names => names.iter().map(ToString::to_string).collect(),
    };
    let values = if shares { matrix.normalized(Normalize::True) } else { matrix.counts().clone() };
    HeatMap::new("Confusion matrix", &values)
        .row_names(names.clone())
        .column_names(names)
        .x_label("predicted")
        .y_label("true")
}

/// Learning rates of schedules over the first `steps` steps.
///
/// # Example
/// ```
/// use gradus::plots::learning_rates;
/// use gradus::prelude::*;
///
/// let (cosine, falling) = (CosineDecay::new(0.1, 1000.0), ExponentialDecay::new(0.1, 100.0, 0.8));
/// learning_rates(&[("cosine", &cosine), ("exponential", &falling)], 1000)
///     .save(std::env::temp_dir().join("gradus-doc-rates.svg"))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn learning_rates(schedules: &[(&str, &dyn Schedule)], steps: u64) -> LinePlot {
    let every = (steps / 1000).max(1);
    let at: Vec<u64> = (0..steps).step_by(usize::try_from(every).unwrap_or(usize::MAX)).collect();
    let x: Vec<f64> = at.iter().map(|&step| step as f64).collect();
    schedules.iter().fold(LinePlot::new("Learning rate").x_label("step"), |plot, (name, schedule)| {
        plot.line(*name, &x, &at.iter().map(|&step| schedule.rate(step)).collect::<Vec<f64>>())
    })
}
