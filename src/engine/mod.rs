//! The engine: forward and backward passes of any graph of layers.
//!
//! A [`Network`] is a graph and its parameters. It knows no loss, no optimizer and no file.

mod build_layer;
mod builder;
mod checks;
mod cut;
mod exchange;
pub(crate) mod executor;
mod fold;
pub(crate) mod graph;
pub(crate) mod identity;
mod in_place;
mod infer;
mod network;
pub(crate) mod operation;
pub(crate) mod partial;
mod pass;
pub(crate) mod plan;
mod predictor;
pub(crate) mod recipe;
pub(crate) mod shapes;
pub(crate) mod shard;
mod spectral;
mod time_distributed;

pub(crate) use builder::snake_case;
pub(crate) use checks::{check_batch, check_inputs};
pub use exchange::{Exchange, halves};
pub(crate) use exchange::{agree, join_tree, sum_tree};
pub use network::Network;
pub use pass::Pass;
pub use predictor::Predictor;
pub use recipe::{AnyLayer, IntoLayer, ManyToMany, OneToOne, Whole};
pub(crate) use spectral::spectral;
pub use spectral::{Smooth, SpectralNormalization};
pub(crate) use time_distributed::distributed;
pub use time_distributed::{EachStep, TimeDistributed};
