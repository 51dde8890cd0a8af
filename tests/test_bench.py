"""The benchmark: contestants compute the same, and what differs is seen."""

import importlib.util
import json

import bench
import bench_contestants
import bench_experiments
import pytest
import torch

from course_utils.sweeps import sweep

pytestmark = pytest.mark.slow

LOOPS = [name for name in bench_contestants.CONTESTANTS if name != bench.OURS]


# Lightning's own code uses what torch and Python will drop.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("workload", bench_experiments.WORKLOADS)
@pytest.mark.parametrize("name", LOOPS)
def test_each_loop_follows_the_notebooks_own_experiment(name, workload):
    package = bench_contestants.PEERS.get(name)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f'{package} is not installed: pip install -e ".[bench]"')
    workload, threads = bench_experiments.make_workload(workload, 20, 1), torch.get_num_threads()
    runs = sweep(workload.experiment, workload.grid, [1], workers=1)  # seed 0 warms up
    found = bench_contestants.prepared(name, workload, [1])()
    torch.set_num_threads(threads)  # contestants choose theirs
    expected = bench_experiments.ends_of_runs(runs, workload)
    assert found[0] == pytest.approx(expected[0], rel=1e-3)


@pytest.mark.parametrize("other", [(1.0, 0.5), (1.02, 0.5), (1.0, float("nan"))])
def test_a_contestant_that_computes_something_else_is_named(monkeypatch, capsys, tmp_path, other):
    def one_run(name, workload, options):
        early, final = other if name == "bare" else (1.0, 0.5)
        cost = {"seconds": 2.0, "cpu_seconds": 4.0, "peak_mb": 300.0, "others": 0.0}
        return cost | {"ends": [[1.0, 0.5]] * 2 + [[early, final]] * 2}  # two settings, two seeds

    monkeypatch.setattr(bench, "one_run", one_run)
    options = ["--quick", "--workloads", "depths", "--contestants", "sweep", "bare", "--build"]
    status, differs = bench.main([*options, str(tmp_path)]), other != (1.0, 0.5)
    assert (status, capsys.readouterr().out.count("NOT THE SAME")) == (differs, differs)


def test_a_quick_run_measures_and_keeps_everything(tmp_path):
    options = "--quick --workloads depths --contestants sweep bare --build".split()
    assert bench.main([*options, str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["results"]["depths"]
    assert rows["sweep"]["same"] and rows["bare"]["same"] and rows["bare"]["cpu_seconds"] > 0
    assert rows["sweep"]["peak_mb"] > rows["bare"]["peak_mb"] > 50  # it has workers; torch alone
