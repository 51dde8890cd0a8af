"""The benchmark: contestants compute the same, and what differs is seen."""

import json

import bench
import pytest

pytestmark = pytest.mark.slow


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
