"""Reference cases of pooling, padding, cropping and enlarging layers, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group
from layer_case import add

group = Group("pooling", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

SHAPES = {1: (2, 7, 3), 2: (2, 6, 7, 3), 3: (2, 4, 5, 4, 2)}


def windows():
    for kind in ["Max", "Avg"]:
        for rank, shape in SHAPES.items():
            name, id = f"{kind}Pool{rank}D", f"{kind.lower()}pool{rank}d"
            sides = [3, 2, 2][:rank]
            for label, config in [
                ("default", {"pool_size": 2}),
                ("same", {"pool_size": 2, "padding": "same"}),
                ("sides", {"pool_size": sides}),
                ("overlap", {"pool_size": sides, "strides": 1}),
                ("overlap_same", {"pool_size": 3, "strides": 1, "padding": "same"}),
                ("strides", {"pool_size": 2, "strides": [1, 3, 2][:rank]}),
                ("strides_same", {"pool_size": 3, "strides": 2, "padding": "same"}),
                ("gaps", {"pool_size": 1, "strides": 2, "data_format": "channels_last"}),
            ]:
                add(group, f"{id}_{label}", name, config, shape)
            add(group, f"{id}__f32", name, {"pool_size": 2, "padding": "same"}, shape)
        add(group, f"{kind.lower()}pool2d_many_channels", f"{kind}Pool2D", {"pool_size": 2}, (2, 4, 5, 37))
        add(group, f"{kind.lower()}pool2d_window_larger_than_input", f"{kind}Pool2D",
            {"pool_size": [5, 4], "strides": 2, "padding": "same"}, (2, 3, 2, 2))
    ties = np.array([1.0, 1.0, 0.5, 0.25, 0.25, 0.5, 2.0, 2.0, 2.0, 2.0, 1.0, 0.0]).reshape(1, 4, 3, 1)
    add(group, "maxpool2d_ties", "MaxPool2D", {"pool_size": 2, "strides": 1}, None, at=ties, tags=["ties"],
        notes="of equal values the first in row-major order takes the gradient")
    add(group, "globalmaxpool2d_ties", "GlobalMaxPool2D", {}, None, at=ties[:, :, :2], tags=["ties"],
        expect=["output"], notes="Keras shares the gradient evenly here, which gradus does not")
    nan = np.arange(16.0).reshape(1, 4, 4, 1)
    nan[0, 1, 2, 0] = np.nan
    for kind in ["Max", "Avg"]:
        add(group, f"{kind.lower()}pool2d_nan", f"{kind}Pool2D", {"pool_size": 2}, None, at=nan, tags=["extreme"],
            expect=["output"])


def whole():
    for kind in ["Max", "Avg"]:
        for rank, shape in SHAPES.items():
            name, id = f"Global{kind}Pool{rank}D", f"global{kind.lower()}pool{rank}d"
            add(group, f"{id}", name, {}, shape)
            add(group, f"{id}_keepdims", name, {"keepdims": True}, shape)
            add(group, f"{id}__f32", name, {}, shape)
    mask = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 0, 1, 0, 0, 0, 0]], bool)
    add(group, "globalavgpool1d_mask", "GlobalAvgPool1D", {}, SHAPES[1], mask=mask)
    add(group, "globalavgpool1d_mask_keepdims", "GlobalAvgPool1D", {"keepdims": True}, SHAPES[1], mask=mask)
    mask[1] = False
    add(group, "globalavgpool1d_mask_of_nothing", "GlobalAvgPool1D", {}, SHAPES[1], mask=mask, tags=["extreme"],
        expect=["output"], notes="the mean of no steps is NaN")


def borders():
    for name, option, shapes in [("ZeroPadding", "padding", SHAPES), ("Cropping", "cropping", SHAPES)]:
        for rank, forms in [
            (1, [("default", None), ("one", 2), ("pair", [1, 0]), ("pair_other", [0, 2])]),
            (2, [("default", None), ("one", 1), ("sides", [1, 2]), ("pairs", [[1, 0], [2, 1]]), ("pairs_other", [[0, 2], [0, 0]])]),
            (3, [("default", None), ("one", 1), ("sides", [0, 1, 1]), ("pairs", [[1, 0], [0, 2], [1, 1]])]),
        ]:
            for label, value in forms:
                config = {} if value is None else {option: value}
                add(group, f"{name.lower()}{rank}d_{label}", f"{name}{rank}D", config, shapes[rank])
    add(group, "zeropadding2d__f32", "ZeroPadding2D", {"padding": [[1, 0], [2, 1]]}, SHAPES[2])
    add(group, "cropping2d__f32", "Cropping2D", {"cropping": [[1, 0], [2, 1]]}, SHAPES[2])


def enlarged():
    add(group, "upsampling1d_default", "UpSampling1D", {}, SHAPES[1])
    add(group, "upsampling1d_size3", "UpSampling1D", {"size": 3}, SHAPES[1])
    add(group, "upsampling2d_default", "UpSampling2D", {}, SHAPES[2])
    add(group, "upsampling2d_size_1x3", "UpSampling2D", {"size": [1, 3]}, SHAPES[2])
    add(group, "upsampling2d_bilinear", "UpSampling2D", {"interpolation": "bilinear"}, SHAPES[2])
    add(group, "upsampling2d_bilinear_size_3x2", "UpSampling2D", {"size": [3, 2], "interpolation": "bilinear"}, SHAPES[2])
    add(group, "upsampling2d_bilinear_one_row", "UpSampling2D", {"size": 4, "interpolation": "bilinear"}, (2, 1, 3, 2))
    add(group, "upsampling3d_default", "UpSampling3D", {}, SHAPES[3])
    add(group, "upsampling3d_size_1x2x3", "UpSampling3D", {"size": [1, 2, 3], "data_format": "channels_last"}, SHAPES[3])
    add(group, "upsampling2d__f32", "UpSampling2D", {"size": [2, 3]}, SHAPES[2])
    add(group, "upsampling2d_bilinear__f32", "UpSampling2D", {"size": [2, 3], "interpolation": "bilinear"}, SHAPES[2])


windows()
whole()
borders()
enlarged()
group.write()
