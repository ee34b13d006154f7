"""Samples of synthetic palms, drawn in batches from the layers of skin that palm-synth wrote.

A sample is what models/src/region.rs hands to the network: 128 x 128, fingers up, thumb to the right, less its local
mean, over its local standard deviation. Coordinates are half sides of the palm square, x to the right, y downwards.
"""

import math

import torch
import torch.nn.functional as F

SIDE = 128
REACH = 1.4  # of the layers, as palm-synth --reach
NORMALISE_SIGMA = 12.0  # as NORMALISE_SIGMA and NORMALISE_FLOOR in models/src/params.rs
NORMALISE_FLOOR = 0.01
LIMIT = 3.0  # of a normalised value
TOGETHER = 16  # samples
NOISE = math.log(0.0015), math.log(0.02)  # of full scale
# Anatomy: pads below the fingers and the valleys between them, the balls of thumb and little finger, what lies between.
# Middle (x, y), width along x and y, height.
PADS = [
    (-0.75, -0.75, 0.14, 0.22, 1.0),
    (-0.27, -0.80, 0.14, 0.20, 1.0),
    (0.22, -0.78, 0.14, 0.20, 1.0),
    (0.70, -0.70, 0.14, 0.22, 1.0),
    (-0.51, -0.85, 0.06, 0.25, -0.8),
    (-0.02, -0.85, 0.06, 0.25, -0.8),
    (0.46, -0.82, 0.06, 0.25, -0.8),
    (0.50, 0.45, 0.30, 0.45, 1.0),
    (-0.35, 0.50, 0.30, 0.45, 0.8),
    (0.08, 0.75, 0.12, 0.40, -0.8),
    (0.00, -0.10, 0.50, 0.20, -0.6),
    (-0.90, 0.30, 0.20, 0.60, -0.5),
]
QUANTISER = [  # of luminance: ITU-T T.81, table K.1
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]


