//! Training: compile, fit, evaluate, and the steps between.

mod callbacks;
pub(crate) mod course;
mod diagnosis;
mod evaluate;
pub(crate) mod feed;
pub(crate) mod fit;
mod hints;
mod history;
pub(crate) mod progress;

#[cfg(feature = "tensorboard")]
pub use callbacks::TensorBoard;
pub use callbacks::{
    CSVLogger, Callback, EarlyStopping, EpochState, LearningRateRangeTest, LearningRateScheduler, ModelCheckpoint,
    Monitor, ReduceLROnPlateau, TerminateOnNaN,
};
pub use diagnosis::{Diagnosis, LayerDiagnosis};
pub use evaluate::Score;
pub use fit::Fit;
pub use hints::Hint;
pub use history::{History, Logs};
