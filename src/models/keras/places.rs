//! Where Keras's files have the weights of each layer: `layers/dense_1/vars/0`.
//!
//! Files go by the classes of layers and how many there were before, never by names. The weights of a layer that are
//! learned come first; parts of layers (cells, projections, halves) have folders of their own.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;

use super::super::architecture::is_sequential;
use super::order;
use crate::Scalar;
use crate::config::Config;
use crate::engine::Network;
use crate::engine::operation::Operation;
use crate::engine::recipe::{Entry, LayerKind, Nested, Recipe};
use crate::ids::{Id, LayerId};

/// A weight and its place in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The group that holds the layer's `vars`, and the number among them.
    pub group: String,
    pub number: usize,
    /// The weight's name here.
    pub name: String,
    pub shape: Vec<usize>,
    pub range: Range<usize>,
    /// Whether training changes it.
    pub trains: bool,
    /// Which of the model's own layers it belongs to, in Keras's order.
    pub of_layer: usize,
    /// Whether the file has it in another place too.
    pub copy: bool,
}

impl Place {
    pub fn path(&self) -> String {
        format!("{}/vars/{}", self.group, self.number)
    }
}

/// The places of all weights of a model, in Keras's order; and the names of its own layers.
pub(super) fn places<F: Scalar>(recipe: &Recipe<F>, network: &Network<F>) -> (Vec<Place>, Vec<String>) {
    let mut walk = Walk { network, places: Vec::new(), seen: HashSet::new(), of_layer: 0 };
    walk.model(recipe, network, 0, "");
    let own = order::layers(recipe, &network.graph);
    (walk.places, own.into_iter().map(|entry| network.graph.entries[entry].name.clone()).collect())
}

/// `MultiHeadAttention` as files call it: `multi_head_attention`.
pub(super) fn snake_case(class: &str) -> String {
    // A capital before a small letter begins a word, and so does a capital behind a small letter.
    let letters: Vec<char> = class.chars().filter(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let next = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins = at > 0 && letter.is_ascii_uppercase() && (next || letters[at - 1].is_ascii_lowercase());
        if begins {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Numbers that stand behind a class where it comes again.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    pub fn next(&mut self, class: &str) -> String {
        let name = snake_case(class);
        match self.0.get_mut(&name) {
            None => {
                self.0.insert(name.clone(), 0);
                name
            }
            Some(number) => {
                *number += 1;
                format!("{name}_{number}")
            }
        }
    }
}

/// A walk through the layers of a model and of those within it.
struct Walk<'n, F: Scalar> {
    /// The whole, whose parameters all are.
    network: &'n Network<F>,
    places: Vec<Place>,
    /// Where the parameters begin of layers that have been met.
    seen: HashSet<usize>,
    of_layer: usize,
}

impl<F: Scalar> Walk<'_, F> {
    /// A model whose layers begin with number `first` of the whole.
    fn model(&mut self, recipe: &Recipe<F>, network: &Network<F>, first: usize, path: &str) {
        let mut names = Names::default();
        for (number, entry) in order::layers(recipe, &network.graph).into_iter().enumerate() {
            let Entry::Call { layer, .. } = &recipe.entries[entry] else { continue };
            if path.is_empty() {
                self.of_layer = number;
            }
            let first = network.graph.entries[entry].layers.start.after(first);
            let class = match &layer.kind {
                LayerKind::Model(inner) if is_sequential(&inner.recipe, &inner.network.graph) => {
                    "Sequential".to_owned()
                }
                LayerKind::Model(_) => "Functional".to_owned(),
                LayerKind::EachStep { .. } => "TimeDistributed".to_owned(),
                LayerKind::Operation(operation) => operation.describe().class,
            };
            let at = join(path, &format!("layers/{}", names.next(&class)));
            match &layer.kind {
                LayerKind::Model(inner) => self.nested(inner, first, &at),
                LayerKind::EachStep { model, axes, .. } => {
                    self.nested(model, first, &format!("{at}{}", "/layer".repeat(*axes)));
                }
                LayerKind::Operation(operation) => self.layer(&**operation, first, &at),
            }
        }
    }

    fn nested(&mut self, inner: &Nested<F>, first: LayerId, path: &str) {
        self.model(&inner.recipe, &inner.network, first.number(), path);
    }

    fn layer(&mut self, operation: &dyn Operation<F>, layer: LayerId, path: &str) {
        let graph = &self.network.graph;
        let specs = graph.layer_specs(layer);
        // What two layers share is where the first of them is.
        if specs.first().is_some_and(|spec| !self.seen.insert(spec.range.start)) {
            return;
        }
        let owner = graph.owner(layer);
        let mut counts: HashMap<String, usize> = HashMap::new();
        let learned_first = specs.iter().filter(|spec| spec.learned).chain(specs.iter().filter(|spec| !spec.learned));
        for spec in learned_first {
            for (folder, copy) in folders(operation, &spec.name) {
                let group = join(path, &folder);
                let number = counts.entry(group.clone()).or_default();
                self.places.push(Place {
                    number: *number,
                    group,
                    name: graph.param_path(owner, spec),
                    shape: spec.shape.clone(),
                    range: spec.range.clone(),
                    trains: spec.learned && self.network.trains[layer.number()],
                    of_layer: self.of_layer,
                    copy,
                });
                *number += 1;
            }
        }
    }
}

