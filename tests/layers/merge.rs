//! Layers that make one tensor of several: values, gradients by differences, repeated axes, masks, refusals.
#![allow(clippy::type_complexity)] // tables of cases
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use gradus::config::Configured;
use gradus::custom::*;
use gradus::layers::{MaskRule, MultiLayer};
use ndarray::{Dimension, IxDyn};

type Symbols = Vec<Symbol<f64>>;

/// A model of one layer that is called on inputs of these shapes.
fn model(layer: &AnyLayer<f64>, samples: &[&[usize]]) -> gradus::Result<Model<f64>> {
    let inputs: Symbols = samples.iter().map(|&sample| Input::f64(sample)).collect();
    ModelBuilder::new(&inputs, [&call(layer, &inputs)]).build()
}

/// Values between −1 and 1, all different.
fn numbers(shape: &[usize], salt: u32) -> ArrayD<f64> {
    let mut i = 100 * salt;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        f64::from(i * 7919 % 10_007) / 5000.0 - 1.0
    })
}

fn inputs(samples: &[&[usize]], batch: usize) -> Vec<ArrayD<f64>> {
    samples.iter().zip(1..).map(|(sample, salt)| numbers(&[&[batch], *sample].concat(), salt)).collect()
}

/// Gradients of Σ y·w for every input against central differences.
fn check_gradients(model: &Model<f64>, inputs: &[ArrayD<f64>]) {
    let mut pass = model.pass_with_input_gradients();
    let y = model.forward(&mut pass, inputs, Mode::Inference).unwrap().array().to_owned();
    let w = numbers(y.shape(), 77);
    model.backward(&mut pass, &w).unwrap();
    let value = |inputs: &[ArrayD<f64>]| (&model.predict(inputs).unwrap() * &w).sum();
    for (i, input) in inputs.iter().enumerate() {
        let grad = pass.input_gradient(i).unwrap();
        for k in 0..input.len() {
            let moved = |by: f64| {
                let mut moved = inputs.to_vec();
                moved[i].as_slice_mut().unwrap()[k] += by;
                value(&moved)
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((grad[k] - difference).abs() < 1e-7, "input {i}, value {k}: {} not {difference}", grad[k]);
        }
    }
}

type Combine = fn(&[f64]) -> f64;

/// The elementwise merges and what they make of the values in one place.
fn elementwise() -> Vec<(AnyLayer<f64>, Combine)> {
    vec![
        (AnyLayer::several(Add::new()), |x| x.iter().sum()),
        (AnyLayer::several(Multiply::new()), |x| x.iter().product()),
        (AnyLayer::several(Average::new()), |x| x.iter().sum::<f64>() / x.len() as f64),
        (AnyLayer::several(Maximum::new()), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        (AnyLayer::several(Minimum::new()), |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ]
}

#[test]
fn elementwise_merges_have_their_values_and_gradients() {
    let cases: &[&[&[usize]]] = &[
        &[&[4], &[4]],
        &[&[2, 3], &[2, 3], &[2, 3]],
        &[&[3, 1], &[1, 4]],
        &[&[3, 4], &[1, 4], &[3, 1]],
        &[&[4], &[3, 4]],
        &[&[2, 1, 3], &[3], &[1, 4, 1], &[2, 4, 3]],
        &[&[1], &[1]],
    ];
    for (layer, combine) in elementwise() {
        for (samples, batch) in cases.iter().zip([3, 17, 2, 1, 2, 2, 5]) {
            let model = model(&layer, samples).unwrap();
            let inputs = inputs(samples, batch);
            let y = model.predict(&inputs[..]).unwrap();
            assert_eq!(&y.shape()[1..], model.output_shape(0));
            for (place, &y) in y.indexed_iter() {
                let place = place.slice();
                let values: Vec<f64> = inputs
                    .iter()
                    .map(|x| {
                        // Axes that an input lacks come after the batch; those of size 1 are repeated.
                        let missing = place.len() - x.ndim();
                        let at = |axis: usize| if axis == 0 { place[0] } else { place[axis + missing] };
                        let at: Vec<usize> = (0..x.ndim()).map(|axis| at(axis).min(x.shape()[axis] - 1)).collect();
                        x[&at[..]]
                    })
                    .collect();
                assert!((y - combine(&values)).abs() < 1e-12, "{layer:?} of {samples:?} at {place:?}");
            }
            check_gradients(&model, &inputs);
        }
    }
}

#[test]
fn a_difference_has_two_parts() {
    let layer = AnyLayer::several(Subtract::new());
    for samples in [[&[4][..], &[4]], [&[3, 1], &[1, 4]], [&[4], &[3, 4]]] {
        let model = model(&layer, &samples).unwrap();
        check_gradients(&model, &inputs(&samples, 3));
    }
    let y = model(&layer, &[&[2], &[2]]).unwrap().predict((&array![[5.0, 1.0]], &array![[2.0, 4.0]])).unwrap();
    assert_eq!(y, array![[3.0, -3.0]].into_dyn());
}

#[test]
fn a_tensor_given_twice_gets_both_gradients() {
    let x = array![[0.5, -2.0, 3.0]];
    let cases: [(AnyLayer<f64>, fn(f64) -> f64); 5] = [
        (AnyLayer::several(Add::new()), |_| 2.0),
        (AnyLayer::several(Subtract::new()), |_| 0.0),
        (AnyLayer::several(Multiply::new()), |x| 2.0 * x),
        (AnyLayer::several(Average::new()), |_| 1.0),
        (AnyLayer::several(Maximum::new()), |_| 1.0), // equal everywhere: the first takes it
    ];
    for (layer, slope) in cases {
        let input = Input::f64([3]);
        let model = ModelBuilder::new([&input], [&call(&layer, [&input, &input])]).build().unwrap();
        let mut pass = model.pass_with_input_gradients();
        model.forward(&mut pass, &x, Mode::Inference).unwrap();
        model.backward(&mut pass, &array![[1.0, 1.0, 1.0]]).unwrap();
        for (grad, &x) in pass.input_gradient(0).unwrap().iter().zip(&x) {
            assert!((grad - slope(x)).abs() < 1e-12, "{layer:?}: {grad} at {x}");
        }
    }
    let input = Input::f64([3]);
    let model = ModelBuilder::new([&input], [&call(Dot::new(1), [&input, &input])]).build().unwrap();
    check_gradients(&model, &[x.into_dyn()]);
}

#[test]
fn of_equal_values_the_first_takes_the_gradient() {
    for layer in [AnyLayer::several(Maximum::new()), AnyLayer::several(Minimum::new())] {
        let model = model(&layer, &[&[1], &[1], &[1]]).unwrap();
        let mut pass = model.pass_with_input_gradients();
        let x = array![[2.0]];
        model.forward(&mut pass, (&x, &x, &x), Mode::Inference).unwrap();
        model.backward(&mut pass, &array![[5.0]]).unwrap();
        let grads: Vec<f64> = (0..3).map(|i| pass.input_gradient(i).unwrap()[0]).collect();
        assert_eq!(grads, [5.0, 0.0, 0.0]);
        let y = model.predict((&array![[1.0]], &array![[f64::NAN]], &array![[3.0]])).unwrap();
        assert!(y[[0, 0]].is_nan());
    }
}

#[test]
fn concatenation_puts_parts_one_behind_the_other() {
    let cases: [(isize, &[&[usize]], &[usize]); 6] = [
        (-1, &[&[2], &[5]], &[7]),
        (1, &[&[2], &[5], &[1]], &[8]),
        (1, &[&[3, 2], &[1, 2]], &[4, 2]),
        (2, &[&[3, 2], &[3, 4], &[3, 1]], &[3, 7]),
        (-2, &[&[2, 3, 2], &[2, 1, 2]], &[2, 4, 2]),
        (1, &[&[2, 3]], &[2, 3]),
    ];
    for (axis, samples, output) in cases {
        let model = model(&AnyLayer::several(Concatenate::new().axis(axis)), samples).unwrap();
        assert_eq!(model.output_shape(0), output);
        for batch in [1, 3, 17] {
            let inputs = inputs(samples, batch);
            let axis = Axis(if axis < 0 { inputs[0].ndim() - axis.unsigned_abs() } else { axis.unsigned_abs() });
            let views: Vec<_> = inputs.iter().map(|x| x.view()).collect();
            assert_eq!(model.predict(&inputs[..]).unwrap(), ndarray::concatenate(axis, &views).unwrap());
        }
        check_gradients(&model, &inputs(samples, 2));
    }
}

/// Σₖ of the products along an axis of each, the plain way; samples only.
fn plain_dot(a: &ArrayD<f64>, axis_a: usize, b: &ArrayD<f64>, axis_b: usize) -> Vec<f64> {
    let lanes = |x: &ArrayD<f64>, axis: usize| -> Vec<Vec<f64>> {
        x.lanes(Axis(axis)).into_iter().map(|lane| lane.to_vec()).collect()
    };
    let (a, b) = (lanes(a, axis_a), lanes(b, axis_b));
    a.iter().flat_map(|a| b.iter().map(|b| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>())).collect()
}

#[test]
fn dot_sums_over_an_axis_of_each() {
    let cases: [([isize; 2], &[&[usize]; 2], &[usize]); 10] = [
        ([1, 1], &[&[4], &[4]], &[1]),
        ([2, 1], &[&[3, 4], &[4]], &[3]),
        ([1, 2], &[&[4], &[3, 4]], &[3]),
        ([1, 1], &[&[3, 4], &[3, 5]], &[4, 5]),
        ([2, 2], &[&[3, 4], &[5, 4]], &[3, 5]),
        ([-1, -2], &[&[3, 4], &[4, 5]], &[3, 5]),
        ([1, 2], &[&[3, 4], &[5, 3]], &[4, 5]),
        ([2, 2], &[&[2, 3, 4], &[5, 3, 2]], &[2, 4, 5, 2]),
        ([2, 1], &[&[2, 3, 2], &[3, 2, 2]], &[2, 2, 2, 2]),
        ([3, 2], &[&[2, 1, 3], &[2, 3, 2]], &[2, 1, 2, 2]),
    ];
    for (axes, samples, output) in cases {
        for normalize in [false, true] {
            let layer = AnyLayer::several(Dot::new(axes).normalize(normalize));
            let model = model(&layer, samples).unwrap();
            assert_eq!(model.output_shape(0), output);
            let inputs = inputs(samples, 3);
            let y = model.predict(&inputs[..]).unwrap();
            for (row, y) in y.outer_iter().enumerate() {
                let [a, b] = [0, 1].map(|i| {
                    let axis = axes[i].rem_euclid(samples[i].len().cast_signed() + 1).unsigned_abs() - 1;
                    let mut sample = inputs[i].index_axis(Axis(0), row).to_owned();
                    if normalize {
                        for mut lane in sample.lanes_mut(Axis(axis)) {
                            let length = lane.iter().map(|x| x * x).sum::<f64>().sqrt();
                            lane /= length;
                        }
                    }
                    (sample, axis)
                });
                let want = plain_dot(&a.0, a.1, &b.0, b.1);
                assert!(y.iter().zip(&want).all(|(y, want)| (y - want).abs() < 1e-12), "{axes:?} {samples:?}");
            }
            check_gradients(&model, &inputs);
        }
    }
    assert_eq!(Dot::new(1).to_config()["axes"], 1);
    assert_eq!(Dot::new([1, 2]).to_config()["axes"], serde_json::json!([1, 2]));
}

#[test]
fn a_cosine_with_nothing_is_zero() {
    let model = model(&AnyLayer::several(Dot::new(1).normalize(true)), &[&[2], &[2]]).unwrap();
    let mut pass = model.pass_with_input_gradients();
    let y = model.forward(&mut pass, (&array![[0.0, 0.0]], &array![[3.0, 4.0]]), Mode::Inference).unwrap();
    assert_eq!(y[0], 0.0);
    model.backward(&mut pass, &array![[1.0]]).unwrap();
    assert!(
        pass.input_gradient(0).unwrap().iter().chain(pass.input_gradient(1).unwrap().iter()).all(|g| g.is_finite())
    );
}

#[test]
fn shapes_that_do_not_go_together_are_refused_by_name() {
    fn refused(layer: impl MultiLayer<f64> + 'static, samples: &[&[usize]]) -> String {
        model(&AnyLayer::several(layer), samples).unwrap_err().to_string()
    }
    let message = refused(Add::new().name("sum"), &[&[2, 3], &[2, 4]]);
    assert!(message.starts_with("layer `sum` (Add): expected input 1 "), "{message}");
    assert!(message.ends_with("received (2, 4)"), "{message}");
    assert!(refused(Add::new(), &[&[3], &[1], &[4]]).contains("input 2"));
    assert!(refused(Maximum::new(), &[&[3]]).contains("at least two tensors, got 1"));
    assert!(refused(Subtract::new(), &[&[3], &[3], &[3]]).contains("two tensors, got 3"));
    assert!(refused(Concatenate::new(), &[&[3, 2], &[4, 2]]).contains("layer `concatenate` (Concatenate)"));
    assert!(refused(Concatenate::new(), &[&[3, 2], &[2]]).contains("input 1 like input 0"));
    assert!(refused(Concatenate::new().axis(0), &[&[3], &[2]]).contains("`axis` must be"));
    assert!(refused(Concatenate::new().axis(2), &[&[3], &[2]]).contains("`axis` must be"));
    assert!(refused(Dot::new(1), &[&[3]]).contains("two tensors"));
    assert!(refused(Dot::new(1), &[&[3], &[4]]).contains("an axis of size 3"));
    assert!(refused(Dot::new(0), &[&[3], &[3]]).contains("`axes` must be"));
    assert!(refused(Dot::new([1, 2]), &[&[3], &[3]]).contains("`axes` must be"));
    assert!(refused(Dot::new([1, 1, 1]), &[&[3], &[3]]).contains("`axes` must be"));
}

/// Marks the timesteps that are positive, and with `reads` writes 1 where it sees a mask beside its input.
struct Marker {
    reads: bool,
}

impl<F: Scalar> Layer<F> for Marker {
    type Cache = ();
    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        Ok(input.to_vec())
    }
    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        match (self.reads, cx.mask()) {
            (false, _) => y.copy_from_slice(&x),
            (true, Some(_)) => y.fill(F::one()),
            (true, None) => y.fill(F::zero()),
        }
    }
    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        _: ViewMut<'_, F>,
        _: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
    }
    fn facts(&self) -> Facts {
        Facts::default().mask(if self.reads { MaskRule::Stop } else { MaskRule::Make })
    }
    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }
}

