"""Reference cases of whole models: losses, first gradients and weights of some training steps, from Keras."""

import gzip

import numpy as np

import peer_keras as peer
from common import ROOT, Group, distinct, one_hot, rng
from peer_keras import jax, keras

group = Group("models", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-4)

F32_TOLERANCE = (1e-3, 1e-4)


# Specifications of models, in Keras's words.


def layer(class_name, name=None, **config):
    return {"class_name": class_name, "config": ({"name": name} if name else {}) | config}


def dense(name, units, activation="linear", **config):
    return layer("Dense", name, units=units, activation=activation, **config)


def sequential(shape, *layers):
    layers = [layer("InputLayer", shape=shape), *layers]
    return {"class_name": "Sequential", "config": {"layers": layers}}


def entry(name, *shape):
    """An input of a functional model."""
    return node(layer("InputLayer", name, shape=list(shape)))


def node(spec, *calls):
    """A layer of a functional model; each call is a list of the tensors it takes, by layer or by (layer, call)."""
    inbound = [[tensor(source) for source in call] for call in calls]
    return {**spec, "name": spec["config"]["name"], "inbound_nodes": inbound}


def tensor(source):
    return [source, 0, 0] if isinstance(source, str) else [*source, 0]


def functional(inputs, outputs, *nodes):
    ends = {"input_layers": [tensor(name) for name in inputs], "output_layers": [tensor(name) for name in outputs]}
    return {"class_name": "Functional", "config": {"layers": list(nodes), **ends}}


def training(loss, optimizer, **options):
    """The rest of a case's config: loss and optimizer by class name and options, and what `fit` is given."""
    losses = [dict(zip(["class_name", "config"], spec)) for spec in (loss if isinstance(loss, list) else [loss])]
    return {
        "loss": losses if isinstance(loss, list) else losses[0],
        "optimizer": dict(zip(["class_name", "config"], optimizer)),
        **options,
    }


# From a specification to Keras's objects.


def build(spec):
    """The Keras model of a specification."""
    layers = spec["config"]["layers"]
    if spec["class_name"] == "Sequential":
        first = layers[0]["config"]
        head = keras.Input(batch_shape=first["batch_shape"]) if "batch_shape" in first else keras.Input(first["shape"])
        return keras.Sequential([head, *(peer.layer(one["class_name"], one["config"]) for one in layers[1:])])
    tensors = {}
    for one in layers:
        name = one["name"]
        if one["class_name"] == "InputLayer":
            tensors[name, 0] = keras.Input(tuple(one["config"]["shape"]), name=name)
            continue
        made = peer.layer(one["class_name"], one["config"])
        for call, sources in enumerate(one["inbound_nodes"]):
            taken = [tensors[source, index] for source, index, _ in sources]
            tensors[name, call] = made(taken if len(taken) > 1 else taken[0])
    ends = [
        [tensors[name, index] for name, index, _ in spec["config"][end]] for end in ("input_layers", "output_layers")
    ]
    return keras.Model(*(tensors if len(tensors) > 1 else tensors[0] for tensors in ends))


def optimizer(spec):
    config = dict(spec["config"])
    if isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = keras.optimizers.schedules.deserialize(config["learning_rate"])
    return getattr(keras.optimizers, spec["class_name"])(**config)


def loss(spec):
    if isinstance(spec, list):
        return [loss(one) for one in spec]
    return getattr(keras.losses, spec["class_name"])(**spec["config"])


def start_weights(random, shape, dtype):
    """Kernels of He's size, small vectors; PReLU's slopes among them."""
    if len(shape) >= 2:
        return random.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape).astype(dtype)
    return random.uniform(0.05, 0.25, shape).astype(dtype)


# A training run.


