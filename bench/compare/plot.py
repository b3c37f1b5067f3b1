"""Cost against size, both axes logarithmic, with the slope of each line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt


def draw(found: dict[str, Any], folder: Path) -> dict[str, float]:
    """Write comparison.png and comparison.svg; the slope of each line that has at least two sizes."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for one in found["curve"]:
        lines.setdefault(one["row"], []).append((one["items"], one["cpu"]))
    for one in found["whole"]:
        if one["command"] == "match":
            name = f"whole match, {one['engine']}"
            lines.setdefault(name, []).append((one["items"], one["client_cpu"] + one["server_cpu"]))
    for one in found["others"]:
        lines.setdefault(f"whole, {one['row']}", []).append((one["items"], one["cpu"]))
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    slopes = {}
    for name, points in lines.items():
        sizes, costs = zip(*sorted(points), strict=True)
        label = name
        if len(points) > 1:
            slopes[name] = float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
            label = f"{name} (slope {slopes[name]:.2f})"
        style = "--" if name.startswith("whole") else "-"
        axes.plot(sizes, costs, style, marker="o", label=label)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="items a side",
        ylabel="CPU seconds, both peers",
        title=f"{found['machine']['processor']}, {found['at'][:10]}",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    for ending in ("png", "svg"):
        figure.savefig(folder / f"comparison.{ending}", dpi=150)
    plt.close(figure)
    return slopes
