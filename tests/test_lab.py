"""The lab without a kernel and a browser: widgets are ordinary objects in an ordinary process."""

import gc
import io
import threading
import weakref
from base64 import b64decode

import ipywidgets
import lab_example
import matplotlib
import numpy as np
import pytest
import xarray as xr
from lab_example import GRID, STEPS, experiment, stored_example
from matplotlib._pylab_helpers import Gcf

from course_utils import _front_end as main_thread
from course_utils import _lab as lab_module
from course_utils._lab_picture import Line, fit_scale, grid_range
from course_utils.training import train
from course_utils.widgets import lab

AXES = {"step": 1, "example": 64, "FLOP": lambda settings: 1e3 * settings["width"]}


@pytest.fixture(scope="module")
def grid():
    return stored_example()


@pytest.fixture
def knobs(grid):
    shown = lab("test", experiment, grid, axes=AXES)
    yield shown
    shown.close()
    assert shown.last_error is None


def pixels(knobs) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(knobs.image.value))[..., :3]


def shows(knobs, colour: str) -> bool:
    """Whether the picture has a curve of that colour, not just the smoothed edge of a letter."""
    wanted = np.array(matplotlib.colors.to_rgb(colour))
    return int((np.abs(pixels(knobs) - wanted).max(-1) < 0.01).sum()) > 50


STORED, LIVE, GHOST = "#0072B2", "#D55E00", "#8a8a8a"


@pytest.mark.parametrize("key", [*GRID, "loss", "axis"])
def test_every_control_changes_the_picture_at_both_ends(knobs, key):
    knobs.controls["penalty_strength"].value = 0.001  # without a penalty, its kind does not matter
    control = knobs.controls[key]
    for index in (len(control.options) - 1, 0):
        before = knobs.image.value
        control.index = index
        assert knobs.image.value != before


def test_a_disconnected_control_does_not_change_the_picture(knobs):
    before = knobs.image.value
    knobs.controls["width"].unobserve_all()
    knobs.controls["width"].index = 1
    assert knobs.image.value == before


def test_the_previous_curve_stays_as_a_ghost(knobs):
    assert shows(knobs, STORED) and not shows(knobs, GHOST)
    knobs.controls["width"].value = 8
    assert shows(knobs, GHOST) and knobs.ghost.settings["width"] == 2
    knobs.controls["loss"].value = "data_loss"  # the same ghost, of the other loss
    assert knobs.ghost.settings["width"] == 2
    knobs.controls["penalty_strength"].value = 0.01
    assert knobs.ghost.settings == {"width": 8, "penalty_strength": 0.0, "kind": "L2"}


def test_the_status_says_the_settings_and_what_the_curve_does(knobs, grid):
    knobs.controls["width"].value = 8
    curve = grid["reported_loss"].sel(width=8, penalty_strength=0.0, kind="L2").values
    text = f"width 8, penalty strength 0, kind L2: reported loss {curve[0]:.3g} at first"
    assert text in knobs.status.value
    assert 'role="status" aria-live="polite"' in knobs.status.value


def test_a_diverged_run_is_drawn_as_such(knobs, grid, monkeypatch):
    notes = []
    monkeypatch.setattr(
        matplotlib.axes.Axes, "annotate", lambda self, text, *a, **k: notes.append(text)
    )
    knobs.controls["width"].value = 64
    step = int(grid["diverged_at"].sel(width=64, penalty_strength=0.0, kind="L2"))
    assert 0 < step < STEPS
    assert (
        notes == [f"diverged at step {step}"] and f"diverged at step {step}." in knobs.status.value
    )
    assert shows(knobs, STORED)


def test_curves_that_diverged_at_once_or_overflow_are_drawn(grid):
    bad = grid.copy(deep=True)
    for name in ("data_loss", "reported_loss"):
        bad[name].values[0] = np.nan
        bad[name].values[1, ..., 5:] = 3e38
    bad["diverged_at"].values[0], bad["diverged_at"].values[1] = 0, 6
    knobs = lab("bad", experiment, bad)
    assert "diverged at step 0" in knobs.status.value
    knobs.controls["width"].value = 8
    assert "diverged at step 6" in knobs.status.value and shows(knobs, STORED)
    knobs.close()


