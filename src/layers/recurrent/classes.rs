//! Recurrent layers from configurations, in which cells are named by class.

use serde_json::Value;

use super::any_cell::AnyCell;
use super::bidirectional::{Bidirectional, MergeMode};
use super::conv_lstm::{ConvLSTM1D, ConvLSTM2D, ConvLSTM3D};
use super::gru::GRU;
use super::layer::{Recurrent, split_options};
use super::lstm::LSTM;
use super::simple::RNN;
use super::stacked::StackedRNNCells;
use crate::config::{self, Config, Configured};
use crate::{Error, Result};

/// How a cell is made of its class and its options: by the registry.
pub type MakeCell<'a> = &'a dyn Fn(&str, &Config) -> Result<AnyCell>;

/// The classes of recurrent layers.
const CLASSES: [&str; 7] = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"];

/// A recurrent layer: one that is named after its cell, or `RNN` with `{"cell": {"class_name": …, "config": …}, …}`. An
/// `RNN` without a cell is a simple one, as it was called once.
pub fn recurrent_from_config(class: &str, options: &Config, make: MakeCell<'_>) -> Result<Recurrent<AnyCell>> {
    match class {
        "RNN" if options.contains_key("cell") => {
            let (sequence, rest) = split_options(options)?;
            config::refuse_unknown(&rest, &["cell"])?;
            let cell = make_cell(&rest["cell"], make)?;
            Ok(Recurrent { cell, options: sequence, whole: None })
        }
        "RNN" | "SimpleRNN" => RNN::from_config(options).map(Recurrent::erased),
        "LSTM" => LSTM::from_config(options).map(Recurrent::erased),
        "GRU" => GRU::from_config(options).map(Recurrent::erased),
        "ConvLSTM1D" => ConvLSTM1D::from_config(options).map(Recurrent::erased),
        "ConvLSTM2D" => ConvLSTM2D::from_config(options).map(Recurrent::erased),
        "ConvLSTM3D" => ConvLSTM3D::from_config(options).map(Recurrent::erased),
        _ => Err(Error::unknown("recurrent layer", class, CLASSES)),
    }
}

/// A cell of `{"class_name": …, "config": …}`; of a list of these, all of them as one.
fn make_cell(value: &Value, make: MakeCell<'_>) -> Result<AnyCell> {
    if value.is_array() {
        return stacked_from_config(&Config::from_iter([("cells".to_owned(), value.clone())]), make);
    }
    let (class, options) = config::class_and_config(value)?;
    make(&class, &options)
}

/// `StackedRNNCells`.
pub fn stacked_from_config(options: &Config, make: MakeCell<'_>) -> Result<AnyCell> {
    StackedRNNCells::from_config(options, |cell| make_cell(cell, make)).map(AnyCell::new)
}

/// `Bidirectional`: `{"layer": {"class_name": …, "config": …}, "backward_layer": …, "merge_mode": …}`.
pub fn bidirectional_from_config(options: &Config, make: MakeCell<'_>) -> Result<Bidirectional> {
    config::refuse_unknown(options, &["layer", "backward_layer", "merge_mode", "name", "trainable"])?;
    let half = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let (class, mut options) = config::class_and_config(value)?;
            // A name within the pair says nothing: paths go by the pair's.
            options.remove("name");
            recurrent_from_config(&class, &options, make).map(Some).map_err(|error| error.within(class))
        }
    };
    let layer = half("layer")?.ok_or_else(|| Error::option("layer", "given", "nothing"))?;
    Ok(Bidirectional {
        layer,
        backward_layer: half("backward_layer")?,
        merge_mode: config::take(options, "merge_mode", Some(MergeMode::Concat))?,
        name: config::take(options, "name", None)?,
        trainable: config::take(options, "trainable", true)?,
    })
}
