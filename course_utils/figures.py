"""The house style of figures: colour-blind safe, opaque, bands over seeds, alternative text.

Figures are plain ``matplotlib.figure.Figure`` objects: nothing is registered with pyplot, so
nothing leaks and no global setting changes.
"""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from course_utils import _arguments
from course_utils.claims import Claim

# Okabe & Ito (2008), "Color universal design", without the yellow that vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GHOST = "#8a8a8a"  # what is there for comparison only
DPI = 100
ORIGINAL = "original"  # the matplotlib gid of what shows the stored runs of another experiment
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


def show(figure: Figure, alt: str) -> None:
    """Display `figure` with a text for those who cannot see it; in a script print that text alone.

    Where an edited experiment is drawn before its original, a line under the figure says so.
    """
    _arguments.text("alt", alt)
    _arguments.instance("figure", figure, Figure, "a matplotlib Figure")
    if not InteractiveShell.initialized():
        print(f"Figure: {alt}")  # `display` would print the picture, as base64
        return
    if figure.findobj(lambda artist: artist.get_gid() == ORIGINAL):
        note = "in grey: the stored runs of the original experiment; in colour: yours"
        figure.supxlabel(note, fontsize=9, color="#5a5a5a")
        alt = f"{alt} ({note})"
    data = {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": f"Figure: {alt}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def band(
    ax: Axes,
    runs: xr.Dataset,
    values: str | Values,
    *,
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
    per_step
        Units of the horizontal axis in one step of that dimension.
    """
    _arguments.instance("ax", ax, Axes, "matplotlib Axes")
    drawn, others = _drawn(runs, values, axes=1)
    line, style = drawn.isel(seed=0), {"color": GHOST, "gid": ORIGINAL}
    if original_of(runs) is None:
        others, style = drawn, {"color": colour}
    (over,) = line.dims
    if others is not None:
        low, high = others.min("seed"), others.max("seed")
        ax.fill_between(others[over] * per_step, low, high, alpha=0.25, linewidth=0, **style)
    ax.plot(line[over] * per_step, line, linestyle, color=colour, label=label)


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


def original_of(runs: xr.Dataset) -> xr.Dataset | None:
    """The stored runs of the original experiment, if `runs` come from an edited one, else None."""
    _arguments.instance("runs", runs, xr.Dataset, "a Dataset, as sweep returns it")
    return runs.attrs.get("original")


def _drawn(runs: xr.Dataset, values: str | Values, axes: int) -> tuple[xr.DataArray, ...]:
    """What to draw of `runs`, over `seed` and more `axes`, and the same of their original.

    The latter is None if there is no original, or if that lacks what an edit has added.
    """
    _arguments.instance("runs", runs, xr.Dataset, "a Dataset, as sweep returns it")
    if not callable(values):
        _arguments.one_of("values", values, list(runs.data_vars))
    take = values if callable(values) else lambda data: data[values]
    original, drawn = original_of(runs), take(runs)
    try:
        others = None if original is None else take(original)
    except (KeyError, ValueError):  # a setting or a value that the edit added
        others = None
    for found in (drawn, others):
        if found is not None and ("seed" not in found.dims or found.ndim != 1 + axes):
            more = "one more dimension" if axes else "nothing else"
            raise ValueError(f"values must be over 'seed' and {more}, got {found.dims}")
    return drawn, others


def smoothed(values: xr.DataArray, steps: int) -> xr.DataArray:
    """Trailing mean of `steps` steps, of fewer at the beginning; NaN where `values` are.

    A mean must not outlive a run that diverged.
    """
    steps = min(_arguments.whole_number("steps", steps, 1), values.sizes["step"])
    return values.rolling(step=steps, min_periods=1).mean().where(values.notnull())


def forest(claims: Sequence[Claim]) -> Figure:
    """Forest plot: for each claim how far every seed lies from the bound.

    Each row is scaled by its own largest distance, because claims have different units; right of
    the line the bound holds.
    """
    claims = _arguments.list_of("claims", claims, "Claims", Claim)
    figure, (ax,) = new_figure(width=9, height=0.9 + 0.34 * len(claims))
    ax.axvspan(-1.1, 0, color=COLOURS[1], alpha=0.08, linewidth=0)
    ax.axvline(0, color="black", linewidth=1)
    for row, claim in enumerate(claims):
        margins = claim.margins.dropna("seed").values
        scale = np.abs(margins[np.isfinite(margins)]).max(initial=0) or 1.0
        colour = COLOURS[0] if claim.held else COLOURS[1]
        at = np.clip(margins / scale, -1.1, 1.1)  # what is infinite, on the frame
        ax.plot(at, np.full(at.size, row), "o", color=colour, alpha=0.6)
        worst = f"{margins.min():.2g}" if margins.size else "none is a number"
        missing = f", {lost} missing" if (lost := claim.values.size - margins.size) else ""
        ax.text(1.15, row, f"smallest margin {worst}{missing}", va="center", fontsize=8)
    ax.set_yticks(range(len(claims)), [claim.id for claim in claims])
    ax.set(xlim=(-1.1, 1.1), ylim=(len(claims) - 0.5, -0.5))
    ax.set_xlabel(
        "distance from the bound, in units of the claim's largest (right: the bound holds)"
    )
    return figure
