//! Sizes that no memory could hold, in options of layers, models and calls: each is an error that names what was asked for.

use gradus::formats::safetensors::TensorFile;
use gradus::kernels::conv::{self, Finish, Geometry, Workspace};
use gradus::kernels::{self, attention, dot, likelihood, margin, pool, reduce, reorder, resample, softmax, spectral};
use gradus::prelude::*;
use serde_json::json;

use super::refuses::refuses;

/// More than any machine has, and less than what an index counts.
const HUGE: usize = usize::MAX / 64;

/// Of the tests, a file of its own.
fn path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("gradus-sizes-{}-{name}", std::process::id()))
}

#[test]
fn a_small_file_of_a_large_model_is_refused_before_memory_is_taken() -> gradus::Result<()> {
    let path = path("units.safetensors");
    let nested = |units: usize| {
        let inner = Sequential::new().input([4]).add(Dense::new(units)).build()?;
        Sequential::new().input([4]).add(Dense::new(4)).add(inner).build()
    };
    let flat = |units: usize| Sequential::new().input([4]).add(Dense::new(units)).build();
    for model in [flat(3)?, nested(3)?] {
        model.save(&path)?;
        assert_eq!(Model::<f32>::load(&path)?.get_weights(), model.get_weights());
        let mut file = TensorFile::read(&path)?;
        for units in [300_000_000usize, 1 << 40, usize::MAX / 8, usize::MAX] {
            let architecture = file.metadata["model"].replace("\"units\":3", &format!("\"units\":{units}"));
            file.metadata.insert("model".into(), architecture);
            file.write(&path)?;
            let began = std::time::Instant::now();
            let error = Model::<f32>::load(&path).expect_err("the file has no such weights").to_string();
            assert!(error.contains("units-") || error.contains("kernel") || error.contains("units"), "{error}");
            assert!(began.elapsed().as_millis() < 1000, "shapes are compared, no weights are made");
            let back = file.metadata["model"].replace(&format!("\"units\":{units}"), "\"units\":3");
            file.metadata.insert("model".into(), back);
        }
    }
    std::fs::remove_file(&path).unwrap();
    Ok(())
}

#[test]
fn a_loaded_model_has_parts_with_its_weights() -> gradus::Result<()> {
    let path = path("parts.safetensors");
    let encoder = Sequential::new().input([4]).name("encoder").add(Dense::new(3).name("code")).build()?;
    let whole = Sequential::new().input([4]).add(encoder).add(Dense::new(4)).build()?;
    whole.save(&path)?;
    let loaded = Model::<f32>::load(&path)?;
    let x = array![[0.5f32, -1.0, 2.0, 0.25]];
    assert_eq!(loaded.predict(&x)?, whole.predict(&x)?);
    let outer = Sequential::new().input([4]).add(loaded.clone()).build()?;
    assert_eq!(outer.predict(&x)?, whole.predict(&x)?, "as a part of another");
    let codes = loaded.layer_outputs(&x, &["encoder/code"])?;
    assert_eq!(codes, whole.layer_outputs(&x, &["encoder/code"])?);
    std::fs::remove_file(&path).unwrap();
    Ok(())
}

#[test]
fn layers_that_enlarge_say_by_which_option() {
    let of = |layer: gradus::engine::AnyLayer<f32>, input: &[usize]| Sequential::new().input(input).add(layer).build();
    refuses(of(shared(RepeatVector::new(HUGE)), &[8]), &["RepeatVector", "`n`", "takes"]);
    refuses(of(shared(UpSampling2D::new().size([HUGE, 2])), &[4, 4, 3]), &["UpSampling2D", "`size`"]);
    refuses(of(shared(UpSampling1D::new().size(HUGE)), &[4, 4]), &["UpSampling1D", "`size`"]);
    refuses(of(shared(ZeroPadding2D::new().padding(HUGE)), &[4, 4, 3]), &["ZeroPadding2D", "padding"]);
    refuses(of(shared(Dense::new(HUGE)), &[8]), &["Dense", "kernel", "memory"]);
    refuses(of(shared(Embedding::new(HUGE, 8)), &[8]), &["Embedding", "memory"]);
    refuses(of(shared(Conv2D::new(HUGE, 3)), &[8, 8, 3]), &["Conv2D", "memory"]);
    refuses(
        of(shared(Conv2D::new(2, 3).dilation_rate(HUGE).padding(Padding::Same)), &[8, 8, 3]),
        &["Conv2D", "memory"],
    );
    refuses(of(shared(Conv2DTranspose::new(2, 3).strides(HUGE)), &[8, 8, 3]), &["Conv2DTranspose", "memory"]);
    refuses(of(shared(LSTM::new(HUGE)), &[8, 3]), &["LSTM", "memory"]);
}

