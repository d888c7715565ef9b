"""Reference cases of scores of whole predictions, from scikit-learn."""

import warnings

import numpy as np
import sklearn
from sklearn import metrics

from common import Group, distinct, dtype_of, label, probabilities, rng

group = Group("scores", "scikit-learn", {"scikit-learn": sklearn.__version__, "numpy": np.__version__}, 1e-12, 1e-6)
warnings.simplefilter("ignore")

ROWS = 30
REPORT = {"macro avg": "macro_avg", "micro avg": "micro_avg", "weighted avg": "weighted_avg", "samples avg": "samples_avg"}


def case(id, score, config, y_true, y_pred, sample_weight=None, notes="", tags=()):
    """One call; what scikit-learn refuses must be refused."""
    arrays = {"y_true": y_true, "y_pred": y_pred}
    given = {} if sample_weight is None else {"sample_weight": sample_weight}
    arguments = [y_true, y_pred]
    kind, arrays = f"metric:{score}", arrays | given
    try:
        result = getattr(metrics, score)(*arguments, **config, **given)
    except ValueError as error:
        group.add(id, kind, config, arrays, call={"raises": "ValueError"}, notes=str(error), tags=[*tags, "error"])
        return
    group.add(id, kind, config, arrays | outputs(score, result, dtype_of(id)), notes=notes, tags=tags)


def outputs(score, result, dtype):
    """The result by the names that cases use; counts are float64."""
    if score == "classification_report":
        words = ["precision", "recall", "f1-score", "support"]
        rows = {name: row for name, row in result.items() if name not in [*REPORT, "accuracy"]}
        named = {"output.labels": np.array([[row[w] for w in words] for row in rows.values()], float)}
        named |= {f"output.{REPORT[name]}": np.array([result[name][w] for w in words], float)
                  for name in REPORT if name in result}
        return named | ({"output.accuracy": np.float64(result["accuracy"])} if "accuracy" in result else {})
    several = isinstance(result, tuple)
    values = [r for r in result if r is not None] if several else [result]
    values = [np.asarray(v, dtype) for v in values]
    return {f"output.{i}": v for i, v in enumerate(values)} if several else {"output": values[0]}


def weights(random, n=ROWS):
    """Weights with a 0 among them."""
    sample_weight = random.uniform(0.2, 2.0, n)
    sample_weight[2] = 0
    return sample_weight


def classes(random, kind):
    """True and predicted classes, two thirds of them equal."""
    low, high, shape = {"binary": (0, 2, ROWS), "many": (0, 4, ROWS), "indicators": (0, 2, (ROWS, 3))}[kind]
    y_true = random.integers(low, high, shape)
    y_pred = np.where(random.uniform(size=shape) < 0.66, y_true, random.integers(low, high, shape))
    return y_true, y_pred


def absent():
    """Class 1 is never predicted, class 3 never true, class 5 neither but asked for."""
    y_true = np.array([0, 0, 1, 1, 2, 2, 2, 4, 4, 0, 2, 1])
    y_pred = np.array([0, 3, 2, 0, 2, 2, 3, 4, 0, 0, 2, 2])
    return y_true, y_pred


AVERAGES = {"binary": [{}, {"pos_label": 0}], "many": [], "indicators": [{"average": "samples"}]}
for averages in AVERAGES.values():
    averages += [{"average": average} for average in (None, "macro", "micro", "weighted")]
FAMILY = ["precision_score", "recall_score", "f1_score", "jaccard_score"]


