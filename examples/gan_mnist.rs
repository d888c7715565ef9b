//! A DCGAN that draws digits, with figures of how well it does.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --release --all-features --example gan_mnist` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | seeds 0, 1, 2: 0.59, 0.60, 0.60 sure, smallest class 0.056, 0.059, 0.073, Fréchet distance 0.142, 0.139, 0.140 of the anchor |
//! | time | 4½ minutes of processor time, the judge's included (AMD EPYC, one thread) |
//! | writes | `target/pictures/gan_mnist/epoch_N.png`, `progress.png`, an animation of the same noise after each epoch, `losses.png` |

mod arguments;
mod gan_quality;

use gan_quality::{Judge, scaled, shades};
use gradus::data::images;
use gradus::gan::GanFit;
use gradus::plots;
use gradus::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(5);
    let (train, test) = datasets::mnist::load()?;
    let real = scaled(&train.images);
    let rows = if arguments.smoke { 512 } else { real.len_of(Axis(0)) };
    let real = real.slice_axis(Axis(0), (0..rows).into());

    let mut gan = Gan::new(
        Generator::dcgan(100, [28, 28, 1], arguments.seed)?,
        Discriminator::dcgan([28, 28, 1], arguments.seed + 1)?,
    )
    .seed(arguments.seed)
    .build()?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;
    println!("{}\n{}", gan.generator().summary(), gan.discriminator().summary());

    // The same noise after each epoch: one can watch digits come out of it.
    let shown = gan.noise(64, 7);
    let mut frames = Vec::new();
    let history = gan.fit(
        &real,
        GanFit::new().batch_size(64).epochs(arguments.epochs).on_epoch_end(|state, _| {
            let picture = images::grid(&shades(&state.gan.generate(&shown)?), 8, 2)?;
            images::write_png(
                arguments.picture(&format!("gan_mnist/epoch_{}.png", state.epoch + 1))?,
                &images::enlarge(&picture, 2)?,
            )?;
            frames.push(picture);
            Ok(())
        }),
    )?;
    images::write_animation(arguments.picture("gan_mnist/progress.png")?, &frames, 700)?;
    plots::learning_curves(&history).save(arguments.picture("gan_mnist/losses.png")?)?;

    let judge = Judge::new(&train, &test, &arguments.output, arguments.smoke)?;
    let made = gan.sample(gan_quality::count(arguments.smoke), 1)?.into_dimensionality().expect("images");
    judge.print(&judge.judge(&made)?);
    // Beside it what another framework made of the same network: `docs/measurements/gan_peer.py` writes it.
    let peer = arguments.output.join("gan_mnist/peer.safetensors");
    if peer.exists() {
        let file = gradus::formats::safetensors::TensorFile::read(&peer)?;
        println!("\nOf the peer in {}:", peer.display());
        judge.print(&judge.judge(&file.get::<f32>("samples")?.to_owned().into_dimensionality()?)?);
    }
    Ok(())
}
