"""Badges and set-up cells: one address everywhere, and a set-up cell that works for real."""

import importlib.util

import colab
import nbformat
import pytest
from colab import ROOT, Address
from IPython.core.inputtransformer2 import TransformerManager

DECIDED = Address("owner/name", "v1")
UNDECIDED = Address("", "main")
PYPROJECT = """[project]
name = "x"
branch = "not this one"

[tool.course]
repository = ""
branch = "main"

[tool.other]
repository = "kept"
"""


def as_python(source):
    """The source of a cell as the Python that IPython makes of it."""
    return TransformerManager().transform_cell(source)


class Shell:
    """Stands in for IPython: keeps the line magics it is asked to run."""

    def __init__(self):
        self.magics = []

    def run_line_magic(self, name, line, **_):
        self.magics.append(f"%{name} {line}")


def run_setup(source):
    """The line magics that a set-up cell runs here."""
    shell = Shell()
    exec(as_python(source), {"get_ipython": lambda: shell})
    return shell.magics


@pytest.fixture
def without_package(monkeypatch):
    """A Python that cannot find course_utils."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


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
    return {
        path: path.read_text() for path in [course / "pyproject.toml", *colab.notebooks(course)]
    }


@pytest.mark.parametrize("path", colab.notebooks(), ids=lambda path: path.stem)
def test_notebook_shows_the_stored_address(path):
    address = colab.read_address((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    stamped = colab.stamped(text, f"notebooks/{path.name}", address)
    assert nbformat.reads(stamped, as_version=4) == nbformat.reads(text, as_version=4), (
        "run `make colab`"
    )


def test_address_is_stored_in_its_table_only():
    written = colab.write_address(PYPROJECT, DECIDED)
    assert colab.read_address(written) == DECIDED
    assert colab.write_address(written, UNDECIDED) == PYPROJECT


@pytest.mark.parametrize(
    "repository",
    ["name", "owner/", "https://github.com/owner/name", "owner/name.git", "a/b c", "a/b'"],
)
def test_what_cannot_be_a_repository_is_refused(course, repository):
    before = files(course)
    with pytest.raises(SystemExit, match="REPO is .*accepted"):
        colab.main([repository], root=course)
    with pytest.raises(SystemExit, match="BRANCH is 'no branch'"):
        colab.main(["owner/name", "no branch"], root=course)
    assert files(course) == before


def test_stamp_sets_badges_and_setup_and_is_undone(course, capsys):
    before = files(course)
    colab.main(["owner/name", "v1"], root=course)
    stamped = files(course)
    colab.main([], root=course)
    assert files(course) == stamped
    for path in colab.notebooks(course):
        _, badge, setup, _ = nbformat.read(path, as_version=4).cells
        assert badge.source.endswith(f"/github/owner/name/blob/v1/notebooks/{path.name})")
        assert badge.id == "badge" and setup.id == "cell-1"
        assert "Größer" in stamped[path] and stamped[path].endswith("}\n")
        assert '"git+https://github.com/owner/name@v1"' in setup.source
    colab.main(["owner/renamed"], root=course)
    assert not any("owner/name" in text for text in files(course).values())
    colab.main([""], root=course)
    assert files(course) == before
    assert capsys.readouterr().out.splitlines()[0] == "address: owner/name; notebooks: 2"


def test_notebook_without_a_setup_cell_is_named(course, notebook):
    notebook("02_bare", "# Bare", "pass")
    before = files(course)
    with pytest.raises(SystemExit, match="02_bare.ipynb has 0 cells"):
        colab.main(["owner/name"], root=course)
    assert files(course) == before


@pytest.mark.parametrize("url", [None, "https://host/owner/name@main"])
def test_setup_is_three_lines_that_do_nothing_where_the_package_is(url, capsys):
    source = colab.setup_source(url)
    assert len([line for line in source.splitlines() if line.strip()]) == 3
    assert run_setup(source) == [] and capsys.readouterr().out == ""


def test_setup_installs_where_the_package_is_missing(without_package):
    expected = '%pip install --quiet --no-deps "git+https://host/owner/name@main"'
    assert run_setup(colab.setup_source("https://host/owner/name@main")) == [expected]


def test_setup_without_address_says_what_to_do(without_package, capsys):
    assert run_setup(colab.setup_source(None)) == []
    assert "choose the course's kernel" in capsys.readouterr().out