def of_classes():
    plain = {
        "accuracy_score": [{}, {"normalize": False}],
        "zero_one_loss": [{}, {"normalize": False}],
        "hamming_loss": [{}],
        "multilabel_confusion_matrix": [{}, {"labels": [1, 0]}],
        "classification_report": [{"output_dict": True}],
    }
    one_class = {
        "balanced_accuracy_score": [{}, {"adjusted": True}],
        "matthews_corrcoef": [{}],
        "cohen_kappa_score": [{}, {"weights": "linear"}, {"weights": "quadratic"}],
        "confusion_matrix": [{}, *({"normalize": by} for by in ("true", "pred", "all")), {"labels": [1, 0]}],
    }
    for kind in AVERAGES:
        scores = plain | ({} if kind == "indicators" else one_class)
        scores |= {score: AVERAGES[kind] for score in FAMILY}
        scores["fbeta_score"] = [{"beta": 2.0} | config for config in AVERAGES[kind]]
        scores["precision_recall_fscore_support"] = [{"beta": 0.5} | config for config in AVERAGES[kind][1:]]
        for score, options in scores.items():
            for config in options:
                for weighted in (False, True):
                    id = f"{score}__{kind}_{label(config)}" + "_weights" * weighted
                    random = rng(id)
                    y_true, y_pred = classes(random, kind)
                    case(id, score, config, y_true, y_pred, weights(random) if weighted else None)
    samples = classes(rng("samplewise"), "indicators")
    case("multilabel_confusion_matrix__samplewise", "multilabel_confusion_matrix", {"samplewise": True}, *samples)


def of_absent_classes():
    y_true, y_pred = absent()
    labels = [0, 1, 2, 3, 4, 5]
    for score in FAMILY:
        for average in (None, "macro", "micro", "weighted"):
            for value in (0, 1, np.nan):
                if score == "jaccard_score" and value != value:
                    continue
                config = {"average": average, "zero_division": value, "labels": labels}
                case(f"{score}__absent_{average}_{value}", score, config, y_true, y_pred, tags=["extreme"])
    for score in ("accuracy_score", "balanced_accuracy_score", "cohen_kappa_score", "matthews_corrcoef"):
        case(f"{score}__absent", score, {}, y_true, y_pred)
    case("confusion_matrix__absent", "confusion_matrix", {"labels": labels}, y_true, y_pred)
    case("confusion_matrix__some", "confusion_matrix", {"labels": [4, 2]}, y_true, y_pred)
    case("confusion_matrix__none_there", "confusion_matrix", {"labels": [7]}, y_true, y_pred)
    report = {"output_dict": True}
    case("classification_report__absent", "classification_report", report, y_true, y_pred)
    case("classification_report__some", "classification_report", report | {"labels": [0, 2]}, y_true, y_pred)
    one = np.ones(5, int)
    for score in ("matthews_corrcoef", "cohen_kappa_score", "balanced_accuracy_score"):
        case(f"{score}__one_class", score, {}, one, one, tags=["extreme"])
    case("f1_score__binary_of_many", "f1_score", {}, y_true, y_pred)
    case("f1_score__bad_pos_label", "f1_score", {"pos_label": 7}, np.array([0, 1, 1]), np.array([0, 1, 0]))
    case("recall_score__nothing_true", "recall_score", {"zero_division": np.nan}, np.zeros(4, int), np.array([0, 1, 0, 0]),
         tags=["extreme"])


def scored(random, ties):
    """Two classes; scores in steps of a tenth tie often."""
    y_true = random.integers(0, 2, ROWS)
    score = y_true * 0.4 + random.uniform(0, 1, ROWS)
    return y_true, np.round(score, 1) if ties else score


def of_rankings():
    curves = {
        "roc_curve": [{}, {"drop_intermediate": False}],
        "precision_recall_curve": [{}, {"drop_intermediate": True}],
        "det_curve": [{}, {"drop_intermediate": True}],
        "roc_auc_score": [{}, {"max_fpr": 0.3}, {"max_fpr": 0.85}],
        "average_precision_score": [{}, {"pos_label": 0}],
    }
    for score, options in curves.items():
        for config in options:
            for ties in (False, True):
                for weighted in (False, True):
                    id = f"{score}__{label(config)}" + "_ties" * ties + "_weights" * weighted
                    random = rng(id)
                    y_true, y_score = scored(random, ties)
                    tags = ["extreme"] if score == "roc_curve" else []
                    case(id, score, config, y_true, y_score, weights(random) if weighted else None, tags=tags)
    y_true, y_score = scored(rng("pos_label"), True)
    for score in ("roc_curve", "precision_recall_curve", "det_curve"):
        case(f"{score}__pos_label", score, {"pos_label": 5}, y_true * 3 + 2, y_score, tags=["extreme"])
        case(f"{score}__no_pos_label", score, {}, y_true * 3 + 2, y_score)
        case(f"{score}__minus_one", score, {}, y_true * 2 - 1, y_score, tags=["extreme"])
        case(f"{score}__one_class", score, {}, np.ones(ROWS, int), y_score, tags=["extreme"])
        case(f"{score}__other_class", score, {}, np.zeros(ROWS, int), y_score, tags=["extreme"])
    case("roc_auc_score__other_labels", "roc_auc_score", {}, y_true * 3 + 2, y_score)
    case("roc_auc_score__one_class", "roc_auc_score", {}, np.ones(ROWS, int), y_score, tags=["extreme"])
    for value in (0, 1):
        case(f"average_precision_score__only_{value}", "average_precision_score", {}, np.full(ROWS, value), y_score)
    case("roc_auc_score__no_number", "roc_auc_score", {}, np.array([0, 1, 1]), np.array([0.1, np.nan, 0.3]),
         tags=["extreme"])


