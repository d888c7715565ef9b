//! Axes that are open: shapes, what fits, and that results are those of models with fixed shapes.

use gradus::data::{Sample, Stream};
use gradus::{Model, Shape};
use ndarray::IxDyn;

use super::refuses::refuses;
use super::*;

type Case<F> = (&'static str, Shape, Box<dyn Fn(&Symbol<F>) -> Symbol<F>>);

fn case<F: Scalar>(name: &'static str, shape: Shape, apply: impl Fn(&Symbol<F>) -> Symbol<F> + 'static) -> Case<F> {
    (name, shape, Box::new(apply))
}

fn sequence() -> Shape {
    Shape::new([None, Some(4)])
}

fn image() -> Shape {
    Shape::new([None, None, Some(4)])
}

fn film() -> Shape {
    Shape::new([None, None, None, Some(2)])
}

fn words() -> Shape {
    Shape::new([None])
}

/// Layers that take open axes, one or a few at a time.
fn cases<F: Scalar>() -> Vec<Case<F>> {
    use Padding::{Causal, Same};
    let mut cases = vec![
        case("dense", sequence(), |x| x.apply(Dense::new(3).activation(Tanh))),
        case("conv1d", sequence(), |x| x.apply(Conv1D::new(3, 3))),
        case("conv1d causal", sequence(), |x| x.apply(Conv1D::new(3, 3).padding(Causal).dilation_rate(2))),
        case("conv1d transposed", sequence(), |x| x.apply(Conv1DTranspose::new(3, 3).strides(2))),
        case("depthwise1d", sequence(), |x| x.apply(DepthwiseConv1D::new(3).padding(Same))),
        case("separable1d", sequence(), |x| x.apply(SeparableConv1D::new(3, 2))),
        case("max pool 1d", sequence(), |x| x.apply(MaxPool1D::new())),
        case("average pool 1d", sequence(), |x| x.apply(AvgPool1D::new().padding(Same))),
        case("global pools 1d", sequence(), |x| {
            call(Concatenate::new(), [&x.apply(GlobalMaxPool1D::new()), &x.apply(GlobalAvgPool1D::new())])
        }),
        case("padding and cropping 1d", sequence(), |x| {
            x.apply(ZeroPadding1D::new().padding(2))
                .apply(Cropping1D::new().cropping(1))
                .apply(UpSampling1D::new().size(2))
        }),
        case("rnn", sequence(), |x| x.apply(RNN::new(3).return_sequences(true))),
        case("lstm", sequence(), |x| x.apply(LSTM::new(3).return_sequences(true)).apply(LSTM::new(2))),
        case("gru", sequence(), |x| x.apply(GRU::new(3).go_backwards(true))),
        case("bidirectional", sequence(), |x| x.apply(Bidirectional::new(LSTM::new(3).return_sequences(true)))),
        case("masked", sequence(), |x| x.apply(Masking::new()).apply(GRU::new(3).return_sequences(true))),
        case("batch normalization", sequence(), |x| x.apply(BatchNormalization::new())),
        case("layer normalization", sequence(), |x| x.apply(LayerNormalization::new()).apply(Relu)),
        case("group normalization", sequence(), |x| x.apply(GroupNormalization::new().groups(2))),
        case("rms, unit normalization", sequence(), |x| {
            x.apply(RMSNormalization::new()).apply(UnitNormalization::new())
        }),
        case("dropouts", sequence(), |x| {
            x.apply(Dropout::new(0.3)).apply(SpatialDropout1D::new(0.3)).apply(GaussianNoise::new(0.1))
        }),
        case("attention", sequence(), |x| call(Attention::new(), [x, x])),
        case("additive attention", sequence(), |x| call(AdditiveAttention::new(), [x, x])),
        case("many heads", sequence(), |x| call(MultiHeadAttention::new(2, 3), [x, x])),
        case("residual", sequence(), |x| {
            let inside = x.apply(Conv1D::new(4, 3).padding(Same)).apply(BatchNormalization::new());
            call(Add::new(), [&inside, x]).apply(Relu)
        }),
        case("after one another", sequence(), |x| call(Concatenate::new().axis(1), [x, &x.apply(Dense::new(4))])),
        case("permute, reshape", sequence(), |x| {
            x.apply(Permute::new([2, 1])).apply(Permute::new([2, 1])).apply(Reshape::new([-1, 2])).apply(Dense::new(3))
        }),
        case("flatten, repeat", sequence(), |x| x.apply(Flatten::new()).apply(RepeatVector::new(2))),
        case("softmax over time", sequence(), |x| x.apply(SoftmaxLayer::new().axis(1))),
        case("time distributed", sequence(), |x| x.apply(TimeDistributed::new(Dense::new(3)))),
        case("model of each step", sequence(), |x| {
            let inside = Sequential::<F>::default().input([4]).add(Dense::new(3)).add(LayerNormalization::new());
            x.apply(TimeDistributed::new(inside.build().unwrap()))
        }),
        case("penalties", sequence(), |x| x.apply(Dense::new(3).activity_regularizer(Regularizer::L2(0.1)))),
        case("embedding", words(), |x| x.apply(Embedding::new(9, 3).mask_zero(true)).apply(GRU::new(3))),
        case("embedding, pool", words(), |x| {
            x.apply(Embedding::new(9, 3).mask_zero(true)).apply(GlobalAvgPool1D::new()).apply(Dense::new(2))
        }),
        case("words of sentences", Shape::new([None, None]), |x| {
            let sentence = Sequential::<F>::default().input((None,)).add(Embedding::new(9, 3).mask_zero(true));
            let sentence = sentence.add(GRU::new(3)).build().unwrap();
            x.apply(TimeDistributed::new(sentence)).apply(GRU::new(2))
        }),
    ];
    cases.extend(images());
    cases
}

fn images<F: Scalar>() -> Vec<Case<F>> {
    use Padding::Same;
    vec![
        case("conv2d", image(), |x| x.apply(Conv2D::new(3, 3).activation(Relu)).apply(Conv2D::new(2, 1).padding(Same))),
        case("conv2d strided", image(), |x| x.apply(Conv2D::new(3, 3).strides(2).padding(Same))),
        case("conv2d transposed", image(), |x| x.apply(Conv2DTranspose::new(3, 3).strides(2).padding(Same))),
        case("depthwise", image(), |x| x.apply(DepthwiseConv2D::new(3))),
        case("separable", image(), |x| x.apply(SeparableConv2D::new(3, 3).padding(Same))),
        case("pools", image(), |x| x.apply(MaxPool2D::new()).apply(AvgPool2D::new().padding(Same))),
        case("global pools", image(), |x| {
            call(Average::new(), [&x.apply(GlobalMaxPool2D::new()), &x.apply(GlobalAvgPool2D::new())])
        }),
        case("padding and cropping", image(), |x| {
            x.apply(ZeroPadding2D::new().padding(1)).apply(Cropping2D::new().cropping([1, 0]))
        }),
        case("up-sampling", image(), |x| {
            let near = x.apply(UpSampling2D::new().size(2));
            call(Add::new(), [&near, &x.apply(UpSampling2D::new().size(2).interpolation(Interpolation::Bilinear))])
        }),
        case("normalized", image(), |x| {
            x.apply(BatchNormalization::new()).apply(ReLU::new()).apply(PReLU::new().shared_axes([1, 2]))
        }),
        case("spatial dropout", image(), |x| x.apply(SpatialDropout2D::new(0.4))),
        case("rows as sequences", image(), |x| x.apply(TimeDistributed::new(LSTM::new(3)))),
        case("nested", image(), |x| {
            let inside = Sequential::<F>::default().input((None, None, 4)).add(Conv2D::new(3, 3)).add(MaxPool2D::new());
            let inside = shared(inside.build().unwrap());
            x.apply(&inside).apply(GlobalAvgPool2D::new())
        }),
        case("films", film(), |x| {
            let x = x.apply(Conv3D::new(3, 2)).apply(MaxPool3D::new().pool_size(2).strides(1));
            x.apply(UpSampling3D::new().size(2))
                .apply(ZeroPadding3D::new().padding(1))
                .apply(Cropping3D::new().cropping(1))
        }),
        case("films to numbers", film(), |x| {
            x.apply(Conv3DTranspose::new(2, 2)).apply(AvgPool3D::new()).apply(GlobalAvgPool3D::new())
        }),
    ]
}

fn built<F: Scalar>(shape: Shape, apply: &dyn Fn(&Symbol<F>) -> Symbol<F>) -> gradus::Result<Model<F>> {
    let x = Input::of::<F>(shape);
    ModelBuilder::new([&x], [&apply(&x)]).seed(3).build()
}

/// Whole numbers below 9, and 0 where much is masked; of features small numbers.
fn values<F: Scalar>(shape: &[usize], whole: bool) -> ArrayD<F> {
    let mut count = 0usize;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        count += 1;
        let whole_number = (count * 7 + count / 5) % 9;
        F::of(if whole { whole_number as f64 } else { (whole_number as f64 - 4.0) / 3.0 + count as f64 / 1e3 })
    })
}

