"""Predictions and exercises on all their paths; tests/test_lab.py has the lab."""

import numpy as np
import pytest
import torch

from course_utils.widgets import Exercises, Predictions

OPTIONS = ["higher", "lower"]


@pytest.fixture
def predictions():
    asked = Predictions()
    asked.ask("wider", "Is the loss <of> a wide net higher?", OPTIONS)
    return asked


def form(predictions, key="wider"):
    return predictions._forms[key]


def test_prediction_locks_and_cannot_be_changed(predictions):
    form(predictions).choice.value = "lower"
    assert "Not locked in yet" in form(predictions).status.value
    form(predictions).button.click()
    assert "Locked in: lower" in form(predictions).status.value
    assert form(predictions).choice.disabled and form(predictions).button.disabled
    assert repr(predictions.choose("wider", "higher")) == "Already locked in: lower"
    assert predictions.questions["wider"].answer == "lower"


def test_lock_in_without_a_choice_asks_for_one(predictions):
    form(predictions).button.click()
    assert "Choose an answer first" in form(predictions).status.value
    assert not form(predictions).button.disabled


def test_prediction_by_code_shows_in_the_form(predictions):
    assert repr(predictions.choose("wider", "higher")) == "Locked in: higher"
    assert form(predictions).choice.value == "higher" and form(predictions).choice.disabled


@pytest.mark.parametrize(("truth", "verdict"), [("higher", "Right."), ("lower", "Wrong.")])
def test_reveal_compares_with_the_run(predictions, truth, verdict):
    predictions.choose("wider", "higher")
    assert repr(predictions.reveal("wider", truth, "Because.")).splitlines() == [
        "Is the loss <of> a wide net higher?",
        "You predicted: higher",
        f"The run says: {truth}",
        verdict,
        "Because.",
    ]


def test_reveal_without_a_prediction_is_always_the_same_text_and_closes_the_question(predictions):
    message = predictions.reveal("wider", "lower")
    assert repr(message).splitlines()[1:] == ["No prediction locked in.", "The run says: lower"]
    assert message == predictions.reveal("wider", "lower")
    assert "&lt;of&gt;" in message._repr_html_() and "color" not in message._repr_html_()
    assert repr(predictions.choose("wider", "higher")).startswith("Already revealed")
    assert (
        form(predictions).button.disabled
        and "run this cell again" in form(predictions).status.value
    )


def test_asking_again_opens_a_revealed_question_but_keeps_a_locked_answer(predictions):
    predictions.reveal("wider", "lower")
    predictions.ask("wider", "Again?", OPTIONS)
    assert not form(predictions).button.disabled
    predictions.choose("wider", "lower")
    before = form(predictions).box
    predictions.ask("wider", "And again?", OPTIONS)
    assert predictions.questions["wider"].answer == "lower" and form(predictions).button.disabled
    assert before.comm is None and form(predictions).box.comm is not None
    assert repr(predictions.choose("wider", "higher")) == "Already locked in: lower"


def test_tally_counts_right_locked_and_asked(predictions):
    for key, answer in (("second", "higher"), ("third", "higher"), ("fourth", "lower")):
        predictions.ask(key, "?", OPTIONS)
        predictions.choose(key, answer)
    predictions.reveal("wider", "lower")
    predictions.reveal("second", "higher")
    predictions.reveal("third", "lower")
    text = "Predictions: 1 right of 3 locked in; 4 asked.\n1 not revealed yet."
    assert repr(predictions.tally()) == text
    assert repr(Predictions().tally()) == "Predictions: 0 right of 0 locked in; 0 asked."


def test_predictions_refuse_what_does_not_fit(predictions):
    with pytest.raises(ValueError, match="'equal' is not an option of 'wider'.*'higher', 'lower'"):
        predictions.reveal("wider", "equal")
    with pytest.raises(ValueError, match="'deeper' has not been asked; asked so far: wider"):
        predictions.choose("deeper", "lower")
    for options in (["one"], ["same", "same"], "ab"):
        with pytest.raises(ValueError, match="options must be two or more different"):
            predictions.ask("few", "?", options)


