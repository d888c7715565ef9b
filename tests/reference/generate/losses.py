"""Reference cases of losses: value and gradient by the prediction, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct, label, one_hot, probabilities
from peer_keras import keras

group = Group("losses", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)

REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None]
WEIGHTS = ["none", "sample", "element"]


def sample_weight(kind, random, shape, dtype):
    """Weights, one of them 0, for losses of `shape`: one for every sample or one for every element."""
    if kind == "none":
        return {}
    if kind == "sample":
        shape = shape[:1] + (1,) * (len(shape) - 1)
    weight = random.uniform(0.3, 2.0, shape).astype(dtype)
    weight.flat[1:2] = 0
    return {"sample_weight": weight}


def record(id, loss, config, targets, random, notes="", tags=(), expect=None, tolerance=None):
    """Computes the loss of `targets` (`y_true`, `y_pred` and perhaps `sample_weight`) and adds the case."""
    function = getattr(keras.losses, loss)(**config)
    weight = targets.get("sample_weight")
    output, grad_output, (grad,) = peer.gradients(
        lambda y_pred: function(targets["y_true"], y_pred, weight), (targets["y_pred"],), random
    )
    arrays = dict(targets)
    if output.shape:
        arrays["grad_output"] = grad_output
    arrays |= {"output": output, "grad.y_pred": grad}
    group.add(id, f"loss:{loss}", config, arrays, notes=notes, tags=tags, expect=expect, tolerance=tolerance)


def regression(random, config, shape, dtype):
    return distinct(random, shape, dtype), distinct(random, shape, dtype) / 2 + np.asarray(0.1, dtype)


def categorical(random, config, shape, dtype):
    axis = config.get("axis", -1)
    y_true = one_hot(random.integers(0, shape[axis], np.delete(shape, axis)), shape[axis], axis, dtype)
    y_true.reshape(-1, shape[-1])[-1] = probabilities(random, shape[-1:], dtype=dtype)
    return y_true, scores(random, config, shape, axis, dtype)


def sparse(random, config, shape, dtype):
    axis = config.get("axis", -1)
    labels = random.integers(0, shape[axis], np.delete(shape, axis))
    if "ignore_class" in config:
        labels.flat[::3] = config["ignore_class"]
    return labels, scores(random, config, shape, axis, dtype)


def binary(random, config, shape, dtype):
    y_true = random.integers(0, 2, shape).astype(dtype)
    y_true.flat[-1] = 0.25
    if config.get("from_logits"):
        return y_true, distinct(random, shape, dtype, low=-4, high=4)
    return y_true, random.uniform(0.02, 0.98, shape).astype(dtype)


def scores(random, config, shape, axis, dtype):
    """Logits, or probabilities of which one sample does not quite sum to 1."""
    if config.get("from_logits"):
        return distinct(random, shape, dtype, low=-4, high=4)
    y_pred = probabilities(random, shape, axis, dtype)
    y_pred[0] *= np.asarray(0.9, dtype)
    return y_pred


def positive(random, config, shape, dtype):
    """Targets and predictions of either side of each other, some below the 1e-7 that logarithms are kept from."""
    y_true, y_pred = random.uniform(0.1, 4, shape).astype(dtype), random.uniform(0.1, 4, shape).astype(dtype)
    y_true.flat[::5] = 0
    return y_true, y_pred


def distributions(random, config, shape, dtype):
    y_true = probabilities(random, shape, dtype=dtype)
    y_true.flat[::7] = 0
    return y_true, probabilities(random, shape, dtype=dtype)


def signs(random, config, shape, dtype):
    return (2 * random.integers(0, 2, shape) - 1).astype(dtype), distinct(random, shape, dtype)


def binary_labels(random, config, shape, dtype):
    return random.integers(0, 2, shape).astype(dtype), distinct(random, shape, dtype)


def class_scores(random, config, shape, dtype):
    return one_hot(random.integers(0, shape[-1], shape[:-1]), shape[-1], -1, dtype), distinct(random, shape, dtype)


def memberships(random, config, shape, dtype):
    return random.integers(0, 2, shape).astype(dtype), random.uniform(0.02, 0.98, shape).astype(dtype)


TARGETS = {
    "MeanSquaredError": regression,
    "MeanAbsoluteError": regression,
    "MeanAbsolutePercentageError": regression,
    "MeanSquaredLogarithmicError": positive,
    "Huber": regression,
    "LogCosh": regression,
    "Poisson": positive,
    "KLDivergence": distributions,
    "Hinge": signs,
    "SquaredHinge": signs,
    "CategoricalHinge": class_scores,
    "CosineSimilarity": regression,
    "BinaryFocalCrossentropy": binary,
    "CategoricalFocalCrossentropy": categorical,
    "Dice": memberships,
    "Tversky": memberships,
    "CategoricalCrossentropy": categorical,
    "SparseCategoricalCrossentropy": sparse,
    "BinaryCrossentropy": binary,
}


def case(loss, shape, config, weights="none", suffix=""):
    """A case on random targets; `axis` in the config names the class axis."""
    size = "x".join(map(str, shape))
    id = f"{loss}__{size}_{label(config)}_w{weights}{suffix}"
    dtype, random = peer.start(id)
    y_true, y_pred = TARGETS[loss](random, config, shape, dtype)
    axis = config.get("axis", -1)
    lost = [size for i, size in enumerate(shape) if i not in np.atleast_1d(axis) % len(shape)] if axis is not None else []
    targets = {"y_true": y_true, "y_pred": y_pred, **sample_weight(weights, random, tuple(lost), dtype)}
    record(id, loss, config, targets, random)


def every_reduction(loss, shape, config):
    for reduction in REDUCTIONS:
        for weights in WEIGHTS:
            case(loss, shape, {**config, "reduction": reduction}, weights)


def errors(loss):
    every_reduction(loss, (2, 3, 2), {})
    for shape in [(1, 1), (5, 1), (4, 3), (2, 3, 2, 3)]:
        for weights in ["none", "sample"]:
            case(loss, shape, {}, weights)
    case(loss, (2, 3, 2, 3), {"reduction": "mean_with_sample_weight"}, "element")
    case(loss, (4, 3), {"reduction": None}, "sample")
    case(loss, (5, 67), {})
    case(loss, (4, 3), {}, suffix="__f32")
    case(loss, (2, 3, 2), {"reduction": "sum"}, "element", suffix="__f32")


def crossentropies(loss, options):
    """What the three cross-entropies have in common, then each one's options with probabilities and logits."""
    for logits in [{}, {"from_logits": True}]:
        every_reduction(loss, (2, 3, 4), logits)
        for config in options:
            case(loss, (2, 3, 4), {**logits, **config, "reduction": "mean_with_sample_weight"}, "element")
        for config in [{}, *options]:
            case(loss, (4, 3), {**logits, **config})
            case(loss, (2, 2, 3, 3), {**logits, **config}, "sample")
            case(loss, (3, 4), {**logits, **config, "reduction": None})
        case(loss, (4, 3), logits, "sample")
        case(loss, (5, 11), logits)
        case(loss, (4, 3), logits, suffix="__f32")
        case(loss, (2, 3, 4), {**logits, "reduction": "sum"}, "element", suffix="__f32")


