"""Keras on JAX, made exact in float64: importing this module configures both, so it comes before `keras`."""

import functools
import os
import platform

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import keras
import numpy as np
from keras.src.backend.common import dtypes

from common import dtype_of, rng

# Except on TensorFlow, Keras narrows every float64 result type to float32, and so computes tanh, mean and others
# in float32. This entry of its type promotion is the one cause; without it float64 stays float64.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

VERSIONS = {
    "keras": keras.__version__,
    "jax": jax.__version__,
    "numpy": np.__version__,
    "python": platform.python_version(),
    "backend": "jax",
}

OBJECTS = {
    "regularizer": keras.regularizers.get,
    "constraint": keras.constraints.get,
    "schedule": keras.optimizers.schedules.deserialize,
}


def start(id):
    """Sets Keras to the dtype of the case `id`; returns the dtype and the case's random numbers."""
    dtype = dtype_of(id)
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    return dtype, rng(id)


def activation(spec):
    """An activation by name, or with options: `{"name": "gelu", "approximate": true}`."""
    if isinstance(spec, str):
        return keras.activations.get(spec)
    options = {key: value for key, value in spec.items() if key != "name"}
    return functools.partial(keras.activations.get(spec["name"]), **options)


def layer(class_name, config):
    """A Keras layer from a case's `config`."""
    options = {}
    for key, value in config.items():
        if key in ("activation", "recurrent_activation"):
            value = activation(value)
        elif key in ("layer", "backward_layer"):
            value = (model if value["class_name"] == "Sequential" else layer)(value["class_name"], value["config"])
        elif key == "cell":
            value = layer(value["class_name"], value["config"])
        elif key == "cells":
            value = [layer(cell["class_name"], cell["config"]) for cell in value]
        elif isinstance(value, dict) and key.split("_")[-1] in OBJECTS:
            value = OBJECTS[key.split("_")[-1]](value)
        options[key] = value
    return getattr(keras.layers, class_name)(**options)


def model(_, config):
    """A Keras Sequential from its configuration."""
    first, *rest = config["layers"]
    layers = [layer(spec["class_name"], spec["config"]) for spec in rest]
    return keras.Sequential([keras.Input(first["config"]["batch_shape"][1:]), *layers], name=config["name"])


def weight_name(weight, owner):
    """A weight's name within its layer as cases have it, `forward.kernel` or `query.bias` where there are several."""
    *_, part, name = weight.path.split("/")
    if isinstance(owner, keras.layers.TimeDistributed) and isinstance(owner.layer, keras.Sequential):
        holder = next(one for one in owner.layer.layers if any(weight is other for other in one.weights))
        return f"{holder.name}/{name}"
    if isinstance(owner, keras.layers.Bidirectional):
        way, half = ("forward", owner.forward_layer) if "forward_" in weight.path else ("backward", owner.backward_layer)
        return f"{way}.{weight_name(weight, half)}"
    if isinstance(cell := getattr(owner, "cell", None), keras.layers.StackedRNNCells):
        number = next(i for i, one in enumerate(cell.cells) if any(weight is other for other in one.weights))
        return f"cell_{number}.{name}"
    return f"{part}.{name}" if "MultiHead" in type(owner).__name__ or "Grouped" in type(owner).__name__ else name


def gradients(function, arguments, random):
    """Calls `function(*arguments)`; draws an upstream gradient if the output is no scalar (1 if it is).

    Returns the output, the upstream gradient and the gradients of sum(output · grad_output) by each argument.
    """
    output, pull_back = jax.vjp(function, *arguments)
    grad_output = random.uniform(-1.5, 1.5, output.shape).astype(output.dtype) if output.shape else output * 0 + 1
    return np.array(output), np.array(grad_output), jax.tree.map(np.array, pull_back(jax.numpy.array(grad_output)))
