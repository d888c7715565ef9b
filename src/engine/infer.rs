//! The shapes of a graph's outputs, worked out from those of its inputs.
//!
//! Layers never see an open axis. They are asked for shapes at sizes: when a network is built at two probing sizes, so that
//! an axis of an output is open where the two answers differ; when it runs at those of the batch.

use std::sync::{Arc, PoisonError};

use super::build_layer::{build_layer, name_layer};
use super::graph::{Graph, LayerEntry};
use super::operation::Operation;
use super::shapes::{MOST_KEPT, Shapes};
use crate::ids::{SlotId, each};
use crate::layers::{ParamBuilder, ParamSpec};
use crate::tensor::Shape;
use crate::{Error, Result, Scalar};

/// Pairs of sizes that open axes are given while a network is built: multiples of what networks halve and double by, large
/// enough for windows and stacks of them. The second pair is for factors of five.
const PROBES: [(usize, usize); 2] = [(192, 384), (960, 1920)];

/// The sizes at which a network with open axes is built, and the shapes of its outputs.
pub(super) struct Probed {
    pub size: usize,
    pub axes: Vec<Shape>,
}

/// Finds the shapes of the outputs of a network with open axes. `build` makes its graph, without values, for inputs whose
/// open axes have the size that it is given.
pub(super) fn probe<F: Scalar>(build: impl Fn(usize) -> Result<Graph<F>>) -> Result<Probed> {
    let mut refused = None;
    for (size, other) in PROBES {
        let at_both = || {
            let taken_as = |size: usize| move |error| taken_as(error, size);
            let graph = build(size).map_err(taken_as(size))?;
            let inputs = graph.inputs.iter().map(|input| input.shape.at(other)).collect();
            let others = graph.infer(inputs).map_err(taken_as(other))?;
            let axes = graph.slots.iter().zip(&others.of).map(|(a, b)| Shape::of_two(&a.built, b)).collect();
            Ok(Probed { size, axes })
        };
        match at_both() {
            Ok(probed) => return Ok(probed),
            Err(error) => _ = refused.get_or_insert(error),
        }
    }
    Err(refused.expect("a pair of sizes was tried"))
}

/// Says which size an open axis had where a layer refused its input; nothing where that says enough.
fn taken_as(error: Error, size: usize) -> Error {
    let mut inner = &error;
    while let Error::Layer { source, .. } | Error::Context { source, .. } = inner {
        inner = source;
    }
    if matches!(inner, Error::Shape { .. }) {
        error.within(format!("with {size} for the open axes of the inputs"))
    } else {
        error
    }
}

impl<F: Scalar> Graph<F> {
    /// Whether an axis of an input is open.
    pub fn is_open(&self) -> bool {
        self.known.fixed.is_none()
    }

    /// The shape of an output as it was built: open axes have a probing size.
    pub fn built_shape(&self, slot: SlotId) -> &[usize] {
        &self.slots[slot].built
    }

    /// The shapes of all outputs, if no axis of an input is open.
    pub fn fixed_shapes(&self) -> Option<Arc<Shapes>> {
        self.known.fixed.clone()
    }

