"""Reference cases of optimizers: two weights over 20 steps on given gradients, from Keras.

Those whose updates look at a parameter's shape are a folder of their own, `optimizers_shaped`.
"""

import numpy as np

import peer_keras as peer
from common import Group, distinct
from peer_keras import keras

group = Group("optimizers", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)
shaped = Group("optimizers_shaped", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)

STEPS = 20
SHAPES = [((3, 4), (4,)), ((5,), (1,)), ((2, 2, 3), (3,))]

CLIPPING = {
    "clipnorm": {"clipnorm": 1.3},
    "clipvalue": {"clipvalue": 0.5},
    "global_clipnorm": {"global_clipnorm": 1.7},
}
DECAY = {"weight_decay": {"weight_decay": 0.1}, "weight_decay_clipnorm": {"weight_decay": 0.2, "clipnorm": 0.9}}
EXPONENTIAL = {
    "class_name": "ExponentialDecay",
    "config": {"initial_learning_rate": 0.05, "decay_steps": 6, "decay_rate": 0.7},
}
SCHEDULE = {
    "schedule": {"learning_rate": EXPONENTIAL},
    "schedule_staircase": {
        "learning_rate": {**EXPONENTIAL, "config": {**EXPONENTIAL["config"], "staircase": True}},
        "weight_decay": 0.1,
    },
}
AVERAGING = {
    "ema": {"use_ema": True},
    "ema_momentum": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
}
ACCUMULATION = {
    "accumulation": {"gradient_accumulation_steps": 3},
    "accumulation_clip_decay": {"gradient_accumulation_steps": 4, "clipnorm": 0.6, "weight_decay": 0.1},
    "accumulation_schedule": {"gradient_accumulation_steps": 2, "learning_rate": EXPONENTIAL},
    # No moving average beside accumulation: Keras averages after every batch, this library after every update, so that a
    # batch in parts is the batch. tests/training/known_faults.rs has the values.
}
GENERAL = CLIPPING | DECAY | SCHEDULE | AVERAGING | ACCUMULATION

OPTIMIZERS = {
    "SGD": {
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.8, "nesterov": True},
        "momentum_decay_clip": {"momentum": 0.9, "weight_decay": 0.1, "global_clipnorm": 1.1},
        "nesterov_accumulation": {"momentum": 0.9, "nesterov": True, "gradient_accumulation_steps": 3},
        **GENERAL,
    },
    "Adam": {
        "betas": {"beta_1": 0.7, "beta_2": 0.95},
        "beta_1_zero": {"beta_1": 0.0},
        "epsilon": {"epsilon": 0.05},
        "amsgrad": {"amsgrad": True},
        "amsgrad_betas": {"amsgrad": True, "beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.01},
        "all": {"beta_1": 0.8, "amsgrad": True, "weight_decay": 0.05, "global_clipnorm": 1.2, "use_ema": True},
        **GENERAL,
    },
    "AdamW": {
        "no_decay": {"weight_decay": 0.0},
        "amsgrad_betas": {"amsgrad": True, "beta_1": 0.5, "beta_2": 0.6, "weight_decay": 0.3},
        **GENERAL,
    },
    "RMSprop": {
        "rho": {"rho": 0.6},
        "epsilon": {"epsilon": 0.05},
        "momentum": {"momentum": 0.8},
        "centered": {"centered": True},
        "centered_momentum": {"centered": True, "momentum": 0.7, "rho": 0.8},
        "all": {"rho": 0.7, "momentum": 0.6, "centered": True, "weight_decay": 0.1, "clipvalue": 0.8},
        **GENERAL,
    },
    "Adagrad": {
        "accumulator": {"initial_accumulator_value": 0.7},
        "accumulator_zero": {"initial_accumulator_value": 0.0, "epsilon": 0.03},
        **DECAY,
        **AVERAGING,
    },
    "Adadelta": {"rho": {"rho": 0.6}, "epsilon": {"epsilon": 0.05, "learning_rate": 1.0}, **DECAY, **CLIPPING},
    "Adamax": {"betas": {"beta_1": 0.7, "beta_2": 0.95}, "epsilon": {"epsilon": 0.05}, **DECAY, **ACCUMULATION},
    "Nadam": {"betas": {"beta_1": 0.7, "beta_2": 0.95}, "epsilon": {"epsilon": 0.05}, **DECAY, **SCHEDULE},
    "Lion": {"betas": {"beta_1": 0.7, "beta_2": 0.95}, **DECAY, **CLIPPING},
    "Lamb": {"betas": {"beta_1": 0.7, "beta_2": 0.95}, "epsilon": {"epsilon": 0.05}, **DECAY, **CLIPPING},
    "Ftrl": {
        "power": {"learning_rate_power": -0.3},
        "penalties": {
            "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.02, "beta": 0.3,
        },
        "accumulator": {"initial_accumulator_value": 0.7, "l1_regularization_strength": 0.2},
        **DECAY,
        **SCHEDULE,
    },
}
NOTES = {
    "clipnorm": "each tensor by its own norm",
    "global_clipnorm": "all tensors by their common norm",
    "use_ema": "output.final: the averages, which replace the weights when training ends",
    "weight_decay": "decoupled: w -= w * weight_decay * learning_rate, after clipping and before the step",
    "gradient_accumulation_steps": "every n-th call updates, with the mean of n gradients",
}


