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


runs = sweep(plain, {"width": [1, 2]}, name="toy")
grid = stored_grid(sparse, {"width": list(range(16))}, name="toy_lab")"""


@pytest.fixture
def tree(notebook, tmp_path, monkeypatch):
    """A function that edits the notebook of a small checkout, whose store was made before."""
    path = notebook("01_toy", "# Toy", TOY)
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "data" / "store")
    first, lab = definitions.uses(path)
    store.save("toy", sweep(stale.experiment(first), {"width": [1, 2]}, range(2), workers=1),
               stale.experiment(first))  # fmt: skip
    of_lab = sweep(stale.experiment(lab), {"width": list(range(16))}, [0], workers=1)
    store.save("toy_lab", of_lab, stale.experiment(lab))
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


def test_what_computes_the_same_is_stamped_anew(tree, tmp_path, capsys):
    path = tree("width * (seed + 1.0)", "(1.0 + seed) * width")
    (use,) = stale.stale([path])
    assert stale.try_again([use], tmp_path) == [] and stale.stale([path]) == []
    assert "toy: 2 runs under" in capsys.readouterr().out
    assert "2 runs of the first seed, equal bit for bit" in store.load("toy").attrs["checked_by"]
    assert store.load("toy")["loss"].sizes["seed"] == 2
    assert not subprocess.run(["git", "-C", tmp_path, "worktree", "list"], capture_output=True,
                              text=True, check=True).stdout.strip().count("\n")  # fmt: skip


def test_what_computes_something_else_is_left(tree, tmp_path, capsys):
    path = tree("width + 1.0", "width + 1.0 + 1e-15 * (width == 8)")
    (use,) = stale.stale([path])
    before = store.store_path("toy_lab").read_bytes()
    assert stale.try_again([use], tmp_path) == [use]
    assert "toy_lab: 2 runs" in capsys.readouterr().out, "of 16, one setting in eight"
    assert store.store_path("toy_lab").read_bytes() == before
    store.store_path("toy_lab").write_bytes(b"CDF")  # broken, and so to be recomputed
    assert stale.try_again(stale.stale([path]), tmp_path) == [use]
