"""The formulas behind recurrent layers: cells, their loop over time, both directions. See `twins.py`."""

import numpy as np

import twins

# Cells: from config, parameters, a step's input and the states before to the states after, the first of which is the output.


def simple(config, params, x, states):
    z = x @ params["kernel"] + states[0] @ params["recurrent_kernel"] + params.get("bias", 0)
    return [twins.activate(config.get("activation", "tanh"), z)]


def gates(config, z, carry):
    """An LSTM from the gates' sums: i, f, c, o on the last axis."""
    through = lambda name, default, x: twins.activate(config.get(name, default), x)
    i, f, c, o = np.split(z, 4, axis=-1)
    i, f, o = (through("recurrent_activation", "sigmoid", gate) for gate in (i, f, o))
    c = f * carry + i * through("activation", "tanh", c)
    return [o * through("activation", "tanh", c), c]


def lstm(config, params, x, states):
    z = x @ params["kernel"] + states[0] @ params["recurrent_kernel"] + params.get("bias", 0)
    return gates(config, z, states[1])


def conv_lstm(config, params, x, states):
    within = {"kernel_size": config["kernel_size"], "padding": "same"}
    z = twins.correlate(config, params["kernel"], x) + params.get("bias", 0)
    return gates(config, z + twins.correlate(within, params["recurrent_kernel"], states[0]), states[1])


def gru(config, params, x, states):
    through = lambda name, default, x: twins.activate(config.get(name, default), x)
    after, (h,) = config.get("reset_after", True), states
    bias, of_state = params.get("bias", np.zeros((2, 1))) if after else (params.get("bias", 0), 0)
    az, ar, ah = np.split(x @ params["kernel"] + bias, 3, axis=-1)
    uz, ur, uh = np.split(params["recurrent_kernel"], 3, axis=-1)
    if after:
        bz, br, bh = np.split(np.broadcast_to(of_state, 3 * h.shape[-1]), 3)
    else:
        bz = br = bh = 0
    z = through("recurrent_activation", "sigmoid", az + h @ uz + bz)
    r = through("recurrent_activation", "sigmoid", ar + h @ ur + br)
    new = through("activation", "tanh", ah + (r * (h @ uh + bh) if after else (r * h) @ uh))
    return [z * h + (1 - z) * new]


CELLS = {"SimpleRNN": (simple, 1), "GRU": (gru, 1), "LSTM": (lstm, 2)}
CELLS |= {f"ConvLSTM{rank}D": (conv_lstm, 2) for rank in (1, 2, 3)}


def below(params, prefix):
    return {name[len(prefix):]: value for name, value in params.items() if name.startswith(prefix)}


class Cell:
    """A cell, or several, as one function; a layer that is named after its cell has the cell's options."""

    def __init__(self, spec):
        self.config, name = spec["config"], spec["class_name"]
        if name == "RNN":
            self.__init__(self.config["cell"])
            return
        self.parts = [Cell(cell) for cell in self.config["cells"]] if name == "StackedRNNCells" else []
        self.step, self.states = (None, 0) if self.parts else CELLS[name.removesuffix("Cell")]
        self.states += sum(part.states for part in self.parts)
        self.output = self.states - self.parts[-1].states if self.parts else 0

    def __call__(self, params, x, states):
        if not self.parts:
            return self.step(self.config, params, x, states)
        after = []
        for number, part in enumerate(self.parts):
            of_part = part(below(params, f"cell_{number}."), x, states[len(after):len(after) + part.states])
            x = of_part[part.output]
            after += of_part
        return after

    def zeros(self, params, x):
        """The states that sequences start from: shapes are those that a step of zeros gives, whatever the states are."""
        if self.parts:
            states = []
            for number, part in enumerate(self.parts):
                of_part = part.zeros(below(params, f"cell_{number}."), x)
                x, states = of_part[part.output], states + of_part
            return states
        width = params["recurrent_kernel"].shape[-2]
        shape = x.shape[:1] + (width,)
        if "kernel_size" in self.config:
            shape = twins.correlate(self.config, params["kernel"], x).shape[:-1] + (width,)
        return [np.zeros(shape) for _ in range(self.states)]


