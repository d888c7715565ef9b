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
