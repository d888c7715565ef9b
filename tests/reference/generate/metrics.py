"""Reference cases of metrics: the result after one update or several, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct, label, one_hot, probabilities
from peer_keras import keras

group = Group("metrics", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)

BATCHES = [[0, 1, 2], [3, 4, 5, 6], [7]]


def case(id, metric, config, y_true, y_pred, sample_weight=None, batches=None, notes="", tags=()):
    """Updates the metric with everything, or with the rows of each of the `batches`."""
    targets = {"y_true": y_true, "y_pred": y_pred}
    if sample_weight is not None:
        targets["sample_weight"] = sample_weight
    state = getattr(keras.metrics, metric)(**config)
    for rows in batches or [slice(None)]:
        state.update_state(**{name: array[rows] for name, array in targets.items()})
    arrays = targets | {"output": state.result()}
    call = {"batches": batches} if batches else {}
    group.add(id, f"metric:keras.{metric}", config, arrays, call=call, notes=notes, tags=tags)


def labels(random, shape, config):
    """Class numbers on both sides, two thirds of them equal."""
    y_true = random.integers(0, 4, shape)
    return y_true, np.where(random.uniform(size=shape) < 0.66, y_true, random.integers(0, 4, shape))


def binary(random, shape, config):
    return random.integers(0, 2, shape).astype("float64"), random.uniform(0, 1, shape)


def categorical(random, shape, config):
    return one_hot(random.integers(0, shape[-1], shape[:-1]), shape[-1]), probabilities(random, shape)


def sparse(random, shape, config):
    return random.integers(0, shape[-1], shape[:-1]), probabilities(random, shape)


def values(random, shape, config):
    return distinct(random, shape), distinct(random, shape)


# Each metric with the targets it takes, its options and the shapes of its predictions.
METRICS = {
    "Accuracy": (labels, [{}], [(8,), (8, 1), (8, 3)]),
    "BinaryAccuracy": (binary, [{}, {"threshold": 0.3}, {"threshold": 0.8}], [(8,), (8, 1), (8, 3), (8, 3, 2)]),
    "CategoricalAccuracy": (categorical, [{}], [(8, 4), (8, 3, 4)]),
    "SparseCategoricalAccuracy": (sparse, [{}], [(8, 4), (8, 3, 4)]),
    "TopKCategoricalAccuracy": (categorical, [{}, {"k": 1}, {"k": 3}], [(8, 7), (8, 2, 7)]),
    "SparseTopKCategoricalAccuracy": (sparse, [{}, {"k": 1}, {"k": 3}], [(8, 7), (8, 2, 7)]),
    "MeanSquaredError": (values, [{}], [(8, 1), (8, 3), (8, 2, 3)]),
    "MeanAbsoluteError": (values, [{}], [(8, 1), (8, 3), (8, 2, 3)]),
}


def weights(random, shape):
    """Weights with a 0 among them."""
    sample_weight = random.uniform(0.2, 2.0, shape)
    sample_weight.flat[2] = 0
    return sample_weight


def variants(metric, targets, config, shape):
    """Plain, weighted per sample, in batches, both; weighted per element where each has a value of its own."""
    prefix = f"keras_{metric}__{'x'.join(map(str, shape))}_{label(config)}"
    elements = shape if targets in (labels, binary) else shape[:-1]
    for suffix, weighted, batches in [
        ("", None, None),
        ("_weights", (8,), None),
        ("_batches", None, BATCHES),
        ("_weights_batches", (8,), BATCHES),
        *([("_element_weights", elements, None)] if len(elements) > 1 else []),
        *([("_element_weights_batches", elements, BATCHES)] if len(elements) > 1 else []),
    ]:
        _, random = peer.start(prefix + suffix)
        y_true, y_pred = targets(random, shape, config)
        case(prefix + suffix, metric, config, y_true, y_pred, weighted and weights(random, weighted), batches)


def edges():
    peer.start("edges")
    none = np.zeros(3)
    case("keras_Accuracy__weights_all_zero", "Accuracy", {}, np.array([1, 2, 0]), np.array([1, 0, 0]), none,
         notes="0/0 is 0")
    case("keras_MeanSquaredError__weights_all_zero", "MeanSquaredError", {}, np.ones((3, 2)), np.zeros((3, 2)), none,
         notes="0/0 is 0")
    case("keras_BinaryAccuracy__at_the_threshold", "BinaryAccuracy", {}, np.array([1.0, 0.0, 1.0, 0.0]),
         np.array([0.5, 0.5, 0.75, 0.25]), notes="1 where p > threshold", tags=["ties"])
    tied = np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.4, 0.1], [0.1, 0.4, 0.4, 0.1]])
    classes = np.array([0, 1, 2])
    first = "of equal scores the first is the prediction"
    case("keras_CategoricalAccuracy__ties", "CategoricalAccuracy", {}, one_hot(classes, 4), tied, notes=first,
         tags=["ties"])
    case("keras_SparseCategoricalAccuracy__ties", "SparseCategoricalAccuracy", {}, classes, tied, notes=first,
         tags=["ties"])
    case("keras_SparseCategoricalAccuracy__column", "SparseCategoricalAccuracy", {}, classes[:, None],
         np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6], [0.2, 0.3, 0.5]]), notes="labels (batch, 1)")
    case("keras_SparseTopKCategoricalAccuracy__sorted_ids", "SparseTopKCategoricalAccuracy",
         {"k": 2, "from_sorted_ids": True}, classes, np.array([[2.0, 0.0, 1.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0]]),
         notes="y_pred holds class numbers, the best first")


for metric, (targets, options, shapes) in METRICS.items():
    for config in options:
        for shape in shapes:
            variants(metric, targets, config, shape)
edges()
group.write()
