"""Reference cases of convolutional networks: some training steps, from Keras."""

import models
import peer_keras as peer
from common import Group, rng
from models import case, dense, entry, features, functional, layer, mnist, node, sequential, steps, training

models.group = Group("models_conv", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-4)

CATEGORICAL, MEAN_SQUARED = ("CategoricalCrossentropy", {}), ("MeanSquaredError", {})
ADAM = ("Adam", {"learning_rate": 0.01})
L2 = {"class_name": "L2", "config": {"l2": 0.02}}


def conv(name, filters, size, class_name="Conv2D", **config):
    return layer(class_name, name, filters=filters, kernel_size=size, **config)


def pool(name, **config):
    return layer("MaxPool2D", name, pool_size=2, **config)


def classifiers():
    """Small images, as bytes, to ten classes."""
    image = layer("Reshape", "image", target_shape=[14, 14, 1])
    end = [layer("Flatten", "flatten"), dense("class", 10, "softmax")]
    small = [image, conv("a", 3, 3, activation="relu"), pool("pool_a"),
             conv("b", 4, 3, padding="same", activation="relu"), pool("pool_b"), *end]
    strided = [image, conv("a", 4, 3, strides=2, padding="same", activation="relu", kernel_regularizer=L2),
               conv("b", 6, [3, 2], groups=2, dilation_rate=2, activation="tanh"),
               conv("c", 3, 1, use_bias=False), *end]
    separable = [image, conv("a", 3, 3, activation="relu"),
                 layer("DepthwiseConv2D", "b", kernel_size=3, strides=2, depth_multiplier=2, activation="relu"),
                 conv("c", 5, 3, "SeparableConv2D", padding="same", activation="relu"), *end]
    frozen = [image, conv("a", 3, 3, activation="relu", trainable=False), conv("b", 2, 4, strides=3), *end]
    for id, layers, optimizer in [
        ("cnn_sgd", small, ("SGD", {"learning_rate": 0.1, "momentum": 0.9})),
        ("cnn_adam", small, ADAM),
        ("cnn_adam__f32", small, ADAM),
        ("cnn_strides_groups_dilation", strided, ADAM),
        ("cnn_separable", separable, ("RMSprop", {"learning_rate": 0.005})),
        ("cnn_frozen", frozen, ADAM),
    ]:
        images, labels = mnist(16, peer.dtype_of(id), side=14)
        config = training(CATEGORICAL, optimizer, **steps(id, rows=16, size=8))
        case(id, sequential([14, 14], *layers), config, [images], [labels])


def others():
    """Images to images, with a skip; sequences; volumes."""
    down = conv("down", 4, 3, strides=2, padding="same", activation="relu")
    up = conv("up", 3, 3, "Conv2DTranspose", strides=2, padding="same", activation="relu")
    unet = functional(
        ["x"], ["y"], entry("x", 6, 8, 2), node(down, ["x"]), node(up, ["down"]),
        node(layer("Concatenate", "skip"), ["x", "up"]), node(conv("y", 1, 1, activation="sigmoid"), ["skip"]),
    )
    causal = sequential(
        [9, 2], conv("a", 4, 3, "Conv1D", padding="causal", dilation_rate=2, activation="relu"),
        conv("b", 3, 2, "Conv1D", strides=2), conv("c", 1, 3, "Conv1DTranspose", strides=2, output_padding=1),
    )
    volumes = sequential(
        [4, 5, 4, 1], conv("a", 3, 2, "Conv3D", activation="relu"),
        conv("b", 1, 2, "Conv3DTranspose", activation="tanh"),
    )
    for id, spec, shape, target in [
        ("unet_with_a_skip", unet, (6, 8, 2), (6, 8, 1)),
        ("causal_sequence", causal, (9, 2), (10, 1)),
        ("volumes", volumes, (4, 5, 4, 1), (4, 5, 4, 1)),
    ]:
        random = rng(id + " data")
        x, y = features(random, 12, *shape), features(random, 12, *target)
        case(id, spec, training(MEAN_SQUARED, ADAM, **steps(id, rows=12, size=5)), [x], [y])


classifiers()
others()
models.group.write()
