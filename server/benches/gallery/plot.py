"""Draws how long one identification takes against the number of templates, from the bench's JSON lines.

Called by `./x plot-gallery` with the file of the lines and the PNG to write. Two threads; where a peer is faster with
one, that counts.
"""

import json
import sys
from collections import defaultdict

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {
    "sealed/3": "OpenPalm, encrypted",
    "int8": "int8 scan, in the clear",
    "faiss-flat-ip": "faiss IndexFlatIP",
    "faiss-sq8": "faiss 8-bit scalar quantiser",
    "faiss-binary": "faiss IndexBinaryFlat, 2048 bits",
    "usearch-exact": "usearch exact, 2048 bits",
}


def main():
    lines, picture = sys.argv[1:]
    curves = defaultdict(lambda: defaultdict(lambda: float("inf")))
    with open(lines, encoding="utf-8") as source:
        for line in map(json.loads, source):
            if line["metric"] == "identify_p50" and line["bench"] in NAMES:
                of_bench = curves[line["bench"]]
                of_bench[line["n"]] = min(of_bench[line["n"]], line["value"])
    if not curves:
        raise SystemExit(f"{lines}: no line of identify_p50: run ./x bench-gallery first")
    figure, axes = plt.subplots(figsize=(7, 4.5), dpi=110)
    for bench, name in NAMES.items():
        if bench in curves:
            points = sorted(curves[bench].items())
            is_ours = bench.startswith("sealed")
            axes.plot(*zip(*points), marker="o", label=name, linewidth=3 if is_ours else 1.2, markersize=5)
    axes.set(xscale="log", yscale="log", xlabel="templates", ylabel="one identification, median, ms")
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture)


main()
