//! Plots: what is written, and what is refused.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use gradus::custom::*;
use gradus::data::images::{self, ColorMode};
use gradus::metrics::scores::{self, Classification, Ranking};
use gradus::plots::{self, Figure, HeatMap, LinePlot};
use ndarray_rand::rand::Rng;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn series(n: u32, f: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
    let x: Vec<f64> = (0..n).map(f64::from).collect();
    let y = x.iter().map(|&x| f(x)).collect();
    (x, y)
}

fn forecast() -> LinePlot {
    let (x, truth) = series(120, |x| (x / 8.0).sin() * 10.0 + x / 10.0);
    let mut seen = truth.clone();
    seen[90..].fill(f64::NAN);
    let (_, guess) = series(120, |x| if x < 89.0 { f64::NAN } else { (x / 8.0 + 0.1).sin() * 9.0 + x / 10.0 });
    LinePlot::new("Forecast of 30 days")
        .x_label("day")
        .y_label("temperature in °C")
        .line("measured", &x, &seen)
        .line("forecast", &x, &guess)
        .dashed("what came", &x, &truth)
}

fn ranking() -> (scores::RocCurve, scores::PrecisionRecallCurve, scores::ConfusionMatrix) {
    let mut rng = gradus::random::rng(1, "plots");
    let truth = Array1::from_shape_fn(300, |_| u8::from(rng.random_bool(0.4)));
    let score = truth.mapv(|t| f64::from(t) * 0.6 + rng.random_range(0.0..1.2));
    let predicted = score.mapv(|s| u8::from(s > 0.7));
    (
        scores::roc_curve(&truth, &score, &Ranking::new()).unwrap(),
        scores::precision_recall_curve(&truth, &score, &Ranking::new()).unwrap(),
        scores::confusion_matrix(&truth, &predicted, &Classification::new()).unwrap(),
    )
}

/// Shares of pixels of a picture that are not white, in its middle and below it, where the names of axes stand.
fn ink(path: &Path) -> [f64; 2] {
    let image = images::read(path, ColorMode::Rgb).unwrap();
    let (height, width, _) = image.dim();
    let part = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let (mut dark, mut all) = (0.0, 0.0);
        for row in rows {
            for column in columns.clone() {
                dark += f64::from(u8::from((0..3).any(|channel| image[[row, column, channel]] < 200)));
                all += 1.0;
            }
        }
        dark / all
    };
    [part(height / 4..height * 3 / 4, width / 4..width * 3 / 4), part(height * 3 / 4..height, 0..width)]
}

#[test]
fn each_kind_of_plot_is_written_as_png_and_svg() {
    let (roc, precision_recall, confusion) = ranking();
    let (x, loss) = series(30, |x| 2.0 / (x + 1.0) + 0.1);
    let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let rates = [("cosine", &CosineDecay::new(0.1, 500.0) as &dyn Schedule), ("one cycle", &OneCycle::new(0.08, 500))];
    let figures = [
        ("forecast", Figure::new().add(forecast())),
        (
            "loss",
            Figure::new().add(LinePlot::new("Loss").log_y(true).line("loss", &x, &loss).points("seen", &x, &loss)),
        ),
        ("roc", Figure::new().add(plots::roc(&[("network", &roc)]).unwrap())),
        ("pr", Figure::new().add(plots::precision_recall(&[("network", &precision_recall)]))),
        ("confusion", Figure::new().add(plots::confusion(&confusion, &["benign", "malignant"], false))),
        ("shares", Figure::new().add(plots::confusion(&confusion, &["benign", "malignant"], true))),
        ("rates", Figure::new().add(plots::learning_rates(&rates, 500))),
        (
            "table",
            Figure::new().add(
                HeatMap::new("Attention", &Array2::from_shape_fn((10, 24), |(i, j)| f64::from(u8::from(i * 2 == j))))
                    .row_names(digits)
                    .column_names((0..24).map(|word| format!("word number {word}")))
                    .x_label("source")
                    .y_label("target"),
            ),
        ),
    ];
    for (name, figure) in figures {
        let (png, svg) = (path(&format!("{name}.png")), path(&format!("{name}.svg")));
        figure.save(&png).unwrap();
        let [lines, below] = ink(&png);
        assert!(lines > 1e-3 && below > 1e-4, "{name}: {lines} {below}");
        figure.save(&svg).unwrap();
        let text = std::fs::read_to_string(&svg).unwrap();
        assert!(text.starts_with("<svg") && text.contains("<text"), "{name}");
    }
}

