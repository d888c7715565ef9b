"""Reference cases of layers: output and gradients by every input and parameter, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct

group = Group("layers", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)


def case(id, class_name, config, *shapes, at=None, notes="", tags=()):
    """A call of the layer in inference, on one input or, for several `shapes`, on a list of them.

    The inputs are random, but for the one input `at`, if given.
    """
    dtype, random = peer.start(id)
    layer = peer.layer(class_name, config)
    inputs = [distinct(random, shape, dtype) for shape in shapes] if at is None else [at]
    layer(inputs if len(inputs) > 1 else inputs[0])
    for weight in layer.trainable_variables:
        weight.assign(distinct(random, weight.shape, dtype, low=-1, high=1))
    names = [weight.name for weight in layer.trainable_variables]
    params = [weight.numpy() for weight in layer.trainable_variables]
    state = [variable.value for variable in layer.non_trainable_variables]

    def call(params, inputs):
        return layer.stateless_call(params, state, inputs if len(inputs) > 1 else inputs[0])[0]

    output, grad_output, (grad_params, grad_inputs) = peer.gradients(call, (params, inputs), random)
    places = [f"input.{i}" for i in range(len(inputs))] if len(inputs) > 1 else ["input"]
    arrays = dict(zip(places, inputs))
    arrays |= {f"param.{name}": param for name, param in zip(names, params)}
    arrays |= {"grad_output": grad_output, "output": output}
    arrays |= {f"grad.{place}": grad for place, grad in zip(places, grad_inputs)}
    arrays |= {f"grad.{name}": grad for name, grad in zip(names, grad_params)}
    group.add(id, f"layer:{class_name}", config, arrays, call={"training": False}, notes=notes, tags=tags)


def dense():
    for id, config, shape in [
        ("dense_default", {"units": 3}, (4, 5)),
        ("dense_no_bias", {"units": 4, "use_bias": False}, (3, 5)),
        ("dense_one_unit", {"units": 1, "activation": "sigmoid"}, (5, 3)),
        ("dense_one_feature", {"units": 3, "activation": "tanh"}, (4, 1)),
        ("dense_one_row", {"units": 5, "activation": "relu"}, (1, 7)),
        ("dense_all_ones", {"units": 1}, (1, 1)),
        ("dense_rank3", {"units": 5, "activation": "relu"}, (2, 3, 4)),
        ("dense_rank3_no_bias_tanh", {"units": 2, "activation": "tanh", "use_bias": False}, (2, 5, 3)),
        ("dense_rank4", {"units": 3, "activation": "sigmoid"}, (2, 3, 2, 5)),
        ("dense_rank4_softmax", {"units": 4, "activation": "softmax"}, (2, 2, 3, 3)),
        ("dense_odd_sizes", {"units": 19, "activation": "relu"}, (5, 33)),
        ("dense_odd_sizes_softmax", {"units": 11, "activation": "softmax"}, (7, 17)),
        ("dense_default__f32", {"units": 3}, (4, 5)),
        ("dense_odd_sizes_relu__f32", {"units": 35, "activation": "relu"}, (5, 67)),
        ("dense_rank3_gelu__f32", {"units": 5, "activation": "gelu"}, (2, 3, 4)),
        ("dense_softmax__f32", {"units": 10, "activation": "softmax"}, (3, 9)),
    ]:
        case(id, "Dense", config, shape)
    dense_activations()
    dense_penalties()


def dense_activations():
    for name in [
        "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "sigmoid", "hard_sigmoid", "tanh",
        "hard_tanh", "softmax", "log_softmax", "softplus", "softsign", "silu", "hard_silu", "mish", "exponential",
        "log_sigmoid", "tanh_shrink",
    ]:
        case(f"dense_activation_{name}", "Dense", {"units": 4, "activation": name}, (3, 5))
    for id, activation, shape in [
        ("gelu_approximate", {"name": "gelu", "approximate": True}, (3, 4)),
        ("leaky_relu_slope", {"name": "leaky_relu", "negative_slope": 0.35}, (3, 4)),
        ("relu_capped", {"name": "relu", "max_value": 0.8, "negative_slope": 0.1, "threshold": 0.2}, (4, 4)),
        ("elu_alpha", {"name": "elu", "alpha": 0.6}, (3, 4)),
        ("celu_alpha", {"name": "celu", "alpha": 1.7}, (3, 4)),
        ("softmax_axis1_rank3", {"name": "softmax", "axis": 1}, (2, 3, 4)),
        ("log_softmax_axis-2_rank3", {"name": "log_softmax", "axis": -2}, (2, 3, 4)),
    ]:
        case(f"dense_options_{id}", "Dense", {"units": 5, "activation": activation}, shape)


def dense_penalties():
    notes = "the gradients are those of the output alone: no penalty is in them"
    penalty = {"class_name": "L1L2", "config": {"l1": 0.02, "l2": 0.3}}
    for id, options in [
        ("kernel_l2", {"kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.1}}}),
        ("bias_l1", {"bias_regularizer": {"class_name": "L1", "config": {"l1": 0.2}}}),
        ("activity_l1l2", {"activity_regularizer": penalty}),
        ("all", {"kernel_regularizer": penalty, "bias_regularizer": penalty, "activity_regularizer": penalty}),
    ]:
        case(f"dense_regularizer_{id}", "Dense", {"units": 3, "activation": "tanh", **options}, (4, 5), notes=notes)


def activations():
    for i, spec in enumerate([
        "relu", "tanh", "softmax", "mish",
        {"name": "leaky_relu", "negative_slope": 0.1},
        {"name": "gelu", "approximate": True},
        {"name": "relu", "max_value": 1.5, "negative_slope": 0.25, "threshold": 0.5},
        {"name": "softmax", "axis": 1},
    ]):
        case(f"activation_{i}", "Activation", {"activation": spec}, (2, 3, 4))
    for id, class_name, config, shape in [
        ("relu", "ReLU", {}, (3, 5)),
        ("relu_max_value", "ReLU", {"max_value": 1.0}, (3, 5)),
        ("relu_negative_slope", "ReLU", {"negative_slope": 0.3}, (2, 3, 4)),
        ("relu_threshold", "ReLU", {"threshold": 0.5}, (3, 5)),
        ("relu_all", "ReLU", {"max_value": 1.5, "negative_slope": 0.2, "threshold": 0.5}, (3, 7)),
        ("relu__f32", "ReLU", {}, (3, 5)),
        ("leaky_relu", "LeakyReLU", {}, (3, 5)),
        ("leaky_relu_slope", "LeakyReLU", {"negative_slope": 0.05}, (2, 3, 4)),
        ("elu", "ELU", {}, (3, 5)),
        ("elu_alpha", "ELU", {"alpha": 0.4}, (2, 3, 4)),
        ("softmax", "Softmax", {}, (3, 5)),
        ("softmax_axis1", "Softmax", {"axis": 1}, (2, 3, 4)),
        ("softmax_axis-2", "Softmax", {"axis": -2}, (2, 3, 2, 2)),
        ("softmax_two_axes", "Softmax", {"axis": [1, 2]}, (2, 3, 4)),
        ("softmax__f32", "Softmax", {}, (3, 5)),
        ("prelu", "PReLU", {}, (4, 5)),
        ("prelu_rank3", "PReLU", {}, (3, 2, 4)),
        ("prelu_shared_axis1", "PReLU", {"shared_axes": [1]}, (3, 4, 2)),
        ("prelu_shared_axis2", "PReLU", {"shared_axes": [2]}, (3, 2, 4)),
        ("prelu_shared_image", "PReLU", {"shared_axes": [1, 2]}, (2, 3, 2, 3)),
        ("prelu_shared_all", "PReLU", {"shared_axes": [1, 2, 3]}, (2, 3, 2, 2)),
        ("prelu_regularized", "PReLU", {"alpha_regularizer": {"class_name": "L2", "config": {"l2": 0.1}}}, (3, 4)),
        ("prelu__f32", "PReLU", {"shared_axes": [1]}, (2, 4, 3)),
    ]:
        case(id, class_name, config, shape)
    case("prelu_ties", "PReLU", {}, at=np.array([[0.0, 0.75, -0.25], [-1.5, 0.0, 0.0]]), tags=["ties"],
         notes="at 0 the gradient by the input is 0, neither 1 nor alpha")


def shapes():
    for id, class_name, config, shape in [
        ("flatten_rank2", "Flatten", {}, (3, 5)),
        ("flatten_rank3", "Flatten", {}, (2, 3, 4)),
        ("flatten_rank4", "Flatten", {}, (2, 3, 1, 4)),
        ("reshape", "Reshape", {"target_shape": [2, 6]}, (2, 3, 4)),
        ("reshape_free_first", "Reshape", {"target_shape": [-1, 2]}, (3, 8)),
        ("reshape_free_middle", "Reshape", {"target_shape": [3, -1, 2]}, (2, 12)),
        ("reshape_free_last", "Reshape", {"target_shape": [2, -1]}, (2, 3, 4)),
        ("reshape_flat", "Reshape", {"target_shape": [-1]}, (2, 3, 2, 2)),
        ("reshape_rank5", "Reshape", {"target_shape": [2, 1, 3, 2]}, (2, 4, 3)),
        ("permute_rank3", "Permute", {"dims": [2, 1]}, (2, 3, 4)),
        ("permute_rank4", "Permute", {"dims": [3, 1, 2]}, (2, 3, 2, 5)),
        ("permute_rank4_swap", "Permute", {"dims": [1, 3, 2]}, (3, 2, 4, 3)),
        ("permute_identity", "Permute", {"dims": [1, 2]}, (2, 3, 2)),
        ("repeat_vector", "RepeatVector", {"n": 3}, (2, 5)),
        ("repeat_vector_once", "RepeatVector", {"n": 1}, (3, 4)),
        ("flatten__f32", "Flatten", {}, (2, 3, 4)),
        ("permute__f32", "Permute", {"dims": [2, 1]}, (2, 5, 3)),
    ]:
        case(id, class_name, config, shape)


def noise():
    for id, class_name, config, shape in [
        ("dropout", "Dropout", {"rate": 0.4}, (3, 5)),
        ("dropout_seed_rank3", "Dropout", {"rate": 0.9, "seed": 7}, (2, 3, 4)),
        ("dropout_noise_shape", "Dropout", {"rate": 0.5, "noise_shape": [2, 1, 4]}, (2, 3, 4)),
        ("dropout_zero", "Dropout", {"rate": 0.0}, (3, 4)),
        ("gaussian_noise", "GaussianNoise", {"stddev": 0.7}, (3, 5)),
        ("gaussian_dropout", "GaussianDropout", {"rate": 0.3}, (3, 5)),
        ("alpha_dropout", "AlphaDropout", {"rate": 0.2}, (3, 5)),
        ("spatial_dropout1d", "SpatialDropout1D", {"rate": 0.3}, (2, 4, 3)),
        ("spatial_dropout2d", "SpatialDropout2D", {"rate": 0.3}, (2, 3, 2, 3)),
        ("spatial_dropout3d", "SpatialDropout3D", {"rate": 0.3}, (2, 2, 3, 2, 3)),
        ("identity", "Identity", {}, (2, 3, 4)),
    ]:
        case(id, class_name, config, shape, notes="inference: the identity")


def others():
    for id, config, shape in [
        ("rescaling", {"scale": 2.5}, (3, 4)),
        ("rescaling_offset", {"scale": 1 / 127.5, "offset": -1.0}, (2, 3, 2, 3)),
        ("rescaling__f32", {"scale": -0.3, "offset": 0.7}, (3, 5)),
    ]:
        case(id, "Rescaling", config, shape)
    case("activity_regularization", "ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (3, 4),
         notes="the gradients are those of the output alone: no penalty is in them")


def merges():
    for name in ["Add", "Multiply", "Average", "Maximum", "Minimum"]:
        id = name.lower()
        case(f"{id}_two", name, {}, (3, 4), (3, 4))
        case(f"{id}_three", name, {}, (2, 3, 4), (2, 3, 4), (2, 3, 4))
        case(f"{id}_broadcast", name, {}, (2, 3, 1), (2, 1, 4))
        case(f"{id}_broadcast_three", name, {}, (2, 3, 4), (2, 1, 4), (2, 3, 1))
    case("add_ranks", "Add", {}, (2, 4), (2, 3, 4), notes="the input of lower rank gets its new axis after the batch")
    case("add__f32", "Add", {}, (3, 4), (3, 4))
    case("subtract_two", "Subtract", {}, (3, 4), (3, 4))
    case("subtract_broadcast", "Subtract", {}, (2, 3, 1), (2, 1, 4))
    for id, config, shapes in [
        ("two", {}, [(3, 2), (3, 5)]),
        ("three", {}, [(2, 3, 1), (2, 3, 4), (2, 3, 2)]),
        ("axis1", {"axis": 1}, [(2, 3, 4), (2, 1, 4)]),
        ("axis1_three", {"axis": 1}, [(2, 3, 2), (2, 1, 2), (2, 4, 2)]),
        ("axis-2", {"axis": -2}, [(2, 2, 3, 2), (2, 2, 1, 2)]),
        ("axis3", {"axis": 3}, [(2, 2, 3, 1), (2, 2, 3, 4)]),
        ("two__f32", {}, [(3, 2), (3, 5)]),
    ]:
        case(f"concatenate_{id}", "Concatenate", config, *shapes)
    for id, config, shapes in [
        ("vectors", {"axes": 1}, [(3, 4), (3, 4)]),
        ("vectors_normalize", {"axes": 1, "normalize": True}, [(3, 4), (3, 4)]),
        ("axes1", {"axes": 1}, [(2, 3, 4), (2, 3, 5)]),
        ("axes2", {"axes": 2}, [(2, 3, 4), (2, 5, 4)]),
        ("axes-1", {"axes": -1}, [(2, 3, 4), (2, 5, 4)]),
        ("axes2_1", {"axes": [2, 1]}, [(2, 3, 4), (2, 4, 5)]),
        ("axes1_2", {"axes": [1, 2]}, [(2, 3, 4), (2, 5, 3)]),
        ("axes1_2_normalize", {"axes": [1, 2], "normalize": True}, [(2, 3, 4), (2, 5, 3)]),
        ("matrix_vector", {"axes": [2, 1]}, [(2, 3, 4), (2, 4)]),
        ("vectors__f32", {"axes": 1, "normalize": True}, [(3, 4), (3, 4)]),
    ]:
        case(f"dot_{id}", "Dot", config, *shapes)


dense()
activations()
shapes()
noise()
others()
merges()
group.write()
