"""Predictions: an answer is locked in before the run, then revealed and scored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import ipywidgets as widgets

from course_utils import _arguments
from course_utils._front_end import close
from course_utils._messages import Message, message, spoken


class Question(NamedTuple):
    """A question, the locked answer (None: none) and what the run said (None: not run yet)."""

    text: str
    options: tuple[str, ...]
    answer: str | None = None
    truth: str | None = None


class _Form(NamedTuple):
    """The widgets of a question."""

    box: widgets.VBox
    choice: widgets.ToggleButtons
    button: widgets.Button
    status: widgets.HTML


@dataclass(frozen=True)
class Predictions:
    """The predictions of one notebook: each is locked in before the run, then revealed.

    A locked answer stays, even if its cell is run again. A reveal closes an open question; running
    the cell of `ask` opens it again.
    """

    questions: dict[str, Question] = field(default_factory=dict)
    _forms: dict[str, _Form] = field(default_factory=dict, repr=False)

    def ask(self, key: str, question: str, options: Sequence[str]) -> widgets.VBox:
        """A form to choose one of the `options` and lock it in, by mouse or by Tab and Space."""
        _arguments.text("key", key)
        _arguments.text("question", question)
        options = tuple(_arguments.list_of("options", options, "answers", str))
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError(f"options must be two or more different ones, got {options!r}")
        before = self.questions.get(key)
        keep = before is not None and before.options == options and before.answer is not None
        self.questions[key] = (
            before._replace(text=question) if keep else Question(question, options)
        )
        if key in self._forms:
            close(self._forms.pop(key).box)
        self._forms[key] = self._form(key)
        self._update(key)
        return self._forms[key].box

    def choose(self, key: str, option: str) -> Message:
        """Lock an answer in by code, for those without a mouse or without widgets."""
        question = self._question(key, option)
        if question.answer is not None:
            return message(f"Already locked in: {question.answer}")
        if question.truth is not None:
            return message("Already revealed. To answer, run the cell of the question again.")
        self.questions[key] = question._replace(answer=option)
        self._update(key)
        return message(f"Locked in: {option}")

    def reveal(
        self, key: str, truth: str | Mapping[str, Iterable[bool]], explanation: str = ""
    ) -> Message:
        """What was predicted, what the run says, and whether they agree; closes the question.

        Parameters
        ----------
        truth
            The right option, or for each option whether it is right, seed by seed: the first on
            which more than half of the seeds agree is. If they agree on none, nobody is right.
        """
        _arguments.instance("explanation", explanation, str, "text")
        if isinstance(truth, Mapping):
            for option in truth:
                self._question(key, option)
            truth = _agreed(truth) or "the seeds do not agree"
        else:
            self._question(key, truth)
        question = self.questions[key] = self.questions[key]._replace(truth=truth)
        self._update(key)
        predicted, verdict = "No prediction locked in.", ""
        if question.answer is not None:
            predicted = f"You predicted: {question.answer}"
            verdict = "Right." if question.answer == truth else "Wrong."
        return message(question.text, predicted, f"The run says: {truth}", verdict, explanation)

    def tally(self) -> Message:
        """How many predictions were right, answered and asked."""
        answered = [q for q in self.questions.values() if q.answer is not None]
        right = sum(q.answer == q.truth for q in answered)
        open_ = sum(q.truth is None for q in answered)
        text = (
            f"Predictions: {right} right of {len(answered)} locked in; {len(self.questions)} asked."
        )
        return message(text, f"{open_} not revealed yet." if open_ else "")

    def _question(self, key: str, option: str) -> Question:
        if key not in self.questions:
            asked = ", ".join(self.questions) or "none"
            raise ValueError(f"key {key!r} has not been asked; asked so far: {asked}")
        if option not in self.questions[key].options:
            options = ", ".join(map(repr, self.questions[key].options))
            raise ValueError(f"{option!r} is not an option of {key!r}, which has {options}")
        return self.questions[key]

    def _form(self, key: str) -> _Form:
        question = self.questions[key]
        # Not RadioButtons: they need the arrow keys, and JupyterLab moves to another cell on those.
        choice = widgets.ToggleButtons(
            options=question.options, value=question.answer, style={"button_width": "max-content"}
        )
        button = widgets.Button(description="Lock in", icon="lock")
        status = widgets.HTML()
        title = widgets.HTML(f'<b style="line-height: 1.4">{escape(question.text)}</b>')

        def lock(_button: widgets.Button) -> None:
            if choice.value is None:
                status.value = spoken("Choose an answer first.")
            else:
                self.choose(key, choice.value)

        def say(_change: dict[str, object]) -> None:
            status.value = spoken(f"Chosen: {choice.value}. Not locked in yet.")

        choice.observe(say, names="value")
        button.on_click(lock)
        box = widgets.VBox([title, choice, widgets.HBox([button, status])])
        return _Form(box, choice, button, status)

    def _update(self, key: str) -> None:
        """Show in the form what is locked."""
        question, form = self.questions[key], self._forms[key]
        closed = question.answer is not None or question.truth is not None
        form.choice.disabled = form.button.disabled = closed
        if question.answer is not None:
            form.choice.value = question.answer
            form.status.value = spoken(f"Locked in: {question.answer}")
        elif closed:
            form.status.value = spoken("Revealed. To answer, run this cell again.")


def _agreed(truth: Mapping[str, Iterable[bool]]) -> str | None:
    """The first option that is right on more than half of the seeds."""
    for option, by_seed in truth.items():
        right = [bool(one) for one in by_seed]
        if 2 * sum(right) > len(right):
            return option
    return None
