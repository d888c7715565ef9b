"""Makes the files of this folder with Keras: models of every family of layers with their inputs and outputs.

    KERAS_BACKEND=tensorflow python generate.py FOLDER     (keras 3.15.1, h5py 3.14)

For each case `NAME.keras` (or `.h5`), whose zip members are packed to keep the repository small, and `NAME.npz` with inputs
`x0`, … and outputs `y0`, … of `model(x, training=False)`. Every weight is drawn anew, so that none is 0 or 1 by chance.
"""

import json
import os
import sys
import zipfile
import zlib

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import Input, Model, Sequential, layers

CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


def floats(rng, *shape):
    return rng.uniform(-1, 1, shape).astype("float32")


def tokens(rng, high, *shape):
    return rng.integers(0, high, shape).astype("float32")


@case
def dense(rng):
    model = Sequential([
        Input((5,)),
        layers.Dense(6, activation="relu"),
        layers.Dense(4, use_bias=False, kernel_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm(3)),
        layers.PReLU(),
        layers.Dropout(0.3),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Activation("gelu"),
        layers.ActivityRegularization(l1=0.01),
        layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.HeNormal(seed=3)),
    ])
    return model, [floats(rng, 4, 5)]


@case
def activations(rng):
    x = Input((6,))
    names = ["elu", "selu", "softplus", "softsign", "sigmoid", "hard_sigmoid", "silu", "hard_silu", "mish", "tanh",
             "exponential", "celu", "log_softmax", "relu6", "hard_tanh", "tanh_shrink", "log_sigmoid"]
    out = [layers.Dense(2, activation=name)(x) for name in names]
    out += [layers.ReLU(max_value=0.7, negative_slope=0.1, threshold=0.2)(x), layers.ELU(alpha=0.5)(x), layers.Softmax()(x)]
    return Model(x, layers.Concatenate()(out)), [floats(rng, 3, 6)]


@case
def convolutions_1d(rng):
    x = Input((12, 4))
    a = layers.Conv1D(6, 3, strides=2, padding="causal", groups=2)(x)
    b = layers.SeparableConv1D(5, 3, padding="same", depth_multiplier=2)(x)
    b = layers.MaxPooling1D(2)(b)
    c = layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2)(x)
    c = layers.AveragePooling1D(2)(c)
    c = layers.Conv1DTranspose(3, 3, padding="same")(c)
    out = layers.Concatenate()([a, b, c])
    out = layers.ZeroPadding1D(1)(out)
    out = layers.Cropping1D((1, 0))(out)
    out = layers.UpSampling1D(2)(out)
    return Model(x, [layers.GlobalMaxPooling1D()(out), layers.GlobalAveragePooling1D()(out)]), [floats(rng, 2, 12, 4)]


@case
def convolutions_2d(rng):
    return Sequential([
        Input((10, 9, 3)),
        layers.ZeroPadding2D(((1, 0), (0, 1))),
        layers.Conv2D(8, 3, strides=2, activation="relu", dilation_rate=1),
        layers.SeparableConv2D(6, (3, 2), padding="same"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        layers.SpatialDropout2D(0.2),
        layers.UpSampling2D((2, 1), interpolation="bilinear"),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Cropping2D(((1, 1), (0, 1))),
        layers.AveragePooling2D(2),
        layers.PReLU(shared_axes=[1, 2]),
        layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(),
        layers.Dense(3),
    ]), [floats(rng, 2, 10, 9, 3)]


@case
def convolutions_3d(rng):
    return Sequential([
        Input((4, 5, 6, 2)),
        layers.Conv3D(3, 2, padding="same"),
        layers.MaxPooling3D((1, 2, 2)),
        layers.Conv3DTranspose(2, 2, strides=(1, 2, 1)),
        layers.AveragePooling3D(2),
        layers.ZeroPadding3D(1),
        layers.Cropping3D(1),
        layers.UpSampling3D((1, 2, 1)),
        layers.GlobalAveragePooling3D(),
    ]), [floats(rng, 2, 4, 5, 6, 2)]


@case
def normalizations(rng):
    fixed = layers.Normalization()
    fixed.adapt(floats(rng, 30, 4) * [1, 2, 3, 4] + [0, 1, 2, 3])
    given = layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 2.0, 0.5])
    return Sequential([
        Input((6, 4)),
        fixed,
        given,
        layers.BatchNormalization(momentum=0.9),
        layers.BatchNormalization(scale=False, axis=1),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
        layers.SpectralNormalization(layers.Dense(5)),
        layers.Rescaling(2.0, offset=-0.5),
    ]), [floats(rng, 3, 6, 4)]


