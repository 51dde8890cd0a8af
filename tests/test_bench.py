"""The benchmark: contestants compute the same, what differs is seen, tables and files are whole."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import bench
import bench_contestants
import bench_experiments
import bench_growth
import bench_measuring
import bench_notebooks
import bench_stacked
import joblib
import psutil
import pytest
import torch

from course_utils import _files as files
from course_utils import _store as store
from course_utils.sweeps import sweep

pytestmark = pytest.mark.slow

SEED = 1  # of short runs: not the one of the warm-up
LOOPS = [name for name in bench_contestants.CONTESTANTS if name not in (bench.OURS, "stacked")]


@pytest.fixture(autouse=True)
def _threads():
    """Contestants choose their threads; a process of their own dies with that choice."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def skip_without(contestant):
    package = bench_contestants.PEERS.get(contestant)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f'{package} is not installed: pip install -e ".[bench]"')


@pytest.fixture(scope="module", params=bench_experiments.WORKLOADS)
def short(request):
    """A workload of twenty steps, and what the notebook's own experiment makes of its one run."""
    workload = bench_experiments.make_workload(request.param, 20, 1)
    runs = sweep(workload.experiment, workload.grid, [SEED], workers=1)
    return workload, bench_experiments.ends_of_runs(runs, workload)


# Lightning's own code uses what torch and Python will drop.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", LOOPS)
def test_each_loop_follows_the_notebooks_own_experiment(name, short):
    skip_without(name)
    workload, expected = short
    ((early, final),) = bench_contestants.prepared(name, workload, [SEED])()
    assert (early, final) == pytest.approx(expected[0], rel=1e-3)


def test_stacked_seeds_train_as_each_does_alone():
    workload = bench_experiments.make_workload("depths", 20, 2)
    for point in workload.points():  # in float64: in float32, rounding grows to percents
        problems = [in_float64(workload, seed, point) for seed in (1, 2, 1, 2)]
        found = bench_stacked.loop(problems[:2])
        for losses, problem in zip(found, problems[2:], strict=True):
            assert losses == pytest.approx(bench_contestants.bare(problem), rel=1e-6)


def in_float64(workload, seed, point):
    torch.manual_seed(seed)
    problem = workload.problem(seed, **point)
    problem.model.double()
    problem.optimizer = type(problem.optimizer)(
        problem.model.parameters(), **problem.optimizer.defaults
    )
    for part in ("known", "new"):
        inputs, targets = getattr(problem, part)
        setattr(problem, part, (inputs.double(), targets))
    return problem


def test_a_whole_run_ends_where_the_stored_one_does():
    options = bench.parse(["--seeds", "0"])
    workload = bench_experiments.make_workload("depths")
    stored = bench.stored_ends("depths", options)
    workload.grid = {key: values[:1] for key, values in workload.grid.items()}
    found = bench_contestants.prepared("bare", workload, [0])()
    assert bench.apart(found, stored[:1], seeds=1) < (bench.EARLY, bench.FINAL)
    assert bench.stored_ends("depths", bench.parse(["--seeds", "0", "--quick"])) is None


def test_a_quick_run_prints_its_table_and_keeps_everything(tmp_path):
    script = Path(bench.__file__)
    arguments = ["--quick", "--workloads", "depths", "--contestants", "sweep", "bare", "train"]
    command = [sys.executable, str(script), *arguments, "--build", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    kept = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    rows = kept["results"]["depths"]
    assert list(rows) == ["sweep", "bare", "train"] and "torch" in kept["provenance"]
    for name, row in rows.items():
        assert f"| {name} | {row['seconds']:.1f} |" in done.stdout
        assert row["same"] and row["cpu_seconds"] > 0 and row["operations_per_second"] > 0
        assert row["peak_mb"] > 50  # torch alone is more
    assert rows["sweep"]["peak_mb"] > rows["bare"]["peak_mb"]  # it has workers


@pytest.fixture
def canned(monkeypatch, tmp_path):
    """A function that runs the benchmark's main over given (seconds, early, final) of one run."""
    monkeypatch.setattr(bench, "matrix_rate", lambda threads: threads * 1e9)

    def run(capsys, stop=KeyboardInterrupt, **figures):
        def one_run(name, workload, options):
            if not figures[name]:
                raise stop
            seconds, early, final = figures[name].pop(0)
            cost = {"seconds": seconds, "cpu_seconds": 2 * seconds, "peak_mb": 300.0}
            ends = [[1.0, 0.5]] * 2 + [[early, final]] * 2  # two settings, two seeds
            return cost | {"ends": ends, "others": 0.0}

        monkeypatch.setattr(bench, "one_run", one_run)
        arguments = ["--quick", "--workloads", "depths", "--contestants", *figures]
        status = bench.main([*arguments, "--build", str(tmp_path)])
        return status, capsys.readouterr().out

    return run


def test_ratios_are_to_our_sweep(canned, capsys):
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)], tutorial=[(7.0, 1.0, 0.5)])
    assert status == 0 and "| tutorial | 7.0 | 3.50 | 14.0 | 300 |" in printed
    assert "| sweep | 2.0 | 1.00 | 4.0 | 300 |" in printed and "Provisional" not in printed


