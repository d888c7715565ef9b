"""The network of `examples/gan_mnist.rs` in PyTorch, trained as there; writes 2,000 samples for the example to judge.

    python gan_peer.py --epochs 5 --seed 0 --output target/pictures/gan_mnist/peer.safetensors

needs torch, numpy and safetensors, and is run in the repository's folder.
"""

import argparse
import gzip
import time

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

options = argparse.ArgumentParser()
options.add_argument("--epochs", type=int, default=5)
options.add_argument("--seed", type=int, default=0)
options.add_argument("--threads", type=int, default=2)
options.add_argument("--output", default="target/pictures/gan_mnist/peer.safetensors")
options = options.parse_args()
torch.manual_seed(options.seed)
torch.set_num_threads(options.threads)

raw = gzip.decompress(open("data/mnist/train-images-idx3-ubyte.gz", "rb").read())
images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)
images = torch.tensor(images, dtype=torch.float32) / 127.5 - 1

generator = nn.Sequential(
    nn.Linear(100, 3136), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
    nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh())
discriminator = nn.Sequential(
    nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
    nn.Linear(3136, 1))
of_generator = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))
of_discriminator = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999))

start = time.perf_counter()
for epoch in range(options.epochs):
    for rows in torch.randperm(len(images)).split(64):
        one, zero = torch.ones(len(rows), 1), torch.zeros(len(rows), 1)
        made = generator(torch.randn(len(rows), 100)).detach()
        of_discriminator.zero_grad()
        loss = F.binary_cross_entropy_with_logits
        (loss(discriminator(images[rows]), one) + loss(discriminator(made), zero)).backward()
        of_discriminator.step()
        of_generator.zero_grad()
        loss(discriminator(generator(torch.randn(len(rows), 100))), one).backward()
        of_generator.step()
    print(f"epoch {epoch + 1}: {time.perf_counter() - start:.0f} s", flush=True)

generator.eval()
with torch.no_grad():
    samples = generator(torch.randn(2000, 100)).permute(0, 2, 3, 1).contiguous().numpy()
save_file({"samples": samples}, options.output)
