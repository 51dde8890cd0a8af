"""The runs of a lab and their picture: curves over a frame that is kept from one to the next.

Most of the time of a matplotlib picture goes into axes, ticks and labels. A slider has to answer at
once, so the frame is drawn once and only the curves anew ("blitting"): in 40 ms instead of 130.
"""

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib.image
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_utils.figures import COLOURS, GHOST, new_figure

ZOOM = 3.0  # between two scales of the y-axis: with smaller steps it would change all the time
LAST = 10  # steps: the end of a curve is their mean, because a single step is noisy

STYLES: dict[str, dict[str, Any]] = {
    "before": {"color": GHOST, "linestyle": "--", "linewidth": 1.4, "zorder": 2},
    "stored": {"color": COLOURS[0], "linewidth": 3.2, "zorder": 3},
    "live": {"color": COLOURS[1], "linewidth": 1.4, "zorder": 4},  # thin: what it covers shows
}
# Above the axes, where it hides no curve.
LEGEND = dict(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=2, frameon=False)


class Run(NamedTuple):
    """Curves (dimension `step`) at some settings, and what they are called."""

    settings: dict[str, Any]
    data: xr.Dataset
    label: str

    @property
    def diverged_at(self) -> int:
        """The step at which the run diverged, or -1."""
        value = float(self.data.get("diverged_at", -1))
        return int(value) if np.isfinite(value) else -1

    def exists(self, loss: str) -> bool:
        """Whether there is anything to draw for `loss`."""
        return loss in self.data and (self.diverged_at >= 0 or int(self.data[loss].count()) > 0)

    def ends(self, loss: str) -> str:
        """In words, how the curve of `loss` begins and ends."""
        finite = _finite(self.data[loss].values)
        first = f"{finite[0]:.3g} at first, " if finite.size else ""
        if self.diverged_at >= 0:
            return f"{first}diverged at step {self.diverged_at}"
        return f"{first}{finite[-LAST:].mean():.3g} in the last {LAST} steps"


class Line(NamedTuple):
    """One curve of the picture; `role` is a key of `STYLES`, `diverged_at` is -1 if it did not."""

    role: str
    label: str
    positions: np.ndarray  # (steps,), in units of the x-axis
    values: np.ndarray  # (steps,), NaN where there is no loss
    diverged_at: int

    def peak(self) -> float:
        """The largest value that has to fit into the picture, or 0."""
        values = self.values[:1] if self.diverged_at >= 0 else self.values
        return float(_finite(values).max(initial=0))


class Picture:
    """An off-screen figure with one pair of axes, and its last frame, which has a `scale`."""

    def __init__(self) -> None:
        self.figure, (self.axes,) = new_figure(width=7.0, height=4.0)
        self.canvas = FigureCanvasAgg(self.figure)
        self.figure.set_layout_engine("none")
        self.figure.set_dpi(120)  # the page shows 100; more would be sharper, but slower to code
        self.axes.set_position((0.1, 0.13, 0.87, 0.71))  # above are two lines of legend
        self.scale, self.frame = None, None

    def png(self, scale: dict, lines: list[Line], annotate: Callable | None, note: str) -> bytes:
        """The curves, what `annotate` draws on the axes, and a `note` in their middle."""
        if scale != self.scale:
            self.axes.set(**scale)
            self.canvas.draw()
            self.scale, self.frame = scale, self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self.frame)
        kept = set(self.axes.get_children())
        try:
            for line in lines:
                _draw(self.axes, line)
            if annotate:
                annotate(self.axes)
            self.axes.text(0.5, 0.5, note, transform=self.axes.transAxes, ha="center")
            if self.axes.get_legend_handles_labels()[0]:
                self.axes.legend(borderaxespad=0.2, **LEGEND)
            added = [artist for artist in self.axes.get_children() if artist not in kept]
            for artist in sorted(added, key=lambda artist: artist.zorder):
                self.axes.draw_artist(artist)
        finally:
            for artist in set(self.axes.get_children()) - kept:
                artist.remove()
        png, quick = io.BytesIO(), {"compress_level": 1}
        matplotlib.image.imsave(png, self.canvas.buffer_rgba(), format="png", pil_kwargs=quick)
        return png.getvalue()


def grid_range(grid: xr.Dataset, loss: str) -> tuple[float, float]:
    """The lowest (0 at most) and highest loss of all curves of a grid that did not diverge."""
    values = grid[loss]
    if "diverged_at" in grid:
        whole = values.where(grid["diverged_at"] < 0)
        values = whole if whole.notnull().any() else values.isel(step=0)
    finite = _finite(values.values)
    return float(finite.min(initial=0)), float(finite.max(initial=0)) or 1.0


def fit_scale(span: tuple[float, float], lines: list[Line]) -> dict[str, Any]:
    """``xlim`` and ``ylim`` for `lines` of a grid whose losses span from `span[0]` to `span[1]`.

    The top is that of the whole grid, so that pictures compare, or a power of `ZOOM` away from it:
    else a penalty that grows with the square of a setting would press most curves onto the axis.
    """
    low, high = span
    peak = max((line.peak() for line in lines), default=0) or high
    top = 1.05 * high * ZOOM ** -math.floor(math.log(high / peak, ZOOM) + 1e-9)
    low = min([low, *(float(np.nanmin(line.values, initial=0)) for line in lines)])
    # A run of 100 steps ends at step 99, but its axis at 100.
    right = max((line.positions[-1] + np.ptp(line.positions[:2]) for line in lines), default=1.0)
    return {"xlim": (0.0, float(right) or 1.0), "ylim": (low, top)}


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _draw(axes: Axes, line: Line) -> None:
    axes.plot(line.positions, line.values, label=line.label, **STYLES[line.role])
    if line.diverged_at < 0:
        return
    finite = np.flatnonzero(np.isfinite(line.values))
    last = finite[-1] if finite.size else 0  # of the values: not every step need have one
    bottom, top = axes.get_ylim()
    x, y = line.positions[last], np.clip(np.nan_to_num(line.values[last]), bottom, 0.94 * top)
    colour = STYLES[line.role]["color"]
    axes.plot(x, y, "x", markersize=9, markeredgewidth=2.5, clip_on=False, color=colour)
    side, shift = ("left", 8) if x < 0.7 * axes.get_xlim()[1] else ("right", -8)
    place = {"xytext": (shift, -4), "textcoords": "offset points", "ha": side}
    axes.annotate(f"diverged at step {line.diverged_at}", (x, y), color=colour, **place)