def gaussian(side, sigma):
    """The matrix that smooths a column of `side` values, mirrored beyond its ends."""
    reach = int(4 * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    matrix = torch.zeros(side, side)
    for row in range(side):
        at = row + offsets
        at = torch.where(at < 0, -1 - at, at)
        at = torch.where(at >= side, 2 * side - 1 - at, at)
        matrix[row].index_add_(0, at, weights)
    return matrix


def lattice(nodes, side=SIDE):
    """The matrix that interpolates `nodes` evenly spaced values smoothly to `side` places."""
    place = torch.linspace(0, nodes - 1, side).clamp(max=nodes - 1 - 1e-4)
    left = place.long()
    share = place - left
    share = share * share * (3 - 2 * share)
    matrix = torch.zeros(side, nodes)
    rows = torch.arange(side)
    matrix[rows, left] = 1 - share
    matrix[rows, left + 1] = share
    return matrix


def cosine_transform(side=SIDE, block=8):
    """The matrix that takes a column to the cosine transforms of its blocks."""
    place, wave = torch.arange(block), torch.arange(block)[:, None]
    one = torch.cos(math.pi * (2 * place + 1) * wave / (2 * block)) * math.sqrt(2 / block)
    one[0] /= math.sqrt(2)
    return torch.block_diag(*[one] * (side // block))


class Renderer:
    """Draws samples; `strength` scales the geometric variation (1 in training)."""

    def __init__(self, seed, strength=1.0):
        self.random = torch.Generator().manual_seed(seed)
        self.strength = strength
        self.smooth = gaussian(SIDE, NORMALISE_SIGMA)
        self.blurs = torch.stack([gaussian(SIDE, s) for s in (0.3, 0.6, 0.9, 1.2, 1.6)])
        self.lattices = {n: lattice(n) for n in (3, 4, 6, 8, 16, 32)}
        self.cosines = cosine_transform()
        self.quantiser = torch.tensor(QUANTISER, dtype=torch.float32).repeat(SIDE // 8, SIDE // 8)
        axis = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")
        self.pads = torch.tensor(PADS)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.random)

    def within(self, low, high, batch):
        return low + (high - low) * torch.rand(batch, 1, 1, generator=self.random)

    def chance(self, probability, batch):
        return (torch.rand(batch, 1, 1, generator=self.random) < probability).float()

    def field(self, nodes, batch):
        """Smooth noise of standard deviation about 1."""
        matrix = self.lattices[nodes]
        return matrix @ self.normal(batch, nodes, nodes) @ matrix.T

    def places(self, batch):
        """Where each pixel of each sample looks: the region is never cut quite the same way twice."""
        s = self.strength
        px, py = self.within(-0.15 * s, 0.15 * s, batch), self.within(-0.15 * s, 0.15 * s, batch)
        scale = 1 + s * (self.within(0.84, 1.10, batch) - 1)
        stretch = 1 + self.within(-0.10 * s, 0.10 * s, batch)
        depth = 1 / (1 + px * self.x + py * self.y)
        x, y = self.x * depth * scale * stretch, self.y * depth * scale / stretch
        turn = 0.10 * s * self.normal(batch, 1, 1)
        sin, cos = turn.sin(), turn.cos()
        x, y = (
            x * cos - y * sin + self.within(-0.11 * s, 0.11 * s, batch),
            x * sin + y * cos + self.within(-0.11 * s, 0.11 * s, batch),
        )
        x, y = x + s * self.flow(batch), y + s * self.flow(batch)
        return torch.stack([x, y], -1) / REACH

    def flow(self, batch):
        """A hand that cups or folds its thumb moves the skin over its bones, in the large more than in the small."""
        large = self.within(0.0, 0.05, batch) * self.field(3, batch)
        return large + 0.03 * self.field(4, batch) + 0.010 * self.field(8, batch)

    def skin(self, layers):
        """Reflectance of the skin: near infrared shows veins, visible light does not."""
        batch = len(layers)
        seen = F.grid_sample(layers, self.places(batch), padding_mode="border", align_corners=False)
        crease, fine, vein, tone = (seen / 255).unbind(1)
        shown = (0.65 + 1.2 * (self.field(6, batch) + 0.92)).clamp(0.25, 1.0)
        lines = self.within(0.10, 0.42, batch) * crease + self.within(0.03, 0.28, batch) * fine
        relief = self.chance(0.6, batch) * self.within(0.0, 1.5, batch) * self.slope(lines)
        infrared = self.chance(0.6, batch)
        veins = infrared * self.within(0.02, 0.24, batch) * vein
        # A tone of the hand, and one of the sample: dirt, pressure, warmth.
        tones = self.within(0.05, 0.28, batch) * (tone - 0.5)
        tones = tones + self.within(0.0, 0.03, batch) * self.field(16, batch)
        return (1 - shown * (lines + relief) - veins + tones).clamp(min=0.05)

    def slope(self, depth):
        """Lines are folds: light from one side brightens one flank and darkens the other."""
        angle = self.within(0, 6.2832, len(depth))
        across = F.pad(depth[:, :, 2:] - depth[:, :, :-2], (1, 1))
        down = F.pad(depth[:, 2:] - depth[:, :-2], (0, 0, 1, 1))
        return across * angle.cos() + down * angle.sin()

    def pad_light(self, batch):
        """How the light falls on the pads of the palm: everybody has them, so that they tell nobody apart."""
        axis = torch.linspace(-1, 1, 32)
        pads = self.pads.expand(batch, *self.pads.shape)
        middle = pads[..., :2] + 0.07 * self.normal(*pads.shape[:2], 2)
        width = pads[..., 2:4] * (0.25 * self.normal(*pads.shape[:2], 2)).exp()
        across, down = ((axis - middle[..., None]) / width[..., None]).square().mul(-0.5).exp().unbind(2)
        height = pads[..., 4] * self.within(-0.5, 1.0, batch)[..., 0] + 0.4 * self.normal(*pads.shape[:2])
        light = torch.einsum("bk,bky,bkx->byx", height, down, across)
        strength = self.chance(0.85, batch) * self.within(0.0, 0.35, batch)
        fine = self.lattices[32]
        return (1 + strength * (fine @ light @ fine.T)).clamp(0.3, 1.7) * self.edge_light(batch)

    def edge_light(self, batch):
        """The palm curves away towards its edges, and regions end there."""
        light = 1
        for beyond in (1 - self.x, 1 + self.x, 1 - self.y, 1 + self.y):
            depth = self.chance(0.4, batch) * self.within(0.0, 0.5, batch)
            light = light * (1 - depth * (-beyond / self.within(0.03, 0.2, batch)).exp())
        return light

    def __call__(self, layers):
        """(batch, 4, S, S) layers of 0 to 255 give (batch, 1, 128, 128) normalised samples."""
        # A few at a time stay in the processor's cache.
        return torch.cat([self.drawn(part.float()) for part in layers.split(TOGETHER)])

    def drawn(self, layers):
        value, covered = self.grey(layers)
        return (self.normalised(value) * (1 - covered)).unsqueeze(1)

    def grey(self, layers):
        """What the camera gives, 0 to 255, and where it shows no skin."""
        batch = len(layers)
        value = self.skin(layers)
        px, py = self.within(-0.35, 0.35, batch), self.within(-0.35, 0.35, batch)
        light = 1 + px * self.x + py * self.y
        light = light - self.within(-0.2, 0.2, batch) * 0.5 * (self.x**2 + self.y**2)
        light = light.clamp(min=0.1) * (1 + 0.08 * self.field(3, batch)) * self.pad_light(batch)
        value = (0.55 * value * light).clamp(0, 1) ** self.within(0.7, 1.4, batch)
        value, covered = self.covered(value)
        which = torch.randint(len(self.blurs), (batch,), generator=self.random)
        blur = self.blurs[which]
        value = blur @ value @ blur.transpose(1, 2)
        grain = self.within(*NOISE, batch).exp() * self.normal(batch, SIDE, SIDE)
        value = value + self.smooth_grain(grain)
        # Some cameras sharpen.
        soft = self.blurs[3] @ value @ self.blurs[3].T
        value = value + self.chance(0.3, batch) * self.within(0.0, 1.5, batch) * (value - soft)
        value = (255 * value).clamp(0, 255).round()
        if torch.rand((), generator=self.random) < 0.25:
            value = self.compressed(value)
        return value, covered

    def smooth_grain(self, grain):
        """Half of the sensors have been sharpened or compressed: their noise is not white."""
        batch = len(grain)
        soft = self.blurs[1] @ grain @ self.blurs[1].T
        share = self.chance(0.5, batch)
        return grain * (1 - share) + 1.6 * share * soft

    def compressed(self, value):
        """Through a JPEG of quality 45 to 90."""
        step = self.within(0.2, 1.1, len(value)) * self.quantiser
        spectrum = (self.cosines @ (value - 128) @ self.cosines.T / step).round() * step
        return (self.cosines.T @ spectrum @ self.cosines + 128).clamp(0, 255).round()

    def covered(self, value):
        """Some samples have a plaster or a sleeve over them, or lack a corner of skin, which the mask then tells."""
        batch = len(value)
        angle = self.within(0, 6.2832, batch)
        across = self.x * angle.cos() + self.y * angle.sin()
        along = self.y * angle.cos() - self.x * angle.sin()
        middle, end = self.within(-0.7, 0.7, batch), self.within(-0.7, 0.7, batch)
        thing = ((across - middle).abs() < self.within(0.05, 0.18, batch)) & ((along - end).abs() < 0.5)
        thing = thing.float() * self.chance(0.08, batch)
        value = value * (1 - thing) + thing * self.within(0.1, 0.9, batch)
        lacking = (across > self.within(0.75, 1.2, batch)).float() * self.chance(0.12, batch)
        return value * (1 - lacking) + 0.02 * lacking, lacking

    def normalised(self, value):
        mean = self.smooth @ value @ self.smooth.T
        detail = value - mean
        variance = self.smooth @ (detail * detail) @ self.smooth.T
        floor = NORMALISE_FLOOR * value.mean((1, 2), keepdim=True) + 1e-7
        return (detail / (variance.clamp(min=0).sqrt() + floor)).clamp(-LIMIT, LIMIT)
