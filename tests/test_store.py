"""The store: a stored result counts only for the very experiment that made it."""

import numpy as np
import pytest
import torch
import xarray as xr

from course_utils import _store as store
from course_utils import sweeps
from course_utils.figures import original_of
from course_utils.sweeps import SweepWarning, describe, join, stored, stored_grid, sweep

GRID = {"width": [2, 3]}
FACTOR = 1


def experiment(width, seed):
    return {"value": float(torch.rand(1)) + width * FACTOR}


def edited(width, seed):
    return {"value": 10.0 * width}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    monkeypatch.delenv("COURSE_MODE", raising=False)
    monkeypatch.delenv("COURSE_SEEDS", raising=False)
    return tmp_path / "store"


def toy(function=experiment, grid=GRID, *seeds, **options):
    return sweep(function, grid, *seeds, name="toy", workers=1, **options)


@pytest.fixture
def make_data(folder, monkeypatch):
    """A function that stores a sweep."""

    def make(*arguments):
        with monkeypatch.context() as patch:
            patch.setenv("COURSE_MODE", "data")
            return toy(*arguments)

    return make


@pytest.fixture
def everything(make_data):
    """All runs of the experiment, which are in the store."""
    return make_data()


def change_stored(change) -> xr.Dataset:
    changed = store.load("toy")
    changed["value"] = change(changed["value"])
    changed.to_netcdf(store.store_path("toy"), engine="scipy")
    return changed


def test_a_reader_trains_one_seed_and_reads_the_others(everything):
    runs = toy()
    assert runs.attrs["runs"] == 2 and runs["stored"].values.tolist() == [False] + [True] * 4
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert "equals the stored runs, bit for bit" in describe(runs)
    assert original_of(runs) is None


def test_a_long_table_may_come_from_the_store_altogether(everything):
    runs = toy(live=False)
    assert runs.attrs["runs"] == 0 and runs["stored"].all()
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert describe(runs) == "Nothing was trained here. Seeds 0-4 come from the store."
    assert "2 runs trained here (seed 0)" in describe(toy(edited, live=False))


@pytest.mark.parametrize("live", [True, False])
def test_nothing_stored_is_used_when_verifying(everything, monkeypatch, live):
    monkeypatch.setenv("COURSE_MODE", "verify")
    runs = toy(live=live)
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()


def test_where_claims_are_judged_on_other_seeds_the_rest_is_read(everything, monkeypatch):
    monkeypatch.setenv("COURSE_MODE", "claims")
    monkeypatch.setenv("COURSE_SEEDS", "7,8")
    claimed, rest = toy(), toy(claimed=False)
    assert claimed["seed"].values.tolist() == [7, 8] and not claimed["stored"].any()
    assert rest.attrs["runs"] == 0 and rest["seed"].size == 5 and rest["stored"].all()
    assert toy(edited, claimed=False)["seed"].values.tolist() == [7]  # these are not the store's


def test_an_edited_helper_never_gets_the_stored_result(everything):
    runs = toy(edited)
    assert runs["seed"].values.tolist() == [0] and not runs["stored"].any()
    assert "differs in FACTOR, experiment" in describe(runs) and "full=True" in describe(runs)
    assert original_of(runs)["seed"].size == 5, "the original is there to compare with"
    full = toy(edited, full=True)
    assert full["seed"].size == 5 and not full["stored"].any()
    np.testing.assert_array_equal(full["value"].sel(seed=[0]), runs["value"])


def test_make_data_trains_what_is_stale_and_nothing_else(everything, make_data, monkeypatch):
    again = make_data()
    assert everything.attrs["runs"] == 10 and again.attrs["runs"] == 0 and again["stored"].all()
    monkeypatch.setitem(globals(), "FACTOR", 2)
    assert make_data().attrs["runs"] == 10
    assert toy()["stored"].sum() == 4


def test_another_torch_is_named_once_and_the_runs_are_used(everything, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "99.0+cpu")
    monkeypatch.setattr(sweeps, "_torches_named", set())
    runs = [toy(), toy()]
    assert runs[0]["stored"].sum() == 4
    assert ["this is 99.0+cpu" in describe(one) for one in runs] == [True, False]


def test_sweeps_are_joined_with_their_originals(everything):
    joined = join([toy(edited).isel(width=[place]) for place in (0, 1)], "width")
    assert joined["value"].sel(seed=0).values.tolist() == [20, 30]
    assert original_of(joined)["value"].sizes["seed"] == 5
    assert original_of(join([toy()], "width")) is None