def case(id, spec, config, inputs, targets, sample_weight=None, notes="", leave_out=()):
    """Trains on `config["batches"]` with Keras's own `train_on_batch`; u8 inputs are divided by 255.

    Tensors whose names begin with one of `leave_out` are not recorded.
    """
    dtype, random = peer.start(id)
    model = build(spec)
    model.compile(
        loss=loss(config["loss"]), optimizer=optimizer(config["optimizer"]), loss_weights=config.get("loss_weights")
    )
    weights = {f"{one.name}.{peer.weight_name(weight, one)}": weight for one in model.layers for weight in one.weights}
    trainable = [f"{one.name}.{peer.weight_name(weight, one)}" for one in model.layers for weight in one.trainable_weights]
    for weight in weights.values():
        weight.assign(start_weights(random, weight.shape, dtype))
    arrays = numbered("input", inputs) | numbered("y_true", targets)
    if sample_weight is not None:
        arrays["sample_weight"] = sample_weight
    arrays |= {f"param.{name}": weight.numpy() for name, weight in weights.items()}

    class_weight = {int(label): weight for label, weight in config.get("class_weight", {}).items()} or None
    losses = []
    for rows in config["batches"]:
        x = unwrap([scaled(values[rows], dtype) for values in inputs])
        y = unwrap([values[rows] for values in targets])
        weight = None if sample_weight is None else sample_weight[rows]
        value, grads = loss_and_gradients(model, x, y, weight, class_weight)
        if not losses:
            arrays |= {f"grad0.{name}": grad for name, grad in zip(trainable, grads, strict=True)}
        losses.append(value)
        model.reset_metrics()
        told = model.train_on_batch(x, y, sample_weight=weight, class_weight=class_weight)
        assert np.allclose(np.ravel(told)[0], value, rtol=1e-5), f"{id}: train_on_batch and the gradient disagree"
    arrays["output.loss"] = np.array(losses, dtype)
    arrays |= {f"output.final.{name}": weight.numpy() for name, weight in weights.items()}
    predicted = model(unwrap([scaled(values[config["predict"]], dtype) for values in inputs]))
    arrays |= numbered("output.predict", predicted if isinstance(predicted, list) else [predicted])
    arrays = {name: array for name, array in arrays.items() if not name.startswith(leave_out)}
    group.add(id, "model", {"model": spec, **config}, arrays, call={"training": True}, notes=notes,
              tolerance=F32_TOLERANCE if dtype == "float32" else None)


def loss_and_gradients(model, x, y, sample_weight, class_weight):
    """The loss with all penalties, and its gradients, as Keras's trainer computes them for a step."""
    if class_weight:
        sample_weight = keras.src.trainers.data_adapters.data_adapter_utils.class_weight_to_sample_weights(
            y, class_weight
        )
    model._symbolic_build(data_batch=(x, y))
    trainable = [weight.value for weight in model.trainable_variables]
    rest = [weight.value for weight in model.non_trainable_variables]
    metrics = [variable.value for variable in model.metrics_variables]
    slots = [variable.value for variable in model.optimizer.variables]
    (value, _), grads = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)(
        trainable, rest, metrics, x, y, sample_weight, training=True, optimizer_variables=slots
    )
    return value, [np.array(grad) for grad in grads]


def numbered(name, arrays):
    """One array by its plain name, several with `.0`, `.1` …"""
    return {name: arrays[0]} if len(arrays) == 1 else {f"{name}.{i}": array for i, array in enumerate(arrays)}


