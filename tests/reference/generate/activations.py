"""Reference cases of activations: output and gradient by the input, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct, label

group = Group("activations", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

# Each with the sets of options it is tried with, the defaults first.
ELEMENTWISE = {
    "linear": [{}],
    "relu": [
        {},
        {"max_value": 1.5},
        {"negative_slope": 0.3},
        {"threshold": 1.0},
        {"threshold": -0.5},
        {"max_value": 2.0, "negative_slope": 0.2, "threshold": 0.5},
        {"negative_slope": 0.1, "threshold": 0.5},
    ],
    "relu6": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.05}],
    "elu": [{}, {"alpha": 0.3}, {"alpha": 2.5}],
    "selu": [{}],
    "celu": [{}, {"alpha": 0.4}, {"alpha": 2.5}],
    "gelu": [{}, {"approximate": False}, {"approximate": True}],
    "sigmoid": [{}],
    "hard_sigmoid": [{}],
    "tanh": [{}],
    "hard_tanh": [{}],
    "softplus": [{}],
    "softsign": [{}],
    "silu": [{}],
    "swish": [{}],
    "hard_silu": [{}],
    "mish": [{}],
    "exponential": [{}],
    "log_sigmoid": [{}],
    "tanh_shrink": [{}],
}
OVER_AN_AXIS = {
    "softmax": [({}, (3, 5)), ({"axis": 1}, (2, 4, 3)), ({"axis": -2}, (2, 3, 4, 2)), ({"axis": [1, 2]}, (2, 3, 4))],
    "log_softmax": [({}, (3, 5)), ({"axis": 1}, (2, 4, 3)), ({"axis": -2}, (2, 3, 4, 2))],
}
IN_FLOAT32 = ["relu", "leaky_relu", "gelu", "sigmoid", "tanh", "softplus", "silu", "mish", "exponential", "selu"]

EXTREMES = [-np.inf, -1e3, -40.0, -1e-300, 1e-300, 40.0, 1e3, np.inf]
EXTREMES_F32 = [-np.inf, -1e3, -40.0, -1e-30, 1e-30, 40.0, 1e3, np.inf]
# The gradient at a kink is a convention. For these TensorFlow, JAX and PyTorch agree that it is 0 …
TIES = {"relu": [0.0], "relu6": [0.0, 6.0], "hard_tanh": [-1.0, 1.0], "hard_sigmoid": [-3.0, 3.0]}
# … and at 0 for these they do not, so no case asks for it.
NO_ZERO = ["relu", "relu6", "leaky_relu", "selu", "celu"]
ROWS = [[1e3, -1e3, 0.0], [-np.inf, 0.3, -0.7], [1e3, 1e3, 999.0], [-1e3, -1e3, -1e3], [0.0, -np.inf, -np.inf]]


def compute(name, config, x, random):
    function = peer.activation({"name": name, **config})
    output, grad_output, (grad,) = peer.gradients(lambda x: function(x), (x,), random)
    return {"input": x, "grad_output": grad_output, "output": output, "grad.input": grad}


def case(name, config, shape, suffix=""):
    id = f"{name}__{label(config)}_rank{len(shape)}{suffix}"
    dtype, random = peer.start(id)
    x = distinct(random, shape, dtype, low=-4, high=7 if name == "relu6" else 4)
    group.add(id, f"activation:{name}", config, compute(name, config, x, random), call={"training": False})


def elementwise_extremes(name, config, values, suffix=""):
    """Leaves out the infinite inputs at which Keras gives NaN where the function has a limit."""
    id = f"{name}__{label(config)}_extreme{suffix}"
    dtype, random = peer.start(id)
    x = np.array(values if name in NO_ZERO else [0.0, *values], dtype)
    arrays = compute(name, config, x, random)
    known = ~(np.isnan(arrays["output"]) | np.isnan(arrays["grad.input"]))
    assert known[np.isfinite(x)].all(), f"{id}: NaN at a finite input"
    arrays = {tensor: array[known] for tensor, array in arrays.items()}
    notes = "" if known.all() else f"without {x[~known].tolist()}: Keras gives NaN there, the function has a limit"
    group.add(id, f"activation:{name}", config, arrays, call={"training": False}, notes=notes, tags=["extreme"])


def softmax_extremes(name, suffix=""):
    id = f"{name}__extreme{suffix}"
    dtype, random = peer.start(id)
    rows = ROWS if name == "softmax" else [row for row in ROWS if np.isfinite(row).all()]
    arrays = compute(name, {}, np.array(rows, dtype), random)
    group.add(id, f"activation:{name}", {}, arrays, call={"training": False}, tags=["extreme"])


def ties(name, values):
    id = f"{name}__ties"
    dtype, random = peer.start(id)
    arrays = compute(name, {}, np.array(values), random)
    group.add(id, f"activation:{name}", {}, arrays, call={"training": False}, notes="the gradient at a kink is 0",
              tags=["ties"])


for name, options in ELEMENTWISE.items():
    for config, shape in zip(options, [(3, 5), (2, 3, 4), (17,), (2, 2, 3, 2), (3, 7), (4, 5), (2, 11)]):
        case(name, config, shape)
    elementwise_extremes(name, {}, EXTREMES)
for name, values in TIES.items():
    ties(name, values)
case("relu", {}, (5, 33), suffix="_odd")
case("tanh", {}, (5, 33), suffix="_odd")
elementwise_extremes("gelu", {"approximate": True}, EXTREMES)
for name, options in OVER_AN_AXIS.items():
    for config, shape in options:
        case(name, config, shape)
    softmax_extremes(name)
for name in IN_FLOAT32:
    case(name, {}, (3, 7), suffix="__f32")
    elementwise_extremes(name, {}, EXTREMES_F32, suffix="__f32")
for name in OVER_AN_AXIS:
    case(name, {}, (3, 7), suffix="__f32")
    softmax_extremes(name, suffix="__f32")
group.write()
