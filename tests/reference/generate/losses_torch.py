"""Reference cases of losses: value and gradient by the prediction, from PyTorch.

The cases hold classes on the last axis whatever the rank; PyTorch wants them on axis 1.
"""

import numpy as np
import torch

from common import Group, distinct, dtype_of, label, probabilities, rng

torch.set_num_threads(1)
VERSIONS = {"torch": torch.__version__, "numpy": np.__version__}
group = Group("losses_torch", "torch", VERSIONS, atol=1e-12, atol_f32=1e-6)

REDUCTIONS = [{}, {"reduction": "sum"}, {"reduction": "none"}]


def record(id, loss, config, y_true, y_pred, random, notes="", tags=(), tolerance=None, further=()):
    """`further` are arrays by name that the loss takes after the target; floating ones have gradients."""
    dtype = getattr(torch, dtype_of(id))
    options = {key: torch.tensor(value, dtype=dtype) if "weight" in key else value for key, value in config.items()}
    function = getattr(torch.nn, loss)(**options)
    prediction, target = torch.tensor(y_pred, requires_grad=True), torch.tensor(y_true)
    if loss in ("CrossEntropyLoss", "NLLLoss") and prediction.ndim > 2:
        if target.ndim == prediction.ndim:
            target = target.movedim(-1, 1).contiguous()
        output = function(prediction.movedim(-1, 1).contiguous(), target)
    else:
        inputs = {name: torch.tensor(array, requires_grad=array.dtype.kind == "f") for name, array in dict(further).items()}
        output = function(prediction, target, *inputs.values())
    grad_output = random.uniform(-1.5, 1.5, output.shape).astype(dtype_of(id))
    output.backward(torch.tensor(grad_output) if output.ndim else None)
    arrays = {"y_true": y_true, "y_pred": y_pred}
    if output.ndim:
        arrays["grad_output"] = grad_output
    arrays |= {"output": output.detach().numpy(), "grad.y_pred": prediction.grad.numpy()}
    for name, array in dict(further).items():
        arrays[name] = array
        if array.dtype.kind == "f":
            arrays[f"grad.{name}"] = inputs[name].grad.numpy()
    group.add(id, f"loss:torch.{loss}", config, arrays, notes=notes, tags=tags, tolerance=tolerance)


def values(random, shape, dtype):
    return distinct(random, shape, dtype), distinct(random, shape, dtype) / 2 + np.asarray(0.1, dtype)


def chances(random, shape, dtype):
    return random.uniform(0, 1, shape).astype(dtype), random.uniform(0.02, 0.98, shape).astype(dtype)


def binary_logits(random, shape, dtype):
    return random.uniform(0, 1, shape).astype(dtype), distinct(random, shape, dtype, low=-4, high=4)


def class_logits(random, shape, dtype):
    return random.integers(0, shape[-1], shape[:-1]), distinct(random, shape, dtype, low=-4, high=4)


def soft_class_logits(random, shape, dtype):
    return probabilities(random, shape, dtype=dtype), distinct(random, shape, dtype, low=-4, high=4)


def class_log_probabilities(random, shape, dtype):
    return random.integers(0, shape[-1], shape[:-1]), np.log(probabilities(random, shape, dtype=dtype))


def case(loss, targets, shape, config, suffix="", notes=""):
    size = "x".join(map(str, shape))
    options = {key: "" if isinstance(value, list) else value for key, value in config.items()}
    id = f"torch_{loss}__{size}_{targets.__name__}_{label(options)}{suffix}"
    random = rng(id)
    y_true, y_pred = targets(random, shape, dtype_of(id))
    if config.get("ignore_index") == -100:
        y_true.flat[::3] = -100
    record(id, loss, config, y_true, y_pred, random, notes)


def elementwise():
    notes = "the mean is over every element, not per sample"
    for loss, targets in [
        ("MSELoss", values), ("L1Loss", values), ("BCELoss", chances), ("BCEWithLogitsLoss", binary_logits)
    ]:
        for shape in [(4, 3), (2, 3, 2)]:
            for reduction in REDUCTIONS:
                case(loss, targets, shape, reduction, notes=notes)
        case(loss, targets, (5,), {}, notes=notes)
        case(loss, targets, (4, 3), {}, "__f32", notes)
    notes = "weight and pos_weight broadcast over the last axis; the mean divides by the number of elements"
    weight, pos_weight = [1.0, 0.4, 2.0], [0.7, 3.0, 1.5]
    for reduction in REDUCTIONS:
        case("BCELoss", chances, (4, 3), {"weight": weight, **reduction}, notes=notes)
        case("BCEWithLogitsLoss", binary_logits, (4, 3), {"weight": weight, **reduction}, notes=notes)
        case("BCEWithLogitsLoss", binary_logits, (4, 3), {"pos_weight": pos_weight, **reduction}, notes=notes)
        options = {"weight": weight, "pos_weight": pos_weight, **reduction}
        case("BCEWithLogitsLoss", binary_logits, (2, 2, 3), options, notes=notes)


