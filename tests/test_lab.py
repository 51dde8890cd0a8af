"""The lab without a kernel and a browser: widgets are ordinary objects in an ordinary process."""

import gc
import io
import signal
import threading
import weakref
from base64 import b64decode
from types import SimpleNamespace

import ipywidgets
import lab_example
import matplotlib
import numpy as np
import pytest
import xarray as xr
from lab_example import STEPS, experiment, stored_example
from matplotlib._pylab_helpers import Gcf

from course_utils import _front_end, _lab
from course_utils._lab_picture import Line, fit_scale, grid_range
from course_utils._runs import isolated
from course_utils.training import train
from course_utils.widgets import lab

AXES = {"step": 1, "example": 64, "FLOP": lambda settings: 1e3 * settings["width"]}
STORED, LIVE, GHOST = "#0072B2", "#D55E00", "#8a8a8a"


@pytest.fixture(scope="module")
def grid():
    return stored_example()


@pytest.fixture
def make(grid):
    """A function that opens the lab of the test, over `grid` or another one."""
    yield lambda over=grid, **options: lab("test", experiment, over, **options)
    for shown in list(_lab._open.values()):
        shown.close()


@pytest.fixture
def knobs(make):
    shown = make(axes=AXES)
    yield shown
    assert shown.last_error is None


@pytest.fixture
def edit(monkeypatch):
    """A function that makes another one the notebook's experiment: ``edit(body)``."""
    return lambda body: monkeypatch.setattr(
        lab_example, "experiment", lambda width, penalty_strength, kind, seed: body()
    )


def shows(knobs, colour: str) -> bool:
    """Whether the picture has a curve of that colour, not just the smoothed edge of a letter."""
    pixels = matplotlib.image.imread(io.BytesIO(knobs.image.value))[..., :3]
    wanted = np.array(matplotlib.colors.to_rgb(colour))
    return int((np.abs(pixels - wanted).max(-1) < 0.01).sum()) > 50


def test_the_previous_curve_stays_as_a_ghost(knobs, monkeypatch):
    assert shows(knobs, STORED) and not shows(knobs, GHOST)
    knobs.controls["width"].value = 8
    knobs.controls["loss"].value = "data_loss"  # the same ghost, of the other loss
    assert shows(knobs, GHOST) and knobs.ghost.settings["width"] == 2
    assert knobs._line("before", knobs.ghost, "penalty", "step").label == "before: width 2"
    late = []  # several moves that arrive at once, because the kernel was busy, are one
    monkeypatch.setattr(_lab, "in_main_thread", late.append)
    knobs.controls["width"].value = 64
    knobs.controls["penalty_strength"].value = 0.01
    for action in late:
        action()
    assert knobs.ghost.settings == {"width": 8, "penalty_strength": 0.0, "kind": "L2"}
    assert knobs.stored.settings == {"width": 64, "penalty_strength": 0.01, "kind": "L2"}


def test_the_status_says_the_settings_and_the_curve_in_the_readers_words(make, grid):
    labels = {"penalty_strength": "λ", "reported_loss": "what it reports"}
    knobs = make(labels=labels, start={"width": 8, "penalty_strength": 0.001})
    curve = grid["reported_loss"].sel(width=8, penalty_strength=0.001, kind="L2").values
    ends = f"{curve[0]:.3g} at first, {curve[-10:].mean():.3g} in the last 10 steps."
    assert f"width 8, λ 0.001, kind L2: what it reports {ends}" in knobs.status.value
    assert 'role="status" aria-live="polite"' in knobs.status.value


def test_an_axis_may_depend_on_the_settings_each_curve_has_its_own(knobs):
    knobs.controls["axis"].value = "FLOP"
    for width in (8, 2):  # at 2, the ghost of 8 still reaches as far
        knobs.controls["width"].value = width
        assert knobs.picture.scale["xlabel"] == "FLOP"
        assert knobs.picture.scale["xlim"] == (0, 8e3 * STEPS)


