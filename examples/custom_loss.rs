//! A custom loss: the pinball loss, by which a network learns a quantile instead of the mean.
//!
//! | | |
//! | --- | --- |
//! | data | noisy numbers, made here |
//! | command | `cargo run --example custom_loss` |
//! | expected | a share near 0.9 of the targets lies below the prediction (0.877 with seed 0) |

mod arguments;

use gradus::check::check_loss;
use gradus::custom::*;

/// v = 1/n Σ max(q·(t − p), (q − 1)·(t − p)): at its least, a share q of the targets t lies below the prediction p.
struct Pinball {
    quantile: f64,
}

impl<F: Scalar> Loss<F> for Pinball {
    fn values(&self, p: View<'_, F>, t: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        let (n, q) = (p.last_axis(), F::of(self.quantile));
        for ((value, p), t) in values.iter_mut().zip(p.chunks(n)).zip(t.chunks(n)) {
            let costs = p.iter().zip(t).map(|(&p, &t)| (q * (t - p)).max((q - F::one()) * (t - p)));
            *value = costs.sum::<F>() / F::of(n as f64);
        }
    }

    /// ∂v/∂p = −q/n where t > p, (1 − q)/n where t < p.
    fn gradient(
        &self,
        p: View<'_, F>,
        t: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let (n, q) = (p.last_axis(), F::of(self.quantile));
        for (i, grad) in grad.iter_mut().enumerate() {
            let slope = if t[i] > p[i] { -q } else { F::one() - q };
            *grad = weights[i / n] * slope / F::of(n as f64);
        }
    }
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(300);
    check_loss(&Pinball { quantile: 0.9 }, &array![[0.3, 0.7]], &array![[0.5, 0.1]])?;

    // y = x + noise, spread evenly over 0..1.
    let x = Array2::from_shape_fn((512, 1), |(i, _)| (i % 32) as f32 / 32.0);
    let noise = Array2::from_shape_fn((512, 1), |(i, _)| (i * 37 % 101) as f32 / 101.0);
    let y = &x + &noise;
    let mut model = Sequential::new()
        .input([1])
        .add(Dense::new(16).activation(Tanh))
        .add(Dense::new(1))
        .compile(Pinball { quantile: 0.9 }, Adam::new().learning_rate(0.01))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    model.fit(&x, &y, Fit::new().epochs(arguments.epochs).verbose(0))?;

    let below = model.predict(&x)?.iter().zip(&y).filter(|(p, y)| y < p).count();
    println!("Test loss: {}", model.evaluate(&x, &y)?.loss);
    println!("Test share below the prediction: {}", below as f64 / y.len() as f64);
    Ok(())
}