/// Outputs, gradients of parameters and of inputs, predictions: of the open model those of the fixed ones.
fn results_are_those_of_fixed_shapes<F: Scalar>() -> gradus::Result<()> {
    for (name, shape, apply) in cases::<F>() {
        let whole = shape.axes().last() == Some(&None);
        let open = built(shape.clone(), &*apply)?;
        let mut pass = open.pass_with_input_gradients();
        let mut predictor = open.exact_predictor(17);
        for (step, [first, second, third]) in
            [[7, 6, 5], [4, 8, 7], [7, 6, 5], [11, 4, 4], [4, 8, 7]].iter().enumerate()
        {
            let mut sizes = [*first, *second, *third].into_iter();
            let row: Vec<usize> =
                shape.axes().iter().map(|axis| axis.unwrap_or_else(|| sizes.next().unwrap())).collect();
            let fixed = built(row.clone().into(), &*apply)?;
            assert_eq!(open.get_weights(), fixed.get_weights(), "{name}");
            assert_eq!(open.compute_output_shapes(&[&row])?, [fixed.output_shape(0)], "{name}");
            assert!(open.output_axes(0).fits(fixed.output_shape(0)), "{name}");

            let x = values::<F>(&[&[17], &row[..]].concat(), whole);
            let mode = Mode::Training { seed: 1, step: step as u64 };
            let mut of_fixed = fixed.pass_with_input_gradients();
            open.forward(&mut pass, &x, mode)?;
            let y = fixed.forward(&mut of_fixed, &x, mode)?;
            assert_eq!(pass.output(0).shape(), y.shape(), "{name} {row:?}");
            assert_eq!(pass.output(0).data(), y.data(), "{name} {row:?}");
            let grad = values::<F>(y.shape(), false);
            open.backward(&mut pass, &grad)?;
            fixed.backward(&mut of_fixed, &grad)?;
            assert_eq!(pass.gradients(), of_fixed.gradients(), "{name} {row:?}");
            let input_grads = [&pass, &of_fixed].map(|pass| pass.input_gradient(0).unwrap().data().to_vec());
            assert_eq!(input_grads[0], input_grads[1], "{name} {row:?}");

            let y = fixed.predict(&x)?;
            assert_eq!(open.predict(&x)?, y, "{name} {row:?}");
            predictor.set_input_shapes(&[&row])?;
            let mut out = vec![F::zero(); y.len()];
            predictor.run(x.as_slice().unwrap(), &mut out)?;
            assert_eq!(out, y.as_slice().unwrap(), "{name} {row:?}");
        }
    }
    Ok(())
}