def test_one_point_of_the_grid_may_be_missing(grid):
    holes = grid.reindex(width=[2, 3, 8])
    knobs = lab("holes", experiment, holes, start={"width": 3})
    assert "no stored curve" in knobs.status.value and not shows(knobs, STORED)
    knobs.controls["width"].value = 8
    assert shows(knobs, STORED) and knobs.last_error is None
    knobs.close()


def test_the_y_axis_is_the_same_for_the_whole_grid_unless_curves_are_far_from_its_top():
    def scale(*values):
        line = Line("stored", "", np.arange(2.0), np.array(values), -1)
        return fit_scale("x", "y", (0.0, 9.0), [line])

    top = scale(9.0, 1.0).top
    assert top == pytest.approx(1.05 * 9) and scale(4.0, 1.0).top == top
    assert scale(2.9, 1.0).top == pytest.approx(top / 3)
    assert scale(0.9, 0.5).top == pytest.approx(top / 9)
    assert scale(20.0, 0.5).top == pytest.approx(top * 3)  # an edited experiment may leave the grid
    assert scale(9.0, -4.0).bottom == -4.0
    assert scale(9.0, 1.0).right == 2.0


def test_diverged_runs_do_not_set_the_scale(grid):
    highest = grid["reported_loss"].sel(width=[2, 8]).max()
    assert grid_range(grid, "reported_loss") == (0.0, pytest.approx(float(highest)))
    first = grid["reported_loss"].sel(width=[64]).isel(step=0).max()
    only = grid_range(grid.sel(width=[64]), "reported_loss")
    assert only == (0.0, pytest.approx(float(first)))


def test_run_live_draws_the_same_curve_again(knobs):
    knobs.controls["width"].value = 8
    assert not shows(knobs, LIVE)
    knobs.run.click()
    assert "Done: equal to the stored curve, bit for bit." in knobs.status.value
    assert shows(knobs, LIVE)
    knobs.controls["width"].value = 2  # the live curve is now the one before
    assert knobs.live is None and knobs.ghost.label == "live run, seed 0"


def test_run_live_with_another_seed(knobs):
    knobs.run.click()
    knobs.controls["seed"].value = 3
    knobs.run.click()
    assert "Done: seed 3. The stored curve is of seed 0." in knobs.status.value
    assert (knobs.ghost.label, knobs.live.label) == ("live run, seed 0", "live run, seed 3")


def test_run_live_reports_a_difference(grid):
    moved = grid.copy(deep=True)
    moved["data_loss"].values[0] += 0.5
    knobs = lab("moved", experiment, moved)
    knobs.run.click()
    assert "differs from the stored curve by 0.5 at most" in knobs.status.value
    moved["data_loss"].values[0, ..., -1] = np.nan
    knobs.run.click()
    assert "differs from the stored curve by inf" in knobs.status.value
    knobs.close()


def test_run_live_of_a_diverging_run(knobs):
    knobs.controls["width"].value = 64
    knobs.run.click()
    assert "bit for bit" in knobs.status.value and knobs.live.diverged_at > 0


def test_run_live_takes_the_experiment_as_it_now_stands(knobs, monkeypatch):
    def edited(width, penalty_strength, kind, seed):
        return experiment(width, 10 * penalty_strength + 0.001, kind, seed)

    monkeypatch.setattr(lab_example, "experiment", edited)
    assert "stored" in knobs.stored.label
    knobs.run.click()
    assert "your edited experiment. The stored curve is of the original" in knobs.status.value
    assert knobs.live.label == "your edited experiment, seed 0"
    assert knobs.stored.label == "original experiment, seed 0"
    monkeypatch.undo()
    knobs.run.click()
    assert "bit for bit" in knobs.status.value and knobs.stored.label == "stored, seed 0"


def test_a_grid_of_the_original_experiment_is_labelled_so():
    knobs = lab("original", experiment, stored_example("original"))
    assert knobs.stored.label == "original experiment, seed 0"
    assert "of the original experiment" in knobs.status.value
    knobs.close()


def test_a_missing_grid_still_runs_live():
    knobs = lab("missing", experiment, stored_example("missing"))
    assert "No stored curves exist" in knobs.status.value and not shows(knobs, STORED)
    knobs.run.click()
    assert "Done. There is no stored curve" in knobs.status.value and shows(knobs, LIVE)
    assert knobs.live.label == "live run, seed 0"
    knobs.controls["width"].value = 8
    assert shows(knobs, GHOST) and knobs.last_error is None
    knobs.close()


