//! Models: networks, and what they are trained for.

mod architecture;
mod by_name;
mod compile;
mod functional;
#[cfg(feature = "keras")]
mod keras;
mod model;
mod nodes;
mod not_built;
pub(crate) mod objectives;
pub mod registry;
pub(crate) mod saving;
mod sequential;
mod standard;
mod sub_model;
mod summary;
pub(crate) mod training_pass;
mod warnings;

pub use crate::engine::{
    AnyLayer, EachStep, IntoLayer, ManyToMany, Network, OneToOne, Pass, Predictor, Smooth, SpectralNormalization,
    TimeDistributed, Whole,
};
pub use crate::scalar::{ArrayValues, Element};
pub use crate::tensor::inputs::{ArrayInput, IntoInputs, IntoTensor};
pub use by_name::{LoadByName, LoadReport, Mismatch};
pub use compile::Compile;
pub(crate) use compile::Evaluation;
pub use functional::{Input, ModelBuilder, Symbol, call, shared};
pub use model::Model;
pub use sequential::Sequential;
pub use summary::Summary;