def unwrap(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def scaled(values, dtype):
    return values.astype(dtype) / np.asarray(255, dtype) if values.dtype == np.uint8 else values


def batches(random, rows, size, epochs):
    """Shuffled rows in batches, the last of an epoch perhaps smaller."""
    return [
        order[i:i + size].tolist() for order in (random.permutation(rows) for _ in range(epochs))
        for i in range(0, rows, size)
    ]


def steps(id, rows=20, size=8, epochs=2):
    """`batches` and `predict` for a case on `rows` rows."""
    return {"batches": batches(rng(id + " batches"), rows, size, epochs), "predict": list(range(8))}


# Data.


def idx(name):
    """An IDX file of the repository's MNIST as an array."""
    raw = gzip.decompress((ROOT.parent.parent / "data" / "mnist" / f"{name}.gz").read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def mnist(count, dtype="float64", side=28):
    """The first images (u8, halved by means of 2×2 for side 14) and their labels as rows of 0 and 1."""
    images = idx("train-images-idx3-ubyte")[:count]
    if side == 14:
        images = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).astype(np.uint8)
    return images, one_hot(idx("train-labels-idx1-ubyte")[:count], 10, dtype=dtype)


def features(random, *shape, dtype="float64"):
    return distinct(random, shape, dtype, low=-1, high=1)


# The cases.

CATEGORICAL, SPARSE, BINARY = "CategoricalCrossentropy", "SparseCategoricalCrossentropy", "BinaryCrossentropy"


def perceptrons():
    """Two layers on small images, with several optimizers, losses and options."""
    first, last = dense("dense", 6, "relu"), dense("dense_1", 10, "softmax")
    frozen = {"trainable": False}
    schedule = {
        "class_name": "ExponentialDecay",
        "config": {"initial_learning_rate": 0.02, "decay_steps": 3, "decay_rate": 0.6},
    }
    smooth = (CATEGORICAL, {"label_smoothing": 0.1})
    plain = (CATEGORICAL, {})
    for id, layers, loss, optimizer, notes in [
        ("mlp_sgd", [first, last], plain, ("SGD", {"learning_rate": 0.1}), ""),
        ("mlp_adam", [first, last], plain, ("Adam", {"learning_rate": 0.01}), ""),
        ("mlp_frozen", [dense("dense", 6, "relu", **frozen), last], plain, ("Adam", {"learning_rate": 0.01}),
         "the first Dense is frozen: no grad0 for it, its weights stay"),
        ("mlp_frozen_last", [first, dense("dense_1", 10, "softmax", **frozen)], plain,
         ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), "the last Dense is frozen; gradients pass through it"),
        ("mlp_label_smoothing", [first, last], smooth, ("RMSprop", {"learning_rate": 0.005}), ""),
        ("mlp_logits", [first, dense("dense_1", 10)], (CATEGORICAL, {"from_logits": True, "label_smoothing": 0.2}),
         ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}), ""),
        ("mlp_clipnorm", [first, last], plain, ("SGD", {"learning_rate": 0.2, "clipnorm": 0.3}),
         "grad0 is the gradient before clipping; each weight is clipped by its own norm"),
        ("mlp_global_clipnorm_schedule", [first, last], plain,
         ("Adam", {"learning_rate": schedule, "global_clipnorm": 0.5}), "grad0 is the gradient before clipping"),
        ("mlp_accumulation", [first, last], plain,
         ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": 2}),
         "every second step updates, with the mean of two gradients"),
        ("mlp_prelu", [dense("dense", 6), layer("PReLU", "prelu"), last], plain, ("Adam", {"learning_rate": 0.01}), ""),
        ("mlp_adam__f32", [first, last], plain, ("Adam", {"learning_rate": 0.01}), ""),
    ]:
        images, labels = mnist(40, peer.dtype_of(id), side=14)
        spec = sequential([14, 14], layer("Flatten", "flatten"), *layers)
        config = training(loss, optimizer, **steps(id, rows=40, size=16))
        case(id, spec, config, [images], [labels], notes=notes)