def test_diverged_and_missing_curves_are_shown_as_such(make, grid):
    odd, marks = grid.reindex(width=[2, 8, 64, 3]).copy(deep=True), []
    for name in ("data_loss", "reported_loss"):
        odd[name].loc[{"width": 2}] = np.nan
        odd[name].loc[{"width": 8, "step": slice(5, None)}] = 3e38
    odd["diverged_at"].loc[{"width": 2}], odd["diverged_at"].loc[{"width": 8}] = 0, 6
    step = int(odd["diverged_at"].sel(width=64, penalty_strength=0.0, kind="L2"))
    knobs = make(odd, annotate=lambda ax: marks.extend(text.get_text() for text in ax.texts))
    for width, diverged in ((2, 0), (8, 6), (64, step)):
        knobs.controls["width"].value = width
        assert f"diverged at step {diverged}." in knobs.status.value
        assert marks[-1] == f"diverged at step {diverged}"
    assert 0 < step < STEPS and shows(knobs, STORED)
    knobs.controls["width"].value = 3
    assert "no stored curve" in knobs.status.value and not shows(knobs, STORED)
    assert shows(knobs, GHOST) and knobs.last_error is None


def test_the_scale_is_that_of_the_grid_unless_curves_are_far_from_its_top(grid):
    rows = [(9, 1, 9), (2.9, 1, 3), (20, 0.5, 27), (9, -4, 9), (4, 1e9, 9)]  # this one diverged
    for first, last, top in rows:
        diverged_at = 1 if last == 1e9 else -1
        line = Line("stored", "", np.arange(2.0), np.array([first, last], float), diverged_at)
        scale = fit_scale((0.0, 9.0), [line])
        assert scale["ylim"] == pytest.approx((min(0, last), 1.05 * top))
    highest = grid["reported_loss"].sel(width=[2, 8]).max()  # the rest diverged
    assert grid_range(grid, "reported_loss") == (0.0, pytest.approx(float(highest)))


@pytest.mark.parametrize(("width", "seed"), [(8, 0), (64, 0), (8, 3)])  # 64 diverges
def test_run_live_trains_at_the_settings_and_the_seed(knobs, width, seed):
    knobs.controls["width"].value, knobs.controls["seed"].value = width, seed
    assert not shows(knobs, LIVE)
    knobs.run.click()
    says = "seed 3. The stored curve is of seed 0" if seed else "equal to the stored curve, bit for"
    assert f"Done: {says}" in knobs.status.value and shows(knobs, LIVE)
    with isolated(seed):
        xr.testing.assert_identical(knobs.live.data, experiment(width, 0.0, "L2", seed=seed))
    assert (knobs.live.diverged_at > 0) == (width == 64)
    knobs.controls["width"].value = 2  # the live curve is now the one before
    assert knobs.live is None and knobs.ghost.label == f"live run, seed {seed}"


@pytest.mark.parametrize(("moved", "gap"), [(0.5, "0.5"), (np.nan, "inf")])
def test_run_live_reports_a_difference(make, grid, moved, gap):
    other = grid.copy(deep=True)
    other["data_loss"].loc[{"width": 2, "step": STEPS - 1}] += moved
    knobs = make(other)
    knobs.run.click()
    assert f"differs from the stored curve by {gap} at most" in knobs.status.value


def test_run_live_takes_the_experiment_as_it_now_stands(make, grid, monkeypatch, edit):
    knobs = make()
    edit(lambda: experiment(2, 0.1, "L2", seed=0))
    knobs.run.click()
    assert "your edited experiment. The stored curve is of the original" in knobs.status.value
    assert knobs.live.label == "your edited experiment, seed 0"
    assert knobs.live.data["penalty"].min() > 0
    assert knobs.stored.label == "original experiment, seed 0"
    monkeypatch.undo()
    knobs.run.click()
    assert "bit for bit" in knobs.status.value and knobs.stored.label == "stored, seed 0"
    knobs = make(grid.assign_attrs(origin="original"))  # edited before the lab was opened
    assert knobs.stored.label == "original experiment, seed 0"
    assert "of the original experiment" in knobs.status.value


def test_a_missing_grid_still_runs_live(make):
    knobs = make(stored_example("missing"))
    assert "no stored curve. Press Run live" in knobs.status.value and not shows(knobs, STORED)
    knobs.run.click()
    assert "Done. There is no stored curve" in knobs.status.value and shows(knobs, LIVE)
    knobs.controls["width"].value = 8
    assert shows(knobs, GHOST) and knobs.last_error is None


