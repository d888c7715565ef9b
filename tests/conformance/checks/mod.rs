//! The checks find what they are there to find, and nothing else.

mod in_place;

use gradus::check::{GradientCheck, LayerCheck};
use gradus::custom::*;
use gradus::layers::{Coupling, Description};
use gradus::losses::LossContext;
use proptest::prelude::*;

/// y = b·x, with one thing wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Right,
    HalfTheGradientOfX,
    HalfTheGradientOfB,
    OverwritesParameterGradients,
    AddsToStaleInputGradients,
    KeepsOnlyTheFirstCache,
    DependsOnTheBatch,
    DependsOnTheShard,
    PanicsOnEmptySamples,
    LosesPrecision,
    WrongShape,
    NeedsGradX,
}

impl<F: Scalar> Layer<F> for Scale {
    type Cache = Vec<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        if *self == Self::PanicsOnEmptySamples {
            assert!(!input.is_empty(), "no axes");
        }
        params.add("b", &[1], Initializer::Ones)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, kept: &mut Vec<F>, cx: &Context<'_, F>) {
        let mut b = cx.params.get("b")[0];
        match self {
            Self::DependsOnTheBatch => b *= F::of(cx.batch_rows() as f64),
            Self::DependsOnTheShard if cx.training() => b *= F::of(1.0 + cx.shard() as f64),
            Self::LosesPrecision if F::NAME == "float32" => b *= F::of(1.001),
            _ => (),
        }
        y.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y = b * x);
        if *self != Self::KeepsOnlyTheFirstCache || kept.is_empty() {
            kept.clear();
            kept.extend_from_slice(&x);
        }
        kept.resize(x.len(), F::zero());
        if *self == Self::WrongShape {
            y[0] = F::nan();
        }
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        kept: &mut Vec<F>,
        cx: &Context<'_, F>,
    ) {
        // Whatever the factor was.
        let factor = y.iter().zip(x.iter()).find(|(_, x)| **x != F::zero()).map_or(F::one(), |(&y, &x)| y / x);
        let b = cx.params.get("b")[0];
        let mut of_b: F = grad_y.iter().zip(kept.iter()).map(|(&g, &x)| g * x).sum::<F>() * factor / b;
        if *self == Self::HalfTheGradientOfB {
            of_b *= F::of(0.5);
        }
        if *self == Self::NeedsGradX && grad_x.is_none() {
            of_b = F::zero();
        }
        let grad_b = &mut grads.get_mut("b")[0];
        *grad_b = if *self == Self::OverwritesParameterGradients { of_b } else { *grad_b + of_b };
        if let Some(mut grad_x) = grad_x {
            for (grad_x, &g) in grad_x.iter_mut().zip(grad_y.iter()) {
                let own = factor * g;
                *grad_x = match self {
                    Self::HalfTheGradientOfX => own * F::of(0.5),
                    Self::AddsToStaleInputGradients => *grad_x + own,
                    _ => own,
                };
            }
        }
    }
}

#[test]
fn a_broken_layer_is_told_what_is_broken() {
    check_layer(Scale::Right, &[3]).expect("nothing is wrong");
    for (broken, property) in [
        (Scale::HalfTheGradientOfX, "gradients"),
        (Scale::HalfTheGradientOfB, "gradients"),
        (Scale::OverwritesParameterGradients, "gradients of a shared layer add up"),
        (Scale::AddsToStaleInputGradients, "no stale values"),
        (Scale::KeepsOnlyTheFirstCache, "no stale values"),
        (Scale::DependsOnTheBatch, "rows independent of each other"),
        (Scale::DependsOnTheShard, "rows independent of each other"),
        (Scale::PanicsOnEmptySamples, "refusal of inputs"),
        (Scale::LosesPrecision, "f32 near f64"),
        (Scale::WrongShape, "output shape"),
        (Scale::NeedsGradX, "gradients that nobody wants"),
    ] {
        match check_layer(broken, &[3]) {
            Err(Error::Conformance { class, property: found, problem }) => {
                // Several properties may catch the same slip; the one that names it best or one before it.
                assert_eq!(class, "Scale");
                assert!(!problem.is_empty());
                assert_eq!(found, property, "{broken:?}: {problem}");
            }
            other => panic!("{broken:?} passed as {other:?}"),
        }
    }
}

