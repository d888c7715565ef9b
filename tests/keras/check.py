"""Opens what gradus wrote with Keras and compares what it computes with the outputs that `generate.py` recorded.

    GRADUS_KERAS_OUT=FOLDER cargo test --all-features --test keras
    KERAS_BACKEND=tensorflow python check.py FOLDER > check.txt

For each case the whole model (`NAME.keras`), and the weights alone (`NAME.weights.h5`) in the model that Keras had saved. Then
trainings that gradus saved after two epochs go on for a third in Keras.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np


def difference(model, arrays):
    inputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("x")]
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    expected = [arrays[f"y{i}"] for i in range(len(outputs))]
    return max(np.abs(np.asarray(a) - b).max() / max(1, np.abs(b).max()) for a, b in zip(outputs, expected))


def main(folder):
    here = Path(__file__).parent / "files"
    print(f"keras {keras.__version__}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}; largest differences")
    failed = False
    for path in sorted(here.glob("*.keras")):
        name = path.stem
        arrays = np.load(here / f"{name}.npz")
        try:
            whole = difference(keras.saving.load_model(Path(folder) / f"{name}.keras", compile=False), arrays)
            if name == "normalizations":
                # Statistics that Keras has among the weights are options in gradus.
                print(f"{name:20} model {whole:.1e}  weights -")
                continue
            model = keras.saving.load_model(path, compile=False)
            for weight in model.weights:
                weight.assign(np.zeros(weight.shape, weight.dtype))
            model.load_weights(Path(folder) / f"{name}.weights.h5")
            weights = difference(model, arrays)
        except Exception as problem:
            failed = True
            print(f"{name:20} {type(problem).__name__}: {problem}")
            continue
        failed |= not max(whole, weights) < 1e-5
        print(f"{name:20} model {whole:.1e}  weights {weights:.1e}")
    for path in sorted((here / "resumed").glob("*.keras")):
        name = path.stem
        arrays = np.load(path.with_suffix(".npz"))
        model = keras.saving.load_model(Path(folder) / f"resumed_{name}.keras")
        model.fit(arrays["x0"], arrays["y0"], epochs=1, batch_size=8, shuffle=False, verbose=0)
        worst = max(np.abs(weight.numpy() - arrays[f"w{i}"]).max() for i, weight in enumerate(model.weights))
        failed |= not worst < 2e-6
        print(f"{name:20} training {worst:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1])
