"""Writes wav/*.wav and wav_kinds.safetensors: sounds of the less common kinds, and what others read from them.

python tests/data/python_wav_kinds.py   (numpy, soundfile, scipy, safetensors)

Files that soundfile can write are written by it; the rest is put together by hand. The values are soundfile's, and scipy's
where it reads the kind too (both are held against each other). `odd_list_before.wav` and its fellows came to light with
files of users and are kept as they were.
"""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import soundfile
from safetensors.numpy import save_file
from scipy.io import wavfile

here = Path(__file__).parent / "wav"
t = np.arange(40)
sound = np.stack([0.9 * np.sin(t / 3), np.cos(t / 5) * t / 50], axis=-1)
whole = np.array([0, 1000, -1000, 32767, -32768, 5], "<i2")


def chunk(name, content, size=None, order="<", pad=True):
    size = len(content) if size is None else size
    return name + struct.pack(order + "I", size) + content + (b"\0" if pad and len(content) % 2 else b"")


def fmt(kind, channels, bits, width=None, rate=8000, byte_rate=None, order="<"):
    frame = channels * (width or bits // 8)
    return chunk(b"fmt ", struct.pack(order + "HHIIHH", kind, channels, rate, rate * frame if byte_rate is None else byte_rate,
                                      frame, bits), order=order)


def extensible(kind, channels, width, valid, rate=8000, order="<"):
    frame = channels * width
    content = struct.pack(order + "HHIIHHHHI", 0xFFFE, channels, rate, rate * frame, frame, 8 * width, 22, valid, 0)
    content += struct.pack(order + "IHH", kind, 0, 16) + bytes.fromhex("800000aa00389b71")
    return chunk(b"fmt ", content, order=order)


def riff(*chunks, name=b"RIFF", size=None, order="<"):
    content = b"WAVE" + b"".join(chunks)
    return name + struct.pack(order + "I", len(content) if size is None else size) + content


def packed(values, width, order="<"):
    """Whole numbers of `width` bytes."""
    return b"".join(int(v).to_bytes(width, "little" if order == "<" else "big", signed=True) for v in values)


data = chunk(b"data", whole.tobytes())
by_hand = {
    # Fewer bits than their places, left-aligned, with a plain header and with an extensible one.
    "12in16": riff(fmt(1, 1, 12, 2), chunk(b"data", packed([0, 16, -16, 32752, -32768], 2))),
    "12in16ext": riff(extensible(1, 1, 2, 12), chunk(b"data", packed([0, 16, -16, 32752, -32768], 2))),
    "20in24ext": riff(extensible(1, 2, 3, 20), chunk(b"data", packed([0, 16, -16, 2**23 - 16, -2**23, 2**22], 3))),
    "24in32": riff(extensible(1, 1, 4, 24), chunk(b"data", packed([0, 2**28, -2**30, 2**31 - 256, -2**31], 4))),
    "float_ext": riff(extensible(3, 1, 8, 64), chunk(b"data", np.array([0, 0.5, -0.25, 1.5], "<f8").tobytes())),
    "rifx24": riff(fmt(1, 1, 24, order=">"), chunk(b"data", packed([0, 2**20, -2**23], 3, ">"), order=">"), name=b"RIFX", order=">"),
    "rifx_float": riff(fmt(3, 1, 32, order=">"), chunk(b"data", np.array([0.5, -2], ">f4").tobytes(), order=">"), name=b"RIFX", order=">"),
    "byte_rate_none": riff(fmt(1, 1, 16, byte_rate=0), data),
    "odd_after": riff(fmt(1, 1, 24), chunk(b"data", packed([1 << 20, 2 << 20, 3 << 20], 3)), chunk(b"LIST", b"INFOISFT\5\0\0\0Lavf\0", pad=True)),
    "odd_data_no_pad": riff(fmt(1, 1, 8), chunk(b"data", bytes([128, 0, 255]), pad=False)),
    "junk_first": riff(chunk(b"JUNK", bytes(27)), chunk(b"bext", bytes(602)), fmt(1, 1, 16), chunk(b"fact", struct.pack("<I", 6)), data),
    "pipe_zero": riff(fmt(1, 1, 16), chunk(b"data", whole.tobytes(), size=0), size=0),
    "pipe_zero_header": riff(fmt(1, 1, 16), chunk(b"data", whole.tobytes(), size=0), size=36),
    "pipe_sox24": riff(fmt(1, 1, 24), chunk(b"data", packed([1 << 20, -(2 << 20)], 3) + b"\7", size=0x7FFFF000 // 3 * 3), size=0x7FFFF024),
    "pipe_arecord": riff(fmt(1, 1, 16), chunk(b"data", whole.tobytes(), size=0x80000000), size=0x80000024),
    "rf64_pipe": riff(chunk(b"ds64", bytes(28)), fmt(1, 1, 16), chunk(b"data", whole.tobytes(), size=0xFFFFFFFF), name=b"RF64", size=0xFFFFFFFF),
}
for name, content in by_hand.items():
    (here / f"{name}.wav").write_bytes(content)
for name, kind, channels, form in [("alaw", "ALAW", 1, "WAV"), ("ulaw", "ULAW", 2, "WAV"), ("ulaw_ext", "ULAW", 1, "WAVEX"),
                                   ("double", "DOUBLE", 2, "WAV"), ("rf64_24", "PCM_24", 2, "RF64")]:
    soundfile.write(here / f"{name}.wav", sound[:, :channels], 11025, subtype=kind, format=form)
for name, kind in [("alaw_all", "ALAW"), ("ulaw_all", "ULAW")]:
    code = 6 if kind == "ALAW" else 7
    (here / f"{name}.wav").write_bytes(riff(fmt(code, 1, 8), chunk(b"data", bytes(range(256)))))

tensors = {}
for path in sorted(here.glob("*.wav")):
    # Bytes of padding that pipes leave behind are cut off by hand: soundfile counts whole frames.
    values = soundfile.read(path, dtype="float64", always_2d=True)[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rate, other = wavfile.read(io.BytesIO(path.read_bytes()))
        scale = {"u": 128, "i": 2.0 ** (8 * other.itemsize - 1), "f": 1}[other.dtype.kind]
        other = (other - (128.0 if other.dtype.kind == "u" else 0)) / scale
        agree = other.reshape(len(other), -1).shape == values.shape and np.allclose(other.reshape(values.shape), values, atol=1e-12)
        print(f"{path.name}: {values.shape}, scipy {'agrees' if agree else 'DIFFERS'}")
    except Exception as problem:
        print(f"{path.name}: {values.shape}, scipy refuses: {problem}")
    if path.stem in ("pipe_zero", "pipe_zero_header", "rf64_pipe"):
        # soundfile believes the 0 of a pipe. What was written is what is there.
        assert len(values) == 0
        values = whole[:, None] / 2.0**15
    tensors[path.stem] = values.astype(np.float32)
save_file(tensors, Path(__file__).parent / "wav_kinds.safetensors")
