"""Reference cases of optimizers: two weights over 20 steps on given gradients, from PyTorch."""

import numpy as np
import torch

from common import Group, distinct, rng

torch.set_num_threads(1)
VERSIONS = {"torch": torch.__version__, "numpy": np.__version__}
group = Group("optimizers_torch", "torch", VERSIONS, atol=1e-12, atol_f32=1e-6)

STEPS = 20
L2 = "weight_decay is L2: added to the gradient"

OPTIMIZERS = {
    "SGD": {
        "default": {},
        "momentum": {"momentum": 0.9},
        "dampening": {"momentum": 0.9, "dampening": 0.4},
        "nesterov": {"momentum": 0.9, "nesterov": True},
        "decay": {"weight_decay": 0.1},
        "decay_momentum": {"weight_decay": 0.1, "momentum": 0.8},
        "decay_nesterov": {"weight_decay": 0.1, "momentum": 0.8, "nesterov": True},
        "maximize": {"maximize": True},
        "maximize_all": {"maximize": True, "momentum": 0.7, "dampening": 0.2, "weight_decay": 0.05},
    },
    "Adam": {
        "default": {},
        "betas": {"betas": [0.7, 0.95]},
        "eps": {"eps": 0.05},
        "amsgrad": {"amsgrad": True},
        "amsgrad_betas": {"amsgrad": True, "betas": [0.5, 0.6]},
        "decay": {"weight_decay": 0.1},
        "decay_amsgrad": {"weight_decay": 0.1, "amsgrad": True, "betas": [0.5, 0.6]},
        "maximize": {"maximize": True, "weight_decay": 0.1},
    },
    "AdamW": {
        "default": {},
        "decay": {"weight_decay": 0.3},
        "no_decay": {"weight_decay": 0.0},
        "amsgrad": {"amsgrad": True, "betas": [0.5, 0.6], "weight_decay": 0.2},
        "eps": {"eps": 0.05},
    },
    "RMSprop": {
        "default": {},
        "alpha": {"alpha": 0.8},
        "eps": {"eps": 0.05},
        "momentum": {"momentum": 0.8},
        "centered": {"centered": True, "alpha": 0.9},
        "centered_momentum": {"centered": True, "alpha": 0.7, "momentum": 0.6},
        "decay": {"weight_decay": 0.1},
        "all": {"weight_decay": 0.05, "centered": True, "alpha": 0.9, "momentum": 0.5},
    },
}


def case(name, variant, options):
    id = f"torch_{name}__{variant}"
    random = rng(id)
    config = {"lr": round(random.uniform(0.01, 0.06), 4), **options}
    start = {"w": distinct(random, (3, 4)), "b": distinct(random, (4,))}
    grads = {which: distinct(random, (STEPS, *value.shape)) for which, value in start.items()}
    grads["w"][:, :, 0] *= 0.01
    weights = {which: torch.tensor(value, requires_grad=True) for which, value in start.items()}
    optimizer = getattr(torch.optim, name)(weights.values(), **config)
    path = {which: [] for which in weights}
    for step in range(STEPS):
        for which, weight in weights.items():
            weight.grad = torch.tensor(grads[which][step])
        optimizer.step()
        for which, weight in weights.items():
            path[which].append(weight.detach().numpy().copy())
    arrays = {f"param.{which}": value for which, value in start.items()}
    arrays |= {f"grads.{which}": value for which, value in grads.items()}
    arrays |= {f"output.{which}": np.stack(values) for which, values in path.items()}
    notes = L2 if "weight_decay" in options and name != "AdamW" else ""
    group.add(id, f"optimizer:torch.{name}", config, arrays, notes=notes)


for name, variants in OPTIMIZERS.items():
    for variant, options in variants.items():
        case(name, variant, options)
group.write()
