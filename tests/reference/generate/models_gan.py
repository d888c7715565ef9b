"""Reference cases of GANs: alternating steps of two Keras models with given noise."""

import numpy as np

import peer_keras as peer
from common import Group, rng
from models import build, dense, layer, optimizer, sequential, start_weights
from peer_keras import jax, keras

group = Group("models_gan", "keras", peer.VERSIONS, atol=1e-9, atol_f32=1e-4)
jnp = jax.numpy


def cross_entropy(logits, label):
    return jnp.mean(jnp.logaddexp(0, logits) - label * logits)


def case(id, generator_spec, discriminator_spec, config, images, latent, notes=""):
    """d_steps updates of the discriminator, then one of the generator, with fresh noise, `config["batches"]` times."""
    dtype, random = peer.start(id)
    generator, discriminator = build(generator_spec), build(discriminator_spec)
    models = {"generator": generator, "discriminator": discriminator}
    optimizers = {name: optimizer(config[f"{name}_optimizer"]) for name in models}
    weights = {
        f"{network}.{one.name}.{weight.name}": weight
        for network, model in models.items() for one in model.layers for weight in one.weights
    }
    for weight in weights.values():
        weight.assign(start_weights(random, weight.shape, dtype))
    steps, rows = len(config["batches"]), len(config["batches"][0])
    arrays = {
        "input": images,
        "noise.discriminator": random.normal(0, 1, (steps, config["d_steps"], rows, latent)).astype(dtype),
        "noise.generator": random.normal(0, 1, (steps, rows, latent)).astype(dtype),
        "noise.predict": random.normal(0, 1, (3, latent)).astype(dtype),
    }
    arrays |= {f"param.{name}": weight.numpy() for name, weight in weights.items()}

    def values(variables):
        return [variable.value for variable in variables]

    def keep(model, state):
        for variable, value in zip(model.non_trainable_variables, state):
            variable.assign(value)

    def first_gradients(network, grads):
        for weight, grad in zip(models[network].trainable_variables, grads, strict=True):
            name = next(name for name, own in weights.items() if own is weight)
            arrays.setdefault(f"grad0.{name}", np.array(grad))

    losses = {name: [] for name in models}
    for step, batch in enumerate(config["batches"]):
        real = images[batch].astype(dtype) / np.asarray(255, dtype)
        for d_step in range(config["d_steps"]):
            made, state = generator.stateless_call(
                values(generator.trainable_variables), values(generator.non_trainable_variables),
                arrays["noise.discriminator"][step, d_step], training=True)
            keep(generator, state)

            def discriminator_loss(trainable):
                of_real, state = discriminator.stateless_call(
                    trainable, values(discriminator.non_trainable_variables), real, training=True)
                of_made, state = discriminator.stateless_call(trainable, state, made, training=True)
                return cross_entropy(of_real, config["real_label"]) + cross_entropy(of_made, 0), state

            trainable = values(discriminator.trainable_variables)
            (value, state), grads = jax.value_and_grad(discriminator_loss, has_aux=True)(trainable)
            first_gradients("discriminator", grads)
            keep(discriminator, state)
            optimizers["discriminator"].apply(grads, discriminator.trainable_variables)
        losses["discriminator"].append(value)

        def generator_loss(trainable):
            made, state = generator.stateless_call(
                trainable, values(generator.non_trainable_variables), arrays["noise.generator"][step], training=True)
            judged, judge = discriminator.stateless_call(
                values(discriminator.trainable_variables), values(discriminator.non_trainable_variables), made,
                training=True)
            return cross_entropy(judged, 1), (state, judge)

        trainable = values(generator.trainable_variables)
        (value, (state, judge)), grads = jax.value_and_grad(generator_loss, has_aux=True)(trainable)
        first_gradients("generator", grads)
        keep(generator, state)
        keep(discriminator, judge)
        optimizers["generator"].apply(grads, generator.trainable_variables)
        losses["generator"].append(value)
    arrays |= {f"output.loss.{name}": np.array(of, dtype) for name, of in losses.items()}
    arrays |= {f"output.final.{name}": weight.numpy() for name, weight in weights.items()}
    arrays["output.predict"] = np.array(generator(arrays["noise.predict"], training=False))
    group.add(id, "model:GAN", {"generator": generator_spec, "discriminator": discriminator_spec, **config}, arrays,
              call={"training": True}, notes=notes, tolerance=(1e-3, 1e-4) if dtype == "float32" else (1e-7, 1e-9))


def config(id, rows, size, steps, adam=("Adam", {"learning_rate": 0.002, "beta_1": 0.5}), **options):
    random = rng(id + " batches")
    spec = dict(zip(["class_name", "config"], adam))
    return {
        "loss": "non_saturating", "from_logits": True, "real_label": 1.0, "d_steps": 1,
        "generator_optimizer": spec, "discriminator_optimizer": spec,
        "batches": [random.permutation(rows)[:size].tolist() for _ in range(steps)],
    } | options


def images(id, *shape):
    return rng(id + " images").integers(0, 256, shape).astype(np.uint8)


LEAKY = {"name": "leaky_relu", "negative_slope": 0.2}


def dense_networks():
    generator = sequential([3], dense("hidden", 8, "relu"), dense("pixels", 36, "sigmoid"),
                           layer("Reshape", "image", target_shape=[6, 6]))
    discriminator = sequential([6, 6], layer("Flatten", "flatten"), dense("hidden", 6, LEAKY), dense("logit", 1))
    for id, options in [
        ("gan_dense", {}),
        ("gan_dense_two_steps", {"d_steps": 2}),
        ("gan_dense_smoothed", {"real_label": 0.9}),
        ("gan_dense_sgd", {"adam": ("SGD", {"learning_rate": 0.05, "momentum": 0.9})}),
        ("gan_dense__f32", {}),
    ]:
        case(id, generator, discriminator, config(id, 20, 8, 5, **options), images(id, 20, 6, 6), 3)


def convolutions():
    """A small DCGAN: batch normalization in the generator, and in both."""
    kernel = {"kernel_size": 4, "strides": 2, "padding": "same"}
    generator = sequential(
        [4], dense("start", 12), layer("Reshape", "small", target_shape=[2, 2, 3]),
        layer("BatchNormalization", "normal", momentum=0.9), layer("Activation", "relu", activation="relu"),
        layer("Conv2DTranspose", "double", filters=3, **kernel), layer("BatchNormalization", "normal_1", momentum=0.9),
        layer("Activation", "relu_1", activation="relu"),
        layer("Conv2DTranspose", "image", filters=1, activation="tanh", **kernel))
    for id, between in [("gan_dcgan", []), ("gan_dcgan_normalized", [layer("BatchNormalization", "normal")])]:
        discriminator = sequential(
            [8, 8, 1], layer("Conv2D", "halve", filters=3, activation=LEAKY, **kernel), *between,
            layer("Conv2D", "halve_1", filters=4, activation=LEAKY, **kernel), layer("Flatten", "flatten"),
            dense("logit", 1))
        case(id, generator, discriminator, config(id, 20, 8, 4), images(id, 20, 8, 8, 1), 4,
             "every pass in training moves the averages: the generator's twice a step, the discriminator's on real, "
             "made and judged samples")


if __name__ == "__main__":
    dense_networks()
    convolutions()
    group.write()
