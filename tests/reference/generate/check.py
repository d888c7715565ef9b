"""Checks reference cases: their structure, and with the formulas of `twins.py` their numbers.

    python check.py [FOLDER]          the committed cases, or any other folder of groups

Exits 1 if anything is wrong. Cases without a twin are checked for their structure alone.
"""

import json
import sys
from pathlib import Path

import numpy as np

import twins
from common import ROOT, dtype_of, load

FIELDS = {
    "id", "kind", "framework", "dtype", "config", "call", "arrays", "expect", "rtol", "atol", "notes", "tags"
}


def structure(case, tensors):
    """Yields what is wrong with the case's fields and tensors."""
    if set(case) != FIELDS:
        yield f"fields {sorted(set(case) ^ FIELDS)}"
    if case["dtype"] != dtype_of(case["id"]):
        yield f"dtype {case['dtype']}"
    if set(tensors) != set(case["arrays"]):
        yield f"tensors {sorted(set(tensors) ^ set(case['arrays']))}"
    for name, array in tensors.items():
        stated = case["arrays"].get(name)
        if stated != {"dtype": str(array.dtype), "shape": list(array.shape)}:
            yield f"{name} is {array.dtype} {array.shape}, not {stated}"
        if array.dtype.kind == "f" and "extreme" not in case["tags"] and not np.isfinite(array).all():
            yield f"{name} is not finite"
        if name.startswith(("grad.", "grad0.")):
            source = name.split(".", 1)[1]
            given = tensors[source] if source in tensors else tensors[f"param.{source}"]
            if given.shape != array.shape:
                yield f"{name} has shape {array.shape}, {source} {given.shape}"
    if not case["expect"] and "raises" not in case["call"]:
        yield "nothing is expected"
    for name in set(case["expect"]) - set(tensors):
        yield f"{name} is expected, but no tensor"


def numbers(case, tensors):
    """Yields each expected tensor that the twin recomputes, with its error; gradients at a tie are no formula's."""
    tensors = {name: array.astype(float) if array.dtype == np.float32 else array for name, array in tensors.items()}
    with np.errstate(all="ignore"):
        computed = twins.twin(case)(case, tensors)
    for name in case["expect"]:
        if name in computed and not ("ties" in case["tags"] and name.startswith("grad")):
            value = computed[name]
            place, value = value if isinstance(value, tuple) else (np.s_[...], value)
            yield name, error(np.real(value), tensors[name][place], "extreme" in case["tags"])


def error(got, want, extreme):
    """The largest error over the tensor's own size; in extreme cases a NaN of the twin is no opinion."""
    got, want = np.broadcast_to(got, np.shape(want)), np.asarray(want, float)
    same = (got == want) | (np.isnan(got) & (extreme | np.isnan(want)))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0, np.abs(got - want))
    size = np.abs(want[np.isfinite(want)]).max(initial=0)
    return differences.max(initial=0) / max(size, 1e-3)


def limit(case):
    """How far a peer may be from the formula: rounding, or what the case admits of its peer."""
    if case["dtype"] == "float32":
        return 1e-3 if case["kind"] == "model" else 2e-5
    return case["rtol"] if case["rtol"] > 1e-9 else 1e-11


def main(root):
    wrong, table = [], {}
    for path in sorted(root.glob("*/cases.json")):
        data, folder = json.loads(path.read_text()), path.parent
        ids = [case["id"] for case in data["cases"]]
        arrays = load(folder)
        if data["count"] != len(ids) or sorted(ids) != sorted(arrays):
            wrong.append(f"{folder.name}: count, ids and tensors do not agree")
        for case in data["cases"]:
            tensors = arrays.get(case["id"], {})
            problems = list(structure(case, tensors))
            errors = dict(numbers(case, tensors)) if twins.twin(case) and not problems else {}
            problems += [f"{name} is off by {size:.1e}" for name, size in errors.items() if not size <= limit(case)]
            wrong += [f"{folder.name}/{case['id']}: {problem}" for problem in problems]
            table.setdefault((case["kind"], case["dtype"]), []).append(errors)
    for (kind, dtype), rows in sorted(table.items()):
        errors = [size for row in rows for size in row.values()]
        told = f"{len(errors):5} tensors recomputed, largest error {max(errors):.0e}" if errors else "structure only"
        print(f"{kind:40} {dtype} {len(rows):4} cases {told}")
    print(*wrong, sep="\n")
    print(f"total {sum(map(len, table.values()))} cases, {len(wrong)} problems")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
