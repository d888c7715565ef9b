//! Pooling, normalization, padding, cropping and enlarging: what is refused, and laws that hold for any input.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use gradus::config::Configured;
use gradus::custom::*;
use gradus::ndarray::Dimension;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

/// What building a model of this layer alone says.
fn refused<M>(layer: impl gradus::models::IntoLayer<f32, M>, input: &[usize]) -> String {
    Sequential::new().input(input.to_vec()).add(layer).build().map(|_| ()).unwrap_err().to_string()
}

#[test]
fn windows_that_do_not_fit_are_refused_with_layer_and_shapes() {
    let message = refused(MaxPool2D::new().pool_size(3), &[2, 5, 1]);
    assert_eq!(
        message,
        "layer `max_pooling2d` (MaxPooling2D): expected an input at least as large as a window, (3, 3), received (2, 5, 1)"
    );
    assert!(
        refused(MaxPool2D::new(), &[28, 28]).contains("expected an input (height, width, channels), received (28, 28)")
    );
    assert!(refused(AvgPool1D::new().pool_size(0), &[4, 1]).contains("`pool_size` must be at least 1"));
    assert!(refused(AvgPool3D::new().strides((1, 0, 1)), &[4, 4, 4, 1]).contains("`strides` must be at least 1"));
    assert!(refused(MaxPool1D::new().padding(Causal), &[4, 1]).contains("`padding` must be valid or same, got causal"));
    assert!(refused(GlobalAvgPool2D::new(), &[4, 1]).contains("(height, width, channels)"));
}

#[test]
fn borders_and_factors_that_leave_nothing_or_too_much_are_refused() {
    assert!(refused(Cropping2D::new().cropping([2, 0]), &[4, 5, 1]).contains("of which something is left"));
    assert!(refused(Cropping1D::new().cropping(usize::MAX), &[4, 1]).contains("of which something is left"));
    assert!(refused(ZeroPadding1D::new().padding(usize::MAX), &[4, 1]).contains("that memory can hold"));
    assert!(
        refused(ZeroPadding2D::new().padding(usize::MAX / 64), &[4, 4, 1])
            .contains("`padding` must be a size that the memory is there for")
    );
    assert!(refused(UpSampling2D::new().size(0), &[4, 4, 1]).contains("`size` must be at least 1"));
    assert!(refused(UpSampling1D::new().size(usize::MAX), &[4, 1]).contains("`size`"));
    assert!(refused(UpSampling3D::new(), &[4, 4, 1]).contains("(depth, height, width, channels)"));
}

#[test]
fn normalizations_that_do_not_fit_are_refused() {
    assert!(refused(GroupNormalization::new().groups(3), &[4]).contains("-1 or a divisor of the 4 channels, got 3"));
    assert!(refused(GroupNormalization::new().groups(0), &[4]).contains("`groups`"));
    assert!(refused(GroupNormalization::new(), &[16]).contains("got 32"));
    assert!(refused(BatchNormalization::new().axis(0), &[4]).contains("`axis`"));
    assert!(refused(BatchNormalization::new().axis(2), &[4]).contains("`axis`"));
    assert!(refused(BatchNormalization::new().momentum(1.5), &[4]).contains("`momentum` must be in 0..=1, got 1.5"));
    assert!(refused(BatchNormalization::new().epsilon(-1.0), &[4]).contains("`epsilon`"));
    assert!(refused(BatchNormalization::new().renorm(true), &[4]).contains("`renorm`"));
    assert!(refused(LayerNormalization::new().axis([1, -1]), &[4]).contains("axes that differ"));
    assert!(refused(RMSNormalization::new().axis(3), &[4]).contains("`axis`"));
    assert!(refused(UnitNormalization::new().axis(0), &[4]).contains("`axis`"));
}

