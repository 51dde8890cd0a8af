"""The exercises of every notebook: solutions pass their checks, odd answers get a sentence."""

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def exercises(request) -> Any:
    """The `exercises` of a notebook, from its definitions and its folded cells, nothing trained."""
    scope: dict[str, Any] = {}
    for cell in nbformat.read(request.param, as_version=4).cells:
        if cell.cell_type != "code" or "%pip" in cell.source:
            continue
        folded = "exercise" in cell.metadata.get("tags", []) and "exercises.add" in cell.source
        tree = ast.parse(cell.source)
        tree.body = [node for node in tree.body if folded or _defines(node)]
        exec(compile(tree, f"{request.param.stem}, a cell", "exec"), scope)
    return scope["exercises"]


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]).isupper()
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def test_every_solution_passes_its_check(exercises):
    exercises.self_test()


@pytest.mark.parametrize("answer", [None, "a", -1, [], {}, {"A": "x"}, lambda *_: None])
def test_a_wrong_answer_gets_a_sentence(exercises, answer):
    for key in exercises.exercises:
        text = repr(exercises.check(key, answer))
        assert text and "Correct" not in text, (key, answer)
