"""Sweeps: the same numbers for any number of workers, nothing finished is lost, clear errors."""

import os
import random
import signal
import subprocess
import sys
import textwrap
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


def test_runs_are_bit_identical_for_any_number_of_workers(alone):
    torch.rand(7)  # other cells have run in between
    np.random.rand(7)  # noqa: NPY002
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert identical(sweep(experiment, GRID, [0, 1, 2], workers=2), alone)
        assert identical(sweep(experiment, GRID, [0, 1, 2], workers=1), alone)
    finally:
        torch.set_num_threads(before)


def test_one_run_does_not_depend_on_the_others(alone):
    single = sweep(experiment, {"width": [8], "rate": [0.1]}, [2])
    assert identical(single, alone.sel(width=[8], rate=[0.1], seed=[2]))
    with isolated(2):
        direct = experiment(8, 0.1, 2)
    np.testing.assert_array_equal(direct["data_loss"], single["data_loss"].squeeze())


def test_the_result_is_labelled_and_divergence_is_in_it(alone):
    assert alone["data_loss"].dims == ("width", "rate", "seed", "step")
    assert alone["width"].values.tolist() == [2, 8] and alone["seed"].values.tolist() == [0, 1, 2]
    assert (alone["diverged_at"].sel(rate=0.1) == -1).all()
    assert (alone["diverged_at"].sel(rate=1e6) > 0).all()
    assert alone["data_loss"].sel(rate=1e6).isel(step=-1).isnull().all()
    assert "12 runs trained here (seed 0-2)" in describe(alone)


def test_isolation_seeds_all_generators_and_leaves_no_trace():
    def drawn():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    try:
        inside = []
        for _ in range(2):
            np.random.rand(), random.random()  # noqa: NPY002  other cells have run in between
            with isolated(1):
                assert torch.get_num_threads() == 1
                inside.append(drawn())
        assert inside[0] == inside[1] and len(set(inside[0])) == 3
        assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_failed_run_does_not_take_the_others_with_it():
    with pytest.warns(SweepWarning, match=r"width=3, seed=0 raised ValueError: no threes"):
        runs = sweep(picky, {"width": [2, 3, 4]}, [0], workers=1)
    assert runs["square"].sel(width=[2, 4]).values.ravel().tolist() == [4, 16]
    assert runs["square"].sel(width=3).isnull().all()


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


def test_seeds_that_never_ran_do_not_come_from_the_store():
    with pytest.warns(SweepWarning):
        runs = sweep(unlucky, {"width": [2]}, [0, 1, 2], workers=1)
    assert not runs["stored"].any() and runs.attrs["missing"] == 1


def unlucky(width, seed):
    if seed == 1:
        raise ValueError("out of luck")
    return {"square": width**2}


def picky(width, seed):
    if width == 3:
        raise ValueError("no threes")
    return {"square": width**2}


def test_an_error_in_every_run_is_raised():
    with pytest.raises(ValueError, match="no threes"):
        sweep(picky, {"width": [3]}, [0, 1], workers=1)


def test_runs_of_different_length_and_shape_are_padded():
    def growing(depth, seed):
        return xr.Dataset(
            {"loss": ("step", np.ones(depth)), "by_layer": ("layer", np.arange(float(depth)))},
            {"step": range(depth), "layer": range(depth)},
        )

    runs = sweep(growing, {"depth": [2, 5]}, [0], workers=1)
    assert runs["loss"].sel(depth=2).notnull().sum() == 2
    assert runs["by_layer"].sizes == {"depth": 2, "seed": 1, "layer": 5}


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interrupt_keeps_what_is_finished(tmp_path, whole_group):
    """Jupyter interrupts the whole process group, a plain `kill -INT` the main process alone."""
    script = tmp_path / "interrupted.py"
    script.write_text(
        textwrap.dedent("""
            import os, signal, time, warnings
            from course_utils.sweeps import sweep
            warnings.simplefilter("ignore")

            def slow(value, seed):
                os.write(1, b"started\\n")  # in one piece, or two workers' lines may mix
                time.sleep(0.1 if value < 4 else 3)
                return {"double": 2 * value}

            if __name__ == "__main__":
                # A job in the background starts with the signal ignored.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                runs = sweep(slow, {"value": list(range(12))[::-1]}, [0], workers=2)
                print("kept", int(runs["double"].notnull().sum()), flush=True)
                again = sweep(slow, {"value": [1, 2]}, [0], workers=2)
                print("again", int(again["double"].notnull().sum()), flush=True)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for _ in range(5):
            assert process.stdout.readline() == "started\n"
        time.sleep(1)  # four runs are finished, the next two take three seconds
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    kept = int(output.split("kept ")[1].split()[0])
    assert 4 <= kept < 12
    assert "again 2" in output


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"grid": {}}, ValueError, "the grid is empty"),
        ({"grid": {"width": "48"}}, TypeError, "'width' must be a list of values, got '48'"),
        ({"grid": {"width": [4, 4]}}, ValueError, "'width' must have different values"),
        ({"grid": {"width": [2.0, float("nan")]}}, ValueError, "must have different values"),
        ({"grid": {"width": [2, "two"]}}, TypeError, "'width' must be all numbers or all strings"),
        ({"experiment": lambda run, seed: {"y": 1}, "grid": {"run": [1]}}, ValueError, "called 'r"),
        ({"experiment": lambda width, seed: {"seed": seed}}, ValueError, "called 'seed'"),
        ({"grid": {"depth": [1]}}, TypeError, r"takes \(width, seed\)"),
        ({"seeds": [1, 1]}, ValueError, "seeds must be distinct"),
        ({"seeds": [0.5]}, TypeError, "seed must be a whole number, got 0.5"),
        ({"experiment": lambda width, seed: None}, TypeError, "must return a Dataset or a dict"),
        ({"name": "Bad name"}, ValueError, "name must be lower-case"),
    ],
)
def test_bad_input_is_named(arguments, error, words):
    arguments = {"experiment": picky, "grid": {"width": [2]}, "seeds": [0]} | arguments
    with pytest.raises(error, match=words):
        sweep(**arguments)


def test_seeds_as_people_write_them():
    assert parse_seeds("0-4") == [0, 1, 2, 3, 4] and parse_seeds("3, 5,8-9") == [3, 5, 8, 9]
    for text in ("", "a", "4-1", "1,1", "1.5", "-3"):
        with pytest.raises(ValueError, match="seed"):
            parse_seeds(text)
