//! Tomorrow's weather: 21 days of Seattle's give the next three days' maximum temperatures.
//!
//! With feature `plots` forecast and truth are drawn.
//!
//! | | |
//! | --- | --- |
//! | data | daily weather of Seattle 2012–2015: precipitation, maximum, minimum, wind; NOAA; public domain; ships in `data/series` |
//! | command | `cargo run --features plots --example weather_forecast` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | mean absolute error 2.56, 2.65, 2.60 °C (seeds 0, 1, 2); as warm as today 3.09, as at that time of the year 3.08 |
//! | time | 0.3 s of processor time (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::custom::*;
use gradus::data::{Windows, text};
use gradus::ndarray::{ArrayView2, ArrayView3, s};

/// Days that the network sees, and days that it says.
const SEEN: usize = 21;
const AHEAD: usize = 3;
/// Four measurements, and where in the year the day lies.
const FEATURES: usize = 6;
/// Degrees and the other units are brought to the size of 1 by these, in the order of the columns.
const MEAN: [f32; 4] = [3.0, 16.0, 8.0, 3.2];
const SPREAD: [f32; 4] = [6.5, 7.5, 5.0, 1.4];

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(20);
    let days = read()?;
    let maxima = days.column(1).to_owned();

    // A window of days, and the maxima of the days after it.
    let x = Windows::new(SEEN).over(&days.slice(s![..days.nrows() - AHEAD, ..]))?;
    let y = Windows::new(AHEAD).over(&maxima.slice(s![SEEN..]))?;
    // The last fifth is held out. Windows that reach into it do not train.
    let split = days.nrows() * 4 / 5;
    let train = split - SEEN - AHEAD + 1;
    let (x_train, _) = x.view().split_at(Axis(0), train);
    let (y_train, _) = y.view().split_at(Axis(0), train);
    let (_, x_test) = x.view().split_at(Axis(0), split - SEEN);
    let (_, y_test) = y.view().split_at(Axis(0), split - SEEN);

    let mut model = Sequential::new()
        .input([SEEN, FEATURES])
        .add(GRU::new(32))
        .add(Dropout::new(0.2))
        .add(Dense::new(AHEAD))
        .compile(MeanAbsoluteError::new(), Adam::new().learning_rate(0.002))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    model.fit(&x_train, &y_train, Fit::new().batch_size(32).epochs(arguments.epochs))?;

    let forecast: Array2<f32> = model.predict(&x_test)?.into_dimensionality().expect("three days a row");
    println!("Mean absolute error of the next {AHEAD} days' maxima, degrees Celsius, {} forecasts:", y_test.nrows());
    println!("  as warm as today: {:.2}", error(&today(&x_test).view(), &y_test));
    println!("  as warm as that time of the year on average: {:.2}", error(&climate(&days, split).view(), &y_test));
    println!("  network: {:.2}", error(&forecast.view(), &y_test));
    for ahead in 0..AHEAD {
        let day = s![.., ahead..=ahead];
        println!("    {} days ahead: {:.2}", ahead + 1, error(&forecast.slice(day), &y_test.slice(day)));
    }
    #[cfg(feature = "plots")]
    draw(&arguments, &forecast.view(), &y_test)?;
    Ok(())
}

/// The days, a row each: precipitation, maximum, minimum, wind, scaled; sine and cosine of the day of the year.
fn read() -> gradus::Result<Array2<f32>> {
    let path = datasets::file("series", "seattle-weather.csv")?;
    let file = text::read(&path)?;
    let mut days = Vec::new();
    for (number, line) in file.lines().enumerate().skip(1) {
        let damaged = || gradus::Error::file(&path, format!("line {}: `{line}`", number + 1));
        let measured: Vec<f32> = line.split(',').skip(1).take(4).filter_map(|cell| cell.parse().ok()).collect();
        if measured.len() != 4 {
            return Err(damaged());
        }
        days.extend(
            measured.iter().zip(MEAN.iter().zip(SPREAD)).map(|(value, (mean, spread))| (value - mean) / spread),
        );
        // The first line is 1 January 2012.
        let angle = (number - 1) as f32 / 365.25 * std::f32::consts::TAU;
        days.extend([angle.sin(), angle.cos()]);
    }
    Array2::from_shape_vec((days.len() / FEATURES, FEATURES), days).map_err(|_| gradus::Error::file(&path, "cut short"))
}

/// The mean absolute error in degrees.
fn error(forecast: &ArrayView2<'_, f32>, truth: &ArrayView2<'_, f32>) -> f32 {
    (forecast - truth).abs().mean().unwrap_or(0.0) * SPREAD[1]
}

/// The last day's maximum for all days.
fn today(x: &ArrayView3<'_, f32>) -> Array2<f32> {
    let last = x.slice(s![.., SEEN - 1, 1]);
    Array2::from_shape_fn((last.len(), AHEAD), |(row, _)| last[row])
}

/// The mean maximum of the years before, over the month around the same day of the year.
fn climate(days: &Array2<f32>, split: usize) -> Array2<f32> {
    let maxima = days.column(1);
    let rows = days.nrows() - split - AHEAD + 1;
    Array2::from_shape_fn((rows, AHEAD), |(row, ahead)| {
        let day = split + row + ahead;
        let near = |other: &usize| {
            let apart = (day - other) as f32 % 365.25;
            apart.min(365.25 - apart) <= 15.0
        };
        let near: Vec<f32> = (0..split).filter(near).map(|other| maxima[other]).collect();
        near.iter().sum::<f32>() / near.len() as f32
    })
}

/// Draws what was said of each day the day before, and what came.
#[cfg(feature = "plots")]
fn draw(
    arguments: &arguments::Arguments,
    forecast: &ArrayView2<'_, f32>,
    truth: &ArrayView2<'_, f32>,
) -> gradus::Result<()> {
    let days: Vec<f64> = (0..truth.nrows()).map(|day| day as f64).collect();
    let degrees = |rows: &ArrayView2<'_, f32>| -> Vec<f64> {
        rows.column(0).iter().map(|maximum| f64::from(maximum * SPREAD[1] + MEAN[1])).collect()
    };
    gradus::plots::LinePlot::new("Maximum temperature in Seattle, forecast a day before")
        .x_label("day of the test")
        .y_label("degrees Celsius")
        .points("measured", &days, &degrees(truth))
        .line("forecast", &days, &degrees(forecast))
        .save(arguments.picture("weather_forecast.png")?)
}
