"""The exercises of every notebook: solutions pass their checks, odd answers get a sentence."""

import ast
from pathlib import Path

import pytest
from definitions import definitions

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


def belongs_to_exercises(cell: str, node: ast.stmt) -> bool:
    text = ast.unparse(node)
    adds = "exercises.add(" in cell and "exercises.check(" not in text
    return adds or "Exercises()" in text and "Predictions" not in text or "Predictions(), E" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_solution_passes_its_check_and_odd_answers_get_a_sentence(path):
    scope = {}  # its definitions and folded cells: nothing is trained
    for text in definitions(path, belongs_to_exercises):
        exec(compile(text, f"{path.stem}, a cell", "exec"), scope)
    exercises = scope["exercises"]
    exercises.self_test()
    for key in exercises.exercises:
        for answer in (None, "a", -1, [], {}, {"A": "x"}, lambda *_: None):
            assert not repr(exercises.check(key, answer)).startswith("Correct"), (key, answer)
