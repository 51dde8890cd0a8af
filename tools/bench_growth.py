"""How the time of a sweep grows with its number of seeds and of settings.

    python tools/bench_growth.py [--sizes 1 2 4 8 16] [--build FOLDER]

Trains the experiment of notebook 00, half a second a run, and starts new worker processes for
every sweep, as a reader's first sweep does. Writes build/growth.png and build/growth.json with the
picture's alternative text.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_experiments import ROOT, defined
from bench_measuring import keep, measured
from joblib.externals.loky import get_reusable_executor
from matplotlib.figure import Figure

from course_utils import _files as files
from course_utils._environment import provenance
from course_utils.figures import COLOURS, new_figure, png
from course_utils.sweeps import sweep

SIZES = [1, 2, 4, 8, 16]


def growth(sizes: Sequence[int]) -> dict[str, list[dict]]:
    """Seconds, CPU seconds and busy share of the cores of sweeps with so many runs."""
    experiment = defined("00")["experiment"]
    plans = {
        "seeds": lambda size: ([0.3], range(size)),
        "settings": lambda size: (np.linspace(0.1, 0.3, size), [0]),
    }
    sweep(experiment, {"rate": [0.3]}, [0])  # what the first run imports is no sweep's time
    found: dict[str, list[dict]] = {}
    for kind, plan in plans.items():
        for size in sizes:
            rates, seeds = plan(size)
            get_reusable_executor().shutdown(wait=True)  # the next sweep starts its own workers
            with measured() as cost:
                sweep(experiment, {"rate": rates}, seeds)
            busy = cost.cpu_seconds / (cost.seconds * os.cpu_count())
            point = {"runs": size, "seconds": cost.seconds, "busy": busy, "others": cost.others}
            found.setdefault(kind, []).append(point | {"cpu_seconds": cost.cpu_seconds})
            print(f"{size} {kind}: {cost.seconds:.1f} s, cores {busy:.0%} busy", file=sys.stderr)
    return found


def fit(points: Sequence[dict]) -> tuple[float, float]:
    """Seconds a further run takes and seconds before the first, by least squares.

    A single run is left out: it starts no workers.
    """
    several = [(point["runs"], point["seconds"]) for point in points if point["runs"] > 1]
    slope, start = np.polyfit(*zip(*several, strict=True), 1)
    return float(slope), float(start)


def draw(found: dict[str, list[dict]]) -> Figure:
    """Seconds with their straight lines, and how busy the cores were, over the number of runs."""
    figure, (left, right) = new_figure(2, width=9, height=3.4)
    for (kind, points), colour, marker in zip(found.items(), COLOURS, "os", strict=False):
        runs = np.array([p["runs"] for p in points])
        slope, start = fit(points)
        left.plot(runs, [p["seconds"] for p in points], marker, color=colour,
                  label=f"{kind}: {start:.1f} s + {slope:.2f} s a run")  # fmt: skip
        left.plot(runs, start + slope * runs, color=colour, linewidth=1)
        right.plot(runs, [100 * p["busy"] for p in points], f"{marker}-", color=colour, label=kind)
    left.set(xlabel="runs", ylabel="seconds", ylim=(0, None))
    right.set(xlabel="runs", ylabel="cores busy with the sweep, %", ylim=(0, 105))
    left.legend(frameon=False, fontsize=9)
    right.legend(frameon=False, fontsize=9)
    return figure


def in_words(found: dict[str, list[dict]]) -> str:
    """The alternative text of the picture."""
    parts = []
    for kind, points in found.items():
        slope, start = fit(points)
        first, last = points[0], points[-1]
        off = max(abs(p["seconds"] - start - slope * p["runs"]) for p in points if p["runs"] > 1)
        parts.append(
            f"Over the number of {kind}, seconds go from {first['seconds']:.1f} for "
            f"{first['runs']} to {last['seconds']:.1f} for {last['runs']}. The straight line "
            f"through them starts at {start:.1f} and rises by {slope:.2f} a run; no point is "
            f"farther than {off:.1f} s from it. The cores are {first['busy']:.0%} busy with the "
            f"smallest sweep and {last['busy']:.0%} with the largest."
        )
    return " ".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of runs")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="of the results")
    options = parser.parse_args(arguments)
    if len({size for size in options.sizes if size > 1}) < 2 or min(options.sizes) < 1:
        parser.error("--sizes must be 1 or larger, two different ones of them above 1")
    try:
        files.check_writable(options.build)
    except files.WriteError as error:
        parser.error(str(error))
    os.environ["TQDM_DISABLE"] = "1"
    found = growth(options.sizes)
    kept = {"provenance": provenance(), "cores": os.cpu_count(), "alt": in_words(found), **found}
    print(kept["alt"])
    return max(
        keep(options.build / "growth.json", kept),
        keep(options.build / "growth.png", png(draw(found))),
    )


if __name__ == "__main__":
    sys.exit(main())