def class_axis(loss):
    """Classes on another axis than the last."""
    for logits in [{}, {"from_logits": True}]:
        for shape, axis in [((2, 4, 3), 1), ((2, 3, 2, 2), 1), ((2, 2, 4, 3), -2)]:
            case(loss, shape, {**logits, "axis": axis})
        case(loss, (2, 3, 2, 2), {**logits, "axis": 1, "reduction": "sum"}, "element")


def ignored():
    """`ignore_class`: everything ignored, and a label that is no class."""
    loss, config = "SparseCategoricalCrossentropy", {"ignore_class": 255}
    case(loss, (2, 4, 3), {**config, "from_logits": True})
    for reduction in REDUCTIONS:
        id = f"{loss}__all_ignored_{reduction}"
        dtype, random = peer.start(id)
        targets = {"y_true": np.full((2, 3), 255), "y_pred": probabilities(random, (2, 3, 4))}
        record(id, loss, {**config, "reduction": reduction}, targets, random, notes="0/0 is 0")
    for reduction in REDUCTIONS:
        for weights in WEIGHTS:
            case(loss, (2, 3, 4), {"ignore_class": 1, "reduction": reduction}, weights)


def briefly(loss, options):
    """Every reduction and kind of weights once, each option at two ranks."""
    every_reduction(loss, (2, 3, 2), {})
    for config in [{}, *options]:
        if "axis" not in config:
            case(loss, (4, 3), config)
        case(loss, (2, 3, 4), config, "element")
        case(loss, (2, 2, 3, 2), {**config, "reduction": None}, "sample")
    case(loss, (4, 3), {}, suffix="__f32")


