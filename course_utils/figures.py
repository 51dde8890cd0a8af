"""The house style of figures and tables: colour-blind safe, bands over seeds, alternative text.

Figures are plain ``matplotlib.figure.Figure`` objects: nothing is registered with pyplot, so
nothing leaks and no global setting changes.
"""

import base64
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from course_utils import _arguments
from course_utils._messages import Message

# Okabe & Ito (2008), "Color universal design", without the yellow that vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GHOST = "#8a8a8a"  # what is there for comparison only
DPI = 100
ORIGINAL = "original"  # the matplotlib gid of what shows the stored runs of another experiment
TO_THE_LEFT = r'\1 style="text-align: left">'  # notebooks align to the right, as numbers want it
Values = Callable[[xr.Dataset], xr.DataArray]


def new_figure(
    columns: int = 1, rows: int = 1, *, width: float = 8.0, height: float = 3.6, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure in the house style and its axes, an array of shape (rows * columns,).

    Parameters
    ----------
    width, height
        Of the whole figure, in inches.
    options
        For ``Figure.subplots``, e.g. ``sharey=True``.
    """
    columns = _arguments.whole_number("columns", columns, 1)
    rows = _arguments.whole_number("rows", rows, 1)
    size = _arguments.positive("width", width), _arguments.positive("height", height)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_prop_cycle(color=COLOURS)
    return figure, axes


def png(figure: Figure) -> bytes:
    """`figure` as the bytes of a PNG picture of a fixed size, whatever is drawn on it.

    In 256 colours, which for charts cannot be told from all of them and takes a third of the room:
    a notebook of a megabyte gets no preview on the web.
    """
    _arguments.instance("figure", figure, Figure, "a matplotlib Figure")
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    Image.open(drawn).convert("RGB").quantize(256).save(packed, format="png", optimize=True)
    return packed.getvalue()


def show(figure: Figure, alt: str, caption: str = "") -> None:
    """Display `figure` with a text for those who cannot see it; in a script print that text alone.

    `caption`, in small print under the figure, says what a line, a band or a mark is. Where an
    edited experiment is drawn before its original, it says that as well.
    """
    _arguments.text("alt", alt)
    _arguments.instance("figure", figure, Figure, "a matplotlib Figure")
    if not InteractiveShell.initialized():
        print(f"Figure: {alt}")  # `display` would print the picture, as base64
        return
    if figure.findobj(lambda artist: artist.get_gid() == ORIGINAL):
        note = "in grey: the stored runs of the original experiment; in colour: yours"
        caption = f"{caption}\n{note}" if caption else note
        alt = f"{alt} ({note})"
    if caption:
        figure.supxlabel(caption, fontsize=9, color="#5a5a5a")
    data = {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": f"Figure: {alt}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def band(
    ax: Axes,
    runs: xr.Dataset,
    values: str | Values,
    *,
    at: Mapping[str, Any] | None = None,
    mean_of: int = 1,
    colour: str = COLOURS[0],
    label: str | None = None,
    linestyle: str = "-",
    per_step: float = 1.0,
) -> None:
    """One curve: the first seed as a line, over the range of all seeds as a band.

    If `runs` come from an edited experiment, the band is that of the original, in grey.

    Parameters
    ----------
    runs
        From ``sweep``.
    values
        Name of a variable, or a function of `runs` that returns what to draw: an array over `seed`
        and one more dimension, the horizontal axis.
    at
        Settings at which they are drawn, as ``{"width": 4}``.
    mean_of
        Steps in the trailing mean that is drawn.
    per_step
        Units of the horizontal axis in one step of that dimension.
    """
    _arguments.instance("ax", ax, Axes, "matplotlib Axes")
    drawn, others = _drawn(runs, values, axes=1, at=at, mean_of=mean_of)
    line, style = drawn.isel(seed=0), {"color": GHOST, "gid": ORIGINAL}
    if original_of(runs) is None:
        others, style = drawn, {"color": colour}
    (over,) = line.dims
    if others is not None:
        low, high = others.min("seed"), others.max("seed")
        ax.fill_between(others[over] * per_step, low, high, alpha=0.25, linewidth=0, **style)
    ax.plot(line[over] * per_step, line, linestyle, color=colour, label=label)


def bands(
    ax: Axes,
    runs: xr.Dataset,
    values: str | Values,
    over: str,
    *,
    at: Mapping[str, Any] | None = None,
    mean_of: int = 1,
    label: str = "{}",
    colours: Sequence[str] = COLOURS,
) -> None:
    """A `band` for each value of the setting `over`, with its `label` at its right end.

    The limits of `ax` must be set before.
    """
    _arguments.one_of("over", over, list(runs.dims))
    for value, colour in zip(runs[over].values, itertools.cycle(colours), strict=False):
        here = {**(at or {}), over: value}
        look = {"colour": colour, "label": label.format(value)}
        band(ax, runs, values, at=here, mean_of=mean_of, **look)
    label_ends(ax)


def points(
    ax: Axes,
    place: float,
    runs: xr.Dataset,
    values: str | Values,
    *,
    colour: str = COLOURS[0],
    label: str | None = None,
    marker: str = "o",
) -> None:
    """A mark for each seed above `place`, where `band` would draw a line.

    `values` are over `seed` alone. Of an edited experiment the original's range is in grey.
    """
    _arguments.instance("ax", ax, Axes, "matplotlib Axes")
    drawn, others = _drawn(runs, values, axes=0)
    if others is not None:
        ends = [float(others.min()), float(others.max())]
        ax.plot([place, place], ends, color=GHOST, alpha=0.4, linewidth=9, gid=ORIGINAL)
    spread = place + np.linspace(-0.08, 0.08, drawn.size) if drawn.size > 1 else [place]
    ax.plot(spread, drawn, marker, color=colour, alpha=0.8, label=label)


def label_ends(ax: Axes) -> None:
    """Write the label of each line at its right end, in its colour, instead of a legend.

    The limits of `ax` must be set before. Labels keep apart by the height of a line of text.
    """
    _arguments.instance("ax", ax, Axes, "matplotlib Axes")
    lines = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    ends, height = [], 11 / 72 / (ax.get_position().height * ax.figure.get_figheight())
    for line in lines:
        finite = np.flatnonzero(np.isfinite(line.get_ydata()))
        point = (0, line.get_ydata()[finite[-1]]) if finite.size else (0, ax.get_ylim()[0])
        ends.append(ax.transAxes.inverted().transform(ax.transData.transform(point))[1])
    last = -np.inf
    for index in np.argsort(ends):
        last = max(min(ends[index], 1.0), last + 1.2 * height)
        colour = lines[index].get_color()
        place = {"xycoords": "axes fraction", "va": "center", "annotation_clip": False}
        ax.annotate(lines[index].get_label(), (1.01, last), color=colour, fontsize=10, **place)


def original_of(runs: xr.Dataset) -> xr.Dataset | None:
    """The stored runs of the original experiment, if `runs` come from an edited one, else None."""
    _arguments.instance("runs", runs, xr.Dataset, "a Dataset, as sweep returns it")
    return runs.attrs.get("original")


def _drawn(
    runs: xr.Dataset,
    values: str | Values,
    axes: int,
    at: Mapping[str, Any] | None = None,
    mean_of: int = 1,
) -> tuple[xr.DataArray, ...]:
    """What to draw of `runs`, over `seed` and more `axes`, and the same of their original.

    The latter is None if there is no original, or if that lacks what an edit has added.
    """
    _arguments.instance("runs", runs, xr.Dataset, "a Dataset, as sweep returns it")
    if not callable(values):
        _arguments.one_of("values", values, list(runs.data_vars))

    def take(data: xr.Dataset) -> xr.DataArray:
        found = (values(data) if callable(values) else data[values]).sel(at or {})
        return found if mean_of == 1 else smoothed(found, mean_of)

    original, drawn = original_of(runs), take(runs)
    try:
        others = None if original is None else take(original)
    except (KeyError, ValueError):  # a setting or a value that the edit added
        others = None
    if "seed" not in drawn.dims or drawn.ndim != 1 + axes:
        more = "one more dimension" if axes else "nothing else"
        raise ValueError(f"values must be over 'seed' and {more}, got {drawn.dims}")
    if others is not None and set(others.dims) != set(drawn.dims):
        others = None  # the edit took a setting away
    return drawn, others


def smoothed(values: xr.DataArray, steps: int) -> xr.DataArray:
    """Trailing mean of `steps` steps, of fewer at the beginning; NaN where `values` are.

    A mean must not outlive a run that diverged.
    """
    steps = min(_arguments.whole_number("steps", steps, 1), values.sizes["step"])
    return values.rolling(step=steps, min_periods=1).mean().where(values.notnull())


def readable(frame: pd.DataFrame) -> Message:
    """A table of sentences for the reader: on the left, and nothing cut off."""
    _arguments.instance("frame", frame, pd.DataFrame, "a DataFrame")
    frame = frame.reset_index() if frame.index.name else frame
    with pd.option_context("display.max_colwidth", None, "display.width", None):
        html = re.sub("(<t[dh])>", TO_THE_LEFT, frame.to_html(index=False, border=0))
        return Message(frame.to_string(index=False), html)