@pytest.mark.parametrize("other", [(1.02, 0.5), (1.0, 0.8), (1.0, float("nan"))])
def test_a_contestant_that_computes_something_else_is_named(canned, capsys, other):
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)], bare=[(1.0, *other)])
    (line,) = [line for line in printed.splitlines() if line.startswith("| bare ")]
    assert status == 1 and "NOT THE SAME" in line and printed.count("NOT THE SAME") == 1


def test_ctrl_c_leaves_the_repetitions_that_are_whole(canned, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(bench.QUICK, "repetitions", 3)
    figures = {"sweep": [(2.0, 1.0, 0.5)] * 2, "bare": [(1.0, 1.0, 0.5)]}
    status, printed = canned(capsys, **figures)
    assert status == 0 and "median of 1" in printed and "| bare | 1.0 | 0.50 |" in printed
    kept = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert kept["results"]["depths"]["sweep"]["all_seconds"] == [2.0]
    (tmp_path / "bench.json").unlink()
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)], bare=[])
    assert status == 130 and not (tmp_path / "bench.json").exists()


def test_a_contestant_that_fails_takes_no_whole_repetition_with_it(canned, capsys, monkeypatch):
    monkeypatch.setitem(bench.QUICK, "repetitions", 3)
    killed = subprocess.CalledProcessError(-9, "bare")
    figures = {"sweep": [(2.0, 1.0, 0.5)] * 2, "bare": [(1.0, 1.0, 0.5)]}
    status, printed = canned(capsys, killed, **figures)
    assert status == 0 and "median of 1" in printed
    status, printed = canned(capsys, killed, sweep=[(2.0, 1.0, 0.5)], bare=[])
    assert status == 1 and "'bare' died with" in printed and "nothing is written" in printed


def test_losses_that_drift_in_a_later_repetition_are_seen(canned, capsys, monkeypatch):
    monkeypatch.setitem(bench.QUICK, "repetitions", 2)
    figures = {"sweep": [(2.0, 1.0, 0.5)] * 2, "bare": [(1.0, 1.0, 0.5), (1.0, 1.02, 0.5)]}
    status, printed = canned(capsys, **figures)
    assert status == 1 and printed.count("NOT THE SAME") == 1


def test_figures_that_cannot_be_kept_are_printed(canned, capsys, monkeypatch, tmp_path):
    def full(path, content):
        raise files.WriteError(f"{path} could not be written: No space left on device")

    monkeypatch.setattr(files, "write", full)
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)])
    assert status == 1 and "| sweep | 2.0 | 1.00 |" in printed
    assert "bench.json could not be written: No space left" in printed


def test_a_stored_result_that_cannot_be_read_is_named_before_the_hour(
    canned, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path)
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)])
    assert status == 0, "without it the losses are compared with each other"
    (tmp_path / "02_depths.nc").write_bytes(b"CDF")
    status, printed = canned(capsys, sweep=[])
    assert status == 1 and "02_depths.nc is not a readable stored result" in printed


