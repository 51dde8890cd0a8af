"""Sweeps: the same numbers for any number of workers, nothing finished is lost, clear errors."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from course_utils._environment import parse_seeds
from course_utils._runs import isolated
from course_utils.sweeps import SweepWarning, describe, sweep
from course_utils.training import train

GRID = {"width": [2, 8], "rate": [0.1, 1e6]}


def experiment(width, rate, seed):
    """Uses the global generator on purpose: a run must not depend on what drew from it before."""
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
    inputs = torch.randn(64, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)

    def loss(model, inputs, targets):
        return nn.functional.mse_loss(model(inputs), targets)

    return train(model, [(inputs, inputs.sum(1, keepdim=True))], loss, optimizer, 30)


def identical(one: xr.Dataset, other: xr.Dataset) -> bool:
    return one.drop_attrs().identical(other.drop_attrs())


@pytest.fixture(scope="module")
def alone() -> xr.Dataset:
    return sweep(experiment, GRID, [0, 1, 2], workers=1)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_runs_are_bit_identical_for_any_number_of_workers(alone, two_threads):
    torch.rand(7)  # other cells have run in between
    np.random.rand(7)  # noqa: NPY002
    for workers in (2, 1):
        assert identical(sweep(experiment, GRID, [0, 1, 2], workers=workers), alone)
    assert "12 runs trained here (seed 0-2)" in describe(alone)
    assert (alone["diverged_at"].sel(rate=0.1) == -1).all()
    assert (alone["diverged_at"].sel(rate=1e6) > 0).all()
    assert alone["data_loss"].sel(rate=1e6).isel(step=-1).isnull().all()


def test_one_run_does_not_depend_on_the_others(alone):
    single = sweep(experiment, {"width": [8], "rate": [0.1]}, [2])
    assert identical(single, alone.sel(width=[8], rate=[0.1], seed=[2]))
    with isolated(2):
        direct = experiment(8, 0.1, 2)
    np.testing.assert_array_equal(direct["data_loss"], single["data_loss"].squeeze())


def test_isolation_seeds_all_generators_and_leaves_no_trace(two_threads):
    before, inside = torch.get_rng_state(), []
    for _ in range(2):
        np.random.rand(), random.random()  # noqa: NPY002  other cells have run in between
        with isolated(1):
            assert torch.get_num_threads() == 1
            drawn = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002
        inside.append(drawn)
    assert inside[0] == inside[1] and len(set(inside[0])) == 3
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == 2


def picky(width, seed):
    if width == 3 or seed == 1:
        raise ValueError("out of luck")
    return {"square": width**2}


def test_a_failed_run_does_not_take_the_others_with_it():
    with pytest.warns(SweepWarning, match=r"width=\d, seed=\d raised ValueError: out of luck"):
        runs = sweep(picky, {"width": [4, 3, 2]}, [2, 1, 0], workers=1)
    assert runs["width"].values.tolist() == [4, 3, 2] and runs["seed"].values.tolist() == [2, 1, 0]
    assert runs["square"].sel(width=[2, 4], seed=0).values.tolist() == [4, 16]
    assert runs["square"].sel(width=3).isnull().all() and runs.attrs["missing"] == 5
    assert not runs["stored"].any(), "a seed that never ran does not come from the store"
    with pytest.raises(ValueError, match="out of luck"):
        sweep(picky, {"width": [3]}, [0, 1], workers=1)


@pytest.mark.slow
def test_a_worker_that_dies_does_not_take_the_finished_runs_with_it():
    with pytest.warns(SweepWarning, match="are finished, the others are NaN"):
        runs = sweep(deadly, {"value": [9, 3, 2, 1]}, [0], workers=2)
    assert runs["value_seen"].notnull().sum() >= 1
    assert "Not finished" in describe(runs)


def deadly(value, seed):
    if value == 9:  # the last to be started
        time.sleep(2)
        os._exit(1)
    return {"value_seen": value}


def test_runs_of_different_length_and_shape_are_padded():
    def growing(depth, seed):
        return xr.Dataset(
            {"loss": ("step", np.ones(depth)), "by_layer": ("layer", np.arange(float(depth)))},
            {"step": range(depth), "layer": range(depth)},
        )

    runs = sweep(growing, {"depth": [2, 5]}, [0], workers=1)
    assert runs["loss"].sel(depth=2).notnull().sum() == 2
    assert runs["by_layer"].sizes == {"depth": 2, "seed": 1, "layer": 5}


INTERRUPTED = """
import os, signal, time, warnings
from course_utils.sweeps import sweep
warnings.simplefilter("ignore")

def slow(value, seed):
    os.write(1, b"started\\n")  # in one piece, or two workers' lines may mix
    time.sleep(0.1 if value < 4 else 3)
    return {"double": 2 * value}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    for values, workers in (([1], 1), (list(range(12))[::-1], 2), ([1, 2], 2)):
        runs = sweep(slow, {"value": values}, [0], workers=workers)
        print("kept", int(runs["double"].notnull().sum()), flush=True)"""


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interrupt_keeps_what_is_finished(tmp_path, whole_group):
    """Jupyter interrupts the whole process group, a plain `kill -INT` the main process alone."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        for line in ["started\n", "kept 1\n", *["started\n"] * 5]:
            assert process.stdout.readline() == line
        time.sleep(1)  # four runs are finished, the next two take three seconds
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    kept, again = [int(text.split()[0]) for text in output.split("kept ")[1:]]
    assert 4 <= kept < 12 and again == 2


def test_seeds_as_people_write_them():
    assert parse_seeds("0-4") == [0, 1, 2, 3, 4] and parse_seeds("3, 5,8-9") == [3, 5, 8, 9]
    for text in ("", "a", "4-1", "1,1", "1.5", "-3"):
        with pytest.raises(ValueError, match="seed"):
            parse_seeds(text)
