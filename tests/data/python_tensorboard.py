"""Writes scalars.tfevents by TensorBoard's own messages and reads it back by its own reader.

python tests/data/python_tensorboard.py            (tensorboard 2.21)
python tests/data/python_tensorboard.py FOLDER     prints what TensorBoard finds in the runs of a folder
"""

import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

LONG = "epoch_a_metric_whose_name_is_so_long_that_its_length_takes_more_than_one_byte_" * 3
SCALARS = [
    (1_700_000_001.5, 0, "epoch_loss", 0.75),
    (1_700_000_002.5, 1, "epoch_loss", 0.1),
    (1_700_000_003.5, 300, "epoch_accuracy", 0.0),
    (1_700_000_004.5, 1 << 40, LONG, -1e30),
    (1_700_000_005.5, 2, "epoch_loss", float("inf")),
]


def scalar(time, step, tag, value):
    event = Event(wall_time=time, step=step)
    named = event.summary.value.add(tag=tag)
    named.tensor.dtype = DT_FLOAT
    named.tensor.tensor_shape.SetInParent()
    named.tensor.float_val.append(value)
    named.metadata.plugin_data.plugin_name = "scalars"
    named.metadata.data_class = DATA_CLASS_SCALAR
    return event


def found(events):
    """What a reader of the files finds: (time, step, tag, value)."""
    tags = events.Tags()["tensors"]
    assert all(events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars" for tag in tags)
    return [(e.wall_time, e.step, tag, make_ndarray(e.tensor_proto).item()) for tag in tags for e in events.Tensors(tag)]


if len(sys.argv) > 1:
    runs = EventMultiplexer().AddRunsFromDirectory(sys.argv[1]).Reload()
    for run in sorted(runs.Runs()):
        for _, step, tag, value in found(runs.GetAccumulator(run)):
            print(run, tag, step, f"{value:.6g}")
    sys.exit()

path = Path(__file__).parent / "scalars.tfevents"
with path.open("wb") as file:
    records = RecordWriter(file)
    for event in [Event(wall_time=1_700_000_000.25, file_version="brain.Event:2")] + [scalar(*given) for given in SCALARS]:
        records.write(event.SerializeToString())
read = found(EventAccumulator(str(path)).Reload())
given = [(time, step, tag, float(np.float32(value))) for time, step, tag, value in SCALARS]
assert sorted(read) == sorted(given), read
print(f"{len(read)} scalars as they were written")
