"""The tools that run notebooks: what goes wrong in a notebook is named, and never passed over."""

import execution
import nbformat
import pytest
import run_notebooks
from stand_in import CLAIMS, FAILING

from course_utils import _store as store

pytestmark = pytest.mark.slow

PICTURE = """from IPython.display import display
display({"image/png": "iVBORw0KGgo=", "text/plain": "a figure"}, raw=True,
        metadata={"image/png": {"alt": "two falling curves"}})"""


def test_course_writes_pages_and_names_what_fails(notebook, call, tmp_path):
    notebook("01_good", "# Good", CLAIMS, "report('01_good')", PICTURE)
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')", "print('still', 'run')")
    notebook("03_error", "# Error", "1 / 0", "print('not', 'run')")
    status, printed = call(run_notebooks.main, "course")
    assert status == 1 and "01_good," not in printed
    assert "02_bad, cell 2 `report('02_bad')`: ClaimFailed: does not hold: ['small']" in printed
    assert "03_error, cell 1 `1 / 0`: ZeroDivisionError: division by zero" in printed
    pages = sorted((tmp_path / "build").glob("*.html"))
    good, bad, error = (page.read_text(encoding="utf-8") for page in pages)
    assert 'alt="two falling curves"' in good and "torch" in good  # provenance
    assert "still run" in bad and "not run" not in error
    status, printed = call(run_notebooks.main, "course", "01")
    assert (status, printed.splitlines()[-1]) == (0, "course: 1 notebook, 2 claims")


def test_a_page_needs_no_widget_manager_and_links_to_pages(notebook):
    source = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab\n[next](02_next.ipynb#Part)", source)
    page = run_notebooks.html(execution.execute(path, execution.environment("verify")))
    assert "Interactive: open the notebook" in page and "widget-view+json" not in page
    assert 'href="02_next.html#Part"' in page


def test_dead_and_endless_kernels_are_noticed(notebook):
    surroundings = execution.environment("read")
    dead = notebook("01_dead", "# Dead", "import os", "os._exit(3)", "print('after')")
    (problem,) = execution.execute(dead, surroundings).problems
    assert problem.cell == "cell 2 `os._exit(3)`" and "the kernel died" in problem.message
    endless = notebook("02_endless", "# Endless", "import time; time.sleep(1000)")
    (problem,) = execution.execute(endless, surroundings, timeout=1).problems
    assert problem.message == "did not finish within 1 s"


def test_the_shell_does_not_decide_what_runs(notebook, monkeypatch):
    for name, value in {"SEEDS": "7", "MODE": "data", "CLAIMS": "somewhere"}.items():
        monkeypatch.setenv(f"COURSE_{name}", value)
    source = "import os; print([k + v for k, v in os.environ.items() if k.startswith('COURSE_')])"
    path = notebook("01_asks", "# Asks", source)
    run = execution.execute(path, execution.environment("verify"))
    assert run.notebook.cells[1].outputs[0].text == "['COURSE_MODEverify']\n"


def test_data_recomputes_what_is_stale_alone(notebook, call, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    monkeypatch.setattr(run_notebooks, "MADE", tmp_path / "stores.json")
    source = "from course_utils.sweeps import sweep\n\n\ndef toy(width, seed):\n    return {'x': 1}"
    elsewhere = "import pathlib\nfrom course_utils import _store\n"
    elsewhere += f"_store.store_folder = lambda: pathlib.Path({str(tmp_path / 'store')!r})"
    made = "print(sweep(toy, {'width': [1]}, name='toy', workers=1).attrs['runs'])"
    path = notebook("01_data", "# Data", source, elsewhere, made)
    before = path.read_bytes()
    status, printed = call(run_notebooks.main, "data")
    assert status == 0 and "1 results were stale, 0 stamped anew, 1 recomputed" in printed
    assert path.read_bytes() == before and "toy" in (tmp_path / "stores.json").read_text()
    assert "0 results were stale" in call(run_notebooks.main, "data")[1]


def test_refresh_keeps_only_what_does_not_move(notebook, call):
    lab = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab", "1 + 1", lab, "print('é')", "3", tags={lab: "widget"})
    page = nbformat.read(path, as_version=4)
    page.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    nbformat.write(page, path)
    assert call(run_notebooks.main, "refresh")[0] == 0
    once = path.read_bytes()
    page = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in page.cells] == [None, 1, 2, 3, 4]
    assert page.cells[4].outputs[0].execution_count == 4
    assert set(page.cells[2].outputs[0].data) == {"text/plain"}, "a widget is not saved"
    assert "widgets" not in page.metadata and "execution" not in page.cells[1].metadata
    assert "version" not in page.metadata.language_info
    assert call(run_notebooks.main, "refresh")[0] == 0 and path.read_bytes() == once


def test_refresh_writes_nothing_after_a_failure(notebook, call):
    path = notebook("01_bad", "# Bad", "print('new output')", FAILING, "report('01_bad')")
    before = path.read_bytes()
    status, printed = call(run_notebooks.main, "refresh")
    assert status == 1 and "cell 3 `report('01_bad')`: ClaimFailed" in printed
    assert path.read_bytes() == before


def test_select_takes_numbers_names_and_paths(notebook):
    first, second, third = notebook("01_a", "# A"), notebook("02_b", "# B"), notebook("02_bc", "#")
    for name in ("01", "01_a", "01_a.ipynb", f"{first}"):
        assert execution.select(first.parent, [name]) == [first]
    assert execution.select(first.parent, ["02_b"]) == [second]  # although 02_bc begins like it
    assert execution.select(first.parent, []) == [first, second, third]