def test_what_the_store_lacks_is_trained(everything):
    runs = toy(experiment, {"width": [3, 5]}, [0, 1, 9])
    assert runs.attrs["runs"] == 5, "seed 0 twice, seed 1 at width 5, seed 9 twice"
    assert not runs["value"].isnull().any()
    assert "5 runs trained here (seed 0, 1, 9)" in describe(runs)
    assert "Seed 1 comes from the store, but for settings that it lacks." in describe(runs)


def test_other_settings_never_get_the_stored_result(make_data):
    """The store holds one value of a setting; a grid without it means the default."""

    def two(width, seed, factor=1):
        return {"value": width * factor}

    make_data(two, {"width": [2], "factor": [7]})
    fewer = toy(two, {"width": [2]})
    assert fewer["value"].values.ravel().tolist() == [2] and not fewer["stored"].any()
    assert "the settings of the grid" in describe(fewer)


def test_make_data_stores_nothing_incomplete(make_data):
    def sometimes(width, seed):
        if seed == 3:
            raise ValueError("not today")
        return {"value": width}

    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="toy is not stored: 2 runs"):
        make_data(sometimes)
    assert not store.store_path("toy").exists()


def test_a_broken_file_is_named_and_takes_nothing_away(everything, make_data):
    path = store.store_path("toy")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.warns(SweepWarning, match=r"toy\.nc is not a readable stored result.*git checkout"):
        runs = toy()
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()
    with pytest.warns(SweepWarning, match=r"toy\.nc"):
        assert stored_grid(experiment, {"width": [2]}, "toy").attrs["origin"] == "missing"
    with pytest.warns(SweepWarning, match=r"toy\.nc"):
        make_data()  # the remedy that the message names
    assert toy().attrs["runs"] == 2


def test_the_grid_behind_a_lab(folder, monkeypatch):
    assert stored_grid(experiment, GRID, "lab").attrs["origin"] == "missing"
    monkeypatch.setenv("COURSE_MODE", "data")
    fresh = stored_grid(experiment, GRID, "lab", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    again = stored_grid(experiment, GRID, "lab")
    assert again.attrs["origin"] == "stored" and again["value"].dims == ("width",)
    np.testing.assert_array_equal(fresh["value"], again["value"])
    assert stored_grid(experiment, GRID, "lab", seed=1).attrs["origin"] == "missing"
    assert stored_grid(edited, GRID, "lab").attrs["origin"] == "original"

    def deeper(width, depth, seed):
        return {"value": width * depth}

    more = stored_grid(deeper, {**GRID, "depth": [1]}, "lab")
    assert more.attrs["origin"] == "missing" and more.attrs["settings"] == ["width", "depth"]


def test_a_run_that_is_nan_on_one_side_only_differs_from_the_stored_one(everything):
    change_stored(lambda value: value + 1e-3)
    assert "to within 0.001" in describe(toy())
    change_stored(lambda value: value + 500)
    assert "parts with some stored runs" in describe(toy())
    stored = change_stored(lambda value: value.where((value["width"] > 2) | (value["seed"] > 0)))
    assert toy().attrs["difference"] == np.inf
    assert stored_grid(experiment, GRID, "toy", seed=3)["value"][1] == stored["value"][1, 3]


def test_what_cannot_be_compared_is_not_what_made_a_result(everything):
    generator = torch.Generator()

    def drawing(width, seed):
        return {"value": float(torch.rand(1, generator=generator))}

    assert not store.matches(drawing, store.load("toy"))
    (reason,) = store.differences(drawing, store.load("toy"))
    assert "is a Generator, which cannot be compared" in reason


def test_several_sweeps_are_compared_with_the_store_in_one_sentence(everything):
    one, two, mine = toy(), toy(live=False), toy(edited)
    lines = describe(one, two).splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["toy", "toy"]
    assert lines[2:] == ["What was trained here equals the stored runs, bit for bit."]
    assert "differs in" in describe(one, mine).splitlines()[1]
    assert "bit for bit" in describe(one, mine).splitlines()[2]
    with pytest.raises(TypeError, match="runs must be what sweep returns, got a Dataset"):
        describe(one, xr.Dataset())


def test_what_is_stored_can_be_had_as_it_is(everything):
    assert stored("toy")["value"].equals(everything["value"].drop_vars("stored"))
    assert stored("nothing") is None
