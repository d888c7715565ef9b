//! Networks that only predict: batch normalization and activations become part of the layer before them.

use std::sync::Arc;

use gradus::ndarray::Dimension;
use gradus::prelude::*;

/// Moving statistics and factors as after some training, a kernel's values as they are.
fn unsettled(model: &mut Model<f64>) {
    let changed: Vec<(String, ArrayD<f64>)> = model
        .get_weights()
        .into_iter()
        .map(|(path, values)| {
            let mut place = 0.0;
            let values = values.mapv(|value| {
                place += 1.0;
                let wave = f64::sin(place * 1.7 + path.len() as f64);
                match path.rsplit('/').next().unwrap() {
                    "moving_mean" | "beta" | "bias" => wave,
                    "moving_variance" | "gamma" => 1.5 + wave,
                    _ => value,
                }
            });
            (path, values)
        })
        .collect();
    model.set_weights(changed.iter().map(|(path, values)| (path, values))).unwrap();
}

/// Compares what the predictors say with what the model does, on a batch of one and one of several.
fn predicts_the_same(mut model: Model<f64>) {
    unsettled(&mut model);
    let model = Arc::new(model);
    for rows in [1, 5] {
        let shape = [&[rows], model.input_shape(0)].concat();
        let x = ArrayD::from_shape_fn(shape, |place| (place.slice().iter().sum::<usize>() as f64 * 0.9).sin() * 3.0);
        let wanted = model.predict(&x).unwrap();
        let (x, wanted) = (x.as_slice().unwrap(), wanted.as_slice().unwrap());
        let mut y = vec![f64::NAN; wanted.len()];
        let mut close = |mut predictor: Predictor<'_, f64>| {
            for _ in 0..2 {
                predictor.run(x, &mut y).unwrap();
                for (got, want) in y.iter().zip(wanted) {
                    assert!((got - want).abs() < 1e-12 * (1.0 + want.abs()), "{got} instead of {want}");
                }
            }
        };
        close(model.predictor(rows));
        close(model.predictor(rows).clone());
        close(Predictor::owned(model.clone(), rows));
        let mut exact = |mut predictor: Predictor<'_, f64>| {
            y.fill(f64::NAN);
            predictor.run(x, &mut y).unwrap();
            assert_eq!(y, wanted);
        };
        exact(model.exact_predictor(rows));
        exact(Predictor::owned_exact(model.clone(), rows));
    }
}

#[test]
fn what_follows_a_layer_with_a_kernel_becomes_part_of_it() {
    let image = || Sequential::f64().input([9, 7, 4]);
    let sequences = || Sequential::f64().input([9, 4]);
    predicts_the_same(
        Sequential::f64()
            .input([6])
            .add(Dense::new(5))
            .add(BatchNormalization::new().scale(false))
            .add(Tanh)
            .add(Dense::new(3).use_bias(false))
            .add(BatchNormalization::new().center(false))
            .add(BatchNormalization::new())
            .build()
            .unwrap(),
    );
    predicts_the_same(
        image()
            .add(Conv2D::new(8, 3).use_bias(false).groups(2))
            .add(BatchNormalization::new())
            .add(Activation::Relu6)
            .add(DepthwiseConv2D::new(3).depth_multiplier(2).padding(Same))
            .add(BatchNormalization::new())
            .add(ReLU::new().max_value(6.0))
            .add(Conv2D::new(3, 1))
            .add(BatchNormalization::new())
            .add(LeakyReLU::new())
            .build()
            .unwrap(),
    );
    predicts_the_same(
        sequences()
            .add(Conv1D::new(6, 3).padding(Causal))
            .add(BatchNormalization::new())
            .add(Relu)
            .add(Dropout::new(0.5))
            .add(Dense::new(2))
            .add(BatchNormalization::new())
            .add(Activation::Softmax)
            .build()
            .unwrap(),
    );
    // Many channels and tiles: the other way of convolving.
    predicts_the_same(
        Sequential::f64()
            .input([16, 14, 48])
            .add(Conv2D::new(48, 3).padding(Same).use_bias(false))
            .add(BatchNormalization::new())
            .add(Activation::Relu6)
            .build()
            .unwrap(),
    );
}

