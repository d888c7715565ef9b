"""Reference cases of learning-rate schedules, of EarlyStopping and of ReduceLROnPlateau, from Keras."""

import numpy as np

import peer_keras as peer
from common import Group, label
from peer_keras import keras

group = Group("schedules", "keras", peer.VERSIONS, atol=1e-12, atol_f32=1e-6)

NAN, INF = np.nan, np.inf

# The monitored values of the epochs.
SERIES = {
    "falling": [0.9, 0.7, 0.72, 0.6, 0.61, 0.62, 0.63, 0.59, 0.595, 0.6, 0.61, 0.62],
    "rising": [0.2, 0.35, 0.3, 0.4, 0.38, 0.39, 0.41, 0.405, 0.4, 0.39, 0.38, 0.37],
    "slow": [1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.88, 0.86, 0.84, 0.82, 0.8, 0.78],
    "worsening": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "equal": [0.5, 0.5, 0.5, 0.5, 0.5],
    "nan_later": [0.9, 0.8, NAN, 0.7, NAN, NAN, 0.6, 0.65, 0.66, 0.67],
    "nan_first": [NAN, 0.9, 0.8, 0.7, 0.6, 0.5],
    "infinite": [INF, 0.9, INF, 0.8, INF, INF, INF],
}


def schedule(id, config, steps):
    peer.start(id)
    name = id.split("__")[0]
    schedule = getattr(keras.optimizers.schedules, name)(**config)
    rates = np.array([float(schedule(float(step))) for step in steps])
    group.add(id, f"schedule:{name}", config, {"input": steps, "output": rates},
              notes="input: the step, from 0")


class WeightsOfEpochs:
    """All that EarlyStopping asks of a model; its weights are the number of the epoch that made them."""

    def __init__(self):
        self.epoch, self.stop_training = 0, False

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.epoch = weights


def early_stopping(series, config):
    """Runs the callback over the monitored values of a series as `fit` does."""
    values = SERIES[series]
    id = f"EarlyStopping__{series}_{label(config)}"
    peer.start(id)
    callback, model = keras.callbacks.EarlyStopping(**config), WeightsOfEpochs()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.epoch = epoch
        callback.on_epoch_end(epoch, {callback.monitor: value})
        if model.stop_training:
            break
    callback.on_train_end()
    arrays = {
        "input": np.array(values),
        "output.stopped_epoch": np.array(callback.stopped_epoch),
        "output.epochs_run": np.array(epoch + 1),
        "output.best_epoch": np.array(callback.best_epoch),
        "output.best": np.array(callback.best, "float64"),
        "output.weights_epoch": np.array(model.epoch),
    }
    finite = np.isfinite([*values, arrays["output.best"]]).all()
    group.add(id, "callback:EarlyStopping", config, arrays, tags=[] if finite else ["extreme"],
              notes="epochs count from 0; stopped_epoch is 0 where training was not stopped; weights_epoch: the epoch "
              "whose weights the model has in the end; best_epoch is 0 and best NaN where they were never set")


class Rate:
    """All that ReduceLROnPlateau asks of a model: an optimizer, whose rate Keras would hold in float32."""

    def __init__(self, learning_rate):
        self.optimizer, self.learning_rate = self, learning_rate


def reduce_on_plateau(series, config, learning_rate=0.1):
    """The learning rate after each epoch of a series."""
    id = f"ReduceLROnPlateau__{series}_{label(config)}"
    callback, model = keras.callbacks.ReduceLROnPlateau(**config), Rate(learning_rate)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(SERIES[series]):
        callback.on_epoch_end(epoch, {callback.monitor: value})
        rates.append(float(model.learning_rate))
    group.add(id, "callback:ReduceLROnPlateau", config, {"input": np.array(SERIES[series]), "output": np.array(rates)},
              call={"learning_rate": learning_rate}, tags=[] if np.isfinite(SERIES[series]).all() else ["extreme"],
              notes="output: the rate after each epoch")


STEPS = np.arange(51)
FAR = np.array([0, 1, 7, 99, 100, 101, 999, 1000, 12345, 1_000_000])
for id, config, steps in [
    ("short", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8}, STEPS),
    ("long", {"initial_learning_rate": 0.03, "decay_steps": 1000, "decay_rate": 0.96}, FAR),
    ("growing", {"initial_learning_rate": 0.001, "decay_steps": 10, "decay_rate": 1.5}, STEPS),
    ("staircase", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8, "staircase": True}, STEPS),
    ("staircase_far", {"initial_learning_rate": 0.1, "decay_steps": 100, "decay_rate": 0.5, "staircase": True}, FAR),
    ("every_step", {"initial_learning_rate": 0.5, "decay_steps": 1, "decay_rate": 0.9, "staircase": True}, STEPS),
]:
    schedule(f"ExponentialDecay__{id}", config, steps)
