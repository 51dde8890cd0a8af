"""What a reader can set in a lab: its arguments, checked once, and the controls made from them."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from course_utils import _store

Factor = float | Callable[[dict[str, Any]], float]
Annotate = Callable[..., None]

CHOICES = ("loss", "axis", "seed")  # the controls of every lab, beside those of its settings

# Labels have the width of their text. They are long, and an ellipsis explains nothing.
FULL_LABEL = {"description_width": "initial"}


@dataclass(frozen=True)
class Plan:
    """The arguments of `lab` (see there); creating it checks them."""

    experiment: Callable[..., xr.Dataset]
    grid: xr.Dataset
    start: Mapping[str, Any]
    losses: tuple[str, ...]
    axes: Mapping[str, Factor]
    annotate: Annotate | None
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        _check_grid(self.grid, self.losses)
        _check_experiment(self.experiment, self.settings)
        for name, factor in self.axes.items():
            number = isinstance(factor, int | float) and 0 < factor < math.inf
            if not (number or callable(factor)):
                raise ValueError(
                    f"axes[{name!r}] must be a number of units per step or a function of the "
                    f"settings, got {factor!r}"
                )
        if not self.axes:
            raise ValueError("axes must name at least one unit, e.g. {'step': 1}")
        known = [*self.settings, *self.losses, *self.axes]
        for kind, given, allowed in (
            ("labels", self.labels, known),
            ("start", self.start, self.settings),
        ):
            if set(given) - set(allowed):
                raise ValueError(f"{kind} may name {', '.join(allowed)}; got {', '.join(given)}")
        self.indices()

    @property
    def settings(self) -> list[str]:
        """Names of the settings, in the order of the grid."""
        return list(self.grid.attrs["settings"])

    @property
    def seed(self) -> int:
        """The seed of the stored curves."""
        return int(self.grid.coords.get("seed", 0))

    def word(self, key: str) -> str:
        """What the reader sees for a setting, a loss or an axis."""
        return self.labels.get(key, key.replace("_", " "))

    def in_words(self, settings: Mapping[str, Any]) -> str:
        """Settings as text: ``width 8, penalty strength 0.001``."""
        return ", ".join(f"{self.word(key)} {_text(value)}" for key, value in settings.items())

    def values(self, setting: str) -> list[Any]:
        """The stored values of a setting, as the experiment gets them."""
        return self.grid[setting].values.tolist()

    def indices(self) -> dict[str, int]:
        """For each setting the position of the value to begin with."""
        return {
            key: _position(key, self.values(key), self.start[key]) if key in self.start else 0
            for key in self.settings
        }

    def annotation(self, **what: Any) -> Callable[[Axes], None] | None:
        """`annotate` for the settings, axis and loss of a picture: it gets those that it names."""
        if self.annotate is None:
            return None
        names = inspect.signature(self.annotate).parameters
        return partial(self.annotate, **{key: what[key] for key in what if key in names})

    def experiment_now(self) -> Callable[..., xr.Dataset]:
        """The experiment as it now stands in the notebook, which may have been edited since."""
        names = getattr(self.experiment, "__globals__", {})
        return names.get(getattr(self.experiment, "__name__", ""), self.experiment)

    def missing(self) -> bool:
        """Whether there are no stored curves at all."""
        return self.grid.attrs.get("origin") == "missing"

    def edited(self, experiment: Callable[..., xr.Dataset]) -> bool:
        """Whether the stored curves belong to another experiment than this one."""
        return not self.missing() and not _store.matches(experiment, self.grid)


def check_forms(start: Any, losses: Any, axes: Any, annotate: Any, labels: Any) -> None:
    """Raise a TypeError unless these arguments of `lab` have the types that they should have."""
    for name, given in (("start", start), ("axes", axes), ("labels", labels)):
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{name} must be a dict, got {given!r}")
    if isinstance(losses, str) or not isinstance(losses, Iterable):
        raise TypeError(f"losses must be a list of variables of the grid, got {losses!r}")
    if annotate is not None and not callable(annotate):
        raise TypeError(f"annotate must be a function that draws on axes, got {annotate!r}")


def with_losses(grid: xr.Dataset, losses: Sequence[str]) -> xr.Dataset:
    """`grid` with an empty curve for each loss, if it is one without any."""
    if not isinstance(grid, xr.Dataset) or grid.attrs.get("origin") != "missing":
        return grid
    settings = grid.attrs["settings"]
    shape = (*(grid.sizes[key] for key in settings), 1)
    empty = {loss: ((*settings, "step"), np.full(shape, np.nan)) for loss in losses}
    return grid.assign(empty).assign_coords(step=[0])


def make_controls(plan: Plan) -> dict[str, widgets.Widget]:
    """A control for each setting, and those called loss, axis and seed."""
    longest = max(len(plan.word(key)) for key in plan.settings)
    style = {"description_width": f"{1 + 0.85 * longest:.0f}ch"}  # one width for all sliders
    controls = {
        key: _setting(plan.word(key), plan.values(key), index, style)
        for key, index in plan.indices().items()
    }
    controls["loss"] = _choice("loss", [(plan.word(key), key) for key in plan.losses])
    controls["axis"] = _choice("x-axis", [(plan.word(key), key) for key in plan.axes])
    controls["seed"] = widgets.BoundedIntText(
        plan.seed,
        min=0,
        max=2**31 - 1,
        description="seed of the live run",
        style=FULL_LABEL,
        layout={"width": "215px"},
    )
    return controls


def _setting(label: str, values: list[Any], index: int, style: dict[str, str]) -> widgets.Widget:
    """A slider over numbers, buttons for words (or for a single number)."""
    options = [(_text(value), value) for value in values]
    if len(values) == 1 or not all(isinstance(value, int | float) for value in values):
        return _choice(label, options, index)
    return widgets.SelectionSlider(
        options=options,
        index=index,
        description=label,
        continuous_update=False,  # one picture for a movement, not one for each value it passes
        style=style,
        layout={"width": "335px"},
    )


def _choice(label: str, options: list[tuple[str, Any]], index: int = 0) -> widgets.ToggleButtons:
    """Buttons, because Tab and Space reach them; JupyterLab takes the arrow keys of a list."""
    style = {**FULL_LABEL, "button_width": "max-content"}
    layout = {"width": "max-content", "display": "flex", "grid_gap": "6px"}  # one row
    return widgets.ToggleButtons(
        options=options, index=index, description=label, style=style, layout=layout
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _position(key: str, values: list[Any], value: Any) -> int:
    """Where `value` is among `values`; numbers may differ by a rounding."""
    for index, stored in enumerate(values):
        numbers = isinstance(stored, int | float) and isinstance(value, int | float)
        if np.isclose(stored, value, rtol=1e-6, atol=0) if numbers else stored == value:
            return index
    stored = ", ".join(map(_text, values))
    raise ValueError(f"start: {key} {value!r} is not in the grid, which has {stored}")


def _check_grid(grid: xr.Dataset, losses: tuple[str, ...]) -> None:
    if not isinstance(grid, xr.Dataset) or {"settings", "origin"} - set(grid.attrs):
        raise TypeError(f"grid must be what stored_grid returns, got a {type(grid).__name__}")
    if not losses:
        raise ValueError("losses must name at least one variable of the grid")
    for loss in losses:
        if loss not in grid:
            has = ", ".join(map(str, grid))
            raise ValueError(f"losses: {loss!r} is not in the grid, which has {has}")
        if set(grid[loss].dims) != {*grid.attrs["settings"], "step"}:
            has = ", ".join(map(str, grid[loss].dims))
            raise ValueError(
                f"losses: {loss!r} must be a curve over step, its dimensions are {has}"
            )


def _check_experiment(experiment: Callable[..., xr.Dataset], settings: list[str]) -> None:
    for name in settings:
        if name in CHOICES:
            raise ValueError(f"setting {name!r}: the lab has a control of that name already")
    if not callable(experiment):
        raise TypeError(f"experiment must be a function, got {experiment!r}")
    signature = inspect.signature(experiment)
    try:
        signature.bind(**dict.fromkeys([*settings, "seed"]))
    except TypeError as error:
        raise ValueError(
            f"experiment{signature} does not fit the grid, whose settings are "
            f"{', '.join(settings)}; it must also accept seed ({error})"
        ) from error
