//! Filling a hole in an image: a context encoder, trained on the hole's pixels and against a discriminator that looks at
//! the whole image, beside the same network without the discriminator and the mean image.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --release --all-features --example inpainting` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | seed 0: anywhere 9.3 dB (mean image), 15.5 without and 15.5 with adversarial loss; in the centre 7.4, 13.3, 13.3 |
//! | time | 23 minutes of processor time for both networks (AMD EPYC, one thread) |
//! | writes | `target/pictures/inpainting.png`: original, with a hole, mean image, without and with adversarial loss |

mod arguments;
mod gan_quality;

use gan_quality::{scaled, shades};
use gradus::data::images;
use gradus::ndarray::{concatenate, s};
use gradus::prelude::*;
use gradus::random;

/// The side of the hole.
const HOLE: usize = 10;
const SIDE: usize = 28;
/// How much the discriminator's opinion counts beside the pixels.
const ADVERSARIAL: f32 = 0.002;
const BATCH: usize = 64;

/// Images with holes: the input of the network, (image with the hole at 0, where the hole is).
struct Holes {
    input: Array4<f32>,
    mask: Array4<f32>,
}

/// Cuts a hole into each image, anywhere or in the middle.
fn cut(images: &Array4<f32>, key: Option<u64>) -> Holes {
    let rows = images.len_of(Axis(0));
    let mut corners = vec![0.5f32; 2 * rows];
    if let Some(key) = key {
        gradus::kernels::random::uniform(key, 0, &mut corners);
    }
    let mut mask = Array4::zeros(images.raw_dim());
    for (row, corner) in corners.chunks(2).enumerate() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 19
        let [i, j] = [corner[0], corner[1]].map(|part| (part * (SIDE - HOLE + 1) as f32) as usize);
        mask.slice_mut(s![row, i..i + HOLE, j..j + HOLE, ..]).fill(1.0);
    }
    let cut = images * &mask.mapv(|hole| 1.0 - hole);
    Holes { input: concatenate(Axis(3), &[cut.view(), mask.view()]).expect("as many images as masks"), mask }
}

/// The image with the hole filled by what the network makes.
fn filled(images: &Array4<f32>, made: &Array4<f32>, mask: &Array4<f32>) -> Array4<f32> {
    images * &mask.mapv(|hole| 1.0 - hole) + made * mask
}

/// Peak signal-to-noise ratio within the holes, in dB: 10·log₁₀(1 / mean squared error) of pixels from 0 to 1.
fn psnr(images: &Array4<f32>, made: &Array4<f32>, mask: &Array4<f32>) -> f64 {
    let error = ((images - made) * mask).mapv(|e| f64::from(e / 2.0).powi(2)).sum() / f64::from(mask.sum());
    10.0 * (1.0 / error).log10()
}

/// An encoder to a quarter of the image and a decoder back, with a bridge at each size.
fn network(seed: u64) -> gradus::Result<Model> {
    let input = Input::new([SIDE, SIDE, 2]);
    let conv = |x: &Symbol<f32>, filters: usize, strides: usize| {
        let conv = Conv2D::new(filters, 3).strides(strides).padding(Padding::Same).use_bias(false);
        x.apply(conv).apply(BatchNormalization::new().momentum(0.9)).apply(Relu)
    };
    let double = |x: &Symbol<f32>, filters: usize| {
        x.apply(Conv2DTranspose::new(filters, 4).strides(2).padding(Padding::Same)).apply(Relu)
    };
    let whole = conv(&input, 16, 1);
    let half = conv(&conv(&whole, 32, 2), 32, 1);
    let quarter = conv(&conv(&half, 64, 2), 64, 1);
    let bottom = quarter.apply(Flatten::new()).apply(Dense::new(128).activation(Relu));
    let up = bottom.apply(Dense::new(7 * 7 * 32).activation(Relu)).apply(Reshape::new([7, 7, 32]));
    let up = double(&call(Concatenate::new(), [&up, &quarter]), 32);
    let up = double(&call(Concatenate::new(), [&up, &half]), 16);
    let up = conv(&call(Concatenate::new(), [&up, &whole]), 16, 1);
    let image = up.apply(Conv2D::new(1, 3).padding(Padding::Same).activation(Tanh));
    ModelBuilder::new([&input], [&image]).seed(seed).build()
}