def test_a_peer_that_is_not_installed_is_left_out(canned, capsys, monkeypatch):
    monkeypatch.setitem(bench.PEERS, "skorch", "no_such_package")
    status, printed = canned(capsys, sweep=[(2.0, 1.0, 0.5)], skorch=[])
    assert status == 0 and "skorch: left out, no_such_package is not installed" in printed
    assert "| skorch |" not in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["--repetitions", "0"],
        ["--contestants", "keras"],
        ["--contestants", "stacked", "--workloads", "widths"],
        ["--seeds", "4-1"],
    ],
)
def test_bad_options_end_with_status_2(arguments):
    with pytest.raises(SystemExit) as stop:
        bench.main(arguments)
    assert stop.value.code == 2


def test_a_process_and_its_children_are_measured():
    grandchild = "b = bytearray(300_000_000); import time; time.sleep(1.5)"
    work = "sum(i * i for i in range(3_000_000))"
    child = (
        f"import subprocess, sys; {work}; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    )
    # Measured from a process of its own: this one may have workers of earlier tests.
    parent = f"""
import subprocess, sys
sys.path.insert(0, {str(Path(bench.__file__).parent)!r})
from bench_measuring import measured
with measured() as cost:
    subprocess.run([sys.executable, "-c", {child!r}], check=True)
print(cost.peak_mb, cost.cpu_seconds)
"""
    done = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, check=True)
    peak_mb, cpu_seconds = map(float, done.stdout.split())
    assert 300 < peak_mb < 600 and cpu_seconds > 0.05


def test_a_child_that_ends_while_it_is_measured_costs_nothing(monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    gone = psutil.Process(ended.pid)
    ended.wait()
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [gone])
    assert bench_measuring.cpu_seconds() > 0 and bench_measuring.memory_of_children() == 0


def half(rate, seed):
    return {"half": rate / 2}


def test_growth_fits_a_line_and_writes_a_picture_with_words(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench_growth, "defined", lambda _: {"experiment": half})
    with joblib.parallel_config(n_jobs=1):  # workers take long to start
        assert bench_growth.main(["--sizes", "2", "3", "--build", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "growth.json").read_text(encoding="utf-8"))
    assert [point["runs"] for point in kept["seeds"]] == [2, 3] and len(kept["settings"]) == 2
    assert all(point["busy"] >= 0 for point in kept["seeds"] + kept["settings"])
    assert kept["alt"] in capsys.readouterr().out and "number of seeds" in kept["alt"]
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "growth.png").unlink()
    (tmp_path / "growth.png").mkdir()  # cannot be replaced by a file
    with joblib.parallel_config(n_jobs=1):
        assert bench_growth.main(["--sizes", "2", "3", "--build", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "growth.png could not be written" in printed and "number of seeds" in printed
    line = [{"runs": runs, "seconds": 3 + 0.5 * runs} for runs in (2, 4, 16)]
    single = {"runs": 1, "seconds": 0.1}  # starts no workers
    assert bench_growth.fit([single, *line]) == pytest.approx((0.5, 3.0))


SETUP = f"""import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from lab_example import experiment, stored_example
from course_utils.figures import new_figure, show
from course_utils.sweeps import sweep
from course_utils.widgets import lab"""
CELLS = [
    "# Costs", SETUP,
    "runs = sweep(lambda width, seed: dict(a=1), dict(width=[1, 2]), [0], workers=1)",
    "show(new_figure()[0], 'empty')",
    "lab('00_lab', experiment, stored_example())",
]  # fmt: skip


def test_a_notebooks_costs_are_taken_and_the_file_stays(notebook, tmp_path, capsys):
    path = notebook("00_costs", *CELLS)
    before = path.read_bytes()
    folders = ["--folder", str(path.parent), "--build", str(tmp_path)]
    assert bench_notebooks.main(folders) == 0
    kept = json.loads((tmp_path / "notebooks.json").read_text(encoding="utf-8"))
    costs = kept["notebooks"]["00_costs"]
    assert 0 < costs["first_figure"] < costs["seconds"] and costs["live"] > 0
    assert costs["peak_mb"] > 50 and [sweep["runs"] for sweep in costs["sweeps"]] == [2]
    printed = capsys.readouterr().out
    assert "|  | 00 |\n|---|---|\n| Run All, as a reader | " in printed
    assert path.read_bytes() == before


def test_a_notebook_that_fails_has_no_costs(notebook):
    path = notebook("00_fails", "# Fails", "import course_utils", "1 / 0")
    with pytest.raises(RuntimeError, match="00_fails did not run: .*ZeroDivisionError"):
        bench_notebooks.costs(path)
