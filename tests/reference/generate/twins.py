"""The formulas behind the cases, in plain numpy: a second opinion on what the peers computed.

A twin takes a case and its tensors and returns tensors to compare. Gradients come from complex steps,
Im f(x + ih)/h, exact to the last digits, so the forward formulas are written for complex numbers: comparisons look
at the real part, and no branch that is not taken may overflow into the result.
"""

import re

import numpy as np
from scipy.special import erf

import twins_recurrent

STEP = 1e-30


def gradient(function, x, grad_output, places=None):
    """∂ sum(function(x) · grad_output)/∂x, at the flat `places` only if given."""
    result = []
    for place in range(x.size) if places is None else places:
        moved = x.astype(complex)
        moved.flat[place] += 1j * STEP
        result.append(np.sum(function(moved).imag * grad_output) / STEP)
    return np.reshape(result, x.shape) if places is None else np.array(result)


def maximum(a, b):
    return np.where(np.real(a) >= np.real(b), a, b)


def absolute(x):
    return np.where(x.real < 0, -x, x)


def clip(x, low, high):
    return np.where(x.real < low, low, np.where(x.real > high, high, x))


def peak(x, axis):
    """The largest real part, or 0 where all are −∞: what softmax subtracts."""
    largest = x.real.max(axis, keepdims=True)
    return np.where(np.isfinite(largest), largest, 0)


# Activations.


def sigmoid(x):
    small = np.exp(-absolute(x))
    return np.where(x.real >= 0, 1 / (1 + small), small / (1 + small))


def softplus(x):
    return np.where(x.real < 0, 0, x) + np.log1p(np.exp(-absolute(x)))


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    y = np.where(x.real > threshold, x, 0 if negative_slope == 0 else negative_slope * (x - threshold))
    return y if max_value is None else np.where(y.real > max_value, max_value, y)


def elu(x, alpha=1.0):
    return np.where(x.real > 0, x, alpha * np.expm1(np.where(x.real > 0, 0, x)))


def celu(x, alpha=1.0):
    return elu(x / alpha) * alpha


def gelu(x, approximate=False):
    if approximate:
        return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / np.sqrt(2))) / 2


def softmax(x, axis=-1):
    axis = tuple(axis) if isinstance(axis, list) else axis
    powers = np.exp(x - peak(x, axis))
    return powers / powers.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    shifted = x - peak(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": relu,
    "relu6": lambda x: relu(x, max_value=6),
    "leaky_relu": lambda x, negative_slope=0.2: np.where(x.real > 0, x, negative_slope * x),
    "elu": elu,
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "celu": celu,
    "gelu": gelu,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: clip(x / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "hard_tanh": lambda x: clip(x, -1, 1),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + absolute(x)),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "exponential": np.exp,
    "log_sigmoid": lambda x: -softplus(-x),
    "tanh_shrink": lambda x: x - np.tanh(x),
}


def activate(spec, x):
    """Applies an activation by name or by `{"name", options}`."""
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    return ACTIVATIONS[options.pop("name")](x, **options)


def activation(case, tensors):
    def function(x):
        return activate({"name": case["kind"].split(":")[1], **case["config"]}, x)

    x = tensors["input"]
    return {"output": function(x), "grad.input": gradient(function, x, tensors["grad_output"])}


# Layers: functions of the config, the parameters by name and the list of inputs.


def dense(config, params, inputs):
    y = inputs[0] @ params["kernel"] + params.get("bias", 0)
    return activate(config.get("activation", "linear"), y)


def per_axis(value, rank):
    return [value] * rank if isinstance(value, int) else list(value)


def axis_sizes(config, rank):
    """Kernel size, strides and dilation of each axis, and what a dilated kernel reaches over."""
    kernel, strides, dilation = (
        per_axis(config.get(name, 1), rank) for name in ("kernel_size", "strides", "dilation_rate")
    )
    return kernel, strides, dilation, [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]


def taps(kernel):
    return np.ndindex(*kernel)


