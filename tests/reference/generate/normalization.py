"""Reference cases of normalization layers, in inference and in training, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group
from layer_case import add

group = Group("normalization", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool)
PENALTY = {"class_name": "L2", "config": {"l2": 0.1}}


def batch():
    name = "BatchNormalization"
    for label, config, shape in [
        ("default", {}, (6, 3)),
        ("rank3", {}, (4, 5, 3)),
        ("rank4", {}, (2, 3, 4, 5)),
        ("rank5", {}, (2, 2, 3, 2, 3)),
        ("many_channels", {}, (9, 37)),
        ("axis1", {"axis": 1}, (4, 3, 5)),
        ("axis-2", {"axis": -2}, (3, 2, 4, 3)),
        ("momentum", {"momentum": 0.6}, (6, 3)),
        ("epsilon", {"epsilon": 0.05}, (6, 3)),
        ("no_center", {"center": False}, (6, 3)),
        ("no_scale", {"scale": False}, (6, 3)),
        ("no_center_no_scale", {"center": False, "scale": False}, (4, 2, 3)),
        ("regularized", {"beta_regularizer": PENALTY, "gamma_regularizer": PENALTY}, (6, 3)),
    ]:
        add(group, f"batchnorm_{label}", name, config, shape)
        add(group, f"batchnorm_{label}_training", name, config, shape, training=True)
    for calls in [2, 5]:
        add(group, f"batchnorm_{calls}_calls", name, {"momentum": 0.8}, (4, 3, 2), training=True, calls=calls)
    add(group, "batchnorm_one_row", name, {}, (1, 4), training=True, notes="the variance is 0")
    add(group, "batchnorm_frozen_training", name, {"trainable": False}, (6, 3), training=True,
        notes="frozen, the moving statistics are used and stay as they are")
    add(group, "batchnorm_mask_training", name, {"momentum": 0.7}, (3, 5, 4), training=True, mask=MASK)
    add(group, "batchnorm_mask", name, {}, (3, 5, 4), mask=MASK)
    add(group, "batchnorm_mask_large_mean_training", name, {"epsilon": 1e-5}, (3, 5, 4), training=True, mask=MASK,
        offset=100.0, notes="Keras adds 1e-7 to the number of steps, which shows in the mean and its gradient")
    add(group, "batchnorm_large_mean_training", name, {}, (8, 3), training=True, offset=1000.0)
    for label, config, shape in [("default", {}, (6, 3)), ("rank4", {"momentum": 0.9}, (2, 3, 4, 5))]:
        add(group, f"batchnorm_{label}__f32", name, config, shape)
        add(group, f"batchnorm_{label}_training__f32", name, config, shape, training=True)


def groups():
    for label, config, shape in [
        ("two", {"groups": 2}, (3, 6)),
        ("default", {}, (2, 3, 64)),
        ("one", {"groups": 1}, (2, 3, 2, 4)),
        ("each", {"groups": -1}, (2, 3, 4, 5)),
        ("image", {"groups": 3}, (2, 3, 4, 6)),
        ("axis1", {"groups": 2, "axis": 1}, (2, 4, 3, 2)),
        ("axis2", {"groups": 2, "axis": 2}, (2, 3, 4, 2)),
        ("epsilon", {"groups": 2, "epsilon": 0.1}, (3, 5, 4)),
        ("no_center", {"groups": 2, "center": False}, (3, 5, 4)),
        ("no_scale", {"groups": 2, "scale": False}, (3, 5, 4)),
        ("bare", {"groups": 2, "scale": False, "center": False}, (3, 5, 4)),
        ("image__f32", {"groups": 3}, (2, 3, 4, 6)),
    ]:
        add(group, f"groupnorm_{label}", "GroupNormalization", config, shape)


def rows():
    for label, config, shape in [
        ("default", {}, (4, 5)),
        ("rank3", {}, (2, 3, 40)),
        ("axis1", {"axis": 1}, (2, 3, 4)),
        ("two_axes", {"axis": [1, 2]}, (2, 3, 4)),
        ("two_axes_apart", {"axis": [1, 3]}, (2, 3, 2, 4)),
        ("two_axes_from_the_end", {"axis": [-2, -1]}, (2, 3, 2, 4)),
        ("all_axes", {"axis": [1, 2, 3]}, (2, 3, 2, 4)),
        ("epsilon", {"epsilon": 0.1}, (4, 5)),
        ("no_center", {"center": False}, (4, 5)),
        ("no_scale", {"scale": False}, (4, 5)),
        ("bare", {"scale": False, "center": False}, (4, 5)),
        ("rms_scaling", {"rms_scaling": True}, (4, 5)),
        ("rms_scaling_axis1", {"rms_scaling": True, "axis": 1}, (2, 3, 4)),
        ("one_feature", {}, (3, 1)),
        ("default__f32", {}, (4, 5)),
        ("two_axes__f32", {"axis": [1, 2]}, (2, 3, 4)),
    ]:
        add(group, f"layernorm_{label}", "LayerNormalization", config, shape)
    add(group, "layernorm_large_mean", "LayerNormalization", {}, (4, 6), offset=1000.0)
    for label, config, shape in [
        ("default", {}, (4, 5)),
        ("rank3", {}, (2, 3, 40)),
        ("two_axes", {"axis": [1, 2]}, (2, 3, 4)),
        ("epsilon", {"epsilon": 0.1}, (4, 5)),
        ("default__f32", {}, (4, 5)),
    ]:
        add(group, f"rmsnorm_{label}", "RMSNormalization", config, shape)
    for label, config, shape in [
        ("default", {}, (4, 5)),
        ("axis1", {"axis": 1}, (2, 3, 4)),
        ("two_axes", {"axis": [1, 2]}, (2, 3, 4)),
        ("two_axes_apart", {"axis": [1, 3]}, (2, 3, 2, 4)),
        ("default__f32", {}, (4, 5)),
    ]:
        add(group, f"unitnorm_{label}", "UnitNormalization", config, shape)


batch()
groups()
rows()
group.write()
