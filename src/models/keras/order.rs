//! In which order Keras has the layers of a model: its files call weights by the classes of layers, counted in this order.

use std::collections::HashMap;

use crate::Scalar;
use crate::engine::graph::Graph;
use crate::engine::recipe::{Entry, Recipe};
use crate::ids::{EntryId, Id};

/// The entries of a recipe that are a layer's first call, in Keras's order. Of a chain that of its layers; of any other graph by
/// the longest way from a layer to an output, the farthest first, and then as they are met on the way back from the outputs.
/// Layers that no output needs come last.
pub(super) fn layers<F: Scalar>(recipe: &Recipe<F>, graph: &Graph<F>) -> Vec<EntryId> {
    let name = |entry: EntryId| graph.entries[entry].name.as_str();
    let mut first: HashMap<&str, EntryId> = HashMap::new();
    let mut listed = Vec::new();
    for entry in (0..recipe.entries.len()).map(EntryId::new) {
        if let Entry::Call { .. } = recipe.entries[entry] {
            first.entry(name(entry)).or_insert_with(|| {
                listed.push(entry);
                entry
            });
        }
    }
    if recipe.chain {
        return listed;
    }
    let visit = Visit::of(recipe, graph);
    // Each layer is as deep as the deepest of its calls, and so are those of its calls that come before.
    let (mut of_call, mut of_layer) = (vec![0usize; recipe.entries.len()], HashMap::<&str, usize>::new());
    for &entry in visit.finished.iter().rev() {
        let layer = of_layer.entry(name(entry)).or_default();
        *layer = of_call[entry.number()].max(*layer);
        let depth = *layer;
        for input in inputs(recipe, entry) {
            let of_input = &mut of_call[input.number()];
            *of_input = (*of_input).max(depth + 1);
        }
    }
    let deepest_first = |entry: &EntryId| {
        let met = visit.met.get(name(*entry)).copied().unwrap_or(usize::MAX);
        (usize::MAX - of_layer.get(name(*entry)).copied().unwrap_or(0), met)
    };
    let (mut needed, others): (Vec<EntryId>, Vec<EntryId>) =
        listed.into_iter().partition(|&entry| visit.met.contains_key(name(entry)));
    needed.sort_by_key(deepest_first);
    needed.extend(others);
    needed
}

fn inputs<F: Scalar>(recipe: &Recipe<F>, entry: EntryId) -> impl Iterator<Item = EntryId> {
    let inputs = match &recipe.entries[entry] {
        Entry::Input { .. } => &[][..],
        Entry::Call { inputs, .. } => &inputs[..],
    };
    inputs.iter().map(|&(input, _)| input)
}

/// A walk back from the outputs, one input after the other, each to its end.
#[derive(Default)]
struct Visit<'g> {
    /// When each layer was met first.
    met: HashMap<&'g str, usize>,
    /// The calls, each behind all that it needs.
    finished: Vec<EntryId>,
}

impl<'g> Visit<'g> {
    fn of<F: Scalar>(recipe: &Recipe<F>, graph: &'g Graph<F>) -> Self {
        let mut visit = Self::default();
        let mut seen = vec![false; recipe.entries.len()];
        for &(output, _) in &recipe.outputs {
            // A call and how many of its inputs have been followed: depth costs no stack.
            let mut open = vec![(output, 0)];
            while let Some((entry, followed)) = open.pop() {
                if followed == 0 {
                    if std::mem::replace(&mut seen[entry.number()], true) {
                        continue;
                    }
                    let number = visit.met.len();
                    visit.met.entry(graph.entries[entry].name.as_str()).or_insert(number);
                }
                match inputs(recipe, entry).nth(followed) {
                    Some(input) => open.extend([(entry, followed + 1), (input, 0)]),
                    None => visit.finished.push(entry),
                }
            }
        }
        visit
    }
}