def binary_margin(loss):
    """Labels 0 and 1, which count as signs if there are no others."""
    id = f"{loss}__labels_0_and_1"
    dtype, random = peer.start(id)
    y_true, y_pred = binary_labels(random, {}, (5, 3), dtype)
    record(id, loss, {}, {"y_true": y_true, "y_pred": y_pred}, random)
    id = f"{loss}__labels_0_and_1_and_another"
    dtype, random = peer.start(id)
    y_true, y_pred = binary_labels(random, {}, (5, 3), dtype)
    y_true[-1, -1] = 2
    record(id, loss, {}, {"y_true": y_true, "y_pred": y_pred}, random)


def overlaps(loss, config):
    """Sums over everything, over each sample, over each class."""
    for shape in [(4,), (3, 4), (2, 3, 2, 4)]:
        for reduction in REDUCTIONS:
            case(loss, shape, {**config, "axis": None, "reduction": reduction})
    for axis in [(1,), (0,)]:
        for weights in ["none", "element"]:
            for reduction in REDUCTIONS:
                case(loss, (3, 4), {**config, "axis": axis, "reduction": reduction}, weights)
    for axis in [(1, 2, 3), (1, 2), (0, 1, 2), (2, 3)]:
        for weights in ["none", "element"]:
            case(loss, (2, 3, 2, 4), {**config, "axis": axis}, weights)
    case(loss, (2, 3, 2, 4), {**config, "axis": None}, "none", suffix="__f32")


def weights_without_sum(loss, y_true, y_pred):
    """Weights that are all 0: `mean_with_sample_weight` divides 0 by 0."""
    id = f"{loss}__weights_all_zero"
    _, random = peer.start(id)
    targets = {"y_true": y_true, "y_pred": y_pred, "sample_weight": np.zeros(len(y_true))}
    record(id, loss, {"reduction": "mean_with_sample_weight"}, targets, random, notes="0/0 is 0")


def columns():
    """Weights, labels and targets that come with an axis of length 1 too many or too few."""
    id = "MeanSquaredError__column_of_weights"
    dtype, random = peer.start(id)
    y_true, y_pred = regression(random, {}, (4, 3), dtype)
    targets = {"y_true": y_true, "y_pred": y_pred, **sample_weight("sample", random, (4, 1), dtype)}
    record(id, "MeanSquaredError", {}, targets, random, notes="weights (batch, 1) count as (batch)")

    for loss in ["MeanSquaredError", "MeanAbsoluteError"]:
        id = f"{loss}__row_of_targets"
        dtype, random = peer.start(id)
        y_true, y_pred = regression(random, {}, (4, 1), dtype)
        record(id, loss, {}, {"y_true": y_true[:, 0], "y_pred": y_pred}, random,
               notes="targets (batch) count as (batch, 1)")

    for config in [{}, {"from_logits": True}]:
        id = f"SparseCategoricalCrossentropy__column_of_labels_{label(config)}"
        dtype, random = peer.start(id)
        labels, y_pred = sparse(random, config, (4, 3), dtype)
        record(id, "SparseCategoricalCrossentropy", config, {"y_true": labels[:, None], "y_pred": y_pred}, random,
               notes="labels (batch, 1) count as (batch)")


def sequences():
    """CTC: labels of different length, filled up with the blank 0, of which equal neighbours need a blank between."""
    notes = "labels padded with 0; class 0 is the blank; y_pred are logits; every time step counts"
    for config in [{"reduction": reduction} for reduction in REDUCTIONS]:
        for weights in ["none", "sample"]:
            for suffix in ["", "__f32"] if config["reduction"] == "sum_over_batch_size" else [""]:
                id = f"CTC__{label(config)}_w{weights}{suffix}"
                dtype, random = peer.start(id)
                targets = {"y_true": np.array([[1, 1, 2], [3, 0, 0], [2, 3, 0], [0, 0, 0]]),
                           "y_pred": random.uniform(-2, 2, (4, 6, 4)).astype(dtype)}
                targets |= sample_weight(weights, random, (4,), dtype)
                record(id, "CTC", config, targets, random, notes)


