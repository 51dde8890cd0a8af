"""Every committed notebook keeps the rules of tools/notebook_rules.py, and the rules can fail.

Those that are rebuilt as lessons keep the measures of tools/lesson_rules.py, too.
"""

import json

import lesson_rules
import nbformat
import notebook_rules
import pytest
from execution import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PICTURE = {"image/png": "iVBORw0KGgo=", "text/plain": "a figure"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path):
    problems = notebook_rules.broken(path)
    assert not problems, "\n".join([path.name, *problems])


def in_order() -> nbformat.NotebookNode:
    """A notebook that keeps every rule: title, set-up, a figure, a widget, claims."""
    page = new_notebook()
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    alt = {"image/png": {"alt": "two falling curves"}}
    shown = [new_output("display_data", PICTURE, metadata=alt)]
    page.cells = [
        new_markdown_cell("# Title\n[next](02_next.ipynb#Part), [site](https://example.org/home/)"),
        new_code_cell("import numpy as np\nfrom course_utils.models import kernels"),
        new_code_cell("figure", outputs=shown),
        new_code_cell("lab()"),
        new_code_cell("report('01_page', [])"),
    ]
    tags = {1: ["setup"], 3: ["widget"]}
    for place, cell in enumerate(page.cells):
        cell.id = f"cell-{place}"
        cell.metadata = nbformat.from_dict(
            {"slideshow": {"slide_type": "slide"}, "tags": tags.get(place, [])}
        )
    for count, place in enumerate([1, 2, 3, 4], start=1):
        page.cells[place].execution_count = count
    return page


def found(page: nbformat.NotebookNode, folder) -> list[str]:
    (folder / "02_next.ipynb").touch()
    path = folder / "01_page.ipynb"
    path.write_text(json.dumps(page), encoding="utf-8")  # nbformat.write would repair
    return notebook_rules.broken(path)


def test_a_notebook_in_order_breaks_no_rule(tmp_path):
    assert found(in_order(), tmp_path) == []


def put(place: int, **parts):
    """A change that sets parts of the cell at `place`: source, outputs, tags, execution_count."""

    def change(page):
        cell = page.cells[place]
        if "tags" in parts:
            cell.metadata["tags"] = parts["tags"]
        cell.update({key: value for key, value in parts.items() if key != "tags"})

    return change


def code(line: str):
    """A change that makes `line` the code of the figure's cell."""
    return put(2, source=line)


def text(line: str):
    """A change that adds `line` to the first cell."""
    return lambda page: page.cells[0].update(source=f"# Title\n{line}")


def shows(*outputs):
    """A change that replaces the figure by `outputs`."""
    return put(2, outputs=list(outputs))


def stream(line: str, name: str = "stdout"):
    return new_output("stream", name=name, text=line)


WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/plain": "Box()"}

BREACHES = {
    "version": (lambda page: page.update(nbformat_minor=4), "format 4.4 instead of 4.5"),
    "same id": (put(1, id="cell-0"), "cell ids are missing or repeated"),
    "no id": (lambda page: page.cells[1].pop("id"), "cell ids are missing or repeated"),
    "no outputs": (lambda page: page.cells[1].pop("outputs"), "not a valid notebook"),
    "widgets": (lambda page: page.metadata.update(widgets={}), "metadata.widgets is present"),
    "python": (
        lambda page: page.metadata.update(language_info={"name": "python", "version": "3.11"}),
        "language_info.version is present",
    ),
    "kernel": (lambda page: page.metadata.pop("kernelspec"), "the kernel is not python3"),
    "timing": (lambda page: page.cells[1].metadata.update(execution={}), "cell 2 carries"),
    "error": (
        shows(new_output("error", ename="ValueError", evalue="", traceback=[])),
        "cell 3 shows an error: ValueError",
    ),
    "warning": (shows(stream("UserWarning", "stderr")), "cell 3 writes to stderr"),
    "widget": (shows(new_output("display_data", WIDGET)), "cell 3 saves a widget"),
    "count": (put(4, execution_count=5), "cell 5 has execution count 5, not 4"),
    "not run": (put(2, execution_count=None), "cell 3 has execution count None, not 2"),
    "number": (shows(stream("loss 0.25")), "cell 3 compares a number that a run decides"),
    "table": (
        put(2, source="costs", outputs=[new_output("display_data", {"text/plain": "  0.25"})]),
        "cell 3 compares a number that a run decides",
    ),
    "printed too": (
        put(2, source="print(1 / loss)\nreveal('a')", outputs=[stream("3")]),
        "cell 3 compares a number that a run decides",
    ),
    "seeds": (put(4, outputs=[stream("HOLDS  up [5 of 5 seeds]")]), "compares a count of seeds"),
    "no alt": (shows(new_output("display_data", PICTURE)), "picture of cell 3 has no alternative"),
    "no text": (text("![ ](02_next.ipynb)"), "picture in the text of cell 1 has no alternative"),
    "title": (put(0, source="Title"), "the first cell is not a title"),
    "setup": (put(1, tags=[]), "no code cell is tagged 'setup'"),
    "slide": (lambda page: page.cells[2].metadata.pop("slideshow"), "cell 3 has no slide type"),
    "empty": (code(" "), "cell 3 is empty"),
    "long": (code("x\n" * 31), "cell 3 has more than 30 lines"),
    "big": (code(f"'{'x' * 1_000_000}'"), "bytes, 1,000,000 are the limit"),
    "path": (code("open('/home/me/curves')"), "cell 3 holds an absolute path"),
    "path shown": (shows(stream("saved in C:\\Users")), "cell 3 holds an absolute path"),
    "import": (code("import seaborn"), "cell 3 imports seaborn, which Colab does not ship"),
    "name": (code("from course_utils.models import moods"), "cell 3 imports moods"),
    "not ours": (code("from course_utils.models import nn"), "cell 3 imports nn"),
    "module": (code("import course_utils.nothing"), "cell 3 imports course_utils.nothing"),
    "private": (code("from course_utils.models import _x"), "which is private"),
    "record": (put(4, source="report('02_next', [])"), "reports its claims as '02_next'"),
    "link": (text("[other](../03_other.ipynb)"), "cell 1 links to ../03_other.ipynb"),
    "stale picture": (
        lambda page: page.cells[2].metadata.update(picture="images/01.png"),
        "images/01.png is not the figure of its cell",
    ),
    "picture": (text('<img src="missing.png" alt="x">'), "cell 1 links to missing.png"),
}


