"""Exercises with an automatic check, a hint, and a solution that opens after an attempt."""

import contextlib
import functools
import inspect
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

from course_utils import _arguments
from course_utils._messages import Message

TO_DO = None, "Not attempted yet: replace the ... by your answer and run the cell again."
FOLD = "<details><summary>{}</summary>{}</details>"


class Exercise(NamedTuple):
    """A check of an answer, a hint, and a function that returns a right answer."""

    check: Callable[[Any], bool | str]
    hint: str
    solution: Callable[[], Any]


@dataclass(frozen=True)
class Exercises:
    """The exercises of one notebook. An answer of ``...`` is one that was not attempted yet."""

    exercises: dict[str, Exercise] = field(default_factory=dict)

    def add(
        self, key: str, check: Callable[[Any], bool | str], hint: str, solution: Callable[[], Any]
    ) -> None:
        """Add an exercise: `check` returns True, or a sentence that helps; it may raise.

        `solution` returns a right answer; its source is what a reader sees as the solution.
        """
        _arguments.text("key", key)
        _arguments.function("check", check)
        _arguments.function("solution", solution)
        self.exercises[key] = Exercise(check, hint, solution)

    def check(self, key: str, answer: Any) -> Message:
        """Whether `answer` is right; if not, what to try. Never raises on a wrong answer."""
        if key not in self.exercises:
            has = ", ".join(self.exercises) or "none"
            cell = "run the cell of its check and solution first"
            raise ValueError(f"key {key!r} has not been added ({has} so far): {cell}")
        exercise = self.exercises[key]
        right, text = _judge(exercise.check, answer)
        html = f"<div>{escape(text)}</div>"
        if not right:
            html += FOLD.format("Hint", escape(exercise.hint))
            text += f"\nHint: {exercise.hint}"
        if right is not None:  # attempted
            html += FOLD.format("Solution", f"<pre>{escape(_source(exercise.solution))}</pre>")
        return Message(text, html)

    def self_test(self) -> None:
        """Fail with the name of an exercise whose solution does not pass, or whose ... passes."""
        for key, exercise in self.exercises.items():
            right, text = _judge(exercise.check, exercise.solution())
            assert right, f"exercise {key!r}: its own solution does not pass: {text}"
            passes = False
            with contextlib.suppress(Exception):
                passes = _is_true(exercise.check(...))
            assert not passes, f"exercise {key!r}: an answer of ... passes"


def _judge(check: Callable[[Any], bool | str], answer: Any) -> tuple[bool | None, str]:
    """Whether an answer is right (None: not attempted), and the sentence that says so."""
    parts = answer.values() if isinstance(answer, dict) else answer
    if answer is ... or (isinstance(answer, dict | list | tuple) and any(p is ... for p in parts)):
        return TO_DO
    seen: list[bool] = []
    try:
        result = check(_watched(answer, seen) if inspect.isroutine(answer) else answer)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"in {where.name}, line {where.lineno}"
        result = f"your answer led to {type(error).__name__}: {error} ({place})"
    if seen:  # whatever the check made of it
        return TO_DO
    if _is_true(result):
        return True, "Correct."
    return False, f"Not yet: {result}" if isinstance(result, str) else "Not yet."


def _watched(answer: Callable[..., Any], seen: list[bool]) -> Callable[..., Any]:
    """The function `answer`, noting in `seen` that it returned Ellipsis."""

    @functools.wraps(answer)
    def call(*arguments: Any, **options: Any) -> Any:
        result = answer(*arguments, **options)
        if result is ...:
            seen.append(True)
            raise NotImplementedError("the function still returns ...")
        return result

    return call


def _is_true(result: Any) -> bool:
    """True or numpy's or torch's True; not any other value that counts as true."""
    return result is True or (getattr(result, "ndim", None) == 0 and result.item() is True)


def _source(function: Callable[[], Any]) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError):
        return "(its source is not available here)"
