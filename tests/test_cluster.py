"""Sweeps on a Dask cluster: the same numbers, whoever is switched off; docs/cluster.md is right.

The clusters are real, of processes on this machine that listen on its loopback address only.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import psutil
import pytest
import torch
from dask.distributed import Client, LocalCluster
from test_sweeps import GRID, experiment, identical

from course_utils.sweeps import SweepWarning, describe, sweep

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cluster.md"
SEEDS = [0, 1, 2]


@pytest.fixture(scope="module")
def local_cluster():
    """Two processes of two threads each, so that runs meet within a process, too."""
    options = {"host": "127.0.0.1", "dashboard_address": None}
    before = dict(os.environ)
    with LocalCluster(n_workers=2, threads_per_worker=2, **options) as cluster:
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


# ---- the page, and what is defined in a notebook ----


def blocks(language: str) -> list[str]:
    """The page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture
def lab_room(tmp_path):
    """The page's scheduler and workers, here; yields the scheduler's process and address."""
    lines = "".join(blocks("sh")).replace("\\\n", "").splitlines()
    started, log, address = [], tmp_path / "log", ""
    try:
        for line in lines:
            line = line.replace("192.168.1.10:8786", address).replace("8786", "0")
            line = re.sub(r"192\.168\.1\.\d+", "127.0.0.1", line).replace("=-1", "=2")
            program, *arguments = shlex.split(line)
            command = [Path(sys.executable).parent / Path(program).name, *arguments]
            with log.open("a") as stderr:
                started.append(subprocess.Popen(command, stderr=stderr, start_new_session=True))
            while not (found := re.search(r"Scheduler at:\s*tcp://([\d.]+:\d+)", log.read_text())):
                assert started[0].poll() is None, log.read_text()
                time.sleep(0.1)
            address = found[1]
        yield started[0], address
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


NOTEBOOK = """
import os, signal, time, warnings
import torch
from course_utils.sweeps import describe, sweep
warnings.simplefilter("ignore")
FACTOR = 3.0  # of the notebook, as the experiment is

def experiment(depth, seed):
    return {"drawn": FACTOR * torch.rand(depth).sum().item()}
"""


@contextmanager
def in_a_notebook(code: str) -> Iterator[subprocess.Popen]:
    """The code in a process whose __main__ has no file, as that of a kernel."""
    command = [sys.executable, "-c", NOTEBOOK + code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_page_works_and_a_lost_scheduler_leaves_what_is_finished(lab_room):
    scheduler, address = lab_room
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        members = [scheduler.pid, *client.run(os.getpid).values()]
    sockets = sum((psutil.Process(pid).net_connections("inet") for pid in members), [])
    listening = [one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN]
    assert len(listening) >= 3 and set(listening) == {"127.0.0.1"}, "and nowhere else"
    _, connect, run = blocks("python")
    code = f"""
def lethal(value, seed):
    time.sleep(0.5)
    if value == 3:
        os.kill({scheduler.pid}, signal.SIGKILL)
    return {{"double": 2 * value}}

{connect.replace("192.168.1.10:8786", address)}
client.wait_for_workers(2)
{run}
alone = sweep(experiment, {{"depth": depths.depth.values}}, depths.seed.values, workers=1)
print("identical", depths.drop_attrs().identical(alone.drop_attrs()))
with warnings.catch_warnings(record=True) as caught, joblib.parallel_config("dask"):
    warnings.simplefilter("always")
    kept = sweep(lethal, {{"value": list(range(12))}}, [0])
print("kept", int(kept["double"].notnull().sum()), caught[0].category.__name__, caught[0].message)
"""
    with in_a_notebook(code) as process:
        output, _ = process.communicate(timeout=240)
    assert "identical True" in output and re.search(r"\d+ runs trained here", output)
    kept, words = re.search(r"kept (\d+) SweepWarning (.*)", output).groups()
    assert 1 <= int(kept) < 12 and "the connection to the cluster is lost" in words


def test_an_interrupt_keeps_what_is_finished_on_one_machine():
    """The notebook's interrupt goes to the workers as well: they are of the same process group."""
    code = f"""
import joblib
{blocks("python")[0]}
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
    with in_a_notebook(code) as process:
        for _ in range(5):
            assert process.stdout.readline() == "started\n"
        time.sleep(1)  # four runs are finished, the next two take three seconds
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    kept = int(output.split("kept ")[1].split()[0])
    assert 4 <= kept < 12 and "again 2" in output
