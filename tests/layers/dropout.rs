//! Dropout and noise: how much is dropped, the same in both passes and for every split of the batch, nothing outside
//! training.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use gradus::config::{Config, Configured};
use gradus::custom::*;
use ndarray::{IxDyn, Slice, Zip};

const TRAINING: Mode = Mode::Training { seed: 7, step: 3 };

/// Values from 0.5 to 1.5, none 0.
fn numbers(shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        0.5 + f64::from(i * 7919 % 1009) / 1009.0
    })
}

fn model<M>(layer: impl IntoLayer<f64, M>, sample: &[usize]) -> Model<f64> {
    let input = Input::f64(sample);
    ModelBuilder::new([&input], [&input.apply(layer)]).build().unwrap()
}

/// The output for `x`, and the gradient that comes back for a gradient of `g`.
fn both_ways(model: &Model<f64>, x: &ArrayD<f64>, g: &ArrayD<f64>, mode: Mode) -> (ArrayD<f64>, ArrayD<f64>) {
    let mut pass = model.pass_with_input_gradients();
    let y = model.forward(&mut pass, x, mode).unwrap().array().to_owned();
    model.backward(&mut pass, g).unwrap();
    (y, pass.input_gradient(0).unwrap().array().to_owned())
}

fn forward(model: &Model<f64>, x: &ArrayD<f64>, mode: Mode) -> ArrayD<f64> {
    model.forward(&mut model.pass(), x, mode).unwrap().array().to_owned()
}

/// Every layer of the family, for samples of the shape (4, 5, 3).
fn every_layer() -> Vec<AnyLayer<f64>> {
    vec![
        AnyLayer::single(Dropout::new(0.4)),
        AnyLayer::single(Dropout::new(0.4).noise_shape([None, Some(1), None, Some(3)])),
        AnyLayer::single(Dropout::new(0.4).noise_shape([Some(1), None, Some(1), None])),
        AnyLayer::single(SpatialDropout2D::new(0.4)),
        AnyLayer::single(GaussianNoise::new(0.4)),
        AnyLayer::single(GaussianDropout::new(0.4)),
        AnyLayer::single(AlphaDropout::new(0.4)),
        AnyLayer::single(AlphaDropout::new(0.4).noise_shape([None, Some(1), Some(1), None])),
    ]
}

fn mean_and_variance(x: &ArrayD<f64>) -> (f64, f64) {
    (x.mean().unwrap(), x.var(0.0))
}

#[test]
fn dropout_drops_the_rate_and_scales_the_rest() {
    let x = numbers(&[100, 200]);
    for rate in [0.0, 0.1, 0.5, 0.9, 1.0] {
        let y = forward(&model(Dropout::new(rate), &[200]), &x, TRAINING);
        let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / y.len() as f64;
        assert!((dropped - rate).abs() < 0.02, "{dropped} instead of {rate}");
        Zip::from(&x).and(&y).for_each(|x, &y| assert!(y == 0.0 || (y - x / (1.0 - rate)).abs() < 1e-12));
    }
}

#[test]
fn what_the_forward_pass_did_the_backward_pass_does_to_the_gradient() {
    let (x, g) = (numbers(&[20, 4, 5, 3]), numbers(&[20, 4, 5, 3]).mapv(|x| x * x - 1.0));
    for layer in every_layer() {
        let model = model(&layer, &[4, 5, 3]);
        let (y, grad_x) = both_ways(&model, &x, &g, TRAINING);
        // All layers are affine in x: y(x + d) − y(x) is the derivative in the direction d, exactly.
        let d = numbers(&[20, 4, 5, 3]).mapv(|x| (20.0 * x).sin());
        let difference = forward(&model, &(&x + &d), TRAINING) - &y;
        let (along, expected) = ((&grad_x * &d).sum(), (&difference * &g).sum());
        assert!((along - expected).abs() < 1e-9, "{layer:?}: {along} instead of {expected}");
    }
}