#[test]
fn results_are_those_of_fixed_shapes_in_f32() -> gradus::Result<()> {
    results_are_those_of_fixed_shapes::<f32>()
}

#[test]
fn results_are_those_of_fixed_shapes_in_f64() -> gradus::Result<()> {
    results_are_those_of_fixed_shapes::<f64>()
}

#[test]
fn shapes_tell_what_is_open() -> gradus::Result<()> {
    let model = Sequential::new()
        .input((None, None, 3))
        .add(Conv2D::new(8, 3))
        .add(MaxPool2D::new())
        .add(GlobalAvgPool2D::new())
        .add(Dense::new(2))
        .build()?;
    assert_eq!(model.input_axes(0).axes(), [None, None, Some(3)]);
    assert_eq!(model.output_shape(0), [2]);
    let summary = model.summary().to_string();
    assert!(summary.contains("(None, None, None, 8)") && summary.contains("(None, 8)"), "{summary}");
    assert_eq!(built::<f32>(sequence(), &|x| x.apply(Flatten::new()))?.output_axes(0).axes(), [None]);
    assert_eq!(built::<f32>(sequence(), &|x| x.apply(Conv1D::new(2, 3)))?.output_axes(0).to_string(), "(None, 2)");
    let open = built::<f32>(sequence(), &|x| x.apply(Dense::new(2)))?;
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| open.output_shape(0).len()));
    let message = asked.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("the output (None, 2) has open axes"), "{message}");
    Ok(())
}

