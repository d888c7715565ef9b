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
    arrays = targets | {"output": np.asarray(state.result(), "float64")}
    call = {"batches": batches} if batches else {}
    single = metric in IOUS or "num_regressors" in config
    group.add(id, f"metric:keras.{metric}", config, arrays, call=call, notes=notes, tags=tags,
              tolerance=(1e-6, 1e-12) if single else None)


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


def positive(random, shape, config):
    return np.abs(distinct(random, shape)), np.abs(distinct(random, shape))


def distributions(random, shape, config):
    return probabilities(random, shape), probabilities(random, shape)


def signs(random, shape, config):
    return 2.0 * random.integers(0, 2, shape) - 1, distinct(random, shape)


def masks(random, shape, config):
    """Class numbers, or rows of probabilities where the options say that they are not sparse; class 3 never is true."""
    classes = config["num_classes"]
    y_true, y_pred = random.integers(0, classes - 1, shape), random.integers(0, classes, shape)
    y_true = one_hot(y_true, classes) if not config.get("sparse_y_true", True) else y_true
    return y_true, probabilities(random, (*shape, classes)) if not config.get("sparse_y_pred", True) else y_pred


def one_hot_masks(random, shape, config):
    y_true, y_pred = masks(random, shape, {"sparse_y_true": False, "sparse_y_pred": False} | config)
    return y_true, y_pred


def in_tenths(random, shape, config):
    """Scores that tie with one another and with thresholds."""
    y_true, y_pred = binary(random, shape, config)
    return y_true, y_pred.round(1)


