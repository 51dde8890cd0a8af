"""Full disks, read-only folders, garbled files: one sentence, nothing lost.

Checkouts are made read-only for real, in a mount namespace of their own (Linux, as root or where
user namespaces are allowed); elsewhere those tests are skipped.
"""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from course_utils import _files as files
from course_utils import _store as store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
READER = """import sys
sys.path.insert(0, sys.argv[1])
from execution import ROOT, environment, execute
run = execute(ROOT / "notebooks" / "00_start_here.ipynb", environment("read"))
print("read", *run.problems)"""


RUNS = xr.Dataset(
    {"loss": (("width", "seed", "step"), np.random.default_rng(0).normal(size=(2, 3, 50)))},
    {"width": [2, 8], "seed": [0, 1, 2], "step": range(50)},
    {"settings": ["width"], "cpu_seconds": 1.0, "runs": 6},
)


def experiment(width, seed):
    return {"value": width + seed}


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """A stored result."""
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    return store.save("toy", RUNS, experiment)


def is_as_stored() -> bool:
    return store.load("toy").drop_attrs().identical(RUNS.drop_attrs())


def test_a_byte_changed_anywhere_is_noticed(path):
    """Or the end missing."""
    whole, harmless = path.read_bytes(), []
    changed = (
        whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :]
        for place in range(0, len(whole), 5)
    )
    cut = (whole[:length] for length in [*range(0, len(whole), 300), len(whole) - 1])
    for number, content in enumerate((*changed, *cut)):
        path.write_bytes(content)
        try:
            assert is_as_stored(), f"file {number} gave other numbers"
            harmless.append(number)
        except store.StoreError as error:
            assert "toy.nc" in str(error)
    assert len(harmless) <= 4, "in the word checksum or sha256: itself; the numbers are right"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_writing_cut_short_leaves_the_old_file_and_nothing_else(path, monkeypatch, error):
    write_bytes = Path.write_bytes

    def half(path: Path, content: bytes) -> None:
        write_bytes(path, content[: len(content) // 2])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises((files.WriteError, KeyboardInterrupt)):
            store.save("toy", RUNS.assign(loss=-RUNS["loss"]), experiment)
    assert is_as_stored() and list(path.parent.iterdir()) == [path]


def read_only(*command: str) -> subprocess.CompletedProcess:
    """Run a command for which the checkout is read-only."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f"mount --bind '{ROOT}' '{ROOT}' && mount -o remount,bind,ro '{ROOT}' && exec \"$@\""
    whole = ["unshare", "--mount", *rights, "sh", "-c", mount, "sh", *command]
    environment = {key: value for key, value in os.environ.items() if key != "COURSE_MODE"}
    return subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def mountable() -> None:
    if shutil.which("unshare") is None or read_only("true").returncode:
        pytest.skip("nothing can be mounted here for a test")


def test_two_readers_at_once_in_a_read_only_checkout(mountable):
    """Sweeps, predictions, exercises and the lab of notebook 00 need no file of their own."""
    both = '"$1" -c "$2" "$3" & "$1" -c "$2" "$3"; wait'
    done = read_only("sh", "-c", both, "sh", sys.executable, READER, str(ROOT / "tools"))
    assert done.stdout == 2 * "read\n", done.stdout + done.stderr


@pytest.mark.parametrize(("command", "named"), [("data", "data/store"), ("refresh", "notebooks")])
def test_what_has_to_write_says_where_it_cannot_before_it_computes(mountable, command, named):
    done = read_only(sys.executable, str(ROOT / "tools" / "run_notebooks.py"), command)
    sentence = f"nothing can be written into {ROOT / named}: Read-only file system"
    failed = f"\n{command}: FAILED, 1 problem\n  {command}: {sentence}\n"
    assert (done.returncode, done.stdout) == (1, failed)