def check_penalty(answer):
    if answer < 0:
        raise ArithmeticError("a negative <penalty>")
    return abs(answer - 0.5) < 0.01 or "Count the output channels."


def solve_penalty():
    return 0.5  # <the> solution


@pytest.fixture
def exercises():
    given = Exercises()
    given.add("penalty", check_penalty, "Two per <channel>.", solve_penalty)
    return given


def stub():
    return ...


@pytest.mark.parametrize("answer", [..., [1, ...], {"penalty": ...}], ids=str)
def test_unattempted_exercise_passes_run_all_and_says_so(exercises, answer):
    message = exercises.check("penalty", answer)
    assert repr(message).startswith("Not attempted yet: ")
    assert "Two per &lt;channel&gt;." in message.html and "solve_penalty" not in message.html


@pytest.mark.parametrize("swallow", [True, False])
def test_function_that_returns_the_dots_is_unattempted(swallow):
    def check(function):
        try:
            return function() == 1
        except Exception:
            if swallow:
                return "It raised."
            raise

    exercises = Exercises()
    exercises.add("function", check, "One.", lambda: lambda: 1)
    assert repr(exercises.check("function", stub)).startswith("Not attempted yet")
    assert repr(exercises.check("function", lambda: 1)) == "Correct."
    assert repr(exercises.check("function", lambda: 2)).startswith("Not yet.")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (0.7, "Not yet: Count the output channels."),
        (-1, "Not yet: your answer led to ArithmeticError: a negative <penalty> (in check_penalty"),
        ("half", "Not yet: your answer led to TypeError: "),
    ],
)
def test_wrong_answer_gets_help_and_the_solution_in_a_fold(exercises, answer, says):
    message = exercises.check("penalty", answer)
    assert repr(message).startswith(says) and repr(message).endswith("Hint: Two per <channel>.")
    assert "0.5" not in repr(message)
    assert (
        "return 0.5  # &lt;the&gt; solution"
        in message.html.partition("<details><summary>Solution")[2]
    )
    assert "color" not in message._repr_html_() and "open" not in message.html


@pytest.mark.parametrize("right", [True, np.True_, torch.tensor(True)], ids=repr)
def test_right_answer(right):
    exercises = Exercises()
    exercises.add("yes", lambda answer: right, "-", solve_penalty)
    message = exercises.check("yes", 1)
    assert repr(message) == "Correct."
    assert "<summary>Solution</summary><pre>def solve_penalty():\n" in message.html


@pytest.mark.parametrize("wrong", [False, None, 1, "", np.ones(2)], ids=repr)
def test_only_true_is_right(wrong):
    exercises = Exercises()
    exercises.add("no", lambda answer: wrong, "-", solve_penalty)
    assert repr(exercises.check("no", 1)).startswith("Not yet")


def test_interrupting_a_check_interrupts(exercises):
    def check(answer):
        raise KeyboardInterrupt

    exercises.add("long", check, "-", solve_penalty)
    with pytest.raises(KeyboardInterrupt):
        exercises.check("long", 1)


def test_self_test_names_the_broken_exercise(exercises):
    exercises.self_test()
    exercises.add("lenient", lambda answer: True, "-", solve_penalty)
    with pytest.raises(AssertionError, match="'lenient'.*an answer of ... passes"):
        exercises.self_test()
    exercises.add("lenient", check_penalty, "-", lambda: 0.7)
    with pytest.raises(AssertionError, match="'lenient'.*its own solution does not pass.*channels"):
        exercises.self_test()


def test_exercises_refuse_what_does_not_fit(exercises):
    with pytest.raises(ValueError, match="key 'bug' has not been added; added so far: penalty"):
        exercises.check("bug", 1)
    with pytest.raises(TypeError, match="solution must be a function, got 0.5"):
        exercises.add("x", check_penalty, "-", 0.5)
