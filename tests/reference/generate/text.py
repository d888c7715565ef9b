"""Reference cases of texts and sequences: TextVectorization, pad_sequences, timeseries_dataset_from_array, from Keras.

Texts stand in `call`: `adapt` is learned from, `texts` are transformed; `vocabulary` is what was learned, or given where
nothing is. `output.targets` are the windows' targets.
"""

import numpy as np

import peer_keras as peer
from common import Group, distinct, label
from peer_keras import keras

group = Group("text", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)

ADAPT = [
    "The cat sat on the mat.",
    "the dog -- sat; on the LOG, (and the cat ran)!",
    "Ünder Äpfeln läuft the Cat\tand\nthe dog\x0bran",
    "",
    "  to be, or not to be: that's the question?  [UNK]",
    "naïve café $5 100% a_b c^d `tick` ~tilde~ \u00a0no break\u2003here",
]
TEXTS = ["the cat and the dog", "The unicorn's [UNK] mat", "", "to be", "CAFÉ café Äpfeln \u00a0no", "a b c d e f g h"]
VOCABULARY = ["cat", "the", "dog", "mat", "to be", "a", "b"]

STANDARDIZE = [{}, {"standardize": "lower"}, {"standardize": "strip_punctuation"}, {"standardize": None}]
SPLIT = [{}, {"split": "character"}, {"split": None}]
MODES = [
    {},
    {"output_sequence_length": 3},
    {"output_sequence_length": 40},
    {"max_tokens": 8},
    {"ngrams": 2},
    {"ngrams": (2,)},
    {"ngrams": (3, 1), "max_tokens": 20},
    {"output_mode": "multi_hot"},
    {"output_mode": "multi_hot", "max_tokens": 6},
    {"output_mode": "multi_hot", "max_tokens": 100, "pad_to_max_tokens": True},
    {"output_mode": "count"},
    {"output_mode": "count", "ngrams": 2, "max_tokens": 12},
    {"output_mode": "tf_idf"},
    {"output_mode": "tf_idf", "max_tokens": 9},
    {"output_mode": "tf_idf", "max_tokens": 100, "pad_to_max_tokens": True},
]


def vectorization(config, adapt=ADAPT, texts=TEXTS, name=None):
    id = f"TextVectorization__{name or label(config)}"
    peer.start(id)
    layer = keras.layers.TextVectorization(**config)
    call = {"texts": texts}
    if adapt:
        layer.adapt([[text] for text in adapt])
        call |= {"adapt": adapt, "vocabulary": layer.get_vocabulary()}
    output = np.asarray(layer([[text] for text in texts]))
    group.add(id, "preprocess:TextVectorization", config, {"output": output}, call=call)


def texts():
    for mode in MODES:
        for standardize in STANDARDIZE if mode in ({}, {"output_mode": "count"}) else STANDARDIZE[:1]:
            for split in SPLIT:
                if split == {"split": None} and mode == {"ngrams": (2,)}:
                    continue  # one token has no pair: nothing is learned
                vectorization(standardize | split | mode)
    vectorization({"vocabulary": VOCABULARY}, adapt=None, name="given")
    vectorization({"vocabulary": ["", "[UNK]", *VOCABULARY]}, adapt=None, name="given_special")
    vectorization({"vocabulary": VOCABULARY, "output_mode": "count"}, adapt=None, name="given_count")
    weights = np.linspace(0.2, 1.7, len(VOCABULARY)).tolist()
    tf_idf = {"output_mode": "tf_idf", "max_tokens": 11, "pad_to_max_tokens": True}
    vectorization({"vocabulary": VOCABULARY, "idf_weights": weights} | tf_idf, adapt=None, name="given_tf_idf")
    special = {"vocabulary": ["[UNK]", *VOCABULARY], "idf_weights": [0.9, *weights]}
    vectorization(special | tf_idf, adapt=None, name="given_tf_idf_special")


def refused(name, kind, config, call, arrays, raised):
    group.add(name, f"preprocess:{kind}", config, arrays, call=call | {"raises": raised}, expect=[], tags=["error"])


