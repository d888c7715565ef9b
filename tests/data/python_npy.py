"""Writes python_npy.npz: an .npz of .npy files in every form that numpy writes, and beside it python_npy.json with what they hold.

python tests/data/python_npy.py   (numpy)
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

here = Path(__file__).parent
rng = np.random.default_rng(7)
values = {}
for code in ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]:
    kind = np.dtype(code)
    if kind.kind == "b":
        x = rng.integers(0, 2, (2, 3)).astype(bool)
    elif kind.kind == "f":
        x = rng.normal(size=(2, 3)).astype(kind)
    else:
        limits = np.iinfo(kind)
        x = rng.integers(limits.min, limits.max, (2, 3), dtype=kind, endpoint=True)
    values[code] = x
arrays = {}
for code, x in values.items():
    arrays[f"little_{code}"] = x.astype(np.dtype(code).newbyteorder("<"))
    arrays[f"big_{code}"] = x.astype(np.dtype(code).newbyteorder(">"))
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
arrays["fortran_big"] = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
arrays["scalar"] = np.array(2.5)
arrays["line"] = np.arange(3, dtype=np.uint8)
arrays["empty"] = np.zeros((0, 4), np.float32)
arrays["größe"] = np.array([1.0])

files = {}
for name, x in arrays.items():
    out = io.BytesIO()
    np.lib.format.write_array(out, x)
    files[name] = out.getvalue()
for version in [(2, 0), (3, 0)]:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array([1.5, -2.0]), version=version)
    files[f"version{version[0]}"] = out.getvalue()
    arrays[f"version{version[0]}"] = np.array([1.5, -2.0])
refused = {
    "text": np.array(["a", "bc"]),
    "bytes": np.array([b"a"]),
    "object": np.array([{}, 1], dtype=object),
    "complex": np.array([1 + 2j]),
    "dates": np.array(["2020-01-01"], dtype="M8[D]"),
    "structure": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "long": np.array([1.0], dtype=np.longdouble),
}
bad = {}
for name, x in refused.items():
    out = io.BytesIO()
    np.lib.format.write_array(out, x)
    bad[name] = out.getvalue().hex()
with zipfile.ZipFile(here / "python_npy.npz", "w") as archive:
    for number, (name, data) in enumerate(files.items()):
        how = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
        archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), data, how)
contents = {
    name: {"shape": list(x.shape), "values": [float(v) for v in x.ravel()]} for name, x in arrays.items()
}
(here / "python_npy.json").write_text(json.dumps({"arrays": contents, "refused": bad}, ensure_ascii=False) + "\n")
