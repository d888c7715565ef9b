//! A custom optimizer: SM3, which keeps one value for each row and each column of a matrix.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 + 10,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --example custom_optimizer` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9718 to 0.9739 after 10 epochs (seeds 0 to 2), 9 s with 2 threads (Xeon, busy) |

mod arguments;

use gradus::custom::*;

/// Adagrad with less memory: of the sums of squares of a kernel only bounds for its rows and columns are kept, n + m values
/// for n·m weights (Anil, Gupta, Koren & Singer 2019, arXiv 1901.11150).
///
/// v = min(r of the row, c of the column) + g², w ← w − rate·g/√v, then r and c ← the largest v of the row, of the column.
struct Sm3(OptimizerOptions);

impl<F: Scalar> Optimizer<F> for Sm3 {
    fn options(&self) -> OptimizerOptions {
        self.0.clone()
    }

    /// A kernel of a convolution counts as a matrix with a column for each filter; a vector has one row.
    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        let columns = columns(parameter.shape);
        vec![StateSpec::new("rows", &[parameter.volume() / columns]), StateSpec::new("columns", &[columns])]
    }

    /// The new bounds of the columns.
    fn scratch(&self, parameter: &Parameter<'_>) -> usize {
        columns(parameter.shape)
    }

    /// Rows and columns are seen in whole parameters only.
    fn couples_weights(&self) -> bool {
        true
    }

    fn update(&self, update: &mut Update<'_, F>) {
        let (rate, n, bounds) = (F::of(update.rate), columns(update.shape), &mut *update.scratch);
        let first = update.step == 1;
        bounds.fill(F::zero());
        let [rows, columns] = update.state.arrays();
        // In a vector the bounds of the columns are exact, and its one row tells nothing.
        let matrix = rows.len() > 1;
        for ((weights, gradient), row) in update.weights.chunks_mut(n).zip(update.gradient.chunks(n)).zip(rows) {
            let mut largest = F::zero();
            for (((w, &g), &column), bound) in weights.iter_mut().zip(gradient).zip(&*columns).zip(&mut *bounds) {
                let before = if matrix && !first { row.min(column) } else { column };
                let v = before + g * g;
                if v > F::zero() {
                    *w -= rate * g / v.sqrt();
                }
                (largest, *bound) = (largest.max(v), bound.max(v));
            }
            *row = largest;
        }
        columns.copy_from_slice(bounds);
    }
}

fn columns(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1).max(1)
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(10);
    let (train, test) = datasets::mnist::load()?;
    let x_train = train.images.mapv(|pixel| f32::from(pixel) / 255.0);
    let x_test = test.images.mapv(|pixel| f32::from(pixel) / 255.0);

    let mut model = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Sm3(OptimizerOptions::new(0.1)))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    model.fit(&x_train, &train.labels, Fit::new().batch_size(128).epochs(arguments.epochs).validation_split(0.1))?;

    let score = model.evaluate(&x_test, &test.labels)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}