def spread(mask, values):
    return np.reshape(mask, mask.shape + (1,) * (values.ndim - 1)).astype(bool)


def run(spec, params, x, states, mask, zero=None):
    """All outputs in the order of the steps taken, and the last states."""
    cell, config = Cell(spec), spec["config"]
    states = states or cell.zeros(params, x[:, 0])
    zero = config.get("zero_output_for_mask", False) if zero is None else zero
    times = range(x.shape[1])
    outputs = []
    for t in reversed(times) if config.get("go_backwards") else times:
        after = cell(params, x[:, t], states)
        counts = np.ones(len(x)) if mask is None else mask[:, t]
        states = [np.where(spread(counts, new), new, old) for new, old in zip(after, states)]
        y = states[cell.output]
        outputs.append(np.where(spread(counts, y), y, 0) if zero else y)
    return np.stack(outputs, 1), states


def one_way(spec, params, x, states, mask, zero=None):
    """What a layer gives, and its states, whether it gives them or not."""
    config = spec["config"]
    y, states = run(spec, params, x, states, mask, zero)
    y = y if config.get("return_sequences") else y[:, -1]
    return [y] + (states if config.get("return_state") else []), states


def both_ways(config, params, x, states, mask):
    forward, sequences = config["layer"], config["layer"]["config"].get("return_sequences", False)
    twin = {"class_name": forward["class_name"], "config": forward["config"] | {"go_backwards": True}}
    backward = config.get("backward_layer") or twin
    count = Cell(forward).states
    (a, *of_a), _ = one_way(forward, below(params, "forward."), x, states[:count], mask, sequences)
    (b, *of_b), _ = one_way(backward, below(params, "backward."), x, states[count:], mask, sequences)
    b = b[:, ::-1] if sequences else b
    mode = config.get("merge_mode", "concat")
    merged = {"concat": lambda: [np.concatenate([a, b], -1)], "sum": lambda: [a + b], "mul": lambda: [a * b],
              "ave": lambda: [(a + b) / 2], None: lambda: [a, b]}[mode]()
    return merged + of_a + of_b


def recurrent(case, tensors):
    """A recurrent layer in inference, with initial states, a mask, and after calls that leave states."""
    spec = {"class_name": case["kind"].split(":")[1], "config": case["config"]}
    params = below(tensors, "param.")
    x, mask = tensors["input"], tensors.get("mask")
    given = twins.several(tensors, "initial_state") if "initial_state.0" in tensors else []

    def outputs(params, x, given):
        if spec["class_name"] == "Bidirectional":
            return both_ways(spec["config"], params, x, given, mask)
        return one_way(spec, params, x, given, mask)[0]

    states = given
    for _ in range(case["call"].get("calls", 1) - 1):
        states = one_way(spec, params, x, states, mask)[1]
    value = outputs(params, x, states)
    upstream = np.concatenate([grad.ravel() for grad in twins.several(tensors, "grad_output")])
    flat = lambda *arguments: np.concatenate([one.ravel() for one in outputs(*arguments)])
    names = ["output"] if len(value) == 1 else [f"output.{i}" for i in range(len(value))]
    result = dict(zip(names, value))
    result["grad.input"] = twins.gradient(lambda x: flat(params, x, states), x, upstream)
    for name, param in params.items():
        # Of large ones a sample: each place is a pass of its own.
        places = np.linspace(0, param.size - 1, min(param.size, 60)).astype(int)
        grad = twins.gradient(lambda w: flat(params | {name: w}, x, states), param, upstream, places)
        result[f"grad.{name}"] = np.unravel_index(places, param.shape), grad
    for i, state in enumerate(given):
        moved = lambda one: flat(params, x, given[:i] + [one] + given[i + 1:])
        result[f"grad.initial_state.{i}"] = twins.gradient(moved, state, upstream)
    return result


TWINS = {f"layer:{name}": recurrent for name in [*CELLS, "RNN", "Bidirectional"]}