def classes():
    weight = [0.5, 1.0, 2.0, 0.3]
    means = "mean divides by the sum of the weights of the counted targets"
    for reduction in REDUCTIONS:
        for shape in [(6, 4), (2, 3, 4), (2, 2, 3, 4)]:
            for loss, targets, notes in [
                ("CrossEntropyLoss", class_logits, f"logits, classes last; {means}"),
                ("NLLLoss", class_log_probabilities, f"y_pred are log-probabilities, classes last; {means}"),
            ]:
                case(loss, targets, shape, reduction, notes=notes)
                case(loss, targets, shape, {"weight": weight, **reduction}, notes=notes)
                case(loss, targets, shape, {"ignore_index": 2, **reduction}, notes=notes)
                case(loss, targets, shape, {"weight": weight, "ignore_index": -100, **reduction}, notes=notes)
        notes = "with weights the smoothed part is weighted by class, and mean divides by the weights of the targets"
        for options in [
            {"label_smoothing": 0.1},
            {"label_smoothing": 0.1, "weight": weight},
            {"label_smoothing": 0.2, "weight": weight, "ignore_index": 1},
        ]:
            case("CrossEntropyLoss", class_logits, (6, 4), {**options, **reduction}, notes=notes)
        case("CrossEntropyLoss", class_logits, (2, 3, 4), {"label_smoothing": 0.1, **reduction}, notes=notes)
        notes = "y_true are probabilities: mean divides by the number of rows, not by weights"
        for shape in [(5, 4), (2, 3, 4)]:
            for options in [{}, {"weight": weight}, {"label_smoothing": 0.1}]:
                case("CrossEntropyLoss", soft_class_logits, shape, {**options, **reduction}, notes=notes)
    for loss, targets in [
        ("CrossEntropyLoss", class_logits),
        ("CrossEntropyLoss", soft_class_logits),
        ("NLLLoss", class_log_probabilities),
    ]:
        case(loss, targets, (5, 3), {}, "__f32")


def robust():
    notes = "the mean is over every element, not per sample"
    for reduction in REDUCTIONS:
        for options in [{}, {"delta": 0.6}]:
            case("HuberLoss", values, (4, 3), {**options, **reduction}, notes=notes)
        for options in [{}, {"beta": 0.4}, {"beta": 0.0}]:
            case("SmoothL1Loss", values, (2, 3, 2), {**options, **reduction}, notes=notes)
        for options in [{}, {"margin": 0.5}]:
            case("HingeEmbeddingLoss", pairs, (4, 3), {**options, **reduction}, notes=notes)
    case("SmoothL1Loss", values, (4, 3), {}, "__f32", notes)
    case("HingeEmbeddingLoss", pairs, (4, 3), {}, "__f32", notes)


def pairs(random, shape, dtype):
    return random.choice(np.array([-1, 1], dtype), shape), distinct(random, shape, dtype, low=0, high=2)


def log_distributions(random, shape, dtype):
    target = probabilities(random, shape, dtype=dtype)
    target[..., 0] = 0  # counts nothing
    return target, np.log(probabilities(random, shape, dtype=dtype))


def two_log_distributions(random, shape, dtype):
    return np.log(probabilities(random, shape, dtype=dtype)), np.log(probabilities(random, shape, dtype=dtype))


def counts_of_logs(random, shape, dtype):
    return random.integers(0, 6, shape).astype(dtype), distinct(random, shape, dtype)


def counts_of_means(random, shape, dtype):
    return random.integers(0, 6, shape).astype(dtype), distinct(random, shape, dtype, low=0.1, high=4)