RATE, STEPS_10, STEPS_7 = {"initial_learning_rate": 0.1}, {"decay_steps": 10}, {"decay_steps": 7}
for id, config in [
    ("InverseTimeDecay__slow", {**RATE, **STEPS_7, "decay_rate": 0.3}),
    ("InverseTimeDecay__staircase", {**RATE, **STEPS_7, "decay_rate": 1.7, "staircase": True}),
    ("PolynomialDecay__line", {**RATE, **STEPS_10}),
    ("PolynomialDecay__square", {**RATE, **STEPS_7, "power": 2.0, "end_learning_rate": 0.01}),
    ("PolynomialDecay__cycle", {**RATE, **STEPS_7, "power": 0.5, "cycle": True}),
    ("PiecewiseConstantDecay__three", {"boundaries": [3, 20], "values": [0.1, 0.05, 0.2]}),
    ("PiecewiseConstantDecay__one", {"boundaries": [10], "values": [1.0, 0.5]}),
    ("CosineDecay__plain", {**RATE, **STEPS_10}),
    ("CosineDecay__alpha", {**RATE, "decay_steps": 33, "alpha": 0.2}),
    ("CosineDecay__warmup", {"initial_learning_rate": 0.01, "decay_steps": 30, "warmup_target": 0.3, "warmup_steps": 9}),
    ("CosineDecayRestarts__double", {**RATE, "first_decay_steps": 6}),
    ("CosineDecayRestarts__same", {**RATE, "first_decay_steps": 9, "t_mul": 1.0, "m_mul": 0.7}),
    ("CosineDecayRestarts__alpha", {**RATE, "first_decay_steps": 8, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.1}),
]:
    schedule(id, config, STEPS)

for series, config in [
    ("falling", {}),
    ("falling", {"patience": 1}),
    ("falling", {"patience": 2}),
    ("falling", {"patience": 3}),
    ("falling", {"patience": 3, "restore_best_weights": True}),
    ("falling", {"patience": 4, "restore_best_weights": True}),
    ("falling", {"patience": 20}),
    ("falling", {"patience": 20, "restore_best_weights": True}),
    ("falling", {"patience": 2, "min_delta": 0.05, "restore_best_weights": True}),
    ("falling", {"patience": 2, "min_delta": 0.15, "restore_best_weights": True}),
    ("falling", {"patience": 3, "min_delta": -0.05, "restore_best_weights": True}),
    ("falling", {"patience": 2, "baseline": 0.65, "restore_best_weights": True}),
    ("falling", {"patience": 3, "baseline": 0.65, "restore_best_weights": True}),
    ("falling", {"patience": 2, "baseline": 0.1, "restore_best_weights": True}),
    ("falling", {"patience": 5, "baseline": 0.1}),
    ("falling", {"patience": 2, "start_from_epoch": 4, "restore_best_weights": True}),
    ("falling", {"patience": 1, "start_from_epoch": 8, "restore_best_weights": True}),
    ("falling", {"patience": 2, "start_from_epoch": 100, "restore_best_weights": True}),
    ("falling", {"patience": 2, "mode": "max", "restore_best_weights": True}),
    ("rising", {"patience": 3, "mode": "max", "restore_best_weights": True}),
    ("rising", {"patience": 1, "mode": "max", "min_delta": 0.03, "restore_best_weights": True}),
    ("rising", {"patience": 2, "mode": "max", "baseline": 0.37, "restore_best_weights": True}),
    ("rising", {"patience": 2, "mode": "min", "restore_best_weights": True}),
    ("slow", {"patience": 3, "min_delta": 0.05, "restore_best_weights": True}),
    ("slow", {"patience": 2, "min_delta": 0.05, "restore_best_weights": True}),
    ("slow", {"patience": 4, "baseline": 0.93}),
    ("worsening", {}),
    ("worsening", {"restore_best_weights": True}),
    ("worsening", {"patience": 1, "restore_best_weights": True}),
    ("worsening", {"patience": 3, "restore_best_weights": True}),
    ("equal", {"patience": 2, "restore_best_weights": True}),
    ("nan_later", {"patience": 2, "restore_best_weights": True}),
    ("nan_later", {"patience": 3, "restore_best_weights": True}),
    # A first NaN is the best for Keras; here it never is: tests/training/known_faults.rs.
    ("nan_first", {"patience": 2, "start_from_epoch": 1, "restore_best_weights": True}),
    ("infinite", {"patience": 2, "restore_best_weights": True}),
]:
    early_stopping(series, config)
for series, config in [
    ("falling", {"patience": 2}),
    ("falling", {"patience": 1, "factor": 0.5, "cooldown": 2}),
    ("falling", {"patience": 2, "min_lr": 0.02, "factor": 0.3}),
    ("slow", {"patience": 2, "min_delta": 0.03}),
    ("slow", {"patience": 1, "min_delta": 0.05, "cooldown": 1}),
    ("worsening", {"patience": 1}),
    ("worsening", {"patience": 0, "factor": 0.9}),
    ("equal", {"patience": 2, "factor": 0.0}),
    ("rising", {"patience": 2, "mode": "max", "monitor": "val_accuracy"}),
    ("rising", {"patience": 3, "mode": "min", "cooldown": 3}),
    ("nan_later", {"patience": 2, "factor": 0.5}),
    ("infinite", {"patience": 2, "factor": 0.2, "cooldown": 1}),
    ("falling", {}),
]:
    reduce_on_plateau(series, config)
group.write()
