"""Reference cases of networks that carry their states from batch to batch, from Keras on TensorFlow: on JAX its trainer loses
the states after each batch."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from common import Group, distinct, dtype_of, rng

VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}
group = Group("models_stateful", "keras", VERSIONS, atol=1e-9, atol_f32=1e-4)

# Numbers that float32 holds exactly, as TensorFlow takes Python's through it.
LOSS = {"class_name": "MeanSquaredError", "config": {}}
OPTIMIZER = {"class_name": "SGD", "config": {"learning_rate": 0.125, "momentum": 0.5}}


def case(id, shape, *layers, rows=4, steps=6):
    """Trains on `steps` batches of `rows` streams, each going on where the batch before ended, then predicts the next."""
    dtype, random = dtype_of(id), rng(id)
    keras.backend.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    model = keras.Sequential([keras.Input(batch_shape=(rows, *shape))])
    for class_name, config in layers:
        model.add(getattr(keras.layers, class_name)(**config))
    model.compile(loss=keras.losses.MeanSquaredError(), optimizer=keras.optimizers.SGD(**OPTIMIZER["config"]))
    weights = {f"{one.name}.{weight.path.split('/')[-1]}": weight for one in model.layers for weight in one.trainable_weights}
    for weight in weights.values():
        weight.assign(distinct(random, weight.shape, dtype, low=-1, high=1))
    stateful = [one for one in model.layers if getattr(one, "stateful", False)]
    x = distinct(random, ((steps + 1) * rows, *shape), dtype)
    x[5::7, -2:] = 0
    y = distinct(random, (steps * rows, *model.output_shape[1:]), dtype, low=-1, high=1)
    arrays = {"input": x, "y_true": y} | {f"param.{name}": weight.numpy() for name, weight in weights.items()}

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x[:rows], training=True) - y[:rows]) ** 2)
    grads = tape.gradient(loss, list(weights.values()))
    arrays |= {f"grad0.{name}": tf.convert_to_tensor(grad).numpy() for name, grad in zip(weights, grads)}
    for one in stateful:
        one.reset_state()
    losses = []
    for step in range(steps):
        batch = slice(step * rows, (step + 1) * rows)
        model.reset_metrics()
        losses.append(model.train_on_batch(x[batch], y[batch]))
    arrays["output.loss"] = np.array(losses, dtype)
    arrays |= {f"output.final.{name}": weight.numpy() for name, weight in weights.items()}
    for one in stateful:
        arrays |= {f"output.final.{one.name}.state.{i}": state.numpy() for i, state in enumerate(one.states)}
    arrays["output.predict"] = model(x[steps * rows:]).numpy()
    specs = [{"class_name": name, "config": config} for name, config in layers]
    first = {"class_name": "InputLayer", "config": {"batch_shape": [rows, *shape]}}
    config = {
        "model": {"class_name": "Sequential", "config": {"layers": [first, *specs]}}, "loss": LOSS, "optimizer": OPTIMIZER,
        "batches": [list(range(step * rows, (step + 1) * rows)) for step in range(steps)],
        "predict": list(range(steps * rows, (steps + 1) * rows)),
    }
    group.add(id, "model", config, arrays, call={"training": True},
              tolerance=(1e-3, 1e-4) if dtype == "float32" else None)


def kept(name, units, **config):
    return {"name": name, "units": units, "stateful": True} | config


DENSE = ("Dense", {"name": "value", "units": 2})
for suffix in ["", "__f32"]:
    case(f"stateful_lstm_gru{suffix}", (5, 3), ("LSTM", kept("first", 4, return_sequences=True)), ("GRU", kept("second", 3)), DENSE)
case("stateful_gru_masked", (6, 2), ("Masking", {"name": "masking"}), ("GRU", kept("read", 4, reset_after=False)), DENSE)
case("stateful_rnn_sequences", (3, 2), ("SimpleRNN", kept("read", 4, return_sequences=True)), DENSE)
group.write()