def of_many_classes():
    averages = (None, "macro", "micro", "weighted")
    for weighted in (False, True):
        for average in averages:
            for kind in ("ovr", "ovo"):
                id = f"roc_auc_score__{kind}_{average}" + "_weights" * weighted
                random = rng(id)
                y_true, p = random.integers(0, 4, ROWS), probabilities(random, (ROWS, 4)).round(2)
                p[:, 0] += 1 - p.sum(1)
                if kind == "ovo" and average is None:
                    continue
                config = {"average": average, "multi_class": kind}
                case(id, "roc_auc_score", config, y_true, p, weights(random) if weighted else None)
        for average in (*averages, "samples"):
            for score in ("roc_auc_score", "average_precision_score"):
                id = f"{score}__labels_{average}" + "_weights" * weighted
                random = rng(id)
                y_true, p = random.integers(0, 2, (ROWS, 3)), random.uniform(size=(ROWS, 3)).round(1)
                y_true[y_true.sum(1) % 3 == 0] = [1, 0, 1]
                case(id, score, {"average": average}, y_true, p, weights(random) if weighted else None)
        for average in averages:
            id = f"average_precision_score__many_{average}" + "_weights" * weighted
            random = rng(id)
            y_true, p = random.integers(0, 4, ROWS), probabilities(random, (ROWS, 4))
            case(id, "average_precision_score", {"average": average}, y_true, p, weights(random) if weighted else None)
    random = rng("absent")
    y_true, p = random.integers(0, 3, ROWS), probabilities(random, (ROWS, 4))
    given = {"labels": [0, 1, 2, 3], "multi_class": "ovr"}
    case("roc_auc_score__absent_weighted", "roc_auc_score", given | {"average": "weighted"}, y_true, p)
    case("roc_auc_score__absent_each", "roc_auc_score", given | {"average": None}, y_true, p, tags=["extreme"])
    case("roc_auc_score__absent_macro", "roc_auc_score", given, y_true, p, tags=["extreme"])
    case("roc_auc_score__absent_ovo", "roc_auc_score", given | {"multi_class": "ovo"}, y_true, p)
    case("roc_auc_score__no_choice", "roc_auc_score", {"labels": [0, 1, 2, 3]}, y_true, p)
    case("roc_auc_score__columns", "roc_auc_score", {"multi_class": "ovr"}, y_true, p)
    case("roc_auc_score__no_distribution", "roc_auc_score", given, y_true, p * 1.1)
    for k in (1, 2, 3):
        for weighted in (False, True):
            id = f"top_k_accuracy_score__k{k}" + "_weights" * weighted
            random = rng(id)
            y_true, p = np.arange(ROWS) % 4, random.uniform(size=(ROWS, 4)).round(1)
            w = weights(random) if weighted else None
            case(id, "top_k_accuracy_score", {"k": k}, y_true, p, w, notes="of equal scores the later class first")
            case(f"{id}_count", "top_k_accuracy_score", {"k": k, "normalize": False}, y_true, p, w)
    binary, score = scored(rng("top_k"), True)
    case("top_k_accuracy_score__binary", "top_k_accuracy_score", {"k": 1}, binary, score - 0.5)
    case("top_k_accuracy_score__binary_probabilities", "top_k_accuracy_score", {"k": 1}, binary, score / 2)
    case("top_k_accuracy_score__labels", "top_k_accuracy_score", {"k": 2, "labels": [0, 1, 2, 3]}, binary,
         probabilities(random, (ROWS, 4)))


