//! A panic in what a person wrote, a layer, a loss, a metric, a callback, a source, is the person's to catch: the model, the
//! game, the predictor then work as before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use gradus::custom::*;

/// Panics at the n-th spark; at none while it is not lit.
#[derive(Clone, Debug, Default)]
struct Fuse(Arc<AtomicIsize>);

impl Fuse {
    fn light(&self, sparks: isize) {
        self.0.store(sparks, Ordering::SeqCst);
    }

    fn spark(&self) {
        let lit = self.0.load(Ordering::SeqCst) > 0;
        assert!(!lit || self.0.fetch_sub(1, Ordering::SeqCst) != 1, "a spark");
    }
}

/// Where a layer may panic.
#[derive(Clone, Debug, Default)]
struct Fuses {
    forward: Fuse,
    backward: Fuse,
    update: Fuse,
}

/// y = x, with state, a mask's way through, and fuses.
#[derive(Clone, Debug)]
struct Wire(Fuses);

impl Layer<f32> for Wire {
    type Cache = Vec<f32>;
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, f32>) -> gradus::Result<Vec<usize>> {
        params.add_state("count", &[1], Initializer::Zeros)?;
        Ok(input.to_vec())
    }
    fn forward(&self, x: View<'_, f32>, mut y: ViewMut<'_, f32>, kept: &mut Vec<f32>, _: &Context<'_, f32>) {
        let before = std::mem::take(kept);
        self.0.forward.spark();
        *kept = before;
        kept.clear();
        kept.extend_from_slice(&x);
        y.copy_from_slice(&x);
    }
    fn backward(
        &self,
        _: View<'_, f32>,
        _: View<'_, f32>,
        grad_y: ViewMut<'_, f32>,
        grad_x: Option<ViewMut<'_, f32>>,
        _: &mut Grads<'_, f32>,
        kept: &mut Vec<f32>,
        _: &Context<'_, f32>,
    ) {
        assert_eq!(kept.len(), grad_y.len(), "what the forward pass kept");
        self.0.backward.spark();
        if let Some(mut grad_x) = grad_x {
            grad_x.copy_from_slice(&grad_y);
        }
    }
    fn keeps_state(&self) -> Option<&dyn KeepsState<f32, Vec<f32>>> {
        Some(self)
    }
}

impl KeepsState<f32, Vec<f32>> for Wire {
    fn update_state(&self, state: &mut Grads<'_, f32>, _: &Vec<f32>, _: &Context<'_, f32>) {
        self.0.update.spark();
        state.get_mut("count")[0] += 1.0;
    }
}

/// Squares, with fuses.
struct Squares {
    value: Fuse,
    gradient: Fuse,
}

impl Loss<f32> for Squares {
    fn values(&self, p: View<'_, f32>, t: View<'_, f32>, values: &mut [f32], _: &LossContext<'_, f32>) {
        self.value.spark();
        let n = p.last_axis();
        for (value, (p, t)) in values.iter_mut().zip(p.chunks(n).zip(t.chunks(n))) {
            *value = p.iter().zip(t).map(|(p, t)| (p - t).powi(2)).sum();
        }
    }
    fn gradient(
        &self,
        p: View<'_, f32>,
        t: View<'_, f32>,
        weights: &[f32],
        mut grad: ViewMut<'_, f32>,
        _: &LossContext<'_, f32>,
    ) {
        self.gradient.spark();
        let n = p.last_axis();
        for (i, grad) in grad.iter_mut().enumerate() {
            *grad = 2.0 * weights[i / n] * (p[i] - t[i]);
        }
    }
}

struct Counting(Fuse);

impl Metric<f32> for Counting {
    type State = Mean;
    fn name(&self) -> String {
        "counting".into()
    }
    fn update(&self, state: &mut Mean, p: View<'_, f32>, _: View<'_, f32>, _: Option<&[f32]>) {
        state.add(p.len() as f64, 1.0);
        self.0.spark();
    }
    fn result(&self, state: &Mean) -> f64 {
        state.result()
    }
}

struct Watching(Fuse);

impl Callback<f32> for Watching {
    fn on_batch_end(
        &mut self,
        _: &mut EpochState<'_, f32>,
        _: usize,
        _: &gradus::training::Logs,
    ) -> gradus::Result<()> {
        self.0.spark();
        Ok(())
    }
}

struct Rows(Fuse);

