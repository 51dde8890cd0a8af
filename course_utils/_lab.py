"""The lab: controls that scrub a stored grid of curves, and a button that trains for real.

Moving a control trains nothing: it draws a stored curve, and so it answers at once. Run live
trains the experiment as it now stands in the notebook, at the settings of the controls.
"""

import time
import traceback
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import ipywidgets as widgets
import xarray as xr

from course_utils import _arguments, _store, training
from course_utils._front_end import close, in_main_thread, interruptible
from course_utils._lab_controls import Factor, Plan, make_controls
from course_utils._lab_picture import Line, Picture, Run, fit_scale, grid_range
from course_utils._messages import spoken
from course_utils._runs import result_of

_open: dict[str, "Lab"] = {}  # by name: a cell that is run again replaces its lab


def lab(
    name: str,
    experiment: Callable[..., xr.Dataset],
    grid: xr.Dataset,
    *,
    start: Mapping[str, Any] | None = None,
    losses: Sequence[str] = ("reported_loss", "data_loss"),
    axes: Mapping[str, Factor] | None = None,
    annotate: Callable[..., None] | None = None,
    labels: Mapping[str, str] | None = None,
) -> "Lab":
    """A lab for `experiment` over the curves of a ``stored_grid``; it closes the last of its name.

    Parameters
    ----------
    experiment
        ``experiment(<settings>, seed)``, defined in the notebook; Run live calls whatever has that
        name there by then.
    start
        Settings to begin with, by default the first of each.
    losses
        Variables of the grid to choose from.
    axes
        Units of the x-axis, each with how many of them a step is: ``{"step": 1, "example": 32}``;
        where that depends on the settings, a function of their dict.
    annotate
        ``annotate(ax, ...)`` draws a formula, say, on the axes, at each move. It gets those of
        `settings` (a dict), `axis` and `loss` (their names) that are among its arguments.
    labels
        Words for settings, losses and axes, by default their names.
    """
    _arguments.text("name", name)
    plan = Plan(experiment, grid, start, losses, axes, annotate, labels)
    if name in _open:
        _open.pop(name).close()
    _open[name] = Lab(name, plan)
    return _open[name]


