"""The picture of a lab: curves over a frame that is kept from one picture to the next.

Most of the time of a matplotlib picture goes into axes, ticks and labels. A slider has to answer
within 150 ms, so the frame is drawn once and only the curves anew (matplotlib's "blitting"):
about 40 ms instead of 130.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import matplotlib.image
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from course_utils.figures import COLOURS, GHOST, new_figure

WIDTH = 7.0  # inches
DPI = 120  # the page shows 100 pixels per inch; more would be sharper, but coding it takes longer
ZOOM = 3.0  # between two scales of the y-axis; a finer ladder would change the scale all the time

STYLES: dict[str, dict[str, Any]] = {
    "before": {"color": GHOST, "linestyle": "--", "linewidth": 1.4, "zorder": 2},
    "stored": {"color": COLOURS[0], "linewidth": 3.2, "zorder": 3},
    "live": {"color": COLOURS[1], "linewidth": 1.4, "zorder": 4},  # thin: what it covers shows
}
LEGEND: dict[str, Any] = {  # above the axes, where it hides no curve
    "loc": "lower left",
    "bbox_to_anchor": (-0.02, 0.99),
    "ncols": 2,
    "frameon": False,
    "borderaxespad": 0.2,
}


class Line(NamedTuple):
    """One curve of the picture; `role` is a key of `STYLES`, `diverged_at` is -1 if it did not."""

    role: str
    label: str
    positions: np.ndarray  # (steps,), in units of the x-axis
    values: np.ndarray  # (steps,), NaN where there is no loss
    diverged_at: int

    def peak(self) -> float:
        """The largest value that has to fit into the picture, or NaN."""
        values = self.values[:1] if self.diverged_at >= 0 else self.values
        finite = values[np.isfinite(values)]
        return float(finite.max()) if finite.size else math.nan


class Scale(NamedTuple):
    """What the axes say: the frame is kept as long as this does not change."""

    x_label: str
    y_label: str
    right: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Picture:
    """An off-screen figure with one pair of axes, and its last frame."""

    figure: Figure
    axes: Axes
    frames: dict[Scale, Any] = field(default_factory=dict)  # one at most

    def png(
        self,
        scale: Scale,
        lines: Sequence[Line],
        annotate: Callable[[Axes], None] | None = None,
        note: str = "",
    ) -> bytes:
        """The curves, what `annotate` draws on the axes, and a `note` in their middle."""
        canvas = self._framed(scale)
        frame = set(self.axes.get_children())
        try:
            for line in lines:
                _draw(self.axes, line, scale)
            if annotate:
                annotate(self.axes)
            self.axes.text(0.5, 0.5, note, transform=self.axes.transAxes, ha="center")
            if self.axes.get_legend_handles_labels()[0]:
                self.axes.legend(**LEGEND)
            added = [artist for artist in self.axes.get_children() if artist not in frame]
            for artist in sorted(added, key=lambda artist: artist.zorder):
                self.axes.draw_artist(artist)
        finally:
            for artist in self.axes.get_children():
                if artist not in frame:
                    artist.remove()
        buffer = io.BytesIO()
        matplotlib.image.imsave(
            buffer, canvas.buffer_rgba(), format="png", pil_kwargs={"compress_level": 1}
        )
        return buffer.getvalue()

    def _framed(self, scale: Scale) -> FigureCanvasAgg:
        """The canvas with nothing but axes on it."""
        canvas = self.figure.canvas
        if scale not in self.frames:
            self.axes.set(
                xlabel=scale.x_label,
                ylabel=scale.y_label,
                xlim=(0, scale.right),
                ylim=(scale.bottom, scale.top),
            )
            canvas.draw()
            self.frames.clear()
            self.frames[scale] = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self.frames[scale])
        return canvas


def new_picture() -> Picture:
    """An empty picture; the room above the axes is for two lines of legend."""
    figure, (axes,) = new_figure(width=WIDTH, height=4.0)
    FigureCanvasAgg(figure)
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    axes.set_position((0.1, 0.13, 0.87, 0.71))
    return Picture(figure, axes)


def grid_range(grid: xr.Dataset, loss: str) -> tuple[float, float]:
    """The lowest (0 at most) and highest loss of all curves of a grid that did not diverge."""
    values = grid[loss]
    if "diverged_at" in grid and bool((grid["diverged_at"] < 0).any()):
        values = values.where(grid["diverged_at"] < 0)
    else:
        values = values.isel(step=0)
    finite = values.values[np.isfinite(values.values)]
    if not finite.size or finite.max() <= 0:
        return 0.0, 1.0
    return min(0.0, float(finite.min())), float(finite.max())


def fit_scale(
    x_label: str, y_label: str, span: tuple[float, float], lines: Sequence[Line]
) -> Scale:
    """Axes for `lines` of a grid whose losses span from `span[0]` to `span[1]`.

    The top is that of the whole grid, so that pictures compare, or a power of `ZOOM` away from it:
    where a penalty grows quadratically with a setting, one scale for all of the grid would show
    most curves as a line on the axis.
    """
    low, high = span
    peak = max((line.peak() for line in lines if line.peak() > 0), default=high)
    top = 1.05 * high * ZOOM ** -math.floor(math.log(high / peak, ZOOM) + 1e-9)
    low = min([low, *(float(np.nanmin(line.values, initial=0)) for line in lines)])
    # A run of 100 steps ends at step 99, but its axis at 100.
    right = max((line.positions[-1] + np.ptp(line.positions[:2]) for line in lines), default=1.0)
    return Scale(x_label, y_label, float(right) or 1.0, low, top)


def _draw(axes: Axes, line: Line, scale: Scale) -> None:
    axes.plot(line.positions, line.values, label=line.label, **STYLES[line.role])
    if line.diverged_at < 0:
        return
    finite = np.flatnonzero(np.isfinite(line.values))
    last = finite[-1] if finite.size else 0  # of the values: not every step need have one
    x, y = float(line.positions[last]), float(np.nan_to_num(line.values[last]))
    y = min(max(y, scale.bottom), scale.bottom + 0.94 * (scale.top - scale.bottom))
    colour = STYLES[line.role]["color"]
    axes.plot([x], [y], marker="x", markersize=9, markeredgewidth=2.5, color=colour, clip_on=False)
    rightwards = x < 0.7 * scale.right
    axes.annotate(
        f"diverged at step {line.diverged_at}",
        (x, y),
        xytext=(8 if rightwards else -8, -4),
        textcoords="offset points",
        ha="left" if rightwards else "right",
        color=colour,
    )
