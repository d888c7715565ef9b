//! What makes no model: layers, graphs, configurations and options that are none.

use gradus::constraints::Constraint;
use gradus::custom::*;
use serde_json::json;

use super::refuses_and_changes_nothing;
use crate::refuses::refuses;

#[test]
fn layers_that_do_not_fit_what_comes_before() {
    let after = |shape: &[usize], layer: AnyLayer<f32>| Sequential::new().input(shape).add(layer).build();
    let layer = |layer: Dense| AnyLayer::single(layer);
    refuses(after(&[3], layer(Dense::new(0))), &["layer `dense` (Dense): `units` must be at least 1, got 0"]);
    refuses(after(&[], layer(Dense::new(1))), &["layer `dense` (Dense)", "an input (…, features)", "received ()"]);
    refuses(after(&[], AnyLayer::single(Softmax)), &["(Activation)", "`axis`"]);
    refuses(
        after(&[4], AnyLayer::single(SoftmaxOver { axis: 2 })),
        &["layer `activation` (Activation)", "`axis` must be an axis of 2", "got 2"],
    );
    refuses(after(&[4], AnyLayer::single(SoftmaxOver { axis: 0 })), &["`axis`", "got 0"]);
    refuses(after(&[4], layer(Dense::new(2).activation(LogSoftmaxOver { axis: -2 }))), &["`axis`", "got -2"]);
    refuses(after(&[4], AnyLayer::single(LeakyRelu { negative_slope: -0.1 })), &["`negative_slope`", "got -0.1"]);
    refuses(after(&[4], AnyLayer::single(LeakyRelu { negative_slope: f64::NAN })), &["`negative_slope`", "got NaN"]);
    refuses(
        after(&[4], AnyLayer::single(ReluWith { max_value: Some(-1.0), negative_slope: 0.0, threshold: 0.0 })),
        &["`max_value`", "got -1"],
    );
    refuses(after(&[4], AnyLayer::single(Celu { alpha: 0.0 })), &["`alpha`", "got 0"]);
    refuses(
        after(&[3, 4], AnyLayer::single(Reshape::new([5, -1]))),
        &["layer `reshape` (Reshape)", "12 values", "got [5, -1]"],
    );
    refuses(after(&[4], AnyLayer::single(Reshape::new([-1, -1]))), &["got [-1, -1]"]);
    refuses(after(&[4], AnyLayer::single(Reshape::new([-2, -2]))), &["got [-2, -2]"]);
    refuses(after(&[4], AnyLayer::single(Permute::new([1, 2]))), &["`dims`", "an order of the axes 1 to 1", "[1, 2]"]);
    refuses(after(&[4, 5], AnyLayer::single(Permute::new([0, 1]))), &["got [0, 1]"]);
    refuses(after(&[4, 5], AnyLayer::single(RepeatVector::new(2))), &["an input (features)", "received (4, 5)"]);
    refuses(after(&[4], AnyLayer::single(RepeatVector::new(0))), &["`n` must be at least 1, got 0"]);
    // The message tells after which layer.
    refuses(
        Sequential::new().input([4]).add(Dense::new(6).name("six")).add(Reshape::new([4])).build(),
        &["layer `reshape` (Reshape), after `six`"],
    );
}

#[test]
fn options_of_layers_that_are_no_numbers_to_work_with() {
    let dense = |layer: Dense| Sequential::new().input([3]).add(layer).build();
    refuses(dense(Dense::new(2).kernel_regularizer(Regularizer::L2(-1.0))), &["layer `dense` (Dense)", "`l2`", "-1"]);
    refuses(dense(Dense::new(2).bias_regularizer(Regularizer::L1(f64::NAN))), &["`l1`", "NaN"]);
    refuses(dense(Dense::new(2).activity_regularizer(Regularizer::L1(f64::INFINITY))), &["`l1`", "inf"]);
    let norm = |max_value: f64, axis: isize| Constraint::MaxNorm { max_value, axis: vec![axis] };
    refuses(dense(Dense::new(2).kernel_constraint(norm(-1.0, 0))), &["layer `dense` (Dense)", "`max_value`", "-1"]);
    refuses(dense(Dense::new(2).kernel_constraint(norm(1.0, 5))), &["`axis`", "5"]);
    refuses(dense(Dense::new(2).bias_constraint(norm(1.0, 1))), &["`axis`", "1"]);
    let normal = Initializer::RandomNormal { mean: 0.0, stddev: -1.0 };
    refuses(dense(Dense::new(2).kernel_initializer(normal)), &["layer `dense` (Dense)", "`stddev`", "-1"]);
}

