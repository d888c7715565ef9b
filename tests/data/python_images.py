"""Writes picture.jpg, grey.jpg, and images.safetensors: what Keras and TensorFlow read from them and make of it.

python tests/data/python_images.py   (keras 3.15, tensorflow, safetensors)
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

here = Path(__file__).parent
i, j = np.mgrid[0:23, 0:37]
picture = np.stack([i * 255 / 22, j * 255 / 36, 127 + 100 * np.sin((i + j) / 6)], axis=-1).round().astype(np.uint8)
grey = picture[:, :, 2:]

# One of every common kind: colours at half the resolution, progressive, grey.
files = {
    "picture.jpg": tf.io.encode_jpeg(picture, quality=95),
    "progressive.jpg": tf.io.encode_jpeg(picture, quality=95, progressive=True, chroma_downsampling=False),
    "grey.jpg": tf.io.encode_jpeg(grey, format="grayscale", quality=95),
}
tensors = {"picture": picture}
for name, content in files.items():
    (here / name).write_bytes(content.numpy())
    tensors[f"{name}/rgb"] = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    tensors[f"{name}/grey"] = tf.io.decode_jpeg(content, channels=1, dct_method="INTEGER_ACCURATE").numpy()
for size in [(40, 90), (10, 50), (5, 7), (1, 1)]:
    resized = keras.ops.image.resize(picture.astype(np.float32), size, antialias=False)
    tensors[f"resized/{size[0]}x{size[1]}"] = keras.ops.convert_to_numpy(resized)
save_file(tensors, here / "images.safetensors")
