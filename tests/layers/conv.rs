//! Convolutional layers: what they refuse, and laws that they hold.
#![allow(clippy::unwrap_used, clippy::cast_sign_loss, clippy::cast_possible_wrap, clippy::cast_possible_truncation)]

use gradus::custom::*;
use gradus::{Layer, Model};
use proptest::prelude::*;
use serde_json::json;

fn built(input: &[usize], layer: impl Layer<f32> + 'static) -> gradus::Result<Model> {
    Sequential::new().input(input.to_vec()).add(layer).build()
}

/// The message of a layer's refusal, which must hold all of `parts`.
#[track_caller]
fn refuses(input: &[usize], layer: impl Layer<f32> + 'static, parts: &[&str]) {
    let message = built(input, layer).map(|_| ()).unwrap_err().to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message:?} does not hold all of {parts:?}");
}

#[test]
fn refuses_what_does_not_fit() {
    let image: &[usize] = &[5, 6, 4];
    let name = "layer `conv2d` (Conv2D)";
    refuses(image, Conv2D::new(0, 3), &[name, "`filters` must be at least 1, got 0"]);
    refuses(image, Conv2D::new(2, (3, 0)), &[name, "`kernel_size` must be at least 1", "[3, 0]"]);
    refuses(image, Conv2D::new(2, 3).strides(0), &[name, "`strides` must be at least 1"]);
    refuses(image, Conv2D::new(2, 3).dilation_rate((1, 0)), &[name, "`dilation_rate` must be at least 1"]);
    refuses(image, Conv2D::new(2, 3).groups(0), &[name, "`groups` must be at least 1"]);
    refuses(image, Conv2D::new(2, 3).padding(Padding::Causal), &[name, "`padding` must be valid or same", "causal"]);
    refuses(image, Conv2D::new(2, 3).strides(2).dilation_rate((1, 2)), &[name, "`dilation_rate`", "[2, 2]", "[1, 2]"]);
    refuses(image, Conv2D::new(3, 3).groups(2), &[name, "`groups` must be a divisor of `filters`, which is 3, got 2"]);
    refuses(
        image,
        Conv2D::new(3, 3).groups(3),
        &[name, "`groups` must be a divisor of the input's channels, 4, got 3"],
    );
    refuses(image, Conv2D::new(2, (6, 3)), &[name, "at least as large as the window, (6, 3)", "received (5, 6, 4)"]);
    refuses(image, Conv2D::new(2, 3).dilation_rate(3), &[name, "the window, (7, 7)", "padding` same"]);
    refuses(&[5, 6], Conv2D::new(2, 3), &[name, "expected an input (height, width, channels), received (5, 6)"]);
    refuses(&[5, 6, 4], Conv1D::new(2, 1), &["`conv1d` (Conv1D)", "(steps, channels)"]);
    refuses(&[5, 4], Conv3D::new(2, 1), &["`conv3d` (Conv3D)", "(depth, height, width, channels)"]);

    let transposed = "(Conv2DTranspose)";
    refuses(
        image,
        Conv2DTranspose::new(2, 3).output_padding(1),
        &[transposed, "`output_padding` must be below", "[1, 1]"],
    );
    let exclusive = Conv2DTranspose::new(2, 3).strides((1, 2)).dilation_rate(2);
    refuses(image, exclusive, &[transposed, "`dilation_rate`", "[1, 2]"]);
    refuses(image, Conv2DTranspose::new(2, 3).padding(Padding::Causal), &[transposed, "valid or same"]);
    refuses(image, DepthwiseConv2D::new(3).depth_multiplier(0), &["(DepthwiseConv2D)", "`depth_multiplier`"]);
    refuses(image, DepthwiseConv2D::new(7), &["(DepthwiseConv2D)", "the window, (7, 7)"]);
    refuses(image, SeparableConv2D::new(0, 3), &["(SeparableConv2D)", "`filters`"]);
    refuses(&[5, 4], SeparableConv1D::new(3, 6), &["(SeparableConv1D)", "the window, (6)", "(5, 4)"]);
}

#[test]
fn refuses_other_channels_than_it_was_built_for() -> gradus::Result<()> {
    let mut model = built(&[5, 6, 4], Conv2D::new(2, 3))?;
    let weights = model.get_weights();
    let message = model.predict(&Array4::<f32>::zeros((2, 5, 6, 3))).unwrap_err().to_string();
    assert!(message.contains("(batch, 5, 6, 4)") && message.contains("(2, 5, 6, 3)"), "{message}");
    let kernel = Array4::<f32>::zeros((3, 3, 3, 2)).into_dyn();
    let message = model.set_weights([("conv2d/kernel", &kernel)]).unwrap_err().to_string();
    assert!(message.contains("conv2d/kernel") && message.contains("(3, 3, 4, 2)"), "{message}");
    assert_eq!(model.get_weights(), weights);
    let image = Input::new([5, 6, 4]);
    let (two, three) = (image.apply(Conv2D::new(2, 3)), image.apply(Conv2D::new(3, 3)));
    let sum: Symbol<f32> = call(Add::new(), [&two, &three]);
    let message = ModelBuilder::new([&image], [&sum]).build().map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("(Add)") && message.contains("(3, 4, 2)") && message.contains("(3, 4, 3)"), "{message}");
    Ok(())
}

