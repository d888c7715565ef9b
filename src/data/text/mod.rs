//! Text: from strings to token ids and back, and how a model writes some.

mod beam;
#[cfg(feature = "datasets")]
mod file;
mod options;
mod sampling;
mod vectorization;

pub use beam::{BeamSearch, Hypothesis};
#[cfg(feature = "datasets")]
pub use file::read;
pub use options::{Ngrams, OutputMode, Split, Standardize};
pub use sampling::Sampler;
pub use vectorization::{TextVectorization, Vectorizer};