impl Dataset<f32> for Rows {
    fn len(&self) -> usize {
        48
    }
    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![4]]
    }
    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![2]]
    }
    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, f32>) -> gradus::Result<()> {
        self.0.spark();
        for (at, &row) in rows.iter().enumerate() {
            let value = |i: usize| ((row * 7 + i * 3) % 11) as f32 / 11.0;
            for i in 0..4 {
                batch.input(0)[at * 4 + i] = value(i);
            }
            for i in 0..2 {
                batch.target(0)[at * 2 + i] = value(i) - value(i + 1);
            }
        }
        Ok(())
    }
}

/// All fuses of a training.
#[derive(Clone, Default)]
struct Everywhere {
    layer: Fuses,
    value: Fuse,
    gradient: Fuse,
    metric: Fuse,
    callback: Fuse,
    source: Fuse,
}

/// A chain with a residual sum that is written in place, a mask, dropout, normalization, and a person's layer amid them.
fn model(fuses: &Everywhere, threads: usize) -> gradus::Result<Model> {
    let x = Input::new([4]);
    let hidden = x.apply(Dense::new(6).activation(Tanh)).apply(Wire(fuses.layer.clone()));
    let branch = hidden.apply(Dense::new(6)).apply(BatchNormalization::new());
    let sum = call(Add::new(), [&hidden, &branch]).apply(Activation::Relu);
    let steps = sum.apply(RepeatVector::new(3)).apply(Masking::new()).apply(GRU::new(5)).apply(Dropout::new(0.2));
    let y = steps.apply(Dense::new(2));
    let loss = Squares { value: fuses.value.clone(), gradient: fuses.gradient.clone() };
    let compile = Compile::new(Adam::new()).loss(loss).metric(Counting(fuses.metric.clone()));
    let mut model = ModelBuilder::new([&x], [&y]).seed(5).compile(compile).build()?;
    model.set_threads(threads)?;
    Ok(model)
}

fn caught<T>(work: impl FnOnce() -> T) {
    let panic = catch_unwind(AssertUnwindSafe(work)).err().expect("the fuse is lit");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a spark"));
}

#[test]
fn a_model_works_after_a_panic_anywhere() -> gradus::Result<()> {
    let fuses = Everywhere::default();
    let all = [
        ("forward", &fuses.layer.forward),
        ("backward", &fuses.layer.backward),
        ("update of state", &fuses.layer.update),
        ("loss", &fuses.value),
        ("gradient of the loss", &fuses.gradient),
        ("metric", &fuses.metric),
        ("callback", &fuses.callback),
        ("source", &fuses.source),
    ];
    let rows = Rows(fuses.source.clone());
    let x = Array2::from_shape_fn((40, 4), |(i, j)| ((i * 5 + j) % 7) as f32 / 7.0);
    let fit = |model: &mut Model, epochs: usize| {
        model.fit_data(
            &rows,
            Fit::new().batch_size(16).epochs(epochs).verbose(0).callback(Watching(fuses.callback.clone())),
        )
    };
    for threads in [1, 2] {
        for (what, fuse) in all {
            for sparks in [1, 2, 5] {
                let mut model = model(&fuses, threads)?;
                fit(&mut model, 1)?;
                let before = model.predict(&x)?;
                fuse.light(sparks);
                caught(|| fit(&mut model, 4));
                let weights = model.get_weights();
                assert!(weights.iter().all(|(_, weight)| weight.iter().all(|w| w.is_finite())), "{what}");
                assert_eq!(model.predict(&x)?.shape(), before.shape(), "{what}");
                let score = model.evaluate_data(&rows)?;
                let again = model.evaluate_data(&rows)?;
                assert_eq!(score.loss, again.loss, "{what}");
                let history = fit(&mut model, 6)?;
                assert!(history.get("loss").iter().all(|loss| loss.is_finite()), "{what}");
                // What is left of the panic has no say: a model with the same weights learns the same from here on.
                let mut fresh = self::model(&fuses, 1)?;
                let weights = model.get_weights();
                fresh.set_weights(weights.iter().map(|(path, array)| (path, array)))?;
                assert_eq!(fresh.predict(&x)?, model.predict(&x)?, "{what}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_evaluation_and_a_prediction_work_after_a_panic() -> gradus::Result<()> {
    let fuses = Everywhere::default();
    let rows = Rows(fuses.source.clone());
    let x = Array2::from_shape_fn((200, 4), |(i, j)| ((i * 5 + j) % 7) as f32 / 7.0);
    for threads in [1, 2] {
        let model = model(&fuses, threads)?;
        let (score, y) = (model.evaluate_data(&rows)?, model.predict(&x)?);
        for fuse in [&fuses.layer.forward, &fuses.value, &fuses.metric, &fuses.source] {
            fuse.light(2);
            caught(|| model.evaluate_data(&rows));
            assert_eq!(model.evaluate_data(&rows)?.loss, score.loss);
        }
        fuses.layer.forward.light(1);
        caught(|| model.predict(&x));
        assert_eq!(model.predict(&x)?, y);
        // A predictor that is kept.
        let mut predictor = model.predictor(200);
        let (few, mut all) = (x.as_slice().unwrap(), vec![0.0; 400]);
        for rows in [1, 200, 3] {
            fuses.layer.forward.light(1);
            caught(|| predictor.run(&few[..rows * 4], &mut all[..rows * 2]));
            predictor.run(&few[..rows * 4], &mut all[..rows * 2])?;
            let mut fresh = vec![0.0; 400];
            model.predictor(200).run(&few[..rows * 4], &mut fresh[..rows * 2])?;
            assert_eq!(all[..rows * 2], fresh[..rows * 2]);
        }
    }
    Ok(())
}

#[test]
fn steps_of_a_loop_work_after_a_panic() -> gradus::Result<()> {
    let fuses = Everywhere::default();
    let mut model = model(&fuses, 2)?;
    let x = Array2::from_shape_fn((32, 4), |(i, j)| ((i * 5 + j) % 7) as f32 / 7.0);
    let y = Array2::from_elem((32, 2), 0.5f32);
    for fuse in [&fuses.layer.forward, &fuses.layer.backward, &fuses.value, &fuses.metric] {
        fuse.light(1);
        caught(|| model.train_on_batch(&x, &y));
        fuses.layer.backward.light(0);
        model.train_on_batch(&x, &y)?;
        let mut pass = model.pass();
        model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 })?;
        fuses.layer.forward.light(2);
        caught(|| model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 1 }).map(|_| ()));
        assert!(model.backward(&mut pass, &y).is_err(), "no forward pass went before");
        model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 1 })?;
        model.backward(&mut pass, &y)?;
    }
    Ok(())
}