def test_controls_rest_and_the_curve_grows_while_a_run_is_live(knobs, monkeypatch, edit):
    def watched():
        assert all(control.disabled for control in (*knobs.controls.values(), knobs.run))
        return experiment(2, 0.0, "L2", seed=0)

    pictures = set()
    monkeypatch.setattr("course_utils.training.REDRAW_SECONDS", 0)
    monkeypatch.setattr(lab_example, "STEPS", 5)
    edit(watched)
    knobs.image.observe(lambda change: pictures.add(change["new"]), names="value")
    knobs.run.click()
    assert len(pictures) >= 5 and not knobs.run.disabled
    shown = knobs.live
    experiment(8, 0.0, "L2", seed=1)  # another cell
    assert knobs.live is shown, "outside of Run live nobody watches"


@pytest.mark.parametrize("steps", [0, 25])
def test_an_interrupted_run_keeps_what_it_has(knobs, monkeypatch, edit, steps):
    def stop(losses=None):
        signal.raise_signal(signal.SIGINT)

    def stopping(*arguments, **options):
        return train(*arguments, **options, stop_when=stop)

    monkeypatch.setattr(lab_example, "train", stopping)
    edit((lambda: experiment(2, 0.0, "L2", seed=0)) if steps else stop)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel does between two cells
    knobs.run.click()  # never raises
    assert signal.signal(signal.SIGINT, before) == signal.SIG_IGN
    kept = "kept your edited experiment, seed 0" if steps else "no step done"
    assert f"Interrupted: {kept}" in knobs.status.value and not knobs.run.disabled
    assert shows(knobs, LIVE) == bool(steps)
    assert not steps or knobs.live.data["steps_done"] == steps


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero (in "),
        (lambda: {"loss": 1}, "must return data_loss, reported_loss, step, too"),
    ],
)
def test_an_error_of_the_experiment_is_shown_and_nothing_is_lost(make, edit, body, says):
    knobs = make()
    edit(body)
    knobs.run.click()
    assert says in knobs.status.value and shows(knobs, STORED)
    knobs.controls["width"].value = 8
    assert knobs.last_error is None and not knobs.run.disabled


def test_the_annotation_gets_what_it_names_and_does_not_pile_up(make):
    def formula(ax, settings, loss):
        ax.axhline(0.3, color="#00ff00", label="formula")
        seen.append((settings["width"], loss, len(ax.lines)))

    seen = []
    knobs = make(annotate=formula)
    assert shows(knobs, "#00ff00")
    knobs.controls["width"].value = 8
    knobs.controls["loss"].value = "data_loss"
    assert seen == [(2, "reported_loss", 2), (8, "reported_loss", 3), (8, "data_loss", 3)]


def open_widgets() -> int:
    gc.collect()
    return len(ipywidgets.widgets.widget._instances)


def test_moves_and_cells_that_run_again_leave_nothing_behind(make):
    first = make()
    count, dead = open_widgets(), weakref.ref(first.picture.figure)
    for width in (8, 64, 2):
        first.controls["width"].value = width
    second = make()
    assert open_widgets() == count and not Gcf.figs  # nothing is registered with pyplot
    del first
    gc.collect()
    assert dead() is None and _lab._open == {"test": second}
    bundle, about = second._repr_mimebundle_()  # what is left without a kernel
    assert b64decode(bundle["image/png"]) == second.image.value
    assert second.said in about["image/png"]["alt"]
    with pytest.raises(ValueError, match=r"start\['width'\] must be one of 2, 8, 64; got 3"):
        make(start={"width": 3})
    assert open_widgets() == count and _lab._open["test"] is second


def test_callbacks_of_another_thread_wait_for_the_main_thread(monkeypatch):
    waiting, called = [], []
    kernel = SimpleNamespace(io_loop=SimpleNamespace(add_callback=waiting.append))
    monkeypatch.setattr(_front_end, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    thread = threading.Thread(target=_front_end.in_main_thread, args=(lambda: called.append(1),))
    thread.start()
    thread.join()
    assert not called and len(waiting) == 1
    _front_end.in_main_thread(lambda: called.append(2))
    assert called == [2]