def penalties():
    """Regularizers and constraints, on a table."""
    l1l2 = {"class_name": "L1L2", "config": {"l1": 0.01, "l2": 0.02}}
    l2 = {"class_name": "L2", "config": {"l2": 0.05}}
    l1 = {"class_name": "L1", "config": {"l1": 0.03}}
    momentum = ("SGD", {"learning_rate": 0.1, "momentum": 0.9})
    notes = "loss and grad0 hold the penalties"
    regularized = [
        dense("hidden", 4, "tanh", kernel_regularizer=l2, bias_regularizer=l1),
        dense("class", 3, "softmax", kernel_regularizer=l1l2, activity_regularizer=l2),
    ]
    for id, layers, optimizer, notes in [
        ("table_regularizers", regularized, momentum, f"{notes}; that of an activity is divided by the batch size"),
        ("table_kernel_l2", [dense("hidden", 4, "relu", kernel_regularizer=l2), dense("class", 3, "softmax")],
         ("Adam", {"learning_rate": 0.02}), notes),
        ("table_frozen_regularizer",
         [dense("hidden", 4, "relu", kernel_regularizer=l2, trainable=False), dense("class", 3, "softmax")],
         momentum, "the penalty of a frozen layer does not count"),
        ("table_constraints", [constrained("hidden", 4, "tanh", "MaxNorm", {"max_value": 0.8}, "NonNeg", {}),
                               constrained("class", 3, "softmax", "UnitNorm", {"axis": 0}, "MaxNorm",
                                           {"max_value": 0.3})],
         momentum, "constraints act after each update"),
        ("table_min_max_norm",
         [constrained("hidden", 4, "relu", "MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": 0.7},
                      "NonNeg", {}),
          constrained("class", 3, "softmax", "MaxNorm", {"max_value": 0.9, "axis": 1}, "NonNeg", {})],
         ("Adam", {"learning_rate": 0.05}), "constraints act after each update"),
        ("table_constraints_regularizers",
         [constrained("hidden", 4, "relu", "MaxNorm", {"max_value": 0.9, "axis": [0, 1]}, "NonNeg", {},
                      kernel_regularizer=l2),
          dense("class", 3, "softmax", bias_regularizer=l2)], momentum, "loss and grad0 hold the penalties"),
    ]:
        random = rng(id + " data")
        x, y = features(random, 20, 5), one_hot(random.integers(0, 3, 20), 3)
        case(id, sequential([5], *layers), training((CATEGORICAL, {}), optimizer, **steps(id)), [x], [y], notes=notes)


def constrained(name, units, activation, kernel, kernel_config, bias, bias_config, **config):
    return dense(
        name, units, activation,
        kernel_constraint={"class_name": kernel, "config": kernel_config},
        bias_constraint={"class_name": bias, "config": bias_config},
        **config,
    )


def weighted():
    """Class weights and sample weights: the loss is Σ weight · loss / rows."""
    classes = [dense("hidden", 4, "tanh"), dense("class", 3, "softmax")]
    chance = [dense("hidden", 4, "tanh"), dense("chance", 1, "sigmoid")]
    series = [dense("hidden", 4, "tanh"), dense("class", 3, "softmax")]
    adam = ("Adam", {"learning_rate": 0.02})
    class_weight = {"class_weight": {"0": 0.5, "1": 2.0, "2": 1.2}}
    for id, shape, layers, loss, options, target, weighted in [
        ("table_class_weight", [5], classes, (CATEGORICAL, {}), class_weight, "one_hot", None),
        ("table_class_weight_sparse", [5], classes, (SPARSE, {}), class_weight, "labels", None),
        ("table_class_weight_binary", [5], chance, (BINARY, {}), {"class_weight": {"0": 0.4, "1": 1.7}}, "binary",
         None),
        ("table_sample_weight", [5], classes, (CATEGORICAL, {}), {}, "one_hot", (20,)),
        ("table_sample_weight_mean", [5], chance, (BINARY, {"reduction": "mean_with_sample_weight"}), {}, "binary",
         (20,)),
        ("series_sample_weight", [4, 3], series, (SPARSE, {}), {}, "series", (20, 4)),
        ("series_ignore_class", [4, 3], series, (SPARSE, {"ignore_class": 1}), {}, "series", None),
    ]:
        random = rng(id + " data")
        x = features(random, 20, *shape)
        labels = random.integers(0, 3, 20)
        y = {
            "one_hot": one_hot(labels, 3),
            "labels": labels,
            "binary": (labels[:, None] % 2).astype("float64"),
            "series": random.integers(0, 3, (20, 4)),
        }[target]
        sample_weight = random.uniform(0.2, 2.0, weighted) if weighted else None
        config = training(loss, adam, **steps(id), **options)
        case(id, sequential(shape, *layers), config, [x], [y], sample_weight)


