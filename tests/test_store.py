"""The store: a stored result counts only for the very experiment that made it."""

import functools
import importlib
import itertools
import sys
import textwrap

import numpy as np
import pytest
import torch
import xarray as xr

from course_utils import _files as files
from course_utils import _fingerprint as fingerprints
from course_utils import _store as store
from course_utils import sweeps
from course_utils._fingerprint import fingerprint
from course_utils.sweeps import SweepWarning, describe, original_runs, stored_grid, sweep

EXPERIMENT = """
    import functools
    import math
    from dataclasses import dataclass

    import torch
    from torch import nn

    RATE = 0.1
    FACTORS = {"slow": 1, "fast": [2, 3]}

    @dataclass
    class Settings:
        depth: int = 2

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(width, width)

        def forward(self, x):
            return torch.relu(self.layer(x))

    def scaled(x, by=RATE):
        return x * by

    def helper(x):
        # the middle man
        return scaled(x) + FACTORS["slow"] + Settings().depth

    unused = 1

    def experiment(width, seed):
        block = Block(width)
        unused = 3  # a local with the name of a global

        def again():
            return unused + 1

        x = torch.full((width,), 2.0) * math.pi
        return {"value": float(helper(block(x)).detach().sum()) + width + 0 * again()}
"""

EDITS = {
    "a helper of a helper": ("return x * by", "return x * by * 1.5"),
    "a constant": ("RATE = 0.1", "RATE = 0.2"),
    "a nested constant": ("[2, 3]", "[2, 4]"),
    "a class": ("torch.relu(self.layer(x))", "torch.tanh(self.layer(x))"),
    "the fields of a class": ("depth: int = 2", "depth: int = 3"),
    "the experiment": ("+ width +", "- width +"),
}
CHANGES_NOTHING = {
    "a comment": ("# the middle man", "# the man in the middle"),
    "a blank line": ("unused = 1", "\n\n    unused = 1"),
    "a docstring": ("def helper(x):", 'def helper(x):\n        "What it does."'),
    "an unused name": ("unused = 1", "unused = 2"),
}


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A function that defines the experiment from source, as running a cell again would."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = itertools.count()

    def define(old: str = "", new: str = ""):
        assert old in EXPERIMENT
        name = f"cells_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(EXPERIMENT.replace(old, new)))
        importlib.invalidate_caches()
        return importlib.import_module(name).experiment

    yield define
    for name in [name for name in sys.modules if name.startswith("cells_")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    monkeypatch.delenv("COURSE_MODE", raising=False)
    monkeypatch.delenv("COURSE_SEEDS", raising=False)
    return tmp_path / "store"


def make_data(monkeypatch, experiment, widths=(2, 3)):
    monkeypatch.setenv("COURSE_MODE", "data")
    runs = sweep(experiment, {"width": list(widths)}, name="toy", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    return runs


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_in_reach_changes_the_fingerprint(notebook, edit):
    assert fingerprint(notebook()) != fingerprint(notebook(*EDITS[edit]))


@pytest.mark.parametrize("edit", CHANGES_NOTHING)
def test_other_edits_do_not(notebook, edit):
    assert fingerprint(notebook()) == fingerprint(notebook(*CHANGES_NOTHING[edit]))


def test_constants_by_value():
    def digest(value):
        return fingerprint(functools.partial(print, value))

    assert digest(np.arange(3)) == digest(np.arange(3)) != digest(np.arange(3.0))
    assert digest(torch.ones(2)) != digest(torch.zeros(2))
    assert digest({"a": (1, 2)}) != digest({"a": [1, 2]})
    assert digest(torch.nn.Linear(1, 1, bias=False).double().half) is not None


class Factory:
    """Makes helpers that close over a value, and has methods that use one of its own."""

    def __init__(self, value):
        self.value = value

    def method(self, x):
        return x * self.value

    def closure(self):
        factor = self.value

        def helper(x):
            return x * factor

        return helper


def test_methods_closures_and_shadowed_builtins_count():
    def using(first, second=None):
        def experiment(seed):
            return first(seed), second

        return fingerprint(experiment)

    assert using(Factory(1).method) == using(Factory(1).method) != using(Factory(2).method)
    assert using(Factory(1).closure()) != using(Factory(2).closure())
    both = [using(Factory(1).closure(), Factory(value).closure()) for value in (1, 2)]
    assert both[0] != both[1], "two closures over one name"
    assert using(max) != using(min)


def test_what_refers_to_itself_comes_to_an_end():
    def countdown(n):
        return n and countdown(n - 1)

    knot = Factory(1)
    knot.value = knot

    def experiment(seed):
        return countdown(3), knot

    assert fingerprint(experiment) == fingerprint(experiment)


def test_what_cannot_be_compared_is_named():
    generator = torch.Generator()

    def experiment(seed):
        return torch.rand(1, generator=generator)

    with pytest.raises(TypeError, match="generator' is a Generator, which cannot be compared"):
        fingerprint(experiment)


def test_the_package_in_reach_counts(notebook, monkeypatch):
    from course_utils.training import train

    def experiment(seed):
        return train

    found = fingerprint(experiment)
    assert {"course_utils.training", "course_utils._environment"} <= found.keys()
    assert "course_utils.figures" not in found, "a figure cannot change a number"
    source = fingerprints._module_source
    monkeypatch.setattr(
        fingerprints, "_module_source",
        lambda name: source(name) + "\nEXTRA = 1\n" * (name == "course_utils.training"),
    )  # fmt: skip
    assert fingerprint(experiment) != found


def test_a_reader_trains_one_seed_and_reads_the_others(notebook, folder, monkeypatch):
    everything = make_data(monkeypatch, notebook())
    runs = sweep(notebook(), {"width": [2, 3]}, name="toy", workers=1)
    assert runs.attrs["runs"] == 2 and runs["stored"].values.tolist() == [False] + [True] * 4
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert "equals the stored runs, bit for bit" in describe(runs)
    assert original_runs(runs) is None


def test_a_long_table_may_come_from_the_store_altogether(notebook, folder, monkeypatch):
    everything = make_data(monkeypatch, notebook())
    runs = sweep(notebook(), {"width": [2, 3]}, name="toy", live=False, workers=1)
    assert runs.attrs["runs"] == 0 and runs["stored"].all()
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert describe(runs) == "Nothing was trained here. Seeds 0-4 come from the store."
    edited = notebook(*EDITS["a helper of a helper"])
    trained = sweep(edited, {"width": [2, 3]}, name="toy", live=False, workers=1)
    assert trained.attrs["runs"] == 2 and "2 runs trained here (seed 0)" in describe(trained)
    monkeypatch.setenv("COURSE_MODE", "verify")
    assert sweep(notebook(), {"width": [2]}, name="toy", live=False, workers=1).attrs["runs"] == 5


def test_an_edited_helper_never_gets_the_stored_result(notebook, folder, monkeypatch):
    make_data(monkeypatch, notebook())
    edited = notebook(*EDITS["a helper of a helper"])
    runs = sweep(edited, {"width": [2, 3]}, name="toy", workers=1)
    assert runs["seed"].values.tolist() == [0] and not runs["stored"].any()
    assert "differs in scaled" in describe(runs) and "full=True" in describe(runs)
    assert original_runs(runs)["seed"].size == 5, "the original is there to compare with"
    full = sweep(edited, {"width": [2, 3]}, name="toy", full=True, workers=1)
    assert full["seed"].size == 5 and not full["stored"].any()
    np.testing.assert_array_equal(full["value"].sel(seed=[0]), runs["value"])


def test_what_the_store_lacks_is_trained(notebook, folder, monkeypatch):
    make_data(monkeypatch, notebook())
    runs = sweep(notebook(), {"width": [3, 5]}, [0, 1, 9], name="toy", workers=1)
    assert runs.attrs["runs"] == 5, "seed 0 twice, seed 1 at width 5, seed 9 twice"
    assert not runs["value"].isnull().any()
    text = describe(runs)
    assert "5 runs trained here (seed 0, 1, 9)" in text, text
    assert "Seed 1 comes from the store, but for settings that it lacks." in text, text
    runs = sweep(notebook(), {"width": [3, 5]}, name="toy", live=False, workers=1)
    assert "5 runs trained here (seed 0-4)" in describe(runs)


def test_a_difference_from_the_stored_run_is_stated(notebook, folder, monkeypatch):
    everything = make_data(monkeypatch, notebook())
    stored = store.load("toy")
    stored["value"] = stored["value"] + 1e-3
    stored.to_netcdf(store.store_path("toy"), engine="scipy")
    text = describe(sweep(notebook(), {"width": [2, 3]}, name="toy", workers=1))
    assert "to within 0.001" in text and everything["value"].size == 10


def test_other_settings_never_get_the_stored_result(notebook, folder, monkeypatch):
    """The store holds one value of a setting; a grid without it means the default."""

    def two(width, seed, factor=1):
        return {"value": width * factor}

    monkeypatch.setenv("COURSE_MODE", "data")
    sweep(two, {"width": [2], "factor": [7]}, name="toy", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    fewer = sweep(two, {"width": [2]}, name="toy", workers=1)
    assert fewer["value"].values.ravel().tolist() == [2] and not fewer["stored"].any()
    assert "the settings of the grid" in describe(fewer)
    make_data(monkeypatch, notebook())
    with pytest.raises(TypeError, match="do not fit"):
        sweep(notebook(), {"width": [2], "factor": [7]}, name="toy", workers=1)


def test_make_data_stores_nothing_incomplete(notebook, folder, monkeypatch):
    def sometimes(width, seed):
        if seed == 3:
            raise ValueError("not today")
        return {"value": width}

    monkeypatch.setenv("COURSE_MODE", "data")
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="toy is not stored: 1 runs"):
        sweep(sometimes, {"width": [2]}, name="toy", workers=1)
    assert not store.store_path("toy").exists()


def test_nothing_stored_is_used_when_verifying(notebook, folder, monkeypatch):
    make_data(monkeypatch, notebook())
    monkeypatch.setenv("COURSE_MODE", "verify")
    runs = sweep(notebook(), {"width": [2, 3]}, name="toy", workers=1)
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()


def test_a_stored_file_describes_itself_without_pickle(notebook, folder, monkeypatch):
    everything = make_data(monkeypatch, notebook())
    path = store.store_path("toy")
    assert path.read_bytes()[:3] == b"CDF", "NetCDF version 3"
    plain = xr.load_dataset(path, engine="scipy")
    assert {"fingerprint", "settings", "seeds", "versions", "command", "cpu_seconds"} <= set(
        plain.attrs
    )
    assert not list(folder.glob("*.partial"))
    np.testing.assert_array_equal(store.load("toy")["value"], everything["value"])


@pytest.mark.parametrize("keep", [0, 40, 400])
def test_a_broken_file_is_named_and_takes_nothing_away(notebook, folder, monkeypatch, keep):
    everything = make_data(monkeypatch, notebook())
    path = store.store_path("toy")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(SweepWarning, match=r"toy\.nc is not a readable stored result.*git checkout"):
        runs = sweep(notebook(), {"width": [2, 3]}, name="toy", workers=1)
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()
    with pytest.warns(SweepWarning, match=r"toy\.nc"):
        assert stored_grid(notebook(), {"width": [2]}, "toy").attrs["origin"] == "missing"
    make_data(monkeypatch, notebook())  # the remedy that the message names
    assert sweep(notebook(), {"width": [2, 3]}, name="toy", workers=1).attrs["runs"] == 2


def test_make_data_asks_before_it_trains_whether_it_can_store(notebook, folder, monkeypatch):
    folder.touch()  # a file where the folder should be
    monkeypatch.setenv("COURSE_MODE", "data")
    monkeypatch.setattr(sweeps, "_train", lambda *arguments: pytest.fail("it trains first"))
    with pytest.raises(files.WriteError, match="nothing can be written into .*store"):
        sweep(notebook(), {"width": [2]}, name="toy", workers=1)


def test_the_grid_behind_a_lab(notebook, folder, monkeypatch):
    grid = {"width": [2, 3, 4]}
    assert stored_grid(notebook(), grid, "lab").attrs["origin"] == "missing"
    monkeypatch.setenv("COURSE_MODE", "data")
    fresh = stored_grid(notebook(), grid, "lab", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    again = stored_grid(notebook(), grid, "lab")
    assert again.attrs["origin"] == "stored" and again["value"].dims == ("width",)
    np.testing.assert_array_equal(fresh["value"], again["value"])
    assert stored_grid(notebook(), grid, "lab", seed=1).attrs["origin"] == "missing"

    def deeper(width, depth, seed):
        return {"value": width * depth}

    more = stored_grid(deeper, {**grid, "depth": [1]}, "lab")
    assert more.attrs["origin"] == "missing" and more.attrs["settings"] == ["width", "depth"]
    edited = stored_grid(notebook(*EDITS["a class"]), grid, "lab")
    assert edited.attrs["origin"] == "original"
    assert store.matches(notebook(), again) and not store.matches(notebook("0.1", "0.3"), again)