#[test]
fn channels_first_is_refused_and_every_spelling_is_read() {
    let registry = Registry::<f32>::standard();
    let make = |class: &str, options: serde_json::Value| registry.make_layer(class, options.as_object().unwrap());
    for class in ["MaxPool2D", "MaxPooling2D", "AvgPool2D", "AveragePooling2D", "GlobalMaxPooling2D", "UpSampling2D"] {
        assert!(make(class, serde_json::json!({ "data_format": "channels_last" })).is_ok(), "{class}");
        let refused = make(class, serde_json::json!({ "data_format": "channels_first" })).unwrap_err().to_string();
        assert!(refused.contains("channels_last") && refused.contains("data_format"), "{refused}");
    }
    let bilinear = UpSampling2D::from_config(serde_json::json!({ "interpolation": "lanczos3" }).as_object().unwrap());
    assert!(bilinear.unwrap_err().to_string().contains("`nearest` or `bilinear`"));
    // As Keras writes it.
    let keras = serde_json::json!({
        "name": "norm", "trainable": true, "dtype": "float32", "axis": -1, "momentum": 0.99, "epsilon": 0.001,
        "center": true, "scale": true, "beta_initializer": "zeros", "gamma_initializer": "ones",
        "moving_mean_initializer": "zeros", "moving_variance_initializer": "ones", "beta_regularizer": null,
        "gamma_regularizer": null, "beta_constraint": null, "gamma_constraint": null, "synchronized": false,
        "renorm": false, "renorm_clipping": null, "renorm_momentum": 0.99
    });
    assert!(make("BatchNormalization", keras).is_ok());
}

fn normalized_model(threads: usize) -> gradus::Result<gradus::Model> {
    let mut model = Sequential::new()
        .input([6, 5, 3])
        .add(Conv2D::new(4, 3))
        .add(BatchNormalization::new().momentum(0.5))
        .add(Relu)
        .add(MaxPool2D::new())
        .add(GlobalAvgPool2D::new())
        .add(BatchNormalization::new())
        .add(Dense::new(2))
        .compile(MeanSquaredError::new(), Adam::new())
        .build()?;
    model.set_threads(threads)?;
    Ok(model)
}

fn numbers(rows: usize, row: &[usize]) -> ArrayD<f32> {
    let shape = [&[rows], row].concat();
    ArrayD::from_shape_fn(shape, |at| {
        let hash = at.slice().iter().fold(7usize, |hash, &i| hash * 31 + i + 1);
        (hash % 1009) as f32 / 300.0 - 1.5
    })
}

#[test]
fn batch_normalization_trains_to_the_same_bits_on_any_number_of_threads() -> gradus::Result<()> {
    let (x, y) = (numbers(200, &[6, 5, 3]), numbers(200, &[2]));
    let mut first = None;
    for threads in [1, 2, 3] {
        let mut model = normalized_model(threads)?;
        model.fit(&x, &y, Fit::new().batch_size(70).epochs(2).verbose(0))?;
        let weights = model.get_weights();
        assert_ne!(model.weight("batch_normalization/moving_mean")?, ArrayD::<f32>::zeros(vec![4]));
        match &first {
            None => first = Some(weights),
            Some(first) => assert_eq!(first, &weights, "{threads} threads"),
        }
    }
    Ok(())
}

#[test]
fn a_frozen_batch_normalization_keeps_its_state_and_runs_in_inference_mode() -> gradus::Result<()> {
    let (x, y) = (numbers(64, &[6, 5, 3]), numbers(64, &[2]));
    let mut model = normalized_model(1)?;
    model.fit(&x, &y, Fit::new().verbose(0))?;
    model.set_trainable("batch_normalization", false)?;
    model.set_trainable("batch_normalization_1", false)?;
    let before = model.get_weights();
    let inference = model.predict(&x)?;
    let mut pass = model.pass();
    model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 })?;
    for (a, b) in pass.output(0).iter().zip(&inference) {
        assert!((a - b).abs() < 1e-5);
    }
    model.fit(&x, &y, Fit::new().verbose(0))?;
    for ((path, old), (_, new)) in before.iter().zip(&model.get_weights()) {
        assert_eq!(path.starts_with("batch_norm"), old == new, "{path}");
    }
    Ok(())
}

