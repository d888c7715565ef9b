//! Models: graphs of layers with their parameters.

mod architecture;
pub(crate) mod distributed;
mod functional;
pub(crate) mod graph;
mod in_place;
pub(crate) mod inputs;
mod low_level;
mod model;
pub(crate) mod operation;
pub(crate) mod partial;
pub(crate) mod pass;
pub(crate) mod plan;
mod predictor;
pub(crate) mod saving;
mod sequential;
pub(crate) mod shard;
pub(crate) mod spectral;
mod summary;

pub use distributed::{EachStep, TimeDistributed};
pub use functional::{Input, ModelBuilder, Symbol, call, shared};
pub use inputs::{Column, Element, Given, IntoInputs, IntoTensor};
pub use model::Model;
pub use operation::{AnyLayer, IntoLayer, ManyToMany, OneToOne, Whole};
pub use pass::Pass;
pub use predictor::Predictor;
pub use sequential::Sequential;
pub use spectral::{Smooth, SpectralNormalization};
pub use summary::Summary;
