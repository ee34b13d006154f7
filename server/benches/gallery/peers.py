"""Peers of the sealed gallery: they search the same templates in the clear. Called by the bench with a folder.

| bench | what |
|---|---|
| faiss-flat-ip | IndexFlatIP, 512 floats |
| faiss-sq8 | IndexScalarQuantizer, 8 bits |
| faiss-binary | IndexBinaryFlat, 2048 bits: each coordinate against four thresholds |
| usearch-exact | usearch.index.search(exact=True), the same 2048 bits |

Prints the bench's JSON lines. Everybody who is looked for must come first.
"""

import json
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from usearch.index import MetricKind, search

DIMENSIONS = 512
THRESHOLDS = (-30, 0, 1, 30)
SECONDS = 12  # a peer gets at most that long for a number of threads


def tell(bench, n, threads, metric, value, unit):
    line = {"bench": bench, "n": n, "threads": threads, "metric": metric, "value": round(value, 4), "unit": unit}
    print(json.dumps(line, separators=(",", ":")), flush=True)


def measure(bench, n, threads, owners, find):
    """`find(k)` searches with probe k and gives the best person."""
    times = []
    begin = time.perf_counter()
    find(0)
    for k, owner in enumerate(owners):
        before = time.perf_counter()
        found = find(k)
        times.append((time.perf_counter() - before) * 1e3)
        if found != owner:
            raise SystemExit(f"{bench}: person {owner} was not found first but {found}")
        if time.perf_counter() - begin > SECONDS:
            break
    times.sort()
    for name, part in (("min", 0.0), ("p50", 0.5), ("p99", 0.99)):
        at = max(int(np.ceil(len(times) * part)), 1) - 1
        tell(bench, n, threads, f"identify_{name}", times[at], "ms")


def bits(embeddings):
    """2048 bits of each embedding, packed."""
    planes = [np.packbits(embeddings > threshold, axis=1) for threshold in THRESHOLDS]
    return np.ascontiguousarray(np.concatenate(planes, axis=1))


def main():
    folder = Path(sys.argv[1])
    enrolled = np.fromfile(folder / "enrolled.i8", "i1").reshape(-1, DIMENSIONS)
    probes = np.fromfile(folder / "probes.i8", "i1").reshape(-1, DIMENSIONS)
    owners = np.fromfile(folder / "owners.u64", "<u8").astype(int)
    n = len(enrolled)

    flat, quantised = faiss.IndexFlatIP(DIMENSIONS), faiss.IndexScalarQuantizer(
        DIMENSIONS, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    quantised.train(enrolled[:20_000].astype("f4"))
    for start in range(0, n, 50_000):
        part = enrolled[start : start + 50_000].astype("f4")
        flat.add(part)
        quantised.add(part)
    floats = probes.astype("f4")
    for bench, index in (("faiss-flat-ip", flat), ("faiss-sq8", quantised)):
        for threads in (1, 2):
            faiss.omp_set_num_threads(threads)
            measure(bench, n, threads, owners, lambda k: int(index.search(floats[k : k + 1], 1)[1][0, 0]))
        tell(bench, n, 2, "bytes", 4.0 * DIMENSIONS if index is flat else 1.0 * DIMENSIONS, "B/template")
    del flat, quantised, index

    stored, sought = bits(enrolled), bits(probes)
    binary = faiss.IndexBinaryFlat(4 * DIMENSIONS)
    binary.add(stored)
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        measure("faiss-binary", n, threads, owners, lambda k: int(binary.search(sought[k : k + 1], 1)[1][0, 0]))
    tell("faiss-binary", n, 2, "bytes", DIMENSIONS / 2, "B/template")
    for threads in (1, 2):
        measure(
            "usearch-exact", n, threads, owners,
            lambda k: int(search(stored, sought[k], 1, MetricKind.Hamming, exact=True, threads=threads).keys[0]),
        )
    tell("usearch-exact", n, 2, "bytes", DIMENSIONS / 2, "B/template")


main()