#[test]
fn a_game_works_after_a_panic() -> gradus::Result<()> {
    let samples = Array2::from_shape_fn((48, 2), |(i, j)| ((i + j * 3) % 9) as f32 / 9.0);
    let network = |input: usize, output: usize, fuses: &Fuses| {
        Sequential::new()
            .input([input])
            .add(Dense::new(8).activation(Relu))
            .add(Wire(fuses.clone()))
            .add(Dense::new(output))
            .build()
    };
    for threads in [1, 2] {
        for of_generator in [false, true] {
            for sparks in [1, 3, 7] {
                let (generator, discriminator, callback) = (Fuses::default(), Fuses::default(), Fuse::default());
                let mut gan = Gan::new(
                    Generator::new(network(3, 2, &generator)?)?,
                    Discriminator::new(network(2, 1, &discriminator)?)?,
                )
                .build()?;
                gan.set_threads(threads)?;
                let fit = |gan: &mut Gan<f32>| {
                    let options = Fit::new().batch_size(16).epochs(3).verbose(0);
                    gan.fit(&samples, options.callback(Watching(callback.clone())))
                };
                fit(&mut gan)?;
                let fuses = if of_generator { &generator } else { &discriminator };
                for fuse in [&fuses.forward, &fuses.backward, &fuses.update, &callback] {
                    fuse.light(sparks);
                    caught(|| fit(&mut gan));
                    let made = gan.sample(5, 1)?;
                    assert!(made.shape() == [5, 2] && made.iter().all(|x| x.is_finite()));
                    assert!(fit(&mut gan)?.get("g_loss").iter().all(|loss| loss.is_finite()));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_stream_that_panics_leaves_the_model() -> gradus::Result<()> {
    let fuses = Everywhere::default();
    for ahead in [0, 2] {
        let fuse = fuses.source.clone();
        let samples = Stream::of_items(|_| Ok(0..40u8)).map(move |n| {
            fuse.spark();
            Ok(Sample::new(&Array1::from_elem(4, f32::from(n)), &array![0.5f32, 1.0]))
        });
        let batches = samples.batch(8);
        let batches = if ahead > 0 { batches.prefetch(ahead) } else { batches };
        let mut model = model(&fuses, 2)?;
        fuses.source.light(20);
        caught(|| model.fit_data(&batches, Fit::new().verbose(0)));
        model.fit_data(&batches, Fit::new().verbose(0))?;
    }
    Ok(())
}
