"""Predictions: an answer is locked in before the run, then revealed and scored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets as widgets

from course_utils import _arguments
from course_utils._front_end import close
from course_utils._messages import Message, message, spoken


class Question:
    """A question and its form; the locked answer and what the run said are None until then."""

    def __init__(self, text: str, options: tuple[str, ...], locked: tuple[str, str | None] | None):
        self.text, self.options = text, options
        self.answer, self.truth = locked or (None, None)
        # Not RadioButtons: they need the arrow keys, and JupyterLab moves to another cell on those.
        style = {"button_width": "max-content"}
        self.choice = widgets.ToggleButtons(options=options, value=None, style=style)
        self.button = widgets.Button(description="Lock in", icon="lock")
        self.status = widgets.HTML()
        title = widgets.HTML(f'<b style="line-height: 1.4">{escape(text)}</b>')
        self.form = widgets.VBox([title, self.choice, widgets.HBox([self.button, self.status])])
        self.choice.observe(self._chosen, names="value")
        self.button.on_click(lambda _button: self.lock(self.choice.value))
        if locked:
            self.show(f"Locked in: {self.answer}")

    def lock(self, option: str | None) -> str:
        """Lock `option` in, unless the question is closed; says what became of it."""
        if self.answer is not None:
            return self.show(f"Already locked in: {self.answer}")
        if self.truth is not None:
            return self.show("Already revealed. To answer, run the cell of the question again.")
        if option is None:
            return self.show("Choose an answer first.")
        self.answer = option
        return self.show(f"Locked in: {option}")

    def show(self, text: str) -> str:
        """Bring the form up to date, with `text` in it."""
        self.choice.disabled = self.button.disabled = (self.answer or self.truth) is not None
        if self.answer is not None:
            self.choice.value = self.answer
        self.status.value = spoken(text)
        return text

    def _chosen(self, _change: Any) -> None:
        self.show(f"Chosen: {self.choice.value}. Not locked in yet.")


@dataclass(frozen=True)
class Predictions:
    """The predictions of one notebook: each is locked in before the run, then revealed.

    A locked answer stays, even if its cell is run again. A reveal closes an open question; running
    the cell of `ask` opens it again.
    """

    questions: dict[str, Question] = field(default_factory=dict)

    def ask(self, key: str, question: str, options: Sequence[str]) -> widgets.VBox:
        """A form to choose one of the `options` and lock it in, by mouse or by Tab and Space."""
        _arguments.text("question", question)
        options = tuple(_arguments.list_of("options", options, "answers", str))
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError(f"options must be two or more different ones, got {options!r}")
        before, locked = self.questions.get(key), None
        if before is not None:
            close(before.form)
            if before.options == options and before.answer is not None:
                locked = before.answer, before.truth
        self.questions[key] = Question(question, options, locked)
        return self.questions[key].form

    def choose(self, key: str, option: str) -> Message:
        """Lock an answer in by code, for those without a mouse or without widgets."""
        return message(self._question(key, [option]).lock(option))

    def reveal(
        self, key: str, truth: str | Mapping[str, Sequence[bool]], explanation: str = ""
    ) -> Message:
        """What was predicted, what the run says, and whether they agree; closes the question.

        `truth` is the right option, or says of each option on which seeds it is right: the first
        that is right on more than half of them counts. Without one, nobody was right.
        """
        by_seed = truth if isinstance(truth, Mapping) else {truth: [True]}
        question = self._question(key, by_seed)
        agreed = (one for one, right in by_seed.items() if 2 * sum(map(bool, right)) > len(right))
        question.truth = next(agreed, "the seeds do not agree")
        says = f"The run says: {question.truth}"
        if question.answer is None:
            question.show("Revealed. To answer, run this cell again.")
            return message(question.text, "No prediction locked in.", says, explanation)
        verdict = "Right." if question.answer == question.truth else "Wrong."
        predicted = f"You predicted: {question.answer}"
        return message(question.text, predicted, says, verdict, explanation)

    def tally(self) -> Message:
        """How many predictions were right, answered and asked."""
        answered = [asked for asked in self.questions.values() if asked.answer is not None]
        right = sum(asked.answer == asked.truth for asked in answered)
        hidden = sum(asked.truth is None for asked in answered)
        text = f"{right} right of {len(answered)} locked in; {len(self.questions)} asked."
        return message(f"Predictions: {text}", f"{hidden} not revealed yet." if hidden else "")

    def _question(self, key: str, options: Iterable[str]) -> Question:
        """The question `key`, if the `options` are among its own."""
        if key not in self.questions:
            asked = ", ".join(self.questions) or "none"
            raise ValueError(f"key {key!r} has not been asked; asked so far: {asked}")
        for option in options:
            if option not in self.questions[key].options:
                own = ", ".join(map(repr, self.questions[key].options))
                raise ValueError(f"{option!r} is not an option of {key!r}, which has {own}")
        return self.questions[key]
