"""What is in data/store belongs to the notebooks as they stand, and a slice of it is recomputed."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from definitions import experiment, uses
from machine import MADE

from course_utils import _store as store
from course_utils._runs import isolated

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
USES = [use for notebook in NOTEBOOKS for use in uses(notebook)]


def test_every_file_is_used_and_every_use_has_a_file():
    files = {path.stem for path in store.store_folder().glob("*")}
    assert files == {use.name for use in USES}
    assert set(json.loads(MADE.read_text(encoding="utf-8"))) <= files


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_it_was_made_by_the_experiment_in_the_notebook(use):
    changed = store.differences(experiment(use), store.load(use.name))
    assert not changed, f"`make data NOTEBOOKS={use.notebook.stem[:2]}` is due: {changed} changed"


@pytest.mark.parametrize(
    "use", [use for use in USES if use.function == "stored_grid"], ids=lambda use: use.name
)
def test_a_slice_of_a_labs_grid_is_recomputed(use):
    grid = store.load(use.name)
    chooser = random.Random(1)
    for _ in range(2):
        names, seed = store.settings_of(grid), int(grid["seed"][0])
        settings = {key: chooser.choice(grid[key].values.tolist()) for key in names}
        with isolated(seed):
            ours = experiment(use)(**settings, seed=seed)
        theirs = grid.sel({**settings, "seed": seed})
        for loss in [name for name in theirs.data_vars if theirs[name].dims == ("step",)]:
            # Digits move between processors and grow with every step; the first ten stay close.
            early = max(1, int((theirs["step"] < 10).sum()))  # or the first mean over a window
            early_ones = ours[loss][:early], theirs[loss][:early]
            np.testing.assert_allclose(*early_ones, rtol=0.01, err_msg=f"{loss} at {settings}")
