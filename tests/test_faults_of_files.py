"""Full disks, read-only folders, garbled files, two writers at once: one sentence, nothing lost.

Disks are filled and checkouts made read-only for real, in a mount namespace of their own (Linux,
as root or where user namespaces are allowed); elsewhere those tests are skipped.
"""

import errno
import json
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
TOOL = str(ROOT / "tools" / "run_notebooks.py")
READER = """import sys
from pathlib import Path
sys.path.insert(0, {tools!r})
from execution import environment, execute
folder, claims = Path({notebooks!r}), Path({claims!r})
try:
    (folder / "written").touch()
except OSError as error:
    refused = error.strerror
run = execute(folder / "00_start_here.ipynb", environment("read", claims=claims))
print(refused, *run.problems)"""
TOO_LONG = """import xarray as xr
from course_utils.claims import Claim, report
values = xr.DataArray([1.0], dims="seed", coords=dict(seed=[0]))
report("01_long", [Claim("long", "word " * 20_000, values, above=0)])"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty store."""
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    return tmp_path / "store"


def experiment(width, seed):
    return {"value": width + seed}


def results(scale: float = 1.0) -> xr.Dataset:
    """What a sweep of `experiment` returns, made without one."""
    values = scale * np.random.default_rng(0).normal(size=(2, 3, 50))
    runs = xr.Dataset(
        {"loss": (("width", "seed", "step"), values)},
        {"width": [2, 8], "seed": [0, 1, 2], "step": range(50)},
    )
    return runs.assign_attrs(settings=["width"], cpu_seconds=1.0, runs=6)


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    return one.drop_attrs().identical(other.drop_attrs())


# ---- a stored result that is not as it was written ----


def test_a_whole_file_is_read_and_so_is_one_from_before_there_were_checksums(folder):
    path = store.save("toy", results(), experiment)
    assert same(store.load("toy"), results()) and "checksum" not in store.load("toy").attrs
    assert "sha256:" in xr.load_dataset(path, engine="scipy").attrs["checksum"]
    store.load("toy").to_netcdf(path, engine="scipy")
    assert b"sha256:" not in path.read_bytes() and same(store.load("toy"), results())


def test_a_file_cut_short_anywhere_is_named_with_the_remedy(folder):
    path = store.save("toy", results(), experiment)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(store.StoreError, match=r"toy\.nc is not .* `git checkout .*make data`"):
            store.load("toy")


def test_a_byte_changed_anywhere_is_noticed(folder):
    path = store.save("toy", results(), experiment)
    whole, harmless = path.read_bytes(), []
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        try:
            assert same(store.load("toy"), results()), f"byte {place} gave other numbers"
            harmless.append(place)
        except store.StoreError as error:
            assert "toy.nc" in str(error)
    assert len(harmless) <= 4, "in the word checksum or sha256: itself; the numbers are right"


# ---- writing that is cut short, and two who write at once ----


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_writing_cut_short_leaves_the_old_file_and_nothing_else(folder, monkeypatch, error):
    path = store.save("toy", results(), experiment)
    write_bytes = Path.write_bytes

    def half(path: Path, content: bytes) -> None:
        write_bytes(path, content[: len(content) // 2])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises((files.WriteError, KeyboardInterrupt)) as caught:
            store.save("toy", results(2.0), experiment)
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path} could not be written: No space left"
    assert same(store.load("toy"), results()) and list(folder.iterdir()) == [path]


def test_two_processes_may_write_the_same_file(tmp_path):
    """The loser's file is replaced whole; with one temporary name they would mix or collide."""
    path = tmp_path / "record.json"
    code = (
        "import sys\nfrom pathlib import Path\nfrom course_utils._files import write\n"
        "for _ in range(400): write(Path(sys.argv[1]), sys.argv[2] * int(sys.argv[3]))"
    )
    sizes = {"a": 90_000, "b": 20_000}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, path, *map(str, item)], cwd=ROOT)
        for item in sizes.items()
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert path.read_text() in [letter * size for letter, size in sizes.items()]
    assert list(tmp_path.iterdir()) == [path]


# ---- disks that are full and checkouts that are read-only, for real ----


def with_mounts(mounts: str, *command: str) -> subprocess.CompletedProcess:
    """Run a command where the shell line `mounts` has been carried out, for it alone."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    shell = ["sh", "-c", f'{mounts} && exec "$@"', "sh"]
    environment = {key: value for key, value in os.environ.items() if key != "COURSE_MODE"}
    return subprocess.run(
        ["unshare", "--mount", *rights, *shell, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def read_only(folder: Path) -> str:
    return f"mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}'"


@pytest.fixture
def mountable(tmp_path) -> None:
    """Skip where nothing can be mounted."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here: nothing can be mounted for a test")
    tried = with_mounts(f"{read_only(ROOT)} && mount -t tmpfs none '{tmp_path}'", "true")
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip().splitlines()[-1]}")


def test_two_readers_at_once_in_a_read_only_checkout(mountable, tmp_path):
    """Sweeps, predictions, exercises and the lab of notebook 00 need no file of their own."""
    reader = READER.format(
        tools=str(ROOT / "tools"), notebooks=str(ROOT / "notebooks"), claims=str(tmp_path)
    )
    both = f'"{sys.executable}" -c "$1" & "{sys.executable}" -c "$1"; wait'
    done = with_mounts(read_only(ROOT), "sh", "-c", both, "sh", reader)
    assert done.stdout == 2 * "Read-only file system\n", done.stdout + done.stderr
    (record,) = tmp_path.iterdir()
    records = json.loads(record.read_text(encoding="utf-8"))
    assert records and all(claim["held"] for claim in records)


@pytest.mark.parametrize(("command", "named"), [("data", "data/store"), ("refresh", "notebooks")])
def test_what_has_to_write_says_where_it_cannot_before_it_computes(mountable, command, named):
    done = with_mounts(read_only(ROOT), sys.executable, TOOL, command)
    sentence = f"nothing can be written into {ROOT / named}: Read-only file system"
    failed = f"\n{command}: FAILED, 1 problem\n  {command}: {sentence}\n"
    assert (done.returncode, done.stdout) == (1, failed)


def test_a_full_disk_is_named_and_nothing_half_written_stays(mountable, notebook, tmp_path):
    path = notebook("01_long", "# Long", TOO_LONG)
    build = tmp_path / "build"
    build.mkdir()
    tool = f'"{sys.executable}" "{TOOL}" course --folder "{path.parent}" --build "{build}"'
    show = f'{tool}; status=$?; echo; find "{build}" -type f; exit $status'
    done = with_mounts(f"mount -t tmpfs -o size=64k none '{build}'", "sh", "-c", show)
    assert done.returncode == 1
    printed, left = done.stdout.rsplit("\n\n", 1)
    for name in (build / "claims" / "course" / "01_long.json", build / "01_long.html"):
        assert f"{name} could not be written: No space left on device" in printed
    assert left == ""
