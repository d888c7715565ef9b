//! A residual network in the functional style: three stages of two blocks, each of which learns what to add to its input.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, ships in `data/mnist` (see the example `mnist_cnn`) |
//! | command | `cargo run --release --example resnet_mnist` |
//! | expected | test accuracy 0.9958 after 2 epochs (seed 0) |
//! | time | 387 s of processor time, 660 MB (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::data::{Augmentation, AugmentedImages};
use gradus::ndarray::s;
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(2);
    let (train, test) = datasets::mnist::load()?;
    let (rows, tested) = if arguments.smoke { (256, 256) } else { (train.labels.len(), test.labels.len()) };
    let images = train.images.slice(s![..rows, .., ..]);
    let labels = train.labels.slice(s![..rows]);

    let batch_size = 128;
    let rate = OneCycle::new(0.01, (arguments.epochs * rows.div_ceil(batch_size)) as u64);
    let (image, digit) = res_net();
    let mut model = ModelBuilder::new([&image], [&digit])
        .compile(
            Compile::new(AdamW::new().learning_rate(rate).weight_decay(0.01))
                .loss(SparseCategoricalCrossentropy::new())
                .metric(Accuracy::new()),
        )
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());

    let slightly = Augmentation::new().rotation(10.0).shift(2.0).seed(arguments.seed);
    let shown = AugmentedImages::new(&images, &labels, slightly)?;
    model.fit_data(&shown, Fit::new().batch_size(batch_size).epochs(arguments.epochs))?;

    let test_images = test.images.slice(s![..tested, .., ..]);
    let x_test = test_images.mapv(|pixel| f32::from(pixel) / 255.0).insert_axis(Axis(3));
    let score = model.evaluate(&x_test, &test.labels.slice(s![..tested]))?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}

/// 16, 32 and 64 filters at 28×28, 14×14 and 7×7 pixels.
fn res_net() -> (Symbol<f32>, Symbol<f32>) {
    let image = Input::new([28, 28, 1]).named("image");
    let mut x = normalized(&image, Conv2D::new(16, 3)).apply(Relu);
    for (filters, strides) in [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)] {
        x = block(&x, filters, strides);
    }
    let digit = x.apply(GlobalAvgPool2D::new()).apply(Dense::new(10).activation(Softmax).name("digit"));
    (image, digit)
}

/// y = relu(f(x) + x), f two convolutions; where f changes the shape, a convolution of one pixel brings x to it.
///
/// Source: He, Zhang, Ren, Sun, *Deep residual learning for image recognition*, 2015, figure 2.
fn block(x: &Symbol<f32>, filters: usize, strides: usize) -> Symbol<f32> {
    let first = normalized(x, Conv2D::new(filters, 3).strides(strides)).apply(Relu);
    let learned = normalized(&first, Conv2D::new(filters, 3));
    let skipped = if strides > 1 { normalized(x, Conv2D::new(filters, 1).strides(strides)) } else { x.clone() };
    call(Add::new(), [&learned, &skipped]).apply(Relu)
}

/// A convolution whose results are normalized over the batch; the normalization's own shift takes the place of a bias.
fn normalized(x: &Symbol<f32>, convolution: Conv2D) -> Symbol<f32> {
    x.apply(convolution.padding(Same).use_bias(false)).apply(BatchNormalization::new().momentum(0.9))
}