#[test]
fn architectures_keep_their_open_axes() -> gradus::Result<()> {
    let model = built::<f32>(image(), &|x| x.apply(Conv2D::new(2, 3)).apply(GlobalMaxPool2D::new()))?;
    let config = model.to_config()?;
    assert_eq!(config["config"]["layers"][0]["config"]["shape"], serde_json::json!([null, null, 4]));
    let again = Model::<f32>::from_config(&config, &Registry::standard())?;
    assert_eq!(again.input_axes(0), &image());
    // As Keras writes it.
    let keras = serde_json::json!({ "class_name": "Sequential", "config": { "name": "s", "layers": [
        { "class_name": "InputLayer", "config": { "batch_shape": [null, null, 3], "name": "x" } },
        { "class_name": "GRU", "config": { "units": 2, "name": "gru" } },
    ]}});
    let model = Model::<f32>::from_config(&keras, &Registry::standard())?;
    assert_eq!(model.input_axes(0).axes(), [None, Some(3)]);
    let batched = Input::new((None, 3)).batch_size(2);
    let model = ModelBuilder::new([&batched], [&batched.apply(GRU::new(2).stateful(true))]).build()?;
    let config = model.to_config()?;
    assert_eq!(config["config"]["layers"][0]["config"]["batch_shape"], serde_json::json!([2, null, 3]));

    let path = std::env::temp_dir().join(format!("gradus_axes_{}.safetensors", std::process::id()));
    let x = values::<f32>(&[2, 5, 3], false);
    model.save(&path)?;
    let loaded = Model::<f32>::load(&path);
    std::fs::remove_file(&path).unwrap();
    let loaded = loaded?;
    assert_eq!(loaded.input_axes(0).axes(), [None, Some(3)]);
    assert_eq!(loaded.predict(&x)?, model.predict(&x)?);
    Ok(())
}

#[test]
fn what_depends_on_an_open_axis_is_refused() {
    let image = |layers: fn(&Symbol<f32>) -> Symbol<f32>| built::<f32>(image(), &layers);
    refuses(
        image(|x| x.apply(Flatten::new()).apply(Dense::new(2))),
        &["layer `dense` (Dense), after `flatten`", "`kernel` would depend on axis 1 of the input", "global pool"],
    );
    refuses(
        image(|x| x.apply(LayerNormalization::new().axis([1, 2]))),
        &["layer_normalization", "`gamma`", "axes 1, 2"],
    );
    refuses(image(|x| x.apply(PReLU::new())), &["`alpha`", "axes 1, 2"]);
    // A model whose input is fixed does not take one that is open.
    let inside = Sequential::new().input([8, 8, 4]).name("fixed").add(Flatten::new()).build().unwrap();
    let inside = shared(inside);
    let refused = built::<f32>(self::image(), &move |x| x.apply(&inside));
    refuses(refused, &["for the open axes of the inputs", "model `fixed`", "(8, 8, 4)"]);
}

