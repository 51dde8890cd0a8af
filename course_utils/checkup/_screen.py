"""The number on the screen, against the same function again, in training and in eval() mode."""

import math

import torch

from ._batches import examples
from ._copies import seed_everything
from ._learners import ASIDE, plain_adam
from ._run import SEED

FEW = 6  # batches that are evaluated twice
NEAR = 0.12  # accuracies closer than this are called equal: the screen may be some steps old
GAP = 0.2  # between accuracies in the two modes, where what unseen examples lose is not known
APART = 0.08  # between scores in the two modes, beyond what unseen examples lose
FACTOR = 3.0  # losses within this factor likewise


def evaluate(exam) -> None:
    """Loss and accuracy of the first batches, in both modes."""
    batches = exam.run.batches[:FEW]
    for name, training in (("train", True), ("eval", False)):
        twin = exam.run.twin()
        twin.model.train(training)
        try:
            losses, right, values = results(exam, twin, batches)
        except Exception:
            exam.untested.append(f"the loss in {name}() mode (it gives an error there)")
            continue
        exam.measured[f"losses_in_{name}"] = losses
        exam.measured[f"loss_in_{name}"] = sum(losses) / len(losses)
        if right:
            exam.measured[f"accuracy_in_{name}"] = sum(right) / len(right)
        if values:
            exam.measured[f"errors_in_{name}"] = errors(values)


def results(exam, twin, batches) -> tuple[list, list, list]:
    """Losses, decisions that are right, and pairs of answers and targets, of some batches."""
    losses, right, values = [], [], []
    for batch in batches:
        seed_everything(SEED)
        with torch.no_grad():
            seen = exam.pass_of(twin, batch)
        losses.append(float(seen.loss))
        task = exam.same_task(seen, batch)
        decided = None if task is None else task.right()
        right += [] if decided is None else decided.tolist()
        if task is not None and task.kind == "values":
            if task.answers.numel() == task.targets.numel():
                values.append((task.answers.flatten(), task.targets.flatten()))
    return losses, right, values


def errors(values: list) -> tuple[float, ...]:
    """Usual measures of a regression: mean absolute error, root mean square, share explained."""
    answers, targets = (torch.cat(part).double() for part in zip(*values, strict=True))
    rest, spread = answers - targets, float(targets.var(correction=0))
    square = float(rest.square().mean())
    explained = 1 - square / spread if spread > 0 else math.nan
    return float(rest.abs().mean()), square**0.5, explained


def shown(exam) -> None:
    """Whether the number on the screen is this loss, or this accuracy."""
    number = exam.run.shown
    if number is None:
        exam.untested.append("the number on the screen (no `shown`)")
        return
    if exam.measured.get("cosine_of_given_and_own", 1.0) < 0.98:
        exam.untested.append("the number on the screen (the step minimises something else)")
        return
    losses = exam.measured.get("losses_in_train", []) + exam.measured.get("losses_in_eval", [])
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not math.isfinite(number):
        if finite and len(finite) == len(losses):
            exam.add(
                "not_finite",
                "likely",
                f"the screen shows {number}; the loss of {len(finite)} batches is finite, "
                f"{min(finite):.4g} to {max(finite):.4g}",
                "finite numbers: another batch, another function or an earlier state gave it",
            )
    elif finite and not is_score(exam, number):
        near = is_near(number, min(finite), max(finite)) or is_accuracy(exam, number)
        mean = sum(finite) / len(finite)
        if not near and not is_on_the_way(exam, number, mean) and not is_function(number, mean):
            another_number(exam, number, mean)


def another_number(exam, number: float, mean: float) -> None:
    """A finding: what is shown is a multiple of the loss, or has nothing to do with it."""
    count = counted(exam, number / mean if mean else math.inf)
    if count is not None and 0 < number < mean:
        return  # a mean is shown where a sum is minimised
    if count is None and 1 < number <= 100 and is_score(exam, number / 100):
        return
    if count is None and is_perplexity(exam, number, mean):
        return
    if count is not None:
        name, times = count
        exam.add(
            "number_on_screen",
            "certain",
            f"the screen shows {number:.4g}, {number / mean:.2f} times the loss ({mean:.4g}); "
            f"{name} {times:g}",
            "1: a sum was shown where a mean was meant",
            times=number / mean,
        )
        return
    if exam.task.kind == "unknown":
        exam.untested.append("the number on the screen (what the loss compares is not known)")
        return
    modes = " and ".join(
        f"{exam.measured[key]:.4g} in {key[8:]}() mode"
        for key in ("loss_in_train", "loss_in_eval")
        if key in exam.measured
    )
    right = " and ".join(
        f"{exam.measured[key]:.0%} in {key[12:]}()"
        for key in ("accuracy_in_train", "accuracy_in_eval")
        if key in exam.measured
    )
    exam.add(
        "number_on_screen",
        "likely",
        f"the screen shows {number:.4g}; the same loss again is {modes}"
        + (f", the accuracy {right}" if right else ""),
        f"a factor of {FACTOR:g}, or {NEAR:.0%} of accuracy: a step more does not change as much",
        times=number / mean if mean else math.inf,
    )


def is_score(exam, number: float) -> bool:
    """Whether it may be a score: of another kind, of other examples, or simply this accuracy."""
    known = [exam.measured.get(f"accuracy_in_{mode}") for mode in ("train", "eval")]
    known = [share for share in known if share is not None]
    if exam.task.kind == "values":
        return 0.3 <= number <= 1 or is_error(exam, number)
    if not 0 <= number <= 1:
        return False
    rare = exam.measured.get("share_of_the_most_frequent", 0.0) > 0.8
    if not known or rare or exam.task.targets is None:
        return True
    if several_decisions(exam):
        return True
    train, evaluated = known[0], known[-1]
    as_in_train = evaluated - train > GAP and abs(number - train) < 0.1  # `in_train_mode` decides
    return as_in_train or number >= evaluated - 0.3


