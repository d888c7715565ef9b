//! Recurrent layers: what a sequence's earlier steps say about its later ones.

mod any_cell;
mod bidirectional;
mod cell;
mod classes;
mod conv_lstm;
mod direction;
mod dropout;
mod gru;
mod layer;
mod lstm;
pub(crate) mod options;
mod sequence;
mod simple;
mod stacked;
mod time_loop;
mod unit_steps;
mod units;

pub use any_cell::AnyCell;
pub use bidirectional::{Bidirectional, MergeMode};
pub use cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
pub(crate) use classes::{bidirectional_from_config, recurrent_from_config, stacked_from_config};
pub use conv_lstm::{ConvLSTM1D, ConvLSTM1DCell, ConvLSTM2D, ConvLSTM2DCell, ConvLSTM3D, ConvLSTM3DCell};
pub use dropout::SequenceDropout;
pub use gru::{GRU, GRUCell};
pub use layer::Recurrent;
pub use lstm::{LSTM, LSTMCell};
pub use simple::{RNN, SimpleRNNCell};
pub use stacked::StackedRNNCells;
pub use units::UnitSequences;
