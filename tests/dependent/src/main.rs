//! Custom layers in a crate that depends on gradus alone, and MNIST through one of them. Prints as its last line
//! how many seconds an epoch takes.

use std::time::Instant;

use gradus::check::{check_layer, check_multi_layer};
use gradus::custom::*;

/// Swish with a slope learned per channel: y = x·σ(βx), β (channels), starting at 1.
#[derive(Clone, Debug)]
struct LearnedSwish;

impl<F: Scalar> Layer<F> for LearnedSwish {
    type Cache = ();
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        let channels = *input.last().ok_or_else(|| gradus::Error::input_shape("(…, channels)", input))?;
        params.add("beta", &[channels], Initializer::Ones)?;
        Ok(input.to_vec())
    }
    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        let beta = cx.params.get("beta");
        for (i, (y, &x)) in y.iter_mut().zip(x.iter()).enumerate() {
            *y = x * (beta[i % beta.len()] * x).sigmoid();
        }
    }
    /// ∂y/∂x = s + β·x·s(1 − s) and ∂y/∂β = x²·s(1 − s), with s = σ(βx).
    #[rustfmt::skip]
    fn backward(&self, x: View<'_, F>, _: View<'_, F>, grad_y: ViewMut<'_, F>, mut grad_x: Option<ViewMut<'_, F>>,
                grads: &mut Grads<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        let (beta, grad_beta) = (cx.params.get("beta"), grads.get_mut("beta"));
        for (i, (&g, &x)) in grad_y.iter().zip(x.iter()).enumerate() {
            let c = i % beta.len();
            let s = (beta[c] * x).sigmoid();
            let slope = x * s * (F::one() - s);
            if let Some(grad_x) = grad_x.as_mut() {
                grad_x[i] = g * (s + beta[c] * slope);
            }
            grad_beta[c] += g * x * slope;
        }
    }
}

/// A gate: y = a·σ(b), of two inputs of one shape.
#[derive(Clone, Debug)]
struct Gate;

impl<F: Scalar> MultiLayer<F> for Gate {
    type Cache = ();
    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<Vec<usize>>> {
        match inputs {
            [a, b] if a == b => Ok(vec![a.to_vec()]),
            _ => Err(gradus::Error::option("inputs", "two tensors of one shape", format!("{inputs:?}"))),
        }
    }
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], (): &mut (), _: &Context<'_, F>) {
        let (a, b) = (inputs.get(0), inputs.get(1));
        for ((y, &a), &b) in outputs[0].data_mut().iter_mut().zip(a.iter()).zip(b.iter()) {
            *y = a * b.sigmoid();
        }
    }
    /// ∂y/∂a = σ(b) and ∂y/∂b = a·σ(b)(1 − σ(b)).
    #[rustfmt::skip]
    fn backward(&self, inputs: Inputs<'_, F>, _: &[Tensor<F>], grad_outputs: &mut [Tensor<F>],
                grad_inputs: &mut GradInputs<'_, F>, _: &mut Grads<'_, F>, (): &mut (), _: &Context<'_, F>) {
        let (a, b, grad_y) = (inputs.get(0), inputs.get(1), grad_outputs[0].data());
        grad_inputs.write(0, |mut grad_a| {
            for (i, grad) in grad_a.iter_mut().enumerate() {
                *grad = grad_y[i] * b[i].sigmoid();
            }
        });
        grad_inputs.write(1, |mut grad_b| {
            for (i, grad) in grad_b.iter_mut().enumerate() {
                let s = b[i].sigmoid();
                *grad = grad_y[i] * a[i] * s * (F::one() - s);
            }
        });
    }
}

fn main() -> gradus::Result<()> {
    check_layer(LearnedSwish, &[5])?;
    check_multi_layer(Gate, &[&[4], &[4]])?;

    let x = Input::new([3]);
    let gated = call(Gate, [&x.apply(Dense::new(4)), &x.apply(Dense::new(4))]);
    let model = ModelBuilder::new([&x], [&gated.apply(LearnedSwish)]).build()?;
    assert_eq!(model.predict(&array![[0.1f32, 0.2, 0.3]])?.shape(), [1, 4]);

    let folder = std::env::args().nth(1).expect("the folder with MNIST's files");
    let (train, _) = datasets::mnist::load_from(folder)?;
    let images = train.images.mapv(|pixel| f32::from(pixel) / 255.0);
    let labels = to_categorical(&train.labels, 10)?;
    let mut model = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .build()?;
    let fit = || Fit::new().batch_size(128).validation_split(0.1).verbose(0);
    let first = model.fit(&images, &labels, fit())?;
    let start = Instant::now();
    model.fit(&images, &labels, fit().epochs(3))?;
    let seconds = start.elapsed().as_secs_f64() / 3.0;
    println!("val_accuracy {:.4} after one epoch", first.get("val_accuracy")[0]);
    println!("seconds an epoch: {seconds:.4}");
    Ok(())
}