def graphs():
    """Functional models: several inputs and outputs, skips, a shared layer, every merge."""
    adam, momentum = ("Adam", {"learning_rate": 0.02}), ("SGD", {"learning_rate": 0.05, "momentum": 0.9})
    ab = [entry("a", 5), entry("b", 3)]
    pair = [entry("a", 4), entry("b", 4)]

    id = "two_inputs"
    random = rng(id + " data")
    spec = functional(
        ["a", "b"], ["class"], *ab,
        node(dense("left", 4, "relu"), ["a"]),
        node(dense("right", 3, "tanh"), ["b"]),
        node(layer("Concatenate", "both"), ["left", "right"]),
        node(dense("class", 3, "softmax"), ["both"]),
    )
    case(id, spec, training((SPARSE, {}), adam, **steps(id)), [features(random, 20, 5), features(random, 20, 3)],
         [random.integers(0, 3, 20)])

    id = "skip"
    random = rng(id + " data")
    spec = functional(
        ["x"], ["value"], entry("x", 5),
        node(dense("first", 5, "relu"), ["x"]),
        node(dense("second", 5, "tanh"), ["first"]),
        node(layer("Add", "sum"), ["x", "first", "second"]),
        node(dense("value", 2), ["sum"]),
    )
    case(id, spec, training(("MeanSquaredError", {}), momentum, **steps(id)), [features(random, 20, 5)],
         [features(random, 20, 2)], notes="the gradients of three paths add up at x and at first")

    id = "shared_layer"
    random = rng(id + " data")
    spec = functional(
        ["a", "b"], ["same"], *pair,
        node(dense("shared", 3, "tanh"), ["a"], ["b"]),
        node(layer("Subtract", "difference"), ["shared", ("shared", 1)]),
        node(layer("Multiply", "product"), ["shared", ("shared", 1)]),
        node(layer("Concatenate", "both"), ["difference", "product"]),
        node(dense("same", 1, "sigmoid"), ["both"]),
    )
    case(id, spec, training((BINARY, {}), adam, **steps(id)), [features(random, 20, 4), features(random, 20, 4)],
         [random.integers(0, 2, (20, 1)).astype("float64")], notes="one layer called twice: its gradients add up")

    two_outputs = functional(
        ["x"], ["value", "class"], entry("x", 5),
        node(dense("trunk", 4, "relu"), ["x"]),
        node(dense("value", 1), ["trunk"]),
        node(dense("class", 3, "softmax"), ["trunk"]),
    )
    for id, options, notes in [
        ("two_outputs", {}, "output.loss: the sum of both losses"),
        ("two_outputs_loss_weights", {"loss_weights": [0.7, 1.5]}, "output.loss: 0.7 · squares + 1.5 · entropy"),
    ]:
        random = rng(id + " data")
        losses = [("MeanSquaredError", {}), (CATEGORICAL, {})]
        case(id, two_outputs, training(losses, momentum, **steps(id), **options), [features(random, 20, 5)],
             [features(random, 20, 1), one_hot(random.integers(0, 3, 20), 3)], notes=notes)

    id = "two_inputs_two_outputs"
    random = rng(id + " data")
    spec = functional(
        ["b", "a"], ["class", "value"], *ab,
        node(dense("left", 3, "relu"), ["a"]),
        node(layer("Concatenate", "both"), ["left", "b"]),
        node(dense("value", 2), ["both"]),
        node(dense("class", 1, "sigmoid"), ["value"]),
    )
    case(id, spec, training([(BINARY, {}), ("MeanAbsoluteError", {})], adam, **steps(id), loss_weights=[1.2, 0.3]),
         [features(random, 20, 3), features(random, 20, 5)],
         [random.integers(0, 2, (20, 1)).astype("float64"), features(random, 20, 2)],
         notes="inputs and outputs in the order of input_layers and output_layers; one output feeds the other")

    id = "merges"
    random = rng(id + " data")
    names = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
    spec = functional(
        ["a", "b"], ["value"], *pair,
        *(node(layer(name, name.lower()), ["a", "b"]) for name in names),
        node(layer("Dot", "dot", axes=1), ["a", "b"]),
        node(layer("Concatenate", "all"), [*(name.lower() for name in names), "dot"]),
        node(dense("value", 2), ["all"]),
    )
    case(id, spec, training(("MeanSquaredError", {}), momentum, **steps(id)),
         [features(random, 20, 4), features(random, 20, 4)], [features(random, 20, 2)])


