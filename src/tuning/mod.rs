//! Finding good hyper-parameters: grid, random and successive-halving search, and cross-validation.
//!
//! A search calls a closure that builds, trains and scores a model, once for each set of hyper-parameters, several at a
//! time on the cores. What a trial is given depends on seed and number alone, so that results are the same on any
//! number of threads; with a results file an interrupted search goes on, and none of its trials is run again.
//!
//! ```
//! use gradus::prelude::*;
//! use gradus::tuning::{RandomSearch, Space};
//!
//! let x = Array2::from_shape_fn((40, 1), |(i, _)| i as f32 / 40.0);
//! let y = x.mapv(|x| x * x);
//! let space = Space::new()
//!     .choice("activation", ["relu", "tanh"])
//!     .integer("units", 4..=32)
//!     .log_uniform("learning_rate", 1e-3..=1e-1);
//! let (results, model) = RandomSearch::new(space, 6).seed(1).run_keeping(|trial| {
//!     let activation = if trial.text("activation")? == "relu" { Relu } else { Tanh };
//!     let mut model = Sequential::new()
//!         .input([1])
//!         .add(Dense::new(trial.integer("units")?).activation(activation))
//!         .add(Dense::new(1))
//!         .compile(MeanSquaredError::new(), Adam::new().learning_rate(trial.number("learning_rate")?))
//!         .seed(trial.seed())
//!         .build()?;
//!     let history = model.fit(&x, &y, Fit::new().epochs(10).validation_split(0.2).verbose(0))?;
//!     Ok((history.get("val_loss")[9], model))
//! })?;
//! println!("{results}"); // a table, the best trial first
//! assert_eq!(results.trials().len(), 6);
//! assert_eq!(model.predict(&x)?.shape(), [40, 1]);
//! # Ok::<(), gradus::Error>(())
//! ```

mod cross_validation;
mod engine;
mod results;
mod search;
mod space;
mod store;

pub use cross_validation::{CrossValidation, cross_validate};
pub use results::{Finished, Results};
pub use search::{GridSearch, RandomSearch, SuccessiveHalving};
pub use space::{Space, Trial, Value};