def replaced(monkeypatch, body):
    """Let the notebook's experiment be another function with the same arguments."""
    monkeypatch.setattr(
        lab_example, "experiment", lambda width, penalty_strength, kind, seed: body()
    )


def test_controls_rest_and_the_curve_grows_while_a_run_is_live(knobs, monkeypatch):
    pictures, resting = [], []

    def watched(width, penalty_strength, kind, seed):
        resting.append([c.disabled for c in (*knobs.controls.values(), knobs.run)])
        pictures.append(knobs.image.value)
        return experiment(width, penalty_strength, kind, seed)

    monkeypatch.setattr("course_utils.training.REDRAW_SECONDS", 0)
    monkeypatch.setattr(lab_example, "STEPS", 5)
    monkeypatch.setattr(lab_example, "experiment", watched)
    knobs.image.observe(lambda change: pictures.append(change["new"]), names="value")
    knobs.run.click()
    assert all(resting[0]) and not knobs.run.disabled
    assert len(set(pictures)) >= 5


def test_an_interrupted_run_keeps_what_it_has(knobs, monkeypatch, grid):
    def interrupted(width, penalty_strength, kind, seed):
        def stop(losses):
            raise KeyboardInterrupt

        def stopping(*arguments, **options):
            return train(*arguments, **options, stop_when=stop)

        monkeypatch.setattr(lab_example, "train", stopping)
        return experiment(width, penalty_strength, kind, seed)

    monkeypatch.setattr(lab_example, "experiment", interrupted)
    knobs.run.click()
    assert "Interrupted: kept your edited experiment, seed 0" in knobs.status.value
    assert knobs.live.data["steps_done"] == 25 and shows(knobs, LIVE)
    assert not knobs.run.disabled


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_before_the_first_step(knobs, monkeypatch):
    replaced(monkeypatch, interrupt)
    knobs.run.click()
    assert "Interrupted: no step done" in knobs.status.value and not knobs.run.disabled


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero (in "),
        (lambda: {"loss": 1}, "TypeError: the experiment must return a Dataset over step, got a"),
        (lambda: xr.Dataset({"a": ("step", [1.0])}), "must return &#x27;reported_loss&#x27;; it"),
    ],
)
def test_an_error_of_the_experiment_is_shown_and_nothing_is_lost(grid, monkeypatch, body, says):
    knobs = lab("errors", experiment, grid)
    replaced(monkeypatch, body)
    knobs.run.click()
    assert says in knobs.status.value
    assert isinstance(knobs.last_error, Exception) and shows(knobs, STORED)
    knobs.controls["width"].value = 8
    assert knobs.last_error is None and not knobs.run.disabled
    knobs.close()


def test_the_annotation_gets_what_it_names_and_does_not_pile_up(grid):
    seen = []

    def formula(ax, settings, loss):
        ax.axhline(0.3, color="#00ff00", label="formula")
        seen.append((settings["width"], loss, len(ax.lines)))

    knobs = lab("formula", experiment, grid, annotate=formula)
    assert shows(knobs, "#00ff00")
    knobs.controls["width"].value = 8
    knobs.controls["loss"].value = "data_loss"
    knobs.controls["width"].value = 2
    assert seen == [
        (2, "reported_loss", 2),
        (8, "reported_loss", 3),
        (8, "data_loss", 3),
        (2, "data_loss", 3),
    ]
    knobs.close()


def test_an_axis_may_depend_on_the_settings(knobs):
    knobs.controls["axis"].value = "FLOP"
    knobs.controls["width"].value = 8
    scale = next(iter(knobs.picture.frames))
    assert scale.x_label == "FLOP" and scale.right == 8e3 * STEPS


def test_words_replace_names(grid):
    words = {"penalty_strength": "λ", "reported_loss": "what it reports"}
    knobs = lab("words", experiment, grid, labels=words, start={"penalty_strength": 0.001})
    assert "λ 0.001, kind L2: what it reports" in knobs.status.value
    assert knobs.controls["penalty_strength"].description == "λ"
    knobs.close()


def open_widgets() -> int:
    gc.collect()
    return len(ipywidgets.widgets.widget._instances)


