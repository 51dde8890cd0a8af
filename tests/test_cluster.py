"""Sweeps on a Dask cluster: the same numbers, whoever is switched off; docs/cluster.md is right.

The clusters are real, of processes on this machine that listen on its loopback address only.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import dask
import joblib
import pytest
import torch
from dask.distributed import Client, LocalCluster
from test_sweeps import GRID, experiment, identical

from course_utils.sweeps import SweepWarning, describe, sweep

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cluster.md"
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


def test_a_sweep_within_a_run_does_not_wait_for_its_turn():
    def outer(value, seed):
        inner = sweep(lambda factor, seed: {"product": factor * value}, {"factor": [1, 2]}, [0])
        return {"sum": float(inner["product"].sum())}

    runs = sweep(outer, {"value": [1, 2]}, [0], workers=2)
    assert runs["sum"].values.ravel().tolist() == [3, 6]


def test_a_lost_scheduler_leaves_what_is_finished(tmp_path):
    lost = tmp_path / "lost"

    def lethal(value, seed):
        if value == 3:
            lost.touch()
            time.sleep(2)
        return {"double": 2 * value}

    def close_when_told():
        while not lost.exists():
            time.sleep(0.1)
        cluster.sync(cluster.scheduler.close)

    patient = dask.config.set({"distributed.comm.timeouts.connect": "3s"})  # else 30 s
    with patient, LocalCluster(n_workers=1, threads_per_worker=1, **OPTIONS) as cluster:
        with Client(cluster.scheduler_address), joblib.parallel_config("dask"):
            closing = threading.Thread(target=close_when_told)
            closing.start()
            with pytest.warns(SweepWarning, match="the connection to the cluster is lost"):
                kept = sweep(lethal, {"value": list(range(12))}, [0])
            closing.join()
    assert 1 <= kept["double"].notnull().sum() < 12


NOTEBOOK = """
import os, signal, time, warnings
import torch
from course_utils.sweeps import describe, sweep
warnings.simplefilter("ignore")
FACTOR = 3.0  # of the notebook, as the experiment is

def experiment(depth, seed):
    return {{"drawn": FACTOR * torch.rand(depth).sum().item()}}

{connect}
{run}
alone = sweep(experiment, {{"depth": depths.depth.values}}, depths.seed.values, workers=1)
print("identical", depths.drop_attrs().identical(alone.drop_attrs()))

def slow(value, seed):
    os.write(1, b"started\\n")  # in one piece, or two workers' lines may mix
    time.sleep(0.1 if value < 4 else 3)
    return {{"double": 2 * value}}

signal.signal(signal.SIGINT, signal.default_int_handler)
with joblib.parallel_config("dask"):
    runs = sweep(slow, {{"value": list(range(12))[::-1]}}, [0])
    print("kept", int(runs["double"].notnull().sum()), flush=True)
    again = sweep(slow, {{"value": [1, 2]}}, [0])
    print("again", int(again["double"].notnull().sum()), flush=True)
client.close(); cluster.close()
"""


def test_the_page_works_and_an_interrupt_keeps_what_is_finished():
    """In a process whose __main__ has no file, as a kernel's; its workers are interrupted, too."""
    connect, _, run = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    command = [sys.executable, "-c", NOTEBOOK.format(connect=connect, run=run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert re.match(r"\d+ runs trained here", process.stdout.readline())
        assert process.stdout.readline() == "identical True\n"
        for _ in range(5):
            assert process.stdout.readline() == "started\n"
        time.sleep(1)  # four runs are finished, the next two take three seconds
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert 4 <= int(output.split("kept ")[1].split()[0]) < 12 and "again 2" in output