def extremes():
    """Where clipping acts: a probability of 0 or 1 gives log 1e-7, and no gradient. Logits are not clipped."""
    certain = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.25, 0.75, 0.0], [1e-9, 1e-8, 1.0], [0.5, 0.5, 0.0]])
    classes = np.array([0, 2, 1, 2, 2])
    logits = np.array([[1e3, -1e3, 0.0], [1e3, 0.0, -1e3], [-1e3, -1e3, -1e3], [50.0, -50.0, 1e-9], [0.0, 1e3, 1e3]])
    binary_probabilities = np.array([[0.0, 1.0, 0.0, 1.0], [1e-8, 1 - 1e-8, 1e-6, 0.5]])
    binary_logits = np.array([[-1e3, 1e3, -1e3, 1e3], [-50.0, 50.0, 1e-9, 0.0]])
    binary_labels = np.array([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    for id, loss, config, y_true, y_pred in [
        ("clipped", "CategoricalCrossentropy", {}, one_hot(classes, 3), certain),
        ("clipped_none", "CategoricalCrossentropy", {"reduction": None}, one_hot(classes, 3), certain),
        ("clipped_smooth", "CategoricalCrossentropy", {"label_smoothing": 0.1}, one_hot(classes, 3), certain),
        ("logits", "CategoricalCrossentropy", {"from_logits": True}, one_hot(classes, 3), logits),
        ("logits", "SparseCategoricalCrossentropy", {"from_logits": True}, classes, logits),
        ("clipped", "BinaryCrossentropy", {}, binary_labels, binary_probabilities),
        ("clipped_none", "BinaryCrossentropy", {"reduction": None}, binary_labels, binary_probabilities),
        ("logits", "BinaryCrossentropy", {"from_logits": True}, binary_labels, binary_logits),
    ]:
        id = f"{loss}__extreme_{id}"
        _, random = peer.start(id)
        record(id, loss, config, {"y_true": y_true, "y_pred": y_pred}, random, tags=["extreme"])

    id = "SparseCategoricalCrossentropy__extreme_clipped"
    _, random = peer.start(id)
    record(
        id, "SparseCategoricalCrossentropy", {}, {"y_true": classes, "y_pred": certain}, random,
        notes="the value only, to 1e-6: Keras divides by the sum first and then clips on JAX, the other way round on "
        "TensorFlow, and their gradients differ where a clip acts",
        tags=["extreme"], expect=["output"], tolerance=(1e-6, 1e-12),
    )


for loss in ["MeanSquaredError", "MeanAbsoluteError"]:
    errors(loss)
    weights_without_sum(loss, np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[0.5, 1.0], [0.25, 1.0]]))
columns()
for loss in ["MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber", "LogCosh", "Poisson", "KLDivergence"]:
    briefly(loss, [{"delta": 0.3}] if loss == "Huber" else [])
for loss in ["Hinge", "SquaredHinge"]:
    briefly(loss, [])
    binary_margin(loss)
briefly("CategoricalHinge", [])
briefly("CosineSimilarity", [{"axis": 1}])
briefly("BinaryFocalCrossentropy", [{"gamma": 3.5, "apply_class_balancing": True, "alpha": 0.6}, {"label_smoothing": 0.1},
                                    {"from_logits": True}, {"from_logits": True, "gamma": 1.0}, {"axis": 1}])
briefly("CategoricalFocalCrossentropy", [{"gamma": 3.5, "alpha": 0.6}, {"label_smoothing": 0.1}, {"from_logits": True},
                                         {"from_logits": True, "label_smoothing": 0.2, "axis": 1}, {"axis": 1}])
for loss, options in [("Dice", [{}]), ("Tversky", [{}, {"alpha": 0.3, "beta": 0.7}, {"beta": 1.0}])]:
    for config in options:
        overlaps(loss, config)
crossentropies("CategoricalCrossentropy", [{"label_smoothing": 0.1}])
crossentropies("SparseCategoricalCrossentropy", [{"ignore_class": 2}, {"ignore_class": -1}])
crossentropies("BinaryCrossentropy", [{"label_smoothing": 0.1}])
class_axis("CategoricalCrossentropy")
case("BinaryCrossentropy", (2, 3, 4), {"axis": 1})
case("BinaryCrossentropy", (2, 3, 4), {"axis": 1, "reduction": None, "from_logits": True}, "element")
ignored()
sequences()
extremes()
group.write()
