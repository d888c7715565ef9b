//! Parts of models as models, weights by name, losses and logs by name.

use gradus::formats::safetensors::TensorFile;
use ndarray::{Ix1, Ix2};

use super::sharing::scratch;
use super::*;

/// An autoencoder whose encoder is a model inside: `input` → encoder (`wide`, `code`) → `decode` → `output`.
fn autoencoder() -> gradus::Result<Model<f64>> {
    let a = Input::f64([6]);
    let code = a.apply(Dense::new(4).activation(Tanh).name("wide")).apply(Dense::new(2).name("code"));
    let encoder = ModelBuilder::new([&a], [&code]).name("encoder").seed(3).build()?;
    let x = Input::f64([6]);
    let y = x.apply(encoder).apply(Dense::new(4).activation(Relu).name("decode")).apply(Dense::new(6).name("output"));
    ModelBuilder::new([&x], [&y]).name("autoencoder").build()
}

fn same(a: &ArrayD<f64>, b: &ArrayD<f64>) {
    assert_eq!(a, b);
}

#[test]
fn parts_of_a_model_compute_what_the_model_computes() -> gradus::Result<()> {
    let mut whole = autoencoder()?;
    whole.set_trainable("decode", false)?;
    let x = rows(5, 6);
    let outputs = whole.layer_outputs(&x, &["encoder/wide", "encoder/code", "decode"])?;
    let path = scratch("parts");
    whole.save(&path)?;
    let loaded = Model::<f64>::load(&path)?;
    std::fs::remove_file(&path).expect("it was written");
    for model in [&whole, &loaded] {
        let encoder = model.sub_model(["input"], ["encoder"])?;
        same(&encoder.predict(&x)?, &outputs[1]);
        let features = model.sub_model(["input"], ["encoder/wide"])?;
        assert_eq!(features.layer_names(), ["encoder_wide"]);
        same(&features.predict(&x)?, &outputs[0]);
        let decoder = model.sub_model(["encoder"], ["output"])?;
        assert_eq!((decoder.input_shape(0), decoder.summary().trainable()), (&[2][..], 4 * 6 + 6));
        let code = outputs[1].clone().into_dimensionality::<Ix2>().expect("a matrix");
        same(&decoder.predict(&code)?, &model.predict(&x)?);
        // From inside one model to behind it, with an output inside and two at once.
        let middle = model.sub_model(["encoder/wide"], ["encoder/code", "decode"])?;
        let wide = outputs[0].clone().into_dimensionality::<Ix2>().expect("a matrix");
        let both = middle.predict_all(&wide)?;
        same(&both[0], &outputs[1]);
        same(&both[1], &outputs[2]);
        check_model(&middle, &wide)?;
        // A part of a part; its architecture; its weights are its own.
        let mut part = middle.sub_model(["encoder_code"], ["decode"])?;
        let again = Model::<f64>::from_config(&part.to_config()?, &Registry::standard())?;
        assert_eq!(again.layer_names(), part.layer_names());
        same(&part.predict(&code)?, &outputs[2]);
        part.set_weights([("decode/bias", &Array1::from_elem(4, 9.0).into_dyn())])?;
        assert_ne!(part.weight("decode/bias")?, model.weight("decode/bias")?);
        // A new head on the frozen features.
        let mut features = features;
        features.set_trainable("encoder_wide", false)?;
        let mut headed = Sequential::f64()
            .input([6])
            .add(features)
            .add(Dense::new(1))
            .compile(MeanSquaredError::new(), SGD::new())
            .build()?;
        headed.fit(&x, &targets(5), quiet(5, 2))?;
        assert_eq!(headed.get_weights()[0].1, model.weight("encoder/wide/kernel")?);
    }
    Ok(())
}

#[test]
fn what_is_shared_in_a_model_is_shared_in_its_parts_and_clones_stay_two() -> gradus::Result<()> {
    let x = rows(4, 3);
    let build = |two: bool| -> gradus::Result<Model<f64>> {
        let a = Input::f64([3]);
        let inside = a.apply(Dense::new(3).activation(Tanh).name("inside"));
        let encoder = ModelBuilder::new([&a], [&inside.apply(Dense::new(3).name("last"))]).name("encoder").build()?;
        let (first, second) = if two {
            (shared(encoder.clone()), shared(encoder))
        } else {
            let one = shared(encoder);
            (one.clone(), one)
        };
        let (u, v) = (Input::f64([3]).named("u"), Input::f64([3]).named("v"));
        let difference = call(Subtract::new(), [&u.apply(first), &v.apply(second)]);
        ModelBuilder::new([&u, &v], [&difference.apply(Dense::new(1))]).build()
    };
    let one = build(false)?;
    // Opened and shared: both calls.
    let part = one.sub_model(["u", "v"], ["encoder/inside", "subtract"])?;
    assert_eq!((one.count_params(), part.count_params()), (24 + 4, 24));
    let other = x.mapv(|v| 0.5 - v);
    let expected = one.layer_outputs((&x, &other), &["subtract"])?;
    same(&part.predict_all((&x, &other))?[1], &expected[0]);
    // The call that depends on the input.
    let tower = one.sub_model(["v"], ["encoder"])?;
    same(&tower.predict(&x)?, &one.sub_model(["u"], ["encoder"])?.predict(&x)?);
    let two = build(true)?;
    let part = two.sub_model(["u", "v"], ["encoder/inside", "encoder_1/inside", "subtract"])?;
    assert_eq!((two.count_params(), part.count_params()), (48 + 4, 48));
    same(&part.predict_all((&x, &other))?[2], &two.layer_outputs((&x, &other), &["subtract"])?[0]);
    Ok(())
}

