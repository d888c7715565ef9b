//! A batch whose shards lie in two processes (here: threads that share no memory but their exchange).

use std::ops::Range;
use std::sync::{Arc, Barrier, Mutex};

use gradus::custom::*;
use gradus::engine::{Exchange, halves};

use super::{rows, targets};

/// What two processes put down for one another.
#[derive(Default)]
struct Table {
    scalars: [Vec<f64>; 2],
}

/// One of two processes.
struct Half {
    rank: usize,
    table: Arc<(Mutex<Table>, Barrier)>,
}

impl Half {
    fn both() -> [Self; 2] {
        let table = Arc::new((Mutex::new(Table::default()), Barrier::new(2)));
        [0, 1].map(|rank| Self { rank, table: table.clone() })
    }

    /// What both have put down, once both have.
    fn swap(&self, own: Vec<f64>) -> [Vec<f64>; 2] {
        let (table, barrier) = &*self.table;
        table.lock().unwrap().scalars[self.rank] = own;
        barrier.wait();
        let both = table.lock().unwrap().scalars.clone();
        barrier.wait();
        both
    }
}

impl Exchange<f64> for Half {
    fn shards(&self, count: usize) -> Range<usize> {
        if self.rank == 0 { 0..halves(count) } else { halves(count)..count }
    }

    fn join(&self, part: &mut [f64], join: &dyn Fn(&mut [f64], &[f64])) -> gradus::Result<()> {
        let [mut left, right] = self.swap(part.to_vec());
        join(&mut left, &right);
        part.copy_from_slice(&left);
        Ok(())
    }

    fn add_up(&self, part: &mut [f64]) -> gradus::Result<()> {
        let [left, right] = self.swap(part.to_vec());
        part.iter_mut().zip(left.iter().zip(&right)).for_each(|(sum, (a, b))| *sum = a + b);
        Ok(())
    }
}

/// Batch normalization, dropout, a penalty, a table of tokens, an optimizer that clips.
fn model() -> Model<f64> {
    let x = Input::f64([3]).named("x");
    let tokens = Input::f64([4]).named("tokens");
    let words = tokens.apply(Embedding::new(9, 5).mask_zero(true)).apply(LSTM::new(4));
    let numbers = x.apply(Dense::new(6).kernel_regularizer(Regularizer::L2(0.01))).apply(BatchNormalization::new());
    let both = call(Concatenate::new(), [&numbers.apply(Tanh).apply(Dropout::new(0.3)), &words]);
    let compile = Compile::new(Adam::new().global_clipnorm(0.5))
        .loss(MeanSquaredError::new().reduction(Reduction::MeanWithSampleWeight))
        .metric(MeanAbsoluteErrorMetric::new())
        .weighted_metric(RootMeanSquaredError::new());
    ModelBuilder::new([&x, &tokens], [&both.apply(Dense::new(1))]).seed(5).compile(compile).build().unwrap()
}

fn trained(exchange: Option<Half>) -> (Vec<(String, ArrayD<f64>)>, History, Score) {
    let mut model = model();
    if let Some(exchange) = exchange {
        model.set_exchange(exchange);
        model.set_threads(1).unwrap();
    }
    let (x, y) = (rows(80, 3), targets(80));
    let tokens = Array2::from_shape_fn((80, 4), |(i, j)| if j > i % 4 { 0 } else { 1 + (3 * i + j) % 8 });
    let weights = Array1::from_shape_fn(80, |i| 0.5 + (i % 3) as f64);
    let arrays = || Arrays::new((&x, &tokens), &y).sample_weight(&weights);
    let fit = Fit::new().batch_size(40).epochs(3).verbose(0).validation(arrays());
    let history = model.fit_data(arrays(), fit).unwrap();
    let score = model.evaluate_data(arrays()).unwrap();
    (model.get_weights(), history, score)
}

#[test]
fn two_processes_train_to_the_bits_of_one() {
    let alone = trained(None);
    let parts = Half::both();
    let both = std::thread::scope(|scope| {
        parts.map(|part| scope.spawn(|| trained(Some(part)))).map(|thread| thread.join().expect("no panic"))
    });
    for part in both {
        assert_eq!(part.0, alone.0, "weights");
        assert_eq!(part.1.get("loss"), alone.1.get("loss"), "losses");
        assert_eq!(part.2.loss, alone.2.loss);
        for name in ["mean_absolute_error", "root_mean_squared_error", "val_mean_absolute_error"] {
            for (a, b) in part.1.get(name).iter().zip(alone.1.get(name)) {
                assert!((a - b).abs() < 1e-12, "{name}: {a} and {b}"); // metrics add up in another order
            }
        }
    }
}