def several_decisions(exam) -> bool:
    """Whether an example has many, so that its score may be one of its own: overlap, bits saved."""
    return exam.task.targets.numel() > examples(exam.run.batches[0])


def in_train_mode(exam) -> None:
    """Whether the score on the screen is what this model has in train(), not in eval().

    A score of unseen examples is lower too: so much as copies lose that are trained on half of the
    batches and scored on the other half is not held against it.
    """
    number = exam.run.shown
    scores = [score_in(exam, mode) for mode in ("train", "eval")]
    if number is None or None in scores or exam.found("number_on_screen"):
        return
    if several_decisions(exam):
        return
    train, evaluated = scores
    apart = min(evaluated - train, evaluated - number)
    if apart < APART or abs(number - train) > apart / 2:
        return
    lost = lost_on_unseen(exam, evaluated)
    exam.measured["score_lost_on_unseen"] = lost
    if evaluated - max(lost, 0) - number > APART:
        exam.add(
            "train_eval_gap",
            "likely",
            f"the score is {train:.0%} in train() mode and {evaluated:.0%} in eval(); the screen "
            f"shows {number:.0%}, and unseen batches lose {max(lost, 0):.0%}",
            f"a difference of {APART:.0%}: a score is taken in eval()",
        )


def lost_on_unseen(exam, reached: float) -> float:
    """How much lower the score of unseen batches is, once as much is reached on half of them."""
    learnt, unseen = exam.run.batches[0::2], exam.run.batches[1::2]
    if not unseen:
        return GAP - APART  # not known
    twin, scores = exam.run.twin(fresh=True), [0.0, 0.0]
    take_step = plain_adam(twin, 3e-3)
    for step in range(1, 2 * ASIDE + 1):
        twin.model.train()
        take_step(learnt[step % len(learnt)])
        if step % (ASIDE // 5) == 0:
            twin.model.eval()
            parts = [results(exam, twin, part[:FEW]) for part in (learnt, unseen)]
            scores = [
                errors(values)[-1] if values else sum(right) / len(right)
                for _, right, values in parts
            ]
            if scores[0] >= reached:
                break
    return scores[0] - scores[1]


def score_in(exam, mode: str) -> float | None:
    """Accuracy, or the share of the targets' variance that is explained."""
    if exam.task.kind == "values":
        return exam.measured.get(f"errors_in_{mode}", (None,))[-1]
    return exam.measured.get(f"accuracy_in_{mode}")


def is_error(exam, number: float) -> bool:
    """Whether it is another usual measure of a regression, or its negative."""
    known = [exam.measured.get(f"errors_in_{mode}") for mode in ("train", "eval")]
    for absolute, root, explained in (errors for errors in known if errors is not None):
        near = [abs(abs(number) / size - 1) < 0.3 for size in (absolute, root) if size]
        if any(near) or abs(number - explained) < 0.25:
            return True
    return False


def is_on_the_way(exam, number: float, mean: float) -> bool:
    """Whether it may be the mean of an epoch in which the loss fell to what it is now."""
    return exam.constant_of_all is not None and mean < number < exam.constant_of_all


def is_perplexity(exam, number: float, mean: float) -> bool:
    """Whether it is the exponential of a loss like this: of words, perhaps unseen ones."""
    return exam.task.kind == "classes" and number > 1 and is_near(math.log(number), mean, mean)


def is_function(number: float, mean: float) -> bool:
    """Whether it is the root of the loss, its exponential, its negative, or its decibels (PSNR)."""
    forms = [mean**0.5 if mean > 0 else math.inf, math.exp(min(mean, 50.0)), -mean]
    forms += [-10 * math.log10(mean)] if mean > 0 else []
    return any(abs(number / form - 1) < 0.25 for form in forms if form)


def is_near(number: float, low: float, high: float) -> bool:
    """Whether the number lies among the losses, a factor or a small difference allowed."""
    slack = 0.02 + 0.1 * (high - low)
    low, high = min(low / FACTOR, low * FACTOR), max(high * FACTOR, high / FACTOR)
    return low - slack <= number <= high + slack


def is_accuracy(exam, number: float) -> bool:
    """Whether it is an accuracy (as a share or in percent) or the share of errors."""
    known = [exam.measured.get(f"accuracy_in_{mode}") for mode in ("train", "eval")]
    for share in (share for share in known if share is not None):
        near = (number - share, number - 1 + share, (number - 100 * share) / 100)
        if min(map(abs, near)) <= NEAR:
            return True
    return False


def counted(exam, ratio: float) -> tuple[str, float] | None:
    """A count of the run that the ratio equals, within a tenth."""
    batch = exam.run.batches[0]
    size = examples(batch)
    counts = {"batches handed over:": len(exam.run.batches), "examples in a batch:": size}
    if exam.task.answers is not None and size:
        counts["answers in a batch:"] = exam.task.answers.numel()
        counts["answers of an example:"] = exam.task.answers.numel() / size
    for name, count in counts.items():
        for times in (count, 1 / count if count else 0):
            if times and (times >= 2 or times <= 0.5) and abs(ratio / times - 1) < 0.1:
                return name, count
    if (
        ratio > 2
        and abs(ratio - round(ratio)) < 0.04 * ratio
        and round(ratio) in (2, 4, 8, 16, 32, 64)
    ):
        return "steps of accumulation, perhaps:", round(ratio)
    return None
