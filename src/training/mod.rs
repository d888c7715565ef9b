//! Training: compile, fit, evaluate, and the steps between.

mod callbacks;
mod checkpoint;
mod checks;
mod diagnosis;
mod epoch_options;
mod epochs;
mod feed;
mod fit;
mod hints;
mod history;
mod learner;
mod model;
pub(crate) mod progress;

#[cfg(feature = "tensorboard")]
pub use callbacks::TensorBoard;
pub use callbacks::{
    CSVLogger, Callback, EarlyStopping, EpochState, LearningRateRangeTest, LearningRateScheduler, ModelCheckpoint,
    Monitor, ReduceLROnPlateau, TerminateOnNaN,
};
pub use checkpoint::{resume, save_checkpoint};
pub use diagnosis::{Diagnosis, LayerDiagnosis};
pub use epochs::train;
pub use fit::Fit;
pub use hints::Hint;
pub use history::{History, Logs};
pub use learner::{GatheredBatch, Learner, Part, Running, StepBatch};
pub use model::Score;