#[test]
fn a_row_loses_the_same_wherever_the_batch_is_cut() {
    let x = numbers(&[96, 4, 5, 3]);
    let g = x.mapv(|x| x - 1.0);
    for layer in every_layer() {
        let mut model = model(&layer, &[4, 5, 3]);
        model.set_threads(1).unwrap();
        let whole = both_ways(&model, &x, &g, TRAINING);
        model.set_threads(2).unwrap();
        assert_eq!(whole, both_ways(&model, &x, &g, TRAINING), "{layer:?} on two threads");
        // Shards of 48, 16, 10 or 11, and 3 rows.
        for rows in [32, 21, 3] {
            let first = |a: &ArrayD<f64>| a.slice_axis(Axis(0), Slice::from(..rows)).to_owned();
            let part = both_ways(&model, &first(&x), &first(&g), TRAINING);
            assert_eq!((first(&whole.0), first(&whole.1)), part, "{layer:?}, the first {rows} rows");
        }
    }
}

#[test]
fn outside_training_nothing_happens() {
    let (x, g) = (numbers(&[20, 4, 5, 3]), numbers(&[20, 4, 5, 3]));
    for layer in every_layer() {
        let model = model(&layer, &[4, 5, 3]);
        assert_eq!(model.predict(&x).unwrap(), x);
        assert_eq!(both_ways(&model, &x, &g, Mode::Inference), (x.clone(), g.clone()));
    }
}

#[test]
fn steps_and_seeds_change_what_is_dropped() {
    let x = numbers(&[4, 50]);
    let model_of = |seed: Option<u64>| model(Dropout::new(0.5).seed(seed).name("drop"), &[50]);
    let at = |model: &Model<f64>, seed, step| forward(model, &x, Mode::Training { seed, step });
    let model = model_of(None);
    assert_eq!(at(&model, 1, 0), at(&model, 1, 0));
    assert_ne!(at(&model, 1, 0), at(&model, 1, 1));
    assert_ne!(at(&model, 1, 0), at(&model, 2, 0));
    let own = model_of(Some(5));
    assert_eq!(at(&own, 1, 0), at(&own, 2, 0), "a seed of its own stands above the training's");
    assert_ne!(at(&own, 1, 0), at(&own, 1, 1));
    assert_ne!(at(&own, 1, 0), at(&model_of(Some(6)), 1, 0));
}

#[test]
fn two_layers_of_a_model_drop_different_values() {
    let x = Input::f64([200]);
    let outputs = [x.apply(Dropout::new(0.5)), x.apply(Dropout::new(0.5))];
    let model = ModelBuilder::new([&x], &outputs).build().unwrap();
    let mut pass = model.pass();
    model.forward(&mut pass, &numbers(&[2, 200]), TRAINING).unwrap();
    assert_ne!(pass.output(0).data(), pass.output(1).data());
}

#[test]
fn channels_are_dropped_whole() {
    fn check(layer: impl Layer<f64> + 'static, sample: &[usize]) {
        let shape = [&[30], sample].concat();
        let y = forward(&model(layer, sample), &ArrayD::ones(shape), TRAINING);
        let (mut dropped, mut channels) = (0, 0);
        for row in y.outer_iter() {
            for channel in row.axis_iter(Axis(row.ndim() - 1)) {
                let first = *channel.first().unwrap();
                assert!(first == 0.0 || (first - 1.0 / 0.7).abs() < 1e-12);
                assert!(channel.iter().all(|&value| value == first));
                dropped += usize::from(first == 0.0);
                channels += 1;
            }
        }
        assert!((dropped as f64 / f64::from(channels) - 0.3).abs() < 0.05, "{dropped} of {channels}");
    }
    check(SpatialDropout1D::new(0.3), &[5, 40]);
    check(SpatialDropout2D::new(0.3), &[3, 2, 40]);
    check(SpatialDropout3D::new(0.3), &[2, 3, 2, 40]);
}

#[test]
fn a_noise_shape_says_what_goes_together() {
    let x = ArrayD::ones(IxDyn(&[40, 6, 5]));
    let layer = Dropout::new(0.5).noise_shape([None, Some(1), None]);
    let y = forward(&model(layer, &[6, 5]), &x, TRAINING);
    for step in 1..6 {
        assert_eq!(y.index_axis(Axis(1), 0), y.index_axis(Axis(1), step));
    }
    assert_ne!(y.index_axis(Axis(0), 0), y.index_axis(Axis(0), 1));
    // The batch too: 40 rows are two shards.
    let layer = Dropout::new(0.5).noise_shape([Some(1), None, None]);
    let y = forward(&model(layer, &[6, 5]), &x, TRAINING);
    for row in y.outer_iter() {
        assert_eq!(row, y.index_axis(Axis(0), 0));
    }
    assert!(y.iter().any(|&y| y == 0.0) && y.iter().any(|&y| y == 2.0));
}

