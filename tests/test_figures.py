"""Figures: what is drawn where, without pyplot, with alternative text."""

import base64
import io

import matplotlib.image as mpimg
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from course_utils import figures
from course_utils.claims import Claim
from course_utils.figures import curves, forest, new_figure, show


def runs(changed=()) -> xr.Dataset:
    """Two widths, three seeds, ten steps; the loss is width + seed, and one run diverges."""
    loss = np.add.outer(np.array([4.0, 8.0]), np.arange(3.0))[..., None] + np.zeros(10)
    loss[1, 0, 6:] = np.nan
    diverged = np.full((2, 3), -1)
    diverged[1, 0] = 6
    data = xr.Dataset(
        {
            "data_loss": (("width", "seed", "step"), loss),
            "diverged_at": (("width", "seed"), diverged),
        },
        {"width": [4, 8], "seed": [0, 1, 2], "step": range(10)},
        {"name": "toy", "changed": list(changed)},
    )
    return data.assign_coords(stored=("seed", [False, True, True]))


def test_lines_are_the_first_seed_and_bands_span_all():
    _, (ax,) = new_figure()
    curves(ax, runs(), "data_loss", over="width", axis=("examples", 32))
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert lines["width 4"].get_ydata().tolist() == [4.0] * 10
    assert lines["width 4"].get_xdata()[-1] == 9 * 32 and ax.get_xlabel() == "examples"
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (4.0, 6.0)


def test_divergence_is_marked_and_no_mean_outlives_it():
    _, (ax,) = new_figure()
    curves(ax, runs(), "data_loss", over="width", smooth=3)
    assert "diverged at step 6" in [text.get_text() for text in ax.texts]
    line = next(line for line in ax.get_lines() if line.get_label() == "width 8")
    assert np.isnan(line.get_ydata()[6:]).all() and np.isfinite(line.get_ydata()[:6]).all()


def test_the_band_of_an_edited_experiment_is_the_originals_in_grey(monkeypatch):
    original = runs()
    original["data_loss"] = original["data_loss"] + 100
    monkeypatch.setattr(figures, "original_runs", lambda data: original)
    _, (ax,) = new_figure()
    curves(ax, runs(["helper"]).isel(seed=[0]), "data_loss", over="width")
    assert ax.collections[0].get_paths()[0].vertices[:, 1].min() == 104
    assert ax.get_lines()[0].get_ydata()[0] == 4


def test_unknown_names_are_named():
    _, (ax,) = new_figure()
    with pytest.raises(ValueError, match="no 'loss' over 'width' in these runs"):
        curves(ax, runs(), "loss", over="width")
    with pytest.raises(ValueError, match="settings width, seed, step"):
        curves(ax, runs(), "data_loss", over="depth")


def test_a_forest_plot_has_a_row_for_each_claim_even_without_a_number():
    seeds = xr.DataArray([0.3, 0.4, 0.1], {"seed": [0, 1, 2]})
    claims = [
        Claim("up", "s", seeds, above=0.2),
        Claim("zero", "s", seeds * 0, above=0.0),
        Claim("nan", "s", seeds * np.nan, above=0.0),
    ]
    ax = forest(claims).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["up", "zero", "nan"]
    points = ax.get_lines()[1].get_xdata()
    assert sorted(np.sign(points)) == [-1, 1, 1] and abs(points).max() == 1


def test_a_picture_carries_its_alternative_text(monkeypatch):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(figures, "display", lambda data, **options: shown.append((data, options)))
    figure, _ = new_figure()
    show(figure, "Nothing but axes.")
    data, options = shown[0]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "Nothing but axes." in data["text/plain"]
    assert options["metadata"]["image/png"]["alt"] == "Nothing but axes."
    assert not plt.get_fignums(), "nothing is registered with pyplot"
    with pytest.raises(ValueError, match="alt must say"):
        show(figure, " ")


def test_a_picture_is_packed_and_keeps_its_colours():
    figure, (ax,) = new_figure()
    for index, colour in enumerate(figures.COLOURS):
        ax.plot(np.random.default_rng(index).normal(size=500).cumsum(), color=colour, linewidth=3)
    plain = io.BytesIO()
    figure.savefig(plain, format="png", facecolor="white")
    packed = figures.png(figure)
    assert len(packed) < 0.6 * len(plain.getvalue())
    before, after = (mpimg.imread(io.BytesIO(b))[..., :3] for b in (plain.getvalue(), packed))
    assert before.shape == after.shape and np.abs(before - after).mean() < 0.01
    for colour in figures.COLOURS:
        apart = np.abs(after - np.array(to_rgb(colour))).max(-1)
        assert (apart < 0.03).sum() > 50, colour
