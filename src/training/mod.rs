//! Training: compile, fit, evaluate, and the steps between.

mod callbacks;
mod compile;
pub(crate) mod course;
mod evaluate;
pub(crate) mod fit;
mod history;
pub(crate) mod progress;
pub(crate) mod step;

#[cfg(feature = "tensorboard")]
pub use callbacks::TensorBoard;
pub use callbacks::{
    CSVLogger, Callback, EarlyStopping, EpochState, LearningRateRangeTest, LearningRateScheduler, ModelCheckpoint,
    Monitor, ReduceLROnPlateau, TerminateOnNaN,
};
pub use compile::Compile;
pub(crate) use compile::Compiled;
pub use evaluate::Score;
pub use fit::Fit;
pub use history::{History, Logs};
