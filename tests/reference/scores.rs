//! scikit-learn's scores.

use gradus::config::{Config, Configured};
use gradus::custom::*;
use gradus::metrics::scores::{self, ClassScores, Classification, KappaWeights, Normalize, Ranking, Regression};
use ndarray::{ArrayD, Ix1, Ix2, arr0};
use serde_json::{Value, json};

use super::case::{Case, Results, Stop, unsupported};

/// A case's options, given out by name; none may be left.
struct Options {
    rest: Config,
    weights: Option<Vec<f64>>,
}

impl Options {
    fn of(case: &Case) -> Self {
        let weights = case.find::<f64>("sample_weight").map(|weights| weights.iter().copied().collect());
        Self { rest: case.options(), weights }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name)
    }

    /// What is left, as the options of one of the families.
    fn finish<O: Configured>(self) -> Result<O, Stop> {
        let mut config = self.rest;
        if let Some(weights) = self.weights {
            config.insert("sample_weight".into(), json!(weights));
        }
        Ok(O::from_config(&config)?)
    }
}

fn number<F: Scalar>(value: f64) -> Vec<(String, ArrayD<F>)> {
    vec![("output".into(), arr0(F::of(value)).into_dyn())]
}

fn array<F: Scalar, D: ndarray::Dimension>(name: &str, values: &ndarray::Array<f64, D>) -> (String, ArrayD<F>) {
    (name.into(), values.mapv(F::of).into_dyn())
}

/// Where scikit-learn warns and gives NaN, gradus says that there is no such score.
fn or_nan(result: gradus::Result<f64>) -> Result<f64, Stop> {
    match result {
        Err(gradus::Error::Undefined { .. }) => Ok(f64::NAN),
        other => Ok(other?),
    }
}

pub fn run<F: Scalar>(case: &Case, score: &str) -> Result<Results<F>, Stop> {
    let ranks = ["auc", "score_loss", "log_loss", "precision_score", "curve", "top_k"];
    let results = match score {
        "precision_score" => classes(case, score)?,
        _ if ranks.iter().any(|part| score.contains(part)) => ranking(case, score)?,
        _ if score.contains("error") || score == "r2_score" || score.starts_with("explained") => {
            regression(case, score)?
        }
        _ => classes(case, score)?,
    };
    Ok(results.into_iter().collect())
}

type Named<F> = Vec<(String, ArrayD<F>)>;

fn classes<F: Scalar>(case: &Case, score: &str) -> Result<Named<F>, Stop> {
    let (t, p) = (case.tensor::<f64>("y_true")?, case.tensor::<f64>("y_pred")?);
    let one = |array: &ArrayD<f64>| {
        array.clone().into_dimensionality::<Ix1>().map_err(|_| Stop::Refused("one class a row is wanted".into()))
    };
    let mut options = Options::of(case);
    // A count is the share times what there is.
    let all = options.weights.as_ref().map_or(t.shape()[0] as f64, |weights| weights.iter().sum());
    Ok(match score {
        "accuracy_score" | "zero_one_loss" => {
            let count = options.take("normalize") == Some(json!(false));
            let options = options.finish()?;
            let share = match score {
                "accuracy_score" => scores::accuracy_score(&t, &p, &options)?,
                _ => scores::zero_one_loss(&t, &p, &options)?,
            };
            number(if count { share * all } else { share })
        }
        "hamming_loss" => number(scores::hamming_loss(&t, &p, &options.finish()?)?),
        "balanced_accuracy_score" => {
            let adjusted = options.take("adjusted") == Some(json!(true));
            number(scores::balanced_accuracy_score(&one(&t)?, &one(&p)?, adjusted, &options.finish()?)?)
        }
        "matthews_corrcoef" => number(scores::matthews_corrcoef(&one(&t)?, &one(&p)?, &options.finish()?)?),
        "cohen_kappa_score" => {
            let undefined = options.take("replace_undefined_by").and_then(|value| value.as_f64()).unwrap_or(f64::NAN);
            let weights = match options.take("weights").as_ref().and_then(Value::as_str) {
                Some("linear") => KappaWeights::Linear,
                Some("quadratic") => KappaWeights::Quadratic,
                _ => KappaWeights::Equal,
            };
            let kappa = or_nan(scores::cohen_kappa_score(&one(&t)?, &one(&p)?, weights, &options.finish()?))?;
            number(if kappa.is_nan() { undefined } else { kappa })
        }
        "confusion_matrix" => {
            let normalize = options.take("normalize");
            let matrix = scores::confusion_matrix(&one(&t)?, &one(&p)?, &options.finish()?)?;
            let values = match normalize.as_ref().and_then(Value::as_str) {
                Some("true") => matrix.normalized(Normalize::True),
                Some("pred") => matrix.normalized(Normalize::Predicted),
                Some("all") => matrix.normalized(Normalize::All),
                _ => matrix.counts().clone(),
            };
            vec![array("output", &values)]
        }
        "multilabel_confusion_matrix" => {
            if options.take("samplewise") == Some(json!(true)) {
                options.rest.insert("average".into(), json!("samples"));
            }
            vec![array("output", &scores::multilabel_confusion_matrix(&t, &p, &options.finish()?)?)]
        }
        "classification_report" => report(&t, &p, options)?,
        _ => return figures(&t, &p, score, options),
    })
}