@case
def sequences(rng):
    x = Input((None, 3))
    a = layers.LSTM(4, return_sequences=True)(x)
    a = layers.GRU(3, reset_after=False, return_sequences=True)(a)
    b = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum")(x)
    c = layers.SimpleRNN(3, return_sequences=True, go_backwards=True)(x)
    out = layers.Add()([a, b, c])
    out = layers.TimeDistributed(layers.Dense(4, activation="tanh"))(out)
    out = layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(3, go_backwards=True))(out)
    return Model(x, out), [floats(rng, 3, 5, 3)]


@case
def cells(rng):
    stacked = [layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(4), layers.SimpleRNNCell(2)]
    return Sequential([
        Input((5, 3)),
        layers.RNN(layers.LSTMCell(4), return_sequences=True),
        layers.RNN(stacked, return_sequences=True),
        layers.RNN(layers.SimpleRNNCell(3)),
        layers.RepeatVector(2),
        layers.Permute((2, 1)),
        layers.Reshape((6,)),
    ]), [floats(rng, 2, 5, 3)]


@case
def states(rng):
    x, y = Input((4, 3)), Input((2, 3))
    seen, h, c = layers.LSTM(5, return_state=True)(x)
    out = layers.LSTM(5, return_sequences=True)(y, initial_state=[h, c])
    state = layers.GRU(2, return_state=True)(x)[1]
    other = layers.GRU(2)(y, initial_state=state)
    return Model([x, y], [out, other, seen]), [floats(rng, 3, 4, 3), floats(rng, 3, 2, 3)]


@case
def conv_lstm(rng):
    return Sequential([
        Input((3, 6, 5, 2)),
        layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True),
        layers.TimeDistributed(layers.Conv2D(2, 2)),
        layers.ConvLSTM2D(2, 2),
    ]), [floats(rng, 2, 3, 6, 5, 2)]


@case
def masked_words(rng):
    x = Input((7,), dtype="int32")
    words = layers.Embedding(11, 4, mask_zero=True)(x)
    words = layers.Dropout(0.1)(words)
    words = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(words)
    out = layers.GRU(4)(words)
    return Model(x, layers.Dense(2)(out)), [tokens(rng, 3, 5, 7)]


@case
def masked_steps(rng):
    x = Input((6, 2))
    steps = layers.Masking(mask_value=-1.0)(x)
    steps = layers.LSTM(3, return_sequences=True)(steps)
    values = floats(rng, 4, 6, 2)
    values[1, 3:] = -1
    values[2, :2] = -1
    return Model(x, layers.GlobalAveragePooling1D()(steps)), [values]


@case
def masked_chain(rng):
    return Sequential([
        Input((None,), dtype="int32"),
        layers.Embedding(9, 3, mask_zero=True),
        layers.LSTM(3, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
        layers.GlobalAveragePooling1D(),
    ]), [tokens(rng, 3, 4, 6)]


@case
def attentions(rng):
    q, v = Input((4, 6)), Input((5, 6))
    a = layers.MultiHeadAttention(2, 3)(q, v)
    b = layers.MultiHeadAttention(2, 3, value_dim=4, use_bias=False, output_shape=6)(query=q, value=v, key=v)
    c = layers.Attention(use_scale=True, score_mode="concat")([q, v])
    d = layers.AdditiveAttention()([q, v])
    e = layers.MultiHeadAttention(1, 4)(q, q, use_causal_mask=True)
    f = layers.Attention()([q, v, v])
    return Model([q, v], layers.Concatenate()([a, b, c, d, e, f])), [floats(rng, 2, 4, 6), floats(rng, 2, 5, 6)]


@case
def merges(rng):
    a, b = Input((3, 4)), Input((3, 4))
    out = [kind()([a, b]) for kind in
           [layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum]]
    out.append(layers.Concatenate(axis=1)([a, b]))
    return Model([a, b], layers.Concatenate(axis=1)(out + [layers.Identity()(a)])), [
        floats(rng, 2, 3, 4), floats(rng, 2, 3, 4)]


@case
def dot(rng):
    a, b = Input((3, 4)), Input((5, 4))
    return Model([a, b], [layers.Dot(2)([a, b]), layers.Dot(2, normalize=True)([a, b])]), [
        floats(rng, 2, 3, 4), floats(rng, 2, 5, 4)]


@case
def noises(rng):
    return Sequential([
        Input((3, 4)),
        layers.GaussianNoise(0.1),
        layers.GaussianDropout(0.1),
        layers.AlphaDropout(0.1),
        layers.SpatialDropout1D(0.1),
        layers.Dense(2),
    ]), [floats(rng, 2, 3, 4)]


@case
def nested(rng):
    inner = Sequential([Input((4,)), layers.Dense(5, activation="relu"), layers.BatchNormalization(), layers.Dense(3)])
    a = Input((4,))
    deep_in = Input((3,))
    deep = Model(deep_in, layers.Add()([layers.Dense(3)(deep_in), deep_in]))
    chain = Sequential([Input((3,)), deep, layers.Dense(2), Sequential([layers.Dense(2), layers.Dense(2)])])
    x, y = Input((4,)), Input((4,))
    out = layers.Concatenate()([chain(inner(x)), chain(inner(y)), layers.Dense(2)(x)])
    return Model([x, y], out), [floats(rng, 3, 4), floats(rng, 3, 4)]


@case
def nested_graph(rng):
    """A graph within a graph, called twice, and an output of the whole."""
    inner_x = Input((3,))
    inner = Model(inner_x, [layers.Dense(3)(inner_x), layers.Dense(3, activation="tanh")(inner_x)])
    x = Input((3,))
    first, second = inner(x)
    third, fourth = inner(second)
    return Model(x, [third, layers.Add()([first, fourth])]), [floats(rng, 3, 3)]


@case
def nested_steps(rng):
    inner = Sequential([Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3)])
    x = Input((6, 4))
    return Model(x, layers.LSTM(2)(layers.TimeDistributed(inner)(x))), [floats(rng, 2, 6, 4)]


