"""Predictions: an answer is locked in before its reveal is opened, and then scored.

Question and reveal both survive Run All: the reveal stays closed until an answer is locked in, or
until the reader opens it without one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets as widgets

from course_utils import _arguments
from course_utils._front_end import close
from course_utils._messages import Message, message, spoken

CLOSED = "Lock in your answer above, and this opens. Or open it now, without one."


class Shown(widgets.VBox):
    """Widgets, with a text in their place on pages that have no kernel behind them."""

    def __init__(self, children: Sequence[widgets.Widget], static: Message):
        super().__init__(children)
        self.static = static

    def __repr__(self) -> str:
        return self.static.text

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self), "text/html": self.static._repr_html_()}


class Question:
    """A question, its form and its reveal; the answer and what the run says are None until known.

    `seen` says that the reader opened the reveal without an answer: a later one does not count.
    """

    def __init__(self, text: str, options: tuple[str, ...]):
        self.text, self.options = text, options
        self.answer = self.truth = self.form = self.box = None
        self.explanation, self.seen, self.closed = "", False, False

    def show_form(self) -> Shown:
        """A new form in place of the last one; it is open again, unless an answer is locked in."""
        if self.form is not None:
            close(self.form)
        # Not RadioButtons: they need the arrow keys, and JupyterLab moves to another cell on those.
        style = {"button_width": "max-content"}
        self.choice = widgets.ToggleButtons(options=self.options, value=None, style=style)
        self.button = widgets.Button(description="Lock in", icon="lock")
        self.status, self.closed = widgets.HTML(), False
        title = widgets.HTML(f'<b style="line-height: 1.4">{escape(self.text)}</b>')
        parts = [title, self.choice, widgets.HBox([self.button, self.status])]
        self.form = Shown(parts, message(self.text, *(f"○ {option}" for option in self.options)))
        self.choice.observe(self._chosen, names="value")
        self.button.on_click(lambda _button: self.lock(self.choice.value))
        if self.answer is not None:
            self._say(f"Locked in: {self.answer}")
        return self.form

    def lock(self, option: str | None) -> str:
        """Lock `option` in, unless the question is closed; says what became of it."""
        if self.answer is not None:
            return self._say(f"Already locked in: {self.answer}")
        if self.closed:
            return self._say("Already opened. To answer, run the cell of the question again.")
        if option is None:
            return self._say("Choose an answer first.")
        self.answer = option
        self._fill()
        return self._say(f"Locked in: {option}")

    def show_reveal(self, truth: str, explanation: str) -> Shown:
        """What the run says, closed until an answer is locked in."""
        if self.box is not None:
            close(self.box)
        self.truth, self.explanation = truth, explanation
        button = widgets.Button(description="Open without an answer")
        button.layout.width = "max-content"
        button.on_click(lambda _button: self.open())
        lines = "".join(f"<div>{escape(line)}</div>" for line in (self._run_says(), explanation))
        summary = f"What the run says: {escape(self.text)}"
        folded = f"<details><summary>{summary}</summary>{lines}</details>"
        static = Message(f"{self.text}\nClosed until an answer is locked in.", folded)
        self.box = Shown([widgets.HTML(spoken(CLOSED)), button], static)
        if self.answer is not None or self.closed:
            self._fill()
        return self.box

    def open(self) -> None:
        """Show what the run says, without an answer."""
        if self.answer is None:
            self.seen = self.closed = True
            self._say("Opened without an answer. To answer, run this cell again.")
        self._fill()

    def _fill(self) -> None:
        """Put answer, truth and verdict into the reveal, if there is one yet."""
        if self.box is None:
            return
        verdict = "Right." if self.answer == self.truth else "Wrong."
        lines = [f"You predicted: {self.answer}", self._run_says(), verdict]
        if self.answer is None:
            lines = ["No prediction locked in.", self._run_says()]
        self.box.static = message(self.text, *lines, self.explanation)
        self.box.children[0].value = spoken(self.box.static)
        self.box.children[1].layout.display = "none"

    def _run_says(self) -> str:
        return f"The run says: {self.truth}"

    def _say(self, text: str) -> str:
        """Bring the form up to date, with `text` in it."""
        self.choice.disabled = self.button.disabled = self.answer is not None or self.closed
        if self.answer is not None:
            self.choice.value = self.answer
        self.status.value = spoken(text)
        return text

    def _chosen(self, _change: Any) -> None:
        self._say(f"Chosen: {self.choice.value}. Not locked in yet.")


@dataclass(frozen=True)
class Predictions:
    """The predictions of one notebook: each is locked in before its reveal is opened.

    A locked answer stays, even if its cell is run again. Who opened a reveal without an answer can
    still give one, after running the cell of `ask` again; it does not count.
    """

    questions: dict[str, Question] = field(default_factory=dict)

    def ask(self, key: str, question: str, options: Sequence[str]) -> Shown:
        """A form to choose one of the `options` and lock it in, by mouse or by Tab and Space."""
        _arguments.text("question", question)
        options = tuple(_arguments.list_of("options", options, "answers", str))
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError(f"options must be two or more different ones, got {options!r}")
        before = self.questions.get(key)
        if before is None or (before.text, before.options) != (question, options):
            self.questions[key] = Question(question, options)
            if before is not None:
                close(before.form)
        return self.questions[key].show_form()

    def choose(self, key: str, option: str) -> Message:
        """Lock an answer in by code, for those without a mouse or without widgets."""
        return message(self._question(key, [option]).lock(option))

    def reveal(
        self, key: str, truth: str | Mapping[str, Sequence[bool]], explanation: str = ""
    ) -> Shown:
        """What was predicted, what the run says, and whether they agree; closed until answered.

        `truth` is the right option, or says of each option on which seeds it is right: the first
        that is right on more than half of them counts. Without one, nobody was right.
        """
        by_seed = truth if isinstance(truth, Mapping) else {truth: [True]}
        question = self._question(key, by_seed)
        agreed = (one for one, right in by_seed.items() if 2 * sum(map(bool, right)) > len(right))
        return question.show_reveal(next(agreed, "the seeds do not agree"), explanation)

    def tally(self) -> Message:
        """How many predictions were right, of those locked in before their reveal was opened."""
        asked = self.questions.values()
        counted = [one for one in asked if one.answer is not None and not one.seen]
        right = sum(one.answer == one.truth for one in counted)
        hidden = sum(one.truth is None for one in counted)
        text = f"{right} right of {len(counted)} locked in; {len(self.questions)} asked."
        return message(
            f"Predictions: {text}",
            f"{hidden} not revealed yet." if hidden else "",
            "Answer those above, then run this cell again." if len(counted) < len(asked) else "",
        )

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
