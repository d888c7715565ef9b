//! The smallest forecast: how many sunspots next year has, from the eleven years before it.
//!
//! | | |
//! | --- | --- |
//! | data | yearly sunspot numbers 1700–2008; NOAA; public domain; ships in `data/series` |
//! | command | `cargo run --example sunspots` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | mean absolute error 13.8 sunspots (seed 0); as many as last year 25.1, the mean 45.8 |
//! | time | 0.1 s of processor time (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::custom::*;
use gradus::data::{Windows, text};
use gradus::ndarray::s;

/// A cycle of the sun takes about so many years.
const YEARS: usize = 11;
/// The years from 1949 on are held out.
const HELD_OUT: usize = 60;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(200);
    let file = text::read(datasets::file("series", "sunspots.csv")?)?;
    let spots: Array1<f32> =
        file.lines().skip(1).filter_map(|line| line.split(',').nth(1)?.trim().parse().ok()).collect();

    // Eleven years, and the year after them.
    let scaled = &spots / 100.0;
    let (x, y) = Windows::new(YEARS).with_targets(&scaled.slice(s![..-1]), &scaled.slice(s![YEARS..]))?;
    let x = x.insert_axis(Axis(2));
    let train = y.len() - HELD_OUT;
    let (x_train, x_test) = x.view().split_at(Axis(0), train);
    let (y_train, y_test) = y.view().split_at(Axis(0), train);

    let mut model = Sequential::new()
        .input([YEARS, 1])
        .add(GRU::new(16))
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), Adam::new().learning_rate(0.005))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    model.fit(&x_train, &y_train, Fit::new().batch_size(16).epochs(arguments.epochs).verbose(0))?;

    let error = |forecast: &Array1<f32>| (forecast - &y_test).abs().mean().unwrap_or(0.0) * 100.0;
    let forecast: Array1<f32> = model.predict(&x_test)?.iter().copied().collect();
    let last_year = x_test.slice(s![.., YEARS - 1, 0]).to_owned();
    let mean = Array1::from_elem(HELD_OUT, y_train.mean().unwrap_or(0.0));
    println!("Mean absolute error, sunspots a year, 1949 to 2008:");
    println!("  as many as last year: {:.1}", error(&last_year));
    println!("  as many as 1711 to 1948 on average: {:.1}", error(&mean));
    println!("  network: {:.1}", error(&forecast));
    Ok(())
}