def correlate(config, kernel, x):
    """x convolved with a kernel (…, channels / groups, filters), tap by tap."""
    rank = x.ndim - 2
    size, strides, dilation, reach = axis_sizes(config, rank)
    padding, shape = config.get("padding", "valid"), x.shape[1:-1]
    if padding == "valid":
        out, pads = [(n - r) // s + 1 for n, r, s in zip(shape, reach, strides)], [(0, 0)] * rank
    elif padding == "causal":
        out, pads = [(n - 1) // s + 1 for n, s in zip(shape, strides)], [(r - 1, 0) for r in reach]
    else:
        out = [-(-n // s) for n, s in zip(shape, strides)]
        total = [max((o - 1) * s + r - n, 0) for o, s, r, n in zip(out, strides, reach, shape)]
        pads = [(t // 2, t - t // 2) for t in total]
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    channels, filters = kernel.shape[-2:]
    groups = x.shape[-1] // channels
    y = 0
    for tap in taps(size):
        window = x[(slice(None), *(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilation, out, strides)
        ))]
        parts = window.reshape(*window.shape[:-1], groups, channels)
        weights = kernel[tap].reshape(channels, groups, filters // groups)
        y = y + np.einsum("...gc,cgf->...gf", parts, weights)
    return y.reshape(*y.shape[:-2], filters)


def conv(config, params, inputs):
    y = correlate(config, params["kernel"], inputs[0]) + params.get("bias", 0)
    return activate(config.get("activation", "linear"), y)


def conv_transpose(config, params, inputs):
    """Each cell spreads over a window of a large enough output, of which a part is kept."""
    x, kernel = inputs[0], params["kernel"]
    rank = x.ndim - 2
    size, strides, dilation, reach = axis_sizes(config, rank)
    given, same = config.get("output_padding"), config.get("padding", "valid") == "same"
    extra = [None] * rank if given is None else per_axis(given, rank)
    out, crop = [], []
    for n, k, s, e in zip(x.shape[1:-1], reach, strides, extra):
        if not same:
            out.append((n - 1) * s + (max(k, s) if e is None else k + e))
            crop.append(0)
        elif e is None:
            out.append(n * s)
            crop.append(max(k - s, 0) // 2)
        else:
            out.append((n - 1) * s + k % 2 + e)
            crop.append(k - 1 - min(-(-(k + k % 2 - 2 + e) // 2), k - 1))
    spread = [max((n - 1) * s + k, o + c) for n, s, k, o, c in zip(x.shape[1:-1], strides, reach, out, crop)]
    y = np.zeros((len(x), *spread, kernel.shape[-2]), np.result_type(x, kernel))
    for tap in taps(size):
        place = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, x.shape[1:-1], strides)]
        y[(slice(None), *place)] += x @ kernel[tap].T
    y = y[(slice(None), *(slice(c, c + o) for c, o in zip(crop, out)))] + params.get("bias", 0)
    return activate(config.get("activation", "linear"), y)


def depthwise_conv(config, params, inputs, name="kernel"):
    """A convolution with as many groups as channels."""
    kernel = params[name]
    y = correlate(config, kernel.reshape(*kernel.shape[:-2], 1, -1), inputs[0]) + params.get("bias", 0)
    return activate(config.get("activation", "linear"), y)


def separable_conv(config, params, inputs):
    between = {name: value for name, value in config.items() if name != "activation"}
    kernel = {"depthwise_kernel": params["depthwise_kernel"]}
    y = depthwise_conv(between, kernel, inputs, "depthwise_kernel")
    y = correlate({}, params["pointwise_kernel"], y) + params.get("bias", 0)
    return activate(config.get("activation", "linear"), y)


def prelu(config, params, inputs):
    return np.where(inputs[0].real > 0, inputs[0], params["alpha"] * inputs[0])


def dot(config, params, inputs):
    axes = config["axes"] if isinstance(config["axes"], list) else [config["axes"]] * 2
    if config.get("normalize"):
        inputs = [x / np.sqrt(maximum((x * x).sum(axis, keepdims=True), 1e-12)) for x, axis in zip(inputs, axes)]
    left, right = (np.moveaxis(x, axis, -1) for x, axis in zip(inputs, axes))
    rows = [a @ b.T if b.ndim > 1 else a @ b for a, b in zip(left, right)]
    return np.array(rows).reshape(len(rows), *(rows[0].shape or (1,)))


def repeatedly(combine):
    """A merge of any number of inputs; one of lower rank gets new axes after the batch."""
    def merge(config, params, inputs):
        rank = max(x.ndim for x in inputs)
        inputs = [x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:]) for x in inputs]
        result = inputs[0]
        for x in inputs[1:]:
            result = combine(result, x)
        return result

    return merge


def identity(config, params, inputs):
    return inputs[0]


def by_activation(name):
    """A layer that is an activation with its options."""
    return lambda config, params, inputs: activate({"name": name, **config}, inputs[0])


def flatten(config, params, inputs):
    return inputs[0].reshape(len(inputs[0]), -1)


add = repeatedly(lambda a, b: a + b)

LAYERS = {
    "Dense": dense,
    **{f"Conv{rank}D": conv for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": conv_transpose for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": depthwise_conv for rank in (1, 2)},
    **{f"SeparableConv{rank}D": separable_conv for rank in (1, 2)},
    "Activation": lambda config, params, inputs: activate(config["activation"], inputs[0]),
    "ReLU": by_activation("relu"),
    "LeakyReLU": lambda c, params, inputs: ACTIVATIONS["leaky_relu"](inputs[0], c.get("negative_slope", 0.3)),
    "ELU": by_activation("elu"),
    "Softmax": by_activation("softmax"),
    "PReLU": prelu,
    "Flatten": flatten,
    "Reshape": lambda config, params, inputs: inputs[0].reshape(len(inputs[0]), *config["target_shape"]),
    "Permute": lambda config, params, inputs: inputs[0].transpose(0, *config["dims"]),
    "RepeatVector": lambda config, params, inputs: np.repeat(inputs[0][:, None], config["n"], axis=1),
    "Dropout": identity,
    "GaussianNoise": identity,
    "GaussianDropout": identity,
    "AlphaDropout": identity,
    "SpatialDropout1D": identity,
    "SpatialDropout2D": identity,
    "SpatialDropout3D": identity,
    "Identity": identity,
    "ActivityRegularization": identity,
    "Rescaling": lambda config, params, inputs: inputs[0] * config["scale"] + config.get("offset", 0),
    "Add": add,
    "Subtract": repeatedly(lambda a, b: a - b),
    "Multiply": repeatedly(lambda a, b: a * b),
    "Average": lambda config, params, inputs: add(config, params, inputs) / len(inputs),
    "Maximum": repeatedly(maximum),
    "Minimum": repeatedly(lambda a, b: np.where(a.real < b.real, a, b)),
    "Concatenate": lambda config, params, inputs: np.concatenate(inputs, config.get("axis", -1)),
    "Dot": dot,
}


def several(tensors, name):
    """The tensors `name.0`, `name.1` … or the one `name`."""
    numbered = [tensors[f"{name}.{i}"] for i in range(len(tensors)) if f"{name}.{i}" in tensors]
    return numbered or [tensors[name]]


def layer(case, tensors):
    function = LAYERS[case["kind"].split(":")[1]]
    inputs = several(tensors, "input")
    params = {name[6:]: value for name, value in tensors.items() if name.startswith("param.")}
    result = {"output": function(case["config"], params, inputs)}
    for name in params:
        result[f"grad.{name}"] = gradient(
            lambda w: function(case["config"], params | {name: w}, inputs), params[name], tensors["grad_output"]
        )
    for i, x in enumerate(inputs):
        result[f"grad.input.{i}" if len(inputs) > 1 else "grad.input"] = gradient(
            lambda x: function(case["config"], params, inputs[:i] + [x] + inputs[i + 1:]), x, tensors["grad_output"]
        )
    return result


# Layers that have a twin by themselves, not within a model.


def cells(config, size, axis):
    """For every window along an axis, the cells that lie in it; padding is left out."""
    of_axis = lambda value: value[axis] if isinstance(value, list) else value
    pool = of_axis(config.get("pool_size", 2))
    stride = of_axis(config["strides"]) if config.get("strides") else pool
    before, count = 0, (size - pool) // stride + 1
    if config.get("padding") == "same":
        count = -(-size // stride)
        before = max((count - 1) * stride + pool - size, 0) // 2
    starts = [i * stride - before for i in range(count)]
    return [range(max(start, 0), min(start + pool, size)) for start in starts]


def first_of_largest(x):
    """Over the middle axis of (batch, cells, channels)."""
    place = np.argmax(np.where(np.isnan(x.real), np.inf, x.real), axis=1)
    return np.take_along_axis(x, place[:, None], axis=1)[:, 0]


def pooled(reduce):
    def pool(config, params, inputs):
        x = inputs[0]
        sizes = x.shape[1:-1]
        along = [cells(config, size, axis) for axis, size in enumerate(sizes)]
        output = np.zeros((len(x), *map(len, along), x.shape[-1]), x.dtype)
        for place in np.ndindex(*map(len, along)):
            window = x[np.ix_(range(len(x)), *(axis[i] for axis, i in zip(along, place)), range(x.shape[-1]))]
            output[(slice(None), *place)] = reduce(window.reshape(len(x), -1, x.shape[-1]))
        return output

    return pool


def pooled_whole(reduce):
    def pool(config, params, inputs):
        x = inputs[0]
        flat = x.reshape(len(x), -1, x.shape[-1])
        if "mask" in params:
            kept = params["mask"][:, :, None].astype(bool)
            output = np.where(kept, flat, 0).sum(1) / kept.sum(1)
        else:
            output = reduce(flat)
        return output.reshape(len(x), *[1] * (x.ndim - 2), -1) if config.get("keepdims") else output

    return pool


def sides(value, rank):
    """Before and behind along each of `rank` axes."""
    if isinstance(value, int):
        return [(value, value)] * rank
    if rank == 1:
        return [tuple(value)]
    return [tuple(one) if isinstance(one, list) else (one, one) for one in value]


def zero_padding(config, params, inputs):
    return np.pad(inputs[0], [(0, 0), *sides(config.get("padding", 1), inputs[0].ndim - 2), (0, 0)])


def cropping(config, params, inputs):
    default = 0 if inputs[0].ndim == 4 else 1
    pairs = sides(config.get("cropping", default), inputs[0].ndim - 2)
    return inputs[0][(slice(None), *(slice(a, n - b) for (a, b), n in zip(pairs, inputs[0].shape[1:])))]


def up_sampling(config, params, inputs):
    x, rank = inputs[0], inputs[0].ndim - 2
    times = config.get("size", 2)
    times = times if isinstance(times, list) else [times] * rank
    for axis, factor in enumerate(times, 1):
        if config.get("interpolation") == "bilinear":
            place = np.clip((np.arange(x.shape[axis] * factor) + 0.5) / factor - 0.5, 0, x.shape[axis] - 1)
            low = np.floor(place).astype(int)
            share = (place - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            high = np.minimum(low + 1, x.shape[axis] - 1)
            x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
        else:
            x = x.repeat(factor, axis)
    return x


def along(values, axis, rank):
    """A vector so that it goes along one of `rank` axes."""
    return np.reshape(values, [-1 if i == axis % rank else 1 for i in range(rank)])


def batch_normalization(config, params, inputs):
    x, axis = inputs[0], config.get("axis", -1)
    mean, variance = (along(value, axis, x.ndim) for value in batch_statistics(config, params, x))
    y = (x - mean) / np.sqrt(variance + config.get("epsilon", 1e-3))
    y = y * along(params["gamma"], axis, x.ndim) if "gamma" in params else y
    return y + along(params["beta"], axis, x.ndim) if "beta" in params else y


def batch_statistics(config, params, x):
    """In training those of the batch, of the steps that a mask leaves."""
    if not params["training"] or not config.get("trainable", True):
        return params["moving_mean"], params["moving_variance"]
    others = tuple(i for i in range(x.ndim) if i != config.get("axis", -1) % x.ndim)
    kept, count = np.ones(x.shape), np.prod([x.shape[i] for i in others])
    if "mask" in params:
        kept = np.broadcast_to(params["mask"][..., None], x.shape)
        count = kept.sum(others) + 1e-7
    mean = (kept * x).sum(others) / count
    centred = x - along(mean, config.get("axis", -1), x.ndim)
    return mean, (kept * centred**2).sum(others) / count


def moving_statistics(case, tensors, params):
    """After all calls, on the same input."""
    mean, variance = tensors["param.moving_mean"], tensors["param.moving_variance"]
    if case["config"].get("trainable", True):
        of_batch = batch_statistics(case["config"], params, tensors["input"])
        m = case["config"].get("momentum", 0.99)
        for _ in range(case["call"].get("calls", 1)):
            mean, variance = mean * m + of_batch[0] * (1 - m), variance * m + of_batch[1] * (1 - m)
    return {"updated.moving_mean": mean, "updated.moving_variance": variance}


def group_normalization(config, params, inputs):
    x, axis = inputs[0], config.get("axis", -1) % inputs[0].ndim
    channels, groups = x.shape[axis], config.get("groups", 32)
    groups = channels if groups == -1 else groups
    apart = x.reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1:])
    others = tuple(i for i in range(1, apart.ndim) if i != axis)
    centred = apart - apart.mean(others, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(others, keepdims=True) + config.get("epsilon", 1e-3))
    y = y.reshape(x.shape)
    y = y * along(params["gamma"], axis, x.ndim) if "gamma" in params else y
    return y + along(params["beta"], axis, x.ndim) if "beta" in params else y


def chosen(config, x):
    axes = config.get("axis", -1)
    return tuple(sorted(axis % x.ndim for axis in (axes if isinstance(axes, list) else [axes])))


def over(values, axes, x):
    return np.reshape(values, [n if i in axes else 1 for i, n in enumerate(x.shape)])


def layer_normalization(config, params, inputs):
    x, axes = inputs[0], chosen(config, inputs[0])
    centred = x - x.mean(axes, keepdims=True)
    top = x if config.get("rms_scaling") else centred
    y = top / np.sqrt((centred**2).mean(axes, keepdims=True) + config.get("epsilon", 1e-3))
    y = y * over(params["gamma"], axes, x) if "gamma" in params else y
    return y + over(params["beta"], axes, x) if "beta" in params else y


def rms_normalization(config, params, inputs):
    x, axes = inputs[0], chosen(config, inputs[0])
    y = x / np.sqrt((x**2).mean(axes, keepdims=True) + config.get("epsilon", 1e-6))
    return y * over(params["scale"], axes, x)


def unit_normalization(config, params, inputs):
    return inputs[0] / np.sqrt((inputs[0] ** 2).sum(chosen(config, inputs[0]), keepdims=True))


MEAN = lambda x: x.mean(1)
LONE_LAYERS = {
    **{f"MaxPool{rank}D": pooled(first_of_largest) for rank in (1, 2, 3)},
    **{f"AvgPool{rank}D": pooled(MEAN) for rank in (1, 2, 3)},
    **{f"GlobalMaxPool{rank}D": pooled_whole(first_of_largest) for rank in (1, 2, 3)},
    **{f"GlobalAvgPool{rank}D": pooled_whole(MEAN) for rank in (1, 2, 3)},
    **{f"ZeroPadding{rank}D": zero_padding for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": cropping for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": up_sampling for rank in (1, 2, 3)},
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "UnitNormalization": unit_normalization,
}


def lone_layer(case, tensors):
    """A layer in inference or training, with a mask and with state."""
    function, config = LONE_LAYERS[case["kind"].split(":")[1]], case["config"]
    params = {name[6:]: value for name, value in tensors.items() if name.startswith("param.")}
    circumstances = {"training": case["call"]["training"]} | ({"mask": tensors["mask"]} if "mask" in tensors else {})
    x, given = tensors["input"], params | circumstances
    result = {"output": function(config, given, [x])}
    result["grad.input"] = gradient(lambda x: function(config, given, [x]), x, tensors["grad_output"])
    for name in params:
        if f"grad.{name}" in tensors:
            result[f"grad.{name}"] = gradient(
                lambda w: function(config, given | {name: w}, [x]), params[name], tensors["grad_output"]
            )
    return result | (moving_statistics(case, tensors, given) if "moving_mean" in params and given["training"] else {})


# Losses: each gives the losses before reduction and, where some do not count, a mask.


def squared(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(-1), None


def absolute_error(y_true, y_pred):
    difference = y_pred - y_true
    return np.where(difference.real == 0, 0, absolute(difference)).mean(-1), None


def log_probabilities(y_pred, from_logits, axis):
    if from_logits:
        return log_softmax(y_pred, axis)
    return np.log(clip(y_pred / y_pred.sum(axis, keepdims=True), 1e-7, 1 - 1e-7))


def categorical(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return -(y_true * log_probabilities(y_pred, from_logits, axis)).sum(axis), None


def sparse(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    counts = np.ones(y_true.shape, bool) if ignore_class is None else y_true != ignore_class
    logs = log_probabilities(y_pred, from_logits, axis)
    picked = np.take_along_axis(logs, np.expand_dims(np.where(counts, y_true, 0), axis), axis)
    losses = np.where(counts, -np.squeeze(picked, axis), 0)
    return losses, None if ignore_class is None else counts


def binary(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    y_true = y_true * (1 - label_smoothing) + label_smoothing / 2
    if from_logits:
        return (y_true * softplus(-y_pred) + (1 - y_true) * softplus(y_pred)).mean(axis), None
    p = clip(y_pred, 1e-7, 1 - 1e-7)
    return -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)).mean(axis), None


LOSSES = {
    "MeanSquaredError": squared,
    "MeanAbsoluteError": absolute_error,
    "CategoricalCrossentropy": categorical,
    "SparseCategoricalCrossentropy": sparse,
    "BinaryCrossentropy": binary,
}


def reduce(losses, mask, weight, reduction):
    """Keras's reduction. A mask counts as a weight, and the means divide by the number that count.

    `mean_with_sample_weight` divides by the sum of the weights as given: one a sample counts once for all its elements.
    """
    counted = losses.size if mask is None else mask.sum()
    weight = np.ones(losses.shape) if weight is None else weight
    if weight.ndim == losses.ndim + 1:
        weight = weight[..., 0]
    if mask is not None:
        weight = weight * mask
    if reduction is None:
        return losses * weight
    total = (losses * weight).sum()
    divisor = {"sum": 1, "mean_with_sample_weight": weight.sum()}.get(reduction, counted)
    return total / divisor if divisor else 0 * total


def keras_loss(name, config, y_true, y_pred, weight=None):
    options = dict(config)
    reduction = options.pop("reduction", "sum_over_batch_size")
    if y_true.ndim < y_pred.ndim and not name.startswith("Sparse"):
        y_true = y_true[..., None]
    if y_true.ndim == y_pred.ndim and name.startswith("Sparse"):
        y_true = y_true[..., 0]
    losses, mask = LOSSES[name](y_true, y_pred, **options)
    return reduce(losses, mask, weight, reduction)


def loss(case, tensors):
    name = case["kind"].split(":")[1]
    if name.startswith("torch."):
        function = torch_loss(name[6:], case["config"], tensors["y_true"])
    else:
        def function(y_pred):
            return keras_loss(name, case["config"], tensors["y_true"], y_pred, tensors.get("sample_weight"))
    y_pred = tensors["y_pred"]
    grad = gradient(function, y_pred, tensors.get("grad_output", 1))
    if name == "torch.BCELoss" and "extreme" in case["tags"]:  # its backward pass is not that of its clamped forward
        grad = (y_pred - tensors["y_true"]) / np.maximum(y_pred * (1 - y_pred), 1e-12)
    return {"output": function(y_pred), "grad.y_pred": grad}


def torch_loss(name, config, y_true):
    """PyTorch's losses: means are over elements, or for classes over the weights of the targets."""
    weight = np.array(config["weight"]) if "weight" in config else np.ones(1)
    smoothing = config.get("label_smoothing", 0.0)

    def values(p):
        if name == "MSELoss":
            return (p - y_true) ** 2, None
        if name == "L1Loss":
            return np.where(p.real == y_true, 0, absolute(p - y_true)), None
        if name == "BCELoss":
            with np.errstate(divide="ignore"):
                logs = [np.where(q.real < np.exp(-100), -100, np.log(q)) for q in (p, 1 - p)]
            return -weight * (y_true * logs[0] + (1 - y_true) * logs[1]), None
        if name == "BCEWithLogitsLoss":
            positive = np.array(config.get("pos_weight", 1.0))
            return weight * (positive * y_true * softplus(-p) + (1 - y_true) * softplus(p)), None
        logs = log_softmax(p) if name == "CrossEntropyLoss" else p
        weights = np.broadcast_to(weight, p.shape[-1:])
        if y_true.ndim == p.ndim:
            smooth = y_true * (1 - smoothing) + smoothing / p.shape[-1]
            losses = -(weights * smooth * logs).sum(-1)
            return losses, losses.size
        counts = y_true != config.get("ignore_index", -100)
        label = np.where(counts, y_true, 0)
        losses = -(1 - smoothing) * weights[label] * np.take_along_axis(logs, label[..., None], -1)[..., 0]
        losses = losses - smoothing / p.shape[-1] * (weights * logs).sum(-1)
        return np.where(counts, losses, 0), (weights[label] * counts).sum()

    def function(p):
        losses, divisor = values(p)
        return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / (divisor or losses.size)}[
            config.get("reduction", "mean")
        ]

    return function


# Optimizers: a function of the step's number (from 1), rate, weights, gradients and the slots that it keeps.


def rate_at(rate, step):
    if not isinstance(rate, dict):
        return rate
    config = rate["config"]
    exponent = step / config["decay_steps"]
    if config.get("staircase"):
        exponent = np.floor(exponent)
    return config["initial_learning_rate"] * config["decay_rate"] ** exponent


def keras_sgd(config, step, rate, w, g, slots):
    momentum = config.get("momentum", 0)
    slots["m"] = momentum * slots.get("m", 0) - rate * g
    return w + (momentum * slots["m"] - rate * g if config.get("nesterov") else slots["m"])


def keras_adam(config, step, rate, w, g, slots):
    b1, b2 = config.get("beta_1", 0.9), config.get("beta_2", 0.999)
    slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
    slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
    slots["top"] = np.maximum(slots.get("top", 0), slots["v"])
    v = slots["top"] if config.get("amsgrad") else slots["v"]
    alpha = rate * np.sqrt(1 - b2**step) / (1 - b1**step)
    return w - alpha * slots["m"] / (np.sqrt(v) + config.get("epsilon", 1e-7))


def keras_rmsprop(config, step, rate, w, g, slots):
    rho = config.get("rho", 0.9)
    slots["v"] = rho * slots.get("v", 0) + (1 - rho) * g * g
    slots["mean"] = rho * slots.get("mean", 0) + (1 - rho) * g
    centre = slots["mean"] ** 2 if config.get("centered") else 0
    increment = rate * g / np.sqrt(slots["v"] - centre + config.get("epsilon", 1e-7))
    slots["m"] = config.get("momentum", 0) * slots.get("m", 0) + increment
    return w - slots["m"]


def keras_adafactor(config, step, rate, w, g, slots):
    """r and c as sums over axes; v by the outer product of the two."""
    share, limit = step ** config.get("beta_2_decay", -0.8), min(rate, step**-0.5)
    square = g * g + config.get("epsilon_1", 1e-30)
    for name, axis in (("r", -1), ("c", -2)) if w.ndim > 1 else (("v", None),):
        new = square if axis is None else square.mean(axis, keepdims=True)
        slots[name] = slots.get(name, 0) + share * (new - slots.get(name, 0))
    v = slots["r"] * slots["c"] / slots["r"].mean(-2, keepdims=True) if w.ndim > 1 else slots["v"]
    u = g * v**-0.5
    size = max(config.get("epsilon_2", 1e-3), np.sqrt((w * w).mean()))
    return w - size * limit * u / max(1, np.sqrt((u * u).mean()) / config.get("clip_threshold", 1))


def muon_turns(config, w, path):
    """Whether Muon makes a step of this weight orthogonal: else it goes as by Adam."""
    table = config.get("exclude_embeddings", True) and "embedding" in path.lower()
    named = any(re.search(word, path) for word in config.get("exclude_layers", []))
    return w.ndim == 2 and not table and not named


def keras_muon(config, step, rate, w, g, slots, path):
    """The iteration works on the singular values alone, one by one."""
    if not muon_turns(config, w, path):
        adam = {"beta_1": config.get("adam_beta_1", 0.9), "beta_2": config.get("adam_beta_2", 0.999)}
        adam["epsilon"] = config.get("epsilon", 1e-7)
        return keras_adam(adam, step, rate * config.get("adam_lr_ratio", 1), w, g, slots)
    momentum = config.get("momentum", 0.95)
    slots["m"] = momentum * slots.get("m", 0) + g
    left, values, right = np.linalg.svd(g + momentum * slots["m"] if config.get("nesterov", True) else slots["m"], False)
    values = values / (np.sqrt((values * values).sum()) + 1e-7)
    for _ in range(config.get("ns_steps", 5)):
        values = (
            config.get("muon_a", 3.4445) * values
            + config.get("muon_b", -4.775) * values**3
            + config.get("muon_c", 2.0315) * values**5
        )
    size = config.get("rms_rate", 0.2)
    return w - rate * (1 if size is None else size * np.sqrt(max(w.shape))) * (left * values) @ right


KERAS_OPTIMIZERS = {
    "SGD": (keras_sgd, None), "Adam": (keras_adam, None), "AdamW": (keras_adam, 0.004), "RMSprop": (keras_rmsprop, None),
    "Adafactor": (keras_adafactor, None), "Muon": (keras_muon, 0.004),
}


def clipped(config, grads):
    if "clipnorm" in config:
        return [g * min(1, config["clipnorm"] / np.sqrt((g * g).sum())) for g in grads]
    if "global_clipnorm" in config:
        norm = np.sqrt(sum((g * g).sum() for g in grads))
        return [g * min(1, config["global_clipnorm"] / norm) for g in grads]
    limit = config.get("clipvalue", np.inf)
    return [np.clip(g, -limit, limit) for g in grads]


def keras_updates(name, config, weights, calls, gradients, constrain=list, paths=None):
    """The weights after each call of an optimizer, and at last their averages if it keeps any.

    Clip, decay, step, constrain, average: schedule and average count calls, the step's number and overwriting updates.
    `gradients(call, weights)` are those of a call.
    """
    algorithm, decay = KERAS_OPTIMIZERS[name]
    decays = [config.get("weight_decay", decay) or 0 for _ in weights]
    more = [{} for _ in weights]
    if name == "Muon":
        more = [{"path": path} for path in paths]
        for i, (w, path) in enumerate(zip(weights, paths)):
            if not muon_turns(config, w, path):
                decays[i] = config.get("adam_weight_decay", 0.004) or 0
    every = config.get("gradient_accumulation_steps", 1)
    slots, average, waiting, path = [{} for _ in weights], None, [0 for _ in weights], []
    for call in range(calls):
        updates, rate = call // every, rate_at(config.get("learning_rate", 0.001), call)
        waiting = [sum + g for sum, g in zip(waiting, gradients(call, weights))]
        if (call + 1) % every == 0:
            grads = clipped(config, [sum / every for sum in waiting])
            waiting = [0 for _ in weights]
            weights = [w - w * decay * rate for w, decay in zip(weights, decays)]
            weights = [
                algorithm(config, updates + 1, rate, w, g, s, **kw) for w, g, s, kw in zip(weights, grads, slots, more)
            ]
        if config.get("use_ema"):
            momentum = config.get("ema_momentum", 0.99) if updates > 0 else 0
            average = [momentum * (average[i] if average else 0) + (1 - momentum) * w for i, w in enumerate(weights)]
            if (updates + 1) % config.get("ema_overwrite_frequency", np.inf) == 0:
                weights = average
        weights = constrain(weights)
        path.append(weights)
    return path, average


def keras_optimizer(case, tensors):
    grads = [tensors["grads.w"], tensors["grads.b"]]
    path, average = keras_updates(
        case["kind"].split(":")[1], case["config"], [tensors["param.w"], tensors["param.b"]], len(grads[0]),
        lambda call, weights: [g[call] for g in grads], paths=[f"{case['call'].get('layer', 'l')}/{which}" for which in "wb"],
    )
    result = {f"output.{which}": np.stack([weights[i] for weights in path]) for i, which in enumerate("wb")}
    if average:
        result |= {f"output.final.{which}": average[i] for i, which in enumerate("wb")}
    return result


def torch_sgd(config, step, w, g, slots):
    momentum = config.get("momentum", 0)
    if momentum:
        slots["m"] = momentum * slots["m"] + (1 - config.get("dampening", 0)) * g if slots else g
        g = g + momentum * slots["m"] if config.get("nesterov") else slots["m"]
    return w - config["lr"] * g


def torch_adam(config, step, w, g, slots):
    b1, b2 = config.get("betas", [0.9, 0.999])
    slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
    slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
    slots["top"] = np.maximum(slots.get("top", 0), slots["v"])
    v = slots["top"] if config.get("amsgrad") else slots["v"]
    root = np.sqrt(v) / np.sqrt(1 - b2**step) + config.get("eps", 1e-8)
    return w - config["lr"] / (1 - b1**step) * slots["m"] / root


def torch_rmsprop(config, step, w, g, slots):
    alpha = config.get("alpha", 0.99)
    slots["v"] = alpha * slots.get("v", 0) + (1 - alpha) * g * g
    slots["mean"] = alpha * slots.get("mean", 0) + (1 - alpha) * g
    centre = slots["mean"] ** 2 if config.get("centered") else 0
    increment = g / (np.sqrt(slots["v"] - centre) + config.get("eps", 1e-8))
    slots["m"] = config.get("momentum", 0) * slots.get("m", 0) + increment
    return w - config["lr"] * slots["m"]


TORCH_OPTIMIZERS = {"SGD": torch_sgd, "Adam": torch_adam, "AdamW": torch_adam, "RMSprop": torch_rmsprop}


def torch_optimizer(case, tensors):
    """Decay is added to the gradient, but for AdamW, where it shrinks the weight first."""
    config, name = case["config"], case["kind"].split(".")[1]
    result = {}
    for which in "wb":
        w, slots, path = tensors[f"param.{which}"], {}, []
        for step, g in enumerate(tensors[f"grads.{which}"], 1):
            g = -g if config.get("maximize") else g
            if name == "AdamW":
                w = w * (1 - config["lr"] * config.get("weight_decay", 0.01))
            else:
                g = g + config.get("weight_decay", 0) * w
            w = TORCH_OPTIMIZERS[name](config, step, w, g, slots)
            path.append(w)
        result[f"output.{which}"] = np.stack(path)
    return result


# Schedules and callbacks.


def exponential_decay(case, tensors):
    return {"output": rate_at({"config": case["config"]}, tensors["input"])}


def early_stopping(case, tensors):
    config = case["config"]
    restore, baseline = config.get("restore_best_weights", False), config.get("baseline")
    sign = -1 if config.get("mode") == "max" else 1
    best, kept, wait, stopped, best_epoch = None, None, 0, 0, 0

    def better(value, reference):
        return reference is None or sign * value + abs(config.get("min_delta", 0)) < sign * reference

    for epoch, value in enumerate(tensors["input"]):
        if epoch < config.get("start_from_epoch", 0):
            continue
        if kept is None:
            kept, best_epoch = epoch, epoch if restore else best_epoch
        wait += 1
        if better(value, best):
            best, kept, best_epoch = value, epoch, epoch
            wait = 0 if better(value, baseline) else wait
        elif wait >= config.get("patience", 0) and epoch > 0:
            stopped = epoch
            break
    return {
        "output.stopped_epoch": stopped,
        "output.epochs_run": epoch + 1,
        "output.best_epoch": best_epoch,
        "output.best": np.nan if best is None else best,
        "output.weights_epoch": kept if restore and kept is not None else epoch,
    }


# Metrics: the values of all elements, then their mean.


def among_the_best(labels, scores, k):
    higher = (scores > np.take_along_axis(scores, labels[..., None], -1)).sum(-1)
    return higher < k


def metric_values(name, config, y_true, y_pred):
    if name == "Accuracy":
        return y_true == y_pred
    if name == "BinaryAccuracy":
        return y_true == (y_pred > config.get("threshold", 0.5))
    if name == "MeanSquaredError":
        return ((y_true - y_pred) ** 2).mean(-1)
    if name == "MeanAbsoluteError":
        return np.abs(y_true - y_pred).mean(-1)
    if config.get("from_sorted_ids"):
        return (y_pred[..., :config["k"]] == y_true[..., None]).any(-1)
    labels = y_true if name.startswith("Sparse") else y_true.argmax(-1)
    if labels.ndim == y_pred.ndim:
        labels = labels[..., 0]
    if "TopK" in name:
        return among_the_best(labels, y_pred, config.get("k", 5))
    return labels == y_pred.argmax(-1)


def metric(case, tensors):
    """Σ weight · value / Σ weight, where samples with fewer weights than values are averaged first."""
    name = case["kind"].split(".")[1]
    total = count = 0
    for rows in case["call"].get("batches", [slice(None)]):
        batch = {key: tensor[rows] for key, tensor in tensors.items() if tensor.ndim}
        values = metric_values(name, case["config"], batch["y_true"], batch["y_pred"])
        weight = batch.get("sample_weight", np.ones(len(values)))
        if values.ndim == weight.ndim + 1 and values.shape[-1] == 1:
            values = values[..., 0]
        values = values.reshape(*weight.shape, -1).mean(-1)
        total += (values * weight).reshape(len(weight), -1).mean(-1).sum()
        count += weight.reshape(len(weight), -1).mean(-1).sum()
    return {"output": total / count if count else 0.0}


# Models: a whole training run where the model is small or the MNIST script's, else the first loss and a sample of
# its gradients; and the predictions of the final weights.

SMALL, SAMPLE = 1500, 12


def run(spec, params, inputs):
    """The outputs and the activity penalties of a Sequential or functional model."""
    layers, penalty = spec["config"]["layers"], 0
    if spec["class_name"] == "Sequential":
        names = ["input", *(one["config"]["name"] for one in layers[1:])]
        layers = [
            {**one, "name": name, "inbound_nodes": [[[before, 0, 0]]] if before else []}
            for one, name, before in zip(layers, names, [None, *names])
        ]
        spec = {"config": {"input_layers": [["input", 0, 0]], "output_layers": [[names[-1], 0, 0]]}}
    values = {(name, 0): x for (name, *_), x in zip(spec["config"]["input_layers"], inputs)}
    for one in layers:
        name, config = one["name"], one["config"]
        mine = {key[len(name) + 1:]: value for key, value in params.items() if key.startswith(f"{name}.")}
        for call, sources in enumerate(one["inbound_nodes"]):
            y = LAYERS[one["class_name"]](config, mine, [values[source, index] for source, index, _ in sources])
            values[name, call] = y
            penalty = penalty + regularize(config.get("activity_regularizer"), y) / len(y)
    return [values[name, index] for name, index, _ in spec["config"]["output_layers"]], penalty


def regularize(spec, x):
    config = spec["config"] if spec else {}
    return config.get("l1", 0) * absolute(x + 0j).sum() + config.get("l2", 0) * (x * x).sum()


def penalties(spec, params):
    """Those of the weights, frozen ones left out."""
    total = 0
    for one in spec["config"]["layers"]:
        if one["config"].get("trainable", True):
            for key, value in one["config"].items():
                if key.endswith("_regularizer") and not key.startswith("activity"):
                    total = total + regularize(value, params[f"{one['config']['name']}.{key[:-12]}"])
    return total


def batch_weight(case, tensors, rows):
    if "sample_weight" in tensors:
        return tensors["sample_weight"][rows]
    if "class_weight" not in case["config"]:
        return None
    labels = tensors["y_true"][rows]
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[:, 0]
    return np.array([case["config"]["class_weight"][str(int(label))] for label in labels])


def constraint(spec, w):
    """Keras's constraints; norms are over `axis`, 0 by default."""
    config, name = spec["config"], spec["class_name"]
    if name == "NonNeg":
        return np.maximum(w, 0)
    axis = config.get("axis", 0)
    norm = np.sqrt((w * w).sum(tuple(axis) if isinstance(axis, list) else axis, keepdims=True))
    rate, low, high = config.get("rate", 1), config.get("min_value", 0), config.get("max_value", 1)
    wanted = 1 if name == "UnitNorm" else rate * np.clip(norm, low, high) + (1 - rate) * norm
    return w * wanted / (norm + 1e-7)


def constrained(spec, names, weights):
    """The weights of these names after the constraints of their layers."""
    layers = {one["config"].get("name"): one["config"] for one in spec["config"]["layers"]}
    result = []
    for name, w in zip(names, weights):
        of_layer, of_weight = name.split(".")
        rule = layers[of_layer].get(f"{of_weight}_constraint")
        result.append(constraint(rule, w) if rule else w)
    return result


def total_loss(case, tensors, call, params):
    """The loss of a call's batch with all penalties."""
    config = case["config"]
    rows = config["batches"][call]
    inputs = [x[rows] / 255 if x.dtype == np.uint8 else x[rows] for x in several(tensors, "input")]
    losses = config["loss"] if isinstance(config["loss"], list) else [config["loss"]]
    outputs, total = run(config["model"], params, inputs)
    for spec, factor, y_true, y_pred in zip(
        losses, config.get("loss_weights", [1] * len(losses)), several(tensors, "y_true"), outputs
    ):
        weight = batch_weight(case, tensors, rows)
        total = total + factor * keras_loss(spec["class_name"], spec["config"], y_true[rows], y_pred, weight)
    return np.asarray(total + penalties(config["model"], params))


def two_layer_gradients(case, tensors, call, params):
    """Gradients of the MNIST script's network by hand: Flatten, Dense relu, Dense softmax, cross-entropy."""
    rows = case["config"]["batches"][call]
    x = tensors["input"][rows].reshape(len(rows), -1) / 255
    before = x @ params["dense.kernel"] + params["dense.bias"]
    hidden = np.maximum(before, 0)
    p = softmax(hidden @ params["dense_1.kernel"] + params["dense_1.bias"])
    grad = (p - tensors["y_true"][rows]) / len(rows)
    grad_before = grad @ params["dense_1.kernel"].T * (before > 0)
    return {
        "dense.kernel": x.T @ grad_before, "dense.bias": grad_before.sum(0),
        "dense_1.kernel": hidden.T @ grad, "dense_1.bias": grad.sum(0),
    }


def model(case, tensors):
    config = case["config"]
    start = {name[6:]: value for name, value in tensors.items() if name.startswith("param.")}
    frozen = {one["config"]["name"] for one in config["model"]["config"]["layers"]
              if not one["config"].get("trainable", True)}
    names = [name for name in start if name.split(".")[0] not in frozen]
    by_hand = case["id"].startswith("mnist_mlp")
    result, final = {}, {}

    if by_hand or sum(w.size for w in start.values()) < SMALL:
        losses, first = [], {}

        def gradients(call, weights):
            params = start | dict(zip(names, weights))
            losses.append(total_loss(case, tensors, call, params))
            grads = two_layer_gradients(case, tensors, call, params) if by_hand else {
                name: gradient(lambda w: total_loss(case, tensors, call, params | {name: w}), params[name], 1)
                for name in names
            }
            if call == 0:
                first.update(grads)
            return [grads[name] for name in names]

        path, _ = keras_updates(
            config["optimizer"]["class_name"], config["optimizer"]["config"], [start[name] for name in names],
            len(config["batches"]), gradients, lambda weights: constrained(config["model"], names, weights),
        )
        result |= {f"grad0.{name}": grad for name, grad in first.items()}
        final = start | dict(zip(names, path[-1]))
        result |= {f"output.final.{name}": w for name, w in final.items()}
        result["output.loss"] = np.array(losses)
    else:
        result["output.loss"] = (np.s_[:1], total_loss(case, tensors, 0, start).reshape(1))
        for name in names:
            w = start[name]
            places = np.unique(np.linspace(0, w.size - 1, SAMPLE).astype(int))
            grads = gradient(lambda w: total_loss(case, tensors, 0, start | {name: w}), w, 1, places)
            result[f"grad0.{name}"] = (np.unravel_index(places, w.shape), grads)

    final |= {name[13:]: value for name, value in tensors.items() if name.startswith("output.final.")}
    inputs = [x[config["predict"]] for x in several(tensors, "input")]
    predicted, _ = run(config["model"], final, [x / 255 if x.dtype == np.uint8 else x for x in inputs])
    ends = ["output.predict"] if len(predicted) == 1 else [f"output.predict.{i}" for i in range(len(predicted))]
    return result | dict(zip(ends, predicted))


# Which kinds have a twin.

TORCH_LOSSES = ["MSELoss", "L1Loss", "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "NLLLoss"]
METRICS = [
    "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "MeanSquaredError", "MeanAbsoluteError",
]
TWINS = {
    **{f"layer:{name}": layer for name in LAYERS},
    **{f"layer:{name}": lone_layer for name in LONE_LAYERS},
    **{f"activation:{name}": activation for name in ACTIVATIONS},
    **{f"loss:{name}": loss for name in LOSSES},
    **{f"loss:torch.{name}": loss for name in TORCH_LOSSES},
    **{f"optimizer:{name}": keras_optimizer for name in KERAS_OPTIMIZERS},
    **{f"optimizer:torch.{name}": torch_optimizer for name in TORCH_OPTIMIZERS},
    **{f"metric:keras.{name}": metric for name in METRICS},
    "schedule:ExponentialDecay": exponential_decay,
    "callback:EarlyStopping": early_stopping,
    "model": model,
} | twins_recurrent.TWINS


def twin(case):
    """The twin of a case, or None; a model has one if all its layers and losses and its optimizer have."""
    if case["kind"] == "model":
        config = case["config"]
        losses = config["loss"] if isinstance(config["loss"], list) else [config["loss"]]
        known = {"InputLayer", *LAYERS, *LOSSES, *KERAS_OPTIMIZERS}
        parts = [*config["model"]["config"]["layers"], *losses, config["optimizer"]]
        if not all(part["class_name"] in known for part in parts):
            return None
    return None if "raises" in case["call"] else TWINS.get(case["kind"])
