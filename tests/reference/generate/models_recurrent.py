"""Reference cases of recurrent networks: some training steps, from Keras.

None has a stateful layer: on JAX, Keras's trainer loses the states after each batch. `models_stateful.py` has them.
"""

import numpy as np

import models
import peer_keras as peer
from common import Group, rng
from models import case, dense, features, layer, sequential, steps, training

models.group = Group("models_recurrent", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-4)

ADAM, SGD = ("Adam", {"learning_rate": 0.02}), ("SGD", {"learning_rate": 0.2})
SQUARED, BINARY = ("MeanSquaredError", {}), ("BinaryCrossentropy", {})


def inside(class_name, **config):
    return {"class_name": class_name, "config": config}


def sentences(random, count, steps, words):
    """Token ids, padded with 0 at the end, before, or within; and an answer each."""
    tokens = random.integers(1, words, (count, steps))
    for row, length in zip(tokens, random.integers(1, steps + 1, count)):
        row[length:] = 0
    tokens[1], tokens[2, :2], tokens[3, 2] = np.roll(tokens[1], 1), 0, 0
    return tokens.astype("int32"), random.integers(0, 2, (count, 1)).astype("float64")


def tokens():
    """A vocabulary with padding, read in both directions."""
    embedding = layer("Embedding", "embedding", input_dim=12, output_dim=4, mask_zero=True)
    both = layer("Bidirectional", "both", layer=inside("LSTM", units=3))
    summed = layer("Bidirectional", "both", layer=inside("GRU", units=3, return_sequences=True), merge_mode="sum")
    for id, layers, optimizer in [
        ("embedding_bilstm_adam", [embedding, both], ADAM),
        ("embedding_bilstm_adam__f32", [embedding, both], ADAM),
        ("embedding_bilstm_sgd", [embedding, both], SGD),
        ("embedding_bilstm_adagrad", [embedding, both], ("Adagrad", {"learning_rate": 0.1})),
        ("embedding_bigru_rnn", [embedding, summed, layer("SimpleRNN", "rnn", units=4)], ADAM),
    ]:
        x, y = sentences(rng(id + " data"), 16, 6, 12)
        spec = sequential([6], *layers, dense("answer", 1, "sigmoid"))
        case(id, spec, training(BINARY, optimizer, **steps(id, rows=16, size=6)), [x], [y.astype(peer.dtype_of(id))])


def series():
    """Numbers over time."""
    first = layer("GRU", "first", units=5, return_sequences=True)
    stacked = [first, layer("GRU", "second", units=4, reset_after=False), dense("value", 2)]
    lstms = [
        layer("Masking", "masking"), layer("LSTM", "first", units=4, return_sequences=True),
        layer("LSTM", "second", units=3, return_sequences=True, go_backwards=True), dense("value", 1),
    ]
    for id, layers, target in [("stacked_gru", stacked, [2]), ("stacked_lstm_masked", lstms, [7, 1])]:
        random = rng(id + " data")
        x, y = features(random, 12, 7, 3), features(random, 12, *target)
        x[::3, 5:] = 0
        case(id, sequential([7, 3], *layers), training(SQUARED, ADAM, **steps(id, rows=12, size=5)), [x], [y])


tokens()
series()
models.group.write()
