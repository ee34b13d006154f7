"""Draws the log of a run as an SVG: the loss, and the equal error rate over hands that are not trained on."""

import json
import sys

WIDTH, HEIGHT, MARGIN = 720, 320, 48


def line(points, colour):
    """Points (x, y) in 0..1, y upwards, as a path."""
    placed = (
        f"{MARGIN + x * (WIDTH - 2 * MARGIN):.1f},{HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN):.1f}" for x, y in points
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(placed)}"/>'


def label(x, y, anchor, colour, text):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def in_order(rows):
    """The rows by step; where a run went back to its last state, what it did then counts."""
    kept = []
    for row in rows:
        kept = [earlier for earlier in kept if earlier["step"] < row["step"] or earlier.keys() != row.keys()] + [row]
    return sorted(kept, key=lambda row: row["step"])


def curve(rows):
    last = max(row["step"] for row in rows)
    series = [("loss", "#246", 1, "loss"), ("eer", "#b40", 100, "EER % of cosines, held-out hands")]
    parts = []
    for index, (key, colour, factor, name) in enumerate(series):
        points = [(row["step"] / last, row[key] * factor) for row in rows if key in row]
        top = max(value for _, value in points)
        parts.append(line([(x, value / top) for x, value in points], colour))
        parts.append(label(WIDTH / 2, 16 + 16 * index, "middle", colour, f"{name}, 0 to {top:.2f}"))
    parts.append(label(MARGIN, HEIGHT - 16, "start", "#000", "step 0"))
    parts.append(label(WIDTH - MARGIN, HEIGHT - 16, "end", "#000", f"step {last}"))
    style = 'font-family="sans-serif" font-size="13"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {style}>{ground}{"".join(parts)}</svg>'


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as log:
        print(curve(in_order([json.loads(row) for row in log])))
