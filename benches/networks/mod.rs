//! The networks of the workloads, which several benchmarks time.

use gradus::custom::*;

/// The network of the Keras MNIST script.
pub fn mnist() -> gradus::Result<Model> {
    Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .build()
}

/// Two convolutions, each with a pool behind it, and a classifier.
pub fn cnn() -> gradus::Result<Model> {
    Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .build()
}

/// ResNet-20 for images of 32 × 32 × 3: three stages of three blocks, with 16, 32 and 64 filters.
pub fn resnet() -> gradus::Result<Model> {
    let conv = |x: &Symbol<f32>, filters: usize, size: usize, stride: usize| {
        let layer = Conv2D::new(filters, size).strides(stride).padding(Padding::Same).use_bias(false);
        x.apply(layer).apply(BatchNormalization::new())
    };
    let input = Input::new([32, 32, 3]);
    let mut x = conv(&input, 16, 3, 1).apply(Relu);
    for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..3 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let inside = conv(&conv(&x, filters, 3, stride).apply(Relu), filters, 3, 1);
            let around = if stride == 2 { conv(&x, filters, 1, 2) } else { x };
            x = call(Add::new(), [&inside, &around]).apply(Relu);
        }
    }
    let y = x.apply(GlobalAvgPool2D::new()).apply(Dense::new(10).activation(Softmax));
    let compile = Compile::new(SGD::new().learning_rate(0.1).momentum(0.9)).loss(CategoricalCrossentropy::new());
    ModelBuilder::new([&input], [&y]).compile(compile).build()
}

/// A recurrent layer over 64 timesteps of 64 features, and a classifier.
pub fn recurrent<M>(layer: impl IntoLayer<f32, M>) -> gradus::Result<Model> {
    Sequential::new()
        .input([64, 64])
        .add(layer)
        .add(Dense::new(10))
        .compile(SparseCategoricalCrossentropy::new().from_logits(true), Adam::new())
        .build()
}

/// A recurrent layer over texts of 80 tokens out of 20,000.
pub fn text() -> gradus::Result<Model> {
    Sequential::new()
        .input([80])
        .add(Embedding::new(20_000, 128))
        .add(LSTM::new(128))
        .add(Dense::new(1))
        .compile(BinaryCrossentropy::new().from_logits(true), Adam::new())
        .build()
}

/// A DCGAN for images of 28 × 28.
pub fn gan() -> gradus::Result<Gan> {
    Gan::new(Generator::dcgan(100, [28, 28, 1], 0)?, Discriminator::dcgan([28, 28, 1], 1)?).reuse_fakes(true).build()
}

/// Numbers in 0..1 that are the same in every run.
pub fn noise(shape: &[usize]) -> ArrayD<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    gradus::kernels::random::uniform(7, 0, &mut values);
    ArrayD::from_shape_vec(shape, values).expect("as many values as the shape says")
}
