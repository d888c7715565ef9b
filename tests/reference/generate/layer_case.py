"""A reference case of one layer: its output and all gradients, in inference or training, with masks and state."""

import inspect

import numpy as np

import peer_keras as peer
from common import distinct
from peer_keras import jax


def add(group, id, class_name, config, shape, *, at=None, training=False, calls=1, mask=None, expect=None, low=-2,
        high=2, offset=0.0, notes="", tags=()):
    """A call of the layer on random input of `shape`, or on `at`; `calls` of them, of which the last counts.

    In training the state that the calls leave is expected too. `mask` (rows, steps) goes with the input; `offset` is
    added to it.
    """
    dtype, random = peer.start(id)
    layer = peer.layer(class_name, config)
    x = distinct(random, shape, dtype, low, high) + np.array(offset, dtype) if at is None else np.array(at, dtype)
    layer.build(x.shape)
    variables, state = layer.trainable_variables, layer.non_trainable_variables
    if not layer.trainable:  # then Keras counts all variables among those that are not trained
        variables = [v for v in layer.variables if not v.name.startswith("moving")]
        state = [v for v in layer.variables if v.name.startswith("moving")]
    for variable in [*variables, *state]:
        positive = variable.name.endswith("variance")
        values = random.uniform(0.5, 2.0, variable.shape) if positive else distinct(random, variable.shape, low=-1, high=1)
        variable.assign(values.astype(dtype))
    names, state_names = [v.name for v in variables], [v.name for v in state]
    given = {v.name: v.numpy() for v in [*variables, *state]}
    options = {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
    if mask is not None:
        options["mask"] = jax.numpy.array(mask)

    def call(params, x, state):
        values = dict(zip(names, params)) | dict(zip(state_names, state))
        trainable = [values[v.name] for v in layer.trainable_variables]
        rest = [values[v.name] for v in layer.non_trainable_variables]
        output, left = layer.stateless_call(trainable, rest, x, **options)
        left = dict(zip([v.name for v in layer.non_trainable_variables], left))
        return output, [left[name] for name in state_names]

    params, now = [given[name] for name in names], [given[name] for name in state_names]
    for _ in range(calls - 1):
        now = call(params, x, now)[1]
    output, grad_output, (grad_params, grad_x) = peer.gradients(
        lambda params, x: call(params, x, now)[0], (params, x), random
    )
    arrays = {"input": x} | {f"param.{name}": value for name, value in given.items()}
    if mask is not None:
        arrays["mask"] = np.array(mask, np.uint8)
    arrays |= {"grad_output": grad_output, "output": output, "grad.input": grad_x}
    if layer.trainable:
        arrays |= {f"grad.{name}": grad for name, grad in zip(names, grad_params)}
    if training and state:
        left = call(params, x, now)[1]
        arrays |= {f"updated.{name}": np.array(value) for name, value in zip(state_names, left)}
    record = {"training": training} | ({"calls": calls} if calls > 1 else {}) | ({"mask": True} if mask is not None else {})
    group.add(id, f"layer:{class_name}", config, arrays, call=record, notes=notes, tags=tags, expect=expect)