#[test]
fn refuses_sizes_that_overflow() {
    let huge = usize::MAX / 2;
    refuses(&[5, 4], Conv1D::new(2, huge).padding(Padding::Same), &["(Conv1D)"]);
    refuses(&[5, 4], Conv1D::new(2, 3).dilation_rate(huge).padding(Padding::Causal), &["(Conv1D)", "memory"]);
    refuses(&[5, 5, 4], Conv2D::new(2, 3).dilation_rate(1 << 30).padding(Padding::Same), &["(Conv2D)", "memory"]);
    refuses(&[5, 4], Conv1D::new(huge, 1), &["(Conv1D)", "memory"]);
    refuses(&[5, 4], Conv1DTranspose::new(2, 3).strides(huge), &["(Conv1DTranspose)", "memory"]);
    refuses(&[5, 4], DepthwiseConv1D::new(1).depth_multiplier(huge), &["(DepthwiseConv1D)", "memory"]);
    refuses(&[5, 4], SeparableConv1D::new(1, 1).depth_multiplier(huge), &["(SeparableConv1D)", "memory"]);
    // A stride beyond the input leaves one window.
    assert_eq!(built(&[5, 4], Conv1D::new(2, 1).strides(huge)).unwrap().output_shape(0), [1, 2]);
    let same = Conv1D::new(2, 1).strides(huge).padding(Padding::Same);
    assert_eq!(built(&[5, 4], same).unwrap().output_shape(0), [1, 2]);
}

#[test]
fn channels_first_is_refused_by_name() {
    let registry = Registry::<f32>::standard();
    let options = |format: &str| json!({ "filters": 2, "kernel_size": [3, 3], "data_format": format });
    assert!(registry.make_layer("Conv2D", options("channels_last").as_object().unwrap()).is_ok());
    let refused =
        registry.make_layer("Conv2D", options("channels_first").as_object().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("`data_format`") && refused.contains("channels_last"), "{refused}");
}

fn output(layer: impl Layer<f64> + Clone + 'static, weights: &[ArrayD<f64>], x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut model = Sequential::f64().input(x.shape()[1..].to_vec()).add(layer).build().unwrap();
    let paths: Vec<String> = model.get_weights().into_iter().map(|(path, _)| path).collect();
    model.set_weights(paths.iter().zip(weights)).unwrap();
    model.predict(x).unwrap()
}

fn numbers(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut values = vec![0.0f64; shape.iter().product()];
    gradus::kernels::random::uniform(seed, 0, &mut values);
    ArrayD::from_shape_vec(shape, values.iter().map(|x| x - 0.5).collect()).unwrap()
}

