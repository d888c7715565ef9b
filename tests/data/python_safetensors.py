"""Writes python.safetensors: every number type, an empty tensor, names that need escapes.

python tests/data/python_safetensors.py   (numpy, safetensors 0.8.0)
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "dense/kernel": np.array([[1.5, -2.0, 0.25], [np.inf, 1e-45, -0.0]], np.float32),
    "dense/bias": np.array([0.1, 0.2, 0.3], np.float32),
    "moments": np.array([[[1e-300], [np.pi]]], np.float64),
    "step": np.array(2**64 - 1, np.uint64),
    "ids": np.array([-(2**63), 7], np.int64),
    "small": np.array([-(2**31), -1, 3], np.int32),
    "pixels": np.array([0, 127, 255], np.uint8),
    "nothing": np.zeros([0, 4], np.float32),
    'größe "q"\n': np.array([1.0], np.float32),
}
save_file(tensors, Path(__file__).with_name("python.safetensors"), metadata={'made "by"': "Python\nпривет"})