@case
def shared(rng):
    a, b = Input((4,)), Input((4,))
    dense, second = layers.Dense(4, activation="tanh"), layers.Dense(4)
    first = dense(a)
    out = layers.Add()([second(dense(first)), dense(b), layers.Dense(4)(first)])
    return Model([a, b], [layers.Dense(2)(out), layers.Dense(2)(second(b))]), [floats(rng, 3, 4), floats(rng, 3, 4)]


@case
def branches(rng):
    """Layers of one class and one shape, made in another order than the graph's."""
    late, early, middle = layers.Dense(3), layers.Dense(3), layers.Dense(3)
    x, y = Input((3,)), Input((3,))
    first = early(x)
    second = middle(layers.Activation("relu")(first))
    other = layers.Dense(3)(y)
    out = layers.Multiply()([second, other])
    return Model([y, x], [late(out), layers.Dense(3)(first), layers.Dense(3)(other)]), [floats(rng, 4, 3), floats(rng, 4, 3)]


@case
def compiled(rng):
    model = Sequential([Input((4,)), layers.Dense(5, activation="relu"), layers.BatchNormalization(), layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = floats(rng, 16, 4), rng.integers(0, 3, 16)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, shuffle=False)
    return model, [floats(rng, 3, 4)]


@case
def stateful(rng):
    return Sequential([
        Input(batch_shape=(2, 3, 2)),
        layers.LSTM(3, stateful=True, return_sequences=True),
        layers.Dense(2),
    ]), [floats(rng, 2, 3, 2)]


OPTIMIZERS = {
    "adam": lambda o: o.Adam(0.02),
    "adamw": lambda o: o.AdamW(0.02),
    "sgd": lambda o: o.SGD(0.05, momentum=0.9),
    "rmsprop": lambda o: o.RMSprop(0.02),
    "adagrad": lambda o: o.Adagrad(0.1),
    "adadelta": lambda o: o.Adadelta(1.0),
    "adamax": lambda o: o.Adamax(0.02),
    "lion": lambda o: o.Lion(0.01),
    "lamb": lambda o: o.Lamb(0.02),
    "ftrl": lambda o: o.Ftrl(0.1),
    "scheduled": lambda o: o.Adam(keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)),
}


def resumed(folder):
    """A training that is saved after two epochs, and the weights after a third."""
    for name, make in OPTIMIZERS.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        x, y = floats(rng, 16, 3), floats(rng, 16, 2)
        model = Sequential([Input((3,)), layers.Dense(4, activation="tanh"), layers.BatchNormalization(), layers.Dense(2)])
        draw(model, rng)
        model.compile(make(keras.optimizers), "mse", metrics=["mae"], jit_compile=False)
        model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
        path = os.path.join(folder, f"{name}.keras")
        model.save(path)
        pack(path)
        model.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
        arrays = {f"w{i}": weight.numpy() for i, weight in enumerate(model.weights)}
        np.savez(os.path.join(folder, f"{name}.npz"), x0=x, y0=y, **arrays)


