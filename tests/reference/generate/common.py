"""What every generator shares: the format of reference cases, in one place, and seeded inputs.

A `Group` is a folder `tests/reference/<name>` with `cases.json` and the container `cases.safetensors`, see `pack.py`.
Every random number comes from a generator seeded by the case's id, so a case does not change when others come or go.
"""

import json
import math
import shutil
import zlib
from pathlib import Path

import numpy as np

import pack

ROOT = Path(__file__).resolve().parent.parent

# What a runner has to reproduce; everything else in a case is given.
EXPECTED = ("output", "grad.", "grad0.", "updated.")

# What numpy's types are called in files.
DTYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint64": "U64", "uint8": "U8"}


class Group:
    """The cases of one folder; `write` replaces what was there."""

    def __init__(self, name, framework, versions, atol, atol_f32):
        self.name, self.framework, self.versions = name, framework, versions
        self.tolerance = {"float64": (1e-9, atol), "float32": (1e-4, atol_f32)}
        self.cases, self.tensors = [], {}

    def add(self, id, kind, config, arrays, call=None, notes="", tags=(), expect=None, tolerance=None):
        """Adds a case. Its dtype is told by the id; `tolerance` (rtol, atol) and `expect` only where unusual."""
        dtype = dtype_of(id)
        arrays = {name: np.array(array, order="C") for name, array in arrays.items()}
        for name, array in arrays.items():
            if array.dtype.kind == "f":
                assert array.dtype == dtype, f"{id}: {name} is {array.dtype}"
            if "extreme" not in tags:
                assert np.isfinite(array).all(), f"{id}: {name} is not finite"
        assert id not in self.tensors, f"{id} twice"
        rtol, atol = tolerance or self.tolerance[dtype]
        self.tensors[id] = arrays
        self.cases.append({
            "id": id,
            "kind": kind,
            "framework": self.framework,
            "dtype": dtype,
            "config": plain(config),
            "call": plain(call or {}),
            "arrays": {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in arrays.items()},
            "expect": expect or [name for name in arrays if name.startswith(EXPECTED)],
            "rtol": rtol,
            "atol": atol,
            "notes": notes,
            "tags": list(tags),
        })

    def write(self):
        folder = ROOT / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        pack.write_group(folder, {
            id: {name: (DTYPES[str(a.dtype)], a.shape, a.tobytes()) for name, a in arrays.items()}
            for id, arrays in self.tensors.items()
        })
        (folder / "cases.json").write_text(self.json())
        print(f"{self.name}: {len(self.cases)} cases")

    def json(self):
        """`cases.json`, a line for every field of a case, so that a change reads well in a diff."""
        cases = [
            "  {\n" + ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in case.items()) + "\n  }"
            for case in self.cases
        ]
        head = {"group": self.name, "versions": self.versions, "count": len(self.cases)}
        lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        lines.append(' "cases": [\n' + ",\n".join(cases) + "\n ]")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def load(folder):
    """The arrays of each case of a group, by id."""
    types = {word: name for name, word in DTYPES.items()}
    return {
        id: {name: np.frombuffer(data, types[dtype]).reshape(shape) for name, (dtype, shape, data) in case.items()}
        for id, case in pack.read_group(folder).items()
    }


def dtype_of(id):
    """`float32` where the id ends in `__f32`, else `float64`."""
    return "float32" if id.endswith("__f32") else "float64"


def plain(value):
    """`value` as JSON: tuples become lists; infinity and NaN the strings the format knows."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def label(config):
    """A piece of an id from options: `{"alpha": 0.5, "axis": -1}` → `alpha0.5_axis-1`."""
    return "_".join(f"{key}{value}" for key, value in config.items()).replace(" ", "") or "default"


def rng(id):
    """The random numbers of the case `id`."""
    return np.random.default_rng(zlib.crc32(id.encode()))


def distinct(random, shape, dtype="float64", low=-2, high=2):
    """Values in [low, high] that keep 0.05 away from every multiple of 0.5, where activations have their kinks."""
    cells = random.integers(2 * low, 2 * high, shape)
    return ((cells + random.uniform(0.1, 0.9, shape)) / 2).astype(dtype)


def probabilities(random, shape, axis=-1, dtype="float64"):
    """Positive values that sum to 1 over `axis`, none near 0 or 1."""
    values = np.exp(distinct(random, shape, low=-1, high=1))
    return (values / values.sum(axis, keepdims=True)).astype(dtype)


def one_hot(labels, classes, axis=-1, dtype="float64"):
    """Labels as rows of 0 and 1, the classes on `axis`."""
    return np.moveaxis(np.eye(classes, dtype=dtype)[labels], -1, axis)
