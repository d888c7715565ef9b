//! Data: reading it, splitting it, turning it into what a model takes.

#[cfg(feature = "audio")]
pub mod audio;
mod augmentation;
#[cfg(feature = "csv")]
mod csv_options;
pub(crate) mod dataset;
#[cfg(feature = "datasets")]
pub mod datasets;
mod dates;
mod folds;
#[cfg(feature = "datasets")]
pub mod idx;
pub mod images;
mod labels;
pub mod preprocessing;
mod sequences;
mod source;
pub(crate) mod split;
mod stream;
#[cfg(feature = "csv")]
mod table;
pub mod text;
#[cfg(feature = "datasets")]
pub mod ts;

pub use augmentation::{Augmentation, AugmentedImages};
#[cfg(feature = "csv")]
pub use csv_options::CsvOptions;
pub use dataset::{Batch, Dataset};
pub use dates::{DateOrder, DateTime};
pub use folds::{Fold, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit};
pub use labels::{Label, from_categorical, to_categorical, to_categorical_f64};
pub use sequences::{PadSequences, Side, Windows};
pub use source::{Arrays, AsItIs, ByNumber, IntoSource, Source};
pub use split::{SplitSize, TrainTestSplit, stratified_split, train_test_split, validation_split};
#[cfg(feature = "csv")]
pub use stream::Record;
pub(crate) use stream::SampleBatch;
pub use stream::{BatchSizes, Items, Sample, Stream};
#[cfg(feature = "csv")]
pub use table::Table;
