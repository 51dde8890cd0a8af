"""Lets tests import the tools, and builds small notebooks for them."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))


@pytest.fixture
def notebook(tmp_path) -> Callable[..., Path]:
    """A function ``notebook(name, *sources, tags=...)`` that writes a notebook, returns its path.

    Sources that begin with "# " become text, the others code; `tags` maps sources to a tag.
    """

    def write(name: str, *sources: str, tags: dict[str, str] | None = None) -> Path:
        page = new_notebook()
        page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        for place, source in enumerate(sources):
            cell = new_markdown_cell if source.startswith("# ") else new_code_cell
            page.cells.append(cell(source, id=f"cell-{place}"))
            page.cells[-1].metadata["slideshow"] = {"slide_type": "-"}
            if source in (tags or {}):
                page.cells[-1].metadata["tags"] = [tags[source]]
        folder = tmp_path / "notebooks"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.ipynb"
        nbformat.write(page, path)
        return path

    return write


@pytest.fixture(scope="session")
def defined() -> Callable[[Path], ModuleType]:
    """A function that imports what a notebook defines, without running the notebook."""
    from definitions import load  # of tools/, which is on the path by now

    return load


@pytest.fixture(scope="module")
def page(request, defined) -> ModuleType:
    """What the notebook defines that a file of tests is about: 01 of test_identities_01.py."""
    (path,) = ROOT.glob(f"notebooks/{request.path.stem[-2:]}_*.ipynb")
    return defined(path)


@pytest.fixture
def call(tmp_path, capfd) -> Callable[..., tuple[int, str]]:
    """A function that calls a tool on the temporary notebooks: its status and what it printed."""

    def run(main: Callable[[list[str]], int], *arguments: str) -> tuple[int, str]:
        folders = ["--folder", f"{tmp_path / 'notebooks'}", "--build", f"{tmp_path / 'build'}"]
        return main([*arguments, *folders]), capfd.readouterr().out

    return run


@pytest.fixture
def one_thread():
    """One thread, and the same first weights whatever ran before."""
    from course_utils._runs import isolated  # imports torch: not for every test

    with isolated(0):
        yield