def shapes():
    """Layers that move values about, between two that learn."""
    id = "shapes"
    random = rng(id + " data")
    spec = sequential(
        [4, 3],
        dense("each_step", 2, "tanh"),
        layer("Permute", "permute", dims=[2, 1]),
        layer("Reshape", "reshape", target_shape=[-1]),
        layer("RepeatVector", "repeat", n=3),
        layer("PReLU", "prelu", shared_axes=[1]),
        layer("Dropout", "dropout", rate=0.0),
        layer("Flatten", "flatten"),
        dense("value", 2),
    )
    config = training(("MeanAbsoluteError", {}), ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5}), **steps(id))
    case(id, spec, config, [features(random, 20, 4, 3)], [features(random, 20, 2)])


def normalized():
    """Moving statistics over several steps, trained and frozen; batches of 20 rows and of 8."""
    entropy = (CATEGORICAL, {})
    for id, layers, optimizer, size, notes in [
        ("batchnorm", [dense("first", 5), layer("BatchNormalization", "norm", momentum=0.8), layer("ReLU", "relu")],
         ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), 20, "moving statistics after every step"),
        ("batchnorm_adam", [dense("first", 5), layer("BatchNormalization", "norm"), layer("ReLU", "relu")],
         ("Adam", {"learning_rate": 0.01}), 8, ""),
        ("batchnorm_frozen",
         [dense("first", 5), layer("BatchNormalization", "norm", trainable=False), layer("ReLU", "relu")],
         ("SGD", {"learning_rate": 0.1}), 20, "frozen, it runs in inference mode and keeps its statistics"),
        ("batchnorm_twice", [layer("BatchNormalization", "norm"), dense("first", 5, "tanh"),
                             layer("BatchNormalization", "norm_1", center=False, momentum=0.5)],
         ("RMSprop", {"learning_rate": 0.01}), 20, "one seam behind the other"),
        ("layernorm", [dense("first", 6), layer("LayerNormalization", "norm"), layer("ReLU", "relu"),
                       layer("GroupNormalization", "groups", groups=2), layer("UnitNormalization", "unit")],
         ("Adam", {"learning_rate": 0.01}), 8, ""),
        ("batchnorm__f32", [dense("first", 5), layer("BatchNormalization", "norm", momentum=0.8), layer("ReLU", "relu")],
         ("SGD", {"learning_rate": 0.1, "momentum": 0.9}), 20, ""),
    ]:
        random, dtype = rng(id + " data"), peer.dtype_of(id)
        spec = sequential([4], *layers, dense("last", 3, "softmax"))
        labels = one_hot(random.integers(0, 3, 40), 3, dtype=dtype)
        config = training(entropy, optimizer, **steps(id, rows=40, size=size))
        case(id, spec, config, [features(random, 40, 4).astype(dtype)], [labels], notes=notes)


def conv(name, filters, kernel_size=3, **config):
    return layer("Conv2D", name, filters=filters, kernel_size=kernel_size, **config)