def of_probabilities():
    for score, options in {"log_loss": [{}, {"normalize": False}], "brier_score_loss": [{}, {"scale_by_half": True}]}.items():
        for config in options:
            for columns in (1, 2, 3):
                for weighted in (False, True):
                    id = f"{score}__{columns}_{label(config)}" + "_weights" * weighted
                    random = rng(id)
                    y_true = np.arange(ROWS) % max(columns, 2)
                    p = random.uniform(size=ROWS) if columns == 1 else probabilities(random, (ROWS, columns))
                    case(id, score, config, y_true, p, weights(random) if weighted else None)
    sure = np.array([0.0, 1.0, 1.0, 0.0])
    for dtype, suffix in (("float64", ""), ("float32", "__f32")):
        case(f"log_loss__clipped{suffix}", "log_loss", {}, np.array([0, 1, 0, 1]), sure.astype(dtype))
    case("log_loss__labels", "log_loss", {"labels": [0, 1, 2]}, np.array([0, 1, 1]), probabilities(rng("l"), (3, 3)))
    case("log_loss__one_class", "log_loss", {}, np.ones(4, int), sure)
    case("log_loss__beyond", "log_loss", {}, np.array([0, 1]), np.array([0.5, 1.5]))
    case("brier_score_loss__pos_label", "brier_score_loss", {"pos_label": 0}, np.array([0, 1, 0, 1]), sure / 2)
    case("brier_score_loss__other_labels", "brier_score_loss", {}, np.array([3, 8, 3, 8]), sure / 2)
    x = np.array([0.0, 0.1, 0.4, 0.4, 1.0])
    for name, xs in (("rising", x), ("falling", x[::-1]), ("both", x[[0, 2, 1, 3, 4]])):
        case(f"auc__{name}", "auc", {}, xs, np.array([0.2, 0.3, 0.9, 0.7, 1.0]))


def of_numbers():
    errors = ["mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
              "mean_squared_log_error", "root_mean_squared_log_error", "median_absolute_error"]
    explained = ["r2_score", "explained_variance_score"]
    for score in errors + explained:
        several = [{"multioutput": "raw_values"}, {"multioutput": [0.5, 0.2, 0.3]}]
        several += [{"multioutput": "variance_weighted"}] if score in explained else []
        for outputs_, options in ((1, [{}]), (3, [{}, *several])):
            for config in options:
                for weighted in (False, True):
                    id = f"{score}__{outputs_}_{label(config)}" + "_weights" * weighted
                    random = rng(id)
                    shape = (ROWS, outputs_)[:outputs_ if outputs_ == 1 else 2]
                    y_true, y_pred = abs(distinct(random, shape)), abs(distinct(random, shape))
                    case(id, score, config, y_true, y_pred, weights(random) if weighted else None)
    for score in errors[:4]:
        random = rng(score)
        case(f"{score}__single__f32", score, {}, *(distinct(random, ROWS).astype("float32") for _ in range(2)))
    case("max_error__default", "max_error", {}, *(distinct(rng(f"max{i}"), ROWS) for i in range(2)))
    even = np.array([1.0, 2.0, 3.0, 4.0])
    case("median_absolute_error__even", "median_absolute_error", {}, even, np.zeros(4), np.ones(4))
    constant = np.ones(4)
    for score in explained:
        for finite in (True, False):
            for exact in (True, False):
                predicted = constant if exact else constant + [0, 0.5, 0, 0]
                case(f"{score}__constant_{finite}_{exact}", score, {"force_finite": finite}, constant, predicted,
                     tags=["extreme"])
    case("r2_score__one_row", "r2_score", {}, constant[:1], constant[:1], tags=["extreme"])
    case("mean_squared_log_error__below", "mean_squared_log_error", {}, np.array([-1.0, 2.0]), even[:2])
    case("mean_squared_error__lengths", "mean_squared_error", {}, even, even[:3])
    case("mean_squared_error__no_number", "mean_squared_error", {}, even, np.array([1.0, np.nan, 2.0, 3.0]),
         tags=["extreme"])


of_classes()
of_absent_classes()
of_rankings()
of_many_classes()
of_probabilities()
of_numbers()
group.write()