#[test]
fn sizes_that_do_not_fit_are_refused_with_the_layer() -> gradus::Result<()> {
    let (left, right) = (Input::new((None, 4)), Input::new((None, 4)));
    let sum = call(Add::new(), [&left, &right]).apply(GlobalAvgPool1D::new());
    let mut model = ModelBuilder::new([&left, &right], [&sum])
        .compile(Compile::new(SGD::new()).loss(MeanSquaredError::new()))
        .build()?;
    let array = |rows, steps| values::<f32>(&[rows, steps, 4], false);
    assert_eq!(model.predict((&array(2, 5), &array(2, 5)))?.shape(), [2, 4]);
    refuses(model.predict((&array(2, 5), &array(2, 6))), &["layer `add` (Add)", "(6, 4)"]);
    let y = values::<f32>(&[2, 4], false);
    refuses(model.fit((&array(2, 5), &array(2, 6)), &y, Fit::new().verbose(0)), &["fit: ", "layer `add` (Add)"]);
    refuses(model.evaluate((&array(2, 5), &array(2, 6)), &y), &["evaluate: ", "layer `add` (Add)"]);

    let model = built::<f32>(image(), &|x| x.apply(Conv2D::new(2, 3)).apply(MaxPool2D::new()))?;
    let x = values::<f32>(&[1, 9, 2, 4], false);
    refuses(model.predict(&x), &["layer `conv2d` (Conv2D)", "(9, 2, 4)"]);
    refuses(model.forward(&mut model.pass(), &x, Mode::Inference).map(|y| y.rows()), &["layer `conv2d` (Conv2D)"]);
    refuses(model.predict(&values::<f32>(&[1, 9, 9, 3], false)), &["input `input` of shape (batch, None, None, 4)"]);
    refuses(model.predict(&values::<f32>(&[9, 9, 4], false)), &["add a batch axis"]);
    refuses(model.predict(&values::<f32>(&[1, 0, 9, 4], false)), &["(1, 0, 9, 4)"]);
    refuses(model.compute_output_shapes(&[&[9, 9]]), &["input rows of shapes (None, None, 4)", "(9, 9)"]);
    let mut predictor = model.predictor(1);
    refuses(predictor.run(&[0.0; 324], &mut [0.0; 18]), &["set_input_shapes"]);
    refuses(predictor.set_input_shapes(&[&[2, 2, 4]]), &["layer `conv2d`"]);
    predictor.set_input_shapes(&[&[9, 9, 4]])?;
    predictor.run(&[0.0; 324], &mut [0.0; 18])
}

/// Images with a bright field, and where it is: what a model trained at one size finds at another.
fn fields(rows: usize, height: usize, width: usize) -> (Array4<f32>, Array4<f32>) {
    let at = |n: usize| ((5 * n + 1) % (height - 2), (3 * n + 2) % (width - 2));
    let inside =
        |n: usize, i: usize, j: usize| (at(n).0..at(n).0 + 3).contains(&i) && (at(n).1..at(n).1 + 3).contains(&j);
    let y = Array::from_shape_fn((rows, height, width, 1), |(n, i, j, _)| f32::from(u8::from(inside(n, i, j))));
    let x = Array::from_shape_fn((rows, height, width, 1), |(n, i, j, _)| {
        y[[n, i, j, 0]] * 0.8 + ((n + 3 * i + 5 * j) % 7) as f32 / 20.0
    });
    (x, y)
}

#[test]
fn a_convolutional_network_trained_at_one_size_runs_at_another() -> gradus::Result<()> {
    let mut model = Sequential::new()
        .input((None, None, 1))
        .add(Conv2D::new(4, 3).padding(Padding::Same).activation(Relu))
        .add(BatchNormalization::new().momentum(0.8))
        .add(Conv2D::new(1, 3).padding(Padding::Same).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(0.02))
        .metric(BinaryAccuracy::new())
        .build()?;
    let (x, y) = fields(64, 8, 8);
    let untrained = model.evaluate(&x, &y)?.loss;
    model.fit(&x, &y, Fit::new().epochs(12).batch_size(16).verbose(0))?;
    let (larger, places) = fields(20, 21, 14);
    let score = model.evaluate(&larger, &places)?;
    assert!(score.loss < 0.3 * untrained && score["binary_accuracy"] > 0.95, "{score:?} {untrained}");
    assert_eq!(model.predict(&larger)?.shape(), [20, 21, 14, 1]);
    assert_eq!(model.predict(&x)?.shape(), [64, 8, 8, 1]);
    Ok(())
}

/// Texts of lengths from 1 to 24, and whether more of their words are above 9 than not.
fn texts(count: usize) -> Vec<(Vec<i64>, i64)> {
    let text = |n: usize| {
        let length = 1 + (n * 7) % 24;
        let words: Vec<i64> = (0..length).map(|i| 1 + ((n * 13 + i * i * 5 + i * n) % 19) as i64).collect();
        let high = words.iter().filter(|&&word| word > 9).count();
        (words, i64::from(2 * high > length))
    };
    (0..count).map(text).collect()
}