#[test]
fn a_batch_for_which_there_is_no_memory() -> gradus::Result<()> {
    // A row's terabyte is no shape that could not be; a batch of them is what nobody can hold.
    let row = 1 << 26;
    let wide = Sequential::new().input([2]).add(RepeatVector::new(row)).build()?;
    refuses(wide.predict(&Array2::<f32>::zeros((1 << 14, 2))), &["predict", "`rows`", "16384", "TB"]);
    let small = Sequential::new().input([2]).add(Dense::new(3)).build()?;
    let mut predictor = small.predictor(usize::MAX);
    refuses(predictor.run(&[0.0; 2], &mut [0.0; 3]), &["Predictor", "`batch`", "takes"]);
    let any_length = Sequential::new().input((None, 2)).add(Dense::new(3)).build()?;
    let mut open = any_length.predictor(HUGE);
    refuses(open.set_input_shapes(&[&[7, 2]]), &["Predictor", "`batch`"]);
    Ok(())
}

#[test]
fn threads_are_few() -> gradus::Result<()> {
    let mut model = Sequential::new().input([2]).add(Dense::new(3)).build()?;
    for count in [usize::MAX, 1_000_000_000_000, 1_000_000, 1025] {
        refuses(model.set_threads(count), &["`threads` must be at most 1024"]);
    }
    refuses(model.set_threads(0), &["`threads` must be at least 1"]);
    model.set_threads(3)?;
    Ok(())
}

#[test]
fn numbers_of_samples_and_classes() -> gradus::Result<()> {
    let gan = Gan::new(Generator::<f32>::mlp(2, &[2], 0)?, Discriminator::mlp(&[2], 1)?).build()?;
    refuses(gan.sample(HUGE, 0), &["Gan::sample", "`count`"]);
    let compiled = |metric: AUC| {
        let model = Sequential::new().input([2]).add(Dense::new(1).activation(Sigmoid));
        model.compile(BinaryCrossentropy::new(), SGD::new()).metric(metric).build()
    };
    refuses(compiled(AUC::new().num_thresholds(HUGE)), &["auc", "`num_thresholds`"]);
    let mut model = compiled(AUC::new())?;
    let (x, y) = (Array2::<f32>::zeros((4, 2)), Array2::<f32>::zeros((4, 1)));
    refuses(model.fit(&x, &y, Fit::new().verbose(0).class_weight([(usize::MAX, 2.0)])), &["fit", "`class_weight`"]);
    Ok(())
}

#[test]
fn ready_networks_of_absurd_images() {
    refuses(Generator::<f32>::dcgan(2, [1 << 40, 1 << 40, 1 << 40], 0), &["`image`", "takes"]);
    refuses(Discriminator::<f32>::dcgan([1 << 40, 4, 3], 0), &["`image`", "takes"]);
    refuses(Generator::<f32>::mlp(2, &[HUGE, HUGE], 0), &["`sample`", "takes"]);
    refuses(Discriminator::<f32>::mlp(&[HUGE, HUGE], 0), &["input", "memory"]);
}

