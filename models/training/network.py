"""The network: a normalised palm region to 512 numbers."""

import torch
from torch import nn

DIMENSIONS = 512
STEM, WIDTHS, BLOCKS = 24, (32, 64, 128), (2, 2, 2)
POOLS = DIMENSIONS // WIDTHS[-1]


def convolution(inputs, outputs, side, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """Two 3 x 3 convolutions and what went in (He et al., CVPR 2016)."""

    def __init__(self, width):
        super().__init__()
        self.first = convolution(width, width, 3, 1)
        self.second = convolution(width, width, 3, 1)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Network(nn.Module):
    """(batch, 1, 128, 128) to (batch, 512), not normalised. Each channel of the last map, 8 x 8, is pooled with four
    masks of its own (Chen et al., MobileFaceNets, 2018, has one), so that place on the palm counts."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(1, STEM, 5, 2)
        stages, inputs = [], STEM
        for width, blocks in zip(WIDTHS, BLOCKS):
            down = nn.Sequential(convolution(inputs, width, 3, 2), nn.ReLU())
            stages.append(nn.Sequential(down, *[Block(width) for _ in range(blocks)]))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.pool = nn.Parameter(torch.randn(inputs, 64, POOLS) / 8)
        self.pooled = nn.BatchNorm1d(DIMENSIONS)
        self.embed = nn.Linear(DIMENSIONS, DIMENSIONS, bias=False)
        self.centre = nn.BatchNorm1d(DIMENSIONS, affine=False)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        x = torch.einsum("bcp,cpk->bck", x.flatten(2), self.pool).flatten(1)
        return self.centre(self.embed(self.pooled(x)))