def images():
    """Networks for small images: plain, normalized, with skips, and with an output for every pixel."""
    pool, flat = layer("MaxPool2D", "pool"), layer("Flatten", "flatten")
    for id, layers, optimizer in [
        ("cnn", [conv("conv", 3, activation="relu"), pool, conv("conv_1", 4, 2, padding="same", activation="relu"),
                 layer("AvgPool2D", "pool_1", pool_size=2, padding="same"), flat], ("RMSprop", {"learning_rate": 0.01})),
        ("cnn_batchnorm", [conv("conv", 3, use_bias=False), layer("BatchNormalization", "norm", momentum=0.9),
                           layer("ReLU", "relu"), pool, conv("conv_1", 5, padding="same"),
                           layer("BatchNormalization", "norm_1"), layer("GlobalAvgPool2D", "mean")],
         ("Adam", {"learning_rate": 0.01})),
        ("cnn_batchnorm__f32", [conv("conv", 3, use_bias=False), layer("BatchNormalization", "norm", momentum=0.9),
                                layer("ReLU", "relu"), pool, layer("ZeroPadding2D", "pad"), conv("conv_1", 5),
                                layer("GlobalMaxPool2D", "most")], ("SGD", {"learning_rate": 0.05, "momentum": 0.9})),
    ]:
        random, dtype = rng(id + " data"), peer.dtype_of(id)
        spec = sequential([8, 8, 2], *layers, dense("last", 3, "softmax"))
        config = training((SPARSE, {}), optimizer, **steps(id, rows=32, size=16))
        case(id, spec, config, [features(random, 32, 8, 8, 2).astype(dtype)], [random.integers(0, 3, 32)])

    id = "residual"
    random = rng(id + " data")
    spec = functional(
        ["x"], ["class"], entry("x", 6, 6, 2),
        node(conv("stem", 4, padding="same", use_bias=False), ["x"]),
        node(layer("BatchNormalization", "norm"), ["stem"]),
        node(layer("ReLU", "relu"), ["norm"]),
        node(conv("inner", 4, padding="same", use_bias=False), ["relu"]),
        node(layer("BatchNormalization", "norm_1"), ["inner"]),
        node(layer("Add", "sum"), ["relu", "norm_1"]),
        node(layer("ReLU", "relu_1"), ["sum"]),
        node(layer("GlobalAvgPool2D", "mean"), ["relu_1"]),
        node(dense("class", 3, "softmax"), ["mean"]),
    )
    case(id, spec, training((SPARSE, {}), ("SGD", {"learning_rate": 0.05, "momentum": 0.9}), **steps(id, 32, 16)),
         [features(random, 32, 6, 6, 2)], [random.integers(0, 3, 32)], notes="a skip around a seam")

    id = "unet"
    random = rng(id + " data")
    spec = functional(
        ["x"], ["pixels"], entry("x", 8, 8, 1),
        node(conv("down", 3, padding="same", activation="relu"), ["x"]),
        node(layer("MaxPool2D", "pool"), ["down"]),
        node(conv("bottom", 4, padding="same", activation="relu"), ["pool"]),
        node(layer("UpSampling2D", "up", interpolation="bilinear"), ["bottom"]),
        node(layer("Cropping2D", "crop", cropping=1), ["up"]),
        node(layer("ZeroPadding2D", "pad", padding=1), ["crop"]),
        node(layer("Concatenate", "both"), ["down", "pad"]),
        node(conv("pixels", 3, activation="softmax", padding="same"), ["both"]),
    )
    case(id, spec, training((SPARSE, {}), ("Adam", {"learning_rate": 0.01}), **steps(id, 32, 16)),
         [features(random, 32, 8, 8, 1)], [random.integers(0, 3, (32, 8, 8))], notes="a loss a pixel")


def mnist_script():
    """The Keras MNIST script: Flatten, Dense 128 relu, Dense 10 softmax, Adam; 100 steps on 320 images."""
    for id, side, notes, leave_out in [
        ("mnist_mlp_100_steps", 14, "images of side 14; without grad0 of dense.kernel, for its size",
         ("grad0.dense.kernel",)),
        ("mnist_mlp_100_steps__f32", 28,
         "without grad0, for its size, and without the final dense.kernel: Adam divides gradients of almost 0 by their "
         "own size, so that rounding alone moves 150 of its 100352 values by up to 4e-3 (float32 against float64)",
         ("grad0.", "output.final.dense.kernel")),
    ]:
        images, labels = mnist(320, peer.dtype_of(id), side)
        spec = sequential(
            [side, side], layer("Flatten", "flatten"), dense("dense", 128, "relu"), dense("dense_1", 10, "softmax")
        )
        config = training(
            (CATEGORICAL, {}), ("Adam", {}),
            batches=[list(range(i, i + 32)) for i in range(0, 320, 32)] * 10, predict=list(range(8)),
        )
        case(id, spec, config, [images], [labels], notes=notes, leave_out=leave_out)


if __name__ == "__main__":
    perceptrons()
    penalties()
    weighted()
    graphs()
    shapes()
    normalized()
    images()
    mnist_script()
    group.write()