#[test]
fn a_report_names_the_worst_element_and_both_numbers() {
    let x = array![[0.5, 1.0], [2.0, -1.0]];
    let Err(Error::Gradient(report)) = check_gradients(Scale::HalfTheGradientOfB, &x) else {
        panic!("half a gradient passed");
    };
    assert_eq!(report.subject, "Scale in training");
    let [input, b] = &report.tensors[..] else { panic!("{report}") };
    assert!(input.passes() && !b.passes());
    assert_eq!((b.name.as_str(), &b.shape[..], b.checked, b.kinks), ("scale/b", &[1][..], 1, 0));
    let worst = b.worst.as_ref().expect("one element");
    assert_eq!(worst.index, Some(vec![0]));
    assert!((worst.numeric - 2.0 * worst.analytic).abs() < 1e-8);
    let text = report.to_string();
    assert!(text.contains("scale/b (1): 1 of 1 elements\n    worst at (0): analytic "), "{text}");
    assert!(text.ends_with("<- WRONG"), "{text}");
}

#[test]
fn kinks_are_counted_and_not_failed() -> gradus::Result<()> {
    let report = check_gradients(Relu, &array![[0.0, 1.0, -1.0, 2.0, -3.0]])?;
    assert_eq!((report.tensors[0].checked, report.tensors[0].kinks), (5, 1));
    assert!(!report.tensors[0].mostly_kinks());
    let report = check_gradients(Relu, &array![[0.0, 0.0, -1.0, 2.0, -3.0]])?;
    assert_eq!(report.tensors[0].kinks, 2);
    assert!(report.tensors[0].mostly_kinks());
    assert!(report.to_string().contains("2 on kinks (more than a quarter"), "{report}");
    // A kink that the first step jumps over, and a smaller one does not.
    let report = check_gradients(Relu, &array![[3e-6, 1.0], [-4e-7, 1.0]])?;
    assert_eq!(report.tensors[0].kinks, 0);
    Ok(())
}

#[test]
fn a_wrong_gradient_is_not_taken_for_a_kink() {
    // Steep and strongly bent, but smooth.
    let steep = |slope: f64| {
        let value = move |x: f64| (50.0 * x).sin();
        Activation::Custom(CustomActivation::new("steep", value, move |x| slope * (50.0 * x).cos()))
    };
    let x = array![[0.01, 0.02, 0.03, 0.05, 0.2]];
    check_gradients(steep(50.0), &x).expect("it is right");
    assert!(check_gradients(steep(50.01), &x).is_err());
}

#[test]
fn of_a_large_tensor_every_element_takes_part() -> gradus::Result<()> {
    /// Forgets the gradient of a single element.
    #[derive(Clone)]
    struct Forgetful(usize);
    impl<F: Scalar> Layer<F> for Forgetful {
        type Cache = ();
        fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
            Ok(input.to_vec())
        }
        fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
            y.copy_from_slice(&x);
        }
        fn backward(
            &self,
            _: View<'_, F>,
            _: View<'_, F>,
            grad_y: ViewMut<'_, F>,
            grad_x: Option<ViewMut<'_, F>>,
            _: &mut Grads<'_, F>,
            (): &mut (),
            _: &Context<'_, F>,
        ) {
            if let Some(mut grad_x) = grad_x {
                grad_x.copy_from_slice(&grad_y);
                if let Some(forgotten) = grad_x.get_mut(self.0) {
                    *forgotten = F::zero();
                }
            }
        }
    }
    let x = Array2::from_shape_fn((2, 3000), |(i, j)| (i + j) as f64 * 1e-3);
    let report = check_gradients(Forgetful(usize::MAX), &x)?;
    assert_eq!(report.tensors[0].checked, 200);
    assert!(report.tensors[0].direction.is_some());
    for forgotten in [0, 1234, 5999] {
        assert!(check_gradients(Forgetful(forgotten), &x).is_err(), "element {forgotten} was overlooked");
    }
    Ok(())
}

