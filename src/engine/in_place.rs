//! Which outputs of a graph are written over an input.

use super::graph::{Graph, Node};
use super::shapes::Shapes;
use crate::Scalar;
use crate::ids::{SlotId, each};

/// Where values lie.
pub(super) struct Places {
    /// In whose memory each output lies.
    pub memory: Vec<SlotId>,
    /// For each node, which of its inputs its output is written over.
    pub over: Vec<Option<usize>>,
}

impl Places {
    /// With every output apart, but for reshapes: `memory` says of which.
    pub fn apart<F: Scalar>(graph: &Graph<F>, _: &Shapes, memory: &[SlotId]) -> Self {
        Self { memory: memory.to_vec(), over: vec![None; graph.nodes.len()] }
    }

    /// Walks the graph in running order; `reshapes` says which outputs are others in another shape. A memory may be
    /// overwritten when all that lies in it, an output and its reshapes, has been read for the last time: by its one
    /// consumer, the layer that writes over it or a reshape of it.
    pub fn of<F: Scalar>(graph: &Graph<F>, shapes: &Shapes, reshapes: &[SlotId]) -> Self {
        let count = shapes.of.len();
        let mut uses = vec![0; count];
        let taken = graph.nodes.iter().flat_map(|node| &node.inputs).map(|input| input.slot);
        // What the model gives out is read by whoever called it: once more than one.
        let given = graph.outputs.iter().flat_map(|&slot| [slot, slot]);
        taken.chain(given).for_each(|slot| uses[slot] += 1);

        let mut memory: Vec<SlotId> = graph.slot_ids().collect();
        let mut over = vec![None; graph.nodes.len()];
        // Whether what lies in a memory has to stay there.
        let mut stays = vec![true; count];
        for (node, over) in graph.nodes.iter().zip(&mut over) {
            let is_reshape = each(&node.outputs).any(|slot| reshapes[slot] != slot);
            *over = (0..node.inputs.len()).filter(|_| !is_reshape).find(|&i| {
                let place = memory[node.inputs[i].slot];
                !stays[place] && may_overwrite(graph, shapes, node, i) && shapes.of[place] == shape_of(shapes, node)
            });
            for slot in each(&node.outputs) {
                let reshape_of = reshapes[slot];
                let read_again = uses[slot] != 1 || is_read_backward(graph, node, reshape_of != slot);
                memory[slot] = match *over {
                    Some(i) => memory[node.inputs[i].slot],
                    None if reshape_of != slot => memory[reshape_of],
                    None => slot,
                };
                let place = &mut stays[memory[slot]];
                *place = read_again || (*place && reshape_of != slot);
            }
        }
        Self { memory, over }
    }
}

/// The shape of a node's first output.
fn shape_of<'a>(shapes: &'a Shapes, node: &Node) -> &'a [usize] {
    &shapes.of[node.outputs.start]
}

/// Whether the node's layer can write its output over input number `over`.
fn may_overwrite<F: Scalar>(graph: &Graph<F>, shapes: &Shapes, node: &Node, over: usize) -> bool {
    let Some(layer) = graph.layer(node) else { return false };
    let operation = &layer.operation;
    operation.in_place().is_some_and(|it| it.may_overwrite(over, node.inputs.len()))
        && each(&node.outputs).len() == 1
        && layer.specs.is_empty()
        && graph.slots[node.outputs.start].mask != Some(node.outputs.start)
        && operation.checks_values().is_none()
        && layer.description.activity_regularizer.is_none()
        && shapes.of[node.inputs[over].slot] == *shape_of(shapes, node)
}

/// Whether a node reads what it gave out when it goes back, or the loss does: a penalty.
fn is_read_backward<F: Scalar>(graph: &Graph<F>, node: &Node, reshapes: bool) -> bool {
    // The values of a model's inputs are not its own.
    let Some(layer) = graph.layer(node) else { return true };
    !reshapes && !layer.facts.backward_ignores_output || layer.description.activity_regularizer.is_some()
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::custom::*;

    /// Which layers of a model are written over an input, by name, and over which.
    fn written_over(inputs: &[&Symbol<f32>], outputs: &[&Symbol<f32>]) -> Vec<(String, usize)> {
        let model = ModelBuilder::new(inputs.iter().copied(), outputs.iter().copied()).build().expect("it builds");
        let shapes = model.graph.shapes_for(std::iter::empty()).expect("fixed");
        let reshapes: Vec<_> = model.graph.slots.iter().map(|slot| slot.memory).collect();
        let over = Places::of(&model.graph, &shapes, &reshapes).over;
        let name = |number: usize| model.graph.layer(&model.graph.nodes[number]).expect("a layer").name.clone();
        over.iter().enumerate().filter_map(|(number, over)| over.map(|over| (name(number), over))).collect()
    }

    fn dense() -> Dense {
        Dense::new(4)
    }

    #[test]
    fn what_is_read_again_stays() {
        let x = Input::new([4]);
        let none: [(String, usize); 0] = [];
        // The model's input is the caller's.
        assert_eq!(written_over(&[&x], &[&x.apply(Relu)]), none);
        // The derivative of tanh is computed from its output, that of gelu from its input.
        assert_eq!(written_over(&[&x], &[&x.apply(dense().activation(Tanh)).apply(Relu)]), none);
        assert_eq!(written_over(&[&x], &[&x.apply(dense()).apply(Gelu)]), none);
        // Another layer takes it, or the model gives it out.
        let hidden = x.apply(dense());
        assert_eq!(written_over(&[&x], &[&hidden.apply(Relu), &hidden.apply(dense())]), none);
        assert_eq!(written_over(&[&x], &[&hidden.apply(Relu), &hidden]), none);
        assert_eq!(written_over(&[&x], &[&call(Add::new(), [&hidden, &hidden])]), none);
        let reshaped = hidden.apply(Reshape::new([2, 2]));
        assert_eq!(written_over(&[&x], &[&hidden.apply(Relu), &reshaped]), none);
        // A penalty is computed from it.
        let penalized = x.apply(dense().activity_regularizer(Regularizer::L2(0.1)));
        assert_eq!(written_over(&[&x], &[&penalized.apply(Relu)]), none);
    }

    #[test]
    fn what_nobody_reads_again_is_written_over() {
        let x = Input::new([4]);
        let relu = x.apply(dense()).apply(Relu);
        assert_eq!(written_over(&[&x], &[&relu]), [("activation".into(), 0)]);
        // A residual block: the sum is written over the branch, whichever input that is, and relu over the sum.
        for order in [[0, 1], [1, 0]] {
            let inside = relu.apply(dense()).apply(BatchNormalization::new());
            let both = [&inside, &relu];
            let sum = call(Add::new(), order.map(|i| both[i])).apply(Relu);
            let over = order.iter().position(|&i| i == 0).expect("the branch");
            let expected = [("activation".into(), 0), ("add".into(), over), ("activation_1".into(), 0)];
            assert_eq!(written_over(&[&x], &[&sum]), expected);
        }
        // Differences do not commute.
        let difference = call(Subtract::new(), [&x, &x.apply(dense())]);
        assert_eq!(written_over(&[&x], &[&difference]), []);
    }
}
