"""Reference cases of `RNN` with each cell, stacked cells and ConvLSTM, alone and in both directions, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct
from peer_keras import jax, keras

group = Group("recurrent_cells", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

RIGHT = [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
HOLES = [[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]]
BOTH = {"return_sequences": True, "return_state": True}


def of_cell(class_name, **config):
    """A cell, or a layer, inside another's configuration."""
    return {"class_name": class_name, "config": config}


def case(id, class_name, config, shape, mask=None, initial=False, calls=1, notes=""):
    """A call in inference, with initial states for all of the layer's, or after `calls` of it."""
    dtype, random = peer.start(id)
    layer = peer.layer(class_name, config)
    x = distinct(random, shape, dtype)
    zeros = []
    if initial:
        layer.build(shape)
        halves = [layer.forward_layer, layer.backward_layer] if class_name == "Bidirectional" else [layer]
        zeros = [state for half in halves for state in half.get_initial_state(shape[0])]
    states = [distinct(random, state.shape, dtype) for state in keras.tree.flatten(zeros)]

    def run(x, states):
        options = {} if mask is None else {"mask": jax.numpy.asarray(mask)}
        if initial:
            options["initial_state"] = keras.tree.pack_sequence_as(zeros, list(states))
        return layer(x, **options)

    run(x, states)
    weights = layer.trainable_variables
    for weight in weights:
        weight.assign(distinct(random, weight.shape, dtype, low=-1, high=1))
    if config.get("stateful"):
        layer.reset_state()
        for _ in range(calls - 1):
            run(x, states)
    kept = [(variable, variable.value) for variable in layer.non_trainable_variables]

    def outputs(params, x, states):
        with keras.StatelessScope(state_mapping=list(zip(weights, params)) + kept):
            return keras.tree.flatten(run(x, states))

    value, pull = jax.vjp(outputs, [weight.value for weight in weights], x, states)
    grads = [distinct(random, one.shape, dtype, low=-1, high=1) for one in value]
    grad_params, grad_x, grad_states = pull([jax.numpy.asarray(grad) for grad in grads])

    def numbered(name, arrays):
        if len(arrays) == 1:
            return {name: np.asarray(arrays[0])}
        return {f"{name}.{i}": np.asarray(array) for i, array in enumerate(arrays)}

    names = [peer.weight_name(weight, layer) for weight in weights]
    arrays = {"input": x} | {f"param.{name}": weight.numpy() for name, weight in zip(names, weights)}
    arrays |= {f"initial_state.{i}": state for i, state in enumerate(states)}
    if mask is not None:
        arrays["mask"] = np.asarray(mask, np.uint8)
    arrays |= numbered("grad_output", grads) | numbered("output", value) | {"grad.input": np.asarray(grad_x)}
    arrays |= {f"grad.initial_state.{i}": np.asarray(grad) for i, grad in enumerate(grad_states)}
    arrays |= {f"grad.{name}": np.asarray(grad) for name, grad in zip(names, grad_params)}
    call = {"training": False} | ({"mask": True} if mask is not None else {})
    call |= ({"initial_state": True} if initial else {}) | ({"calls": calls} if calls > 1 else {})
    group.add(id, f"layer:{class_name}", config, arrays, call=call, notes=notes)