#[test]
fn a_layer_that_draws_random_numbers_passes() -> gradus::Result<()> {
    /// Drops half of the values in training.
    #[derive(Clone)]
    struct Half;
    impl<F: Scalar> Layer<F> for Half {
        type Cache = Vec<F>;
        fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
            Ok(input.to_vec())
        }
        fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, mask: &mut Vec<F>, cx: &Context<'_, F>) {
            mask.clear();
            mask.resize(x.len(), F::one());
            if cx.training() {
                let first = cx.first_row() * x.row_len();
                for (i, mask) in mask.iter_mut().enumerate() {
                    let drawn = gradus::random::mix(cx.random_key(None) ^ (first + i) as u64);
                    *mask = F::of(2.0 * (drawn % 2) as f64);
                }
            }
            y.iter_mut().zip(x.iter()).zip(mask).for_each(|((y, &x), &mut mask)| *y = mask * x);
        }
        fn backward(
            &self,
            _: View<'_, F>,
            _: View<'_, F>,
            grad_y: ViewMut<'_, F>,
            grad_x: Option<ViewMut<'_, F>>,
            _: &mut Grads<'_, F>,
            mask: &mut Vec<F>,
            _: &Context<'_, F>,
        ) {
            if let Some(mut grad_x) = grad_x {
                grad_x.iter_mut().zip(grad_y.iter()).zip(mask).for_each(|((x, &g), &mut mask)| *x = mask * g);
            }
        }
        fn facts(&self) -> Facts {
            Facts::default().only_in_training()
        }
    }
    check_layer(Half, &[5])?;
    let report = check_gradients(Half, &array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])?;
    assert_eq!(report.tensors[0].kinks, 0);
    Ok(())
}

/// y = x − mean of x over the batch: samples are coupled through sums.
#[derive(Clone, Copy)]
struct Center {
    forgets_the_mean: bool,
}

impl<F: Scalar> Layer<F> for Center {
    type Cache = ();
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        params.add_state("mean", input, Initializer::Zeros)?;
        params.add("scale", &[1], Initializer::Ones)?;
        Ok(input.to_vec())
    }
    fn couples_samples(&self) -> Option<&dyn CouplesSamples<F, ()>> {
        Some(self)
    }
    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        let (n, scale) = (x.row_len(), cx.params.get("scale")[0]);
        let rows = F::of(cx.batch_rows() as f64);
        for (y, x) in y.chunks_mut(n).zip(x.chunks(n)) {
            for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let mean = if cx.totals.is_empty() { cx.params.get("mean")[i] } else { cx.totals[i] / rows };
                *y = scale * (x - mean);
            }
        }
    }
    fn backward(
        &self,
        _: View<'_, F>,
        y: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        (): &mut (),
        cx: &Context<'_, F>,
    ) {
        let (n, scale, rows) = (y.row_len(), cx.params.get("scale")[0], F::of(cx.batch_rows() as f64));
        if grads.wanted() {
            grads.get_mut("scale")[0] += grad_y.iter().zip(y.iter()).map(|(&g, &y)| g * y / scale).sum();
        }
        if let Some(mut grad_x) = grad_x {
            for (grad_x, grad_y) in grad_x.chunks_mut(n).zip(grad_y.chunks(n)) {
                for (i, (x, &g)) in grad_x.iter_mut().zip(grad_y).enumerate() {
                    let mean =
                        if cx.totals.is_empty() || self.forgets_the_mean { F::zero() } else { cx.totals[i] / rows };
                    *x = scale * (g - mean);
                }
            }
        }
    }
}

impl<F: Scalar> CouplesSamples<F, ()> for Center {
    fn sums(&self, inputs: &[&[usize]]) -> Coupling {
        let n = inputs[0].iter().product();
        Coupling { forward: n, backward: n }
    }
    fn forward_sums(&self, inputs: Inputs<'_, F>, sums: &mut [F], _: &Context<'_, F>) {
        for row in inputs.get(0).chunks(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
        }
    }
    fn backward_sums(
        &self,
        _: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &[Tensor<F>],
        sums: &mut [F],
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        for row in grad_outputs[0].data().chunks(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, &g)| *sum += g);
        }
    }
}

#[test]
fn a_layer_that_couples_samples_is_differentiated_through_the_coupling() {
    check_layer(Center { forgets_the_mean: false }, &[3]).expect("it is right");
    let wrong = check_layer(Center { forgets_the_mean: true }, &[3]).unwrap_err().to_string();
    assert!(wrong.starts_with("Center: gradients: "), "{wrong}");
}

/// a·b over two inputs, in one output; and a − b in another.
#[derive(Clone)]
struct TimesAndMinus {
    forgets_the_second_output: bool,
}