#[test]
fn noise_has_the_moments_that_it_should() {
    let x = ArrayD::from_elem(IxDyn(&[200, 500]), 2.0);
    let (mean, variance) = mean_and_variance(&forward(&model(GaussianNoise::new(0.3), &[500]), &x, TRAINING));
    assert!((mean - 2.0).abs() < 0.01 && (variance - 0.09).abs() < 0.003, "{mean} {variance}");
    // 2·N(1, √(0.2/0.8)): variance 4·0.25.
    let (mean, variance) = mean_and_variance(&forward(&model(GaussianDropout::new(0.2), &[500]), &x, TRAINING));
    assert!((mean - 2.0).abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
}

#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    // Standard normal input, made by the noise itself.
    let x = forward(&model(GaussianNoise::new(1.0), &[500]), &ArrayD::zeros(IxDyn(&[200, 500])), TRAINING);
    for rate in [0.0, 0.1, 0.5] {
        let y = forward(&model(AlphaDropout::new(rate), &[500]), &x, TRAINING);
        let (mean, variance) = mean_and_variance(&y);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{rate}: {mean} {variance}");
        if rate > 0.0 {
            let alpha = -1.758_099_340_847_376_6_f64;
            let a = ((1.0 - rate) * (1.0 + rate * alpha * alpha)).powf(-0.5);
            let dropped = a * alpha - a * alpha * rate;
            let share = y.iter().filter(|&&y| (y - dropped).abs() < 1e-9).count() as f64 / y.len() as f64;
            assert!((share - rate).abs() < 0.01, "{share} instead of {rate}");
        }
    }
}

#[test]
fn bad_options_are_refused_by_name() {
    fn refused<M>(layer: impl IntoLayer<f32, M>, sample: &[usize]) -> String {
        let input = Input::new(sample);
        ModelBuilder::new([&input], [&input.apply(layer)]).build().unwrap_err().to_string()
    }
    for rate in [-0.1, 1.1, f64::NAN] {
        assert!(refused(Dropout::new(rate), &[4]).starts_with("layer `dropout` (Dropout): `rate` must be in 0..=1"));
        assert!(refused(SpatialDropout1D::new(rate), &[4, 2]).contains("`rate` must be in 0..=1"));
        assert!(refused(GaussianNoise::new(rate), &[4]).contains("`stddev` must be in 0..=1"));
    }
    for rate in [-0.1, 1.0, f64::NAN] {
        assert!(refused(GaussianDropout::new(rate), &[4]).contains("`rate` must be at least 0 and below 1"));
        assert!(refused(AlphaDropout::new(rate), &[4]).contains("`rate` must be at least 0 and below 1"));
    }
    for noise_shape in [vec![None], vec![None, Some(3)], vec![None, Some(0)], vec![Some(0), None]] {
        let message = refused(Dropout::new(0.5).noise_shape(noise_shape.clone()), &[4]);
        assert!(message.contains("`noise_shape` must be"), "{message}");
    }
    assert!(refused(SpatialDropout1D::new(0.5), &[4]).contains("(timesteps, channels)"));
    assert!(refused(SpatialDropout2D::new(0.5), &[4, 2]).contains("(height, width, channels)"));
    assert!(refused(SpatialDropout3D::new(0.5), &[4, 2, 1]).contains("(depth, height, width, channels)"));
}

#[test]
fn configurations_are_keras_and_come_back() {
    fn config(json: &serde_json::Value) -> Config {
        json.as_object().unwrap().clone()
    }
    let given = config(&serde_json::json!({"rate": 0.5, "seed": 3, "noise_shape": [null, 1, 4]}));
    let layer = Dropout::from_config(&given).unwrap();
    let written = layer.to_config();
    assert_eq!((&written["rate"], &written["seed"]), (&given["rate"], &given["seed"]));
    assert_eq!(written["noise_shape"], given["noise_shape"]);
    assert!(Dropout::from_config(&config(&serde_json::json!({"rate": 0.5, "noise": 1}))).is_err());
    assert!(Dropout::from_config(&Config::new()).is_err());
}