class Lab(widgets.VBox):
    """What `lab` returns. `controls` by name, `run`, `image`, `status`; `last_error` or None."""

    def __init__(self, name: str, plan: Plan):
        self.name, self.plan, self.picture = name, plan, Picture()
        self.edited = plan.grid.attrs["origin"] == "original"
        self.ranges = {loss: grid_range(plan.grid, loss) for loss in plan.losses}
        self.ghost = self.live = self.last_error = None
        self.controls = make_controls(plan)
        self.run = widgets.Button(description="Run live", icon="play", button_style="primary")
        self.run.tooltip = "Train the experiment as it now stands, at these settings and seed"
        self.image = widgets.Image(format="png", layout={"width": "700px", "max_width": "100%"})
        self.status = widgets.HTML()
        wrap = {"flex_flow": "row wrap", "max_width": "720px", "grid_gap": "4px 16px"}
        groups = (plan.settings, ("loss", "axis"), ("seed",))
        rows = [widgets.HBox([self.controls[key] for key in keys], layout=wrap) for keys in groups]
        rows[-1].children += (self.run,)
        super().__init__([*rows, self.image, self.status])
        self.stored = self._stored()
        self._show()
        for key in (*plan.settings, "loss", "axis"):
            action = self._move if key in plan.settings else self._show
            self.controls[key].observe(partial(self._call, action), names="value")
        self.run.on_click(partial(self._call, self._run_live))

    def chosen(self) -> dict[str, Any]:
        """The settings of the controls, as the experiment gets them."""
        return {key: self.controls[key].value for key in self.plan.settings}

    def redraw(self) -> None:
        """Draw the picture for the controls as they are."""
        plan, loss, axis = self.plan, self.controls["loss"].value, self.controls["axis"].value
        runs = {"before": self.ghost, "stored": self.stored, "live": self.live}
        shown = {role: run for role, run in runs.items() if run and run.exists(loss)}
        lines = [self._line(role, run, loss, axis) for role, run in shown.items()]
        annotate = plan.annotation(settings=self.chosen(), axis=axis, loss=loss)
        note = "" if {"stored", "live"} & set(shown) else "no stored curve here: press Run live"
        scale = fit_scale(self.ranges[loss], lines)
        scale |= {"xlabel": plan.word(axis), "ylabel": plan.word(loss)}
        self.image.value = self.picture.png(scale, lines, annotate, note)

    def say(self, text: str) -> None:
        """Show `text` under the picture, where a screen reader reads it out."""
        # An Image has no alternative text, and its tooltip ends in a JavaScript error.
        self.said, self.status.value = text, spoken(text)

    def close(self) -> None:
        """Close all that belongs to this lab, so that nothing of it is left in the kernel."""
        close(*self.children)
        self.layout.close()
        super().close()
        if _open.get(self.name) is self:
            del _open[self.name]

    def __repr__(self) -> str:
        return f"Lab {self.name!r}: {', '.join(self.plan.settings)}"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and its picture where there is no kernel behind it any more."""
        bundle = super()._repr_mimebundle_(**options)
        picture = {"image/png": b64encode(self.image.value).decode()}
        return {**bundle, **picture}, {"image/png": {"alt": f"{self!r}. {self.said}"}}

    def _call(self, action: Callable[[], None], _change: Any) -> None:
        """What a control does when it is moved or pressed."""
        in_main_thread(partial(self._guarded, action))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Carry out `action`; show what it raises, because a front end would swallow it."""
        try:
            action()
            self.last_error = None
        except Exception as error:
            self.last_error = error
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.say(f"{type(error).__name__}: {error} (in {where.name}, line {where.lineno})")

    def _show(self) -> None:
        """Draw the picture, and say in words what it shows."""
        self.redraw()
        loss, here = self.controls["loss"].value, self.plan.in_words(self.chosen())
        if not self.stored.exists(loss):
            self.say(f"{here}: no stored curve. Press Run live to make one.")
        else:
            note = " (The stored curves are of the original experiment.)" if self.edited else ""
            self.say(f"{here}: {self.plan.word(loss)} {self.stored.ends(loss)}.{note}")

    def _move(self) -> None:
        """Another setting: what was on top becomes the ghost."""
        if self.chosen() == self.stored.settings:
            return  # several moves, while the kernel was busy, arrive as one
        self.ghost, self.live = self.live or self.stored, None
        self.stored = self._stored()
        self._show()

    def _stored(self) -> Run:
        """The stored curves at the settings of the controls."""
        where = {key: self.controls[key].index for key in self.plan.settings}
        origin = "original experiment" if self.edited else "stored"
        return Run(self.chosen(), self.plan.grid.isel(where), f"{origin}, seed {self.plan.seed}")

    def _line(self, role: str, run: Run, loss: str, axis: str) -> Line:
        """A run as the picture draws it."""
        label, now = run.label, self.chosen()
        if role == "before":
            other = {key: value for key, value in run.settings.items() if value != now[key]}
            label = f"before: {self.plan.in_words(other) or run.label}"
        factor = self.plan.axes[axis]
        positions = run.data["step"].values * (factor(run.settings) if callable(factor) else factor)
        return Line(role, label, positions, run.data[loss].values, run.diverged_at)

    def _run_live(self) -> None:
        """Train the experiment as it now stands, and draw its curve as it grows."""
        plan, seed, started = self.plan, self.controls["seed"].value, time.monotonic()
        experiment = plan.experiment_now()
        self.edited = not plan.missing and not _store.matches(experiment, plan.grid)
        self.ghost, self.live, self.stored = self.live or self.ghost, None, self._stored()
        label = f"{'your edited experiment' if self.edited else 'live run'}, seed {seed}"
        grow = partial(self._grow, self.chosen(), label)
        self.redraw()
        self.say("Training. To stop and keep what is there, interrupt the kernel.")
        try:
            self._disable(True)  # the kernel would only hear of a move afterwards
            with interruptible(), training.watch(grow):
                data = result_of(experiment, plan.settings, (*self.chosen().values(), seed))
            if lacking := {"step", *plan.losses} - {*data.dims, *data}:
                raise ValueError(f"the experiment must return {', '.join(sorted(lacking))}, too")
            grow(data)
            self.say(f"{self._verdict(seed)} ({time.monotonic() - started:.1f} s)")
        except KeyboardInterrupt:
            kept = f"kept {self.live.label}, as far as it went" if self.live else "no step done"
            self.say(f"Interrupted: {kept}.")
        finally:
            self._disable(False)

    def _grow(self, settings: dict[str, Any], label: str, data: xr.Dataset) -> None:
        self.live = Run(settings, data, label)
        self.redraw()

    def _verdict(self, seed: int) -> str:
        """How the live run compares with the stored one."""
        if self.plan.missing:
            return "Done. There is no stored curve to compare it with."
        if self.edited:
            return "Done: your edited experiment. The stored curve is of the original one."
        if seed != self.plan.seed:
            return f"Done: seed {seed}. The stored curve is of seed {self.plan.seed}."
        gap = _store.difference(*(run.data[self.plan.losses] for run in (self.live, self.stored)))
        if gap == 0:
            return "Done: equal to the stored curve, bit for bit."
        return f"Done: differs from the stored curve by {gap:.1g} at most."

    def _disable(self, disabled: bool) -> None:
        for control in (*self.controls.values(), self.run):
            control.disabled = disabled
