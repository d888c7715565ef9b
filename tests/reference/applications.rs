//! `gradus::applications` beside `keras.applications`: the same weights under the same paths, and the same predictions. Weights
//! and pixels are made by the formulas that stand in `generate/applications.py`.

use gradus::applications::{Application, Pooling};
use gradus::prelude::*;
use serde_json::Value;

fn application(case: &Value) -> Application {
    let application = match case["name"].as_str().unwrap() {
        "vgg16" => Application::vgg16(),
        "vgg19" => Application::vgg19(),
        "resnet50" => Application::resnet50(),
        "resnet101" => Application::resnet101(),
        "mobilenet_v2" => Application::mobilenet_v2(),
        "mobilenet_v2_of_width" => Application::mobilenet_v2_of_width(case["alpha"].as_f64().unwrap()),
        "densenet121" => Application::densenet121(),
        "densenet169" => Application::densenet169(),
        other => panic!("no application {other}"),
    };
    let pooling = match case["pooling"].as_str() {
        Some("avg") => Pooling::Avg,
        Some("max") => Pooling::Max,
        _ => Pooling::None,
    };
    application
        .input_shape((size(case)[0], size(case)[1], 3))
        .include_top(case["top"].as_bool().unwrap())
        .classes(case["classes"].as_u64().unwrap() as usize)
        .pooling(pooling)
}

fn size(case: &Value) -> [usize; 2] {
    [0, 1].map(|axis| case["size"][axis].as_u64().unwrap() as usize)
}

/// The values of weight number `k`.
fn weight(path: &str, shape: &[usize], k: usize) -> ArrayD<f64> {
    let wave = ArrayD::from_shape_vec(shape, (0..shape.iter().product()).collect()).unwrap();
    let wave = wave.mapv(|i: usize| (0.1 * k as f64 + 0.7 * i as f64).sin());
    match path.rsplit('/').next().unwrap() {
        "kernel" => {
            let depthwise = path.contains("depthwise");
            let axes = if depthwise { 2 } else { shape.len() - 1 };
            wave * (4.0 / shape[..axes].iter().product::<usize>() as f64).sqrt()
        }
        "gamma" => 1.0 + wave / 10.0,
        "moving_variance" => 1.0 + wave / 2.0,
        _ => wave / 10.0,
    }
}

#[test]
fn known_networks_are_those_of_keras() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("applications.json")).unwrap();
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(2)) {
            scope.spawn(move || part.iter().for_each(is_that_of_keras));
        }
    });
}

fn is_that_of_keras(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let mut model: Model<f64> = application(case).build_of().unwrap();
    let own = model.get_weights().into_iter();
    let mut own: Vec<(String, Vec<usize>)> = own.map(|(path, values)| (path, values.shape().to_vec())).collect();
    own.sort();
    let line =
        |(path, shape): &(String, Vec<usize>)| shape.iter().fold(path.clone(), |line, size| format!("{line} {size}"));
    let lines: Vec<String> = own.iter().map(line).collect();
    let wanted: Vec<&str> = case["weights"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines, wanted, "{name}");

    let weights: Vec<(String, ArrayD<f64>)> =
        own.iter().enumerate().map(|(k, (path, shape))| (path.clone(), weight(path, shape, k))).collect();
    model.set_weights(weights.iter().map(|(path, values)| (path, values))).unwrap();
    let ([height, width], scale) = (size(case), case["scale"].as_f64().unwrap());
    let x = Array4::from_shape_fn((1, height, width, 3), |(_, row, column, channel)| {
        let i = (row * width + column) * 3 + channel;
        scale * ((0.3 * i as f64).sin() + 1.0)
    });
    let y = model.predict(&x).unwrap();
    for (got, want) in y.iter().zip(case["output"].as_array().unwrap()) {
        let want = want.as_f64().unwrap();
        assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()), "{name}: {got} instead of {want}");
    }
}

#[test]
fn what_no_network_can_be_is_refused() {
    let refused = |application: Application, words: &[&str]| {
        let message = application.build().unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refused(Application::resnet50().input_shape([224, 224]), &["resnet50", "input_shape", "(height, width, channels)"]);
    refused(Application::resnet50().classes(0), &["resnet50", "classes"]);
    refused(Application::mobilenet_v2_of_width(-1.0), &["mobilenetv2", "alpha"]);
    refused(Application::vgg16().input_shape((None, None, 3)), &["fc1"]);
    refused(Application::vgg16().input_shape([8, 8, 3]), &["block"]);
}