#[test]
fn impossible_parts_are_refused() -> gradus::Result<()> {
    let whole = autoencoder()?;
    let error = |model: &Model<f64>, inputs: &[&str], outputs: &[&str]| {
        model.sub_model(inputs.iter(), outputs.iter()).unwrap_err().to_string()
    };
    let unknown = error(&whole, &["input"], &["encode"]);
    assert!(unknown.contains("encode") && unknown.contains("encoder/wide") && unknown.contains("output"), "{unknown}");
    let behind = error(&whole, &["decode"], &["encoder"]);
    assert!(behind.contains("`encoder` does not depend on the inputs `decode`"), "{behind}");
    let unused = error(&whole, &["input", "encoder"], &["output"]);
    assert!(unused.contains("do not use the input `input`"), "{unused}");
    let (u, v) = (Input::f64([2]).named("u"), Input::f64([2]).named("v"));
    let sum = call(Add::new(), [&u.apply(Dense::new(2)), &v]);
    let two = ModelBuilder::new([&u, &v], [&sum]).build()?;
    let missing = error(&two, &["u"], &["add"]);
    assert!(missing.contains("the input `v` is used but not given"), "{missing}");
    assert!(error(&two, &["u"], &[]).contains("no outputs"));
    let steps = Sequential::f64().input([3, 6]).add(TimeDistributed::new(whole)).build()?;
    let inside = error(&steps, &["input"], &["time_distributed/encoder/wide"]);
    assert!(inside.contains("every timestep"), "{inside}");
    // Of a layer of several outputs, those that are used.
    let x = Input::f64([4, 3]);
    let states = x.apply(LSTM::new(2).return_state(true));
    let y = call(Add::new(), [&states.output(1), &states.output(2)]).apply(Dense::new(1));
    let model = ModelBuilder::new([&x], [&y]).build()?;
    let part = model.sub_model(["lstm"], ["dense"])?;
    let (h, c) = (rows(4, 2), rows(4, 2).mapv(|v| v * v));
    assert_eq!(part.predict((&h, &c))?.shape(), [4, 1]);
    assert_eq!(model.sub_model(["input"], ["lstm"])?.predict_all(&Array3::<f64>::zeros((2, 4, 3)))?.len(), 3);
    Ok(())
}