#[test]
fn graphs_that_are_none() {
    let (a, b) = (Input::new([3]), Input::new([3]));
    let y = a.apply(Dense::new(2));
    refuses(ModelBuilder::new([&a, &b], [&y]).build(), &["model `functional`", "nothing uses the input `input_1`"]);
    refuses(ModelBuilder::new([&b], [&y]).build(), &["an input of shape (3) is used but not among"]);
    refuses(ModelBuilder::new([&a, &a], [&y]).build(), &["given twice"]);
    refuses(ModelBuilder::new([&y], [&y.apply(Dense::new(1))]).build(), &["is the output of a layer"]);
    refuses(ModelBuilder::new([&a], [&a]).build(), &["no layers"]);
    refuses(ModelBuilder::new([&a], [] as [&Symbol<f32>; 0]).build(), &["model `functional`", "output"]);
    refuses(ModelBuilder::new([] as [&Symbol<f32>; 0], [&y]).build(), &["model `functional`"]);
    refuses(ModelBuilder::new([&a], [&y.output(1)]).build(), &["output 1 was asked of a layer that has 1"]);
    let two = a.apply(Dense::new(2).name("same")).apply(Dense::new(2).name("same"));
    refuses(ModelBuilder::new([&a], [&two]).build(), &["two layers are called `same`"]);
    let named = a.named("same");
    let clash = named.apply(Dense::new(2).name("same"));
    refuses(ModelBuilder::new([&named], [&clash]).build(), &["`same`"]);
    refuses(Sequential::new().input([3]).add(Dense::new(1).name("a/b")).build(), &["`name`", "`a/b`"]);
    refuses(Sequential::new().input([3]).add(Dense::new(1).name("")).build(), &["`name`"]);
    // One layer takes one tensor.
    refuses(
        ModelBuilder::new([&a, &b], [&call(Dense::new(2), [&a, &b])]).build(),
        &["Dense", "one tensor", "2 tensors"],
    );
    refuses(ModelBuilder::new([&a], [&call(Dense::new(2), [] as [&Symbol<f32>; 0])]).build(), &["0 tensors"]);
    // A shared layer fits all that it is given.
    let wide = Input::new([5]);
    let layer = shared(Dense::new(2).name("shared"));
    let both = [&a.apply(&layer), &wide.apply(&layer)];
    refuses(ModelBuilder::new([&a, &wide], both).build(), &["layer `shared` (Dense)", "`kernel` (3, 2)", "(5)"]);
    // A model inside has an input of its own.
    let inner = Sequential::new().input([4]).add(Dense::new(1)).name("inner").build().expect("a good model");
    refuses(Sequential::new().input([3]).add(inner).build(), &["model `inner`", "(4)", "(3)"]);
}

