"""A stale stamp is tried: what computes the same is stamped anew, what does not is recomputed."""

import shutil
import subprocess
from pathlib import Path

import definitions
import pytest
import stale

import course_utils
from course_utils import _store as store
from course_utils.sweeps import sweep

pytestmark = pytest.mark.slow

TOY = """from course_utils.sweeps import stored_grid, sweep


def plain(width, seed):
    return {"loss": width * (seed + 1.0)}


def sparse(width, seed):
    return {"loss": width + 1.0}


runs = sweep(plain, {"width": [0, 1]}, name="toy")
grid = stored_grid(sparse, {"width": list(range(16))}, name="toy_lab")"""


@pytest.fixture
def tree(notebook, tmp_path, monkeypatch):
    """A function that edits the notebook of a small checkout, whose store was made before."""
    path = notebook("01_toy", "# Toy", TOY)
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "data" / "store")
    for use, widths, seeds in zip(definitions.uses(path), (2, 16), (2, 1), strict=True):
        function, grid = stale.experiment(use), {"width": list(range(widths))}
        store.save(use.name, sweep(function, grid, range(seeds), workers=1), function)
    shutil.copytree(Path(course_utils.__file__).parent, tmp_path / "course_utils")
    git = ["git", "-C", f"{tmp_path}", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "notebooks", "data", "course_utils"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "stored"], check=True)

    def edit(old, new):
        assert old in TOY
        definitions.load.cache_clear()
        monkeypatch.delitem(definitions.sys.modules, definitions.load(path).__name__)
        definitions.load.cache_clear()
        return notebook("01_toy", "# Toy", TOY.replace(old, new))

    return edit


def test_what_computes_the_same_is_stamped_anew(tree, tmp_path):
    path = tree("width * (seed + 1.0)", "(1.0 + seed) * width")
    (use,) = stale.stale([path])
    assert stale.try_again([use], tmp_path) == [] and stale.stale([path]) == []
    assert "2 runs of the first seed, equal bit for bit" in store.load("toy").attrs["checked_by"]
    assert store.load("toy")["loss"].sizes["seed"] == 2
    assert subprocess.check_output(["git", "-C", tmp_path, "worktree", "list"]).count(b"\n") == 1


def test_what_computes_something_else_is_left(tree, tmp_path, capsys):
    path = tree("width + 1.0", "width + 1.0 + 1e-15 * (width == 8)")
    (use,) = stale.stale([path])
    before = store.store_path("toy_lab").read_bytes()
    assert stale.try_again([use], tmp_path) == [use]
    assert "toy_lab: 2 runs" in capsys.readouterr().out, "of 16, one setting in eight"
    assert store.store_path("toy_lab").read_bytes() == before
