//! A custom layer: configuration, parameters, forward, backward; checked, and used like a built-in one.
//!
//! | | |
//! | --- | --- |
//! | data | a wave, made here |
//! | command | `cargo run --example custom_layer` |
//! | expected | mean squared error below 0.01 |

mod arguments;

use gradus::check::check_layer;
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
    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        mut grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        (): &mut (),
        cx: &Context<'_, F>,
    ) {
        let (beta, grad_beta) = (cx.params.get("beta"), grads.get_mut("beta"));
        for (i, (&g, &x)) in grad_y.iter().zip(x.iter()).enumerate() {
            let c = i % beta.len();
            let s = (beta[c] * x).sigmoid();
            let slope = x * s * (F::one() - s);
            if let Some(grad_x) = grad_x.as_mut() {
                grad_x[i] = g * (s + beta[c] * slope);
            }
            grad_beta[c] += g * x * slope; // adds: a shared layer is called several times
        }
    }
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(400);
    // Shapes, both precisions, gradients, same bits on any number of threads …: everything that a layer must hold.
    check_layer(LearnedSwish, &[5])?;

    let x = Array2::from_shape_fn((200, 1), |(i, _)| i as f32 / 100.0 - 1.0);
    let y = x.mapv(|x| (4.0 * x).sin());
    let mut model = Sequential::new()
        .input([1])
        .add(Dense::new(32))
        .add(LearnedSwish)
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), Adam::new().learning_rate(0.01))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    model.fit(&x, &y, Fit::new().epochs(arguments.epochs).verbose(0))?;
    println!("Test loss: {}", model.evaluate(&x, &y)?.loss);
    Ok(())
}
