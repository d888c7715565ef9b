"""Reference cases of recurrent layers, tokens, masks and attention, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, distinct
from peer_keras import jax, keras

group = Group("sequences", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-5)

KINDS = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}


def case(id, class_name, config, shapes, masks=None, states=0, calls=1, call_options=None, at=None, notes=""):
    """A call in inference. `masks`: by input, or one for a recurrent layer; `states`: how many initial states."""
    dtype, random = peer.start(id)
    layer = peer.layer(class_name, config)
    inputs = [distinct(random, shape, dtype) for shape in shapes] if at is None else [np.asarray(at, dtype)]
    recurrent = class_name in KINDS or class_name == "Bidirectional"
    units = (config if class_name in KINDS else config.get("layer", {}).get("config", {})).get("units")
    initial = [distinct(random, (shapes[0][0], units), dtype) for _ in range(states)]
    options = dict(call_options or {})

    def run(inputs, initial):
        kwargs = dict(options)
        if recurrent:
            if masks is not None:
                kwargs["mask"] = jax.numpy.asarray(masks)
            if initial:
                kwargs["initial_state"] = list(initial)
            return layer(inputs[0], **kwargs)
        if class_name in ("Attention", "AdditiveAttention"):
            if masks is not None:
                kwargs["mask"] = [None if mask is None else jax.numpy.asarray(mask) for mask in masks]
            return layer(list(inputs), **kwargs)
        if class_name == "MultiHeadAttention":
            query, value, *key = inputs if len(inputs) > 1 else inputs * 2
            if "attention_mask" in kwargs:
                kwargs["attention_mask"] = jax.numpy.asarray(kwargs["attention_mask"])
            # With its scores Keras goes the plain way; the fused one narrows float64 to float32 on JAX.
            result = layer(query, value, *key, **(kwargs | {"return_attention_scores": True}))
            return result if kwargs.get("return_attention_scores") else result[0]
        return layer(inputs[0])

    run(inputs, initial)
    for weight in layer.trainable_variables:
        weight.assign(distinct(random, weight.shape, dtype, low=-1, high=1) if weight.shape else 0.7)
    if config.get("stateful"):
        layer.reset_state()
        for _ in range(calls - 1):
            run(inputs, initial)
    names = [peer.weight_name(weight, layer) for weight in layer.trainable_variables]
    params = [weight.value for weight in layer.trainable_variables]
    state = [(variable, variable.value) for variable in layer.non_trainable_variables]
    tokens = class_name == "Embedding"

    def outputs(params, inputs, initial):
        mapping = list(zip(layer.trainable_variables, params)) + state
        with keras.StatelessScope(state_mapping=mapping):
            result = run(inputs, initial)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    if tokens:
        value, pull = jax.vjp(lambda params: outputs(params, inputs, initial), params)
    else:
        value, pull = jax.vjp(outputs, params, inputs, initial)
    grads = [distinct(random, one.shape, dtype, low=-1, high=1) for one in value]
    pulled = pull([jax.numpy.asarray(grad) for grad in grads])
    grad_params, grad_inputs, grad_states = pulled if not tokens else (pulled[0], [], [])

    def numbered(name, arrays):
        if len(arrays) == 1:
            return {name: np.asarray(arrays[0])}
        return {f"{name}.{i}": np.asarray(array) for i, array in enumerate(arrays)}

    arrays = numbered("input", inputs)
    arrays |= {f"param.{name}": np.asarray(param) for name, param in zip(names, params)}
    arrays |= {f"initial_state.{i}": array for i, array in enumerate(initial)}
    call = {"training": False}
    if masks is not None:
        call["mask"] = True
        if recurrent:
            arrays["mask"] = np.asarray(masks, np.uint8)
        else:
            arrays |= {f"mask.{i}": np.asarray(m, np.uint8) for i, m in enumerate(masks) if m is not None}
    if "attention_mask" in options:
        arrays["attention_mask"] = np.asarray(options.pop("attention_mask"), np.uint8)
    call |= options
    if states:
        call["initial_state"] = True
    if calls > 1:
        call["calls"] = calls
    arrays |= numbered("grad_output", grads) | numbered("output", value)
    if not tokens:
        arrays |= {f"grad.{name}": array for name, array in numbered("input", grad_inputs).items()}
    arrays |= {f"grad.initial_state.{i}": np.asarray(array) for i, array in enumerate(grad_states)}
    arrays |= {f"grad.{name}": np.asarray(grad) for name, grad in zip(names, grad_params)}
    group.add(id, f"layer:{class_name}", config, arrays, call=call, notes=notes)


RIGHT = [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
LEFT = [[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]]
HOLES = [[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]]
BOTH = {"return_sequences": True, "return_state": True}


def recurrent():
    for name, states in KINDS.items():
        kind = name.lower()
        for id, options, more in [
            ("default", {}, {}),
            ("no_bias", {"use_bias": False}, {}),
            ("sequences", {"return_sequences": True}, {}),
            ("state", {"return_state": True}, {}),
            ("backwards_sequences_state", {"go_backwards": True} | BOTH, {}),
            ("initial_state", BOTH, {"states": states}),
            ("relu", {"activation": "relu", "return_sequences": True}, {}),
            ("softsign", {"activation": "softsign"}, {}),
            ("gelu", {"activation": {"name": "gelu", "approximate": True}, "return_sequences": True}, {}),
            ("linear", {"activation": "linear"}, {}),
            ("mask_right", {}, {"masks": RIGHT}),
            ("mask_right_sequences", {"return_sequences": True}, {"masks": RIGHT}),
            ("mask_left_state", {"return_state": True}, {"masks": LEFT}),
            ("mask_holes_initial_state", BOTH, {"masks": HOLES, "states": states}),
            ("mask_zero_output", {"zero_output_for_mask": True} | BOTH, {"masks": HOLES}),
            ("mask_backwards", {"go_backwards": True} | BOTH, {"masks": HOLES}),
            ("stateful", {"stateful": True} | BOTH, {"calls": 3}),
            ("sequences__f32", {"return_sequences": True}, {"masks": HOLES}),
        ]:
            case(f"{kind}_{id}", name, {"units": 3} | options, [(3, 4, 2)], **more)
        case(f"{kind}_one_step", name, {"units": 2} | BOTH, [(2, 1, 3)])
        case(f"{kind}_one_unit", name, {"units": 1, "return_sequences": True}, [(2, 5, 1)])
        case(f"{kind}_odd_sizes", name, {"units": 19, "return_sequences": True}, [(3, 6, 5)])
        # Of the simple kind larger sums saturate, and float32 no longer determines their gradients.
        sizes = (11, (3, 5, 4)) if name == "SimpleRNN" else (35, (5, 9, 17))
        case(f"{kind}_odd_sizes__f32", name, {"units": sizes[0]}, [sizes[1]])
    for gate in ["hard_sigmoid", "softplus", "silu"]:
        case(f"lstm_{gate}", "LSTM", {"units": 3, "recurrent_activation": gate}, [(2, 4, 2)])
        case(f"gru_{gate}", "GRU", {"units": 3, "recurrent_activation": gate}, [(2, 4, 2)])
    for id, options, more in [
        ("default", {}, {}),
        ("no_bias", {"use_bias": False} | BOTH, {}),
        ("relu", {"activation": "relu", "return_sequences": True}, {}),
        ("silu", {"activation": "silu", "recurrent_activation": "hard_sigmoid"}, {}),
        ("mask_holes", BOTH, {"masks": HOLES, "states": 1}),
        ("backwards__f32", {"go_backwards": True}, {}),
    ]:
        case(f"gru_reset_before_{id}", "GRU", {"units": 3, "reset_after": False} | options, [(3, 4, 2)], **more)


def bidirectional():
    for mode in ["concat", "sum", "mul", "ave", None]:
        for name in KINDS:
            layer = {"class_name": name, "config": {"units": 2} | BOTH}
            case(f"bidirectional_{name.lower()}_{mode}", "Bidirectional", {"layer": layer, "merge_mode": mode},
                 [(3, 4, 2)], masks=HOLES if mode != "sum" else None)
        layer = {"class_name": "LSTM", "config": {"units": 2}}
        case(f"bidirectional_last_{mode}", "Bidirectional", {"layer": layer, "merge_mode": mode}, [(3, 4, 2)],
             masks=RIGHT)
    backward = {"class_name": "GRU", "config": {"units": 2, "go_backwards": True}}
    layer = {"class_name": "LSTM", "config": {"units": 2}}
    case("bidirectional_two_kinds", "Bidirectional", {"layer": layer, "backward_layer": backward}, [(2, 3, 2)])
    layer = {"class_name": "LSTM", "config": {"units": 2} | BOTH}
    case("bidirectional_initial_state", "Bidirectional", {"layer": layer}, [(2, 3, 2)], states=4)


def tokens():
    at = [[1, 0, 3], [2, 2, 0]]
    case("embedding", "Embedding", {"input_dim": 4, "output_dim": 3}, [(2, 3)], at=at)
    case("embedding_mask_zero", "Embedding", {"input_dim": 5, "output_dim": 2, "mask_zero": True}, [(2, 3)], at=at)
    case("embedding__f32", "Embedding", {"input_dim": 4, "output_dim": 3}, [(2, 3)], at=at)
    at = [[[1, 2], [0, 0], [0, 3]], [[0, 0], [5, 5], [1, 0]]]
    case("masking", "Masking", {}, [(2, 3, 2)], at=at)
    case("masking_value", "Masking", {"mask_value": 5.0}, [(2, 3, 2)], at=at)
    dense = {"class_name": "Dense", "config": {"units": 2, "activation": "tanh"}}
    case("timedistributed_dense", "TimeDistributed", {"layer": dense}, [(2, 3, 4)])
    case("timedistributed_dense_rank4", "TimeDistributed", {"layer": dense}, [(2, 3, 2, 2)])
    case("timedistributed_flatten", "TimeDistributed", {"layer": {"class_name": "Flatten", "config": {}}},
         [(2, 3, 2, 2)])
    lstm = {"class_name": "LSTM", "config": {"units": 2}}
    case("timedistributed_lstm", "TimeDistributed", {"layer": lstm}, [(2, 2, 3, 2)])

    def of(shape, *layers):
        first = {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape]}}
        named = [{"class_name": name, "config": {"name": name.lower()} | config} for name, config in layers]
        return {"layer": {"class_name": "Sequential", "config": {"name": "inner", "layers": [first, *named]}}}

    images = of((3, 3, 1), ("Conv2D", {"filters": 2, "kernel_size": 2, "activation": "tanh"}), ("Flatten", {}),
                ("Dense", {"units": 2}))
    case("timedistributed_model", "TimeDistributed", images, [(2, 3, 3, 3, 1)])
    case("timedistributed_model__f32", "TimeDistributed", images, [(2, 3, 3, 3, 1)])
    # A mask that the model makes of what stands in a timestep.
    masked = of((3, 2), ("Masking", {}), ("GRU", {"units": 2, "return_sequences": True}), ("LSTM", {"units": 3}))
    at = np.random.default_rng(1).uniform(-2, 2, (2, 2, 3, 2)).round(3)
    at[0, 0, 2] = at[0, 1, 0] = at[1, 1] = 0
    case("timedistributed_model_masking", "TimeDistributed", masked, [at.shape], at=at)


def attention():
    three, two = [(3, 2, 3), (3, 4, 2), (3, 4, 3)], [(3, 4, 3), (3, 4, 3)]
    values = [None, RIGHT]
    causal, scores = {"use_causal_mask": True}, {"return_attention_scores": True}
    for name, configs in [
        ("Attention", [{}, {"use_scale": True}, {"score_mode": "concat"}, {"score_mode": "concat", "use_scale": True}]),
        ("AdditiveAttention", [{}, {"use_scale": False}]),
    ]:
        for config in configs:
            words = "_".join(str(value) for value in config.values()).lower() or "default"
            id = f"{name.lower()}_{words}"
            case(id, name, config, three)
            case(f"{id}_mask", name, config, two, masks=[LEFT, RIGHT])
            case(f"{id}_causal_scores", name, config, two, masks=values, call_options=causal | scores)
            case(f"{id}__f32", name, config, three)
    for id, config, shapes, more in [
        ("default", {}, two, {}),
        ("three", {}, three, {}),
        ("output_shape", {"output_shape": 5}, three, {}),
        ("value_dim", {"value_dim": 4, "output_shape": 5}, three, {}),
        ("no_bias", {"use_bias": False}, two, {}),
        ("gate", {"use_gate": True}, three, {}),
        ("window", {"sliding_window": 2}, two, {}),
        ("causal", {}, two, {"call_options": causal}),
        ("scores", {}, three, {"call_options": scores}),
        ("causal_scores", {}, two, {"call_options": causal | scores}),
        ("attention_mask", {}, two, {"call_options": {"attention_mask": [
            [[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]]] * 3}}),
        ("self", {}, two[:1], {}),
        ("default__f32", {}, two, {}),
        ("rank4", {}, [(2, 2, 3, 2), (2, 3, 2, 3)], {"call_options": scores}),
        ("rank4_first_axis", {"attention_axes": 1, "use_gate": True, "output_shape": 3}, [(2, 3, 2, 2), (2, 4, 2, 3)], {}),
        ("rank4_second_axis", {"attention_axes": 2}, [(2, 2, 3, 2), (2, 2, 4, 3), (2, 2, 4, 2)],
         {"call_options": scores}),
        ("rank4_from_the_end", {"attention_axes": -2}, [(2, 2, 3, 2)], {}),
        ("rank4_causal_window", {"attention_axes": 1, "sliding_window": 2}, [(2, 3, 2, 2), (2, 4, 2, 2)],
         {"call_options": causal | scores}),
        ("rank4_attention_mask", {"attention_axes": [1]}, [(2, 2, 3, 2)], {"call_options": {"attention_mask": [
            [[1, 0], [1, 1]], [[0, 1], [1, 1]]]}}),
        ("rank4_attention_mask_of_each", {"attention_axes": [1]}, [(2, 2, 2, 2)], {"call_options": {"attention_mask": [
            [[[1, 0], [1, 1]], [[0, 1], [1, 1]]], [[[1, 1], [1, 0]], [[1, 1], [0, 1]]]]}}),
        ("rank4_attention_mask_of_both_axes", {}, [(2, 1, 2, 2)], {"call_options": {"attention_mask": [
            [[[[1, 0]], [[1, 1]]]], [[[[0, 1]], [[1, 0]]]]]}}),
        ("rank5", {"attention_axes": [3, 1]}, [(2, 2, 2, 3, 2), (2, 3, 2, 1, 3)], {"call_options": scores}),
        ("rank4_first_axis__f32", {"attention_axes": [1]}, [(2, 5, 3, 2)], {}),
    ]:
        case(f"mha_{id}", "MultiHeadAttention", {"num_heads": 2, "key_dim": 3} | config, shapes, **more)


recurrent()
bidirectional()
tokens()
attention()
group.write()
