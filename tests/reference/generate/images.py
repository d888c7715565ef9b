"""Reference cases of the Normalization layer and of images cut, mirrored, turned and resized, from Keras and numpy."""

from peer_keras import VERSIONS

import keras
import numpy as np

from common import Group, distinct, label, rng

group = Group("images", "keras", VERSIONS, 1e-12, 1e-6)


def case(id, step, config, run, shape=(5, 4, 3), call=None):
    """`run` applied to an image of random numbers."""
    x = distinct(rng(id), shape, "float32" if id.endswith("__f32") else "float64")
    if call:
        group.add(id, f"preprocess:{step}", config, {"input": x}, call=call, tags=["error"])
    else:
        group.add(id, f"preprocess:{step}", config, {"input": x, "output": np.asarray(run(x)).astype(x.dtype)})


# Mirrored and turned: numpy's words.
SHAPES = {"one": (5, 4, 3), "several": (2, 3, 4, 1)}
for name, shape in SHAPES.items():
    rows = len(shape) - 3
    for step, run in {
        "flip_left_right": lambda x: np.flip(x, rows + 1),
        "flip_up_down": lambda x: np.flip(x, rows),
        "rot180": lambda x: np.rot90(x, 2, (rows, rows + 1)),
    }.items():
        case(f"{step}__{name}", f"image.{step}", {}, run, shape)
    for k in (1, 2, 3, -1, 4):
        case(f"rot90__k{k}_{name}", "image.rot90", {"k": k}, lambda x: np.rot90(x, k, (rows, rows + 1)), shape)

IMAGE = keras.ops.image
for config in ({"top_cropping": 1, "bottom_cropping": 2, "left_cropping": 0, "right_cropping": 1},
               {"top_cropping": 2, "target_height": 3, "right_cropping": 1, "target_width": 2},
               {"bottom_cropping": 0, "target_height": 1, "left_cropping": 1, "target_width": 3}):
    for name, shape in SHAPES.items():
        if name == "one" or config.get("top_cropping", 0) < 2 and "target_height" in config:
            case(f"crop__{label(config)}_{name}", "image.crop", config, lambda x: IMAGE.crop_images(x, **config), shape)
for config in ({"top_padding": 1, "bottom_padding": 2, "left_padding": 0, "right_padding": 1},
               {"top_padding": 2, "target_height": 9, "right_padding": 1, "target_width": 7},
               {"bottom_padding": 0, "target_height": 8, "left_padding": 1, "target_width": 6}):
    for name, shape in SHAPES.items():
        case(f"pad__{label(config)}_{name}", "image.pad", config, lambda x: IMAGE.pad_images(x, **config), shape)
# Cut beyond the image.
case("crop__beyond", "image.crop", {"top_cropping": 4, "target_height": 3, "left_cropping": 0, "right_cropping": 0}, None,
     call={"raises": "ValueError"})
case("crop__negative", "image.crop", {"top_cropping": -1, "target_height": 3, "left_cropping": 0, "right_cropping": 0},
     None, call={"raises": "ValueError"})
case("pad__smaller", "image.pad", {"top_padding": 1, "target_height": 3, "left_padding": 0, "right_padding": 0}, None,
     call={"raises": "ValueError"})

case("rgb_to_grayscale__one", "image.rgb_to_grayscale", {}, IMAGE.rgb_to_grayscale)
case("rgb_to_grayscale__several", "image.rgb_to_grayscale", {}, IMAGE.rgb_to_grayscale, (2, 3, 4, 3))
case("rgb_to_grayscale__grey", "image.rgb_to_grayscale", {}, IMAGE.rgb_to_grayscale, (3, 4, 1))
case("rgb_to_grayscale__single__f32", "image.rgb_to_grayscale", {}, IMAGE.rgb_to_grayscale)
case("rgb_to_grayscale__two_channels", "image.rgb_to_grayscale", {}, None, (3, 4, 2), call={"raises": "ValueError"})

for size in ((3, 2), (4, 4), (2, 3), (5, 4), (7, 6), (6, 2), (3, 9)):
    config = {"height": size[0], "width": size[1]}
    layer = keras.layers.CenterCrop(*size, dtype="float64")
    case(f"center_crop__{size[0]}x{size[1]}", "image.center_crop", config, layer)
    case(f"center_crop__{size[0]}x{size[1]}_several", "image.center_crop", config, layer, (2, 6, 5, 2))

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
for size in ((3, 2), (9, 7), (5, 8), (2, 4), (1, 1)):
    for method in METHODS:
        for antialias in (False, True):
            config = {"size": size, "interpolation": method, "antialias": antialias}
            id = f"resize__{size[0]}x{size[1]}_{method}{'_antialias' if antialias else ''}"
            case(id, "image.resize", config, lambda x: IMAGE.resize(x, **config))
case("resize__default", "image.resize", {"size": (4, 6)}, lambda x: IMAGE.resize(x, (4, 6)), (2, 5, 4, 3))
case("resize__single__f32", "image.resize", {"size": (4, 6)}, lambda x: IMAGE.resize(x, (4, 6)), (2, 5, 4, 3))
for size in ((4, 3), (3, 6), (8, 2), (10, 10)):
    for option in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        for shape in ((7, 4, 2), (2, 4, 9, 1)):
            config = {"size": size, option: True} | ({"fill_value": 0.5} if option.startswith("pad") else {})
            id = f"resize__{size[0]}x{size[1]}_{option[:4]}_{len(shape)}"
            case(id, "image.resize", config, lambda x: IMAGE.resize(x, **config), shape)
case("resize__both", "image.resize", {"size": (2, 2), "crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, None,
     call={"raises": "ValueError"})


def normalization(id, config, shape, tags=()):
    """Adapted to one array, applied to another."""
    random = rng(id)
    fitted, other = distinct(random, (9, *shape)), distinct(random, (4, *shape))
    if "constant" in id:
        fitted[..., 1] = 0.3
    layer = keras.layers.Normalization(**config, dtype="float64")
    arrays = {"input": other}
    if "mean" not in config:
        # Keras adapts in float32: its statistics come from numpy.
        axes = config.get("axis", -1)
        kept = [] if axes is None else [a % fitted.ndim for a in (axes if isinstance(axes, tuple) else (axes,))]
        reduced = tuple(a for a in range(fitted.ndim) if a not in kept)
        mean, variance = fitted.mean(reduced), fitted.var(reduced)
        layer = keras.layers.Normalization(**config, mean=mean, variance=variance, dtype="float64")
        arrays = {"input.0": fitted, "input.1": other}
    arrays["output"] = np.asarray(layer(other))
    group.add(id, "preprocess:Normalization", config, arrays, tags=tags)


for config in ({}, {"invert": True}, {"axis": None}, {"axis": 1}, {"axis": (1, 2)}, {"axis": (-1,)}):
    normalization(f"Normalization__{label(config)}", config, (3, 4))
normalization("Normalization__table", {}, (5,))
normalization("Normalization__constant", {}, (3,), tags=["extreme"])
normalization("Normalization__constant_invert", {"invert": True}, (3,), tags=["extreme"])
normalization("Normalization__given", {"mean": [1.0, -2.0, 0.5], "variance": [4.0, 0.25, 1e-16]}, (3,))
normalization("Normalization__one_number", {"mean": 1.5, "variance": 2.0, "axis": None}, (2, 3))
normalization("Normalization__one_number_invert", {"mean": 1.5, "variance": 2.0, "invert": True}, (2, 3))
group.write()
