"""The set-up cell for real: in another virtual environment, with a local clone as the address."""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import colab
import pytest
from colab import ROOT

pytestmark = pytest.mark.slow

CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for source in sys.argv[1:]:
    shell.run_cell(source)
    print("\\0", end="", flush=True)"""
INSPECT = """
import importlib.metadata, importlib.util, json, pathlib
names = {found.name for found in importlib.metadata.distributions()}
where = importlib.util.find_spec("course_utils")
stored = where and pathlib.Path(where.origin).parent.glob("store_files/*")
print(json.dumps([where and where.origin, where and sorted(path.name for path in stored),
    {name: importlib.metadata.version(name) for name in names}]))"""


@pytest.fixture
def repository(tmp_path) -> Path:
    """A git repository of what an installation needs; it asks for a tqdm that is not installed."""
    root = tmp_path / "repository"
    for name in ("course_utils", "data"):
        left_out = shutil.ignore_patterns("__pycache__", "downloads")
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    for name in ("LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, root)
    # Whoever looks at the dependencies fails, or changes what is installed.
    before, asked, after = (ROOT / "pyproject.toml").read_text().partition('"tqdm>=4.66"')
    assert asked
    (root / "pyproject.toml").write_text(f'{before}"tqdm==4.66.0"{after}')
    git = ["git", "-c", "user.name=test", "-c", "user.email=test", "-C", str(root)]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    return root


@pytest.fixture
def runtime(tmp_path) -> Path:
    """A fresh virtual environment with all that is installed here, as links, but the package."""
    venv.create(tmp_path / "runtime")
    (tmp_path / "borrowed").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "course_utils" not in entry.name and entry.suffix != ".pth":
            (tmp_path / "borrowed" / entry.name).symlink_to(entry)
    (own,) = (tmp_path / "runtime").glob("lib/**/site-packages")
    (own / "borrowed.pth").write_text(f"{tmp_path / 'borrowed'}\n")
    return tmp_path / "runtime"


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git to clone with")
def test_setup_cell_for_real(repository, runtime, tmp_path):
    setup = colab.setup_source(f"{repository.as_uri()}@main")
    cells = [INSPECT, setup, setup, "import course_utils.sweeps", INSPECT]
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    surroundings["IPYTHONDIR"] = str(tmp_path)
    options = {"cwd": tmp_path, "env": surroundings, "stdout": subprocess.PIPE, "text": True}
    command = [runtime / "bin" / "python", "-c", CELLS, *cells]
    done = subprocess.run(command, stderr=subprocess.STDOUT, timeout=300, **options)
    before, first, second, imported, after, _ = done.stdout.split("\0")
    (was_there, _, old), (is_there, stored, new) = json.loads(before), json.loads(after)
    assert not was_there and "course-utils" not in old and "torch" in old
    if not is_there and "hatchling" in first and "CI" not in os.environ:
        pytest.skip("pip cannot fetch what builds the package: is there a network?")
    assert is_there and second == imported == "", first
    assert is_there.startswith(str(runtime))
    assert stored == sorted(path.name for path in (ROOT / "data" / "store").iterdir())
    assert new.pop("course-utils") == "0.1.0" and new == old
