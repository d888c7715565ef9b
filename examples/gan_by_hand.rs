//! A GAN written by hand on the public low level: what `Gan::fit` does, in one loop.
//!
//! | | |
//! | --- | --- |
//! | data | points on a circle, made here |
//! | command | `cargo run --example gan_by_hand` |
//! | expected | generated points at a mean distance of 0.9 to 1.1 from the centre |

mod arguments;

use gradus::custom::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(4000);
    let (batch, latent) = (64, 4);
    let real = Array2::from_shape_fn((batch, 2), |(i, axis)| {
        let angle = i as f32 / batch as f32 * std::f32::consts::TAU;
        if axis == 0 { angle.cos() } else { angle.sin() }
    });
    let dense = |units: usize| Dense::new(units).activation(Tanh);
    let generator = Sequential::new().input([latent]).add(dense(32)).add(dense(32)).add(Dense::new(2));
    let discriminator = Sequential::new().input([2]).add(dense(32)).add(dense(32)).add(Dense::new(1));
    let mut generator = generator.seed(arguments.seed).build()?;
    let mut discriminator = discriminator.seed(arguments.seed + 1).build()?;
    arguments.set_threads(&mut generator)?;
    arguments.set_threads(&mut discriminator)?;

    let adam = || Adam::new().learning_rate(1e-3).beta_1(0.5);
    let (mut of_generator, mut of_discriminator) =
        (Driver::new(adam(), &generator)?, Driver::new(adam(), &discriminator)?);
    let loss = BinaryCrossentropy::new().from_logits(true);
    let (ones, zeros) = (Array2::<f32>::ones((batch, 1)), Array2::<f32>::zeros((batch, 1)));

    // The discriminator is run three times a step, each time in memory of its own. The last passes gradients on to the
    // generator, and has none for the discriminator's parameters.
    let mut making = generator.pass();
    let (mut on_real, mut on_made) = (discriminator.pass(), discriminator.pass());
    let mut judging = discriminator.pass_of_input_gradients();
    for step in 0..arguments.epochs as u64 {
        let mode = Mode::Training { seed: arguments.seed, step };
        let mut noise = Array2::<f32>::zeros((batch, latent));
        gradus::kernels::random::normal(step, 0, noise.as_slice_mut().expect("row-major"));
        let made = generator.forward(&mut making, &noise, mode)?;

        // The discriminator: real points are to score high, made ones low.
        discriminator.forward(&mut on_real, &real, mode)?;
        let (real_loss, grad) = loss.value_and_gradient(on_real.output(0), &ones)?;
        discriminator.backward(&mut on_real, &grad)?;
        discriminator.forward(&mut on_made, made, mode)?;
        let (made_loss, grad) = loss.value_and_gradient(on_made.output(0), &zeros)?;
        discriminator.backward(&mut on_made, &grad)?;
        on_real.add_gradients(&on_made)?;
        of_discriminator.step(&mut discriminator, &on_real)?;

        // The generator: what it made is to score high. The gradient comes back through the discriminator.
        discriminator.forward(&mut judging, making.output(0), mode)?;
        let (generator_loss, grad) = loss.value_and_gradient(judging.output(0), &ones)?;
        discriminator.backward(&mut judging, &grad)?;
        generator.backward(&mut making, judging.input_gradient(0).expect("a pass of input gradients"))?;
        of_generator.step(&mut generator, &making)?;
        if step % 500 == 0 {
            println!("step {step}: discriminator {:.3}, generator {generator_loss:.3}", real_loss + made_loss);
        }
    }

    let mut noise = Array2::<f32>::zeros((1000, latent));
    gradus::kernels::random::normal(u64::MAX, 0, noise.as_slice_mut().expect("row-major"));
    let points = generator.predict(&noise)?;
    let radius: f32 = points.outer_iter().map(|point| point[0].hypot(point[1])).sum::<f32>() / 1000.0;
    println!("Mean distance from the centre: {radius:.3}");
    Ok(())
}
