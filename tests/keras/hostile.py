"""Makes the files of `hostile/`: weights in every form of HDF5 that is read, and what must be refused.

    python hostile.py hostile     (h5py 3.14, numpy)

All are weights of `Sequential([Input((3,)), Dense(2)])`, kernel `KERNEL` and bias `BIAS`, or whole models of it.
"""

import io
import json
import os
import sys
import zipfile
import zlib

import h5py
import numpy as np

KERNEL = np.array([[0.5, -1.5], [2.0, 0.25], [-0.75, 3.0]], "f4")
BIAS = np.array([0.125, -4.0], "f4")
WEIGHTS, MODELS = {}, {}


def weights(make):
    WEIGHTS[make.__name__] = make
    return make


def vars_of(file):
    return file.create_group("layers/dense/vars")


def both(group, **options):
    group.create_dataset("0", data=KERNEL, **options)
    group["1"] = BIAS


# What is read.

@weights
def good_plain(file):
    both(vars_of(file))


@weights
def good_chunks(file):
    both(vars_of(file), chunks=(2, 1), compression="gzip", shuffle=True, fletcher32=True)


@weights
def good_chunks_plain(file):
    both(vars_of(file), chunks=(2, 2))


@weights
def good_double(file):
    group = vars_of(file)
    group["0"], group["1"] = KERNEL.astype(">f8"), BIAS.astype("f2")


@weights
def good_whole_numbers(file):
    group = vars_of(file)
    group["0"], group["1"] = (KERNEL * 4).astype(">i2"), (BIAS * 8).astype("i8")


@weights
def good_compact(file):
    group = vars_of(file)
    both(group)
    del group["1"]
    space, kind = h5py.h5s.create_simple((2,)), h5py.h5t.IEEE_F32LE
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(group.id, b"1", kind, space, create).write(h5py.h5s.ALL, h5py.h5s.ALL, BIAS)


@weights
def good_many(file):
    """A group with a tree of several levels; other members are no weights."""
    both(vars_of(file))
    for number in range(300):
        file[f"optimizer/state_{number}"] = file["layers"]


@weights
def good_random_state(file):
    both(vars_of(file))
    file["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], "u4")


@weights
def good_bfloat16(file):
    """As Keras writes them: two opaque bytes, and a word beside them."""
    group = vars_of(file)
    for name, values in [("0", KERNEL), ("1", BIAS)]:
        upper = (values.view("u4") >> 16).astype("u2")
        group.create_dataset(name, data=upper.view("V2")).attrs["dtype"] = "bfloat16"


# What is refused.

@weights
def opaque(file):
    group = vars_of(file)
    group["0"], group["1"] = np.zeros((3, 2), "V4"), BIAS


@weights
def soft_link(file):
    both(vars_of(file))
    file["elsewhere"] = KERNEL
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/elsewhere")


@weights
def external_link(file):
    vars_of(file)["1"] = BIAS
    file["layers/dense/vars/0"] = h5py.ExternalLink("good_plain.weights.h5", "/layers/dense/vars/0")


@weights
def external_storage(file):
    group = vars_of(file)
    group["1"] = BIAS
    group.create_dataset("0", (3, 2), "f4", external=[("passwords.txt", 0, 24)])


@weights
def virtual(file):
    group = vars_of(file)
    group["1"] = BIAS
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("good_plain.weights.h5", "layers/dense/vars/0", (3, 2))
    group.create_virtual_dataset("0", layout)


@weights
def shape_bomb(file):
    group = vars_of(file)
    group["1"] = BIAS
    group.create_dataset("0", (1 << 40, 1 << 20), "f4", chunks=(1024, 1024))


@weights
def never_written(file):
    group = vars_of(file)
    group["1"] = BIAS
    group.create_dataset("0", (3, 2), "f4")


@weights
def missing_chunks(file):
    group = vars_of(file)
    group["1"] = BIAS
    group.create_dataset("0", (3, 2), "f4", chunks=(1, 1))[0] = 1


@weights
def chunk_bomb(file):
    group = vars_of(file)
    group["1"] = BIAS
    data = group.create_dataset("0", (3, 2), "f4", chunks=(3, 2), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(4 << 20), 9))


@weights
def unknown_filter(file):
    group = vars_of(file)
    group["1"] = BIAS
    group.create_dataset("0", data=KERNEL, chunks=(3, 2), compression="lzf")


@weights
def texts(file):
    group = vars_of(file)
    group["1"] = BIAS
    group["0"] = np.full((3, 2), b"text")


@weights
def structure(file):
    group = vars_of(file)
    group["1"] = BIAS
    group["0"] = np.zeros((3, 2), [("a", "f4"), ("b", "i4")])


@weights
def named_type(file):
    group = vars_of(file)
    group["1"] = BIAS
    file["kind"] = np.dtype("f4")
    group.create_dataset("0", data=KERNEL, dtype=file["kind"])


@weights
def wrong_shape(file):
    group = vars_of(file)
    group["0"], group["1"] = KERNEL.T, BIAS


@weights
def missing_weight(file):
    vars_of(file)["0"] = KERNEL


@weights
def one_too_many(file):
    both(vars_of(file))
    file["layers/dense/vars/2"] = BIAS


@weights
def layer_too_many(file):
    both(vars_of(file))
    file["layers/dense_1/vars/0"] = KERNEL


@weights
def circle(file):
    both(vars_of(file))
    file["layers/dense/again"] = file["layers"]