#[test]
fn learning_curves_have_a_plot_for_each_figure() {
    let mut model = Sequential::new()
        .input([2])
        .add(Dense::new(8).activation(Tanh))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(0.01))
        .metric(Accuracy::new())
        .build()
        .unwrap();
    let x = Array2::from_shape_fn((64, 2), |(i, j)| ((i * 7 + j * 13) % 17) as f32 / 17.0);
    let y = x.rows().into_iter().map(|row| f32::from(u8::from(row.sum() > 1.0))).collect::<Array1<f32>>();
    let options = Fit::new().epochs(12).validation_split(0.25).verbose(0);
    let history = model.fit(&x, &y.insert_axis(Axis(1)), options).unwrap();
    let curves = path("history.png");
    plots::learning_curves(&history).save(&curves).unwrap();
    assert_eq!(images::read(&curves, ColorMode::Rgb).unwrap().dim(), (480, 1440, 3));
}

#[test]
fn four_plots_stand_two_by_two() {
    let line = LinePlot::new("A").line("y", &[0.0, 1.0], &[1.0, 2.0]);
    let figure = |count| (0..count).fold(Figure::new(), |figure, _| figure.add(line.clone()));
    for (count, height, width) in [(3, 480, 2160), (4, 960, 1440), (5, 960, 2160)] {
        let picture = path(&format!("grid_{count}.png"));
        figure(count).save(&picture).unwrap();
        assert_eq!(images::read(&picture, ColorMode::Rgb).unwrap().dim(), (height, width, 3));
    }
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let line = LinePlot::new("A").line("y", &[0.0], &[1.0]);
    let refusals = [
        (line.clone().save(path("a.bmp")), ".png or .svg"),
        (Figure::new().save(path("a.png")), "a figure with a plot"),
        (LinePlot::new("B").line("y", &[0.0], &[f64::NAN]).save(path("a.png")), "`B`"),
        (line.clone().y_limits(1.0, 1.0).save(path("a.png")), "`y_limits`"),
        (line.clone().log_y(true).y_limits(0.0, 1.0).save(path("a.png")), "above 0"),
        (HeatMap::new("C", &Array2::<f32>::zeros((2, 2))).row_names(["one"]).save(path("a.png")), "2 names or none"),
        (HeatMap::new("D", &Array2::<f32>::zeros((0, 2))).save(path("a.png")), "`D`"),
    ];
    for (refused, part) in refusals {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(part), "{message} does not hold {part:?}");
    }
    line.save(path("single.svg")).unwrap();
}

/// Ranges whose ends are near the largest number: drawn or refused, never drawn for ever.
#[test]
fn ranges_near_the_end_of_numbers_end() {
    for (low, high, drawn) in [
        (0.0, 1.7e308, None),
        (-1e308, 1e308, None),
        (-8e307, 8e307, Some(true)),
        (1.0, 1e308, Some(true)),
        (0.0, 5e-324, None),
        (f64::MIN_POSITIVE, f64::MAX, None),
    ] {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let plot = LinePlot::new("a range").line("a", &[0.0, 1.0], &[low, high]);
            let file = path(&format!("range-{low:e}-{high:e}.svg"));
            sender.send(plot.save(file).map_err(|error| error.to_string())).ok();
        });
        let result = receiver.recv_timeout(std::time::Duration::from_secs(20)).expect("it ends");
        if let Some(drawn) = drawn {
            assert_eq!(result.is_ok(), drawn, "{low:e} to {high:e}: {result:?}");
        }
    }
    let limits = LinePlot::new("limits").line("a", &[0.0, 1.0], &[0.0, 1.0]).x_limits(f64::NEG_INFINITY, 1.0);
    limits.save(path("limits.svg")).expect_err("no picture is endless");
}
