"""Reference cases of SpectralNormalization, from Keras on TensorFlow: there the divided kernel takes the kernel's place in a
step of training, as the layer's documentation says; on JAX the division is undone when the step ends."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from common import Group, distinct, dtype_of, rng

VERSIONS = {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}
group = Group("spectral", "keras", VERSIONS, atol=1e-9, atol_f32=1e-5)


def case(id, class_name, options, shape, training=True, power_iterations=1):
    dtype = dtype_of(id)
    keras.backend.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    random = rng(id)
    layer = keras.layers.SpectralNormalization(
        getattr(keras.layers, class_name)(**options), power_iterations=power_iterations)
    x = distinct(random, shape, dtype)
    layer.build(x.shape)
    names = {weight.path.split("/")[-1]: weight for weight in layer.weights}
    for weight in names.values():
        weight.assign(distinct(random, weight.shape, low=-1, high=1).astype(dtype))
    arrays = {"input": x} | {f"param.{name}": weight.numpy() for name, weight in names.items()}
    inputs = tf.constant(x)
    trained = {name: weight.value for name, weight in names.items() if weight.trainable}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(inputs, training=training)
        grad_output = random.uniform(-1.5, 1.5, output.shape).astype(dtype)
        total = tf.reduce_sum(output * grad_output)
    grads = tape.gradient(total, [inputs, *trained.values()])
    arrays |= {"grad_output": grad_output, "output": output.numpy(), "grad.input": grads[0].numpy()}
    arrays |= {f"grad.{name}": grad.numpy() for name, grad in zip(trained, grads[1:])}
    if training:
        arrays |= {f"updated.{name}": weight.numpy() for name, weight in names.items()}
    config = {"layer": {"class_name": class_name, "config": options}, "power_iterations": power_iterations}
    group.add(id, "layer:SpectralNormalization", config, arrays, call={"training": training})


for suffix in ["", "__f32"]:
    case(f"spectral_dense{suffix}", "Dense", {"units": 5, "activation": "tanh"}, (4, 3))
    case(f"spectral_conv{suffix}", "Conv2D", {"filters": 3, "kernel_size": [3, 2], "padding": "same"}, (2, 5, 4, 2))
case("spectral_dense_inference", "Dense", {"units": 5}, (4, 3), training=False)
case("spectral_dense_iterations", "Dense", {"units": 4}, (4, 6), power_iterations=4)
case("spectral_transposed", "Conv2DTranspose", {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same"}, (2, 3, 3, 3))
group.write()
