"""The set-up cell for real: another virtual environment, a local clone as the address, a kernel."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import colab
import pytest
from colab import ROOT
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

pytestmark = pytest.mark.slow

INSPECT = """
import importlib.metadata, importlib.util, json, sys
names = {found.name for found in importlib.metadata.distributions()}
print(json.dumps({
    "found": importlib.util.find_spec("course_utils") is not None,
    "prefix": sys.prefix,
    "versions": {name: importlib.metadata.version(name) for name in names},
}))"""
IMPORT = """
import json, pathlib, course_utils, course_utils._vision
folder = pathlib.Path(course_utils.__file__).parent
stored = sorted(path.name for path in (folder / "store_files").iterdir())
print(json.dumps({"folder": str(folder), "stored": stored}))"""


@pytest.fixture
def repository(tmp_path):
    """A git repository of what an installation needs; it asks for a tqdm that is not installed."""
    root = tmp_path / "repository"
    root.mkdir()
    for name in ("pyproject.toml", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, root)
    for name in ("course_utils", "data"):
        left_out = shutil.ignore_patterns("__pycache__", "downloads")
        shutil.copytree(ROOT / name, root / name, ignore=left_out)
    (root / "data" / "store").mkdir(exist_ok=True)
    (root / "data" / "store" / "brought_along.nc").write_bytes(b"stored")
    # Whoever looks at the dependencies fails, or changes what is installed.
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert '"tqdm>=4.66"' in pyproject
    pyproject = pyproject.replace('"tqdm>=4.66"', '"tqdm==4.66.0"')
    (root / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test", "-C", str(root)]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    return root


@pytest.fixture
def runtime(tmp_path):
    """The Python of a fresh virtual environment with all that is installed here but the package.

    Linked, not copied: torch alone has gigabytes.
    """
    venv.create(tmp_path / "runtime")
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "course_utils" not in entry.name and entry.suffix != ".pth":
            (borrowed / entry.name).symlink_to(entry)
    (own,) = (tmp_path / "runtime").glob("[Ll]ib/**/site-packages")
    (own / "borrowed.pth").write_text(f"{borrowed}\n")
    binaries = "Scripts" if os.name == "nt" else "bin"
    return tmp_path / "runtime" / binaries / Path(sys.executable).name


def run_cells(python, sources, folder):
    """What each cell prints in a kernel of `python`, started in `folder`."""
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "runtime", "language": "python"}
    (folder / "kernels" / "runtime").mkdir(parents=True)
    (folder / "kernels" / "runtime" / "kernel.json").write_text(json.dumps(spec))
    specs = KernelSpecManager(kernel_dirs=[str(folder / "kernels")])
    manager = KernelManager(kernel_name="runtime", kernel_spec_manager=specs)
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    surroundings["IPYTHONDIR"] = str(folder / "ipython")
    manager.start_kernel(cwd=str(folder), env=surroundings)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return [printed_by(client, source) for source in sources]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.term()


def printed_by(client, source):
    """The text that running `source` leaves, tracebacks included."""
    texts = []

    def keep(message):
        content = message["content"]
        texts.append(content.get("text", "") + "\n".join(content.get("traceback", [])))

    client.execute_interactive(source, output_hook=keep, timeout=300)
    return "".join(texts)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git to clone with")
def test_setup_cell_for_real(repository, runtime, tmp_path):
    setup = colab.setup_source(f"{repository.as_uri()}@main")
    printed = run_cells(runtime, [INSPECT, setup, setup, IMPORT, INSPECT], tmp_path)
    before, first, second, imported, after = printed
    before, after = json.loads(before), json.loads(after)
    assert not before["found"] and "course-utils" not in before["versions"]
    assert "torch" in before["versions"]
    if not after["found"] and "hatchling" in first and "CI" not in os.environ:
        pytest.skip("pip cannot fetch what builds the package: is there a network?")
    assert after["found"], first
    assert second == ""
    imported = json.loads(imported)
    assert imported["folder"].startswith(before["prefix"])
    assert "brought_along.nc" in imported["stored"]
    assert set(imported["stored"]) >= {p.name for p in (ROOT / "data" / "store").iterdir()}
    assert after["versions"].pop("course-utils") == "0.1.0"
    assert after["versions"] == before["versions"]