def single_cells():
    """Of each kind one for every option of `RNN`."""
    for name, options in [("SimpleRNNCell", {}), ("LSTMCell", {}), ("GRUCell", {}), ("GRUCell", {"reset_after": False})]:
        kind = name.lower() + ("_reset_before" if options else "")
        cell = of_cell(name, units=3, **options)
        for id, config, more in [
            ("default", {}, {}),
            ("initial_state", BOTH, {"initial": True}),
            ("mask_backwards", {"go_backwards": True} | BOTH, {"mask": HOLES}),
            ("mask_zero_output", {"zero_output_for_mask": True} | BOTH, {"mask": HOLES}),
            ("stateful", {"stateful": True} | BOTH, {"calls": 3}),
            ("sequences__f32", {"return_sequences": True}, {"mask": RIGHT}),
        ]:
            case(f"{kind}_{id}", "RNN", {"cell": cell} | config, (3, 4, 2), **more)
    for name in ["LSTMCell", "GRUCell"]:
        cell = of_cell(name, units=2, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid")
        case(f"{name.lower()}_relu", "RNN", {"cell": cell, "return_sequences": True}, (2, 3, 4))


def stacked_cells():
    two = of_cell("StackedRNNCells", cells=[of_cell("LSTMCell", units=3), of_cell("GRUCell", units=2)])
    three = of_cell("StackedRNNCells", cells=[
        of_cell("GRUCell", units=2, reset_after=False, use_bias=False),
        of_cell("SimpleRNNCell", units=4, activation="softsign"),
        of_cell("LSTMCell", units=3, recurrent_activation="hard_sigmoid"),
    ])
    for name, cells in [("two", two), ("three", three)]:
        for id, config, more in [
            ("default", {}, {}),
            ("state", BOTH, {}),
            ("initial_state", BOTH, {"initial": True}),
            ("mask_right", {"return_sequences": True}, {"mask": RIGHT}),
            ("mask_holes_zero_output", {"zero_output_for_mask": True} | BOTH, {"mask": HOLES}),
            ("backwards__f32", {"go_backwards": True, "return_sequences": True}, {}),
        ]:
            case(f"stacked_{name}_{id}", "RNN", {"cell": cells} | config, (3, 4, 2), **more)


def convolutional():
    relu = {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False, "return_sequences": True}
    # Keras's loop on JAX spreads a mask over states of one axis alone; unrolled it does over any.
    masked = {"unroll": True} | BOTH
    for rank, cells, kernel in [(1, (5,), [3]), (2, (4, 3), [2, 3]), (3, (3, 2, 3), [2, 1, 2])]:
        shape = (3, 4, *cells, 2)
        name = f"ConvLSTM{rank}D"
        for id, config, more in [
            ("default", {}, {}),
            ("same_initial_state", {"padding": "same"} | BOTH, {"initial": True}),
            ("strides", {"strides": 2, "return_sequences": True}, {}),
            ("strides_same_backwards", {"strides": 2, "padding": "same", "go_backwards": True} | BOTH, {}),
            ("dilation_same", {"dilation_rate": 2, "padding": "same", "unit_forget_bias": False}, {}),
            ("relu", relu, {}),
            ("mask", {"padding": "same"} | masked, {"mask": HOLES}),
            ("mask_backwards", {"go_backwards": True} | masked, {"mask": RIGHT}),
            ("stateful", {"padding": "same", "stateful": True} | BOTH, {"calls": 3}),
            ("sequences__f32", {"padding": "same", "return_sequences": True}, {}),
        ]:
            case(f"convlstm{rank}d_{id}", name, {"filters": 2, "kernel_size": kernel} | config, shape, **more)
    for rank, cells in [(1, (11,)), (2, (7, 6))]:
        config = {"filters": 9, "kernel_size": 3, "padding": "same"}
        case(f"convlstm{rank}d_odd_sizes", f"ConvLSTM{rank}D", config, (2, 3, *cells, 5))


def both_directions():
    images = of_cell("ConvLSTM2D", filters=2, kernel_size=2, padding="same", **BOTH)
    for mode in ["concat", "sum", "mul", "ave", None]:
        case(f"bidirectional_convlstm2d_{mode}", "Bidirectional", {"layer": images, "merge_mode": mode}, (2, 3, 3, 4, 1))
    case("bidirectional_convlstm2d_initial_state", "Bidirectional", {"layer": images}, (2, 3, 3, 2, 1), initial=True)
    last = of_cell("ConvLSTM2D", filters=2, kernel_size=2)
    case("bidirectional_convlstm2d_last__f32", "Bidirectional", {"layer": last}, (2, 3, 3, 4, 1))
    other = of_cell("ConvLSTM2D", filters=3, kernel_size=2, go_backwards=True, use_bias=False)
    case("bidirectional_two_convlstm2d", "Bidirectional", {"layer": last, "backward_layer": other}, (2, 3, 3, 4, 1))
    layer = of_cell("RNN", cell=of_cell("LSTMCell", units=2), **BOTH)
    case("bidirectional_of_cell", "Bidirectional", {"layer": layer}, (3, 4, 2), mask=HOLES)


single_cells()
stacked_cells()
convolutional()
both_directions()
group.write()
