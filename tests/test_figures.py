"""Figures: what is drawn where, without pyplot, with alternative text."""

import base64
import io
from itertools import combinations

import matplotlib.image as mpimg
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex, to_rgb

from course_utils import figures
from course_utils.figures import (
    COLOURS,
    GHOST,
    band,
    bands,
    label_ends,
    new_figure,
    points,
    readable,
    show,
)


def runs(more=0.0, original=None) -> xr.Dataset:
    """Three seeds, ten steps; the loss is 4 + seed and `more`, and the last run diverges."""
    loss = (4 + more + np.arange(3.0))[:, None] + np.zeros(10)
    loss[2, 6:] = np.nan
    data = {"data_loss": (("seed", "step"), loss), "diverged_at": ("seed", [-1, -1, 6])}
    return xr.Dataset(data, {"seed": range(3), "step": range(10)}, {"original": original})


EDITED = runs(original=runs(100)).isel(seed=[0])


def ends(collection):
    """Right end, lowest and highest point of a band, and its colour."""
    right, heights = collection.get_paths()[0].vertices.T
    return right.max(), heights.min(), heights.max(), to_hex(collection.get_facecolor()[0])


def test_a_band_spans_all_seeds_under_the_line_of_the_first():
    _, (ax,) = new_figure()
    band(ax, runs(), "data_loss", label="toy", colour=COLOURS[2], per_step=32)
    (line,) = ax.get_lines()
    assert line.get_ydata().tolist() == [4.0] * 10 and line.get_xdata()[-1] == 9 * 32
    assert (line.get_label(), line.get_color()) == ("toy", COLOURS[2])
    assert ends(ax.collections[0]) == (9 * 32, 4, 6, COLOURS[2].lower())


def test_the_band_of_an_edited_experiment_is_the_originals_in_grey():
    _, (ax,) = new_figure()
    band(ax, EDITED, lambda data: 2 * data["data_loss"])
    assert ax.get_lines()[0].get_ydata()[0] == 8 and ax.get_lines()[0].get_color() == COLOURS[0]
    assert ends(ax.collections[0]) == (9, 208, 212, GHOST)
    points(ax, 3, EDITED, lambda data: data["data_loss"].isel(step=0))
    grey, mark = ax.get_lines()[1:]
    assert list(grey.get_ydata()) == [104, 106] and grey.get_color() == GHOST
    assert list(mark.get_ydata()) == [4] and list(mark.get_xdata()) == [3]


def test_what_an_edit_has_added_has_no_band_and_no_note(monkeypatch):
    _, (ax,) = new_figure()
    added = EDITED.assign(mine=EDITED["data_loss"])
    band(ax, added, "mine")
    points(ax, 0, added, lambda data: data["mine"].isel(step=0))
    assert not ax.collections and len(ax.get_lines()) == 2
    shown(monkeypatch, ax.figure)
    assert not ax.figure.get_supxlabel()


def test_where_an_edit_took_a_setting_away_there_is_no_band():
    _, (ax,) = new_figure()
    wider = runs(100).expand_dims(width=[4, 8])
    band(ax, runs(original=wider).isel(seed=[0]), "data_loss")
    assert not ax.collections and len(ax.get_lines()) == 1


def test_what_has_too_many_dimensions_is_named():
    _, (ax,) = new_figure()
    with pytest.raises(ValueError, match="over 'seed' and one more dimension"):
        band(ax, runs(), "diverged_at")
    with pytest.raises(ValueError, match="over 'seed' and nothing else"):
        points(ax, 0, runs(), "data_loss")


def test_a_mean_is_of_the_last_steps_and_does_not_outlive_its_run():
    means = figures.smoothed(xr.DataArray([3.0, 1.0, 2.0, 6.0, np.nan], dims="step"), 3)
    np.testing.assert_array_equal(means, [3, 2, 2, 3, np.nan])


