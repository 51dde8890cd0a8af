"""Badges and set-up cells: one address everywhere. What the cells do, test_setup_cell.py says."""

import colab
import nbformat
import pytest
from colab import ROOT

PYPROJECT = """[project]
branch = "not this one"

[tool.course]
repository = ""
branch = "main"

[tool.other]
repository = "kept"
"""


@pytest.fixture
def course(tmp_path, notebook):
    """A small checkout with two notebooks, stamped with no address."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    for name in ("00_start", "01_next"):
        notebook(name, "# Größer", "pass", "x = 1", tags={"pass": "setup"})
    colab.main([], root=tmp_path)
    return tmp_path


def files(course):
    """The text of everything that a stamp may change."""
    paths = [course / "pyproject.toml", *colab.notebooks(course)]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("path", colab.notebooks(), ids=lambda path: path.stem)
def test_notebook_shows_the_stored_address(path):
    address = colab.read_address((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    stamped = nbformat.reads(colab.stamped(text, f"notebooks/{path.name}", address), as_version=4)
    assert stamped == nbformat.reads(text, as_version=4), "run `make colab`"


def test_what_cannot_be_an_address_or_stamped_is_named_and_changes_nothing(course, notebook):
    before = files(course)
    for repository in ("name", "https://github.com/owner/name", "owner/name.git", "a/b'"):
        with pytest.raises(SystemExit, match="REPO is .*accepted"):
            colab.main([repository], root=course)
    notebook("02_bare", "# Bare", "pass")
    with pytest.raises(SystemExit, match="02_bare.ipynb has 0 cells"):
        colab.main(["owner/name"], root=course)
    assert files(course).items() > before.items()


def test_stamp_sets_badges_and_setup_and_is_undone(course):
    before = files(course)
    colab.main(["owner/name", "v1"], root=course)
    stamped = files(course)
    colab.main([], root=course)
    assert files(course) == stamped
    changed = PYPROJECT.replace('y = ""', 'y = "owner/name"').replace('"main"', '"v1"')
    assert stamped["pyproject.toml"] == changed
    for path in colab.notebooks(course):
        _, badge, setup, _ = nbformat.read(path, as_version=4).cells
        assert badge.source.endswith(f"/github/owner/name/blob/v1/notebooks/{path.name})")
        assert '"git+https://github.com/owner/name@v1"' in setup.source
        assert "Größer" in stamped[path.name] and stamped[path.name].endswith("}\n")
    colab.main(["owner/renamed"], root=course)
    assert not any("owner/name" in text for text in files(course).values())
    colab.main([""], root=course)
    assert files(course) == before