/// Trains the network on the squared error in the holes, and, with `adversarial`, against a discriminator of filled images.
fn train(images: &Array4<f32>, arguments: &arguments::Arguments, adversarial: bool) -> gradus::Result<Model> {
    let mut model = network(arguments.seed)?;
    let mut judge = Discriminator::dcgan([SIDE, SIDE, 1], arguments.seed + 1)?.into_model();
    arguments.set_threads(&mut model)?;
    arguments.set_threads(&mut judge)?;
    let rows = images.len_of(Axis(0));
    let steps = (arguments.epochs * rows.div_ceil(BATCH)) as u64;
    let mut optimizer = Driver::new(Adam::new().learning_rate(OneCycle::new(0.003, steps)), &model)?;
    let mut of_judge = Driver::new(Adam::new().learning_rate(2e-4).beta_1(0.5), &judge)?;
    let mut pass = model.pass();
    let (mut on_real, mut on_made, mut judging) = (judge.pass(), judge.pass(), judge.pass_of_input_gradients());
    let loss = GanLoss::NonSaturating;
    let mut step = 0;
    for epoch in 0..arguments.epochs {
        let mut order: Vec<usize> = (0..rows).collect();
        random::shuffle(&mut order, arguments.seed, epoch as u64);
        for batch in order.chunks(BATCH) {
            let mode = Mode::Training { seed: arguments.seed, step };
            let real = images.select(Axis(0), batch);
            let holes = cut(&real, Some(random::hash("inpainting") ^ arguments.seed ^ (step << 20)));
            model.forward(&mut pass, &holes.input, mode)?;
            let made: Array4<f32> = pass.output(0).array().to_owned().into_dimensionality().expect("images");
            // The mean squared error of the hole's pixels.
            let scale = 2.0 / holes.mask.sum();
            let mut grad = (&made - &real) * &holes.mask * scale;
            if adversarial {
                let whole = filled(&real, &made, &holes.mask);
                let mut slopes = Array2::<f32>::zeros((batch.len(), 1));
                judge.forward(&mut on_real, &real, mode)?;
                loss.real(on_real.output(0).data(), 1.0, slopes.as_slice_mut().expect("row-major"));
                judge.backward(&mut on_real, &slopes)?;
                judge.forward(&mut on_made, &whole, mode)?;
                loss.made(on_made.output(0).data(), slopes.as_slice_mut().expect("row-major"));
                judge.backward(&mut on_made, &slopes)?;
                on_real.add_gradients(&on_made)?;
                of_judge.step(&mut judge, &on_real)?;

                judge.forward(&mut judging, &whole, mode)?;
                loss.generator(judging.output(0).data(), slopes.as_slice_mut().expect("row-major"));
                judge.backward(&mut judging, &slopes)?;
                let of_pixels = judging.input_gradient(0).expect("a pass of input gradients");
                grad = grad
                    + &of_pixels.array().to_owned().into_dimensionality::<gradus::ndarray::Ix4>().expect("images")
                        * &holes.mask
                        * ADVERSARIAL;
            }
            model.backward(&mut pass, &grad)?;
            optimizer.step(&mut model, &pass)?;
            step += 1;
        }
    }
    Ok(model)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(6);
    let (train_set, test) = datasets::mnist::load()?;
    let (rows, tested_rows) = if arguments.smoke { (256, 256) } else { (60_000, 10_000) };
    let first = |images: &Array3<u8>, rows: usize| scaled(&images.slice_axis(Axis(0), (0..rows).into()).to_owned());
    let (images, tested) = (first(&train_set.images, rows), first(&test.images, tested_rows));
    let mean = images.mean_axis(Axis(0)).expect("some images").insert_axis(Axis(0));
    let mean = mean.broadcast(tested.raw_dim()).expect("one image for all").to_owned();
    let plain = train(&images, &arguments, false)?;
    let adversarial = train(&images, &arguments, true)?;

    for (place, key) in [("anywhere", Some(1)), ("in the middle", None)] {
        let holes = cut(&tested, key);
        let of = |model: &Model| -> gradus::Result<Array4<f32>> {
            Ok(model.predict(&holes.input)?.into_dimensionality().expect("images"))
        };
        let (without, with) = (of(&plain)?, of(&adversarial)?);
        println!("A hole of {HOLE}×{HOLE} {place}, PSNR within it:");
        println!("  mean image: {:.2} dB", psnr(&tested, &mean, &holes.mask));
        println!("  without adversarial loss: {:.2} dB", psnr(&tested, &without, &holes.mask));
        println!("  with adversarial loss: {:.2} dB", psnr(&tested, &with, &holes.mask));
        if key.is_some() {
            let nothing = Array4::zeros(tested.raw_dim());
            let rows = [&tested, &nothing, &mean, &without, &with]
                .map(|made| filled(&tested, made, &holes.mask).slice_axis(Axis(0), (0..12).into()).to_owned());
            let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
            let picture = images::grid(&shades(&concatenate(Axis(0), &views)?), 12, 2)?;
            images::write_png(arguments.picture("inpainting.png")?, &images::enlarge(&picture, 2)?)?;
        }
    }
    Ok(())
}
