"""What a reader can set in a lab: its arguments, checked once, and the controls made from them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from course_utils import _arguments

Factor = float | Callable[[dict[str, Any]], float]

# Labels have the width of their text. They are long, and an ellipsis explains nothing.
FULL_LABEL = {"description_width": "initial"}


@dataclass
class Plan:
    """The arguments of `lab` (see there); creating it checks them, and puts in their defaults."""

    experiment: Callable[..., xr.Dataset]
    grid: xr.Dataset
    start: Mapping[str, Any] | None
    losses: Sequence[str]
    axes: Mapping[str, Factor] | None
    annotate: Callable[..., None] | None
    labels: Mapping[str, str] | None

    def __post_init__(self) -> None:
        self.losses = _arguments.list_of("losses", self.losses, "variables of the grid", str)
        self.start, self.labels = self.start or {}, self.labels or {}
        self.axes = self.axes or {"step": 1}
        if "origin" not in getattr(self.grid, "attrs", {}):
            raise TypeError(f"grid must be what stored_grid returns, got a {type(self.grid)}")
        self.settings: list[str] = list(self.grid.attrs["settings"])
        dims = (*self.settings, "step")
        self.missing = self.grid.attrs["origin"] == "missing"  # no stored curves at all
        if self.missing:  # they become empty ones
            where = {key: self.grid[key] for key in self.settings} | {"step": [0]}
            empty = xr.DataArray(np.nan, where, dims)
            self.grid = self.grid.assign(dict.fromkeys(self.losses, empty))
        self.seed = int(self.grid["seed"])  # of the stored curves
        if taken := {"loss", "axis", "seed"} & {*self.settings}:
            raise ValueError(f"setting {min(taken)!r}: the lab has a control of that name already")
        curves = [name for name in self.grid if set(self.grid[name].dims) == set(dims)]
        for loss in self.losses:
            _arguments.one_of("losses", loss, curves)
        for key, value in self.start.items():
            _arguments.one_of("start", key, self.settings)
            _arguments.one_of(f"start[{key!r}]", value, self.values(key))

    def word(self, key: str) -> str:
        """What the reader sees for a setting, a loss or an axis."""
        return self.labels.get(key, key.replace("_", " "))

    def in_words(self, settings: Mapping[str, Any]) -> str:
        """Settings as text: ``width 8, penalty strength 0.001``."""
        return ", ".join(f"{self.word(key)} {_text(value)}" for key, value in settings.items())

    def values(self, setting: str) -> list[Any]:
        """The stored values of a setting, as the experiment gets them."""
        return self.grid[setting].values.tolist()

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


def make_controls(plan: Plan) -> dict[str, widgets.Widget]:
    """A control for each setting, and those called loss, axis and seed."""
    longest = max(len(plan.word(key)) for key in plan.settings)
    style = {"description_width": f"{1 + 0.85 * longest:.0f}ch"}  # one width for all sliders
    controls = {}
    for key in plan.settings:
        values = plan.values(key)
        index = values.index(plan.start.get(key, values[0]))
        controls[key] = _setting(plan.word(key), values, index, style)
    controls["loss"] = _choice("loss", [(plan.word(key), key) for key in plan.losses])
    controls["axis"] = _choice("x-axis", [(plan.word(key), key) for key in plan.axes])
    seed = {"description": "seed of the live run", "min": 0, "max": 2**31 - 1}
    controls["seed"] = widgets.BoundedIntText(plan.seed, style=FULL_LABEL, **seed)
    controls["seed"].layout.width = "215px"
    return controls


def _setting(label: str, values: list[Any], index: int, style: dict[str, str]) -> widgets.Widget:
    """A slider over numbers, buttons for words (or for a single number)."""
    options = [(_text(value), value) for value in values]
    if len(values) == 1 or not all(isinstance(value, int | float) for value in values):
        return _choice(label, options, index)
    slider = widgets.SelectionSlider(options=options, index=index, description=label, style=style)
    slider.continuous_update = False  # one picture for a movement, not one for each value it passes
    slider.layout.width = "335px"
    return slider


def _choice(label: str, options: list[tuple[str, Any]], index: int = 0) -> widgets.ToggleButtons:
    """Buttons, because Tab and Space reach them; JupyterLab takes the arrow keys of a list."""
    layout = {"width": "max-content", "display": "flex", "grid_gap": "6px"}  # one row
    look = {"layout": layout, "style": {**FULL_LABEL, "button_width": "max-content"}}
    return widgets.ToggleButtons(options=options, index=index, description=label, **look)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