fn samples(texts: Vec<(Vec<i64>, i64)>) -> Stream<Sample> {
    Stream::of_items(move |_| Ok(texts.clone().into_iter()))
        .map(|(words, class)| Ok(Sample::new(&Array1::from(words), &array![class])))
}

fn length(sample: &Sample) -> usize {
    sample.input_shape(0).map_or(0, |shape| shape[0])
}

#[test]
fn a_text_classifier_learns_from_texts_of_many_lengths() -> gradus::Result<()> {
    let mut model = Sequential::new()
        .input((None,))
        .add(Embedding::new(20, 8).mask_zero(true))
        .add(GRU::new(12))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(0.01))
        .metric(BinaryAccuracy::new())
        .build()?;
    let batches = samples(texts(400)).shuffle(400, 1).bucket_by_length([6, 12, 18], 32, length).pad(0.0, 0.0);
    let untrained = model.evaluate_data(&batches)?.loss;
    model.fit_data(&batches, Fit::new().epochs(12).verbose(0).validation(&batches))?;
    let trained = model.evaluate_data(&batches)?;
    assert!(trained.loss < 0.4 * untrained && trained["binary_accuracy"] > 0.9, "{trained:?} {untrained}");

    // What fills a text up is masked: alone it has the same answer, but for another order of sums.
    let padded = samples(texts(30)).padded_batch(30, 0.0, 0.0).pass(0)?.next().unwrap()?;
    for (sample, (words, _)) in padded.iter().zip(texts(30)) {
        let long = Array2::from_shape_vec((1, 24), sample.input_values(0).unwrap().to_vec()).unwrap();
        let alone = Array2::from_shape_vec((1, words.len()), words).unwrap();
        let difference = (model.predict(&long)?[[0, 0]] - model.predict(&alone)?[[0, 0]]).abs();
        assert!(difference < 1e-5, "{difference}");
    }
    Ok(())
}

#[test]
fn training_at_a_size_is_training_of_a_fixed_model() -> gradus::Result<()> {
    let build = |shape: Shape| {
        Sequential::<f64>::default()
            .input(shape)
            .add(Bidirectional::new(LSTM::new(3).return_sequences(true)))
            .add(BatchNormalization::new())
            .add(Dense::new(2).activation(Softmax))
            .compile(SparseCategoricalCrossentropy::new(), Adam::new())
            .metric(SparseCategoricalAccuracy::new())
            .build()
    };
    let (mut open, mut fixed) = (build(sequence())?, build(vec![6, 4].into())?);
    let x = values::<f64>(&[40, 6, 4], false);
    let y = Array2::from_shape_fn((40, 6), |(n, t)| ((n + t) % 2) as i64);
    let weights = Array2::from_shape_fn((40, 6), |(n, t)| ((n + 2 * t) % 3) as f64);
    let fit = |model: &mut Model<f64>| {
        let arrays = Arrays::new(&x, &y).sample_weight(&weights);
        model.fit_data(arrays, Fit::new().epochs(2).batch_size(16).verbose(0))
    };
    assert_eq!(fit(&mut open)?.last().cloned(), fit(&mut fixed)?.last().cloned());
    assert_eq!(open.get_weights(), fixed.get_weights());
    assert_eq!(open.evaluate(&x, &y)?, fixed.evaluate(&x, &y)?);
    // One step at another length, with weights of steps, then at the first again.
    let other = (values::<f64>(&[5, 3, 4], false), Array2::<i64>::zeros((5, 3)));
    let before = open.evaluate(&other.0, &other.1)?.loss;
    for _ in 0..20 {
        open.train_on_batch(&other.0, &other.1)?;
    }
    assert!(open.evaluate(&other.0, &other.1)?.loss < before);
    fit(&mut open)?;
    refuses(open.evaluate(&other.0, &y), &["target for output", "(40, 6)"]);
    Ok(())
}

