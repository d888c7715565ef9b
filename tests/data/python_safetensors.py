"""Writes python.safetensors: some number types, an empty tensor, names that need escapes; python_types.safetensors: every type that
gradus reads; python_foreign.safetensors: two that it passes over.

python tests/data/python_safetensors.py   (numpy, torch 2.15, safetensors 0.8.0)
"""

from pathlib import Path

import numpy as np
import torch
import safetensors.torch
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

types = {
    "bool": torch.tensor([True, False, True]),
    "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "i16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
    "u16": torch.tensor([0, 2**16 - 1], dtype=torch.uint16),
    "f16": torch.tensor([[1 / 3, -65504.0], [6e-8, float("inf")]], dtype=torch.float16),
    "bf16": torch.tensor([1 / 3, -3e38, 1e-40], dtype=torch.bfloat16),
    "i32": torch.tensor([-(2**31)], dtype=torch.int32),
    "u32": torch.tensor([2**32 - 1], dtype=torch.uint32),
    "f32": torch.tensor([1 / 3], dtype=torch.float32),
    "f64": torch.tensor([1 / 3], dtype=torch.float64),
    "i64": torch.tensor([-(2**63)], dtype=torch.int64),
    "u64": torch.tensor([2**64 - 1], dtype=torch.uint64),
}
safetensors.torch.save_file(types, Path(__file__).with_name("python_types.safetensors"))
foreign = {
    "eight bits": torch.tensor([1.0, 2.0, 3.0]).to(torch.float8_e4m3fn),
    "complex": torch.tensor([1 + 2j]),
    "known": torch.tensor([1.5, 2.5]),
}
safetensors.torch.save_file(foreign, Path(__file__).with_name("python_foreign.safetensors"))
