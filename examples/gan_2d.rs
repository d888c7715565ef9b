//! The smallest GAN: points of a ring of eight normal distributions, all of which the generator has to find.
//!
//! | | |
//! | --- | --- |
//! | data | eight normal distributions around a circle of radius 0.8, standard deviation 0.02; made here |
//! | command | `cargo run --release --all-features --example gan_2d` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | 8 of 8 modes for seeds 0, 1, 2; 0.67, 0.78, 0.78 of the points near one |
//! | time | 6 s of processor time (AMD EPYC; measured while others computed) |
//! | writes | `target/pictures/gan_2d.png`, real points grey, generated ones black |

mod arguments;

use gradus::data::images;
use gradus::prelude::*;
use gradus::random;

const MODES: usize = 8;
const RADIUS: f32 = 0.8;
const DEVIATION: f32 = 0.02;

fn centre(mode: usize) -> [f32; 2] {
    let angle = mode as f32 / MODES as f32 * std::f32::consts::TAU;
    [RADIUS * angle.cos(), RADIUS * angle.sin()]
}

fn ring(count: usize, seed: u64) -> Array2<f32> {
    let mut points = Array2::zeros((count, 2));
    gradus::kernels::random::normal(random::hash("gan_2d") ^ seed, 0, points.as_slice_mut().expect("row-major"));
    for (i, mut point) in points.outer_iter_mut().enumerate() {
        let centre = centre(i % MODES);
        point[0] = centre[0] + DEVIATION * point[0];
        point[1] = centre[1] + DEVIATION * point[1];
    }
    points
}

/// Modes that at least 1 % of the points lie near to, within five standard deviations, and the share of points near to
/// any.
fn covered(points: &ArrayD<f32>) -> (usize, f64) {
    let mut near = [0usize; MODES];
    for point in points.outer_iter() {
        for (mode, near) in near.iter_mut().enumerate() {
            let [x, y] = centre(mode);
            *near += usize::from((point[0] - x).hypot(point[1] - y) < 5.0 * DEVIATION);
        }
    }
    let count = points.len_of(Axis(0));
    let found = near.iter().filter(|&&near| near * 100 >= count).count();
    (found, near.iter().sum::<usize>() as f64 / count as f64)
}

/// A picture of points: real ones grey, generated ones black.
fn picture(real: &Array2<f32>, made: &ArrayD<f32>) -> Array2<f32> {
    const SIDE: usize = 400;
    let mut picture = Array2::ones((SIDE, SIDE));
    let mut draw = |x: f32, y: f32, shade: f32| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the picture
        let at = |value: f32| ((value + 1.2) / 2.4 * SIDE as f32).clamp(0.0, SIDE as f32 - 1.0) as usize;
        picture[[SIDE - 1 - at(y), at(x)]] = shade;
    };
    real.outer_iter().for_each(|point| draw(point[0], point[1], 0.7));
    made.outer_iter().for_each(|point| draw(point[0], point[1], 0.0));
    picture
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(100);
    let real = ring(8192, arguments.seed);
    let dense = |units: usize| Dense::new(units).activation(LeakyRelu { negative_slope: 0.2 });
    let generator = Sequential::new().input([16]).add(dense(128)).add(dense(128)).add(Dense::new(2));
    let discriminator = Sequential::new().input([2]).add(dense(128)).add(dense(128)).add(Dense::new(1));
    let mut gan = Gan::new(
        Generator::new(generator.seed(arguments.seed).build()?)?,
        Discriminator::new(discriminator.seed(arguments.seed + 1).build()?)?,
    )
    .generator_optimizer(Adam::new().learning_rate(1e-3).beta_1(0.5))
    .discriminator_optimizer(Adam::new().learning_rate(1e-3).beta_1(0.5))
    .loss(GanLoss::LeastSquares)
    .instance_noise(0.05)
    .seed(arguments.seed)
    .build()?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;
    gan.fit(
        &real,
        Fit::new().batch_size(256).epochs(arguments.epochs).verbose(0).on_epoch_end(|state, logs| {
            if (state.epoch + 1) % 10 == 0 {
                let (modes, near) = covered(&state.learner_as::<Gan>().expect("a GAN").sample(2000, 1)?);
                println!("epoch {}: {logs} - modes: {modes} - near a mode: {near:.3}", state.epoch + 1);
            }
            Ok(())
        }),
    )?;

    let made = gan.sample(2000, 1)?;
    let (modes, near) = covered(&made);
    println!("Modes covered: {modes} of {MODES}");
    println!("Points near a mode: {near:.3}");
    images::write_png(arguments.picture("gan_2d.png")?, &picture(&ring(4000, 99), &made))?;
    Ok(())
}
