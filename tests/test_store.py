"""The store: a stored result counts only for the very experiment that made it."""

import numpy as np
import pytest
import torch
import xarray as xr

from course_utils import _files as files
from course_utils import _store as store
from course_utils import sweeps
from course_utils.figures import original_of
from course_utils.sweeps import SweepWarning, describe, join, stored_grid, sweep

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


def make_data(monkeypatch):
    monkeypatch.setenv("COURSE_MODE", "data")
    runs = sweep(experiment, GRID, name="toy", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    return runs


def test_a_reader_trains_one_seed_and_reads_the_others(folder, monkeypatch):
    everything = make_data(monkeypatch)
    runs = sweep(experiment, GRID, name="toy", workers=1)
    assert runs.attrs["runs"] == 2 and runs["stored"].values.tolist() == [False] + [True] * 4
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert "equals the stored runs, bit for bit" in describe(runs)
    assert original_of(runs) is None


def test_a_long_table_may_come_from_the_store_altogether(folder, monkeypatch):
    everything = make_data(monkeypatch)
    runs = sweep(experiment, GRID, name="toy", live=False, workers=1)
    assert runs.attrs["runs"] == 0 and runs["stored"].all()
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert describe(runs) == "Nothing was trained here. Seeds 0-4 come from the store."
    trained = sweep(edited, GRID, name="toy", live=False, workers=1)
    assert trained.attrs["runs"] == 2 and "2 runs trained here (seed 0)" in describe(trained)
    monkeypatch.setenv("COURSE_MODE", "verify")
    assert sweep(experiment, {"width": [2]}, name="toy", live=False, workers=1).attrs["runs"] == 5


def test_an_edited_helper_never_gets_the_stored_result(folder, monkeypatch):
    make_data(monkeypatch)
    runs = sweep(edited, GRID, name="toy", workers=1)
    assert runs["seed"].values.tolist() == [0] and not runs["stored"].any()
    assert "differs in FACTOR, experiment" in describe(runs) and "full=True" in describe(runs)
    assert original_of(runs)["seed"].size == 5, "the original is there to compare with"
    full = sweep(edited, GRID, name="toy", full=True, workers=1)
    assert full["seed"].size == 5 and not full["stored"].any()
    np.testing.assert_array_equal(full["value"].sel(seed=[0]), runs["value"])


def test_make_data_trains_what_is_stale_and_nothing_else(folder, monkeypatch):
    first = make_data(monkeypatch)
    again = make_data(monkeypatch)
    assert first.attrs["runs"] == 10 and again.attrs["runs"] == 0 and again["stored"].all()
    monkeypatch.setitem(globals(), "FACTOR", 2)
    assert make_data(monkeypatch).attrs["runs"] == 10
    assert sweep(experiment, GRID, name="toy", workers=1)["stored"].sum() == 4


def test_a_stamp_is_made_anew_and_says_why(folder, monkeypatch):
    everything = make_data(monkeypatch)
    assert store.differences(edited, store.load("toy"))
    store.stamp_anew("toy", edited, "somebody looked")
    stored = store.load("toy")
    assert store.matches(edited, stored) and stored.attrs["checked_by"] == "somebody looked"
    np.testing.assert_array_equal(stored["value"], everything["value"])
    assert stored.attrs["versions"] == store.provenance(), "of those who made it"


def test_another_torch_is_named_once_and_the_runs_are_used(folder, monkeypatch):
    make_data(monkeypatch)
    monkeypatch.setattr(torch, "__version__", "99.0+cpu")
    monkeypatch.setattr(sweeps, "_torches_named", set())
    runs = [sweep(experiment, GRID, name="toy", workers=1) for _ in range(2)]
    assert runs[0]["stored"].sum() == 4
    assert ["this is 99.0+cpu" in describe(one) for one in runs] == [True, False]


def test_sweeps_are_joined_with_their_originals(folder, monkeypatch):
    make_data(monkeypatch)
    new = sweep(edited, GRID, name="toy", workers=1).isel(width=[0])
    parts = [new, sweep(edited, GRID, name="toy", workers=1).isel(width=[1])]
    joined = join(parts, "width")
    assert joined["value"].sel(seed=0).values.tolist() == [20, 30]
    assert original_of(joined)["value"].sizes["seed"] == 5
    assert original_of(join([sweep(experiment, GRID, name="toy", workers=1)], "width")) is None


def test_what_the_store_lacks_is_trained(folder, monkeypatch):
    make_data(monkeypatch)
    runs = sweep(experiment, {"width": [3, 5]}, [0, 1, 9], name="toy", workers=1)
    assert runs.attrs["runs"] == 5, "seed 0 twice, seed 1 at width 5, seed 9 twice"
    assert not runs["value"].isnull().any()
    text = describe(runs)
    assert "5 runs trained here (seed 0, 1, 9)" in text, text
    assert "Seed 1 comes from the store, but for settings that it lacks." in text, text
    runs = sweep(experiment, {"width": [3, 5]}, name="toy", live=False, workers=1)
    assert "5 runs trained here (seed 0-4)" in describe(runs)


def test_a_difference_from_the_stored_run_is_stated(folder, monkeypatch):
    everything = make_data(monkeypatch)
    stored = store.load("toy")
    stored["value"] = stored["value"] + 1e-3
    stored.to_netcdf(store.store_path("toy"), engine="scipy")
    text = describe(sweep(experiment, GRID, name="toy", workers=1))
    assert "to within 0.001" in text and everything["value"].size == 10


def test_other_settings_never_get_the_stored_result(folder, monkeypatch):
    """The store holds one value of a setting; a grid without it means the default."""

    def two(width, seed, factor=1):
        return {"value": width * factor}

    monkeypatch.setenv("COURSE_MODE", "data")
    sweep(two, {"width": [2], "factor": [7]}, name="toy", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    fewer = sweep(two, {"width": [2]}, name="toy", workers=1)
    assert fewer["value"].values.ravel().tolist() == [2] and not fewer["stored"].any()
    assert "the settings of the grid" in describe(fewer)
    make_data(monkeypatch)
    with pytest.raises(TypeError, match="do not fit"):
        sweep(experiment, {"width": [2], "factor": [7]}, name="toy", workers=1)


def test_make_data_stores_nothing_incomplete(folder, monkeypatch):
    def sometimes(width, seed):
        if seed == 3:
            raise ValueError("not today")
        return {"value": width}

    monkeypatch.setenv("COURSE_MODE", "data")
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="toy is not stored: 1 runs"):
        sweep(sometimes, {"width": [2]}, name="toy", workers=1)
    assert not store.store_path("toy").exists()


def test_nothing_stored_is_used_when_verifying(folder, monkeypatch):
    make_data(monkeypatch)
    monkeypatch.setenv("COURSE_MODE", "verify")
    runs = sweep(experiment, GRID, name="toy", workers=1)
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()


def test_a_stored_file_describes_itself_without_pickle(folder, monkeypatch):
    everything = make_data(monkeypatch)
    path = store.store_path("toy")
    assert path.read_bytes()[:3] == b"CDF", "NetCDF version 3"
    plain = xr.load_dataset(path, engine="scipy")
    assert {"fingerprint", "settings", "seeds", "versions", "command", "cpu_seconds"} <= set(
        plain.attrs
    )
    assert not list(folder.glob("*.partial"))
    np.testing.assert_array_equal(store.load("toy")["value"], everything["value"])


@pytest.mark.parametrize("keep", [0, 40, 400])
def test_a_broken_file_is_named_and_takes_nothing_away(folder, monkeypatch, keep):
    everything = make_data(monkeypatch)
    path = store.store_path("toy")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(SweepWarning, match=r"toy\.nc is not a readable stored result.*git checkout"):
        runs = sweep(experiment, GRID, name="toy", workers=1)
    np.testing.assert_array_equal(runs["value"], everything["value"])
    assert runs.attrs["runs"] == 10 and not runs["stored"].any()
    with pytest.warns(SweepWarning, match=r"toy\.nc"):
        assert stored_grid(experiment, {"width": [2]}, "toy").attrs["origin"] == "missing"
    with pytest.warns(SweepWarning, match=r"toy\.nc"):
        make_data(monkeypatch)  # the remedy that the message names
    assert sweep(experiment, GRID, name="toy", workers=1).attrs["runs"] == 2


def test_make_data_asks_before_it_trains_whether_it_can_store(folder, monkeypatch):
    folder.touch()  # a file where the folder should be
    monkeypatch.setenv("COURSE_MODE", "data")
    monkeypatch.setattr(sweeps, "_train", lambda *arguments: pytest.fail("it trains first"))
    with pytest.raises(files.WriteError, match="nothing can be written into .*store"):
        sweep(experiment, {"width": [2]}, name="toy", workers=1)


def test_the_grid_behind_a_lab(folder, monkeypatch):
    grid = {"width": [2, 3, 4]}
    assert stored_grid(experiment, grid, "lab").attrs["origin"] == "missing"
    monkeypatch.setenv("COURSE_MODE", "data")
    fresh = stored_grid(experiment, grid, "lab", workers=1)
    monkeypatch.delenv("COURSE_MODE")
    again = stored_grid(experiment, grid, "lab")
    assert again.attrs["origin"] == "stored" and again["value"].dims == ("width",)
    np.testing.assert_array_equal(fresh["value"], again["value"])
    assert stored_grid(experiment, grid, "lab", seed=1).attrs["origin"] == "missing"

    def deeper(width, depth, seed):
        return {"value": width * depth}

    more = stored_grid(deeper, {**grid, "depth": [1]}, "lab")
    assert more.attrs["origin"] == "missing" and more.attrs["settings"] == ["width", "depth"]
    other = stored_grid(edited, grid, "lab")
    assert other.attrs["origin"] == "original"
    assert store.matches(experiment, again) and not store.matches(edited, again)


def test_a_run_that_is_nan_on_one_side_only_differs_from_the_stored_one(folder, monkeypatch):
    make_data(monkeypatch)
    stored = store.load("toy")
    stored["value"][{"width": 0, "seed": 0}] = np.nan
    stored.to_netcdf(store.store_path("toy"), engine="scipy")
    assert sweep(experiment, GRID, name="toy", workers=1).attrs["difference"] == np.inf
    assert stored_grid(experiment, GRID, "toy", seed=3)["value"][1] == stored["value"][1, 3]


def test_what_cannot_be_compared_is_not_what_made_a_result(folder, monkeypatch):
    make_data(monkeypatch)
    generator = torch.Generator()

    def drawing(width, seed):
        return {"value": float(torch.rand(1, generator=generator))}

    assert not store.matches(drawing, store.load("toy"))
    (reason,) = store.differences(drawing, store.load("toy"))
    assert "is a Generator, which cannot be compared" in reason
