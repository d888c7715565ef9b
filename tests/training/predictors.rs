//! Predictors that can be kept: shared models, states that are read, set, cloned and reset.

use std::sync::Arc;

use gradus::prelude::*;

use super::rows;

fn stateful() -> Model<f64> {
    Sequential::f64()
        .input([2, 3])
        .batch_size(1)
        .add(GRU::new(4).stateful(true))
        .add(Dense::new(2))
        .seed(3)
        .build()
        .expect("a good model")
}

fn run(predictor: &mut Predictor<'_, f64>, x: &[f64]) -> [f64; 2] {
    let mut y = [0.0; 2];
    predictor.run(x, &mut y).expect("it fits");
    y
}

#[test]
fn a_shared_model_predicts_on_many_threads() -> gradus::Result<()> {
    let model = Arc::new(Sequential::f64().input([3]).add(Dense::new(2).activation(Tanh)).build()?);
    let x = rows(4, 3);
    let expected = model.predict(&x)?;
    let answers: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let predictors = (0..3).map(|_| Predictor::owned(model.clone(), 4));
        let threads: Vec<_> = predictors
            .map(|mut predictor| {
                let x = &x;
                scope.spawn(move || {
                    let mut y = vec![0.0; 8];
                    predictor.run(x.as_slice().expect("row-major"), &mut y).map(|()| y)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<gradus::Result<_>>()
    })?;
    for answer in answers {
        assert_eq!(answer, expected.iter().copied().collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn states_are_read_set_cloned_and_reset() -> gradus::Result<()> {
    let mut predictor = Predictor::owned(Arc::new(stateful()), 1);
    let x = rows(6, 3);
    let x = x.as_slice().expect("row-major");
    let first = run(&mut predictor, &x[..6]);
    let after_first = predictor.states();
    assert_eq!(after_first.len(), 1);
    let mut other = predictor.clone();
    let second = run(&mut predictor, &x[6..12]);
    assert_ne!(second, run(&mut Predictor::owned(Arc::new(stateful()), 1), &x[6..12]), "states are carried");
    assert_eq!(run(&mut other, &x[6..12]), second, "a clone goes on from where the original was");

    predictor.set_states(after_first.iter().map(|(path, state)| (path, state)))?;
    assert_eq!(run(&mut predictor, &x[6..12]), second);
    predictor.reset_states();
    assert_eq!(run(&mut predictor, &x[..6]), first);

    let wrong = predictor.set_states([("gru/nothing", &after_first[0].1)]).unwrap_err().to_string();
    assert!(wrong.contains("there is no state `gru/nothing`"), "{wrong}");
    let wrong = predictor.set_states([(&after_first[0].0, &ArrayD::zeros(vec![7]))]).unwrap_err().to_string();
    assert!(wrong.contains("(7)"), "{wrong}");
    Ok(())
}

#[test]
fn a_prediction_is_an_array_of_the_dimension_asked_for() -> gradus::Result<()> {
    let model = Sequential::f64().input([3]).add(Dense::new(2)).build()?;
    let y: Array2<f64> = model.predict_as(&rows(4, 3))?;
    assert_eq!(y.dim(), (4, 2));
    let wrong = model.predict_as::<Ix3>(&rows(4, 3)).unwrap_err().to_string();
    assert!(wrong.contains("3 axes") && wrong.contains("(4, 2)"), "{wrong}");
    Ok(())
}

#[test]
fn predictions_have_the_same_bits_on_any_number_of_threads() -> gradus::Result<()> {
    // Sums so long that another cut of the rows would show.
    let mut model = Sequential::new().input([5000]).add(Dense::new(3)).seed(1).build()?;
    for rows in [1, 5, 9, 20, 70, 131] {
        let x = Array2::from_shape_fn((rows, 5000), |(i, j)| ((i * 7919 + j * 104_729) % 1013) as f32 / 1013.0);
        model.set_threads(1)?;
        let alone = model.predict(&x)?;
        let mut predictor = model.predictor(200);
        let mut out = vec![0.0; rows * 3];
        predictor.run(x.as_slice().expect("in order"), &mut out)?;
        assert_eq!(alone.as_slice(), Some(&out[..]), "{rows} rows, a predictor");
        for threads in [2, 3, 7] {
            model.set_threads(threads)?;
            assert_eq!(model.predict(&x)?, alone, "{rows} rows on {threads} threads");
        }
    }
    Ok(())
}

/// A network whose layers are large enough to be shared among threads, with each way to compute a convolution.
fn wide_network() -> gradus::Result<Model<f32>> {
    Sequential::new()
        .input([40, 40, 3])
        .add(Conv2D::new(32, 5).strides(2).activation(Relu))
        .add(ZeroPadding2D::new())
        .add(DepthwiseConv2D::new(3))
        .add(Conv2D::new(100, 1).activation(Relu6))
        .add(DepthwiseConv2D::new(5).strides(2).padding(Padding::Same))
        .add(Conv2D::new(64, 1).activation(Gelu))
        .add(Conv2D::new(72, 3).padding(Padding::Same))
        .add(Conv2D::new(200, 3).strides(2).groups(2).padding(Padding::Same))
        .add(Conv2D::new(4, 3))
        .add(Flatten::new())
        .add(Dense::new(3000).activation(Tanh))
        .add(Dense::new(500))
        .seed(5)
        .build()
}

#[test]
fn few_rows_have_the_same_bits_on_any_number_of_threads() -> gradus::Result<()> {
    let mut model = wide_network()?;
    let values = |i: usize| ((i * 7919) % 1013) as f32 / 1013.0;
    for rows in [1, 2, 5] {
        let x: Vec<f32> = (0..rows * 4800).map(values).collect();
        let batch = Array4::from_shape_vec((rows, 40, 40, 3), x.clone()).expect("as many values");
        let mut first = None;
        for threads in [1, 2, 3, 4, 8, 16, 64] {
            model.set_threads(threads)?;
            let mut outs = Vec::new();
            for mut predictor in [model.predictor(rows), model.exact_predictor(rows)] {
                // What happens to be idle when a layer begins is another thing each time.
                for _ in 0..5 {
                    let mut out = vec![0.0; rows * 500];
                    predictor.run(&x, &mut out)?;
                    outs.push(out);
                }
            }
            outs.push(model.predict(&batch)?.into_raw_vec_and_offset().0);
            let (folded, exact) = outs.split_at(5);
            assert!(folded.iter().all(|out| *out == folded[0]) && exact.iter().all(|out| *out == exact[0]));
            let now = (folded[0].clone(), exact[0].clone());
            assert!(*first.get_or_insert_with(|| now.clone()) == now, "{rows} rows on {threads} threads");
        }
    }
    Ok(())
}

#[test]
fn steps_on_few_rows_have_the_same_bits_on_any_number_of_threads() -> gradus::Result<()> {
    for rows in [1, 4, 24] {
        let x =
            Array4::from_shape_fn((rows, 40, 40, 3), |(b, i, j, c)| ((b * 31 + i * 17 + j * 7 + c) % 13) as f32 / 13.0);
        let y = Array2::from_shape_fn((rows, 500), |(b, i)| ((b + i) % 7) as f32 / 7.0);
        let mut first = None;
        for threads in [1, 2, 3, 8, 64] {
            let mut model = wide_network()?;
            model.set_threads(threads)?;
            model.compile(Compile::new(Adam::new()).loss(MeanSquaredError::new()))?;
            let scores: Vec<_> = (0..2).map(|_| model.train_on_batch(&x, &y)).collect::<gradus::Result<_>>()?;
            let now = (scores, model.get_weights());
            assert!(*first.get_or_insert_with(|| now.clone()) == now, "{rows} rows on {threads} threads");
        }
    }
    Ok(())
}