# Pairs of weights, so that all ranks from 0 to 4 occur; matrices that are wide, high, square, a row, a column.
RANKS = {
    "matrix": ((3, 7), (7,)),
    "high": ((9, 4), (4,)),
    "square": ((5, 5), ()),
    "row_and_column": ((1, 6), (6, 1)),
    "rank3": ((2, 4, 3), (3,)),
    "rank4": ((3, 2, 4, 5), (5,)),
    "two_matrices": ((4, 6), (6, 2)),
}
SHAPED = {
    "Muon": {
        "no_nesterov": {"nesterov": False},
        "momentum": {"momentum": 0.6},
        "ns_steps": {"ns_steps": 2},
        "coefficients": {"muon_a": 3.0, "muon_b": -3.2, "muon_c": 1.2},
        "no_rms_rate": {"rms_rate": None},
        "rms_rate": {"rms_rate": 0.5},
        "adam": {"adam_beta_1": 0.7, "adam_beta_2": 0.95, "epsilon": 0.05, "adam_lr_ratio": 0.3},
        "decays": {"weight_decay": 0.3, "adam_weight_decay": 0.1},
        "no_adam_decay": {"adam_weight_decay": None},
        "no_decay": {"weight_decay": None, "adam_weight_decay": 0.2},
        "exclude_layers": {"exclude_layers": ["other", "head"]},
        "exclude_start": {"exclude_layers": ["^head"]},
        "exclude_end": {"exclude_layers": ["/w$"]},
        "exclude_other_start": {"exclude_layers": ["^w"]},
        "embedding": {},
        "embedding_as_matrix": {"exclude_embeddings": False},
        **CLIPPING,
        **SCHEDULE,
        **ACCUMULATION,
    },
    "Adafactor": {
        "beta_2_decay": {"beta_2_decay": -0.4},
        "epsilon_1": {"epsilon_1": 0.01},
        "epsilon_2": {"epsilon_2": 2.0},
        "clip_threshold": {"clip_threshold": 0.3},
        "no_relative_step": {"relative_step": False, "learning_rate": 0.8},
        "relative_step": {"learning_rate": 0.8},
        "embedding": {},
        **CLIPPING,
        **DECAY,
        **SCHEDULE,
        **AVERAGING,
        **ACCUMULATION,
    },
}
LAYERS = {"embedding": "my_embedding", "embedding_as_matrix": "my_embedding", "exclude": "head_1"}


def case(id, name, options, group=group, shapes=None, layer=None):
    dtype, random = peer.start(id)
    config = {"learning_rate": round(random.uniform(0.01, 0.06), 4), **options}
    schedule = config["learning_rate"]
    if isinstance(schedule, dict):
        schedule = keras.optimizers.schedules.deserialize(schedule)
    optimizer = getattr(keras.optimizers, name)(**{**config, "learning_rate": schedule})
    shapes = shapes or SHAPES[random.integers(len(SHAPES))]
    start = [distinct(random, shape, dtype) for shape in shapes]
    grads = [distinct(random, (STEPS, *shape), dtype) for shape in shapes]
    grads[0][:, ..., 0] *= np.asarray(0.01, dtype)
    with keras.name_scope(layer or "l"):
        weights = [keras.Variable(value, name=which) for which, value in zip("wb", start)]
    path = []
    for step in range(STEPS):
        optimizer.apply([keras.ops.convert_to_tensor(grad[step]) for grad in grads], weights)
        path.append([weight.numpy() for weight in weights])
    arrays = {"param.w": start[0], "param.b": start[1], "grads.w": grads[0], "grads.b": grads[1]}
    arrays |= {f"output.{which}": np.stack(values) for which, values in zip("wb", zip(*path))}
    if config.get("use_ema"):
        optimizer.finalize_variable_values(weights)
        arrays |= {f"output.final.{which}": weight.numpy() for which, weight in zip("wb", weights)}
    notes = "; ".join(text for option, text in NOTES.items() if option in config)
    group.add(id, f"optimizer:{name}", config, arrays, {"layer": layer} if layer else None, notes)


for name, variants in OPTIMIZERS.items():
    for variant, options in ({"default": {}} | variants).items():
        case(f"{name}__{variant}", name, options)
    case(f"{name}__default__f32", name, {})
group.write()

for name, variants in SHAPED.items():
    for rank, shapes in RANKS.items():
        for dtype in ("", "__f32"):
            case(f"{name}__{rank}{dtype}", name, {}, shaped, shapes)
    for variant, options in variants.items():
        shapes = RANKS["two_matrices" if variant.startswith(("exclude", "embedding")) else "matrix"]
        layer = LAYERS.get(variant, LAYERS["exclude"] if variant.startswith("exclude") else None)
        case(f"{name}__{variant}", name, options, shaped, shapes, layer)
shaped.write()