#[test]
fn configurations_that_are_no_graph() {
    let dense = |name: &str, from: &str| {
        json!({
            "class_name": "Dense", "name": name, "config": { "name": name, "units": 2 },
            "inbound_nodes": [[[from, 0, 0]]],
        })
    };
    let input = json!({ "class_name": "InputLayer", "name": "x", "config": { "name": "x", "shape": [3] }, "inbound_nodes": [] });
    let model = |layers: serde_json::Value, output: &str| {
        let config = json!({
            "class_name": "Functional",
            "config": { "name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[output, 0, 0]] },
        });
        Model::<f32>::from_config(&config, &Registry::standard())
    };
    model(json!([input, dense("a", "x"), dense("b", "a")]), "b").expect("a good model");
    refuses(model(json!([input, dense("a", "b"), dense("b", "a")]), "b"), &["model `m`", "cycle"]);
    refuses(model(json!([input, dense("a", "x"), dense("b", "nobody")]), "b"), &["model `m`", "`b`", "cycle or a gap"]);
    refuses(model(json!([input, dense("a", "x")]), "nobody"), &["nobody"]);
    refuses(model(json!([input, dense("a", "x"), dense("a", "a")]), "a"), &["`a`"]);
    let unknown = json!({ "class_name": "Densely", "name": "a", "config": {}, "inbound_nodes": [[["x", 0, 0]]] });
    refuses(model(json!([input, unknown]), "a"), &["`Densely`", "`Dense`"]);
    let option = json!({ "class_name": "Dense", "name": "a", "config": { "units": 2, "unit": 3 }, "inbound_nodes": [[["x", 0, 0]]] });
    refuses(model(json!([input, option]), "a"), &["option `unit`", "`units`"]);
    let kind =
        json!({ "class_name": "Dense", "name": "a", "config": { "units": "two" }, "inbound_nodes": [[["x", 0, 0]]] });
    refuses(model(json!([input, kind]), "a"), &["`units`", "two"]);
    for nonsense in [
        json!(null),
        json!(3),
        json!({}),
        json!({ "class_name": "Sequential" }),
        json!({ "class_name": "X", "config": {} }),
    ] {
        assert!(Model::<f32>::from_config(&nonsense, &Registry::standard()).is_err(), "{nonsense}");
    }
}

#[test]
fn options_of_optimizers() {
    fn with(optimizer: impl Optimizer<f32> + 'static) -> gradus::Result<Model> {
        Sequential::new().input([3]).add(Dense::new(1)).compile(MeanSquaredError::new(), optimizer).build()
    }
    refuses(with(SGD::new().learning_rate(-0.1)), &["optimizer SGD: `learning_rate`", "got -0.1"]);
    refuses(with(Adam::new().learning_rate(f64::NAN)), &["optimizer Adam: `learning_rate`", "NaN"]);
    refuses(with(SGD::new().momentum(1.5)), &["`momentum` must be in 0..=1, got 1.5"]);
    refuses(with(SGD::new().momentum(-0.5)), &["`momentum`", "got -0.5"]);
    refuses(with(SGD::new().dampening(2.0)), &["`dampening`", "got 2"]);
    refuses(with(Adam::new().beta_1(1.5)), &["`beta_1`", "got 1.5"]);
    refuses(with(Adam::new().beta_2(-0.1)), &["`beta_2`", "got -0.1"]);
    refuses(with(Adam::new().epsilon(-1e-8)), &["`epsilon`"]);
    refuses(with(RMSprop::new().rho(1.1)), &["`rho`", "got 1.1"]);
    refuses(with(SGD::new().clipnorm(0.0)), &["`clipnorm`", "got 0"]);
    refuses(with(SGD::new().clipvalue(-1.0)), &["`clipvalue`", "got -1"]);
    refuses(with(SGD::new().global_clipnorm(f64::INFINITY)), &["`global_clipnorm`", "inf"]);
    refuses(with(SGD::new().clipnorm(1.0).clipvalue(1.0)), &["the only one of clipnorm, clipvalue"]);
    refuses(with(SGD::new().weight_decay(-0.1)), &["`weight_decay`", "got -0.1"]);
    refuses(with(SGD::new().ema_momentum(1.5)), &["`ema_momentum`", "got 1.5"]);
    refuses(with(SGD::new().ema_overwrite_frequency(0)), &["`ema_overwrite_frequency`", "got 0"]);
    refuses(with(SGD::new().gradient_accumulation_steps(1)), &["`gradient_accumulation_steps`", "got 1"]);
    refuses(with(SGD::new().learning_rate(ExponentialDecay::new(0.1, 0.0, 0.5))), &["`decay_steps`", "got 0"]);
    refuses(with(SGD::new().learning_rate(ExponentialDecay::new(-0.1, 1.0, 0.5))), &["`initial_learning_rate`"]);
}

#[test]
fn options_of_losses() {
    fn with(loss: impl Loss<f32> + 'static) -> gradus::Result<Model> {
        Sequential::new().input([3]).add(Dense::new(2)).compile(loss, SGD::new()).build()
    }
    refuses(
        with(CategoricalCrossentropy::new().label_smoothing(1.5)),
        &["loss CategoricalCrossentropy of output `dense`: `label_smoothing` must be in 0..=1, got 1.5"],
    );
    refuses(with(BinaryCrossentropy::new().label_smoothing(-0.1)), &["`label_smoothing`", "got -0.1"]);
    refuses(with(BinaryCrossentropy::new().label_smoothing(f64::NAN)), &["`label_smoothing`", "NaN"]);
    refuses(with(CategoricalCrossentropy::new().axis(2)), &["`axis`", "got 2"]);
    refuses(with(SparseCategoricalCrossentropy::new().axis(0)), &["`axis`", "got 0"]);
    refuses(with(BinaryCrossentropy::new().axis(-2)), &["`axis`", "got -2"]);
    // Called by themselves, they refuse the same.
    let p = array![[0.5f32, 0.5]];
    refuses(CategoricalCrossentropy::new().axis(2).call(&p, &array![[0.0f32, 1.0]]), &["`axis`", "got 2"]);
    refuses(SparseCategoricalCrossentropy::new().call(&p, &array![2]), &["labels in 0..2", "2 at row 0"]);
    refuses(MeanSquaredError::new().call(&p, &array![[1.0f32, 2.0, 3.0]]), &["loss: ", "(batch, 2)", "(1, 3)"]);
    refuses(MeanSquaredError::new().call(&p, &array![[1.0f32, 2.0], [1.0, 2.0]]), &["loss: ", "1 rows", "2 rows"]);
    refuses(
        MeanSquaredError::new().call_weighted(&p, &p, &array![1.0f32, 2.0]),
        &["weights of shape (1)", "received (2)"],
    );
    refuses(MeanSquaredError::new().reduction(Reduction::None).call(&p, &p), &["`reduction`", "none"]);
    refuses(MeanSquaredError::new().call(&ndarray::arr0(1.0f32), &ndarray::arr0(1.0f32)), &["loss"]);
}

#[test]
fn weights_by_wrong_names_or_shapes() {
    refuses_and_changes_nothing(
        |model| {
            model.set_weights([("dense/kernel", &ArrayD::ones(vec![3, 4])), ("dense/weight", &ArrayD::ones(vec![4]))])
        },
        &["no parameter `dense/weight`", "`dense/kernel`", "`kind/bias`"],
    );
    refuses_and_changes_nothing(
        |model| {
            model.set_weights([("dense/bias", &ArrayD::ones(vec![4])), ("dense/kernel", &ArrayD::ones(vec![4, 3]))])
        },
        &["`dense/kernel` of shape (3, 4)", "received (4, 3)"],
    );
    refuses_and_changes_nothing(|model| model.weight("kernel"), &["no parameter `kernel`"]);
    refuses_and_changes_nothing(|model| model.set_trainable("hidden", false), &["no layer `hidden`", "`dense`"]);
}

#[test]
fn sizes_that_fit_no_memory() {
    let huge = usize::MAX / 2;
    for layer in [Dense::new(huge), Dense::new(usize::MAX), Dense::new(1 << 45)] {
        refuses(Sequential::new().input([1 << 10]).add(layer).build(), &["layer `dense` (Dense)", "fits into memory"]);
    }
    refuses(Sequential::new().input([huge, 3]).add(Flatten::new()).build(), &["input `input`", "fits into memory"]);
    refuses(Sequential::new().input([huge, 4]).add(Relu).build(), &["fits into memory"]);
    refuses(Sequential::new().input([2]).add(RepeatVector::new(huge)).build(), &["repeat_vector", "`n`"]);
    refuses(
        Sequential::new().input([12]).add(Reshape::new([isize::MAX, isize::MAX, -1])).build(),
        &["layer `reshape` (Reshape)"],
    );
}