@pytest.mark.parametrize(["breach", "message"], BREACHES.values(), ids=BREACHES)
def test_each_rule_can_be_broken(tmp_path, breach, message):
    page = in_order()
    breach(page)
    (problem,) = found(page, tmp_path)
    assert message in problem


def test_what_is_said_of_a_bound_or_ignored_may_hold_numbers(tmp_path):
    page = in_order()
    put(4, outputs=[stream("HOLDS  up: it rises [above 0.2]")])(page)
    put(2, outputs=[stream("loss 0.25")], tags=["nbval-ignore-output"])(page)
    assert found(page, tmp_path) == []


@pytest.mark.parametrize("line", ["%matplotlib inline", "import json, sklearn", "1 / 2 / 3"])
def test_ordinary_code_breaks_no_rule(tmp_path, line):
    page = in_order()
    code(line)(page)
    assert found(page, tmp_path) == []


def test_the_place_of_the_checkout_is_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook_rules, "ROOT", "/elsewhere/course")
    page = in_order()
    shows(stream("/elsewhere/course/x.py: warning"))(page)
    assert found(page, tmp_path) == ["cell 3 holds an absolute path"]


@pytest.mark.parametrize("name", lesson_rules.CONVERTED)
def test_a_lesson_keeps_its_measures(name):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    problems = lesson_rules.broken(path)
    assert not problems, "\n".join([name, *problems])


def a_lesson() -> nbformat.NotebookNode:
    """A lesson in order: puzzle, bet, experiment, figure, exercise, trial."""
    alt = {"image/png": {"alt": "two falling curves"}}
    picture = [new_output("display_data", PICTURE, metadata=alt)]
    fold = {
        "tags": ["hide-input"],
        "jupyter": {"source_hidden": True},
        "cellView": "form",
    }
    page = new_notebook()
    page.cells = [
        new_markdown_cell("# Why?\nTwo short sentences. Of a puzzle."),
        new_code_cell("# @title The puzzle\nshow()", metadata=fold, outputs=picture),
        new_code_cell("predictions.ask('bet', 'Why?', ['a', 'b'])"),
        new_code_cell("\n".join(["def experiment(seed):", "    return train(seed)"])),
        new_code_cell("# @title Draw\nshow()", metadata=fold, outputs=picture),
        new_code_cell("mine = ..."),
        new_code_cell("# @title Check\nexercises.check('one', mine)", metadata=fold),
        new_markdown_cell("## The full trial", metadata={"jp-MarkdownHeadingCollapsed": True}),
        new_code_cell("claims = [Claim('up')]"),
    ]
    for number, cell in enumerate(page.cells):
        cell.id, cell.metadata["slideshow"] = f"cell-{number}", {"slide_type": "skip"}
    return page


def test_what_is_measured_of_a_lesson(tmp_path):
    path = tmp_path / "01_lesson.ipynb"
    nbformat.write(a_lesson(), path)
    assert lesson_rules.broken(path) == []
    assert lesson_rules.measured(path) == {
        "open cells": 4,
        "lines of code": 10,
        "open lines of code": 4,
        "words": 7,
        "open lines before the first live figure": 3,
        "words before something to do": 7,
        "words from one thing to do to the next": 0,
        "cells of the trial": 2,
        "claims": 1,
    }


def source(place: int, text: str):
    return lambda page: page.cells[place].update(source=text)


LESSONS = {
    "long": (source(3, "x = 1\n" * 41), "42 open lines before the first live figure, 40 at most"),
    "wordy": (source(0, "# Why\n" + "word " * 60), "61 words before something to do, 60 at most"),
    "lecture": (
        lambda page: page.cells.insert(5, new_markdown_cell("word " * 901, id="more")),
        "901 words from one thing to do to the next, 900 at most",
    ),
    "claims": (source(8, "Claim()\n" * 16), "16 claims, 15 at most"),
    "half folded": (lambda page: page.cells[4].metadata.pop("cellView"), "cell 5 is folded by"),
    "hidden": (source(4, "# @title Draw\ntrain(1)"), "cell 5 folds an experiment"),
    "open trial": (
        lambda page: page.cells[7].metadata.pop("jp-MarkdownHeadingCollapsed"),
        "the collapsed heading '## The full trial'",
    ),
    "solution": (
        lambda page: page.cells.insert(5, page.cells.pop(6)),
        "the solution of 'one' stands before its question",
    ),
    "slide": (
        lambda page: page.cells[8].metadata["slideshow"].update(slide_type="slide"),
        "cell 9 of the trial is a slide",
    ),
}


@pytest.mark.parametrize(["breach", "message"], LESSONS.values(), ids=LESSONS)
def test_each_measure_of_a_lesson_can_be_broken(tmp_path, breach, message):
    page, path = a_lesson(), tmp_path / "01_lesson.ipynb"
    breach(page)
    nbformat.write(page, path)
    (problem,) = lesson_rules.broken(path)
    assert message in problem