def test_bands_are_one_a_value_each_labelled_at_its_end():
    both = xr.concat(
        [runs(), runs(2).isel(step=slice(0, 8))], pd.Index([8, 16], name="width"), join="outer"
    )
    _, (ax,) = new_figure()
    ax.set(xlim=(0, 10), ylim=(0, 10))
    bands(ax, both, "data_loss", "width", label="{} channels", mean_of=2)
    assert [line.get_ydata()[0] for line in ax.get_lines()] == [4, 6]
    labels = {text.get_text(): text for text in ax.texts}
    assert list(labels) == ["8 channels", "16 channels"]
    assert [round(text.xy[1], 2) for text in labels.values()] == [0.4, 0.6]
    colours = [line.get_color() for line in ax.get_lines()]
    assert [text.get_color() for text in labels.values()] == colours == list(COLOURS[:2])


def test_labels_at_ends_do_not_lie_on_each_other():
    figure, (ax,) = new_figure(height=3)
    ax.plot([0, 1], [5, 5.0], label="one")
    ax.plot([0, 1], [5, 5.01], label="two")
    ax.plot([0, 1], [np.nan, np.nan], label="lost")
    ax.set_ylim(0, 10)
    label_ends(ax)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 3 and not any(one.overlaps(two) for one, two in combinations(boxes, 2))


def test_a_readable_table_cuts_nothing_off_and_shows_its_named_index():
    sentence = "It rises, " * 20 + "<and> stays."
    frame = pd.DataFrame({"claim": [sentence], "n": [5]}).set_index("claim")
    shown = readable(frame)
    assert sentence in repr(shown) and "&lt;and&gt; stays." in shown.html
    assert shown.html.count("text-align: left") >= 2


def shown(monkeypatch, figure, caption=""):
    """The picture that a notebook gets of `figure`, and the rest of its message."""
    messages = []
    monkeypatch.setattr(figures.InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(figures, "display", lambda *data, **rest: messages.append((*data, rest)))
    show(figure, "Nothing but axes.", caption)
    ((data, rest),) = messages
    return base64.b64decode(data["image/png"]), data["text/plain"], rest


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: band(ax, EDITED, "data_loss"),
        lambda ax: points(ax, 0, EDITED, lambda data: data["data_loss"].isel(step=0)),
    ],
)
def test_a_picture_carries_its_alternative_text(monkeypatch, capsys, draw):
    figure, (ax,) = new_figure()
    show(figure, "Nothing but axes.")
    assert capsys.readouterr().out == "Figure: Nothing but axes.\n", "a script prints no picture"
    picture, text, rest = shown(monkeypatch, figure)
    assert picture.startswith(b"\x89PNG") and text == "Figure: Nothing but axes."
    assert rest == {"raw": True, "metadata": {"image/png": {"alt": "Nothing but axes."}}}
    assert not figure.get_supxlabel() and not plt.get_fignums(), "pyplot knows nothing of it"
    draw(ax)
    picture, *_ = shown(monkeypatch, figure, "A line is a seed.")
    caption, note = figure.get_supxlabel().splitlines()
    assert caption == "A line is a seed." and "in grey: the stored runs of the original" in note
    with pytest.raises(ValueError, match="alt must be text that is not empty"):
        show(figure, " ")


def test_a_picture_is_packed_and_keeps_its_colours():
    figure, (ax,) = new_figure()
    for index, colour in enumerate(COLOURS):
        ax.plot(np.random.default_rng(index).normal(size=500).cumsum(), color=colour, linewidth=3)
    plain, packed = io.BytesIO(), io.BytesIO(figures.png(figure))
    figure.savefig(plain, format="png", facecolor="white")
    assert len(packed.getvalue()) < 0.6 * len(plain.getvalue())
    plain.seek(0)
    before, after = (mpimg.imread(picture)[..., :3] for picture in (plain, packed))
    assert before.shape == after.shape and np.abs(before - after).mean() < 0.01
    for colour in COLOURS:
        apart = np.abs(after - np.array(to_rgb(colour))).max(-1)
        assert (apart < 0.03).sum() > 50, colour
