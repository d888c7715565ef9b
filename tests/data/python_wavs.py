"""Writes *.wav and wavs.safetensors: sounds of every common kind, and what libsndfile and TensorFlow read from them.

python tests/data/python_wavs.py   (soundfile; and for `written.wav` tensorflow, in a second run)
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

here = Path(__file__).parent
t = np.arange(50)
sound = np.stack([0.9 * np.sin(t / 3), np.cos(t / 5) * t / 50, t / 25 - 1], axis=-1)
# Halves between two whole numbers, both ends, and what lies beyond.
written = np.array([0, 0.5, 1.5, -0.5, -1.5, 32766.4, 32767, 32768, 40000, -32768, -50000]) / 32768
file = here / "wavs.safetensors"

try:
    import soundfile

    tensors = {"sound": sound}
    for name, channels, kind in [("pcm8", 1, "PCM_U8"), ("pcm16", 2, "PCM_16"), ("pcm24", 2, "PCM_24"), ("pcm32", 1, "PCM_32"),
                                 ("float", 2, "FLOAT"), ("three", 3, "PCM_16")]:
        path = here / f"{name}.wav"
        soundfile.write(path, sound[:, :channels], 11025, subtype=kind, format="WAVEX" if channels > 2 else "WAV")
        tensors[name] = soundfile.read(path, dtype="float32", always_2d=True)[0]
    save_file(tensors, file)
except ImportError:
    import tensorflow as tf

    content = tf.audio.encode_wav(tf.constant(written[:, None], tf.float32), 8000).numpy()
    (here / "written.wav").write_bytes(content)
    tensors = {name: array for name, array in load_file(file).items()}
    tensors |= {"written": written, "written/read": tf.audio.decode_wav(content)[0].numpy()}
    assert (tf.audio.decode_wav((here / "pcm16.wav").read_bytes())[0].numpy() == tensors["pcm16"]).all()
    save_file(tensors, file)
