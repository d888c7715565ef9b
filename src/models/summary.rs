//! The table of a model's layers.

use std::fmt;

use crate::Scalar;
use crate::engine::Network;
use crate::ids::{Id, SlotId, each};
use crate::tensor::volume;

/// A model's layers, output shapes and parameters; prints like Keras's `summary()`.
#[derive(Clone, Debug)]
pub struct Summary {
    name: String,
    rows: Vec<Row>,
    trainable: usize,
    fixed: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Row {
    layer: String,
    output: String,
    params: usize,
    from: String,
}

impl Summary {
    pub(crate) fn new<F: Scalar>(network: &Network<F>) -> Self {
        let graph = &network.graph;
        let chain = graph.inputs.len() == 1
            && graph
                .nodes
                .windows(2)
                .all(|pair| pair[1].inputs.len() == 1 && pair[1].inputs[0].slot == pair[0].outputs.start);
        let name_of = |slot: SlotId| {
            graph
                .layer(graph.node_of(slot))
                .map_or_else(|| graph.inputs[slot.number()].name.clone(), |layer| layer.name.clone())
        };
        let mut counted = vec![false; graph.layers.len()];
        let (mut rows, mut trainable, mut fixed) = (Vec::new(), 0, 0);
        for node in &graph.nodes {
            let Some(number) = node.layer else {
                if !chain {
                    let input = &graph.inputs[node.outputs.start.number()];
                    let layer = format!("{} (Input)", input.name);
                    rows.push(Row { layer, output: input.shape.with_batch(), params: 0, from: String::new() });
                }
                continue;
            };
            let layer = &graph.layers[number];
            let again = std::mem::replace(&mut counted[number], true);
            let mut params = 0;
            for spec in graph.own_specs(number).iter().filter(|_| !again) {
                let count = volume(&spec.shape);
                params += count;
                *(if spec.learned && network.trains[number] { &mut trainable } else { &mut fixed }) += count;
            }
            let outputs: Vec<String> = each(&node.outputs).map(|slot| graph.slots[slot].shape.with_batch()).collect();
            let from: Vec<String> = node.inputs.iter().map(|input| name_of(input.slot)).collect();
            rows.push(Row {
                layer: format!("{} ({})", layer.name, layer.description.class),
                output: outputs.join(", "),
                params,
                from: if chain { String::new() } else { from.join(", ") },
            });
        }
        Self { name: graph.name.clone(), rows, trainable, fixed, bytes: size_of::<F>() }
    }

    /// How many values training changes.
    pub fn trainable(&self) -> usize {
        self.trainable
    }

    /// How many values it does not: frozen layers' and state.
    pub fn non_trainable(&self) -> usize {
        self.fixed
    }
}

/// 101770 → 101,770
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: usize) -> String {
    let kib = bytes as f64 / 1024.0;
    if kib < 1.0 {
        format!("{bytes} B")
    } else if kib < 1024.0 {
        format!("{kib:.2} KB")
    } else {
        format!("{:.2} MB", kib / 1024.0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["Layer (type)", "Output Shape", "Param #", "Connected to"];
        let connected = self.rows.iter().any(|row| !row.from.is_empty());
        let mut cells: Vec<Vec<String>> = vec![titles.map(String::from).to_vec()];
        for row in &self.rows {
            cells.push(vec![row.layer.clone(), row.output.clone(), grouped(row.params), row.from.clone()]);
        }
        let columns = if connected { 4 } else { 3 };
        let widths: Vec<usize> =
            (0..columns).map(|c| cells.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
        let line = |left: &str, cross: &str, right: &str| {
            let bars: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            format!("{left}{}{right}", bars.join(cross))
        };
        writeln!(f, "Model: \"{}\"", self.name)?;
        writeln!(f, "{}", line("┌", "┬", "┐"))?;
        for (i, row) in cells.iter().enumerate() {
            for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if c == 2 { write!(f, "│ {cell:>width$} ")? } else { write!(f, "│ {cell:<width$} ")? }
            }
            writeln!(f, "│")?;
            if i + 1 < cells.len() {
                writeln!(f, "{}", line("├", "┼", "┤"))?;
            }
        }
        writeln!(f, "{}", line("└", "┴", "┘"))?;
        let total = self.trainable + self.fixed;
        writeln!(f, " Total params: {} ({})", grouped(total), size(total * self.bytes))?;
        writeln!(f, " Trainable params: {} ({})", grouped(self.trainable), size(self.trainable * self.bytes))?;
        write!(f, " Non-trainable params: {} ({})", grouped(self.fixed), size(self.fixed * self.bytes))
    }
}
