"""Reference cases of mel filters, decibels and cepstra, from librosa."""

import librosa
import numpy as np

from common import Group, distinct, label, rng

group = Group("audio_librosa", "librosa", {"librosa": librosa.__version__, "numpy": np.__version__}, 1e-12, 1e-5)
BASE = {"sr": 8000, "n_fft": 128}
for config in ({}, {"n_mels": 26}, {"n_mels": 26, "htk": True}, {"n_mels": 26, "norm": None},
               {"n_mels": 26, "norm": None, "htk": True}, {"n_mels": 13, "fmin": 300.0, "fmax": 3000.0},
               {"n_mels": 13, "fmin": 300.0, "fmax": 3000.0, "htk": True}, {"n_mels": 20, "n_fft": 127},
               {"sr": 22050, "n_fft": 512, "n_mels": 40}):
    config = BASE | config
    id = f"mel_filterbank__{label(config)}"
    group.add(id, "preprocess:mel_filterbank", config, {"output": librosa.filters.mel(**config, dtype=np.float64)})
config = BASE | {"n_mels": 10}
group.add("mel_filterbank__single__f32", "preprocess:mel_filterbank", config, {"output": librosa.filters.mel(**config)})

power = distinct(rng("power_to_db"), (6, 9)) ** 2
power[2, 3], power[4, 5] = 0, 1e-7
for config in ({}, {"top_db": 20.0}, {"ref": 0.3}, {"amin": 0.01}, {"top_db": None}):
    group.add(f"power_to_db__{label(config)}", "preprocess:power_to_db", config,
              {"input": power, "output": librosa.power_to_db(power, **config)})

for config, shape in [({}, (30, 7)), ({"n_mfcc": 13}, (2, 26, 5)), ({"n_mfcc": 13, "lifter": 22}, (26, 5)),
                      ({"n_mfcc": 5, "dct_type": 3}, (26, 5)), ({"n_mfcc": 5, "norm": None}, (26, 5)),
                      ({"n_mfcc": 5, "dct_type": 1, "norm": None}, (12, 5))]:
    id = f"mfcc__{label(config)}_{'x'.join(map(str, shape))}"
    x = distinct(rng(id), shape) * 20
    group.add(id, "preprocess:mfcc", config, {"input": x, "output": librosa.feature.mfcc(S=x, **config)})
group.write()