    /// The shapes of all outputs for inputs of these shapes, which fit. Those that were asked for before cost a look-up.
    ///
    /// # Errors
    /// If a layer refuses its input: two that must agree do not, a window is larger than what it lies on.
    pub fn shapes_for<'s>(&self, inputs: impl Iterator<Item = &'s [usize]> + Clone) -> Result<Arc<Shapes>> {
        if let Some(fixed) = &self.known.fixed {
            return Ok(fixed.clone());
        }
        // What a thread that panicked has left there are whole shapes all the same.
        let mut open = self.known.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = open.iter().rposition(|shapes| shapes.have_inputs(inputs.clone())) {
            open[place..].rotate_left(1);
        } else {
            let shapes = self.infer(inputs.map(<[usize]>::to_vec).collect())?;
            if open.len() == MOST_KEPT {
                open.remove(0);
            }
            open.push(Arc::new(shapes));
        }
        Ok(open.last().expect("just put there").clone())
    }

    /// [`shapes_for`](Self::shapes_for) inputs of which nobody has looked whether they fit.
    pub fn shapes_of(&self, call: &str, inputs: &[impl AsRef<[usize]>]) -> Result<Arc<Shapes>> {
        let fit = self.inputs.iter().zip(inputs).all(|(input, given)| input.shape.fits(given.as_ref()));
        if !fit || inputs.len() != self.inputs.len() {
            let expected: Vec<String> = self.inputs.iter().map(|input| input.shape.to_string()).collect();
            let received: Vec<String> = inputs.iter().map(|given| crate::error::show(given.as_ref())).collect();
            let expected = format!("input rows of shapes {}", expected.join(", "));
            return Err(Error::data(call, expected, received.join(", ")));
        }
        self.shapes_for(inputs.iter().map(AsRef::as_ref))
    }

    /// Asks every layer for the shapes of its outputs.
    fn infer(&self, inputs: Vec<Vec<usize>>) -> Result<Shapes> {
        let mut shapes = Shapes { of: inputs, mask_lens: vec![0; self.inputs.len()] };
        for node in &self.nodes {
            let Some(layer) = self.layer(node) else { continue };
            let given: Vec<&[usize]> = node.inputs.iter().map(|input| &shapes.of[input.slot][..]).collect();
            let built: Vec<&[usize]> = node.inputs.iter().map(|input| &self.slots[input.slot].built[..]).collect();
            let after = || match node.inputs[..] {
                [ref input] => self.layer_before(input.slot),
                _ => None,
            };
            let outputs = self.outputs_of(layer, &given, &built).map_err(|error| name_layer(layer, after(), error))?;
            for (slot, shape) in each(&node.outputs).zip(outputs) {
                let own_mask = self.slots[slot].mask == Some(slot);
                shapes.mask_lens.push(if own_mask { mask_len(&*layer.operation, &shape) } else { 0 });
                shapes.of.push(shape);
            }
        }
        Ok(shapes)
    }

    /// The shapes of a layer's outputs for inputs of the shapes `given`, which must not change its parameters: `built` are
    /// those for which these were made.
    fn outputs_of(&self, layer: &LayerEntry<F>, given: &[&[usize]], built: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        let (mut specs, mut values) = (Vec::new(), Vec::new());
        let mut params = ParamBuilder::new(&mut specs, &mut values, 0, "").without_values().with_batch(self.batch());
        let outputs = build_layer(&layer.operation, given, &mut params)?;
        let own = &self.specs[layer.specs.clone()];
        if own.len() == specs.len() && own.iter().zip(&specs).all(|(own, new)| own.shape == new.shape) {
            return Ok(outputs);
        }
        let differs = |(own, new): (&ParamSpec, &ParamSpec)| (own.shape != new.shape).then(|| own.name.clone());
        let parameter = own.iter().zip(&specs).find_map(differs).unwrap_or_else(|| "none".into());
        let axes = |(given, built): (&&[usize], &&[usize])| -> Vec<usize> {
            (1..).zip(given.iter().zip(*built)).filter(|(_, (a, b))| a != b).map(|(axis, _)| axis).collect()
        };
        let axes = given.iter().zip(built).map(axes).find(|axes| !axes.is_empty()).unwrap_or_default();
        Err(Error::OpenAxis { parameter, axes })
    }

    /// The name of the layer that an output comes from.
    pub fn layer_before(&self, slot: SlotId) -> Option<String> {
        self.layer(self.node_of(slot)).map(|layer| layer.name.clone())
    }
}

/// How many values a row of the mask has that a layer makes beside an output of this shape.
pub(super) fn mask_len<F: Scalar>(operation: &dyn Operation<F>, shape: &[usize]) -> usize {
    shape.iter().take(operation.leading_axes() + 1).product()
}
