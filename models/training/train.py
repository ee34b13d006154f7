"""Trains the network on synthetic palms. It goes on where it stopped; see README.md."""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from network import DIMENSIONS, Network
from render import Renderer

BATCH = 128
RATE, WARM_UP = 0.1, 200  # of stochastic gradient descent; steps
COOL = 0.3  # the share of the steps, at the end, in which the rate falls
SCALE, MARGIN, MARGIN_WARM_UP = 32.0, 0.4, 600  # of ArcFace (Deng et al., CVPR 2019); steps
SAVE_EVERY_S, TELL_EVERY = 300, 100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="has train.npy and held_out.npy of palm-synth; state and log go there")
    parser.add_argument("--steps", type=int, default=20_000, help="of 128 samples, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begin-with", type=Path, help="state of another run, whose network this one starts from")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def rate(step, steps):
    """Warm up, stay, fall by half a cosine (Hu et al., MiniCPM, 2024): the length of the run can be chosen late."""
    fallen = max(0.0, step - cooling(steps)) / (COOL * steps)
    return RATE * min((step + 1) / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * fallen))


def cooling(steps):
    """The step at which the rate begins to fall."""
    return round((1 - COOL) * steps)


def arcface(embedded, centres, labels, step):
    """Cross-entropy of angles, the right one widened by the margin."""
    cosine = (F.normalize(embedded) @ F.normalize(centres).T).clamp(-1 + 1e-6, 1 - 1e-6)
    rows = torch.arange(len(labels))
    margin = MARGIN * min(step / MARGIN_WARM_UP, 1.0)
    wide = torch.cos(torch.acos(cosine[rows, labels]) + margin)
    logits = cosine.clone()
    logits[rows, labels] = wide
    return F.cross_entropy(SCALE * logits, labels)


@torch.no_grad()
def held_out(network, skins, samples=4):
    """Equal error rate and TAR at FAR 1e-4 over hands that were not trained on, all pairs."""
    network.eval()
    draw = Renderer(seed=0)
    rounds = [
        torch.cat([network(draw(layers(skins[at : at + BATCH]))) for at in range(0, len(skins), BATCH)])
        for _ in range(samples)
    ]
    network.train()
    codes = F.normalize(torch.cat(rounds))
    owners = torch.arange(len(skins)).repeat(samples)
    rows, columns = torch.triu_indices(len(codes), len(codes), 1)
    similarity = (codes @ codes.T)[rows, columns]
    mated = owners[rows] == owners[columns]
    genuine, impostor = similarity[mated], similarity[~mated].sort(descending=True).values
    accepted = torch.searchsorted(genuine.sort().values, impostor, right=False)
    misses = accepted / len(genuine)
    false = torch.arange(1, len(impostor) + 1) / len(impostor)
    crossing = int((misses - false).abs().argmin())
    return {"eer": float(false[crossing]), "tar_1e-4": 1 - float(misses[int(1e-4 * len(impostor))])}


def layers(part):
    return torch.from_numpy(np.ascontiguousarray(part))


def main():
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    skins = np.load(chosen.folder / "train.npy", mmap_mode="r")
    held = np.load(chosen.folder / "held_out.npy")
    network = Network().to(memory_format=torch.channels_last)
    centres = torch.nn.Parameter(torch.randn(len(skins), DIMENSIONS) * 0.01)
    optimiser = torch.optim.SGD(
        [*network.parameters(), centres], lr=RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    state, step = chosen.folder / f"state-{chosen.seed}.pt", 0
    if state.exists():
        kept = torch.load(state)
        network.load_state_dict(kept["network"])
        centres.data.copy_(kept["centres"])
        optimiser.load_state_dict(kept["optimiser"])
        step = kept["step"]
    elif chosen.begin_with:
        network.load_state_dict(torch.load(chosen.begin_with)["network"])

    def save(path):
        kept = {"network": network.state_dict(), "centres": centres.data, "step": step}
        new = path.with_suffix(".new")
        torch.save({**kept, "optimiser": optimiser.state_dict()}, new)
        new.replace(path)

    log = open(chosen.folder / f"log-{chosen.seed}.jsonl", "a")

    def tell(**line):
        print(json.dumps({"step": step, **line}), flush=True)
        print(json.dumps({"step": step, **line}), file=log, flush=True)

    # A stopped run goes on with other samples than it would have had; both are random.
    draw, pick = Renderer(chosen.seed + 1_000 * step + 1), np.random.default_rng([chosen.seed, step])
    saved, losses, begin = time.monotonic(), [], time.monotonic()
    while step < chosen.steps:
        for group in optimiser.param_groups:
            group["lr"] = rate(step, chosen.steps)
        labels = pick.integers(len(skins), size=BATCH)
        samples = draw(layers(skins[labels])).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            embedded = network(samples)
        loss = arcface(embedded.float(), centres, torch.from_numpy(labels), step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        step += 1
        if step % TELL_EVERY == 0:
            each = (time.monotonic() - begin) / (TELL_EVERY * BATCH)
            tell(loss=round(float(np.mean(losses)), 4), ms_per_sample=round(1e3 * each, 2))
            losses, begin = [], time.monotonic()
        if step == cooling(chosen.steps):
            save(chosen.folder / f"warm-{chosen.seed}.pt")
        if time.monotonic() - saved > SAVE_EVERY_S or step == chosen.steps:
            save(state)
            tell(**held_out(network, held))
            saved = begin = time.monotonic()


if __name__ == "__main__":
    main()