impl<F: Scalar> MultiLayer<F> for TimesAndMinus {
    type Cache = ();
    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<Vec<usize>>> {
        match inputs {
            [a, b] if a == b => Ok(vec![a.to_vec(), a.to_vec()]),
            _ => Err(Error::option("inputs", "two of one shape", format!("{inputs:?}"))),
        }
    }
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], (): &mut (), _: &Context<'_, F>) {
        for (i, (&a, &b)) in inputs.get(0).iter().zip(inputs.get(1).iter()).enumerate() {
            outputs[0].data_mut()[i] = a * b;
            outputs[1].data_mut()[i] = a - b;
        }
    }
    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let second = if self.forgets_the_second_output { F::zero() } else { F::one() };
        for (own, other, sign) in [(0, 1, second), (1, 0, -second)] {
            let (times, minus) = (grad_outputs[0].data(), grad_outputs[1].data());
            let other = inputs.get(other);
            grad_inputs.write(own, |mut grad| {
                for (i, grad) in grad.iter_mut().enumerate() {
                    *grad = times[i] * other[i] + sign * minus[i];
                }
            });
        }
    }
    fn describe(&self) -> Description {
        Description::of_type::<Self>()
    }
}

#[test]
fn layers_of_several_inputs_and_outputs_are_checked_in_all_of_them() {
    let right = TimesAndMinus { forgets_the_second_output: false };
    let wrong = TimesAndMinus { forgets_the_second_output: true };
    check_multi_layer(right.clone(), &[&[2, 3], &[2, 3]]).expect("it is right");
    assert!(check_multi_layer(wrong.clone(), &[&[2, 3], &[2, 3]]).is_err());
    let (a, b) = (array![[1.0, 2.0]], array![[0.5, -1.0]]);
    let report = check_gradients(right, (&a, &b)).expect("it is right");
    assert_eq!(report.tensors.len(), 2);
    assert!(check_gradients(wrong, (&a, &b)).is_err());
}

#[test]
fn what_a_layer_refuses_is_the_callers_error() {
    let refused = check_layer(Permute::new([2, 1]), &[3]).unwrap_err().to_string();
    assert_eq!(refused, "layer `permute` (Permute): `dims` must be an order of the axes 1 to 1, got [2, 1]");
    assert!(check_gradients(Dense::new(0), &array![[1.0]]).is_err());
}

/// Σ over the batch couples samples: (Σp − Σt)².
struct Coupled {
    forgets_totals: bool,
}

impl Loss<f64> for Coupled {
    fn values(&self, p: View<'_, f64>, _: View<'_, f64>, values: &mut [f64], cx: &LossContext<'_, f64>) {
        let rows = if self.forgets_totals { p.rows() as f64 } else { cx.totals[1] };
        values.fill(cx.totals[0].powi(2) / rows);
    }
    fn gradient(
        &self,
        p: View<'_, f64>,
        _: View<'_, f64>,
        weights: &[f64],
        mut grad: ViewMut<'_, f64>,
        cx: &LossContext<'_, f64>,
    ) {
        // Only right where all weights are alike, which differences with weights find out.
        let all = weights.iter().sum::<f64>() / weights.len() as f64 * p.rows() as f64;
        grad.fill(all * 2.0 * cx.totals[0] / cx.totals[1]);
    }
    fn sums(&self, _: &[usize]) -> usize {
        2
    }
    fn partial_sums(&self, p: View<'_, f64>, t: View<'_, f64>, sums: &mut [f64]) {
        sums[0] += p.iter().zip(t.iter()).map(|(p, t)| p - t).sum::<f64>();
        sums[1] += p.rows() as f64;
    }
}

#[test]
fn a_loss_that_changes_with_the_cut_is_found() {
    let (p, t) = (array![[0.5], [1.5], [0.2]], array![[1.0], [1.0], [0.0]]);
    let cut = check_loss(&Coupled { forgets_totals: true }, &p, &t).unwrap_err().to_string();
    assert!(cut.contains("the same however a batch is cut"), "{cut}");
}

