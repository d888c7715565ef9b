//! A DCGAN that draws digits, with figures of how well it does.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --release --all-features --example gan_mnist` (`-- --long --seed N --epochs N --threads N --smoke`) |
//! | expected | seeds 0, 1, 2: 0.59, 0.60, 0.60 sure, smallest class 0.056, 0.059, 0.073, Fréchet distance 0.142, 0.139, 0.140 of the anchor |
//! | | `--long`, seed 0: 0.70 sure, smallest class 0.038, Fréchet distance 0.121 of the anchor |
//! | time | 4½ minutes of processor time, the judge's included (AMD EPYC, one thread); of `--long`, by default 14 epochs, 12 minutes (Intel Xeon; 31 s an epoch on two free cores) |
//! | writes | `target/pictures/gan_mnist/epoch_N.png`, `progress.png`, an animation of the same noise after each epoch, `losses.png` |

mod arguments;
mod gan_quality;

use gan_quality::{Judge, scaled, shades};
use gradus::data::images;
use gradus::plots;
use gradus::prelude::*;

const BATCH: usize = 64;

/// A DCGAN's generator that thinks for one more layer before it draws, so that a digit's parts fit together. The statistics
/// of its dense layers are each unit's own: those of a whole channel would allow units that are the same for all noise.
fn deeper_generator(seed: u64) -> gradus::Result<Model> {
    let normalized = || BatchNormalization::new().momentum(0.9);
    let double = |filters| Conv2DTranspose::new(filters, 4).strides(2).padding(Padding::Same);
    Sequential::new()
        .input([100])
        .seed(seed)
        .add(Dense::new(512))
        .add(normalized())
        .add(Relu)
        .add(Dense::new(7 * 7 * 64))
        .add(normalized())
        .add(Relu)
        .add(Reshape::new([7, 7, 64]))
        .add(double(32))
        .add(normalized())
        .add(Relu)
        .add(double(1).activation(Tanh))
        .build()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (long, arguments) = arguments::Arguments::read_with(Some("long"), [5, 14]);
    let (train, test) = datasets::mnist::load()?;
    let real = scaled(&train.images);
    let rows = if arguments.smoke { 512 } else { real.len_of(Axis(0)) };
    let real = real.slice_axis(Axis(0), (0..rows).into());

    let discriminator = Discriminator::dcgan([28, 28, 1], arguments.seed + 1)?;
    let mut gan = if long {
        // Rates that fall to 0; at the end the generator gets the average of its weights.
        let steps = (arguments.epochs * rows.div_ceil(BATCH)) as f64;
        let adam = || Adam::new().learning_rate(CosineDecay::new(2e-4, steps)).beta_1(0.5);
        Gan::new(Generator::new(deeper_generator(arguments.seed)?)?, discriminator)
            .generator_optimizer(adam().use_ema(true).ema_momentum(0.999))
            .discriminator_optimizer(adam())
    } else {
        Gan::new(Generator::dcgan(100, [28, 28, 1], arguments.seed)?, discriminator)
    }
    .seed(arguments.seed)
    .build()?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;
    println!("{}\n{}", gan.generator().summary(), gan.discriminator().summary());

    // The same noise after each epoch: one can watch digits come out of it.
    let shown = gan.noise(64, 7);
    let mut frames = Vec::new();
    let history = gan.fit(
        &real,
        Fit::new().batch_size(BATCH).epochs(arguments.epochs).on_epoch_end(|state, _| {
            let picture = images::grid(&shades(&state.learner_as::<Gan>().expect("a GAN").generate(&shown)?), 8, 2)?;
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