#[test]
fn searches_of_too_many_trials() {
    let space = || gradus::tuning::Space::new().uniform("x", 0.0..=1.0).uniform("y", 0.0..=1.0);
    let score = |_: &gradus::tuning::Trial| Ok(0.0);
    refuses(gradus::tuning::GridSearch::new(space()).points(1 << 30).verbose(0).run(score), &["`points`"]);
    refuses(gradus::tuning::RandomSearch::new(space(), HUGE).verbose(0).run(score), &["`trials`"]);
    refuses(gradus::tuning::SuccessiveHalving::new(space(), HUGE, 1..=9).verbose(0).run(score), &["`candidates`"]);
    let threads = gradus::tuning::RandomSearch::new(space(), 2).threads(usize::MAX).verbose(0).run(score);
    refuses(threads, &["`threads` must be at most 1024"]);
}

#[cfg(feature = "plots")]
#[test]
fn pictures_of_too_many_pixels() {
    use gradus::plots::{Figure, LinePlot};
    let plot = || LinePlot::new("a line").line("y", &[0.0, 1.0], &[0.0, 1.0]);
    for (width, height) in [(u32::MAX, u32::MAX), (1 << 16, u32::MAX), (u32::MAX, 1)] {
        refuses(Figure::new().add(plot()).size(width, height).save(path("large.png")), &["Figure", "`size`"]);
        refuses(Figure::new().add(plot()).size(width, height).save(path("large.svg")), &["Figure", "`size`"]);
    }
    for limits in [(f64::NEG_INFINITY, 1.0), (0.0, f64::INFINITY), (-f64::MAX, f64::MAX)] {
        refuses(plot().x_limits(limits.0, limits.1).save(path("limits.png")), &["`x_limits`"]);
    }
    let far = LinePlot::new("far").line("y", &[0.0, 1.0], &[f64::MAX, f64::MAX / 2.0]);
    refuses(far.save(path("far.png")), &["`far`"]);
}