fn near(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// With `valid` there is an output wherever the window lies inside, with `same` one every stride.
    #[test]
    fn outputs_are_as_many_as_the_windows(
        size in (1usize..12, 1usize..12), taps in (1usize..5, 1usize..5), stride in 1usize..4, dilation in 1usize..4,
        same in any::<bool>(),
    ) {
        prop_assume!(stride == 1 || dilation == 1);
        let padding = if same { Padding::Same } else { Padding::Valid };
        let layer = Conv2D::new(2, taps).strides(stride).dilation_rate(dilation).padding(padding);
        let count = |size: usize, taps: usize| {
            let reach = (taps - 1) * dilation + 1;
            if same { size.div_ceil(stride) } else { (size + stride).saturating_sub(reach) / stride }
        };
        let expected = [count(size.0, taps.0), count(size.1, taps.1), 2];
        match built(&[size.0, size.1, 3], layer) {
            Ok(model) => prop_assert_eq!(model.output_shape(0), expected),
            Err(_) => prop_assert!(expected.contains(&0)),
        }
    }

    /// Σ y·g = Σ x·(transposed convolution of g): the two are each other's adjoint.
    #[test]
    fn a_transposed_convolution_is_the_adjoint(
        height in 1usize..7, width in 1usize..7, taps in (1usize..4, 1usize..4), strides in (1usize..4, 1usize..4),
        channels in 1usize..6, filters in 1usize..20, seed in any::<u64>(),
    ) {
        let layer = Conv2DTranspose::new(filters, taps).strides(strides).use_bias(false);
        let x = numbers(&[2, height, width, channels], seed);
        let kernel = numbers(&[taps.0, taps.1, filters, channels], seed ^ 1);
        let y = output(layer, std::slice::from_ref(&kernel), &x);
        let g = numbers(y.shape(), seed ^ 2);
        let conv = Conv2D::new(channels, taps).strides(strides).use_bias(false);
        let back = output(conv, &[kernel], &g);
        prop_assert_eq!(back.shape(), x.shape());
        let (a, b): (f64, f64) = ((&y * &g).sum(), (&back * &x).sum());
        prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
    }

    /// Groups are convolutions of their own, side by side; as many as channels are a depthwise convolution.
    #[test]
    fn groups_are_convolutions_side_by_side(
        size in 3usize..7, groups in 1usize..5, depth in 1usize..4, each in 1usize..5, same in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let x = numbers(&[2, size, size, groups * depth], seed);
        let kernel = numbers(&[3, 2, depth, groups * each], seed ^ 1);
        let layer = |filters: usize| Conv2D::new(filters, (3, 2)).padding(padding).use_bias(false);
        let y = output(layer(groups * each).groups(groups), std::slice::from_ref(&kernel), &x);
        for group in 0..groups {
            let part = |array: &ArrayD<f64>, axis: usize, size: usize| {
                let places: Vec<usize> = (group * size..(group + 1) * size).collect();
                array.select(Axis(axis), &places)
            };
            let alone = output(layer(each), &[part(&kernel, 3, each)], &part(&x, 3, depth));
            prop_assert!(near(&alone, &part(&y, 3, each)));
        }
        if depth == 1 {
            let kernel = kernel.into_shape_with_order(vec![3, 2, groups, each]).unwrap();
            let depthwise = DepthwiseConv2D::new((3, 2)).depth_multiplier(each).padding(padding).use_bias(false);
            prop_assert!(near(&output(depthwise, &[kernel], &x), &y));
        }
    }

    /// An output of a causal convolution does not change with later steps.
    #[test]
    fn a_causal_convolution_does_not_look_ahead(
        steps in 2usize..12, taps in 1usize..5, dilation in 1usize..4, changed in 0usize..12, seed in any::<u64>(),
    ) {
        let changed = changed % steps;
        let layer = Conv1D::new(3, taps).dilation_rate(dilation).padding(Padding::Causal);
        let weights = [numbers(&[taps, 2, 3], seed), numbers(&[3], seed ^ 1)];
        let x = numbers(&[1, steps, 2], seed ^ 2);
        let mut other = x.clone();
        other[[0, changed, 0]] += 1.0;
        let (a, b) = (output(layer.clone(), &weights, &x), output(layer, &weights, &other));
        for step in 0..steps {
            let same = (0..3).all(|f| a[[0, step, f]] == b[[0, step, f]]);
            prop_assert_eq!(same, step < changed || (step - changed) % dilation != 0 || step - changed >= taps * dilation);
        }
    }
}

#[test]
fn a_separable_convolution_is_its_two_steps() {
    let x = numbers(&[2, 5, 6, 3], 1);
    let (depthwise, pointwise, bias) = (numbers(&[3, 2, 3, 2], 2), numbers(&[1, 1, 6, 4], 3), numbers(&[4], 4));
    let layer = SeparableConv2D::new(4, (3, 2)).depth_multiplier(2).padding(Padding::Same).strides(2).activation(Relu);
    let y = output(layer, &[depthwise.clone(), pointwise.clone(), bias.clone()], &x);
    let first = DepthwiseConv2D::new((3, 2)).depth_multiplier(2).padding(Padding::Same).strides(2).use_bias(false);
    let between = output(first, &[depthwise], &x);
    assert!(near(&output(Conv2D::new(4, 1).activation(Relu), &[pointwise, bias], &between), &y));
}

#[test]
fn saved_and_loaded_it_predicts_the_same() -> gradus::Result<()> {
    let model = Sequential::new()
        .input([8, 9, 2])
        .add(Conv2D::new(6, (3, 2)).padding(Padding::Same).groups(2).activation(Relu))
        .add(SeparableConv2D::new(5, 3).depth_multiplier(2))
        .add(Conv2DTranspose::new(4, 3).strides(2).output_padding(1))
        .add(DepthwiseConv2D::new(2).strides((2, 1)))
        .seed(3)
        .build()?;
    let path = std::env::temp_dir().join(format!("gradus-conv-{}.safetensors", std::process::id()));
    model.save(&path)?;
    let loaded = Model::<f32>::load(&path)?;
    std::fs::remove_file(&path).unwrap();
    let x = numbers(&[3, 8, 9, 2], 5).mapv(|x| x as f32);
    assert_eq!(model.predict(&x)?, loaded.predict(&x)?);
    assert!(model.summary().to_string().contains("depthwise_conv2d (DepthwiseConv2D)"), "{}", model.summary());
    Ok(())
}
