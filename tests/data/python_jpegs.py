"""Writes jpeg/*.jpg and jpegs.safetensors: JPEG files of the less common kinds, and the pixels that Pillow reads from them.

python tests/data/python_jpegs.py   (numpy, pillow, simplejpeg, safetensors; cjpeg and jpegtran of libjpeg-turbo in $PATH)

`segment-00e1.jpg` and its fellows came to light with files of users and are kept as they were.
"""

import io
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image
from safetensors.numpy import save_file

here = Path(__file__).parent / "jpeg"
i, j = np.mgrid[:37, :53]
picture = np.stack([127 + 100 * np.sin(i / 7 + j / 11), 40 + 3.5 * j, 128 + 110 * np.cos(i / 9 - j / 17)], -1).clip(0, 255).astype(np.uint8)
buffer = io.BytesIO()
Image.fromarray(picture).save(buffer, "ppm")


def cjpeg(name, *options, scans=None):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            options += ("-scans", script.name)
        command = ["cjpeg", "-quality", "90", *options]
        made = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True)
    (here / name).write_bytes(made.stdout)


three, chroma_first = "0;\n1;\n2;\n", "1;\n2;\n0;\n"
for sampling in ["2x2", "2x1", "1x2", "4x1", "1x1,2x2,1x1", "2x2,2x1,1x2", "1x1,2x1,1x1"]:
    short = sampling.replace(",", "-")
    cjpeg(f"{short}-together.jpg", "-sample", sampling)
    cjpeg(f"{short}-apart.jpg", "-sample", sampling, scans=three)
cjpeg("2x2-chroma-first.jpg", "-sample", "2x2", scans=chroma_first)
cjpeg("2x2-luma-then-both.jpg", "-sample", "2x2", scans="0;\n1 2;\n")
cjpeg("2x2-both-then-luma.jpg", "-sample", "2x2", scans="1 2;\n0;\n")
cjpeg("2x2-progressive.jpg", "-sample", "2x2", "-progressive")
cjpeg("2x2-restarts.jpg", "-sample", "2x2", "-restart", "2B")
cjpeg("rgb-together.jpg", "-rgb")
cjpeg("rgb-progressive.jpg", "-rgb", "-progressive")
inks = np.ascontiguousarray(np.concatenate([255 - picture, picture[..., :1] // 3], -1))
Image.fromarray(inks, "CMYK").save(here / "cmyk-progressive.jpg", quality=92, progressive=True)
(here / "ycck-420.jpg").write_bytes(simplejpeg.encode_jpeg(inks, 92, "CMYK", "420"))
Image.fromarray(picture).convert("L").save(here / "grey-progressive.jpg", quality=90, progressive=True)
cjpeg("arithmetic.jpg", "-arithmetic")
plain = (here / "2x2-together.jpg").read_bytes()
after_app0 = 4 + int.from_bytes(plain[4:6], "big")
for name, between in [("app14-short", b"\xff\xee\x00\x09Adobe\x00\x64"), ("app14-empty", b"\xff\xee\x00\x02"), ("fill-bytes", b"\xff\xff\xff\xff"),
                      ("bytes-between", b"\x00\x12abc\x00")]:
    (here / f"{name}.jpg").write_bytes(plain[:after_app0] + between + plain[after_app0:])

tensors = {}
for path in sorted(here.glob("*.jpg")):
    image = Image.open(path)
    try:
        tensors[f"{path.name}/rgb"] = np.asarray(image.convert("RGB"))
        tensors[f"{path.name}/grey"] = np.asarray(image.convert("RGB").convert("L"))[..., None]
    except OSError as problem:
        print(path.name, problem)
save_file(tensors, Path(__file__).parent / "jpegs.safetensors")
print(len(tensors), sum(t.nbytes for t in tensors.values()))
