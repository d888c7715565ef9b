//! A series with gaps, cleaned and continued: carbon dioxide in the air, half a year ahead.
//!
//! | | |
//! | --- | --- |
//! | data | carbon dioxide over Mauna Loa, parts per million, weekly 1958–2001, 59 weeks missing; Keeling and Whorf, NOAA; public domain; ships in `data/series` |
//! | command | `cargo run --features csv,plots --example co2` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | mean absolute error 0.581, 0.601, 0.590 parts per million (seeds 0, 1, 2); the rise of the year before 0.760, no change 3.800 |
//! | time | 0.2 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use gradus::data::preprocessing::{interpolate_missing, median_filter};
use gradus::data::{Table, Windows};
use gradus::ndarray::{ArrayView1, s};
use gradus::plots::LinePlot;
use gradus::prelude::*;

/// Weeks of a year; weeks that the network sees; weeks ahead that it says.
const YEAR: usize = 52;
const SEEN: usize = 2 * YEAR;
const AHEAD: usize = YEAR / 2;
/// By how much a measured week may differ from the weeks around it, in parts per million.
const WILD: f64 = 1.5;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(60);
    let raw = Table::read(datasets::file("series", "co2.csv")?, true)?.numbers::<f64>("co2")?;
    let series = cleaned(&raw)?;

    // What is known in a week: the two years up to it, seen from its own level. What is wanted: by how much more it will
    // rise in half a year than it did in the same half of the year before.
    let n = series.len();
    let windows = Windows::new(SEEN).over(&series.slice(s![..n - AHEAD]))?;
    let now = series.slice(s![SEEN - 1..n - AHEAD]).to_owned();
    let rise = &series.slice(s![SEEN - 1 + AHEAD..]) - &now;
    let x = (&windows - &now.view().insert_axis(Axis(1))).mapv(f32::of);
    let last_year = &windows.slice(s![.., SEEN - 1 + AHEAD - YEAR]) - &windows.slice(s![.., SEEN - 1 - YEAR]);
    let y = (&rise - &last_year).mapv(f32::of).insert_axis(Axis(1));
    // The last ten years are held out, and with them the windows whose wish lies in them.
    let test = now.len() - 10 * YEAR;
    let train = test - AHEAD;

    let mut model = Sequential::new()
        .input([SEEN])
        .add(Normalization::new().adapt(&x.slice(s![..train, ..]))?)
        .add(Dense::new(16).activation(Tanh).kernel_regularizer(Regularizer::L2(1e-3)))
        .add(Dropout::new(0.2))
        .add(Dense::new(1))
        .compile(MeanAbsoluteError::new(), Adam::new().learning_rate(0.002))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    let options = Fit::new().batch_size(32).epochs(arguments.epochs).verbose(0).validation_split(0.15);
    let stop = EarlyStopping::new().patience(10).restore_best_weights(true);
    let history = model.fit(&x.slice(s![..train, ..]), &y.slice(s![..train, ..]), options.callback(stop))?;
    history.hints().iter().for_each(|hint| println!("{hint}"));

    let more = model.predict(&x.slice(s![test.., ..]))?;
    let last_year = last_year.slice(s![test..]).to_owned();
    let said = &last_year + &more.iter().map(|it| f64::from(*it)).collect::<Array1<f64>>();
    let truth = rise.slice(s![test..]);
    println!("Half a year ahead, {} forecasts, mean absolute error in parts per million:", truth.len());
    println!("  no change: {:.3}", error(&Array1::zeros(truth.len()), &truth));
    println!("  the same rise as a year before: {:.3}", error(&last_year, &truth));
    draw(&arguments, &raw, &series, &(&said + &now.slice(s![test..])), n - said.len())?;
    println!("Test mean absolute error: {:.4}", error(&said, &truth));
    Ok(())
}

/// Gaps filled, wild weeks replaced by the median around them. The rest of the noise stays: to smooth it by what comes
/// after would tell the network of the future.
fn cleaned(raw: &Array1<f64>) -> gradus::Result<Array1<f64>> {
    let gaps = raw.iter().filter(|it| it.is_nan()).count();
    let filled = interpolate_missing(raw)?;
    let around = median_filter(&filled, 5)?;
    let wild = (&filled - &around).mapv(|it| it.abs() > WILD);
    println!("{} weeks, {gaps} without a measurement, {} wild ones", raw.len(), wild.iter().filter(|it| **it).count());
    Ok(Array1::from_shape_fn(raw.len(), |week| if wild[week] { around[week] } else { filled[week] }))
}

fn error(said: &Array1<f64>, truth: &ArrayView1<'_, f64>) -> f64 {
    (said - truth).abs().mean().unwrap_or(0.0)
}

/// The series as measured and cleaned, and the forecasts for its end.
fn draw(
    arguments: &arguments::Arguments,
    raw: &Array1<f64>,
    series: &Array1<f64>,
    forecast: &Array1<f64>,
    from: usize,
) -> gradus::Result<()> {
    let years = |from: usize, count: usize| -> Vec<f64> {
        (from..from + count).map(|week| 1958.24 + week as f64 / 52.18).collect()
    };
    let early = 12 * YEAR;
    let cleaning = LinePlot::new("Measured and cleaned")
        .x_label("year")
        .y_label("ppm")
        .line("cleaned", &years(0, early), &series.to_vec()[..early])
        .points("measured", &years(0, early), &raw.to_vec()[..early]);
    let end = LinePlot::new("Forecast half a year before")
        .x_label("year")
        .y_label("ppm")
        .line("cleaned", &years(from, forecast.len()), &series.to_vec()[from..])
        .line("forecast", &years(from, forecast.len()), &forecast.to_vec());
    gradus::plots::Figure::new().add(cleaning).add(end).save(arguments.picture("co2.png")?)
}
