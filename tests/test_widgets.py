"""Predictions and exercises on all their paths; tests/test_lab.py has the lab."""

import contextlib

import numpy as np
import pytest
import torch
import xarray as xr

from course_utils.widgets import Exercises, Predictions

OPTIONS = ["higher", "lower"]


@pytest.fixture
def predictions():
    asked = Predictions()
    asked.ask("wider", "Is the loss <of> a wide net higher?", OPTIONS)
    return asked


def test_a_locked_answer_stays(predictions):
    asked = predictions.questions["wider"]
    asked.button.click()
    assert "Choose an answer first" in asked.status.value and not asked.button.disabled
    asked.choice.value = "lower"
    assert "Not locked in yet" in asked.status.value
    asked.button.click()
    assert 'role="status"' in asked.status.value and "Locked in: lower" in asked.status.value
    assert asked.choice.disabled and asked.button.disabled
    predictions.ask("wider", "Is it?", OPTIONS)  # its cell is run again
    again = predictions.questions["wider"]
    assert asked.form.comm is None and again.form.comm is not None
    assert again.choice.value == "lower" and again.choice.disabled and again.button.disabled
    assert repr(predictions.choose("wider", "higher")) == "Already locked in: lower"
    assert predictions.questions["wider"].answer == "lower"


@pytest.mark.parametrize(
    ("truth", "says", "verdict"),
    [
        ("higher", "higher", "Right."),
        ("lower", "lower", "Wrong."),
        ({"higher": xr.DataArray([True, True, False])}, "higher", "Right."),
        ({"higher": [False] * 3, "lower": [False, True, True]}, "lower", "Wrong."),
        ({"higher": [True, False], "lower": [False, True]}, "the seeds do not agree", "Wrong."),
    ],
)
def test_reveal_compares_an_answer_given_by_code_with_the_run(predictions, truth, says, verdict):
    assert repr(predictions.choose("wider", "higher")) == "Locked in: higher"
    asked = predictions.questions["wider"]
    assert asked.choice.value == "higher" and asked.choice.disabled
    assert "&lt;of&gt;" in asked.form.children[0].value
    said = predictions.reveal("wider", truth, "Because.")
    lines = [asked.text, "You predicted: higher", f"The run says: {says}", verdict, "Because."]
    assert repr(said).splitlines() == lines
    assert "&lt;of&gt;" in said._repr_html_() and "color" not in said._repr_html_()


def test_a_reveal_closes_an_open_question_until_its_cell_is_run_again(predictions):
    said = repr(predictions.reveal("wider", "lower"))
    assert said.splitlines()[1:] == ["No prediction locked in.", "The run says: lower"]
    assert said == repr(predictions.reveal("wider", "lower"))  # the same text each time
    form = predictions.questions["wider"]
    assert form.button.disabled and "run this cell again" in form.status.value
    assert repr(predictions.choose("wider", "higher")).startswith("Already revealed")
    predictions.ask("wider", "Again?", OPTIONS)
    assert not predictions.questions["wider"].button.disabled
    assert repr(predictions.choose("wider", "higher")) == "Locked in: higher"


def test_tally_counts_right_locked_and_asked(predictions):
    for key, answer in (("second", "higher"), ("third", "higher"), ("fourth", "lower")):
        predictions.ask(key, "?", OPTIONS)
        predictions.choose(key, answer)
    for key, truth in (("wider", "lower"), ("second", "higher"), ("third", "lower")):
        predictions.reveal(key, truth)
    text = "Predictions: 1 right of 3 locked in; 4 asked.\n1 not revealed yet."
    assert repr(predictions.tally()) == text


def test_predictions_refuse_what_was_not_asked(predictions):
    with pytest.raises(ValueError, match="'equal' is not an option of 'wider'.*'higher', 'lower'"):
        predictions.reveal("wider", {"higher": [False], "equal": [True]})
    with pytest.raises(ValueError, match="'deeper' has not been asked; asked so far: wider"):
        predictions.choose("deeper", "lower")


def check_penalty(answer):
    if callable(answer):
        answer = answer()
    if answer < 0:
        raise ArithmeticError("a negative <penalty>")
    return abs(answer - 0.5) < 0.01 or "Count the output channels."


def solve_penalty():
    return 0.5  # <the> solution


def add(check=check_penalty, solution=solve_penalty) -> Exercises:
    exercises = Exercises()
    exercises.add("penalty", check, "Two per <channel>.", solution)
    return exercises


@pytest.mark.parametrize(
    ("answer", "says"),
    [(dots, "Not attempted yet: ") for dots in (..., [1, ...], {"penalty": ...}, lambda: ...)]
    + [(right, "Correct.") for right in (0.5, lambda: 0.5)]
    + [(wrong, "Not yet: Count the output channels.") for wrong in (0.7, lambda: 0.7)]
    + [(-1, "Not yet: your answer led to ArithmeticError: a negative <penalty> (in check_penalty")]
    + [("half", "Not yet: your answer led to TypeError: ")],
)
def test_an_answer_gets_help_and_the_solution_only_after_an_attempt(answer, says):
    message = add().check("penalty", answer)
    assert repr(message).startswith(says) and "0.5" not in repr(message)
    assert repr(message).endswith("\nHint: Two per <channel>.") == (says != "Correct.")
    assert ("Two per &lt;channel&gt;." in message.html) == (says != "Correct.")
    fold = message.html.partition("<details><summary>Solution</summary><pre>def solve_penalty()")[2]
    assert ("return 0.5  # &lt;the&gt; solution" in fold) == ("attempted" not in says)
    assert ("solve" in message.html) == bool(fold)


def test_only_true_is_right():
    exercise = add(lambda answer: answer)
    for right in (np.True_, torch.tensor(True)):
        assert repr(exercise.check("penalty", right)) == "Correct."
    for wrong in (False, None, 1, "", np.ones(2)):
        assert repr(exercise.check("penalty", wrong)).startswith("Not yet")


def test_dots_count_even_if_the_check_swallows_errors_but_an_interrupt_interrupts():
    def check(answer):
        with contextlib.suppress(Exception):
            return check_penalty(answer)

    def interrupted():
        raise KeyboardInterrupt

    assert repr(add(check).check("penalty", lambda: ...)).startswith("Not attempted yet")
    with pytest.raises(KeyboardInterrupt):
        add(check).check("penalty", interrupted)


def test_self_test_names_the_broken_exercise():
    add().self_test()
    with pytest.raises(AssertionError, match="'penalty'.*an answer of ... passes"):
        add(lambda answer: True).self_test()
    with pytest.raises(AssertionError, match="'penalty'.*its own solution does not pass.*channels"):
        add(solution=lambda: 0.7).self_test()
    with pytest.raises(ValueError, match=r"key 'bug' has not been added \(penalty so far\)"):
        add().check("bug", 1)