fn join(path: &str, more: &str) -> String {
    match (path, more) {
        ("", only) | (only, "") => only.to_owned(),
        _ => format!("{path}/{more}"),
    }
}

/// The folders within a layer's own that have a weight; none of state that files do not have. Whether it is a copy.
fn folders<F: Scalar>(operation: &dyn Operation<F>, name: &str) -> Vec<(String, bool)> {
    let description = operation.describe();
    let inside = |name: &str| {
        let inner = operation.inner().map(|inner| folders(inner, name)).unwrap_or_default();
        inner.into_iter().map(|(folder, copy)| (join("layer", &folder), copy)).collect::<Vec<_>>()
    };
    match description.class.as_str() {
        // The divided kernel is a weight of the layer around it too.
        "SpectralNormalization" if name == "vector_u" => vec![(String::new(), false)],
        "SpectralNormalization" if name == "kernel" || name == "embeddings" => {
            let mut both = inside(name);
            both.push((String::new(), true));
            both
        }
        "TimeDistributed" | "SpectralNormalization" => inside(name),
        "Bidirectional" => {
            let halves = [("forward.", "layer", "forward_layer"), ("backward.", "backward_layer", "backward_layer")];
            let half = halves.iter().find_map(|(prefix, option, folder)| {
                let rest = name.strip_prefix(prefix)?;
                let config = description.config.as_ref()?;
                let of = config.get(*option).filter(|of| !of.is_null()).or_else(|| config.get("layer"));
                Some((join(folder, &cell(rest, of.and_then(|of| of.get("config")?.as_object()))), false))
            });
            half.into_iter().collect()
        }
        "LSTM" | "GRU" | "SimpleRNN" | "RNN" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            let state = name.starts_with("state.");
            let folder = || (cell(name, description.config.as_ref()), false);
            (!state).then(folder).into_iter().collect()
        }
        "MultiHeadAttention" => {
            let part = match name.split('.').next() {
                Some("attention_output") => "output_dense",
                Some("query") => "query_dense",
                Some("key") => "key_dense",
                Some("value") => "value_dense",
                // Keras has a public name for the others alone.
                _ => "_gate_dense",
            };
            vec![(part.to_owned(), false)]
        }
        _ => vec![(String::new(), false)],
    }
}

/// The folder of a cell; of several the one that a name's `cell_2.` counts.
fn cell(name: &str, config: Option<&Config>) -> String {
    let stacked = || {
        let number = name.strip_prefix("cell_")?.split_once('.')?.0.parse::<usize>().ok()?;
        let cell = config?.get("cell")?;
        let cells = cell.get("config").and_then(|config| config.get("cells")).unwrap_or(cell).as_array()?;
        let mut names = Names::default();
        let class = |cell: &Value| cell.get("class_name").and_then(Value::as_str).unwrap_or("Cell").to_owned();
        let named = cells.iter().map(|cell| names.next(&class(cell))).nth(number)?;
        Some(format!("cell/cells/{named}"))
    };
    stacked().unwrap_or_else(|| "cell".to_owned())
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_in_snake_case_are_those_of_keras() {
        // keras.src.utils.naming.to_snake_case
        let names = [
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("Conv2D", "conv2d"),
            ("SeparableConv1D", "separable_conv1d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("LSTM", "lstm"),
            ("ConvLSTM2D", "conv_lstm2d"),
            ("SimpleRNN", "simple_rnn"),
            ("LSTMCell", "lstm_cell"),
            ("RMSNormalization", "rms_normalization"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("StackedRNNCells", "stacked_rnn_cells"),
        ];
        for (class, name) in names {
            assert_eq!(snake_case(class), name, "{class}");
        }
    }
}
