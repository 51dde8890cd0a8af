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
    before = asked.form
    predictions.ask("wider", asked.text, OPTIONS)  # its cell is run again
    again = predictions.questions["wider"]
    assert before.comm is None and again.form.comm is not None
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
    html = bundle(said)["text/html"]
    assert "&lt;of&gt;" in html and "color" not in html and "<details>" not in html


def bundle(shown) -> dict[str, str]:
    """What a front end gets of a form or a reveal."""
    return shown._repr_mimebundle_()


def test_after_run_all_a_reveal_is_closed_and_opens_with_the_answer(predictions):
    reveal = predictions.reveal("wider", "lower", "Because.")
    text, button = reveal.children
    assert "lower" not in repr(reveal) and "lower" not in text.value
    assert not predictions.questions["wider"].button.disabled
    predictions.questions["wider"].choice.value = "lower"
    predictions.questions["wider"].button.click()
    for line in ("You predicted: lower", "The run says: lower", "Right.", "Because."):
        assert line in text.value and line in repr(reveal)
    assert button.layout.display == "none"
    assert repr(predictions.tally()).startswith("Predictions: 1 right of 1 locked in; 1 asked.")


def test_who_opens_a_reveal_first_may_answer_again_but_is_not_counted(predictions):
    reveal, asked = predictions.reveal("wider", "lower"), predictions.questions["wider"]
    reveal.children[1].click()
    assert "No prediction locked in." in reveal.children[0].value and asked.button.disabled
    assert repr(predictions.choose("wider", "higher")).startswith("Already opened")
    predictions.ask("wider", asked.text, OPTIONS)
    assert not asked.button.disabled
    assert repr(predictions.choose("wider", "lower")) == "Locked in: lower"
    assert "0 right of 0 locked in; 1 asked" in repr(predictions.tally())


def test_a_page_without_a_kernel_shows_the_question_and_the_folded_truth(predictions):
    form = bundle(predictions.ask("deeper", "Is <it>?", OPTIONS))
    assert (
        form["text/plain"] == "Is <it>?\n○ higher\n○ lower"
        and "Is &lt;it&gt;?" in form["text/html"]
    )
    reveal = bundle(predictions.reveal("deeper", "lower", "Because."))
    summary, _, inside = reveal["text/html"].partition("</summary>")
    assert "<details><summary>" in summary and "lower" not in summary
    assert "The run says: lower" in inside and "Because." in inside
    assert "lower" not in reveal["text/plain"]


def test_tally_counts_right_locked_and_asked(predictions):
    for key, answer in (("second", "higher"), ("third", "higher"), ("fourth", "lower")):
        predictions.ask(key, "?", OPTIONS)
        predictions.choose(key, answer)
    for key, truth in (("wider", "lower"), ("second", "higher"), ("third", "lower")):
        predictions.reveal(key, truth)
    text = "Predictions: 1 right of 3 locked in; 4 asked.\n1 not revealed yet.\n"
    text += "Answer those above, then run this cell again."
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