#[test]
fn weights_are_loaded_by_name_and_reported() -> gradus::Result<()> {
    let build = |units: usize, head: &str| {
        Sequential::f64()
            .input([3])
            .add(Dense::new(units).name("base"))
            .add(Dense::new(2).name(head))
            .compile(MeanSquaredError::new(), Adam::new())
            .seed(units as u64)
            .build()
    };
    let trained = build(4, "old")?;
    let path = scratch("by-name");
    let check = || -> gradus::Result<()> {
        trained.save_checkpoint(&path)?;
        let mut model = build(4, "new")?;
        assert!(model.load_weights(&path).is_err());
        let before = model.weight("new/kernel")?;
        let report = model.load_weights_by_name(&path)?;
        assert_eq!(report.loaded, ["base/kernel", "base/bias"]);
        assert_eq!(report.missing, ["new/kernel", "new/bias"]);
        assert_eq!(report.unused, ["old/bias", "old/kernel"]); // and not the optimizer's values
        let text =
            "2 weights loaded\nmissing in the file: new/kernel, new/bias\nunused of the file: old/bias, old/kernel";
        assert_eq!(report.to_string(), text);
        assert_eq!(model.weight("base/kernel")?, trained.weight("base/kernel")?);
        assert_eq!(model.weight("new/kernel")?, before);
        // Another shape: refused as a whole, or left out and reported.
        let mut wide = build(5, "old")?;
        let start = wide.get_weights();
        let error = wide.load_weights_by_name(&path).unwrap_err().to_string();
        assert!(error.contains("base/kernel: expected (3, 5) of float64, received (3, 4) of float64"), "{error}");
        assert_eq!(wide.get_weights(), start);
        let report = wide.load_weights_by_name_with(&path, LoadByName::new().skip_mismatch(true))?;
        assert_eq!(report.loaded, ["old/bias"]);
        assert_eq!(report.mismatched.len(), 3);
        assert!(report.to_string().contains("does not fit: old/kernel: expected (5, 2)"), "{report}");
        // Another type.
        let mut single = Sequential::new().input([3]).add(Dense::new(4).name("base")).build()?;
        let error = single.load_weights_by_name(&path).unwrap_err().to_string();
        assert!(error.contains("expected (3, 4) of float32, received (3, 4) of float64"), "{error}");
        // A file of another program; one from which nothing fits.
        let mut foreign = TensorFile::new();
        foreign.insert("base/bias", &array![1.0, 2.0, 3.0, 4.0]);
        foreign.insert("other", &array![1u8]);
        foreign.write(&path)?;
        let report = model.load_weights_by_name(&path)?;
        assert_eq!((report.loaded.len(), report.unused.as_slice()), (1, &["other".to_owned()][..]));
        let bias = model.weight("base/bias")?.into_dimensionality::<Ix1>().expect("a vector");
        assert_eq!(bias, array![1.0, 2.0, 3.0, 4.0]);
        let mut none = Sequential::f64().input([3]).add(Dense::new(2)).build()?;
        let error = none.load_weights_by_name(&path).unwrap_err().to_string();
        assert!(error.contains("`base/bias`, `other`") && error.contains("`dense/kernel`"), "{error}");
        Ok(())
    };
    let result = check();
    std::fs::remove_file(&path).expect("it was written");
    result
}

#[test]
fn logs_of_one_name_are_numbered() -> gradus::Result<()> {
    let (x, y) = (rows(6, 3), targets(6));
    let compile = Compile::new(SGD::new())
        .loss(MeanSquaredError::new())
        .metric(RootMeanSquaredError::new())
        .metric(RootMeanSquaredError::new())
        .weighted_metric(RootMeanSquaredError::new());
    let mut model = Sequential::f64().input([3]).add(Dense::new(1)).build()?;
    model.compile(compile)?;
    let history = model.fit(&x, &y, quiet(6, 1))?;
    let name = "root_mean_squared_error";
    assert_eq!(history.names(), ["loss", name, &format!("{name}_1"), &format!("{name}_2")]);
    let score = model.evaluate(&x, &y)?;
    assert_eq!(score[name], score[&*format!("{name}_1")]);
    Ok(())
}

#[test]
fn losses_are_given_by_the_names_of_outputs() -> gradus::Result<()> {
    let x = Input::f64([3]);
    let (p, q) = (x.apply(Dense::new(1).name("p")), x.apply(Dense::new(1).name("q")));
    let build = |compile: Compile<f64>| ModelBuilder::new([&x], [&p, &q]).compile(compile).build();
    let new = || Compile::new(SGD::new());
    let by_name = new()
        .loss_for("q", MeanAbsoluteError::new())
        .weight(0.5)
        .metric(RootMeanSquaredError::new())
        .loss_for("p", MeanSquaredError::new());
    let by_order = new()
        .loss(MeanSquaredError::new())
        .loss(MeanAbsoluteError::new())
        .weight(0.5)
        .metric(RootMeanSquaredError::new());
    let (mut by_name, mut by_order) = (build(by_name)?, build(by_order)?);
    let (data, y) = (rows(6, 3), targets(6));
    let score = by_name.test_on_batch(&data, (&y, &y))?;
    assert_eq!(score.loss, by_order.test_on_batch(&data, (&y, &y))?.loss);
    assert_eq!(
        by_name.fit(&data, (&y, &y), quiet(6, 1))?.names(),
        ["loss", "p_loss", "q_loss", "q_root_mean_squared_error"]
    );
    by_order.fit(&data, (&y, &y), quiet(6, 1))?;
    assert_eq!(by_name.get_weights(), by_order.get_weights());
    let refused = |compile: Compile<f64>| build(compile).unwrap_err().to_string();
    let error = refused(new().loss_for("p", MeanSquaredError::new()).loss_for("r", MeanSquaredError::new()));
    assert!(error.contains("`r`") && error.contains('p') && error.contains('q'), "{error}");
    let error = refused(new().loss_for("p", MeanSquaredError::new()));
    assert!(error.contains("none for `q`"), "{error}");
    let twice = new().loss_for("p", MeanSquaredError::new()).loss_for("p", MeanSquaredError::new());
    assert!(refused(twice).contains("one too many for `p`"));
    let mixed = new().loss_for("p", MeanSquaredError::new()).loss(MeanSquaredError::new());
    assert!(refused(mixed).contains("for all losses or for none"));
    Ok(())
}
