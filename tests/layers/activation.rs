//! Activations that are layers of their own, and the layers that hardly do anything: values, gradients by differences,
//! configurations.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::cast_possible_truncation)]

use gradus::config::Config;
use gradus::custom::*;
use gradus::registry::Registry;
use ndarray::IxDyn;

fn model<M>(layer: impl IntoLayer<f64, M>, sample: &[usize]) -> gradus::Result<Model<f64>> {
    let input = Input::f64(sample);
    ModelBuilder::new([&input], [&input.apply(layer)]).build()
}

/// Values between −1 and 1, all different.
fn numbers(shape: &[usize], salt: u32) -> ArrayD<f64> {
    let mut i = 100 * salt;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        f64::from(i * 7919 % 10_007) / 5000.0 - 1.0
    })
}

/// Gradients of Σ y·w for the input and all parameters, against central differences.
fn check_gradients(model: &mut Model<f64>, batch: usize) {
    let x = numbers(&[&[batch], model.input_shape(0)].concat(), 1);
    let mut pass = model.pass_with_input_gradients();
    let y = model.forward(&mut pass, &x, Mode::Inference).unwrap().array().to_owned();
    let w = numbers(y.shape(), 77);
    model.backward(&mut pass, &w).unwrap();
    let value = |model: &Model<f64>, x: &ArrayD<f64>| (&model.predict(x).unwrap() * &w).sum();
    let close = |grad: f64, plus: f64, minus: f64| {
        let difference = (plus - minus) / 2e-6;
        assert!((grad - difference).abs() < 1e-7, "{grad} not {difference}");
    };
    for (k, &grad) in pass.input_gradient(0).unwrap().iter().enumerate() {
        let moved = |by: f64| {
            let mut moved = x.clone();
            moved.as_slice_mut().unwrap()[k] += by;
            value(model, &moved)
        };
        close(grad, moved(1e-6), moved(-1e-6));
    }
    let mut grads = pass.gradients().iter();
    for (path, weight) in model.get_weights() {
        for k in 0..weight.len() {
            let mut moved = |by: f64| {
                let mut moved = weight.clone();
                moved.as_slice_mut().unwrap()[k] += by;
                model.set_weights([(&path, &moved)]).unwrap();
                value(model, &x)
            };
            let (plus, minus) = (moved(1e-6), moved(-1e-6));
            close(*grads.next().unwrap(), plus, minus);
        }
        model.set_weights([(&path, &weight)]).unwrap();
    }
}

#[test]
fn learned_slopes_are_shared_along_axes() {
    let cases: [(&[usize], &[usize]); 5] =
        [(&[], &[2, 3, 2]), (&[1], &[1, 3, 2]), (&[2], &[2, 1, 2]), (&[1, 3], &[1, 3, 1]), (&[1, 2, 3], &[1, 1, 1])];
    for (shared, shape) in cases {
        let layer =
            PReLU::new().shared_axes(shared).alpha_initializer(Initializer::RandomUniform { min: 0.1, max: 0.9 });
        for batch in [1, 3, 17] {
            let mut model = model(layer.clone(), &[2, 3, 2]).unwrap();
            assert_eq!(model.weight("p_re_lu/alpha").unwrap().shape(), shape);
            check_gradients(&mut model, batch);
        }
    }
    for axis in [0, 4] {
        let message = model(PReLU::new().shared_axes([axis]), &[2, 3, 2]).unwrap_err().to_string();
        assert!(message.contains("`shared_axes` must be axes from 1 to 3"), "{message}");
    }
    assert!(model(PReLU::new(), &[]).is_err());
}

#[test]
fn softmax_adds_up_to_one_over_its_axes() {
    let cases: [(Vec<isize>, &[usize]); 7] = [
        (vec![-1], &[3]),
        (vec![1], &[1]),
        (vec![1, 2], &[1, 2]),
        (vec![2, -1], &[2, 3]),
        (vec![1, 3], &[1, 3]),
        (vec![-1, 1], &[1, 3]),
        (vec![3, 1, 2], &[1, 2, 3]),
    ];
    for (axes, counted) in cases {
        let mut model = model(SoftmaxLayer::new().axis(axes), &[2, 3, 4]).unwrap();
        let mut y = model.predict(&numbers(&[5, 2, 3, 4], 1)).unwrap();
        assert!(y.iter().all(|&y| y > 0.0));
        for &axis in counted.iter().rev() {
            y = y.sum_axis(Axis(axis));
        }
        assert!(y.iter().all(|sum| (sum - 1.0).abs() < 1e-12));
        check_gradients(&mut model, 2);
    }
    for axes in [vec![], vec![0], vec![4], vec![-4], vec![1, -3]] {
        let message = model(SoftmaxLayer::new().axis(axes), &[2, 3, 4]).unwrap_err().to_string();
        assert!(message.starts_with("layer `softmax` (Softmax): `axis` must be"), "{message}");
    }
}