#[test]
fn kernels_have_nothing_to_do_without_values() {
    let mut workspace = Workspace::<f32>::default();
    for (channels, filters, groups) in [(2, 2, 1), (2, 4, 2), (1, 3, 1)] {
        let of = |input, output| Geometry {
            input,
            output,
            kernel: [1, 2, 2],
            strides: [1; 3],
            dilation: [1; 3],
            before: [0; 3],
            channels,
            filters,
            groups,
        };
        let kernel = vec![1.0; 4 * (channels / groups) * filters];
        let bias = vec![-1.0; channels];
        // No samples, then samples without cells.
        for (geometry, len) in [(of([1, 4, 4], [1, 3, 3]), 0), (of([1, 4, 4], [1, 0, 3]), 2 * 16 * channels)] {
            let mut x = vec![7.0; len];
            conv::forward(&geometry, &x, &kernel, None, Finish::Linear, &mut [], &mut workspace);
            let mut grad_kernel = vec![5.0; kernel.len()];
            conv::grad_kernel(&geometry, &x, &[], &mut grad_kernel, &mut workspace);
            assert!(grad_kernel.iter().all(|&g| g == 5.0), "nothing is added");
            conv::grad_input(&geometry, &[], &kernel, Some(&bias), Finish::Linear, &mut x, &mut workspace);
            assert!(x.iter().all(|&x| x == -1.0), "the bias alone");
            conv::grad_input(&geometry, &[], &kernel, None, Finish::Relu, &mut x, &mut workspace);
            assert!(x.iter().all(|&x| x == 0.0));
        }
    }
    let windows = pool::Windows::whole([0, 2, 2]);
    pool::max_pool::<f32>(windows, 3, &[], &mut []);
    pool::avg_pool_backward::<f32>(windows, 0, &[], &mut []);
    let frame = resample::Frame { outer: [0; 3], inner: [1; 3], before: [0; 3] };
    resample::crop::<f32>(frame, 1, &[], &mut []);
    resample::pad::<f32>(frame, 1, &[1.0], &mut []);
    resample::enlarge::<f32>([0, 0, 2], [1; 3], 1, &[], &mut [0.0]);
    resample::bilinear::<f32>([0, 1], [2, 2], 1, &[], &mut [0.0; 4]);
    reorder::repeat::<f32>(&[], 0, 3, &mut []);
    reorder::repeat_backward::<f32>(&[], 2, 0, &mut [0.0; 2]);
    reorder::place::<f32>(&[], 0, 0, 0, &mut []);
    reduce::transpose::<f32>(&[], 0, 7, &mut []);
    attention::additive_scores::<f32>(&[], &[], &[], 1.0, &mut []);
    attention::additive_scores_backward::<f32>(&[], &[], &[], 1.0, &[], &mut [], &mut [], &mut []);
    attention::weigh::<f32>(&mut [], 0, attention::Masked::Lowest, |_, _| true);
    attention::weigh_backward::<f32>(&[], &mut [], 0, attention::Masked::Lowest, |_, _| true);
    let none = dot::Operand::new(&[0, 2], 1);
    dot::dot::<f32>(&[], none, &[], none, &mut []);
    dot::dot_backward_x::<f32>(&[], none, &[], none, &mut []);
    dot::dot_backward_y::<f32>(&[], &[], none, none, &mut []);
    dot::unit_vectors::<f32>(&[], 0, 2, &mut []);
    dot::unit_vectors_backward::<f32>(&[], 3, 0, &mut []);
    softmax::softmax::<f32>(&mut [], 0, 3);
    margin::categorical_hinge::<f32>(&[], &[], 0, &mut []);
    likelihood::gaussian::<f32>(1.0, 0.0, 0, &[], &[], &mut []);
    likelihood::gaussian_backward::<f32>(1.0, 0, &[], &[], &[], &mut []);
    spectral::power_iteration::<f32>(&[], &mut [], &mut [], 2);
    kernels::gather::gather_rows::<f32>(&[], 0, 0..3, &mut []);
    kernels::reorder::permute::<f32>(&[], &[2, 0, 3], &[2, 1], &mut []);
    let half = 1 << (usize::BITS / 2);
    std::panic::catch_unwind(|| reduce::transpose::<f32>(&[], half, half, &mut []))
        .expect_err("more than can be counted");
}

#[test]
fn files_of_vocabularies_ask_for_little() {
    use gradus::data::text::Vectorizer;
    let load = |change: serde_json::Value| {
        let mut config = json!({ "vocabulary": ["", "[UNK]", "a"], "output_mode": "int" });
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = path(&format!("{:?}.json", std::thread::current().id()));
        std::fs::write(&path, config.to_string()).unwrap();
        let loaded = Vectorizer::load(&path);
        std::fs::remove_file(&path).unwrap();
        loaded
    };
    load(json!({})).unwrap();
    for ngrams in [9_223_372_036_854_775_807i64, 1_000_000_000_000_000_000, 200_000_000, 101] {
        refuses(load(json!({ "ngrams": ngrams })), &["`ngrams`"]);
        refuses(load(json!({ "ngrams": [2, ngrams] })), &["`ngrams`"]);
    }
    let most = json!({
        "vocabulary": ["[UNK]", "a"], "output_mode": "tf_idf", "idf_weights": [1.0, 2.0], "pad_to_max_tokens": true,
        "max_tokens": 1000
    });
    let padded = load(most).unwrap().transform::<f32>(&["a b"]);
    assert_eq!((padded.dim(), padded.sum()), ((1, 1000), 3.0), "columns beyond the vocabulary hold zeros");
    for length in [1i64 << 32, i64::MAX] {
        refuses(load(json!({ "output_sequence_length": length })), &["`output_sequence_length`"]);
    }
    let padded = json!({
        "vocabulary": ["[UNK]", "a"], "output_mode": "tf_idf", "idf_weights": [1.0, 2.0], "pad_to_max_tokens": true,
        "max_tokens": 1_000_000_000_000_000_000i64
    });
    refuses(load(padded), &["`max_tokens`"]);
}