#[test]
fn a_loss_with_a_wrong_gradient_is_found() {
    /// p², with a derivative of p.
    struct Wrong;
    impl Loss<f64> for Wrong {
        fn values(&self, p: View<'_, f64>, _: View<'_, f64>, values: &mut [f64], _: &LossContext<'_, f64>) {
            values.iter_mut().zip(p.chunks(p.last_axis())).for_each(|(v, p)| *v = p.iter().map(|p| p * p).sum());
        }
        fn gradient(
            &self,
            p: View<'_, f64>,
            _: View<'_, f64>,
            weights: &[f64],
            mut grad: ViewMut<'_, f64>,
            _: &LossContext<'_, f64>,
        ) {
            let n = p.last_axis();
            grad.iter_mut().zip(p.iter()).enumerate().for_each(|(i, (grad, p))| *grad = weights[i / n] * p);
        }
    }
    let Err(Error::Gradient(report)) = check_loss(&Wrong, &array![[0.5, 1.0]], &array![[0.0, 0.0]]) else {
        panic!("half a gradient passed")
    };
    assert_eq!(report.subject, "Wrong");
    assert_eq!(report.tensors.len(), 15, "three kinds of weights, five reductions");
    assert!(report.tensors.iter().all(|tensor| !tensor.passes()));
}

#[test]
fn built_in_losses() -> gradus::Result<()> {
    let probabilities = array![[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.25, 0.35, 0.4]];
    let logits = array![[0.2, -1.5, 0.3], [2.6, 0.3, -0.1], [-0.25, 3.5, 0.4]];
    let one_hot = array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
    let labels = array![1, 0, 2];
    check_loss(&CategoricalCrossentropy::new(), &probabilities, &one_hot)?;
    check_loss(&CategoricalCrossentropy::new().label_smoothing(0.2), &probabilities, &one_hot)?;
    check_loss(&CategoricalCrossentropy::new().from_logits(true).label_smoothing(0.1), &logits, &one_hot)?;
    check_loss(&CategoricalCrossentropy::new().axis(1), &probabilities, &one_hot)?;
    // Rows that are no distribution are brought to sum to 1, and differentiated through that.
    check_loss(&CategoricalCrossentropy::new(), &(&probabilities * 2.5), &one_hot)?;
    check_loss(&SparseCategoricalCrossentropy::new(), &probabilities, &labels)?;
    check_loss(&SparseCategoricalCrossentropy::new().from_logits(true), &logits, &labels)?;
    check_loss(&SparseCategoricalCrossentropy::new().ignore_class(0), &probabilities, &labels)?;
    check_loss(&BinaryCrossentropy::new(), &probabilities, &one_hot)?;
    check_loss(&BinaryCrossentropy::new().label_smoothing(0.2), &probabilities, &one_hot)?;
    check_loss(&BinaryCrossentropy::new().from_logits(true), &logits, &one_hot)?;
    check_loss(&MeanSquaredError::new(), &logits, &one_hot)?;
    check_loss(&MeanAbsoluteError::new(), &logits, &one_hot)?;
    let signs = one_hot.mapv(|t| 2.0 * t - 1.0);
    check_loss(&MeanAbsolutePercentageError::new(), &logits, &signs)?;
    check_loss(&MeanSquaredLogarithmicError::new(), &probabilities, &one_hot)?;
    check_loss(&Huber::new().delta(0.7), &logits, &one_hot)?;
    check_loss(&Huber::new().per_element(true), &logits, &one_hot)?;
    check_loss(&LogCosh::new(), &logits, &one_hot)?;
    check_loss(&Poisson::new(), &probabilities, &one_hot)?;
    check_loss(&KLDivergence::new(), &probabilities, &probabilities.mapv(|p| 1.0 - p))?;
    for target in [&signs, &one_hot] {
        check_loss(&Hinge::new(), &logits, target)?;
        check_loss(&SquaredHinge::new(), &logits, target)?;
    }
    check_loss(&CategoricalHinge::new(), &logits, &one_hot)?;
    check_loss(&CosineSimilarity::new(), &logits, &probabilities)?;
    check_loss(&CosineSimilarity::new().axis(0), &logits, &probabilities).unwrap_err();
    check_loss(&BinaryFocalCrossentropy::new().apply_class_balancing(true).gamma(1.5), &probabilities, &one_hot)?;
    check_loss(&BinaryFocalCrossentropy::new().from_logits(true).label_smoothing(0.1), &logits, &one_hot)?;
    check_loss(&CategoricalFocalCrossentropy::new().label_smoothing(0.1), &(&probabilities * 1.5), &one_hot)?;
    check_loss(&CategoricalFocalCrossentropy::new().from_logits(true), &logits, &one_hot)?;
    check_loss(&SmoothL1::new().beta(0.7), &logits, &one_hot)?;
    check_loss(&PoissonNLL::new().full(true), &logits, &(&one_hot * 3.0))?;
    check_loss(&PoissonNLL::new().log_input(false), &probabilities, &one_hot)?;
    check_loss(&HingeEmbedding::new(), &logits, &signs)?;
    check_loss(&KLDivergence::new().from_log(true), &logits, &one_hot)?;
    check_loss(&KLDivergence::new().from_log(true).log_target(true), &logits, &probabilities.mapv(f64::ln))?;
    check_loss(&BernoulliNLL::new(), &probabilities, &one_hot)?;
    check_loss(&BernoulliNLL::new().from_logits(true).pos_weight([0.5, 2.0, 3.0]), &logits, &one_hot)?;
    check_loss(
        &GaussianNLL::new(),
        &array![[0.3, 1.0, 0.5, 2.0], [-1.0, 0.2, 1.5, 0.7]],
        &array![[0.0, 1.0], [0.1, 0.9]],
    )?;
    let weighted = NLL::new().class_weight([0.5, 2.0, 3.0]).label_smoothing(0.1);
    check_loss(&weighted.clone().from_logits(true).ignore_class(0), &logits, &labels)?;
    check_loss(&weighted.clone(), &logits, &labels)?;
    check_loss(&weighted.soft_targets(true).from_logits(true), &logits, &probabilities)?;
    let frames = Array3::from_shape_fn((2, 5, 3), |(i, t, c)| ((i * 15 + t * 3 + c) * 7 % 11) as f64 / 4.0 - 1.0);
    check_loss(&CTC::new().max_labels(2), &frames, &array![[1, 2], [1, 1]])?;
    let by_length = CTC::new().max_labels(2).lengths(true).per_label(true).blank(2);
    check_loss(&by_length, &frames, &array![[4, 0, 1], [3, 1, 2]])?;
    for loss in [Tversky::new(), Tversky::new().axis([1]), Tversky::new().axis([0]).alpha(0.3).beta(0.6)] {
        check_loss(&loss, &probabilities, &one_hot)?;
    }
    // Higher ranks: a value for every pixel.
    let pixels = ArrayD::from_shape_fn(vec![2, 3, 4, 3], |i| 0.1 + 0.07 * ((i[1] + 2 * i[2] + 3 * i[3]) % 5) as f64);
    let classes = ArrayD::from_shape_fn(vec![2, 3, 4], |i| (i[0] + i[1] + i[2]) % 3);
    check_loss(&SparseCategoricalCrossentropy::new().ignore_class(2), &pixels, &classes)?;
    check_loss(&SparseCategoricalCrossentropy::new().from_logits(true), &pixels, &classes)?;
    check_loss(&MeanSquaredError::new(), &pixels, &pixels.mapv(|p| 1.0 - p))?;
    for loss in [Dice::new(), Dice::new().axis([1, 2, 3]), Dice::new().axis([1, 2]), Dice::new().axis([0, 1, 2])] {
        check_loss(&loss, &pixels, &pixels.mapv(|p| 1.0 - p))?;
    }
    // Another class axis.
    let first = ArrayD::from_shape_fn(vec![2, 3, 4], |i| if (i[0] + i[2]) % 3 == i[1] { 1.0 } else { 0.0 });
    let predicted = ArrayD::from_shape_fn(vec![2, 3, 4], |i| 0.1 + 0.05 * ((i[0] + 2 * i[1] + i[2]) % 7) as f64);
    check_loss(&CategoricalCrossentropy::new().axis(1), &predicted, &first)?;
    check_loss(&CategoricalCrossentropy::new().axis(1).from_logits(true), &predicted, &first)?;
    Ok(())
}

