//! A warm training step and a predictor allocate nothing, for every built-in activation, loss and optimizer.
//!
//! The allocator counts for the whole process, so this file has one test and no others beside it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    clippy::type_complexity,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::unwrap_used
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use gradus::Model;
use gradus::custom::*;

/// The system's allocator, which counts while it is asked to.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local!(static TRACING: Cell<bool> = const { Cell::new(false) });

impl Counting {
    fn count(size: usize) {
        // Where the first of a run comes from is worth more than how many there are.
        if COUNTS.load(Relaxed) && !TRACING.replace(true) {
            BYTES.fetch_add(size, Relaxed);
            if COUNT.fetch_add(1, Relaxed) == 0 && std::env::var_os("GRADUS_TRACE_ALLOCATIONS").is_some() {
                eprintln!("{size} bytes from\n{}", Backtrace::force_capture());
            }
            TRACING.set(false);
        }
    }
}

#[allow(unsafe_code)] // a global allocator has no safe form; every call goes to the system's
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`, which is the system's too.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates.
fn allocations<R>(work: impl FnOnce() -> R) -> (usize, R) {
    COUNT.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
    let result = work();
    COUNTS.store(false, Relaxed);
    (COUNT.load(Relaxed), result)
}

/// The least that `work` allocates in several attempts: what a step allocates, it allocates each time, while new threads
/// start, and then allocate, when the system likes.
fn least(mut work: impl FnMut() -> usize) -> usize {
    let mut least = usize::MAX;
    for _ in 0..20 {
        least = least.min(work());
        if least == 0 {
            break;
        }
    }
    least
}

/// Counts from the end of one step to the end of a later one of the same epoch.
struct Between {
    from: usize,
    to: usize,
    counted: Option<usize>,
}

impl<F: Scalar> Callback<F> for Between {
    fn on_batch_end(&mut self, _: &mut EpochState<'_, F>, batch: usize, _: &Logs) -> gradus::Result<()> {
        if batch == self.to {
            COUNTS.store(false, Relaxed);
            self.counted = Some(COUNT.load(Relaxed));
        }
        if batch == self.from {
            COUNT.store(0, Relaxed);
            COUNTS.store(true, Relaxed);
        }
        Ok(())
    }
}

/// What a warm step of `fit` allocates: 8 steps of two shards each, after four that warm up.
fn steps_of_fit<F: Scalar>(model: &mut Model<F>, x: &Array2<F>, y: &Array2<F>) -> usize
where
    for<'a> &'a Array2<F>: IntoInputs<'a, F>,
{
    steps_with(model, x, y, Fit::new())
}

fn steps_with<F: Scalar>(model: &mut Model<F>, x: &Array2<F>, y: &Array2<F>, fit: Fit<'_, F>) -> usize
where
    for<'a> &'a Array2<F>: IntoInputs<'a, F>,
{
    let mut between = Between { from: 3, to: 11, counted: None };
    model.fit(x, y, fit.batch_size(32).verbose(0).callback(&mut between)).expect("good data");
    between.counted.expect("twelve steps")
}

const ROWS: usize = 32 * 12;

fn features() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, 6), |(i, j)| ((3 * i + 5 * j) % 13) as f32 / 6.0 - 1.0)
}

/// One-hot rows of 4 classes, which every loss takes.
fn one_hot() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, 4), |(i, j)| f32::from(u8::from(i % 4 == j)))
}

fn model(
    hidden: Activation,
    last: Activation,
    loss: impl Loss<f32> + 'static,
    optimizer: impl Optimizer<f32> + 'static,
) -> Model {
    Sequential::new()
        .input([6])
        .add(Dense::new(16).activation(hidden))
        .add(Dense::new(12).activation(Relu))
        .add(Dense::new(4).activation(last))
        .compile(loss, optimizer)
        .metric(Accuracy::new())
        .build()
        .expect("a good model")
}

fn activations() -> Vec<Activation> {
    vec![
        Linear,
        Relu,
        ReluWith { max_value: Some(2.0), negative_slope: 0.1, threshold: 0.5 },
        LeakyRelu { negative_slope: 0.2 },
        Relu6,
        Elu { alpha: 1.0 },
        Selu,
        Celu { alpha: 1.3 },
        Gelu,
        GeluTanh,
        Sigmoid,
        HardSigmoid,
        LogSigmoid,
        Tanh,
        HardTanh,
        TanhShrink,
        Softmax,
        LogSoftmax,
        SoftmaxOver { axis: 1 },
        Softplus,
        Softsign,
        Silu,
        HardSilu,
        Mish,
        Exponential,
        Activation::Custom(CustomActivation::new("square", |x| x * x, |x| 2.0 * x)),
    ]
}

/// Collects what was not nothing.
struct Found(Vec<String>);

impl Found {
    fn expect_none(&mut self, what: &str, count: usize) {
        if count > 0 {
            self.0.push(format!("{what}: {count} allocations"));
        }
    }
}

/// A model to be trained with an optimizer.
fn with(optimizer: impl Optimizer<f32> + 'static) -> Model {
    model(Tanh, Softmax, CategoricalCrossentropy::new(), optimizer)
}

/// Matrices whose products Muon cuts for several threads.
fn with_large_matrices(optimizer: impl Optimizer<f32> + 'static) -> Model {
    Sequential::new()
        .input([6])
        .add(Dense::new(200).activation(Tanh))
        .add(Dense::new(150).activation(Relu))
        .add(Dense::new(4).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), optimizer)
        .build()
        .expect("a good model")
}

/// A model for every optimizer and what the driver adds.
fn optimizers() -> Vec<(String, Model)> {
    vec![
        ("SGD".into(), with(SGD::new())),
        ("SGD with momentum".into(), with(SGD::new().momentum(0.9).nesterov(true).dampening(0.1))),
        ("Adam".into(), with(Adam::new())),
        ("Adam with amsgrad".into(), with(Adam::new().amsgrad(true))),
        ("AdamW".into(), with(AdamW::new())),
        ("RMSprop".into(), with(RMSprop::new().momentum(0.9).centered(true))),
        ("Adagrad".into(), with(Adagrad::new())),
        ("Adadelta".into(), with(Adadelta::new())),
        ("Adamax".into(), with(Adamax::new())),
        ("Nadam".into(), with(Nadam::new())),
        ("Lion".into(), with(Lion::new())),
        ("Lamb".into(), with(Lamb::new())),
        ("Ftrl".into(), with(Ftrl::new())),
        ("Muon".into(), with(Muon::new())),
        ("Adafactor".into(), with(Adafactor::new())),
        ("Muon of large matrices".into(), with_large_matrices(Muon::new())),
        ("rates of layers".into(), with(Adam::new().learning_rate_multipliers([("dense", 0.1), ("dense_2", 2.0)]))),
        ("clipnorm".into(), with(SGD::new().clipnorm(0.1))),
        ("clipvalue".into(), with(SGD::new().clipvalue(0.1))),
        ("global_clipnorm".into(), with(SGD::new().global_clipnorm(0.1))),
        ("decay".into(), with(SGD::new().weight_decay(0.1))),
        ("decay as a penalty".into(), with(SGD::new().weight_decay(0.1).decoupled_weight_decay(false))),
        ("average".into(), with(SGD::new().use_ema(true).ema_overwrite_frequency(2))),
        ("accumulation".into(), with(SGD::new().gradient_accumulation_steps(3))),
        ("schedule".into(), with(SGD::new().learning_rate(ExponentialDecay::new(0.1, 10.0, 0.5)))),
    ]
}

/// Every convolutional layer, on features that are seen as images, sequences and volumes.
fn convolutions() -> Model {
    let x = Input::new([6]);
    let image = x.apply(Dense::new(24).activation(Relu)).apply(Reshape::new([4, 3, 2]));
    let images = [
        image.apply(Conv2D::new(5, 3).padding(Padding::Same).activation(Relu)),
        image.apply(Conv2D::new(4, 2).strides(2).groups(2).activation(Gelu)),
        image.apply(Conv2DTranspose::new(3, 2).strides(2).activation(Relu)),
        image.apply(DepthwiseConv2D::new(2).depth_multiplier(2)),
        image.apply(SeparableConv2D::new(3, 2).padding(Padding::Same).activation(Tanh)),
    ];
    let sequence = image.apply(Reshape::new([12, 2]));
    let volume = image.apply(Reshape::new([2, 2, 3, 2]));
    let others = [
        sequence.apply(Conv1D::new(4, 3).padding(Padding::Causal).dilation_rate(2)),
        sequence.apply(Conv1DTranspose::new(2, 2).strides(2)),
        sequence.apply(DepthwiseConv1D::new(2)),
        sequence.apply(SeparableConv1D::new(3, 2)),
        volume.apply(Conv3D::new(3, 2)),
        volume.apply(Conv3DTranspose::new(2, 2)),
    ];
    let all: Vec<Symbol<f32>> = images.iter().chain(&others).map(|y| y.apply(Flatten::new())).collect();
    let y = call(Concatenate::new(), &all).apply(Dense::new(4).activation(Softmax));
    let compile = Compile::new(Adam::new()).loss(CategoricalCrossentropy::new());
    ModelBuilder::new([&x], [&y]).compile(compile).build().expect("a good model")
}

/// Every pooling, normalization and resizing layer, likewise.
fn pools_and_norms() -> Model {
    let x = Input::new([6]);
    let image = x.apply(Dense::new(32).activation(Relu)).apply(Reshape::new([4, 4, 2]));
    let sequence = image.apply(Reshape::new([16, 2]));
    let volume = image.apply(Reshape::new([2, 4, 2, 2]));
    let all = [
        image.apply(MaxPool2D::new()),
        image.apply(MaxPool2D::new().pool_size(3).strides(2).padding(Same)),
        image.apply(AvgPool2D::new()),
        sequence.apply(MaxPool1D::new()),
        sequence.apply(AvgPool1D::new().pool_size(3).strides(1)),
        volume.apply(MaxPool3D::new()),
        volume.apply(AvgPool3D::new()),
        image.apply(GlobalMaxPool2D::new()),
        image.apply(GlobalAvgPool2D::new()),
        sequence.apply(GlobalMaxPool1D::new()),
        volume.apply(GlobalAvgPool3D::new()),
        image.apply(BatchNormalization::new()),
        image.apply(LayerNormalization::new()),
        image.apply(GroupNormalization::new().groups(2)),
        image.apply(RMSNormalization::new()),
        image.apply(UnitNormalization::new()),
        image.apply(ZeroPadding2D::new()),
        image.apply(Cropping2D::new().cropping(1)),
        image.apply(UpSampling2D::new()),
        image.apply(UpSampling2D::new().interpolation(Interpolation::Bilinear)),
        image.apply(SpatialDropout2D::new(0.2)),
    ];
    let all: Vec<Symbol<f32>> = all.iter().map(|y| y.apply(Flatten::new())).collect();
    let y = call(Concatenate::new(), &all).apply(Dense::new(4).activation(Softmax));
    let compile = Compile::new(Adam::new()).loss(CategoricalCrossentropy::new());
    ModelBuilder::new([&x], [&y]).compile(compile).build().expect("a good model")
}

/// Every layer of sequences, likewise.
fn sequences() -> Model {
    let x = Input::new([6]);
    let sequence = x.apply(Dense::new(20).activation(Relu)).apply(Reshape::new([5, 4]));
    let masked = sequence.apply(Masking::new());
    let attended = [&sequence, &masked];
    let timestep = Sequential::new().input([2, 2]).add(LSTM::new(3).return_sequences(true)).add(GRU::new(2)).build();
    let timestep = timestep.expect("a good model");
    let cells = StackedRNNCells::new().add(LSTMCell::new(3).dropout(0.2)).add(GRUCell::new(2));
    let images = sequence.apply(Reshape::new([5, 2, 2]));
    let all = [
        masked.apply(RNN::new(3).return_sequences(true)),
        masked.apply(LSTM::new(3).dropout(0.2).recurrent_dropout(0.2)),
        masked.apply(GRU::new(3).return_sequences(true).go_backwards(true)),
        sequence.apply(GRU::new(3).reset_after(false)),
        sequence.apply(LSTM::new(3).activation(Relu).recurrent_activation(HardSigmoid)),
        masked.apply(Bidirectional::new(LSTM::new(3).return_sequences(true))),
        masked.apply(RNN::of(cells.clone()).return_sequences(true)),
        masked.apply(Bidirectional::new(RNN::of(cells))),
        images.apply(ConvLSTM1D::new(2, 2).dropout(0.2).recurrent_dropout(0.2).return_sequences(true)),
        images.apply(Bidirectional::new(ConvLSTM1D::new(2, 1).activation(Softsign))),
        sequence.apply(TimeDistributed::new(Dense::new(3).activation(Tanh))),
        sequence.apply(Reshape::new([5, 2, 2])).apply(TimeDistributed::new(timestep)),
        sequence.apply(Reshape::new([5, 2, 2])).apply(MultiHeadAttention::new(2, 3).attention_axes(1)),
        call(Attention::new().use_scale(true), attended),
        call(AdditiveAttention::new(), attended),
        call(MultiHeadAttention::new(2, 3).dropout(0.1), attended),
    ];
    let all: Vec<Symbol<f32>> = all.iter().map(|y| y.apply(Flatten::new())).collect();
    let y = call(Concatenate::new(), &all).apply(Dense::new(4).activation(Softmax));
    let compile = Compile::new(Adam::new()).loss(CategoricalCrossentropy::new());
    ModelBuilder::new([&x], [&y]).compile(compile).build().expect("a good model")
}

/// A vocabulary of which a batch names a part, with a mask.
fn tokens(optimizer: impl Optimizer<f32> + 'static) -> Model {
    Sequential::new()
        .input([6])
        .add(Embedding::new(100, 8).mask_zero(true))
        .add(GRU::new(5))
        .add(Dense::new(4).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), optimizer)
        .build()
        .expect("a good model")
}

/// Models of every activation, loss, optimizer and kind of layer under a name each, to be trained on [`features`] and
/// [`one_hot`].
fn models() -> Vec<(String, Model)> {
    let mut models = Vec::new();
    for activation in activations() {
        let name = format!("{activation:?}");
        models.push((name, model(activation, Softmax, CategoricalCrossentropy::new(), Adam::new())));
    }
    let mut loss = |name: &str, last: Activation, loss: Box<dyn Fn(Activation) -> Model>| {
        models.push((name.to_owned(), loss(last)));
    };
    loss("softmax apart", Tanh, Box::new(|last| model(Tanh, last, MeanSquaredError::new(), SGD::new())));
    loss("mean absolute error", Linear, Box::new(|last| model(Tanh, last, MeanAbsoluteError::new(), SGD::new())));
    loss("sigmoid", Sigmoid, Box::new(|last| model(Tanh, last, BinaryCrossentropy::new(), SGD::new())));
    loss("not joined", Softplus, Box::new(|last| model(Tanh, last, BinaryCrossentropy::new(), SGD::new())));
    loss(
        "logits",
        Linear,
        Box::new(|last| model(Tanh, last, CategoricalCrossentropy::new().from_logits(true), SGD::new())),
    );
    loss(
        "smoothing",
        Softmax,
        Box::new(|last| model(Tanh, last, CategoricalCrossentropy::new().label_smoothing(0.1), SGD::new())),
    );
    loss(
        "weighted mean",
        Linear,
        Box::new(|last| {
            let loss = MeanSquaredError::new().reduction(Reduction::MeanWithSampleWeight);
            model(Tanh, last, loss, SGD::new())
        }),
    );
    loss("focal", Softmax, Box::new(|last| model(Tanh, last, CategoricalFocalCrossentropy::new(), SGD::new())));
    loss("hinge", Linear, Box::new(|last| model(Tanh, last, Hinge::new(), SGD::new())));
    loss("dice of the batch", Sigmoid, Box::new(|last| model(Tanh, last, Dice::new(), SGD::new())));
    loss("dice by sample", Sigmoid, Box::new(|last| model(Tanh, last, Dice::new().axis([1]), SGD::new())));
    models.extend(optimizers());
    let penalized = Sequential::new()
        .input([6])
        .add(Reshape::new([2, 3]))
        .add(Permute::new([2, 1]))
        .add(Flatten::new())
        .add(RepeatVector::new(2))
        .add(
            Dense::new(5)
                .kernel_regularizer(Regularizer::L2(0.1))
                .bias_regularizer(Regularizer::L1(0.1))
                .activity_regularizer(Regularizer::L1L2 { l1: 0.1, l2: 0.1 })
                .kernel_constraint(gradus::constraints::Constraint::NonNeg),
        )
        .add(Flatten::new())
        .add(Dense::new(4).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .build()
        .expect("a good model");
    models.push(("shapes, penalties and constraints".into(), penalized));
    let noisy = Sequential::new()
        .input([6])
        .add(GaussianNoise::new(0.1))
        .add(Dense::new(16))
        .add(PReLU::new())
        .add(Dropout::new(0.3))
        .add(GaussianDropout::new(0.2))
        .add(AlphaDropout::new(0.2))
        .add(Dense::new(4).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .build()
        .expect("a good model");
    models.push(("noise".into(), noisy));
    models.push(("convolutions".into(), convolutions()));
    models.push(("pools and norms".into(), pools_and_norms()));
    models.push(("sequences".into(), sequences()));
    let x = Input::new([6]);
    let (a, b) = (x.apply(Dense::new(8)), x.apply(Dense::new(8).activation(Relu)));
    let merged = [
        call(Add::new(), [&a, &b]),
        call(Subtract::new(), [&a, &b]),
        call(Multiply::new(), [&a, &b]),
        call(Average::new(), [&a, &b]),
        call(Maximum::new(), [&a, &b]),
        call(Minimum::new(), [&a, &b]),
        call(Dot::new(1).normalize(true), [&a, &b]),
    ];
    let y = call(Concatenate::new(), &merged).apply(Dense::new(4).activation(Softmax));
    let compile = Compile::new(Adam::new()).loss(CategoricalCrossentropy::new());
    let merges = ModelBuilder::new([&x], [&y]).compile(compile).build().expect("a good model");
    models.push(("merges".into(), merges));
    models
}

/// Epochs of `fit`: every model, tokens, weights of samples and classes, metrics.
fn fits(found: &mut Found) {
    let (x, y) = (features(), one_hot());
    for threads in [1, 2] {
        for (name, mut model) in models() {
            model.set_threads(threads).expect("so many threads");
            let count = least(|| steps_of_fit(&mut model, &x, &y));
            found.expect_none(&format!("fit, {threads} threads, {name}"), count);
        }
    }

    // Every step names other rows of the vocabulary.
    let ids = Array2::from_shape_fn((ROWS, 6), |(i, j)| ((7 * i + i * j) % 100) as f32);
    for (name, mut model) in [("SGD", tokens(SGD::new())), ("Adam", tokens(Adam::new()))] {
        let count = least(|| steps_of_fit(&mut model, &ids, &y));
        found.expect_none(&format!("tokens, {name}"), count);
    }

    // Weights a sample and a class, and a loss that leaves classes out.
    let mut weighted = with(SGD::new());
    let sample_weights = Array1::from_elem(ROWS, 0.5f32);
    let count = least(|| {
        let fit = Fit::new().sample_weight(&sample_weights).class_weight([(0, 2.0)]);
        steps_with(&mut weighted, &x, &y, fit)
    });
    found.expect_none("sample and class weights", count);
    let labels = Array2::from_shape_fn((ROWS, 1), |(i, _)| (i % 4) as f32);
    let mut ignoring = model(Tanh, Softmax, SparseCategoricalCrossentropy::new().ignore_class(2), SGD::new());
    let count = least(|| steps_of_fit(&mut ignoring, &x, &labels));
    found.expect_none("ignore_class", count);

    // What is watched beside the loss.
    let mut watched = Sequential::new()
        .input([6])
        .add(Dense::new(4).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), SGD::new())
        .metric(Accuracy::new())
        .metric(AUC::new())
        .metric(Precision::new().thresholds([0.3, 0.6]))
        .metric(F1Score::new())
        .metric(OneHotMeanIoU::new(4))
        .metric(CosineSimilarityMetric::new())
        .metric(LossMetric::new(KLDivergence::new()))
        .metric(RootMeanSquaredError::new())
        .metric(R2Score::new())
        .build()
        .expect("metrics that fit");
    let count = least(|| steps_of_fit(&mut watched, &x, &y));
    found.expect_none("metrics", count);
}

/// Passes and steps in a custom loop.
fn loops_by_hand(found: &mut Found) {
    let (x, y) = (features(), one_hot());
    for threads in [1, 2] {
        let mut model = model(Gelu, Softmax, CategoricalCrossentropy::new(), Adam::new());
        model.set_threads(threads).expect("so many threads");
        let mut optimizer = Driver::new(Adam::new(), &model).expect("good options");
        let mut pass = model.pass();
        let grad = y.mapv(|t| t - 0.25);
        let mode = Mode::Training { seed: 0, step: 0 };
        let forward = least(|| allocations(|| model.forward(&mut pass, &x, mode).map(|_| ())).0);
        found.expect_none(&format!("forward by hand, {threads} threads"), forward);
        let backward = least(|| allocations(|| model.backward(&mut pass, &grad)).0);
        found.expect_none(&format!("backward by hand, {threads} threads"), backward);
        let update = least(|| allocations(|| optimizer.step(&mut model, &pass)).0);
        found.expect_none(&format!("step by hand, {threads} threads"), update);
    }
}

/// Shapes that a workspace has seen before, in turn: passes, and what they train.
fn shapes_seen_before(found: &mut Found) {
    let open = Sequential::new()
        .input((None, 6))
        .add(Conv1D::new(4, 3).padding(Same).activation(Relu))
        .add(BatchNormalization::new())
        .add(Bidirectional::new(GRU::new(3).return_sequences(true)))
        .add(GlobalAvgPool1D::new())
        .add(Dense::new(4).activation(Softmax));
    let mut open = open.build().expect("a good model");
    let mut optimizer = Driver::new(Adam::new(), &open).expect("good options");
    let (mut pass, mut predictor) = (open.pass(), Predictor::owned(std::sync::Arc::new(open.clone()), 20));
    let batches = [7, 3, 12].map(|steps| Array3::<f32>::from_elem((20, steps, 6), 0.5));
    let grad = Array2::<f32>::from_elem((20, 4), 0.1);
    let mut out = vec![0.0; 80];
    let mode = Mode::Training { seed: 0, step: 0 };
    let count = least(|| {
        allocations(|| {
            for x in &batches {
                open.forward(&mut pass, x, mode).expect("good data");
                open.backward(&mut pass, &grad).expect("good data");
                optimizer.step(&mut open, &pass).expect("good data");
                predictor.set_input_shapes(&[&x.shape()[1..]]).expect("good shapes");
                predictor.run(x.as_slice().expect("contiguous"), &mut out).expect("good data");
            }
        })
        .0
    });
    found.expect_none("shapes seen before", count);
}

/// A game: convolutions, normalization, instance noise, clipped weights, new samples for each network.
fn games(found: &mut Found) {
    for threads in [1, 2] {
        let mut gan = Gan::new(
            Generator::dcgan(8, [8, 8, 1], 0).expect("sides that can be halved"),
            Discriminator::dcgan([8, 8, 1], 1).expect("sides that can be halved"),
        )
        .instance_noise(0.1)
        .weight_clip(0.5)
        .build()
        .expect("networks that fit");
        gan.set_threads(threads).expect("so many threads");
        let (real, noise) = (Array4::<f32>::zeros((32, 8, 8, 1)), gan.noise(32, 0));
        let discriminator = least(|| allocations(|| gan.train_discriminator(&real, &noise)).0);
        found.expect_none(&format!("a discriminator's step, {threads} threads"), discriminator);
        let generator = least(|| allocations(|| gan.train_generator(&noise)).0);
        found.expect_none(&format!("a generator's step, {threads} threads"), generator);
    }
}

/// Predictors, from the first run on, with fewer rows than they were made for too.
fn predictors(found: &mut Found) {
    let x = features();
    for (name, model) in models() {
        for (most, rows) in [(1, 1), (7, 7), (64, 64), (64, 3), (200, 200), (200, 127), (200, 65)] {
            let input = &x.as_slice().expect("contiguous")[..6 * rows];
            let mut out = vec![0.0; 4 * rows];
            let count = least(|| {
                let mut fresh = model.predictor(most);
                allocations(|| fresh.run(input, &mut out)).0
            });
            found.expect_none(&format!("the first run of {rows} rows in a predictor of {most}, {name}"), count);
        }
    }
}

#[test]
fn warm_steps_allocate_nothing() {
    // The counter counts.
    assert!(allocations(|| std::hint::black_box(vec![1u8; 100])).0 > 0);
    let mut found = Found(Vec::new());
    fits(&mut found);
    loops_by_hand(&mut found);
    shapes_seen_before(&mut found);
    games(&mut found);
    predictors(&mut found);
    assert!(found.0.is_empty(), "{:#?}", found.0);

    // Thousands of images are predicted in the memory of some: the layers' outputs alone would be 1.1 GB.
    let large = Sequential::new().input([64, 64, 1]).add(Conv2D::new(16, 3).padding(Same)).add(GlobalAvgPool2D::new());
    let (large, images) = (large.build().expect("a good model"), Array4::<f32>::zeros([4096, 64, 64, 1]));
    BYTES.store(0, Relaxed);
    allocations(|| large.predict(&images).expect("good data"));
    assert!(BYTES.load(Relaxed) < 300 << 20, "{} MB", BYTES.load(Relaxed) >> 20);
}