#[test]
fn what_is_seen_from_elsewhere_stays_by_itself() {
    // An activation before the normalization, channels in front, a transposed convolution.
    predicts_the_same(
        Sequential::f64()
            .input([5, 4, 6])
            .add(Conv2D::new(4, 2).activation(Relu))
            .add(BatchNormalization::new())
            .add(Conv2D::new(5, 2))
            .add(BatchNormalization::new().axis(1))
            .add(Conv2DTranspose::new(3, 2))
            .add(BatchNormalization::new())
            .build()
            .unwrap(),
    );
    // A kernel that is divided by its norm when it is used, and a layer on every timestep.
    predicts_the_same(
        Sequential::f64()
            .input([5, 4])
            .add(SpectralNormalization::new(Dense::new(3)))
            .add(BatchNormalization::new())
            .add(TimeDistributed::new(Dense::new(2)))
            .add(BatchNormalization::new())
            .add(Relu)
            .build()
            .unwrap(),
    );
    // An output that two layers read, one that is the model's, and a layer that is called twice.
    let input = Input::f64([6]);
    let twice = shared(Dense::new(6));
    let hidden = input.apply(Dense::new(6));
    let normal = hidden.apply(BatchNormalization::new());
    let first = normal.apply(&twice).apply(BatchNormalization::new());
    let second = first.apply(&twice).apply(Relu);
    let out = call(Add::new(), [&hidden, &second]).apply(Dense::new(2));
    let model = ModelBuilder::new([&input], [&out]).build().unwrap();
    predicts_the_same(model);
    let out = input.apply(Dense::new(3));
    let after = out.apply(BatchNormalization::new()).apply(Relu);
    let mut model = ModelBuilder::new([&input], [&after, &out]).build().unwrap();
    unsettled(&mut model);
    let x = Array2::from_shape_fn((2, 6), |(row, column)| (row + column) as f64);
    let wanted = model.predict_all(&x).unwrap();
    let (mut after, mut before) = (vec![0.0; 6], vec![0.0; 6]);
    model.predictor(2).run_all(&[x.as_slice().unwrap()], &mut [&mut after, &mut before]).unwrap();
    assert_eq!((after.as_slice(), before.as_slice()), (wanted[0].as_slice().unwrap(), wanted[1].as_slice().unwrap()));
}

#[test]
fn zeros_around_an_input_become_part_of_the_convolution() {
    let image = || Sequential::f64().input([9, 7, 4]);
    let uneven = || ZeroPadding2D::new().padding([[0, 1], [2, 1]]);
    predicts_the_same(image().add(uneven()).add(Conv2D::new(3, 3)).build().unwrap());
    predicts_the_same(image().add(uneven()).add(Conv2D::new(9, 3).strides(2).padding(Padding::Same)).build().unwrap());
    predicts_the_same(image().add(uneven()).add(Conv2D::new(9, 1)).build().unwrap());
    predicts_the_same(
        image()
            .add(Conv2D::new(8, 1))
            .add(BatchNormalization::new())
            .add(Relu)
            .add(uneven())
            .add(DepthwiseConv2D::new(3).strides(2))
            .add(BatchNormalization::new())
            .add(Relu)
            .build()
            .unwrap(),
    );
    let sequences = Sequential::f64().input([9, 4]);
    predicts_the_same(sequences.add(ZeroPadding1D::new().padding([3, 0])).add(Conv1D::new(2, 3)).build().unwrap());
    let volumes = Sequential::f64().input([3, 4, 5, 2]);
    predicts_the_same(volumes.add(ZeroPadding3D::new()).add(Conv3D::new(2, 3)).build().unwrap());
    // Windows that are larger than what is inside.
    let small = Sequential::f64().input([2, 2, 3]);
    predicts_the_same(small.add(ZeroPadding2D::new().padding(2)).add(Conv2D::new(2, 5)).build().unwrap());
}

#[test]
fn zeros_that_others_read_too_stay() {
    let x = Input::f64([6, 6, 2]);
    let padded = x.apply(ZeroPadding2D::new());
    let both = call(Add::new(), [&padded.apply(Conv2D::new(2, 3).padding(Padding::Same)), &padded]);
    predicts_the_same(ModelBuilder::new([&x], [&both]).build().unwrap());
    // The inside is written over by a layer between the zeros and the convolution.
    let inside = x.apply(Conv2D::new(2, 1));
    let around = inside.apply(ZeroPadding2D::new());
    let over = inside.apply(Relu);
    let seen = around.apply(Conv2D::new(2, 3));
    predicts_the_same(ModelBuilder::new([&x], [&call(Subtract::new(), [&over, &seen])]).build().unwrap());
    // Each frame by itself.
    let frames = Sequential::f64().input([3, 6, 6, 2]);
    let frames = frames.add(TimeDistributed::new(ZeroPadding2D::new())).add(Conv3D::new(2, 3));
    predicts_the_same(frames.build().unwrap());
}