#[test]
fn layers_by_name_are_activations() {
    let x = numbers(&[4, 6], 2).mapv(|x| 3.0 * x);
    let pairs = [
        (AnyLayer::single(ReLU::new()), Activation::Relu),
        (
            AnyLayer::single(ReLU::new().max_value(1.5).negative_slope(0.2).threshold(0.5)),
            Activation::ReluWith { max_value: Some(1.5), negative_slope: 0.2, threshold: 0.5 },
        ),
        (AnyLayer::single(LeakyReLU::new()), Activation::LeakyRelu { negative_slope: 0.3 }),
        (AnyLayer::single(ELU::new().alpha(0.5)), Activation::Elu { alpha: 0.5 }),
        (AnyLayer::single(SoftmaxLayer::new()), Activation::Softmax),
    ];
    for (layer, activation) in pairs {
        let want = model(activation, &[6]).unwrap().predict(&x).unwrap();
        let mut model = model(layer, &[6]).unwrap();
        assert_eq!(model.predict(&x).unwrap(), want);
        check_gradients(&mut model, 3);
    }
}

#[test]
fn negative_options_are_refused() {
    for (layer, option) in [
        (AnyLayer::single(ReLU::new().max_value(-1.0)), "max_value"),
        (AnyLayer::single(ReLU::new().negative_slope(-1.0)), "negative_slope"),
        (AnyLayer::single(ReLU::new().threshold(-1.0)), "threshold"),
        (AnyLayer::single(LeakyReLU::new().negative_slope(-1.0)), "negative_slope"),
        (AnyLayer::single(ELU::new().alpha(-1.0)), "alpha"),
    ] {
        let message = model(layer, &[6]).unwrap_err().to_string();
        assert!(message.contains(&format!("`{option}` must be at least 0, got -1")), "{message}");
    }
}

#[test]
fn a_penalty_on_activations_is_in_the_gradient() {
    let (l1, l2) = (0.3, 0.7);
    let model = model(ActivityRegularization::new().l1(l1).l2(l2), &[3]).unwrap();
    let x = array![[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]];
    let mut pass = model.pass_with_input_gradients().with_penalties(true);
    let y = model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 }).unwrap();
    assert_eq!(y.array(), x.view().into_dyn());
    model.backward(&mut pass, &Array2::<f64>::zeros((2, 3))).unwrap();
    for (grad, x) in pass.input_gradient(0).unwrap().iter().zip(&x) {
        assert!((grad - (0.5 * l1 * x.signum() + l2 * x)).abs() < 1e-12);
    }
}

#[test]
fn small_layers_do_what_they_say() {
    let mut rescaling = model(Rescaling::new(0.5).offset(-3.0), &[2]).unwrap();
    assert_eq!(rescaling.predict(&array![[2.0, 8.0]]).unwrap(), array![[-2.0, 1.0]].into_dyn());
    check_gradients(&mut rescaling, 3);
    let mut identity = model(Identity::new(), &[2]).unwrap();
    assert_eq!(identity.predict(&array![[2.0, 8.0]]).unwrap(), array![[2.0, 8.0]].into_dyn());
    check_gradients(&mut identity, 3);
}

#[test]
fn every_layer_is_made_from_keras_configuration_and_written_back() {
    let registry = Registry::<f64>::standard();
    for (class, config) in [
        ("ReLU", serde_json::json!({"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.2})),
        ("LeakyReLU", serde_json::json!({"negative_slope": 0.1})),
        ("ELU", serde_json::json!({"alpha": 0.1})),
        ("Softmax", serde_json::json!({"axis": [1, 2]})),
        ("Softmax", serde_json::json!({"axis": -1})),
        ("PReLU", serde_json::json!({"shared_axes": [1]})),
        ("ActivityRegularization", serde_json::json!({"l1": 0.1, "l2": 0.2})),
        ("Rescaling", serde_json::json!({"scale": 0.1, "offset": 0.2})),
        ("Identity", serde_json::json!({})),
        ("Dropout", serde_json::json!({"rate": 0.1, "seed": 3, "noise_shape": [null, 1, 4]})),
        ("SpatialDropout1D", serde_json::json!({"rate": 0.1})),
        ("GaussianNoise", serde_json::json!({"stddev": 0.1})),
        ("GaussianDropout", serde_json::json!({"rate": 0.1})),
        ("AlphaDropout", serde_json::json!({"rate": 0.1})),
    ] {
        let given: Config = config.as_object().unwrap().clone();
        let layer = registry.make_layer(class, &given).unwrap();
        let input = Input::f64([3, 4]);
        let model = ModelBuilder::new([&input], [&input.apply(layer)]).build().unwrap();
        let saved = model.to_config().unwrap().to_string();
        assert!(saved.contains(&format!("\"{class}\"")), "{saved}");
        for (option, value) in &given {
            assert!(saved.contains(&format!("\"{option}\":{value}")), "{class}: {option} in {saved}");
        }
        let again = Model::<f64>::from_config(&model.to_config().unwrap(), &registry).unwrap();
        assert_eq!(again.to_config().unwrap().to_string(), saved);
    }
}

#[test]
fn a_softmax_layer_trains_as_the_activation_does() {
    fn trained<M>(last: impl IntoLayer<f32, M>) -> Vec<(String, ArrayD<f32>)> {
        let mut model = Sequential::new()
            .input([4])
            .add(Dense::new(3))
            .add(last)
            .compile(CategoricalCrossentropy::new(), SGD::new())
            .build()
            .unwrap();
        let x = numbers(&[32, 4], 3).mapv(|x| 9.0 * x as f32);
        let y = Array2::from_shape_fn((32, 3), |(row, class)| f32::from(u8::from(row % 3 == class)));
        model.fit(&x, &y, Fit::new().epochs(3).verbose(0)).unwrap();
        model.get_weights()
    }
    assert_eq!(trained(SoftmaxLayer::new()), trained(Activation::Softmax));
}
