"""Reference cases of splits: sizes and counts where rows are shuffled, the rows themselves where they are not."""

import numpy as np
import sklearn
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, train_test_split

from common import Group, label, rng

group = Group("splits", "scikit-learn", {"scikit-learn": sklearn.__version__, "numpy": np.__version__}, 1e-12, 1e-6)
SPLITTERS = {"KFold": KFold, "StratifiedKFold": StratifiedKFold, "GroupKFold": GroupKFold, "TimeSeriesSplit": TimeSeriesSplit}


def folds(step, config, rows, id):
    """`rows`: how many, or the label or group of each."""
    given = np.atleast_1d(rows)
    n = rows if isinstance(rows, int) else len(rows)
    told = {"StratifiedKFold": {"y": given}, "GroupKFold": {"groups": given}}.get(step, {})
    try:
        splits = list(SPLITTERS[step](**config).split(np.zeros(n), **told))
    except ValueError as error:
        group.add(id, f"preprocess:{step}", config, {"input": given}, call={"raises": "ValueError"}, notes=str(error),
                  tags=["error"])
        return
    outputs = {"output.test_sizes": np.array([len(test) for _, test in splits])}
    if not config.get("shuffle"):
        for i, (train, test) in enumerate(splits):
            outputs |= {f"output.train.{i}": train, f"output.test.{i}": test}
    if step == "StratifiedKFold":
        labels = np.unique(given)
        outputs["output.test_counts"] = np.array([[(given[test] == k).sum() for k in labels] for _, test in splits])
    group.add(id, f"preprocess:{step}", config, {"input": given} | outputs)


def all_folds():
    for n, config in [(10, {}), (11, {"n_splits": 3}), (11, {"n_splits": 3, "shuffle": True}), (3, {"n_splits": 4}), (7, {"n_splits": 1})]:
        folds("KFold", config, n, f"KFold__{n}_{label(config)}")
    random = rng("labels")
    labels = random.permutation(np.repeat([3, 0, 7], [13, 6, 9]))
    for config in ({}, {"n_splits": 3}, {"n_splits": 4, "shuffle": True}, {"n_splits": 13}, {"n_splits": 14}):
        folds("StratifiedKFold", config, labels, f"StratifiedKFold__{label(config)}")
    groups = random.permutation(np.repeat([4, 1, 9, 2, 6, 5], [7, 3, 3, 5, 1, 2]))
    for config in ({}, {"n_splits": 2}, {"n_splits": 6}, {"n_splits": 7}):
        folds("GroupKFold", config, groups, f"GroupKFold__{label(config)}")
    for n, config in [(12, {}), (12, {"n_splits": 3, "test_size": 2}), (20, {"n_splits": 3, "gap": 2}),
                      (20, {"n_splits": 4, "max_train_size": 5}), (5, {}), (6, {"n_splits": 2, "test_size": 3})]:
        folds("TimeSeriesSplit", config, n, f"TimeSeriesSplit__{n}_{label(config)}")


def in_two():
    for n, config in [(10, {}), (11, {"test_size": 0.3}), (101, {"test_size": 0.01}), (2, {"test_size": 0.5})]:
        train, test = train_test_split(np.arange(n), random_state=0, **config)
        outputs = {"output.train_size": np.int64(len(train)), "output.test_size": np.int64(len(test))}
        group.add(f"train_test_split__{n}_{label(config)}", "preprocess:train_test_split", config,
                  {"input": np.array([n])} | outputs)
    labels = np.repeat([0, 1, 2], [17, 8, 5])
    for fraction in (0.2, 0.25, 0.4):
        _, test = train_test_split(np.arange(30), test_size=fraction, stratify=labels, random_state=0)
        counts = np.bincount(labels[test])
        config = {"test_size": fraction, "stratify": True}
        outputs = {"output.test_size": np.int64(len(test)), "output.test_counts": counts}
        group.add(f"train_test_split__{label(config)}", "preprocess:train_test_split", config, {"input": labels} | outputs)


all_folds()
in_two()
group.write()
