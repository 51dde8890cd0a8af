"""The tools that run notebooks: what goes wrong in a notebook is named, and never passed over."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import arithmetic
import execution
import nbformat
import numpy as np
import pytest
import replicate
import run_notebooks
import xarray as xr

from course_utils import claims, files, store

# A stand-in for course_utils.claims that needs no torch: two claims about the seeds of the run.
# "small" holds for seeds below 100; the other one always holds.
CLAIMS = """import json, os, pathlib
class ClaimFailed(Exception): pass
def report(notebook):
    seeds = [int(seed) for seed in os.environ.get("COURSE_SEEDS", "0,1,2,3,4").split(",")]
    records = [
        {"notebook": notebook, "claim": claim, "sentence": f"seeds are {claim}", "at_least": 1.0,
         "values": {str(seed): seed for seed in seeds}, "seeds": len(seeds), "bound": bound,
         "direction": "below", "seeds_held": sum(seed < bound for seed in seeds),
         "held": all(seed < bound for seed in seeds), "versions": "torch 1.0"}
        for claim, bound in [("small", 100), ("whole", 10**9)]
    ]
    if "COURSE_CLAIMS" in os.environ:
        file = pathlib.Path(os.environ["COURSE_CLAIMS"]) / f"{notebook}.json"
        file.write_text(json.dumps(records))
    short = [record["claim"] for record in records if not record["held"]]
    if short:
        raise ClaimFailed(f"does not hold: {short}")
    print("small and whole hold")"""
FAILING = CLAIMS.replace('("small", 100)', '("small", 3)')
PICTURE = """from IPython.display import display
display({"image/png": "iVBORw0KGgo=", "text/plain": "a figure"}, raw=True,
        metadata={"image/png": {"alt": "two falling curves"}})"""


@pytest.fixture
def call(tmp_path, capfd):
    """A function that calls a tool on the temporary notebooks: its status and what it printed."""

    def run(main, *arguments: str) -> tuple[int, str]:
        folders = ["--folder", f"{tmp_path / 'notebooks'}", "--build", f"{tmp_path / 'build'}"]
        return main([*arguments, *folders]), capfd.readouterr().out

    return run


def test_course_writes_pages_and_names_the_claim_that_fails(notebook, call, tmp_path):
    good = ("# Good", CLAIMS, "report('01_good')", PICTURE)
    notebook("01_good", *good)
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')", "print('still', 'run')")
    status, printed = call(run_notebooks.main, "course")
    assert status == 1
    named = "02_bad, cell 2 `report('02_bad')`: ClaimFailed: does not hold: ['small']"
    assert named in printed and "01_good," not in printed
    page = (tmp_path / "build" / "01_good.html").read_text(encoding="utf-8")
    assert 'alt="two falling curves"' in page and "torch" in page  # provenance
    assert "require" not in page
    assert "still run" in (tmp_path / "build" / "02_bad.html").read_text(encoding="utf-8")
    status, printed = call(run_notebooks.main, "course", "01")
    assert (status, printed.splitlines()[-1]) == (0, "course: 1 notebook, 2 claims")


def test_a_page_needs_no_widget_manager_and_links_to_pages(notebook):
    source = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab\n[next](02_next.ipynb#Part)", source)
    page = run_notebooks.html(execution.execute(path, execution.environment("verify")))
    assert "Interactive: open the notebook" in page and "widget-view+json" not in page
    assert 'href="02_next.html#Part"' in page


def test_errors_end_their_notebook_and_no_other(notebook, call, tmp_path):
    notebook("01_error", "# Error", "1 / 0", "print('not', 'run')")
    notebook("02_announced", "# Error", "1 / 0", tags={"1 / 0": "raises-exception"})
    status, printed = call(run_notebooks.main, "course")
    assert status == 1
    assert "01_error, cell 1 `1 / 0`: ZeroDivisionError: division by zero" in printed
    assert "02_announced," not in printed
    assert "not run" not in (tmp_path / "build" / "01_error.html").read_text(encoding="utf-8")


def test_a_missing_record_is_a_problem(notebook, call):
    notebook("01_silent", "# Silent", "def report(name): pass", "report('01_silent')")
    status, printed = call(run_notebooks.main, "course")
    assert status == 1 and "01_silent: no claim was recorded" in printed


def test_dead_and_endless_kernels_are_noticed(notebook):
    surroundings = execution.environment("read")
    dead = notebook("01_dead", "# Dead", "import os", "os._exit(3)", "print('after')")
    (problem,) = execution.execute(dead, surroundings).problems
    assert problem.cell == "cell 2 `os._exit(3)`" and "the kernel died" in problem.message
    endless = notebook("02_endless", "# Endless", "import time; time.sleep(1000)")
    (problem,) = execution.execute(endless, surroundings, timeout=1).problems
    assert problem.message == "did not finish within 1 s"


def test_the_shell_does_not_decide_what_runs(notebook, monkeypatch):
    for name, value in {"SEEDS": "7", "MODE": "data", "CLAIMS": "somewhere"}.items():
        monkeypatch.setenv(f"COURSE_{name}", value)
    source = "import os; print([k + v for k, v in os.environ.items() if k.startswith('COURSE_')])"
    path = notebook("01_asks", "# Asks", source)
    run = execution.execute(path, execution.environment("verify"))
    assert run.notebook.cells[1].outputs[0].text == "['COURSE_MODEverify']\n"


def test_data_runs_in_its_mode_and_leaves_the_notebook(notebook, call, tmp_path):
    source = "import os; open('store', 'w').write(os.environ['COURSE_MODE'])"
    path = notebook("01_data", "# Data", source)
    before = path.read_bytes()
    assert call(run_notebooks.main, "data")[0] == 0
    assert (path.with_name("store").read_text(), path.read_bytes()) == ("data", before)


def test_refresh_keeps_only_what_does_not_move(notebook, call):
    lab = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab", "1 + 1", lab, "print('é')", "3", tags={lab: "widget"})
    page = nbformat.read(path, as_version=4)
    page.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    nbformat.write(page, path)
    assert call(run_notebooks.main, "refresh")[0] == 0
    once = path.read_bytes()
    page = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in page.cells] == [None, 1, None, 2, 3]
    assert page.cells[4].outputs[0].execution_count == 3 and not page.cells[2].outputs
    assert "widgets" not in page.metadata and "execution" not in page.cells[1].metadata
    assert "version" not in page.metadata.language_info
    assert once.endswith(b"\n") and "é".encode() in once
    assert call(run_notebooks.main, "refresh")[0] == 0 and path.read_bytes() == once
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_refresh_writes_nothing_after_a_failure(notebook, call):
    path = notebook("01_bad", "# Bad", "print('new output')", FAILING, "report('01_bad')")
    before = path.read_bytes()
    status, printed = call(run_notebooks.main, "refresh")
    assert status == 1 and "cell 3 `report('01_bad')`: ClaimFailed" in printed
    assert path.read_bytes() == before


def test_verify_compares_outputs_and_claims(notebook, call, tmp_path):
    path = notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    call(run_notebooks.main, "refresh")
    old = tmp_path / "build" / "claims" / "verify" / "01_other.json"
    old.parent.mkdir(parents=True)
    old.write_text("[]")
    status, printed = call(run_notebooks.main, "verify")
    assert printed.splitlines()[-1] == "verify: 1 notebook, 2 claims, all hold"
    assert status == 0 and not old.exists()
    path.write_text(path.read_text().replace("whole hold\\n", "whole hold!\\n"))
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')")
    status, printed = call(run_notebooks.main, "verify")
    assert status == 1
    assert "01_good.ipynb::Cell 1" in printed and "02_bad.ipynb::Cell 1" in printed
    assert "02_bad, claim small: holds for 3 of 5 seeds: seeds are small" in printed


def test_nbval_notices_a_dead_kernel(notebook, call, monkeypatch):
    path = notebook("01_dead", "# Dead", "import os; os._exit(3)")
    shutil.copy(execution.ROOT / "conftest.py", path.parent)  # as it applies to our own notebooks
    monkeypatch.setattr(run_notebooks, "CELL_TIMEOUT", 60)
    status, printed = call(run_notebooks.main, "verify")
    assert status == 1 and "the kernel died, out of memory?" in printed


def test_replicate_counts_per_claim(notebook, call, tmp_path):
    notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    status, printed = call(replicate.main, "--seeds", "96-99")
    assert status == 0 and "| small | 4/4 | 51% to 100% | 99% |" in printed
    status, printed = call(replicate.main, "--seeds", "98-101", "--notebooks", "01")
    assert status == 1
    assert "| small | 2/4 | 15% to 85% | 99% **FELL SHORT** | 100, 101 |" in printed
    assert "| whole | 4/4 | 51% to 100% | 99% |  |" in printed
    assert "01_good, claim small: holds for 2 of 4 seeds, at least 99%" in printed
    written = (tmp_path / "build" / "replication.md").read_text(encoding="utf-8")
    assert written in printed and "4 seeds, 98 to 101; torch 1.0" in written


def test_seeds_are_listed_as_ranges(notebook, call):
    notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    assert "4 seeds, 3, 5 to 6, 80; torch" in call(replicate.main, "--seeds", "3,5,6,80")[1]


@pytest.mark.parametrize(
    "main, arguments", [(replicate.main, ["--seeds", "1"]), (arithmetic.main, ["--machines"])]
)
def test_what_cannot_be_read_or_written_is_named(notebook, call, tmp_path, monkeypatch, main,
                                                 arguments):  # fmt: skip
    notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    call(replicate.main, "--seeds", "1")
    (tmp_path / "build" / "arithmetic" / "stored").mkdir(parents=True)

    def full(path, content):
        raise files.WriteError(f"{path} could not be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        status, printed = call(main, *arguments)
    assert status == 1 and "could not be written: No space left on device" in printed
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path)
    (tmp_path / "01_toy.nc").write_bytes(b"CDF")
    status, printed = call(main, *arguments)
    assert status == 1 and "01_toy.nc is not a readable stored result" in printed


def test_a_damaged_record_is_named(notebook, tmp_path):
    path = notebook("01_good", "# Good", "report('01_good')")
    (tmp_path / "01_good.json").write_text("[{")
    records, (problem,) = execution.read_records(tmp_path, path)
    assert records == [] and "01_good.json is damaged" in problem.message


@pytest.mark.parametrize(
    "at_least, held, short",
    [(1.0, 99, False), (1.0, 98, True), (0.8, 80, False), (0.8, 79, True)],
)
def test_one_seed_in_a_hundred_may_fall(at_least, held, short):
    record = {"claim": "c", "sentence": "", "at_least": at_least, "bound": 0, "direction": "above"}
    found = {seed: [record | {"values": 1 if seed < held else -1}] for seed in range(100)}
    (row,) = replicate.counts(found)
    assert row["held"] == held and row["short"] == short


@pytest.mark.parametrize("bound", [{"above": 0}, {"below": 0}])
def test_a_value_that_is_not_finite_is_judged_as_in_the_notebook(bound, tmp_path, monkeypatch):
    """A run that never reaches its target has infinite steps: slower than one that does."""
    values = xr.DataArray([-np.inf, -1, 1, np.inf, np.nan], {"seed": range(5)})
    claim = claims.Claim("c", "it is so", values, at_least=0.1, **bound)
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path))
    claims.report("00_toy", [claim])
    (record,) = json.loads((tmp_path / "00_toy.json").read_text())
    by_seed = [record | {"values": record["values"][str(seed)]} for seed in range(5)]
    assert [replicate.holds(one) for one in by_seed] == (claim.margins > 0).values.tolist()


@pytest.mark.parametrize(
    "was, now, share",
    [(3, 3, 0), (3, 4, 0.5), ("inf", "inf", 0), ("nan", "nan", 0), (3, "inf", np.inf)]
    + [("nan", 3, np.inf), ("inf", "-inf", np.inf), ("inf", "nan", np.inf)],
)
def test_how_far_a_value_moved_is_a_share_of_its_margin(was, now, share):
    record = {"claim": "c", "bound": 1}
    before, after = ({0: [record | {"values": value}]} for value in (was, now))
    assert arithmetic.moved(before, after) == {"c": share}


LOGS = "open('ran', 'a').write(__import__('os').environ['COURSE_SEEDS'] + ' ')"


def test_replicate_goes_on_with_what_is_missing(notebook, call, tmp_path):
    path = notebook("01_good", "# Good", CLAIMS, LOGS, "report('01_good')")
    ran, kept = path.with_name("ran"), tmp_path / "build" / "replicate" / "01_good"
    call(replicate.main, "--seeds", "1-7", "--workers", "1")
    (kept / "3.json").unlink()
    (kept / "4.json").write_text("{")  # by somebody else: our own are whole or not there
    (kept / "6.json").write_text("[]")
    (kept / "7.json").write_text("{}")
    nothing = (kept / "2.json").read_text().replace('"values": 2', '"values": null')
    (kept / "2.json").write_text(nothing)  # so older releases kept what is not finite
    assert "null" in nothing
    status, printed = call(replicate.main, "--seeds", "1-7", "--workers", "1")
    assert ran.read_text().split() == ["1,2,3,4,5", "6,7", "2,3,4,6,7"]
    assert status == 0 and "| small | 7/7 |" in printed
    notebook("01_good", "# Better", CLAIMS, LOGS, "report('01_good')")  # words do not count
    call(replicate.main, "--seeds", "1-7", "--workers", "1")
    assert len(ran.read_text().split()) == 3
    notebook("01_good", "# Better", FAILING, LOGS, "report('01_good')")
    status, printed = call(replicate.main, "--seeds", "1-2", "--finished")
    assert status == 1 and "none of these seeds is finished" in printed
    call(replicate.main, "--seeds", "1-2", "--workers", "1")
    assert ran.read_text().split()[3:] == ["1,2"]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("with_what", [signal.SIGINT, signal.SIGKILL])
def test_replicate_may_be_stopped_at_any_time(notebook, call, tmp_path, with_what, workers):
    """The first group of seeds goes through at once, the second waits to be stopped."""
    wait = "import os, time; '6' in os.environ['COURSE_SEEDS'] and time.sleep(1000)"
    pid = "'6' in os.environ['COURSE_SEEDS'] and open('pid', 'w').write(str(os.getpid()))"
    path = notebook("01_slow", "# Slow", CLAIMS, pid, wait, "report('01_slow')")
    folders = ["--folder", f"{path.parent}", "--build", f"{tmp_path / 'build'}"]
    seeds = ["--seeds", "1-6", "--workers", workers]
    command = [sys.executable, replicate.__file__, *folders, *seeds]
    process = subprocess.Popen(command, start_new_session=True)
    kept = tmp_path / "build" / "replicate" / "01_slow"
    wait_for(lambda: (kept / "5.json").exists())
    wait_for(lambda: path.with_name("pid").exists() and path.with_name("pid").read_text())
    os.killpg(process.pid, with_what)
    assert process.wait(60) == (130 if with_what == signal.SIGINT else -with_what)
    kernel = int(path.with_name("pid").read_text())
    wait_for(lambda: not Path(f"/proc/{kernel}").exists())
    assert sorted(file.name for file in kept.iterdir()) == [f"{n}.json" for n in range(1, 6)]
    status, printed = call(replicate.main, *seeds, "--finished")
    assert status == 0 and "| small | 5/5 |" in printed


def test_after_a_kill_of_replicate_alone_its_workers_begin_nothing_new(notebook, tmp_path):
    """A second start would otherwise share the cores with what is left of the first."""
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.1)"
    path = notebook("01_slow", "# Slow", CLAIMS, LOGS, wait, "report('01_slow')")
    folders = ["--folder", f"{path.parent}", "--build", f"{tmp_path / 'build'}"]
    command = [sys.executable, replicate.__file__, *folders, "--seeds", "1-30", "--workers", "2"]
    process = subprocess.Popen(command, start_new_session=True)
    ran, kept = path.with_name("ran"), tmp_path / "build" / "replicate" / "01_slow"
    try:
        wait_for(lambda: ran.exists() and len(ran.read_text().split()) == 2)
        process.kill()
        process.wait(60)
        path.with_name("go").touch()
        wait_for(lambda: kept.exists() and len(list(kept.iterdir())) == 10)
        time.sleep(5)  # a kernel is there in less
        assert len(ran.read_text().split()) == 2
    finally:
        os.killpg(process.pid, signal.SIGKILL)


MOVING = CLAIMS.replace(
    "{str(seed): seed for seed in seeds}",
    "{str(s): s + 2 * (os.environ.get('ATEN_CPU_CAPABILITY') == 'default') for s in seeds}",
)


def test_arithmetic_says_what_moved_and_what_fell(notebook, call, tmp_path):
    notebook("01_moving", "# Moving", MOVING, "report('01_moving')")
    machines = ["--machines", "stored", "no-vectors-1-thread"]
    status, printed = call(arithmetic.main, "--seeds", "0-4", *machines)
    assert status == 0 and "| stored | 01_moving | 5 | 2 | 2 | 0 |  |" in printed
    assert "| no-vectors-1-thread | 01_moving | 5 | 2 | 2 | 2 | small 2.1%, whole 0.0% |" in printed
    shutil.copytree(tmp_path / "build" / "arithmetic" / "stored", tmp_path / "aside")
    shutil.rmtree(tmp_path / "build" / "arithmetic" / "stored")
    alone = call(arithmetic.main, "--machines", "no-vectors-1-thread")[1]
    assert "| no-vectors-1-thread | 01_moving | 5 | 2 | 2 | - |  |" in alone, "nothing to compare"
    shutil.copytree(tmp_path / "aside", tmp_path / "build" / "arithmetic" / "stored")
    other = tmp_path / "build" / "arithmetic" / "torch-1.0"  # computed in another environment
    shutil.copytree(other.with_name("stored"), other)
    assert "| torch-1.0 |" in call(arithmetic.main, "--machines")[1]
    falls = MOVING.replace('("small", 100)', '("small", 5)')
    notebook("01_moving", "# Moving", falls, "report('01_moving')")
    status, printed = call(arithmetic.main, *machines)
    assert status == 1 and "claim small: falls on no-vectors-1-thread" in printed
    assert "falls on stored" not in printed
    fallen = MOVING.replace('("small", 100)', '("small", 3)')  # on any machine
    notebook("01_moving", "# Moving", fallen, "report('01_moving')")
    printed = call(arithmetic.main, *machines)[1]
    assert "falls on stored" in printed and "falls on no-vectors" not in printed


def wait_for(condition, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "sources, message",
    [
        (["1 / 0"], "ZeroDivisionError"),
        (["print('no claims')"], "no claim was recorded"),
        ([CLAIMS.replace('"COURSE_SEEDS"', '"X"'), "report('01_bad')"], "judged on"),
    ],
    ids=["error", "nothing claimed", "other seeds"],
)
def test_replicate_is_not_green_when_nothing_was_replicated(notebook, call, sources, message):
    notebook("01_bad", "# Bad", *sources)
    status, printed = call(replicate.main, "--seeds", "101-102")
    assert status == 1 and message in printed


@pytest.mark.parametrize(
    "main, arguments, message",
    [
        (replicate.main, ["--seeds", "5-1"], "runs backwards"),
        (
            replicate.main,
            ["--seeds", "1", "--notebooks", "9"],
            "notebook '9' means 0 of: 01_a, 02_",
        ),
        (replicate.main, ["--seeds", "1", "--workers", "0"], "workers must be 1 or larger, got 0"),
        (arithmetic.main, ["--workers", "0"], "workers must be 1 or larger, got 0"),
        (run_notebooks.main, ["course", "0"], "notebook '0' means 2 of: 01_a, 02_b"),
        (run_notebooks.main, ["refresh", "--folder", "nowhere"], "there is no notebook in nowhere"),
    ],
)
def test_bad_input_is_named(notebook, tmp_path, capsys, main, arguments, message):
    notebook("01_a", "# A")
    notebook("02_b", "# B")
    with pytest.raises(SystemExit) as stop:
        main(["--folder", f"{tmp_path / 'notebooks'}", *arguments])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_select_takes_numbers_names_and_paths(notebook):
    first, second, third = notebook("01_a", "# A"), notebook("02_b", "# B"), notebook("02_bc", "#")
    for names in (["01"], ["01_a"], ["01_a.ipynb"], [f"{first}"]):
        assert execution.select(first.parent, names) == [first]
    assert execution.select(first.parent, ["02_b"]) == [second]  # although 02_bc begins like it
    assert execution.select(first.parent, []) == [first, second, third]
