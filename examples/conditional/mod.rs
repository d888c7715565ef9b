//! The networks of a conditional DCGAN: the label as a vector beside the noise, and as a further channel of the image.

use gradus::prelude::*;

/// Generator and discriminator of digits.
pub fn gan(seed: u64) -> gradus::Result<Gan> {
    Gan::new(Generator::new(generator(seed)?)?, Discriminator::new(discriminator(seed + 1)?)?).seed(seed).build()
}

fn generator(seed: u64) -> gradus::Result<Model> {
    let (noise, label) = (Input::new([100]), Input::new([]));
    let normalized = || BatchNormalization::new().momentum(0.9);
    let double = |filters| Conv2DTranspose::new(filters, 4).strides(2).padding(Padding::Same);
    let digit = call(Concatenate::new(), [&noise, &label.apply(Embedding::new(10, 50))])
        .apply(Dense::new(7 * 7 * 64))
        .apply(Reshape::new([7, 7, 64]))
        .apply(normalized())
        .apply(Relu)
        .apply(double(32))
        .apply(normalized())
        .apply(Relu)
        .apply(double(1).activation(Tanh));
    ModelBuilder::new([&noise, &label], [&digit]).seed(seed).build()
}

fn discriminator(seed: u64) -> gradus::Result<Model> {
    let (image, label) = (Input::new([28, 28, 1]), Input::new([]));
    let leaky = LeakyRelu { negative_slope: 0.2 };
    let halve = |filters: usize| Conv2D::new(filters, 4).strides(2).padding(Padding::Same).activation(leaky.clone());
    let plane = label.apply(Embedding::new(10, 50)).apply(Dense::new(28 * 28)).apply(Reshape::new([28, 28, 1]));
    let score = call(Concatenate::new(), [&image, &plane])
        .apply(halve(32))
        .apply(halve(64))
        .apply(Flatten::new())
        .apply(Dense::new(1));
    ModelBuilder::new([&image, &label], [&score]).seed(seed).build()
}