/// Precision, recall and what is made of them, of each class or averaged.
fn figures<F: Scalar>(t: &ArrayD<f64>, p: &ArrayD<f64>, score: &str, mut options: Options) -> Result<Named<F>, Stop> {
    let all = score == "precision_recall_fscore_support";
    let beta = options.take("beta").and_then(|value| value.as_f64()).unwrap_or(1.0);
    // Where nothing is said the family averages for two classes, and the call for all figures not at all.
    if options.rest.get("average").map_or(all, Value::is_null) {
        options.take("average");
        options.take("pos_label");
        let options: Classification = options.finish()?;
        if score == "jaccard_score" {
            return Ok(vec![array("output", &scores::jaccard_score_per_class(t, p, &options)?)]);
        }
        let ClassScores { precision, recall, f_score, support, .. } =
            scores::precision_recall_fscore_support(t, p, beta, &options)?;
        return Ok(match score {
            "precision_score" => vec![array("output", &precision)],
            "recall_score" => vec![array("output", &recall)],
            "f1_score" | "fbeta_score" => vec![array("output", &f_score)],
            _ => {
                let figures = [precision, recall, f_score, support];
                figures.iter().enumerate().map(|(i, figure)| array(&format!("output.{i}"), figure)).collect()
            }
        });
    }
    let options = options.finish()?;
    Ok(match score {
        "precision_score" => number(scores::precision_score(t, p, &options)?),
        "recall_score" => number(scores::recall_score(t, p, &options)?),
        "f1_score" => number(scores::f1_score(t, p, &options)?),
        "fbeta_score" => number(scores::fbeta_score(t, p, beta, &options)?),
        "jaccard_score" => number(scores::jaccard_score(t, p, &options)?),
        _ if all => {
            let averages = [
                scores::precision_score(t, p, &options)?,
                scores::recall_score(t, p, &options)?,
                scores::fbeta_score(t, p, beta, &options)?,
            ];
            averages.iter().enumerate().map(|(i, &v)| (format!("output.{i}"), arr0(F::of(v)).into_dyn())).collect()
        }
        _ => return Err(unsupported("this score")),
    })
}

fn report<F: Scalar>(t: &ArrayD<f64>, p: &ArrayD<f64>, mut options: Options) -> Result<Named<F>, Stop> {
    for of_the_text in ["digits", "output_dict", "target_names"] {
        options.take(of_the_text);
    }
    let report = scores::classification_report(t, p, &[], &options.finish()?)?;
    let each = &report.classes;
    let columns = [&each.precision, &each.recall, &each.f_score, &each.support];
    let table = Array2::from_shape_fn((each.labels.len(), 4), |(label, figure)| columns[figure][label]);
    let mut results = vec![array("output.labels", &table)];
    if let Some(accuracy) = report.accuracy {
        results.push(("output.accuracy".into(), arr0(F::of(accuracy)).into_dyn()));
    }
    for (name, figures) in &report.averages {
        let row = [figures[0], figures[1], figures[2], each.support.sum()];
        results.push(array(&format!("output.{}", name.replace(' ', "_")), &Array1::from(row.to_vec())));
    }
    Ok(results)
}