def test_a_cell_run_twice_closes_the_first_lab(grid):
    first = lab("twice", experiment, grid)
    count, dead = open_widgets(), weakref.ref(first.picture.figure)
    second = lab("twice", experiment, grid)
    assert open_widgets() == count and first.comm is None
    assert first.controls["width"].comm is None and lab_module._open["twice"] is second
    del first
    gc.collect()
    assert dead() is None
    second.close()
    assert "twice" not in lab_module._open


@pytest.mark.slow
def test_two_hundred_moves_leave_nothing_behind(knobs):
    count, artists = open_widgets(), len(knobs.picture.axes.get_children())
    for move in range(200):
        key = ("width", "axis", "loss", "kind")[move % 4]
        control = knobs.controls[key]
        control.index = (control.index + 1) % len(control.options)
    assert open_widgets() == count
    assert len(knobs.picture.axes.get_children()) <= artists + 1  # the legend
    assert len(knobs.picture.frames) == 1
    assert not Gcf.figs  # nothing is registered with pyplot


def test_several_moves_that_arrive_at_once_leave_the_right_ghost(knobs, monkeypatch):
    late = []
    monkeypatch.setattr(lab_module, "in_main_thread", late.append)
    knobs.controls["width"].value = 8
    knobs.controls["penalty_strength"].value = 0.01
    for action in late:
        action()
    assert knobs.ghost.settings == {"width": 2, "penalty_strength": 0.0, "kind": "L2"}
    assert knobs.stored.settings == {"width": 8, "penalty_strength": 0.01, "kind": "L2"}


def test_callbacks_of_another_thread_wait_for_the_main_thread(monkeypatch):
    class Shell:
        class kernel:
            class io_loop:
                waiting = []
                add_callback = waiting.append

    monkeypatch.setattr(main_thread, "get_ipython", lambda: Shell)
    called = []
    thread = threading.Thread(target=main_thread.in_main_thread, args=(lambda: called.append(1),))
    thread.start()
    thread.join()
    assert not called and len(Shell.kernel.io_loop.waiting) == 1
    main_thread.in_main_thread(lambda: called.append(2))
    assert called == [2]


def test_the_picture_is_there_without_a_kernel(knobs):
    bundle = knobs._repr_mimebundle_()
    assert b64decode(bundle["image/png"]) == knobs.image.value
    assert bundle["text/plain"] == "Lab 'test': width, penalty_strength, kind"
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"start": {"width": 3}}, ValueError, "start: width 3 is not in the grid, which has 2, 8"),
        ({"start": {"depth": 3}}, ValueError, "start may name width.*got depth"),
        ({"labels": {"depth": "d"}}, ValueError, "labels may name width.*got depth"),
        (
            {"losses": ["accuracy"]},
            ValueError,
            "'accuracy' is not in the grid, which has data_loss",
        ),
        ({"losses": ["diverged_at"]}, ValueError, "'diverged_at' must be a curve over step"),
        ({"losses": []}, ValueError, "losses must name at least one"),
        ({"axes": {}}, ValueError, "axes must name at least one"),
        ({"axes": {"step": 0}}, ValueError, r"axes\['step'\] must be a number of units"),
        ({"experiment": 3}, TypeError, "experiment must be a function, got 3"),
        (
            {"experiment": lambda width, seed: 0},
            ValueError,
            "does not fit the grid, whose settings",
        ),
        (
            {"experiment": lambda width, penalty_strength, kind: 0},
            ValueError,
            "must also accept seed",
        ),
        ({"grid": {"a": 1}}, TypeError, "grid must be what stored_grid returns, got a dict"),
        ({"grid": xr.Dataset()}, TypeError, "grid must be what stored_grid returns, got a Dataset"),
    ],
)
def test_lab_refuses_what_does_not_fit(grid, arguments, error, says):
    before = open_widgets()
    with pytest.raises(error, match=says):
        lab("refused", **{"experiment": experiment, "grid": grid, **arguments})
    assert open_widgets() == before and "refused" not in lab_module._open


def test_a_setting_may_not_have_the_name_of_another_control(grid):
    def loss_is_a_setting(penalty_strength, loss, kind, seed):
        raise AssertionError("never called")

    renamed = grid.rename(width="loss").assign_attrs(settings=["penalty_strength", "loss", "kind"])
    with pytest.raises(ValueError, match="setting 'loss': the lab has a control of that name"):
        lab("test", loss_is_a_setting, renamed)