impl<F: Scalar> MakesMask<F> for Marker {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let x = inputs.get(0);
        mask.iter_mut().zip(x.chunks(x.last_axis())).for_each(|(mask, x)| *mask = x[0] > F::zero());
    }
}

#[test]
fn masks_of_all_inputs_are_joined() {
    let sees_a_mask = |layer: AnyLayer<f64>, second_marked: bool| {
        let x = Input::f64([3, 2]);
        let marked = x.apply(Marker { reads: false });
        let second = if second_marked { marked.apply(Dense::new(2)) } else { x.apply(Dense::new(2)) };
        let merged = call(layer, [&marked, &second]).apply(Marker { reads: true });
        let model = ModelBuilder::new([&x], [&merged]).build().unwrap();
        model.predict(&numbers(&[2, 3, 2], 1)).unwrap().iter().all(|&y| y == 1.0)
    };
    assert!(sees_a_mask(AnyLayer::several(Add::new()), true));
    assert!(!sees_a_mask(AnyLayer::several(Add::new()), false));
    assert!(sees_a_mask(AnyLayer::several(Concatenate::new()), true));
    assert!(sees_a_mask(AnyLayer::several(Concatenate::new().axis(1)), true));
    assert!(sees_a_mask(AnyLayer::several(Concatenate::new()), false), "all steps of what has no mask count");
    assert!(!sees_a_mask(AnyLayer::several(Dot::new(2)), true));
}
