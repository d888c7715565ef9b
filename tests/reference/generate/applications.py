"""Known networks of keras.applications: their weights' paths and shapes, and what they predict in float64 with weights that are
made by a formula. Writes applications.json, which tests/reference/applications.rs compares with `gradus::applications`.

Weight number k in the order of the paths has at place i the value
    kernels            sin(0.1 k + 0.7 i) * sqrt(4 / number of values that go into a sum)
    gamma              1 + sin(...) / 10
    moving_variance    1 + sin(...) / 2
    all others         sin(...) / 10
and pixel i of the image is scale * (sin(0.3 i) + 1).
"""
import json, os, sys
from pathlib import Path

# On JAX the means of global pooling are rounded to float32.
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import numpy as np

keras.config.set_floatx("float64")
A = keras.applications

# name, constructor, options, size of the image, scale of its pixels
CASES = [
    ("vgg16", A.VGG16, dict(include_top=False, pooling="max"), (33, 32), 0.5),
    ("vgg19", A.VGG19, dict(include_top=False, pooling="avg"), (32, 40), 0.5),
    ("resnet50", A.ResNet50, dict(classes=5), (37, 45), 0.5),
    ("resnet101", A.ResNet101, dict(include_top=False, pooling="avg"), (32, 33), 0.5),
    ("mobilenet_v2", A.MobileNetV2, dict(classes=5), (37, 46), 0.5),
    ("mobilenet_v2_of_width", A.MobileNetV2, dict(classes=3, alpha=0.35), (32, 33), 0.5),
    ("densenet121", A.DenseNet121, dict(classes=5), (37, 45), 0.5),
    ("densenet169", A.DenseNet169, dict(include_top=False, pooling="max"), (33, 32), 0.5),
]


def value(path, shape, k):
    wave = np.sin(0.1 * k + 0.7 * np.arange(int(np.prod(shape, dtype=int)), dtype=np.float64)).reshape(shape)
    name = path.rsplit("/", 1)[1]
    if name == "kernel":
        depthwise = "depthwise" in path
        terms = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
        return wave * np.sqrt(4.0 / terms)
    if name == "gamma":
        return 1.0 + wave / 10.0
    if name == "moving_variance":
        return 1.0 + wave / 2.0
    return wave / 10.0


rows = []
for name, build, options, size, scale in CASES:
    model = build(weights=None, input_shape=(*size, 3), **options)
    weights = {v.path: v for v in model.weights}
    for k, path in enumerate(sorted(weights)):
        variable = weights[path]
        variable.assign(value(path, variable.shape, k))
    x = scale * (np.sin(0.3 * np.arange(size[0] * size[1] * 3)).reshape(1, *size, 3) + 1.0)
    y = np.asarray(model.predict(x, verbose=0))[0]
    assert np.isfinite(y).all(), name
    rows.append({
        "name": name,
        "top": options.get("include_top", True),
        "classes": options.get("classes", 1000),
        "alpha": options.get("alpha", 1.0),
        "pooling": options.get("pooling"),
        "size": list(size),
        "scale": scale,
        "weights": [" ".join([path, *map(str, weights[path].shape)]) for path in sorted(weights)],
        "output": y.ravel()[:16].tolist(),
    })
    print(name, len(weights), y.ravel()[:3], file=sys.stderr)
target = Path(__file__).resolve().parent.parent / "applications.json"
target.write_text(json.dumps(rows, indent=0) + "\n")
