//! A layer handle has one set of weights in a graph, whatever models and wrappers it stands in; a clone has its own.

use super::*;

/// `d` behind a model that is made of `d`, in `levels` models one within another.
fn within(levels: usize, d: &AnyLayer<f64>) -> gradus::Result<Model<f64>> {
    let mut inner: Option<Model<f64>> = None;
    for _ in 0..levels {
        let a = Input::f64([3]);
        let y = match inner {
            Some(inner) => a.apply(inner),
            None => a.apply(d).apply(Tanh),
        };
        inner = Some(ModelBuilder::new([&a], [&y]).build()?);
    }
    let x = Input::f64([3]);
    let y = x.apply(inner.expect("a level at least")).apply(d);
    ModelBuilder::new([&x], [&y]).compile(Compile::new(SGD::new()).loss(MeanSquaredError::new())).build()
}

/// A file that no other test writes.
pub(super) fn scratch(name: &str) -> std::path::PathBuf {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    std::env::temp_dir().join(format!("gradus-{name}-{}-{number}.safetensors", std::process::id()))
}

fn dense(units: usize) -> AnyLayer<f64> {
    shared(Dense::new(units))
}

fn of_one(d: &AnyLayer<f64>) -> gradus::Result<Model<f64>> {
    let a = Input::f64([3]);
    ModelBuilder::new([&a], [&a.apply(d)]).build()
}

/// That a model has `count` weights, each of them once; that its gradients are those of differences; that training
/// moves it, and that it is the same when saved and loaded.
fn holds<'a>(model: &mut Model<f64>, count: usize, x: impl IntoInputs<'a, f64> + Clone) -> gradus::Result<()> {
    assert_eq!(model.count_params(), count);
    assert_eq!(model.get_weights().iter().map(|(_, weight)| weight.len()).sum::<usize>(), count);
    assert_eq!(model.summary().trainable(), count);
    check_model(model, x.clone())?;
    let path = scratch("sharing");
    model.save(&path)?;
    let again = Model::<f64>::load(&path);
    std::fs::remove_file(&path).expect("it was written");
    let again = again?;
    assert_eq!(again.get_weights(), model.get_weights());
    assert_eq!(again.predict(x.clone())?, model.predict(x)?);
    assert_eq!(again.to_config()?, model.to_config()?);
    Ok(())
}

