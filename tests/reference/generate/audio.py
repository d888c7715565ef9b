"""Reference cases of cosine transforms (SciPy), short-time spectra and mel spectrograms (Keras on NumPy), and of the matrix from
linear frequencies to mel (TensorFlow)."""

import os

os.environ["KERAS_BACKEND"] = "numpy"

import keras
import numpy as np
import scipy
import tensorflow as tf
from keras.src.backend.common import dtypes

from common import Group, distinct, dtype_of, label, rng

# As in `peer_keras.py`: without this entry float64 stays float64.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
VERSIONS = {"scipy": scipy.__version__, "keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}
group = Group("audio", "keras", VERSIONS, atol=1e-12, atol_f32=1e-5)


def add(id, kind, config, x, outputs):
    """A case with one output, or with several."""
    outputs = outputs() if callable(outputs) else outputs
    named = {f"output.{i}": output for i, output in enumerate(outputs)} if isinstance(outputs, tuple) else {"output": outputs}
    group.add(id, f"preprocess:{kind}", config, ({} if x is None else {"input": x}) | named)


def refused(id, kind, config, x, call):
    """A case that the peer refuses."""
    try:
        call()
    except (ValueError, RuntimeError, IndexError) as error:
        call = {"raises": type(error).__name__}
        group.add(id, f"preprocess:{kind}", config, {} if x is None else {"input": x}, call=call,
                  notes=str(error).split("\n")[0], tags=["error"])
    else:
        raise AssertionError(f"{id} was not refused")


# scipy.fft.dct and idct.
group.framework = "scipy"
for kind in ("dct", "idct"):
    transform = getattr(scipy.fft, kind)
    for dct_type in (1, 2, 3, 4):
        for norm in (None, "ortho", "forward"):
            for orthogonalize in (None, True, False):
                config = {"type": dct_type} | ({"norm": norm} if norm else {})
                config |= {} if orthogonalize is None else {"orthogonalize": orthogonalize}
                id = f"{kind}__{label(config)}"
                x = distinct(rng(id), (2, 7))
                add(id, kind, config, x, transform(x, **config))
    for config, shape in [({"n": 5}, (2, 8)), ({"n": 11}, (2, 8)), ({"axis": 0}, (6, 3)), ({"axis": 1}, (2, 5, 3)),
                          ({"axis": -2, "type": 3, "norm": "ortho"}, (2, 5, 3)), ({}, (1,)), ({}, (64,)), ({"type": 4}, (37,))]:
        id = f"{kind}__{label(config)}_{'x'.join(map(str, shape))}"
        x = distinct(rng(id), shape)
        add(id, kind, config, x, transform(x, **config))
    x = distinct(rng(kind), (3, 40), "float32")
    add(f"{kind}__ortho__f32", kind, {"norm": "ortho"}, x, transform(x, norm="ortho"))
    for config, shape in [({"type": 5}, (4,)), ({"type": 1}, (1,)), ({"n": 0}, (4,)), ({"axis": 2}, (4, 3))]:
        id = f"{kind}__refused_{label(config)}"
        x = distinct(rng(id), shape)
        refused(id, kind, config, x, lambda: transform(x, **config))

# keras.ops.stft.
group.framework = "keras"
keras.config.set_floatx("float64")
BASE = {"sequence_length": 8, "sequence_stride": 3, "fft_length": 8}
for config, shape in [
    ({}, (30,)), ({}, (2, 30)), ({}, (2, 3, 17)), ({"center": False}, (2, 30)), ({"window": "hamming"}, (30,)),
    ({"window": None}, (30,)), ({"window": [0.1, 0.5, 0.9, 1.0, 0.8, 0.4, 0.3, 0.2]}, (30,)), ({"fft_length": 16}, (2, 30)),
    ({"fft_length": 13}, (30,)), ({"fft_length": 13, "center": False}, (30,)), ({"sequence_length": 5}, (30,)),
    ({"sequence_length": 7, "fft_length": 7}, (30,)), ({"sequence_length": 1, "window": None}, (30,)),
    ({"sequence_stride": 8}, (30,)), ({"sequence_stride": 1, "center": False}, (8,)), ({}, (5,)),
    ({"sequence_length": 100, "sequence_stride": 40, "fft_length": 128}, (2, 400)),
]:
    config = BASE | config
    id = f"stft__{label(config)}_{'x'.join(map(str, shape))}"
    x = distinct(rng(id), shape)
    options = config | ({"window": np.array(config["window"])} if isinstance(config.get("window"), list) else {})
    add(id, "stft", config, x, tuple(map(np.asarray, keras.ops.stft(x, **options))))
keras.config.set_floatx("float32")
x = distinct(rng("stft"), (2, 600), "float32")
config = {"sequence_length": 256, "sequence_stride": 64, "fft_length": 256}
add("stft__single__f32", "stft", config, x, tuple(map(np.asarray, keras.ops.stft(x, **config))))
for change in ({"sequence_stride": 0}, {"fft_length": 6}, {"window": [1.0, 2.0]}, {"window": "bartlett"}):
    config = BASE | change
    x = distinct(rng("stft"), (30,))
    options = config | ({"window": np.array(config["window"])} if isinstance(config.get("window"), list) else {})
    refused(f"stft__refused_{label(change)}", "stft", config, x, lambda: keras.ops.stft(x, **options))

# keras.layers.MelSpectrogram, whose weights are of float32 whatever its dtype is.
BASE = {"fft_length": 64, "sequence_stride": 32, "sampling_rate": 4000, "num_mel_bins": 8}
for config, shape in [
    ({}, (500,)), ({}, (3, 500)), ({"power_to_db": False}, (2, 500)), ({"mag_exp": 1.0, "power_to_db": False}, (500,)),
    ({"mag_exp": 1.5}, (500,)), ({"top_db": 10.0}, (2, 500)), ({"min_power": 10.0, "ref_power": 3.0}, (500,)),
    ({"ref_power": 0.5}, (500,)), ({"min_freq": 100.0, "max_freq": 1500.0}, (500,)), ({"sequence_length": 50}, (500,)),
    ({"window": "hamming"}, (500,)), ({"window": None}, (500,)),
]:
    config = BASE | config
    id = f"MelSpectrogram__{label({k: v for k, v in config.items() if k not in BASE})}_{'x'.join(map(str, shape))}__f32"
    x = distinct(rng(id), shape, "float32")
    add(id, "MelSpectrogram", config, x, np.asarray(keras.layers.MelSpectrogram(**config)(x)))
x = (0.5 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype("float32")
add("MelSpectrogram__defaults_of_a_tone__f32", "MelSpectrogram", {"top_db": 60.0}, x,
    np.asarray(keras.layers.MelSpectrogram(top_db=60.0)(x)))


# tf.signal.linear_to_mel_weight_matrix.
def mel(hertz):
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def twin(num_mel_bins=20, num_spectrogram_bins=129, sample_rate=8000, lower_edge_hertz=125.0, upper_edge_hertz=3800.0):
    """The matrix by its formula: what TensorFlow rounds to float32 on the way is exact here."""
    at = mel(np.linspace(0, sample_rate / 2, num_spectrogram_bins))[:, None]
    corners = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
    rising = (at - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - at) / (corners[2:] - corners[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights


group.framework = "tensorflow"
for config in ({}, {"num_mel_bins": 40}, {"num_spectrogram_bins": 257, "sample_rate": 16000}, {"lower_edge_hertz": 0.0},
               {"upper_edge_hertz": 4000.0}, {"num_mel_bins": 1}, {"num_spectrogram_bins": 65, "num_mel_bins": 60},
               {"sample_rate": 22050, "upper_edge_hertz": 11025.0, "num_spectrogram_bins": 257, "num_mel_bins": 40}):
    exact = tf.signal.linear_to_mel_weight_matrix(**config, dtype=tf.float64).numpy()
    id = f"linear_to_mel_weight_matrix__{label(config)}"
    assert np.abs(exact - twin(**config)).max() < 1e-12, id
    add(id, "linear_to_mel_weight_matrix", config, None, exact)
for config in ({"num_mel_bins": 0}, {"lower_edge_hertz": -1.0}, {"lower_edge_hertz": 3900.0}, {"sample_rate": 0.0},
               {"upper_edge_hertz": 4001.0}):
    refused(f"linear_to_mel_weight_matrix__refused_{label(config)}", "linear_to_mel_weight_matrix", config, None,
            lambda: tf.signal.linear_to_mel_weight_matrix(**config))
group.write()
