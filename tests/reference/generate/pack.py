"""The files of reference cases: all of a group in one container, or a file a case.

    python3 pack.py [FOLDER …]      packs these groups, or all committed ones that have a file a case

The container of a group is `cases.safetensors` beside `cases.json`; a tensor of a case is called `<id>/<tensor>` in
it. A group that is packed already is left as it is. Nothing but Python is needed; the bytes are those that the
package safetensors writes. A tensor is (dtype, shape, bytes) here, its dtype in the words of safetensors.
"""

import json
import sys
from pathlib import Path

CONTAINER = "cases.safetensors"

# The order of dtypes in a file, as the package has it: the widest first.
DTYPES = ["U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL"]


def read(path):
    """The tensors of a safetensors file by name."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        first, end = about["data_offsets"]
        tensors[name] = about["dtype"], about["shape"], data[start + first : start + end]
    return tensors


def write(path, tensors):
    """Writes a safetensors file, the same bytes for the same tensors."""
    header, at = {}, 0
    order = sorted(tensors, key=lambda name: (DTYPES.index(tensors[name][0]), name.encode()))
    for name in order:
        dtype, shape, values = tensors[name]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(values)]}
        at += len(values)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensors[name][2] for name in order))


def write_group(folder, cases):
    """Writes the container of a group from the tensors of each case."""
    assert not any("/" in id for id in cases), "an id ends where the first / stands"
    write(folder / CONTAINER, {f"{id}/{name}": tensor for id, case in cases.items() for name, tensor in case.items()})


def ids_of(folder):
    """The ids of a group's cases, from `cases.json`."""
    return [case["id"] for case in json.loads((folder / "cases.json").read_text())["cases"]]


def read_group(folder):
    """The tensors of each case of a group in either form, by id. A container shows no case that has no tensors."""
    if not (folder / CONTAINER).exists():
        return {path.stem: read(path) for path in sorted(folder.glob("*.safetensors"))}
    cases = {id: {} for id in ids_of(folder)}
    for name, tensor in read(folder / CONTAINER).items():
        id, name = name.split("/", 1)
        cases.setdefault(id, {})[name] = tensor
    return cases


def pack(folder):
    """Puts the files of a group into its container, and takes them away once the container gives them back."""
    if (folder / CONTAINER).exists():
        return f"{folder.name}: is packed"
    ids, cases = ids_of(folder), read_group(folder)
    if sorted(ids) != sorted(cases):
        sys.exit(f"{folder.name}: cases.json and the files do not agree on {sorted(set(ids) ^ set(cases))}")
    write_group(folder, cases)
    assert read_group(folder) == cases, folder
    for id in ids:
        (folder / f"{id}.safetensors").unlink()
    return f"{folder.name}: {len(ids)} cases packed"


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    given = [Path(name) for name in sys.argv[1:]] or sorted(path.parent for path in root.glob("*/cases.json"))
    print(*map(pack, given), sep="\n")
