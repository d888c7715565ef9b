"""Files of PyTorch for tests/data/torch.rs: one dictionary in both forms of torch.save, and its values in safetensors.

Run with torch 2.15 and safetensors: python tests/data/python_torch.py
"""

import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent


def tensors():
    torch.manual_seed(7)
    base = torch.randn(4, 3)
    return OrderedDict(
        {
            "float": base,
            "transposed": base.t(),
            "part": base[1:3, ::2],
            "channels_last": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
            "half": torch.tensor([0.5, -2.0], dtype=torch.float16),
            "bfloat": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
            "double": torch.tensor([1 / 3], dtype=torch.float64),
            "byte": torch.tensor([0, 255], dtype=torch.uint8),
            "char": torch.tensor([-128, 127], dtype=torch.int8),
            "short": torch.tensor([-300, 300], dtype=torch.int16),
            "int": torch.tensor([-70000, 70000], dtype=torch.int32),
            "long": torch.tensor(1 << 40),
            "bool": torch.tensor([True, False]),
            "empty": torch.zeros(0, 3),
            "expanded": torch.tensor([1.5]).expand(4),
            "parameter": torch.nn.Parameter(torch.randn(2)),
        }
    )


state = tensors()
checkpoint = {"epoch": 3, "rate": 0.1, "model": state, "name": "é", "steps": [1, -2, 70000, 1 << 40], "none": None}
torch.save(checkpoint, HERE / "torch_zip.pt")
torch.save(checkpoint, HERE / "torch_legacy.pt", _use_new_zipfile_serialization=False)
save_file({name: value.detach().clone().contiguous() for name, value in state.items()}, HERE / "torch_values.safetensors")


def repacked(name, change):
    """torch_zip.pt with the bytes of each entry as `change` gives them, packed."""
    with zipfile.ZipFile(HERE / "torch_zip.pt") as old, zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(zipfile.ZipInfo(entry), change(entry.split("/", 1)[1], old.read(entry)), zipfile.ZIP_DEFLATED)


def big_endian(name, content):
    """As a machine would write it that has the highest byte first."""
    if name == "byteorder":
        return b"big"
    if not name.startswith("data/"):
        return content
    size = SIZES[int(name.removeprefix("data/"))]
    return b"".join(content[at : at + size][::-1] for at in range(0, len(content), size))


storages = []
for tensor in state.values():
    if all(tensor.untyped_storage().data_ptr() != other.untyped_storage().data_ptr() for other in storages):
        storages.append(tensor)
SIZES = [tensor.element_size() for tensor in storages]
repacked("torch_big_endian.pt", big_endian)
repacked("torch_bomb.pt", lambda name, content: bytes(1 << 24) if name == "data/0" else content)
repacked("torch_long_program.pt", lambda name, content: content + bytes((1 << 26)) if name == "data.pkl" else content)
repacked("torch_two_orders.pt", lambda name, content: b"middle" if name == "byteorder" else content)