fn ranking<F: Scalar>(case: &Case, score: &str) -> Result<Named<F>, Stop> {
    if score == "auc" {
        // x and y of the curve.
        let (x, y) = (case.several::<F>("input"), case.find::<F>("x"));
        let [x, y] = match (x, y) {
            (inputs, None) if inputs.len() == 2 => [inputs[0].clone(), inputs[1].clone()],
            (_, Some(x)) => [x, case.tensor("y")?],
            _ => [case.tensor("y_true")?, case.tensor("y_pred")?],
        };
        let [x, y] = [x, y].map(|array| array.into_dimensionality::<Ix1>().unwrap());
        return Ok(number(scores::auc(&x, &y)?));
    }
    let (t, p) = (case.tensor::<f64>("y_true")?, case.tensor::<F>("y_pred")?);
    let mut options = Options::of(case);
    let classes =
        || t.clone().into_dimensionality::<Ix1>().map_err(|_| Stop::Refused("one class a row is wanted".into()));
    let column = || {
        let flat = if p.ndim() == 2 && p.shape()[1] == 1 { p.clone().remove_axis(Axis(1)) } else { p.clone() };
        flat.into_dimensionality::<Ix1>().map_err(|_| Stop::Refused("one score a row is wanted".into()))
    };
    let all = options.weights.as_ref().map_or(t.shape()[0] as f64, |weights| weights.iter().sum());
    let count = options.take("normalize") == Some(json!(false));
    let counted = |share: f64| if count { share * all } else { share };
    let per_class = options.rest.get("average").is_some_and(Value::is_null);
    Ok(match score {
        "roc_auc_score" if per_class => {
            options.take("average");
            options.take("multi_class");
            vec![array("output", &scores::roc_auc_score_per_class(&t, &p, &options.finish()?)?)]
        }
        "average_precision_score" if per_class => {
            options.take("average");
            vec![array("output", &scores::average_precision_score_per_class(&t, &p, &options.finish()?)?)]
        }
        "roc_auc_score" => number(or_nan(scores::roc_auc_score(&t, &p, &options.finish::<Ranking>()?))?),
        "average_precision_score" => number(scores::average_precision_score(&t, &p, &options.finish()?)?),
        "log_loss" => number(counted(scores::log_loss(&classes()?, &p, &options.finish()?)?)),
        "brier_score_loss" => {
            if options.rest.get("scale_by_half") == Some(&json!("auto")) {
                options.take("scale_by_half");
            }
            number(scores::brier_score_loss(&classes()?, &p, &options.finish()?)?)
        }
        "top_k_accuracy_score" => {
            let k = options.take("k").and_then(|value| value.as_u64()).unwrap_or(2) as usize;
            number(counted(scores::top_k_accuracy_score(&classes()?, &p, k, &options.finish()?)?))
        }
        "roc_curve" => {
            let curve = scores::roc_curve(&classes()?, &column()?, &options.finish()?)?;
            vec![array("output.0", &curve.fpr), array("output.1", &curve.tpr), array("output.2", &curve.thresholds)]
        }
        "precision_recall_curve" => {
            let curve = scores::precision_recall_curve(&classes()?, &column()?, &options.finish()?)?;
            vec![
                array("output.0", &curve.precision),
                array("output.1", &curve.recall),
                array("output.2", &curve.thresholds),
            ]
        }
        "det_curve" => {
            let curve = scores::det_curve(&classes()?, &column()?, &options.finish()?)?;
            vec![array("output.0", &curve.fpr), array("output.1", &curve.fnr), array("output.2", &curve.thresholds)]
        }
        _ => return Err(unsupported("this score")),
    })
}

fn regression<F: Scalar>(case: &Case, score: &str) -> Result<Named<F>, Stop> {
    let (t, p) = (case.tensor::<F>("y_true")?, case.tensor::<F>("y_pred")?);
    let mut options = Options::of(case);
    let raw = match options.take("multioutput") {
        None | Some(Value::Null) => false,
        Some(Value::String(word)) => {
            if word == "variance_weighted" {
                options.rest.insert("variance_weighted".into(), json!(true));
            }
            word == "raw_values"
        }
        Some(weights) => {
            options.rest.insert("output_weights".into(), weights);
            false
        }
    };
    if score == "max_error" {
        let one = |array: &ArrayD<F>| {
            array.clone().into_dimensionality::<Ix1>().map_err(|_| Stop::Refused("one output is wanted".into()))
        };
        return Ok(number(scores::max_error(&one(&t)?, &one(&p)?)?));
    }
    let options: Regression = options.finish()?;
    macro_rules! by_name {
        ($($name:ident),+) => {
            match score {
                $(stringify!($name) if raw => {
                    let table = |array: &ArrayD<F>| {
                        let table = array.clone().into_dimensionality::<Ix2>();
                        table.unwrap_or_else(|_| array.clone().insert_axis(Axis(1)).into_dimensionality().unwrap())
                    };
                    vec![array("output", &scores::per_output(scores::$name, &table(&t), &table(&p), &options)?)]
                })+
                $(stringify!($name) => number(or_nan(scores::$name(&t, &p, &options))?),)+
                _ => return Err(unsupported("this score")),
            }
        };
    }
    Ok(by_name!(
        explained_variance_score,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_error,
        mean_squared_log_error,
        median_absolute_error,
        r2_score,
        root_mean_squared_error,
        root_mean_squared_log_error
    ))
}