def earlier(folder):
    """A file in the words of Keras 2.2, which Keras 3 no longer reads: written by hand; outputs by the same model in Keras 3."""
    import h5py

    def hard_sigmoid(x):
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    rng = np.random.default_rng(5)
    x = Input((5, 3))
    lstm = layers.LSTM(4, return_sequences=True, recurrent_activation=hard_sigmoid)
    gru = layers.GRU(3, recurrent_activation=hard_sigmoid, reset_after=False)
    normalization, dense = layers.BatchNormalization(axis=1), layers.Dense(3, activation=hard_sigmoid)
    out = dense(layers.LeakyReLU(negative_slope=0.1)(normalization(gru(lstm(x)))))
    # A model within the model, called twice: to Keras 2 its calls are number 1 and 2.
    head = layers.Dense(3)
    out = layers.Add()([head(out), head(head(out))])
    model = Model(x, out)
    draw(model, rng)

    def spec(class_name, name, inbound, **config):
        return {"class_name": class_name, "name": name, "config": {"name": name, "trainable": True} | config,
                "inbound_nodes": [[[inbound, 0, 0, {}]]] if inbound else []}

    def recurrent(units, sequences, **more):
        return {"return_sequences": sequences, "return_state": False, "go_backwards": False, "stateful": False,
                "unroll": False, "units": units, "activation": "tanh", "recurrent_activation": "hard_sigmoid",
                "use_bias": True, "dropout": 0.0, "recurrent_dropout": 0.0, "implementation": 1,
                "kernel_initializer": {"class_name": "VarianceScaling", "config": {
                    "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}}} | more

    config = {"class_name": "Model", "config": {"name": "model_1", "layers": [
        spec("InputLayer", "input_1", None, batch_input_shape=[None, 5, 3], dtype="float32", sparse=False),
        spec("LSTM", "lstm_1", "input_1", **recurrent(4, True, unit_forget_bias=True)),
        spec("GRU", "gru_1", "lstm_1", **recurrent(3, False)),
        spec("BatchNormalization", "bn", "gru_1", axis=[1], momentum=0.99, epsilon=0.001, center=True, scale=True),
        spec("LeakyReLU", "leaky", "bn", alpha=0.1),
        spec("Dense", "dense_1", "leaky", units=3, activation="hard_sigmoid", use_bias=True),
        {"class_name": "Sequential", "name": "head", "inbound_nodes": [[["dense_1", 0, 0, {}]], [["head", 1, 0, {}]]],
         "config": [{"class_name": "Dense", "config": {
             "name": "dense_2", "units": 3, "activation": "linear", "batch_input_shape": [None, 3]}}]},
        {"class_name": "Add", "name": "add_1", "config": {"name": "add_1", "trainable": True},
         "inbound_nodes": [[["head", 1, 0, {}], ["head", 2, 0, {}]]]},
    ], "input_layers": [["input_1", 0, 0]], "output_layers": [["add_1", 0, 0]]}}
    training = {"optimizer_config": {"class_name": "Adam", "config": {
        "lr": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "decay": 0.1, "amsgrad": False}},
        "loss": "mse", "metrics": ["mae"], "sample_weight_mode": None, "loss_weights": None}
    names = {"input_1": [], "lstm_1": lstm.weights, "gru_1": gru.weights, "bn": normalization.weights, "leaky": [],
             "dense_1": dense.weights, "head": head.weights, "add_1": []}
    with h5py.File(os.path.join(folder, "earlier.h5"), "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("model_weights")
        # A long list is cut into parts.
        group.attrs["layer_names0"] = [name.encode() for name in list(names)[:3]]
        group.attrs["layer_names1"] = [name.encode() for name in list(names)[3:]]
        for name, weights in names.items():
            own = group.create_group(name)
            paths = [f"{name}/{weight.name}:0" for weight in weights]
            own.attrs["weight_names"] = [path.encode() for path in paths]
            for path, weight in zip(paths, weights):
                own[path] = weight.numpy()
    values = floats(rng, 4, 5, 3) * 3
    np.savez(os.path.join(folder, "earlier.npz"), x0=values, y0=np.asarray(model(values, training=False)))


def pack(path):
    """The same members, packed, with one date."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def draw(model, rng):
    """Weights of moderate size, none like another's; variances above 0."""
    for weight in model.weights:
        if weight.dtype == "float32":
            low, high = (0.5, 1.5) if "variance" in weight.name else (-0.7, 0.7)
            weight.assign(rng.uniform(low, high, weight.shape))


def main(folder):
    for name, make in CASES.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        model, inputs = make(rng)
        if name not in ("normalizations", "compiled"):
            draw(model, rng)
        path = os.path.join(folder, f"{name}.keras")
        model.save(path)
        if name != "dense":
            pack(path)
        outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
        np.savez(os.path.join(folder, f"{name}.npz"), **arrays)
        if name in ("dense", "convolutions_2d", "nested", "nested_graph", "sequences", "attentions", "masked_chain"):
            model.save(os.path.join(folder, f"{name}.h5"))


    earlier(folder)
    os.makedirs(os.path.join(folder, "resumed"), exist_ok=True)
    resumed(os.path.join(folder, "resumed"))


if __name__ == "__main__":
    main(sys.argv[1])