#[test]
fn targets_of_many_lengths_are_learnt_from_a_stream() -> gradus::Result<()> {
    // A tag for each word; the filling has the class that the loss ignores.
    let tagged = Stream::of_items(|_| Ok(texts(120).into_iter())).map(|(words, _)| {
        let tags = words.iter().map(|&word| i64::from(word > 9));
        Ok(Sample::new(&Array1::from_iter(words.iter().copied()), &Array1::from_iter(tags)))
    });
    let batches = tagged.bucket_by_length([8, 16], [24, 16, 8], length).pad(0.0, -1.0);
    let mut model = Sequential::new()
        .input((None,))
        .add(Embedding::new(20, 6))
        .add(Dense::new(2).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new().ignore_class(-1), Adam::new().learning_rate(0.05))
        .build()?;
    let history = model.fit_data(&batches, Fit::new().epochs(10).verbose(0))?;
    assert!(history.last().unwrap()["loss"] < 0.2, "{:?}", history.last());
    Ok(())
}

#[test]
fn buckets_hold_similar_lengths_and_padding_fills_the_ends() {
    let words = |lengths: &'static [usize]| Stream::of_items(move |_| Ok(lengths.iter().map(|&n| vec![n; n])));
    let lengths = |stream: Stream<Vec<Vec<usize>>>| -> Vec<Vec<usize>> {
        stream.pass(0).unwrap().map(|batch| batch.unwrap().iter().map(Vec::len).collect()).collect()
    };
    let stream = words(&[1, 5, 3, 9, 2, 4, 8]);
    assert_eq!(
        lengths(stream.clone().bucket_by_length([3, 8], 2, Vec::len)),
        [vec![5, 3], vec![1, 2], vec![9, 8], vec![4]]
    );
    assert_eq!(
        lengths(stream.clone().bucket_by_length([4], [3, 1], Vec::len)),
        [vec![5], vec![9], vec![1, 3, 2], vec![4], vec![8]]
    );
    refuses(stream.clone().bucket_by_length([8, 3], 2, Vec::len).pass(0).map(|_| ()), &["`boundaries`", "ascend"]);
    refuses(stream.clone().bucket_by_length([3, 8], [2, 2], Vec::len).pass(0).map(|_| ()), &["batch_sizes", "3"]);
    refuses(stream.bucket_by_length([3], 0, Vec::len).pass(0).map(|_| ()), &["batch_sizes", "at least 1"]);

    let images = [(1usize, 3usize), (2, 2)].map(|(h, w)| Array3::<f64>::ones((h, w, 2)));
    let samples = Stream::of_items(move |_| Ok(images.clone().into_iter()))
        .map(|image| Ok(Sample::<f64>::new(&image, &array![1.0]).weight(&array![2.0])));
    let batch = samples.padded_batch(2, -1.0, 0.0).pass(0).unwrap().next().unwrap().unwrap();
    assert_eq!(batch[0].input_shape(0).unwrap(), [2, 3, 2]);
    let (i, o) = (1.0, -1.0);
    assert_eq!(batch[0].input_values(0).unwrap(), [i, i, i, i, i, i, o, o, o, o, o, o]);
    assert_eq!(batch[1].input_values(0).unwrap(), [i, i, i, i, o, o, i, i, i, i, o, o]);

    let mixed = Stream::of_items(|_| Ok([1usize, 2].into_iter()))
        .map(|rank| Ok(Sample::<f64>::new(&ArrayD::<f64>::zeros(vec![2; rank]), &array![0.0])));
    refuses(mixed.padded_batch(2, 0.0, 0.0).pass(0).unwrap().next().unwrap().map(|_| ()), &["pad", "at row 1"]);
}

#[test]
fn many_sizes_are_kept_and_come_back() -> gradus::Result<()> {
    let model = built::<f64>(sequence(), &|x| x.apply(Conv1D::new(2, 2)).apply(GlobalMaxPool1D::new()))?;
    let mut pass = model.pass();
    for steps in (2..60).chain((2..60).rev()).chain([7, 33, 7]) {
        let x = values::<f64>(&[3, steps, 4], false);
        let y = model.forward(&mut pass, &x, Mode::Inference)?.data().to_vec();
        assert_eq!(y, model.predict(&x)?.into_raw_vec_and_offset().0);
    }
    Ok(())
}
