"""Reference cases of scalers, imputers and encoders, from scikit-learn."""

import numpy as np
import sklearn
from sklearn import preprocessing
from sklearn.impute import SimpleImputer

from common import Group, distinct, label, rng

group = Group("preprocessing", "scikit-learn", {"scikit-learn": sklearn.__version__, "numpy": np.__version__}, 1e-12, 1e-6)
CLASSES = {name: getattr(preprocessing, name) for name in (
    "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer", "OneHotEncoder", "LabelEncoder")}
CLASSES["SimpleImputer"] = SimpleImputer
LEARNED = {"mean_": "mean", "var_": "var", "scale_": "scale", "center_": "center", "data_min_": "data_min",
           "data_max_": "data_max", "min_": "min"}


def case(id, config, train, other, inverse=True, learned=True, tags=()):
    """Fitted on one table, applied to another."""
    name = id.split("__")[0]
    step = CLASSES[name](**config)
    arrays = {"input.0": train, "input.1": other}
    kind = f"preprocess:{name}"
    try:
        output = step.fit(train).transform(other)
    except ValueError as error:
        group.add(id, kind, config, arrays, call={"raises": "ValueError"}, notes=str(error).split("\n")[0],
                  tags=[*tags, "error"])
        return
    output = output.toarray() if hasattr(output, "toarray") else output
    arrays["output"] = output
    if inverse:
        arrays["output.inverse"] = step.inverse_transform(output)
    if learned:
        for attribute, told in LEARNED.items():
            value = getattr(step, attribute, None)
            if value is not None:
                arrays[f"output.{told}"] = np.asarray(value, train.dtype)
    group.add(id, kind, config, arrays, tags=tags)


def tables(id, dtype="float64"):
    random = rng(id)
    return distinct(random, (9, 4), dtype), distinct(random, (5, 4), dtype)


SCALERS = {
    "StandardScaler": [{}, {"with_mean": False}, {"with_std": False}],
    "MinMaxScaler": [{}, {"feature_range": [-1.0, 2.0]}, {"clip": True}],
    "MaxAbsScaler": [{}],
    "RobustScaler": [{}, {"with_centering": False}, {"with_scaling": False}, {"quantile_range": [10.0, 80.0]},
                     {"unit_variance": True}],
}
for name, options in SCALERS.items():
    for config in options:
        id = f"{name}__{label(config)}"
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        case(id, given, *tables(id), inverse="clip" not in config)
    single = tables(f"{name}__single", "float32")
    case(f"{name}__single__f32", {}, *single, learned=False)
    train, other = tables(f"{name}__constant")
    train[:, 1] = 0.3
    train[:, 2] = 0
    case(f"{name}__constant_columns", {}, train, other, tags=["extreme"])
    train, other = tables(f"{name}__gaps")
    train[2, 0] = train[4, 3] = other[1, 1] = np.nan
    case(f"{name}__gaps", {}, train, other, tags=["extreme"])
    train, other = tables(f"{name}__width")
    case(f"{name}__another_width", {}, train, other[:, :3])
    other[0, 0] = np.inf
    case(f"{name}__infinite", {}, train, other, tags=["extreme"])

for config in ({}, {"norm": "l1"}, {"norm": "max"}):
    train, other = tables(f"Normalizer_{label(config)}")
    other[2] = 0
    case(f"Normalizer__{label(config)}", config, train, other, inverse=False)

train, other = tables("SimpleImputer")
train = train.round(0)
train[[1, 4, 7], 0] = train[[0, 2], 3] = other[0, 0] = other[2] = np.nan
empty = train.copy()
empty[:, 1] = np.nan
for config in ({}, {"strategy": "median"}, {"strategy": "most_frequent"}, {"strategy": "constant", "fill_value": 2.5},
               {"strategy": "mean", "keep_empty_features": True}):
    case(f"SimpleImputer__{label(config)}", config, train, other, inverse=False, tags=["extreme"])
    case(f"SimpleImputer__empty_column_{label(config)}", config, empty, other, inverse=False, tags=["extreme"])

random = rng("OneHotEncoder")
train, other = random.integers(-2, 3, (12, 3)), random.integers(-1, 2, (6, 3))
train[:5, :] = np.arange(-2, 3)[:, None]
for config in ({}, {"drop": "first"}, {"handle_unknown": "ignore"}):
    case(f"OneHotEncoder__{label(config)}", config, train, other, inverse=False)
other[3, 1] = 9
case("OneHotEncoder__unknown", {}, train, other, inverse=False)
case("OneHotEncoder__unknown_ignored", {"handle_unknown": "ignore"}, train, other, inverse=False)

labels = random.integers(-3, 4, 20) * 5
encoder = preprocessing.LabelEncoder().fit(labels)
group.add("LabelEncoder__numbers", "preprocess:LabelEncoder", {},
          {"input": labels, "output": encoder.transform(labels), "output.classes": encoder.classes_})
group.write()