#[test]
fn saved_and_loaded_statistics_predict_the_same() -> gradus::Result<()> {
    let (x, y) = (numbers(64, &[6, 5, 3]), numbers(64, &[2]));
    let mut model = normalized_model(1)?;
    model.fit(&x, &y, Fit::new().verbose(0))?;
    let folder = std::env::temp_dir().join(format!("gradus-spatial-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.safetensors");
    model.save(&path)?;
    assert_eq!(gradus::Model::<f32>::load(&path)?.predict(&x)?, model.predict(&x)?);
    std::fs::remove_dir_all(folder).unwrap();
    Ok(())
}

fn predict(layer: impl Layer<f64> + 'static, x: &ArrayD<f64>) -> ArrayD<f64> {
    Sequential::f64().input(x.shape()[1..].to_vec()).add(layer).build().unwrap().predict(x).unwrap()
}

fn images() -> impl Strategy<Value = ArrayD<f64>> {
    use proptest::prelude::*;
    (1..4usize, 2..9usize, 2..9usize, 1..6usize).prop_flat_map(|(b, h, w, c)| {
        proptest::collection::vec(-5.0..5.0f64, b * h * w * c)
            .prop_map(move |values| ArrayD::from_shape_vec(vec![b, h, w, c], values).unwrap())
    })
}

proptest! {
    #[test]
    fn a_mean_lies_below_the_largest_and_both_between_the_bounds(x in images(), size in 1..4usize, stride in 1..4usize) {
        let most = predict(MaxPool2D::new().pool_size(size).strides(stride).padding(Same), &x);
        let mean = predict(AvgPool2D::new().pool_size(size).strides(stride).padding(Same), &x);
        prop_assert_eq!(most.shape(), mean.shape());
        let (low, high) = x.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        for (&most, &mean) in most.iter().zip(&mean) {
            prop_assert!(mean <= most + 1e-12 && most <= high && mean >= low - 1e-12);
        }
    }

    #[test]
    fn a_global_pool_is_one_window(x in images()) {
        let window = [x.shape()[1], x.shape()[2]];
        let flat = |y: ArrayD<f64>| y.into_iter().collect::<Vec<f64>>();
        prop_assert_eq!(flat(predict(GlobalMaxPool2D::new(), &x)), flat(predict(MaxPool2D::new().pool_size(window), &x)));
        prop_assert_eq!(flat(predict(GlobalAvgPool2D::new(), &x)), flat(predict(AvgPool2D::new().pool_size(window), &x)));
    }

    #[test]
    fn cropping_what_was_padded_gives_it_back(x in images(), a in 0..4usize, b in 0..4usize) {
        let border = [[a, b], [b, a]];
        let padded = predict(ZeroPadding2D::new().padding(border), &x);
        prop_assert_eq!(&predict(Cropping2D::new().cropping(border), &padded), &x);
    }

    #[test]
    fn pooling_by_means_undoes_repeating(x in images(), size in 1..4usize) {
        let back = predict(AvgPool2D::new().pool_size(size), &predict(UpSampling2D::new().size(size), &x));
        prop_assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
        let bilinear = predict(UpSampling2D::new().size(size).interpolation(Interpolation::Bilinear), &(&x * 0.0 + 3.5));
        prop_assert!(bilinear.iter().all(|y| (y - 3.5).abs() < 1e-12), "constants stay constant");
    }

    #[test]
    fn normalized_rows_have_mean_0_and_variance_1(x in images()) {
        let y = predict(LayerNormalization::new().axis([1, 2, 3]).epsilon(1e-12), &x);
        for row in y.outer_iter() {
            let mean = row.mean().unwrap();
            let variance = row.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / row.len() as f64;
            prop_assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn nan_passes_through_pooling_as_nan() {
    let mut x = ArrayD::<f64>::zeros(vec![1, 4, 4, 2]);
    x[[0, 1, 1, 0]] = f64::NAN;
    for y in [predict(MaxPool2D::new(), &x), predict(AvgPool2D::new(), &x)] {
        assert!(y[[0, 0, 0, 0]].is_nan() && y.iter().filter(|y| y.is_nan()).count() == 1);
    }
    assert!(predict(GlobalMaxPool2D::new(), &x)[[0, 0]].is_nan());
}
