"""Other seeds and other arithmetic: every claim is counted, what stops a run loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import arithmetic
import computed
import execution
import pytest
import replicate
import run_notebooks
from stand_in import CLAIMS, FAILING, LOGS

pytestmark = pytest.mark.slow


def test_replicate_counts_per_claim(notebook, call, tmp_path):
    notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    status, printed = call(replicate.main, "--seeds", "96-99")
    assert status == 0 and "| small | 4/4 | 51% to 100% |  |" in printed
    assert "| **all** | 2 | 1.0000 | 0.98" in printed, "the chance that both are green"
    status, printed = call(replicate.main, "--seeds", "98-101", "--notebooks", "01")
    assert status == 1
    assert "| small | 2/4 | 15% to 85% **FELL SHORT** | 100, 101 |" in printed
    assert "| whole | 4/4 | 51% to 100% |  |" in printed
    assert (tmp_path / "build" / "replication.md").read_text(encoding="utf-8") in printed


def test_replicate_goes_on_with_what_is_missing(notebook, call, tmp_path):
    path = notebook("01_good", "# Good", CLAIMS, LOGS, "report('01_good')")
    ran, kept = path.with_name("ran"), tmp_path / "build" / "replicate" / "01_good"
    call(replicate.main, "--seeds", "1-7", "--workers", "1")
    (kept / "3.json").unlink()
    (kept / "4.json").write_text("{")  # by somebody else: our own are whole or not there
    status, printed = call(replicate.main, "--seeds", "1-7", "--workers", "1")
    assert ran.read_text().split() == ["1,2,3,4,5", "6,7", "3,4"]
    assert status == 0 and "| small | 7/7 |" in printed
    notebook("01_good", "# Better", CLAIMS, LOGS, "report('01_good')")  # words do not count
    call(replicate.main, "--seeds", "1-7", "--workers", "1")
    assert len(ran.read_text().split()) == 3
    notebook("01_good", "# Better", FAILING, LOGS, "report('01_good')")
    assert call(replicate.main, "--seeds", "1-2", "--finished")[0] == 1, "none of these is finished"
    call(replicate.main, "--seeds", "1-2", "--workers", "1")
    assert ran.read_text().split()[3:] == ["1,2"]


@pytest.mark.parametrize("with_what", [signal.SIGINT, signal.SIGKILL])
def test_replicate_may_be_stopped_at_any_time(notebook, call, tmp_path, with_what):
    """The first group of seeds goes through at once, the second waits to be stopped."""
    wait = "import os, time\nif '6' in os.environ['COURSE_SEEDS']:\n    "
    wait += "open('pid', 'w').write(str(os.getpid()))\n    time.sleep(1000)"
    path = notebook("01_slow", "# Slow", CLAIMS, wait, "report('01_slow')")
    folders = ["--folder", f"{path.parent}", "--build", f"{tmp_path / 'build'}"]
    seeds = ["--seeds", "1-6", "--workers", "2"]
    command = [sys.executable, replicate.__file__, *folders, *seeds]
    process = subprocess.Popen(command, start_new_session=True)
    kept, pid = tmp_path / "build" / "replicate" / "01_slow", path.with_name("pid")
    wait_for(lambda: (kept / "5.json").exists() and pid.exists() and pid.read_text())
    os.killpg(process.pid, with_what)
    assert process.wait(60) == (130 if with_what == signal.SIGINT else -with_what)
    kernel = int(pid.read_text())
    wait_for(lambda: not Path(f"/proc/{kernel}").exists())
    assert sorted(file.name for file in kept.iterdir()) == [f"{n}.json" for n in range(1, 6)]
    status, printed = call(replicate.main, *seeds, "--finished")
    assert status == 0 and "| small | 5/5 |" in printed


MOVING = CLAIMS.replace(
    "{str(seed): seed for seed in seeds}",
    "{str(s): s + 2 * (os.environ.get('ATEN_CPU_CAPABILITY') == 'default') for s in seeds}",
)


def test_arithmetic_says_what_moved(notebook, call, tmp_path):
    """What falls by it, tests/test_computed.py says."""
    notebook("01_moving", "# Moving", MOVING, "report('01_moving')")
    call(run_notebooks.main, "refresh")
    machines, proof = ["--machines", "stored", "no-vectors-1-thread"], tmp_path / "proof"
    proof.mkdir()
    status, printed = call(arithmetic.main, *machines, "--proof", f"{proof}")
    assert status == 0 and "| 01_moving | stored | 2 | 2 | 0 |  |" in printed
    assert "| 01_moving | no-vectors-1-thread | 2 | 2 | 2 | small 2%, whole 0% |" in printed
    kept = computed.load("01_moving", proof)["no-vectors-1-thread"]["claims"]["small"]
    assert kept == {"bound": "below 100", "values": {"0": 2, "1": 3, "2": 4, "3": 5, "4": 6}}
    other = tmp_path / "build" / "arithmetic" / "torch-1.0"  # computed in another environment
    shutil.copytree(other.with_name("stored"), other)
    assert "| torch-1.0 |" in call(arithmetic.main, "--machines", "--proof", f"{proof}")[1]


def wait_for(condition, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["1 / 0"], "ZeroDivisionError"),
        (["print('no claims')"], "no claim was recorded"),
        ([CLAIMS.replace('"COURSE_SEEDS"', '"X"'), "report('01_bad')"], "judged on"),
    ],
)
def test_replicate_is_not_green_when_nothing_was_replicated(notebook, call, sources, message):
    notebook("01_bad", "# Bad", *sources)
    status, printed = call(replicate.main, "--seeds", "101-102")
    assert status == 1 and message in printed


@pytest.mark.parametrize(
    "path", sorted((execution.ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem
)
def test_what_a_notebooks_results_depend_on_is_the_same_each_time(path):
    assert replicate.source(path) == replicate.source(path)
