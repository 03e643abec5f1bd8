#!/usr/bin/env python3
"""Draws what `zandaka bench --json` printed, as SVG.

    scripts/plot.py latency FILE.json… > docs/latency.svg   # one line for each workload
    scripts/plot.py growth FILE.json > docs/growth.svg      # one point for each million
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 190, 30, 50
COLOURS = ["#1b6ca8", "#c0392b", "#1e8449", "#7d3c98", "#b9770e", "#117a65", "#5d6d7e", "#922b21",
           "#2e4053"]
PERCENTILES = [("p50_ms", "50"), ("p90_ms", "90"), ("p99_ms", "99"), ("p999_ms", "99.9"),
               ("max_ms", "100")]


class Plot:
    def __init__(self, title, x_label, y_label):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="18" font-size="14">{title}</text>',
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
            f'{x_label}</text>',
            f'<text x="16" y="{HEIGHT / 2}" transform="rotate(-90 16 {HEIGHT / 2})" '
            f'text-anchor="middle">{y_label}</text>']

    def x(self, share):
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, share):
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def x_tick(self, share, text):
        self.parts.append(f'<text x="{self.x(share):.1f}" y="{HEIGHT - BOTTOM + 18}" '
                          f'text-anchor="middle">{text}</text>')

    def y_tick(self, share, text):
        y = self.y(share)
        self.parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                          'stroke="#ddd"/>')
        self.parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')

    def line(self, number, name, points):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                          'stroke-width="1.8"/>')
        y = TOP + 14 + 18 * number
        self.parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{y}" fill="{colour}">{name}</text>')

    def text(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def read(files):
    return [json.loads(line) for file in files for line in open(file) if line.startswith("{")]


def latency(files):
    rows = read(files)
    plot = Plot("Latency of a call by workload (median of the rounds)", "percentile", "ms")
    values = [row[key][1] for row in rows for key, _ in PERCENTILES]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    for decade in range(low, high + 1):
        plot.y_tick((decade - low) / (high - low), f"{10.0 ** decade:g}")
    for i, (_, name) in enumerate(PERCENTILES):
        plot.x_tick(i / (len(PERCENTILES) - 1), name)
    for number, row in enumerate(rows):
        name = row["workload"] + (f" at {row['rate']:,}/s" if row["rate"] else "")
        plot.line(number, name,
                  [(i / (len(PERCENTILES) - 1), (math.log10(row[key][1]) - low) / (high - low))
                   for i, (key, _) in enumerate(PERCENTILES)])
    return plot.text()


def growth(files):
    rows = read(files)
    plot = Plot("While the store grows", "million transactions in the store",
                "thousand writes a second")
    most = max(row["per_second"] for row in rows) * 1.1
    slowest = max(row["p99_ms"] for row in rows) * 1.1
    for share in (0, 0.25, 0.5, 0.75, 1):
        plot.y_tick(share, f"{most * share / 1000:.0f}")
        plot.x_tick(share, f"{rows[-1]['millions'] * share:.0f}")
    last = rows[-1]["millions"]
    plot.line(0, "writes a second",
              [(row["millions"] / last, row["per_second"] / most) for row in rows])
    plot.line(1, f"p99 (of {slowest:.0f} ms)",
              [(row["millions"] / last, row["p99_ms"] / slowest) for row in rows])
    return plot.text()


if __name__ == "__main__":
    sys.stdout.write({"latency": latency, "growth": growth}[sys.argv[1]](sys.argv[2:]))