#[test]
fn a_whole_model_and_its_training() -> gradus::Result<()> {
    let (x, y) = (array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.6]], array![[0.0, 1.0], [1.0, 0.0]]);
    for smoothing in [0.0, 0.1] {
        let model = Sequential::f64()
            .input([3])
            .add(Dense::new(5).activation(Gelu).kernel_regularizer(Regularizer::L2(0.1)))
            .add(Dense::new(4).activation(Tanh).activity_regularizer(Regularizer::L1(0.2)))
            .add(Dense::new(2).activation(Softmax))
            .compile(CategoricalCrossentropy::new().label_smoothing(smoothing), Adam::new())
            .build()?;
        assert_eq!(check_model(&model, &x)?.tensors.len(), 7);
        assert_eq!(check_training(&model, &x, &y)?.tensors.len(), 6);
        GradientCheck::new().inputs(false).check_model(&model, &x)?;
    }
    Ok(())
}

#[test]
fn a_check_of_a_model_changes_nothing_in_it() -> gradus::Result<()> {
    let mut model =
        Sequential::f64().input([2]).add(Dense::new(2)).compile(MeanSquaredError::new(), Adam::new()).build()?;
    let before = model.get_weights();
    let (x, y) = (array![[1.0, 2.0]], array![[0.0, 1.0]]);
    check_training(&model, &x, &y)?;
    assert_eq!(model.get_weights(), before);
    let mut untouched = model.clone();
    assert_eq!(model.train_on_batch(&x, &y)?, untouched.train_on_batch(&x, &y)?);
    assert_eq!(model.get_weights(), untouched.get_weights());
    Ok(())
}

