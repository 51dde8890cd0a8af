"""The exercises of every notebook: solutions pass their checks, odd answers get a sentence."""

from pathlib import Path
from typing import Any

import pytest
from definitions import definitions

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem, scope="module")
def exercises(request) -> Any:
    """The `exercises` of a notebook, from its definitions and its folded cells, nothing trained."""
    scope: dict[str, Any] = {}
    for text in definitions(request.param, lambda cell, node: "exercises.add(" in cell):
        exec(compile(text, f"{request.param.stem}, a cell", "exec"), scope)
    return scope["exercises"]


def test_every_solution_passes_its_check(exercises):
    exercises.self_test()


@pytest.mark.parametrize("answer", [None, "a", -1, [], {}, {"A": "x"}, lambda *_: None])
def test_a_wrong_answer_gets_a_sentence(exercises, answer):
    for key in exercises.exercises:
        text = repr(exercises.check(key, answer))
        assert text and "Correct" not in text, (key, answer)
