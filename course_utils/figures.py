"""The house style of figures: colour-blind safe, opaque, bands over seeds, alternative text.

Figures are plain ``matplotlib.figure.Figure`` objects: nothing is registered with pyplot, so
nothing leaks and no global setting changes.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from course_utils.checks import whole_number
from course_utils.claims import Claim, list_of
from course_utils.sweeps import original_runs

# Okabe & Ito (2008), "Color universal design", without the yellow that vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GHOST = "#8a8a8a"  # what is there for comparison only
DPI = 100
MOST = 20  # columns, rows: more takes minutes, and nobody can see them
LARGEST = 100  # inches


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

    Raises
    ------
    TypeError, ValueError
        If rows and columns are not whole numbers from 1 to 20, or the size is above 100 inches.
    """
    columns, rows = whole_number("columns", columns, 1, MOST), whole_number("rows", rows, 1, MOST)
    for name, inches in (("width", width), ("height", height)):
        if not isinstance(inches, Real):
            raise TypeError(f"{name} must be a number of inches, got {inches!r}")
        if not 0 < inches <= LARGEST:
            raise ValueError(f"{name} must be above 0 and at most {LARGEST} inches, got {inches}")
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
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

    Raises
    ------
    TypeError
        If `figure` is not a matplotlib Figure.
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a matplotlib Figure, got a {type(figure).__name__}")
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor="white")
    Image.open(drawn).convert("RGB").quantize(256).save(packed, format="png", optimize=True)
    return packed.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display `figure` with a text for those who cannot see it.

    Raises
    ------
    TypeError, ValueError
        If `figure` is not a matplotlib Figure, or `alt` is not text or empty.
    """
    if not isinstance(alt, str):
        raise TypeError(f"alt must be text that says what the figure shows, got {alt!r}")
    if not alt.strip():
        raise ValueError("alt must say what the figure shows, for those who cannot see it")
    picture = base64.b64encode(png(figure)).decode()  # a message holds text only
    data = {"image/png": picture, "text/plain": f"Figure: {alt}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def curves(
    ax: Axes,
    runs: xr.Dataset,
    variable: str,
    *,
    over: str,
    where: Mapping[str, Any] | None = None,
    smooth: int = 1,
    axis: tuple[str, float] = ("step", 1),
    colours: Sequence[str] = COLOURS,
    linestyle: str = "-",
) -> None:
    """One line per value of a setting: the live seed, over the band of all seeds.

    Parameters
    ----------
    runs
        From ``sweep``. If it comes from an edited experiment, the band is that of the original,
        in grey.
    variable
        Name of a variable over `step`.
    over
        The setting that the lines differ in.
    where
        Values of the other settings.
    smooth
        Steps in the trailing mean that is drawn instead of single minibatch losses.
    axis
        Label of the horizontal axis, and how many of its units make a step.

    Raises
    ------
    TypeError, ValueError
        If the runs have no such variable or settings, or another argument is not of this form.
    """
    _check_drawable("runs", ax, runs)
    if variable not in runs or over not in runs.dims:
        known = f"variables {', '.join(runs.data_vars)}; settings {', '.join(runs.dims)}"
        raise ValueError(f"no {variable!r} over {over!r} in these runs, which have: {known}")
    _check_where(runs, where)
    smooth = whole_number("smooth", smooth, 1)
    label, factor = _label_and_factor(axis)
    if isinstance(colours, str) or not isinstance(colours, Sequence):
        raise TypeError(f"colours must be a list of colours, got {colours!r}")
    if not colours:
        raise ValueError("colours must be one or more, got none")
    original = original_runs(runs)
    for colour, value in zip(_cycled(colours, runs.sizes[over]), runs[over].values, strict=True):
        at = {**(where or {}), over: value}
        lines = _smoothed(runs[variable].sel(at), smooth)
        band = lines if original is None else _original_band(original, variable, at, smooth)
        if band is not None:
            low, high = band.min("seed"), band.max("seed")
            grey = {"color": GHOST if original is not None else colour, "linewidth": 0}
            ax.fill_between(band["step"] * factor, low, high, alpha=0.2, **grey)
        first = lines.isel(seed=0)
        ax.plot(first["step"] * factor, first, linestyle=linestyle, color=colour,
                label=f"{over} {value}")  # fmt: skip
        mark_divergence(ax, runs.sel(at).isel(seed=0), variable, factor, colour)
    ax.set_xlabel(label)


def mark_divergence(
    ax: Axes, run: xr.Dataset, variable: str, factor: float = 1.0, colour: str = COLOURS[1]
) -> None:
    """Mark where a single run diverged: a cross after its last finite loss, and the step.

    Raises
    ------
    TypeError, ValueError
        If `ax` are no axes, or `run` is not a Dataset with that variable.
    """
    _check_drawable("run", ax, run)
    if variable not in run:
        raise ValueError(f"variable must be one of {', '.join(run.data_vars)}, got {variable!r}")
    _, factor = _label_and_factor(("factor", factor))
    step = int(run["diverged_at"]) if np.isfinite(run.get("diverged_at", np.nan)) else -1
    if step < 0:
        return
    last = float(run[variable].dropna("step")[-1]) if step else 0.5 * sum(ax.get_ylim())
    ax.plot([step * factor], [last], "x", color=colour, markersize=9, markeredgewidth=2)
    ax.annotate(f"diverged at step {step}", (step * factor, last), (6, 4), color=colour,
                textcoords="offset points", fontsize=8)  # fmt: skip


def forest(claims: Sequence[Claim]) -> Figure:
    """Forest plot: for each claim how far every seed lies from the bound.

    Each row is scaled by its own largest distance, because claims have different units; right of
    the line the bound holds.

    Raises
    ------
    TypeError, ValueError
        If `claims` is not a list of at least one.
    """
    claims = list_of(Claim, "claims", claims)
    if not claims:
        raise ValueError("claims must be one or more, got none")
    figure, (ax,) = new_figure(width=9, height=0.9 + 0.34 * len(claims))
    ax.axvspan(-1.1, 0, color=COLOURS[1], alpha=0.08, linewidth=0)
    ax.axvline(0, color="black", linewidth=1)
    for row, claim in enumerate(claims):
        margins = claim.margins.values
        finite = margins[np.isfinite(margins)]
        scale = np.abs(finite).max() if finite.size and np.abs(finite).max() > 0 else 1.0
        colour = COLOURS[0] if claim.held else COLOURS[1]
        ax.plot(finite / scale, np.full(finite.size, row), "o", color=colour, alpha=0.6)
        worst = f"{finite.min():.2g}" if finite.size else "none is a number"
        ax.text(1.15, row, f"smallest margin {worst}", va="center", fontsize=8)
    ax.set_yticks(range(len(claims)), [claim.id for claim in claims])
    ax.set(xlim=(-1.1, 1.1), ylim=(len(claims) - 0.5, -0.5))
    ax.set_xlabel(
        "distance from the bound, in units of the claim's largest (right: the bound holds)"
    )
    return figure


def _check_drawable(name: str, ax: Any, runs: Any) -> None:
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes, got a {type(ax).__name__}")
    if not isinstance(runs, xr.Dataset):
        raise TypeError(f"{name} must be a Dataset, as sweep returns it, got {type(runs)}")


def _check_where(runs: xr.Dataset, where: Any) -> None:
    """Raise an error unless `where` names settings of the runs, with values that they have."""
    if not isinstance(where or {}, Mapping):
        raise TypeError(f"where must be a dict of settings and their values, got {where!r}")
    for key, value in (where or {}).items():
        if key not in runs.dims:
            raise ValueError(f"where must name settings, {', '.join(runs.dims)}; got {key!r}")
        if value not in runs[key].values:
            raise ValueError(f"where: {key} must be one of {runs[key].values}, got {value!r}")


def _label_and_factor(axis: Any) -> tuple[str, float]:
    """The two parts of `axis`."""
    if not isinstance(axis, tuple) or len(axis) != 2 or not isinstance(axis[1], Real):
        raise TypeError(f"axis must be a label and a factor, a number; got {axis!r}")
    if not 0 < axis[1] < math.inf:
        raise ValueError(f"axis must have a finite factor above 0, got {axis!r}")
    return axis


def _cycled(colours: Sequence[str], count: int) -> list[str]:
    return [colours[index % len(colours)] for index in range(count)]


def _smoothed(values: xr.DataArray, smooth: int) -> xr.DataArray:
    smooth = min(smooth, values.sizes["step"])  # as many as there are, or memory fills up
    means = values.rolling(step=smooth, min_periods=1).mean() if smooth > 1 else values
    return means.where(values.notnull())  # a mean must not outlive a diverged run


def _original_band(
    original: xr.Dataset, variable: str, at: Mapping[str, Any], smooth: int
) -> xr.DataArray | None:
    """The stored runs of the original experiment at these settings, if it had them."""
    if variable not in original or any(v not in original[k].values for k, v in at.items()):
        return None
    return _smoothed(original[variable].sel(at), smooth)