def distributions():
    for reduction in [*REDUCTIONS, {"reduction": "batchmean"}]:
        for shape in [(4, 3), (2, 3, 4)]:
            case("KLDivLoss", log_distributions, shape, reduction, notes="y_pred are log-probabilities")
            options = {"log_target": True, **reduction}
            case("KLDivLoss", two_log_distributions, shape, options, notes="both are log-probabilities")
    case("KLDivLoss", log_distributions, (4, 3), {}, "__f32")
    for reduction in REDUCTIONS:
        for options in [{}, {"full": True}]:
            case("PoissonNLLLoss", counts_of_logs, (4, 3), {**options, **reduction})
            options = {"log_input": False, "eps": 1e-3, **options}
            case("PoissonNLLLoss", counts_of_means, (2, 3, 2), {**options, **reduction})
    case("PoissonNLLLoss", counts_of_logs, (4, 3), {}, "__f32")


def gaussian():
    for suffix in ["", "__f32"]:
        for options in [{}, {"full": True, "eps": 0.3}, *REDUCTIONS[1:]]:
            for shape, var_shape in [((4, 3), (4, 3)), ((4, 3), (4, 1)), ((2, 3, 2), (2, 3, 2)), ((4, 3), (4,))]:
                size = "x".join(map(str, shape)) + "_" + "x".join(map(str, var_shape))
                id = f"torch_GaussianNLLLoss__{size}_{label(options)}{suffix}"
                random = rng(id)
                y_true, y_pred = values(random, shape, dtype_of(id))
                var = random.uniform(0.1, 2, var_shape).astype(dtype_of(id))
                notes = "the gradient passes the floor eps of the variance; var broadcasts over the last axis"
                record(id, "GaussianNLLLoss", options, y_true, y_pred, random, notes, further={"var": var})


def sequences():
    notes = "y_pred are log-probabilities (time, batch, classes); mean divides each sample by its number of labels"
    for suffix in ["", "__f32"]:
        for options in [*REDUCTIONS, {"blank": 3}, {"zero_infinity": True}]:
            id = f"torch_CTCLoss__{label(options)}{suffix}"
            random = rng(id)
            log_probabilities = np.log(probabilities(random, (7, 3, 4), dtype=dtype_of(id)))
            labels = (np.arange(12).reshape(3, 4) * 5 % 3 + (0 if "blank" in options else 1)).astype(np.int64)
            labels[1] = labels[1, 0]  # equal labels need blanks between them
            target_lengths = np.array([4, 3, 1], np.int64)
            if "zero_infinity" in options:
                target_lengths[1] = 4  # seven frames at least
            input_lengths = np.array([7, 6, 3], np.int64)
            lengths = {"input_lengths": input_lengths, "target_lengths": target_lengths}
            record(id, "CTCLoss", options, labels, log_probabilities, random, notes, further=lengths)


def extremes():
    id = "torch_BCELoss__extremes"
    y_true = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    y_pred = np.array([[0.0, 1.0, 0.0, 1.0], [1e-8, 1e-8, 0.5, 1.0 - 1e-8]])
    record(id, "BCELoss", {"reduction": "sum"}, y_true, y_pred, rng(id),
           notes="the logarithms are clamped at -100, not the probabilities; gradient "
           "(y_pred - y_true) / max(y_pred (1 - y_pred), 1e-12), where PyTorch has the float32 1e-12, hence rtol 1e-7",
           tags=["extreme"], tolerance=(1e-7, 1e-12))
    id = "torch_BCEWithLogitsLoss__extremes"
    logits = np.array([[-1e3, 1e3, -1e3, 1e3], [50.0, -50.0, 0.0, 1e-9]])
    record(id, "BCEWithLogitsLoss", {}, y_true, logits, rng(id), tags=["extreme"])
    id = "torch_CrossEntropyLoss__extremes"
    logits = np.array([[1e3, -1e3, 0.0], [1e3, 1e3, -1e3], [-1e3, -1e3, -1e3]])
    record(id, "CrossEntropyLoss", {}, np.array([1, 0, 2]), logits, rng(id), tags=["extreme"])


def ties():
    id = "torch_L1Loss__ties"
    y_true = np.array([[0.5, -1.0, 2.0], [0.0, 0.25, -0.5]])
    y_pred = np.array([[0.5, -0.5, 2.0], [0.0, 1.25, -1.5]])
    record(id, "L1Loss", {}, y_true, y_pred, rng(id), notes="|x| at 0 has gradient 0", tags=["ties"])


elementwise()
classes()
robust()
distributions()
gaussian()
sequences()
extremes()
ties()
group.write()