@weights
def array_in_place_of_group(file):
    file["layers/dense"] = KERNEL


def dense(name="dense", **options):
    config = {"name": name, "trainable": True, "units": 2, "activation": "linear"} | options
    return {"module": "keras.layers", "class_name": "Dense", "config": config, "registered_name": None}


def chain(*layers):
    first = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
             "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "input"}}
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "chain", "layers": [first, *layers]}}


def graph(*layers, output):
    first = {"module": "keras.layers", "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "x"}}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": {
        "name": "graph", "layers": [first, *layers], "input_layers": ["x", 0, 0], "output_layers": [output, 0, 0]}}


def tensor(name, node=0, output=0):
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "dtype": "float32",
                                                         "keras_history": [name, node, output]}}


def call(layer, *args, **kwargs):
    return layer | {"name": layer["config"]["name"], "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


def operator(class_name, name, *args, module="keras.src.ops.numpy", **config):
    return {"module": module, "class_name": class_name, "config": {"name": name} | config, "registered_name": class_name,
            "name": name, "inbound_nodes": [{"args": list(args), "kwargs": {}}]}


def lambda_layer():
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
    return {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "run_me", "function": code}}


def masked_attention():
    """Keras 3.15 gives such an attention no mask, though the embedding makes one."""
    embedding = {"module": "keras.layers", "class_name": "Embedding",
                 "config": {"name": "embedding", "input_dim": 5, "output_dim": 4, "mask_zero": True}}
    attention = {"module": "keras.layers", "class_name": "MultiHeadAttention",
                 "config": {"name": "attention", "num_heads": 1, "key_dim": 2}}
    return graph(call(embedding, tensor("x")), call(attention, tensor("embedding"), tensor("embedding")), output="attention")


deep = dense()
for _ in range(60):
    deep = chain(deep)
    deep["config"]["build_input_shape"] = [None, 3]

MODELS = {
    "good": chain(dense()),
    "lambda": chain(lambda_layer()),
    "lambda_in_graph": graph(call(lambda_layer(), tensor("x")), output="run_me"),
    "lambda_activation": chain(dense(activation={"class_name": "__lambda__", "config": {"code": "4wEA"}})),
    "module": chain({"module": "os", "class_name": "system", "config": {"command": "true"}}),
    "function": chain({"module": "builtins", "class_name": "function", "config": "system", "registered_name": "function"}),
    "get_file": chain({"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://example.org"}}),
    "operators": graph(
        operator("Exp", "exp", tensor("x")),
        operator("Add", "add", tensor("exp"), tensor("x")),
        call(dense(), tensor("add")), output="dense"),
    "constant": graph(call(dense(), tensor("x"), 2.0), output="dense"),
    "argument": graph(call(dense(), tensor("x"), scale=tensor("x")), output="dense"),
    "training": graph(call({"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}}, tensor("x"), training=True),
                      output="drop"),
    "mask": graph(
        operator("NotEqual", "mask", tensor("x"), 0),
        call({"class_name": "Softmax", "config": {"name": "softmax"}}, tensor("x"), mask=tensor("mask")), output="softmax"),
    "masked_attention": masked_attention(),
    "no_such_tensor": graph(call(dense(), tensor("y")), output="dense"),
    "circle": graph(call(dense("a"), tensor("b")), call(dense("b"), tensor("a")), output="b"),
    "size_bomb": chain(dense(units=1 << 50)),
    "wide_bomb": chain(dense(units=1 << 28)),
    "deep": deep,
    "unknown_layers": chain({"class_name": "Fancy", "config": {}}, dense(), {"class_name": "Other", "config": {}}),
}


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def main(folder):
    for name, make in WEIGHTS.items():
        with h5py.File(os.path.join(folder, f"{name}.weights.h5"), "w") as file:
            make(file)
    with h5py.File(os.path.join(folder, "good_latest.weights.h5"), "w", libver="latest") as file:
        both(vars_of(file))
    with h5py.File(os.path.join(folder, "latest_chunks.weights.h5"), "w", libver="latest") as file:
        both(vars_of(file), chunks=(2, 2))
    with h5py.File(os.path.join(folder, "latest_heap.weights.h5"), "w", libver="latest") as file:
        both(vars_of(file))
        for number in range(12):
            file.create_group(f"layers/more_{number}")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        both(vars_of(file))
    good = memory.getvalue()
    for name, config in MODELS.items():
        members = {"config.json": json.dumps(config), "model.weights.h5": good}
        write(os.path.join(folder, f"{name}.keras"), members)
    config = json.dumps(MODELS["good"])
    write(os.path.join(folder, "no_config.keras"), {"model.weights.h5": good})
    write(os.path.join(folder, "npz.keras"), {"config.json": config, "model.weights.npz": b""})
    write(os.path.join(folder, "no_json.keras"), {"config.json": config[:-9], "model.weights.h5": good})
    write(os.path.join(folder, "no_hdf5.keras"), {"config.json": config, "model.weights.h5": b"weights"})
    bomb = os.path.join(folder, "zip_bomb.keras")
    write(bomb, {"config.json": config, "model.weights.h5": good})
    with open(bomb, "r+b") as file:
        # The directory says that the last member holds two gigabytes.
        file.seek(file.read().rindex(b"PK\x01\x02") + 24)
        file.write((1 << 31).to_bytes(4, "little"))


if __name__ == "__main__":
    main(sys.argv[1])