def errors():
    none = {"input": np.zeros(1)}
    for name, config in {
        "repeated": {"vocabulary": ["a", "b", "a"]},
        "too_long": {"vocabulary": ["a", "b", "c"], "max_tokens": 4},
        "one_token": {"vocabulary": ["a"], "max_tokens": 1},
        "reserved": {"vocabulary": ["a", "", "b"]},
        "idf_missing": {"vocabulary": ["a"], "output_mode": "tf_idf"},
        "idf_unasked": {"vocabulary": ["a"], "idf_weights": [1.0]},
        "idf_short": {"vocabulary": ["a", "b"], "idf_weights": [1.0], "output_mode": "tf_idf"},
        "length_of_counts": {"vocabulary": ["a"], "output_mode": "count", "output_sequence_length": 3},
    }.items():
        try:
            keras.layers.TextVectorization(**config)
        except (ValueError, RuntimeError) as error:
            raised = type(error).__name__
            refused(f"TextVectorization__refused_{name}", "TextVectorization", config, {"texts": ["a"]}, none, raised)
        else:
            raise AssertionError(f"Keras takes {config}")


LENGTHS = [3, 1, 5, 0, 2]


def padding():
    for step, dtype in [((), "int64"), ((2,), "float64")]:
        for config in [
            {},
            {"padding": "post"},
            {"maxlen": 3},
            {"maxlen": 3, "truncating": "post"},
            {"maxlen": 3, "padding": "post", "truncating": "post"},
            {"maxlen": 7, "padding": "post", "value": -1.0},
            {"maxlen": 1},
        ]:
            id = f"pad_sequences__{label(config)}_{dtype}"
            _, random = peer.start(id)
            steps = distinct(random, (sum(LENGTHS), *step))
            steps = steps if dtype == "float64" else (np.arange(sum(LENGTHS)) * 7 + 1)
            parts = np.split(steps, np.cumsum(LENGTHS)[:-1])
            output = keras.utils.pad_sequences(parts, dtype=dtype, **config)
            arrays = {"input": steps, "lengths": np.array(LENGTHS), "output": output}
            group.add(id, "preprocess:pad_sequences", config, arrays)


def windows():
    for shape in [(23,), (23, 2), (23, 2, 3)]:
        for config in [
            {"sequence_length": 4},
            {"sequence_length": 4, "sequence_stride": 3},
            {"sequence_length": 3, "sampling_rate": 4},
            {"sequence_length": 3, "sampling_rate": 2, "sequence_stride": 5},
            {"sequence_length": 4, "start_index": 5},
            {"sequence_length": 4, "end_index": 15},
            {"sequence_length": 5, "start_index": 3, "end_index": 17, "sequence_stride": 2},
            {"sequence_length": 23},
        ]:
            for targets in [None, 23, 12]:
                if targets == 12 and config.get("start_index"):
                    continue  # Keras then counts targets from the start
                id = f"timeseries_dataset_from_array__{'x'.join(map(str, shape))}_{label(config)}_targets{targets or 0}"
                _, random = peer.start(id)
                series = distinct(random, shape)
                goal = None if targets is None else distinct(random, (targets,))
                batches = list(keras.utils.timeseries_dataset_from_array(series, goal, batch_size=5, **config))
                arrays = {"input.0": series}
                if goal is None:
                    arrays["output"] = np.concatenate([np.asarray(x) for x in batches])
                else:
                    arrays |= {"input.1": goal, "output": np.concatenate([np.asarray(x) for x, _ in batches])}
                    arrays["output.targets"] = np.concatenate([np.asarray(y) for _, y in batches])
                group.add(id, "preprocess:timeseries_dataset_from_array", config, arrays)
    series = {"input.0": np.arange(10.0)}
    for name, config in {
        "stride_0": {"sequence_length": 2, "sequence_stride": 0},
        "rate_0": {"sequence_length": 2, "sampling_rate": 0},
        "rate_10": {"sequence_length": 2, "sampling_rate": 10},
        "stride_10": {"sequence_length": 2, "sequence_stride": 10},
        "start_10": {"sequence_length": 2, "start_index": 10},
        "end_10": {"sequence_length": 2, "end_index": 10},
        "end_before_start": {"sequence_length": 2, "start_index": 5, "end_index": 5},
    }.items():
        try:
            keras.utils.timeseries_dataset_from_array(series["input.0"], None, **config)
        except ValueError as error:
            kind = "timeseries_dataset_from_array"
            refused(f"{kind}__refused_{name}", kind, config, {}, series, type(error).__name__)
        else:
            raise AssertionError(f"Keras takes {config}")


texts()
errors()
padding()
windows()
group.write()