THRESHOLDS = [{}, {"thresholds": 0.3}, {"thresholds": [0.7, 0.2]}, {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}]
RATES = [*THRESHOLDS, {"top_k": 1}, {"top_k": 2, "class_id": 1}, {"class_id": 2}, {"thresholds": 0.3, "top_k": 2}]
AVERAGES = [{"average": a} | t for a in (None, "micro", "macro", "weighted") for t in ({}, {"threshold": 0.4})]
AREAS = [{}, *({"curve": curve, "summation_method": method} for curve in ("ROC", "PR", "PRGAIN")
               for method in ("interpolation", "minoring", "majoring")),
         {"num_thresholds": 11}, {"thresholds": [0.7, 0.1, 0.4]}, {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"}]
LABELLED = [{"multi_label": True}, {"multi_label": True, "label_weights": [0.2, 0.5, 1.0], "curve": "PR"},
            {"label_weights": [0.2, 0.5, 1.0]}, {"multi_label": True, "num_labels": 3, "num_thresholds": 5}]
MASKS = {"num_classes": 4}

# Metrics whose result is not a mean of rows: no weights per element.
WHOLE = {
    "TruePositives": (binary, THRESHOLDS, [(8,), (8, 3)]),
    "FalsePositives": (binary, THRESHOLDS, [(8, 3)]),
    "TrueNegatives": (binary, THRESHOLDS, [(8, 3)]),
    "FalseNegatives": (in_tenths, THRESHOLDS, [(8,), (8, 3)]),
    "Precision": (binary, RATES, [(8, 3)]),
    "Recall": (in_tenths, RATES, [(8, 3)]),
    "AUC": (binary, AREAS, [(8,), (8, 3)]),
    "SensitivityAtSpecificity": (in_tenths, [{"specificity": 0.5}, {"specificity": 0.7, "num_thresholds": 1}], [(8, 3)]),
    "SpecificityAtSensitivity": (binary, [{"sensitivity": 0.5}, {"sensitivity": 0.6, "class_id": 1}], [(8, 3)]),
    "PrecisionAtRecall": (binary, [{"recall": 0.5}, {"recall": 0.9, "num_thresholds": 20}], [(8, 3)]),
    "RecallAtPrecision": (in_tenths, [{"precision": 0.4}, {"precision": 1.0}], [(8, 3)]),
    "F1Score": (categorical, AVERAGES, [(8, 4)]),
    "FBetaScore": (categorical, [{"beta": 2.0} | config for config in AVERAGES], [(8, 4)]),
    "RootMeanSquaredError": (values, [{}], [(8, 1), (8, 3)]),
    "R2Score": (values, [{}, {"class_aggregation": None}, {"class_aggregation": "variance_weighted_average"},
                         {"num_regressors": 2}], [(8, 1), (8, 3)]),
}
IOUS = {
    "IoU": (masks, [MASKS | {"target_class_ids": [0, 2]}, MASKS | {"target_class_ids": [1], "ignore_class": 0},
                    MASKS | {"target_class_ids": [0, 3], "sparse_y_pred": False}], [(8, 3, 2)]),
    "MeanIoU": (masks, [MASKS, MASKS | {"sparse_y_true": False, "sparse_y_pred": False}], [(8,), (8, 3)]),
    "OneHotIoU": (one_hot_masks, [MASKS | {"target_class_ids": [0, 2]}], [(8, 3)]),
    "OneHotMeanIoU": (one_hot_masks, [MASKS, MASKS | {"ignore_class": 1}], [(8, 3)]),
    "BinaryIoU": (in_tenths, [{}, {"threshold": 0.3}, {"target_class_ids": [1]}], [(8, 3)]),
}
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
    "MeanAbsolutePercentageError": (positive, [{}], [(8, 3), (8, 2, 3)]),
    "MeanSquaredLogarithmicError": (positive, [{}], [(8, 3)]),
    "LogCoshError": (values, [{}], [(8, 3)]),
    "CosineSimilarity": (values, [{}], [(8, 3), (8, 2, 3)]),
    "PearsonCorrelation": (values, [{}], [(8, 3)]),
    "ConcordanceCorrelation": (values, [{}], [(8, 3)]),
    "BinaryCrossentropy": (binary, [{}, {"label_smoothing": 0.2}, {"from_logits": True}], [(8, 1), (8, 3)]),
    "CategoricalCrossentropy": (categorical, [{}, {"label_smoothing": 0.1}, {"from_logits": True}], [(8, 4), (8, 3, 4)]),
    "SparseCategoricalCrossentropy": (sparse, [{}, {"from_logits": True}], [(8, 4), (8, 3, 4)]),
    "KLDivergence": (distributions, [{}], [(8, 4), (8, 3, 4)]),
    "Poisson": (positive, [{}], [(8, 3)]),
    "Hinge": (signs, [{}], [(8, 3)]),
    "SquaredHinge": (signs, [{}], [(8, 3)]),
    "CategoricalHinge": (categorical, [{}], [(8, 4)]),
}


def weights(random, shape):
    """Weights with a 0 among them."""
    sample_weight = random.uniform(0.2, 2.0, shape)
    sample_weight.flat[2] = 0
    return sample_weight


def variants(metric, targets, config, shape):
    """Plain, weighted per sample, in batches, both; weighted per element where each has a value of its own."""
    prefix = f"keras_{metric}__{'x'.join(map(str, shape))}_{label(config)}"
    elements = shape if metric in ("Accuracy", "BinaryAccuracy") else shape[:-1]
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


def whole(metric, targets, config, shape):
    """Plain, and weighted in batches; an IoU, which cuts weights to whole numbers, only in batches."""
    prefix = f"keras_{metric}__{'x'.join(map(str, shape))}_{label(config)}"
    weighted = metric not in IOUS
    for suffix, batches in (("", None), ("_weights_batches" if weighted else "_batches", BATCHES)):
        _, random = peer.start(prefix + suffix)
        y_true, y_pred = targets(random, shape, config)
        sample_weight = weights(random, (8,)) if batches and weighted else None
        case(prefix + suffix, metric, config, y_true, y_pred, sample_weight, batches,
             notes="" if weighted else "Keras divides in float32")


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
for metric, (targets, options, shapes) in (WHOLE | IOUS).items():
    for config in options:
        for shape in shapes:
            whole(metric, targets, config, shape)
for config in LABELLED:
    whole("AUC", binary, config, (8, 3))
edges()
group.write()
