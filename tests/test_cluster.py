"""Sweeps on a Dask cluster: the same numbers, whoever is switched off.

The clusters are real, of processes on this machine that listen on its loopback address only.
"""

import os
import signal
import sys
import threading
import time
import types

import dask
import joblib
import pytest
import torch
from dask.distributed import Client, LocalCluster
from test_sweeps import GRID, experiment, identical

from course_utils.sweeps import SweepWarning, describe, sweep

pytestmark = pytest.mark.slow

SEEDS = [0, 1, 2]
OPTIONS = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def local_cluster():
    """Two processes of two threads each, so that runs meet within a process, too."""
    before = dict(os.environ)
    with LocalCluster(n_workers=2, threads_per_worker=2, **OPTIONS) as cluster:
        yield cluster
    os.environ.clear()  # Dask leaves OMP_NUM_THREADS=1, and other tests start kernels
    os.environ.update(before)


@pytest.fixture
def client(local_cluster):
    """Connected, with both workers up (a test may have killed one), and joblib set to use it."""
    with Client(local_cluster.scheduler_address) as client:
        client.wait_for_workers(2, timeout=120)
        with joblib.parallel_config("dask"):
            yield client


def alone(function, grid, seeds=SEEDS):
    """The same sweep without the cluster."""
    with joblib.parallel_config("sequential"):
        return sweep(function, grid, seeds, workers=1)


def test_every_run_arrives_although_a_worker_is_killed(client, tmp_path):
    killed = tmp_path / "killed"

    def switched_off_in_the_middle(width, rate, seed):
        if (width, rate, seed) == (2, 1e6, 1) and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return experiment(width, rate, seed)

    before = set(client.run(os.getpid).values())
    runs = sweep(switched_off_in_the_middle, GRID, SEEDS)
    assert int(killed.read_text()) in before - {os.getpid()}
    assert identical(runs, alone(experiment, GRID))
    assert describe(runs).startswith("12 runs trained here (seed 0-2)")


def test_runs_in_two_threads_of_a_process_do_not_mix(client):
    def draws(value, seed):
        first = torch.rand(1).item()
        time.sleep(0.1)  # time for the other thread
        return {"first": first, "second": torch.rand(1).item(), "cores": torch.get_num_threads()}

    runs, expected = sweep(draws, {"value": [1, 2, 3, 4]}, SEEDS), alone(draws, {"value": [1]})
    for value in runs["value"]:
        assert identical(runs.sel(value=[value]).assign_coords(value=[1]), expected)


def test_a_run_that_kills_its_workers_is_given_up(client, local_cluster, monkeypatch):
    monkeypatch.setattr(local_cluster.scheduler, "allowed_failures", 0)  # the usual 3 take longer

    def deadly(value, seed):
        if value == 1:  # the last to be started
            time.sleep(2)
            os._exit(1)
        return {"value_seen": value}

    with pytest.warns(SweepWarning) as caught:  # of the runs that went down with it, too
        runs = sweep(deadly, {"value": list(range(1, 9))}, [0])
    assert any("value=1, seed=0 raised KilledWorker" in str(one.message) for one in caught)
    assert runs["value_seen"].sel(value=1).isnull().all()
    assert runs["value_seen"].notnull().any()


def test_an_experiment_that_a_worker_cannot_import_is_an_error(client, monkeypatch):
    module = types.ModuleType("on_one_machine_only")
    exec("def double(value, seed):\n    return {'double': 2 * value}", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ModuleNotFoundError, match="on_one_machine_only"):
        sweep(module.double, {"value": [1, 2]}, [0])


def test_a_worker_without_the_package_is_named(client):
    client.run(lambda: sys.modules.update({"course_utils._workers": None}))
    try:
        with pytest.raises(RuntimeError, match=r"worker tcp://127.* cannot import course_utils"):
            sweep(experiment, GRID, SEEDS)
    finally:
        client.run(lambda: sys.modules.pop("course_utils._workers"))


def lose_scheduler(cluster, client):
    cluster.sync(cluster.scheduler.close)


def interrupt(cluster, client):
    """As a notebook's interrupt goes to a group of processes, it goes to the workers, too."""
    for process in (*client.run(os.getpid).values(), os.getpid()):
        os.kill(process, signal.SIGINT)


@pytest.mark.parametrize("happens", [lose_scheduler, interrupt])
def test_what_is_finished_is_kept(tmp_path, happens):
    begun = tmp_path / "begun"

    def slow_at_last(value, seed):
        if value == 3:
            begun.touch()
            time.sleep(2)
        return {"double": 2 * value}

    def watch():
        while not begun.exists():
            time.sleep(0.1)
        happens(cluster, client)

    alone(slow_at_last, {"value": [1]})  # after which this process has to hear interrupts
    patient = dask.config.set({"distributed.comm.timeouts.connect": "3s"})  # else 30 s
    with patient, LocalCluster(n_workers=1, threads_per_worker=1, **OPTIONS) as cluster:
        with Client(cluster.scheduler_address) as client, joblib.parallel_config("dask"):
            watching = threading.Thread(target=watch)
            watching.start()
            with pytest.warns(SweepWarning):
                kept = sweep(slow_at_last, {"value": list(range(12))}, [0])
            watching.join()
            if happens is interrupt:
                assert sweep(slow_at_last, {"value": [1]}, [0])["double"] == 2
    assert 1 <= kept["double"].notnull().sum() < 12