#[test]
fn checks_give_the_same_report_each_time() -> gradus::Result<()> {
    let x = array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.6]];
    let check = || check_gradients(Dense::new(4).activation(Mish), &x);
    assert_eq!(check()?, check()?);
    Ok(())
}

#[test]
fn a_layer_may_be_refused_for_its_kinks_alone_by_nobody() -> gradus::Result<()> {
    // Values on a kink at 0 everywhere.
    LayerCheck::new(&[3]).range(0.0, 0.0).check(Relu)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn dense_of_any_shape(rows in 1usize..5, middle in 1usize..4, features in 1usize..9, units in 1usize..9) {
        let x = Array3::from_shape_fn((rows, middle, features), |(i, j, k)| ((7 * i + 5 * j + 3 * k) % 11) as f64 / 5.0 - 1.0);
        check_gradients(Dense::new(units).activation(Softplus), &x).map_err(|e| TestCaseError::fail(e.to_string()))?;
    }

    #[test]
    fn permutations_of_any_shape(a in 1usize..4, b in 1usize..4, c in 1usize..4, order in 0usize..6) {
        let dims = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]][order];
        check_layer(Permute::new(dims), &[a, b, c]).map_err(|e| TestCaseError::fail(e.to_string()))?;
    }
}

#[test]
fn losses_refuse_what_they_cannot_learn_from() {
    let logits = array![[0.5f64, 1.0], [0.2, -0.1]];
    let refused = |error: gradus::Error, part: &str| {
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
    };
    let labels = array![0, 2];
    refused(NLL::new().call(&logits, &labels).unwrap_err(), "labels in 0..2");
    refused(NLL::new().class_weight([1.0]).call(&logits, &array![0, 1]).unwrap_err(), "`class_weight`");
    let zero = NLL::new().class_weight([0.0, 1.0]);
    zero.call(&logits, &array![0, 1]).unwrap();
    refused(zero.label_smoothing(0.1).call(&logits, &array![0, 1]).unwrap_err(), "labels are smoothed");
    refused(NLL::new().soft_targets(true).call(&logits, &array![[0.7, 0.7], [0.0, 1.0]]).unwrap_err(), "sum to 1");
    refused(BernoulliNLL::new().call(&logits, &array![[0.0, 2.0], [0.0, 0.0]]).unwrap_err(), "in 0..=1");
    refused(BernoulliNLL::new().pos_weight([1.0]).call(&logits, &logits).unwrap_err(), "`from_logits`");
    refused(GaussianNLL::new().call(&array![[1.0f64, 2.0, 3.0]], &array![[1.0]]).unwrap_err(), "variances");
    refused(SmoothL1::new().beta(-1.0).call(&logits, &logits).unwrap_err(), "`beta`");
    refused(CTC::new().call(&logits, &labels).unwrap_err(), "(batch, time, classes)");
    let frames = Array3::<f64>::zeros((1, 2, 3));
    refused(CTC::new().call(&frames, &array![[1, 3]]).unwrap_err(), "labels in 0..3");
    refused(CTC::new().lengths(true).call(&frames, &array![[3, 1, 0]]).unwrap_err(), "lengths in 1..=2");
    refused(CTC::new().blank(3).call(&frames, &array![[1, 0]]).unwrap_err(), "`blank`");
    // Two equal labels do not fit into two frames.
    assert_eq!(CTC::new().call(&frames, &array![[1, 1]]).unwrap(), f64::INFINITY);
    assert_eq!(CTC::new().zero_infinity(true).call(&frames, &array![[1, 1]]).unwrap(), 0.0);
}
