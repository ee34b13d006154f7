"""Writes a trained network as models/src/network/weights.rs reads it, and samples of what it must answer.

The batch normalisations are folded into the convolutions, then weights are rounded to bfloat16: the file is the model,
and the answers are those of the rounded network.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from network import Network
from render import SIDE, Renderer

MAGIC = b"OPNET\x00\x00\x01"
SAMPLES = 4
WIDE = 32


def rounded(tensor):
    return tensor.to(torch.bfloat16).float()


def scale_and_shift(norm):
    """What a batch normalisation multiplies by, and what it adds."""
    scale = (norm.running_var + norm.eps).rsqrt() * (norm.weight if norm.affine else 1)
    return scale, (norm.bias if norm.affine else 0) - norm.running_mean * scale


def folded(sequence):
    """Weights (outputs, inputs, height, width) and biases of a convolution with its normalisation in it. Channels that
    are missing to a multiple of 32, as registers want them, are zero."""
    scale, shift = scale_and_shift(sequence[1])
    weights = rounded(sequence[0].weight * scale[:, None, None, None])
    outputs, inputs = -len(shift) % WIDE, -weights.shape[1] % WIDE if weights.shape[1] > 1 else 0
    return F.pad(weights, (0, 0, 0, 0, 0, inputs, 0, outputs)), F.pad(shift, (0, outputs))


class Folded:
    """The network without normalisations."""

    def __init__(self, network):
        self.stem = folded(network.stem)
        self.stages = [
            (folded(stage[0][0]), [(folded(block.first), folded(block.second)) for block in stage[1:]])
            for stage in network.stages
        ]
        self.pool = rounded(network.pool)
        before, before_shift = scale_and_shift(network.pooled)
        after, after_shift = scale_and_shift(network.centre)
        self.embed = rounded(after[:, None] * network.embed.weight * before)
        self.bias = after * (network.embed.weight @ before_shift) + after_shift

    def __call__(self, x):
        x = F.conv2d(x, *self.stem, stride=2, padding=2).relu()
        for down, blocks in self.stages:
            x = F.conv2d(x, *down, stride=2, padding=1).relu()
            for first, second in blocks:
                x = (x + F.conv2d(F.conv2d(x, *first, padding=1).relu(), *second, padding=1)).relu()
        x = torch.einsum("bcp,cpk->bck", x.flatten(2), self.pool).flatten(1)
        return F.linear(x, self.embed, self.bias)

    def parts(self):
        """Biases and weights in the order of the file, inputs before outputs."""
        convolutions = [self.stem]
        for down, blocks in self.stages:
            convolutions += [down, *(each for block in blocks for each in block)]
        for weights, bias in convolutions:
            yield bias, weights.permute(2, 3, 1, 0)
        yield torch.zeros(0), self.pool
        yield self.bias, self.embed.T


def bfloat16(tensor):
    return (tensor.detach().contiguous().numpy().view(np.uint32) >> 16).astype("<u2").tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path, help="of train.py")
    parser.add_argument("held_out", type=Path, help="layers of palm-synth: samples are drawn from them")
    parser.add_argument("folder", type=Path, help="models/weights")
    chosen = parser.parse_args()
    network = Network()
    network.load_state_dict(torch.load(chosen.state)["network"])
    network.eval()
    with torch.no_grad():
        model = Folded(network)
        with open(chosen.folder / "palm.opnet", "wb") as out:
            out.write(MAGIC)
            for bias, weights in model.parts():
                out.write(bias.detach().numpy().astype("<f4").tobytes())
                out.write(bfloat16(weights))
        draw = Renderer(seed=0)
        skins = torch.from_numpy(np.load(chosen.held_out, mmap_mode="r")[:SAMPLES].copy())
        grey = draw.grey(skins.float())[0]
        grey = grey.clamp(0, 255).round()
        answers = model(draw.normalised(grey).unsqueeze(1))
        close = F.cosine_similarity(answers, network(draw.normalised(grey).unsqueeze(1)))
        print(f"rounding leaves a cosine of {close.min():.6f}")
        with open(chosen.folder / "samples.bin", "wb") as out:
            for image, answer in zip(grey, answers):
                out.write(image.numpy().astype("u1").tobytes())
                out.write(answer.numpy().astype("<f4").tobytes())
    assert grey.shape[1:] == (SIDE, SIDE)


if __name__ == "__main__":
    main()
