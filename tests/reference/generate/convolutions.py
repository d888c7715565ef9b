"""Reference cases of convolutional layers, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct
from layer_case import add

group = Group("convolutions", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

SHAPES = {1: (2, 7, 3), 2: (2, 6, 5, 3), 3: (2, 4, 5, 3, 2)}
L2 = {"class_name": "L2", "config": {"l2": 0.1}}


def sides(rank, *numbers):
    return list(numbers[:rank])


def plain():
    for rank, shape in SHAPES.items():
        name, id = f"Conv{rank}D", f"conv{rank}d"
        for label, config in [
            ("default", {"filters": 4, "kernel_size": 2}),
            ("one", {"filters": 3, "kernel_size": 1}),
            ("one_strides", {"filters": 3, "kernel_size": 1, "strides": 2}),
            ("sides", {"filters": 2, "kernel_size": sides(rank, 3, 2, 1)}),
            ("same", {"filters": 3, "kernel_size": 3, "padding": "same"}),
            ("same_even", {"filters": 3, "kernel_size": sides(rank, 2, 4, 2), "padding": "same"}),
            ("strides", {"filters": 3, "kernel_size": 2, "strides": sides(rank, 2, 3, 1)}),
            ("strides_same", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
            ("strides_gaps", {"filters": 2, "kernel_size": sides(rank, 2, 1, 1), "strides": 3}),
            ("dilation", {"filters": 3, "kernel_size": 2, "dilation_rate": 2}),
            ("dilation_same", {"filters": 3, "kernel_size": 3, "dilation_rate": sides(rank, 2, 1, 2),
                               "padding": "same"}),
            ("no_bias", {"filters": 3, "kernel_size": 2, "use_bias": False}),
            ("format", {"filters": 3, "kernel_size": 2, "data_format": "channels_last", "groups": 1}),
            ("default__f32", {"filters": 4, "kernel_size": 2, "activation": "relu"}),
            ("same__f32", {"filters": 9, "kernel_size": 3, "padding": "same", "activation": "tanh"}),
        ]:
            add(group, f"{id}_{label}", name, config, shape)
        for label, channels, config in [
            ("groups", 4, {"filters": 6, "kernel_size": 2, "groups": 2}),
            ("groups_same_strides", 6, {"filters": 3, "kernel_size": 3, "groups": 3, "padding": "same", "strides": 2}),
            ("groups_dilation", 4, {"filters": 4, "kernel_size": 2, "groups": 2, "dilation_rate": 2}),
            ("groups_of_one", 3, {"filters": 6, "kernel_size": 2, "groups": 3}),
            ("one_channel", 1, {"filters": 5, "kernel_size": 3}),
            ("one_filter", 5, {"filters": 1, "kernel_size": 2, "padding": "same"}),
        ]:
            add(group, f"{id}_{label}", name, config, (*shape[:-1], channels))
        if rank == 1 or rank == 2:
            window = {"filters": 2, "kernel_size": sides(rank, 9, 7), "padding": "same"}
            add(group, f"{id}_window_larger_than_input", name, window, shape)
    for activation in [
        "relu", "gelu", "softmax", "sigmoid", "elu", "silu", {"name": "leaky_relu", "negative_slope": 0.1},
        {"name": "gelu", "approximate": True}, {"name": "softmax", "axis": 1},
        {"name": "relu", "max_value": 0.8, "negative_slope": 0.1, "threshold": 0.2},
    ]:
        label = activation if isinstance(activation, str) else "_".join(map(str, activation.values()))
        config = {"filters": 3, "kernel_size": 2, "activation": activation}
        add(group, f"conv2d_activation_{label}", "Conv2D", config, (2, 4, 3, 2))
    for label, shape, config in [
        ("causal", (2, 7, 3), {"filters": 4, "kernel_size": 3}),
        ("causal_dilation", (2, 9, 2), {"filters": 3, "kernel_size": 3, "dilation_rate": 3}),
        ("causal_strides", (2, 8, 2), {"filters": 3, "kernel_size": 2, "strides": 3}),
        ("causal_long_window", (2, 3, 2), {"filters": 3, "kernel_size": 5}),
        ("causal_groups", (2, 6, 4), {"filters": 4, "kernel_size": 2, "groups": 2}),
        ("causal__f32", (2, 7, 3), {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    ]:
        add(group, f"conv1d_{label}", "Conv1D", {**config, "padding": "causal"}, shape)
    for label, shape, config in [
        ("many_channels", (2, 5, 4, 19), {"filters": 35, "kernel_size": 3}),
        ("many_channels__f32", (3, 7, 6, 33), {"filters": 17, "kernel_size": 3, "padding": "same"}),
        ("one_pixel", (3, 1, 1, 4), {"filters": 5, "kernel_size": 3, "padding": "same"}),
        ("one_row", (1, 5, 4, 2), {"filters": 3, "kernel_size": [5, 4]}),
        ("regularizers", (2, 4, 4, 2), {"filters": 3, "kernel_size": 2, "kernel_regularizer": L2,
                                        "bias_regularizer": L2, "activity_regularizer": L2}),
    ]:
        add(group, f"conv2d_{label}", "Conv2D", config, shape)


def transposed():
    shapes = {1: (2, 4, 3), 2: (2, 3, 4, 2), 3: (1, 2, 3, 2, 2)}
    for rank, shape in shapes.items():
        name, id = f"Conv{rank}DTranspose", f"conv{rank}dtranspose"
        for label, config in [
            ("default", {"filters": 3, "kernel_size": 2}),
            ("one", {"filters": 3, "kernel_size": 1}),
            ("strides", {"filters": 2, "kernel_size": 3, "strides": 2}),
            ("strides_sides", {"filters": 2, "kernel_size": sides(rank, 3, 2, 2), "strides": sides(rank, 2, 3, 1)}),
            ("strides_larger_than_kernel", {"filters": 2, "kernel_size": 2, "strides": 3}),
            ("same", {"filters": 3, "kernel_size": 3, "padding": "same"}),
            ("same_strides", {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same"}),
            ("same_strides_odd", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
            ("same_strides_larger_than_kernel", {"filters": 2, "kernel_size": 2, "strides": 3, "padding": "same"}),
            ("output_padding", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1}),
            ("output_padding_0", {"filters": 2, "kernel_size": 2, "strides": 3, "output_padding": 0}),
            ("same_output_padding", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same",
                                     "output_padding": sides(rank, 1, 0, 1)}),
            ("same_output_padding_even", {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same",
                                          "output_padding": 2}),
            ("dilation", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}),
            ("same_dilation", {"filters": 2, "kernel_size": sides(rank, 3, 2, 2), "dilation_rate": 2,
                               "padding": "same"}),
            ("no_bias", {"filters": 2, "kernel_size": 2, "strides": 2, "use_bias": False}),
            ("relu__f32", {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}),
        ]:
            add(group, f"{id}_{label}", name, config, shape)
    for activation in ["relu", "gelu", "softmax", "tanh"]:
        config = {"filters": 3, "kernel_size": 3, "strides": 2, "activation": activation}
        add(group, f"conv2dtranspose_activation_{activation}", "Conv2DTranspose", config, (2, 2, 3, 2))
    for label, shape, config in [
        ("many_channels", (2, 3, 3, 19), {"filters": 21, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ("one_pixel", (2, 1, 1, 3), {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same"}),
        ("regularizers", (2, 2, 2, 2), {"filters": 3, "kernel_size": 2, "kernel_regularizer": L2,
                                        "bias_regularizer": L2, "activity_regularizer": L2}),
    ]:
        add(group, f"conv2dtranspose_{label}", "Conv2DTranspose", config, shape)


def depthwise():
    for rank in (1, 2):
        name, id = f"DepthwiseConv{rank}D", f"depthwiseconv{rank}d"
        for label, config in [
            ("default", {"kernel_size": 2}),
            ("multiplier", {"kernel_size": 2, "depth_multiplier": 3}),
            ("same", {"kernel_size": 3, "padding": "same"}),
            ("same_multiplier", {"kernel_size": sides(rank, 2, 3), "padding": "same", "depth_multiplier": 2}),
            ("strides", {"kernel_size": 2, "strides": 2}),
            ("strides_same", {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}),
            ("dilation", {"kernel_size": 2, "dilation_rate": 2}),
            ("dilation_same", {"kernel_size": 3, "dilation_rate": 2, "padding": "same", "depth_multiplier": 2}),
            ("no_bias", {"kernel_size": 2, "use_bias": False}),
            ("one", {"kernel_size": 1}),
            ("tanh__f32", {"kernel_size": 3, "padding": "same", "activation": "tanh"}),
            ("relu_multiplier__f32", {"kernel_size": 2, "depth_multiplier": 2, "activation": "relu"}),
        ]:
            add(group, f"{id}_{label}", name, config, SHAPES[rank])
        add(group, f"{id}_one_channel", name, {"kernel_size": 2, "depth_multiplier": 4}, (*SHAPES[rank][:-1], 1))
        add(group, f"{id}_many_channels", name, {"kernel_size": 3, "padding": "same"}, (*SHAPES[rank][:-1], 37))
    regularized = {"kernel_size": 2, "depthwise_regularizer": L2, "bias_regularizer": L2, "activity_regularizer": L2}
    add(group, "depthwiseconv2d_regularizers", "DepthwiseConv2D", regularized, (2, 4, 3, 2))
    for activation in ["relu", "gelu", "softmax"]:
        config = {"kernel_size": 2, "activation": activation, "depth_multiplier": 2}
        add(group, f"depthwiseconv2d_activation_{activation}", "DepthwiseConv2D", config, (2, 4, 3, 2))


def separable():
    for rank in (1, 2):
        name, id = f"SeparableConv{rank}D", f"separableconv{rank}d"
        for label, config in [
            ("default", {"filters": 4, "kernel_size": 2}),
            ("multiplier", {"filters": 4, "kernel_size": 2, "depth_multiplier": 3}),
            ("same", {"filters": 3, "kernel_size": 3, "padding": "same"}),
            ("strides", {"filters": 3, "kernel_size": 2, "strides": 2}),
            ("strides_same", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}),
            ("dilation", {"filters": 3, "kernel_size": 2, "dilation_rate": 2}),
            ("dilation_same", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
            ("no_bias", {"filters": 3, "kernel_size": 2, "use_bias": False}),
            ("one", {"filters": 3, "kernel_size": 1}),
            ("relu__f32", {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}),
            ("multiplier__f32", {"filters": 4, "kernel_size": 2, "depth_multiplier": 2}),
        ]:
            add(group, f"{id}_{label}", name, config, SHAPES[rank])
        add(group, f"{id}_one_channel", name, {"filters": 3, "kernel_size": 2, "depth_multiplier": 2},
            (*SHAPES[rank][:-1], 1))
    for activation in ["relu", "gelu", "softmax"]:
        config = {"filters": 3, "kernel_size": 2, "activation": activation}
        add(group, f"separableconv2d_activation_{activation}", "SeparableConv2D", config, (2, 4, 3, 2))
    regularized = {
        "filters": 3, "kernel_size": 2, "depthwise_regularizer": L2, "pointwise_regularizer": L2,
        "bias_regularizer": L2, "activity_regularizer": L2,
    }
    add(group, "separableconv2d_regularizers", "SeparableConv2D", regularized, (2, 4, 3, 2))


def refusals():
    """What Keras raises for, when the layer is made or when it is built."""
    for id, class_name, config, shape in [
        ("conv2d_window_larger_than_input_valid", "Conv2D", {"filters": 2, "kernel_size": 4}, (2, 3, 5, 2)),
        ("conv2d_dilated_window_larger_than_input", "Conv2D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2},
         (2, 4, 5, 2)),
        ("conv2d_strides_and_dilation", "Conv2D", {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": 2},
         (2, 6, 6, 2)),
        ("conv2d_groups_of_filters", "Conv2D", {"filters": 3, "kernel_size": 2, "groups": 2}, (2, 4, 4, 2)),
        ("conv2d_groups_of_channels", "Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2}, (2, 4, 4, 3)),
        ("conv2d_no_filters", "Conv2D", {"filters": 0, "kernel_size": 2}, (2, 4, 4, 3)),
        ("conv2d_no_window", "Conv2D", {"filters": 2, "kernel_size": [0, 2]}, (2, 4, 4, 3)),
        ("conv2d_no_strides", "Conv2D", {"filters": 2, "kernel_size": 2, "strides": 0}, (2, 4, 4, 3)),
        ("conv2d_causal", "Conv2D", {"filters": 2, "kernel_size": 2, "padding": "causal"}, (2, 4, 4, 3)),
        ("conv2d_rank", "Conv2D", {"filters": 2, "kernel_size": 2}, (2, 4, 3)),
        ("conv2dtranspose_output_padding_of_stride", "Conv2DTranspose",
         {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 2}, (2, 3, 3, 2)),
        ("conv2dtranspose_strides_and_dilation", "Conv2DTranspose",
         {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": 2}, (2, 3, 3, 2)),
        ("depthwiseconv2d_no_multiplier", "DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 0}, (2, 4, 4, 3)),
        ("separableconv2d_window_larger_than_input", "SeparableConv2D", {"filters": 2, "kernel_size": 5}, (2, 4, 4, 3)),
    ]:
        dtype, random = peer.start(id)
        x = distinct(random, shape, dtype)
        try:
            peer.layer(class_name, config)(x)
        except ValueError as error:
            raised = type(error).__name__
        else:
            raise AssertionError(f"{id}: Keras takes it")
        call = {"training": False, "raises": raised}
        group.add(id, f"layer:{class_name}", config, {"input": x}, call=call, tags=["error"])


plain()
transposed()
depthwise()
separable()
refusals()
group.write()