#[test]
fn a_layer_inside_a_model_and_behind_it_has_one_set_of_weights() -> gradus::Result<()> {
    for levels in 1..=3 {
        let (x, y) = (rows(8, 3), rows(8, 3));
        let mut model = within(levels, &dense(3))?;
        holds(&mut model, 12, &x)?;
        let [kernel, ..] = &model.get_weights()[..] else { panic!("a kernel") };
        let (path, before) = kernel.clone();
        model.fit(&x, &y, quiet(8, 1))?;
        assert_ne!(model.weight(&path)?, before);
        // Both paths name it, and freezing one freezes both.
        assert_eq!(model.weight("dense/kernel")?, model.weight(&path)?);
        let (w, b) = (model.weight("dense/kernel")?, model.weight("dense/bias")?);
        let w = w.into_dimensionality::<ndarray::Ix2>().expect("a matrix");
        let b = b.into_dimensionality::<ndarray::Ix1>().expect("a vector");
        let expected = (x.dot(&w) + &b).mapv(f64::tanh).dot(&w) + &b;
        let predicted = model.predict(&x)?;
        assert!(predicted.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        model.set_trainable("dense", false)?;
        assert_eq!(model.summary().trainable(), 0);
        let before = model.get_weights();
        model.fit(&x, &y, quiet(8, 1))?;
        assert_eq!(model.get_weights(), before);
    }
    Ok(())
}

#[test]
fn two_models_of_one_layer_have_one_set_of_weights() -> gradus::Result<()> {
    let d = dense(3);
    let (u, v) = (Input::f64([3]), Input::f64([3]));
    let both = call(Concatenate::new(), [&u.apply(of_one(&d)?), &v.apply(of_one(&d)?)]);
    let mut model = ModelBuilder::new([&u, &v], [&both]).build()?;
    holds(&mut model, 12, (&rows(5, 3), &rows(5, 3).mapv(|v| 0.3 - v)))
}

#[test]
fn a_layer_on_timesteps_and_by_itself_has_one_set_of_weights() -> gradus::Result<()> {
    let steps = Array3::from_shape_fn((4, 3, 5), |(i, j, k)| ((5 * i + 3 * j + 2 * k) % 11) as f64 / 5.0 - 1.0);
    for twice in [false, true] {
        let d = dense(4);
        let (p, q) = (Input::f64([3, 5]), Input::f64([5]));
        // The wrapper may come first or last, and twice.
        let (on_steps, alone) = if twice {
            let alone = q.apply(&d);
            let first = p.apply(TimeDistributed::new(&d));
            (call(Add::new(), [&first, &p.apply(TimeDistributed::new(&d).name("again"))]), alone)
        } else {
            (p.apply(TimeDistributed::new(&d)), q.apply(&d))
        };
        let mut model = ModelBuilder::new([&p, &q], [&on_steps, &alone]).build()?;
        holds(&mut model, 24, (&steps, &rows(4, 5)))?;
    }
    // A whole model on every timestep.
    let d = dense(5);
    let a = Input::f64([5]);
    let inner = shared(ModelBuilder::new([&a], [&a.apply(&d).apply(Tanh)]).build()?);
    let (p, q) = (Input::f64([3, 5]), Input::f64([5]));
    let outputs = [p.apply(TimeDistributed::new(&inner)), q.apply(&inner), q.apply(&d)];
    let mut model = ModelBuilder::new([&p, &q], &outputs).build()?;
    holds(&mut model, 30, (&steps, &rows(4, 5)))
}

#[test]
fn both_directions_of_a_layer_used_twice_have_one_set_of_weights() -> gradus::Result<()> {
    let both: AnyLayer<f64> = shared(Bidirectional::new(RNN::new(2)));
    let a = Input::f64([3, 5]);
    let inner = ModelBuilder::new([&a], [&a.apply(&both)]).build()?;
    let (p, q) = (Input::f64([3, 5]), Input::f64([3, 5]));
    let mut model = ModelBuilder::new([&p, &q], [&p.apply(&both), &q.apply(inner)]).build()?;
    // Each direction: 5·2 + 2·2 + 2.
    let steps = Array3::from_shape_fn((4, 3, 5), |(i, j, k)| ((5 * i + 3 * j + 2 * k) % 11) as f64 / 5.0 - 1.0);
    holds(&mut model, 32, (&steps, &steps.mapv(|v| 0.3 - v)))
}

#[test]
fn a_shared_normalization_and_table_have_one_set_of_values() -> gradus::Result<()> {
    let (table, norm) =
        (shared(Embedding::new(7, 3).embeddings_regularizer(Regularizer::L2(0.1))), shared(BatchNormalization::new()));
    let a = Input::f64([2]);
    let inner = ModelBuilder::new([&a], [&a.apply(&table).apply(&norm)]).build()?;
    let x = Input::f64([2]);
    let y = call(Add::new(), [&x.apply(inner), &x.apply(&table).apply(Tanh).apply(&norm)]);
    let compile = Compile::new(Adam::new()).loss(MeanSquaredError::new());
    let mut model = ModelBuilder::new([&x], [&y]).compile(compile).build()?;
    assert_eq!(model.count_params(), 21 + 12);
    let ids = Array2::from_shape_fn((16, 2), |(i, j)| ((3 * i + 5 * j) % 7) as f64);
    let target = Array3::from_shape_fn((16, 2, 3), |(i, j, k)| (i + 2 * j + k) as f64 / 9.0);
    check_training(&model, &ids, &target)?;
    let table: f64 = model.get_weights()[0].1.iter().map(|w| 0.1 * w * w).sum();
    assert!((model.penalty() - table).abs() < 1e-12);
    let start = model.get_weights();
    model.fit(&ids, &target, quiet(16, 2))?;
    assert!(start.iter().zip(model.get_weights()).all(|(before, after)| before.1 != after.1));
    Ok(())
}

#[test]
fn a_clone_is_a_model_of_its_own_and_a_handle_is_one() -> gradus::Result<()> {
    let encoder = of_one(&dense(3))?;
    let x = Input::f64([3]);
    let chain = |first: AnyLayer<f64>, second: AnyLayer<f64>| {
        ModelBuilder::new([&x], [&x.apply(first).apply(Tanh).apply(second)]).build()
    };
    let mut two = chain(shared(encoder.clone()), shared(encoder.clone()))?;
    holds(&mut two, 24, &rows(4, 3))?;
    let handle = shared(encoder.clone());
    holds(&mut chain(handle.clone(), handle.clone())?, 12, &rows(4, 3))?;
    // The handle inside a further model, and a clone of that: shared within each, and with nothing else.
    let pair = chain(handle.clone(), handle.clone())?;
    let copy = pair.clone();
    holds(&mut chain(shared(pair), handle.clone())?, 12, &rows(4, 3))?;
    holds(&mut chain(shared(copy), handle)?, 24, &rows(4, 3))
}

#[test]
fn the_first_models_weights_count_and_shapes_must_fit() -> gradus::Result<()> {
    let d = dense(3);
    let (mut one, mut two) = (of_one(&d)?, of_one(&d)?);
    one.set_weights([("dense/bias", &array![1.0, 2.0, 3.0].into_dyn())])?;
    two.set_weights([("dense/bias", &array![4.0, 5.0, 6.0].into_dyn())])?;
    let x = Input::f64([3]);
    // Those of a model go before new ones, of several models those of the first that is called.
    let y = x.apply(&d).apply(one).apply(two);
    let model = ModelBuilder::new([&x], [&y]).build()?;
    assert_eq!(model.weight("dense/bias")?, array![1.0, 2.0, 3.0].into_dyn());
    let wide = Input::f64([5]);
    let d = dense(3);
    let error = ModelBuilder::new([&wide], [&wide.apply(&d).apply(of_one(&d)?)]).build().unwrap_err().to_string();
    assert!(error.contains("dense") && error.contains("(5, 3)") && error.contains("(3, 3)"), "{error}");
    // A model that was frozen stays so inside another.
    let mut frozen = of_one(&dense(3))?;
    frozen.set_trainable("dense", false)?;
    let model = ModelBuilder::new([&x], [&x.apply(frozen).apply(Dense::new(1))]).build()?;
    assert_eq!((model.summary().trainable(), model.summary().non_trainable()), (4, 12));
    Ok(())
}

#[test]
fn graphs_of_thousands_of_layers_are_built_in_linear_time() -> gradus::Result<()> {
    let build = |layers: usize| -> gradus::Result<(Model, f64)> {
        let start = std::time::Instant::now();
        let x = Input::new([2]);
        let mut y = x.clone();
        for i in 0..layers {
            y = if i % 2 == 0 { y.apply(Dense::new(2)) } else { call(Add::new(), [&y, &x]) };
        }
        let model = ModelBuilder::new([&x], [&y]).build()?;
        drop(y);
        Ok((model, start.elapsed().as_secs_f64()))
    };
    let (small, few) = build(1000)?;
    let (large, many) = build(5000)?;
    assert!(many < 20.0 * few.max(0.01), "1000 layers in {few} s, 5000 in {many} s");
    assert!(many < 1.0 || cfg!(debug_assertions), "{many} s");
    assert_eq!(large.layer_names().last(), Some(&"add_2499"));
    assert_eq!(large.predict(&Array2::<f32>::ones((1, 2)))?.shape(), [1, 2]);
    assert_eq!(Model::<f32>::from_config(&large.to_config()?, &Registry::standard())?.count_params(), 2500 * 6);
    drop((small, large));
    // A chain of symbols that no model was built from.
    let mut chain = Input::new([2]);
    for _ in 0..100_000 {
        chain = chain.apply(Relu);
    }
    drop(chain);
    Ok(())
}
