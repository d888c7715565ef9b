//! Models: graphs of layers with their parameters.

mod architecture;
pub(crate) mod distributed;
mod functional;
pub(crate) mod graph;
pub(crate) mod inputs;
mod low_level;
mod model;
pub(crate) mod operation;
pub(crate) mod partial;
pub(crate) mod pass;
pub(crate) mod plan;
mod predictor;
mod saving;
mod sequential;
pub(crate) mod shard;
mod summary;

pub use distributed::{EachStep, TimeDistributed};
pub use functional::{Input, ModelBuilder, Symbol, call, shared};
pub use inputs::{Column, Element, Given, IntoInputs, IntoTensor};
pub use model::Model;
pub use operation::{AnyLayer, IntoLayer, ManyToMany, OneToOne, Whole};
pub use pass::Pass;
pub use predictor::Predictor;
pub use sequential::Sequential;
pub use summary::Summary;
