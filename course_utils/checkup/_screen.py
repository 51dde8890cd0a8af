"""The number on the screen, against the same function again, in training and in eval() mode."""

import math

import torch

from ._batches import examples
from ._copies import seed_everything
from ._run import SEED

FEW = 6  # batches that are evaluated twice
NEAR = 0.12  # accuracies closer than this are called equal: the screen may be some steps old
GAP = 0.2  # between accuracies in the two modes
FACTOR = 3.0  # losses within this factor likewise


def evaluate(exam) -> None:
    """Loss and accuracy of the first batches, in both modes."""
    batches = exam.run.batches[:FEW]
    for name, training in (("train", True), ("eval", False)):
        twin = exam.run.twin()
        twin.model.train(training)
        losses, right, values = [], [], []
        for batch in batches:
            seed_everything(SEED)
            try:
                with torch.no_grad():
                    seen = exam.pass_of(twin, batch)
            except Exception:
                exam.untested.append(f"the loss in {name}() mode (it gives an error there)")
                break
            losses.append(float(seen.loss))
            task = exam.same_task(seen, batch)
            decided = None if task is None else task.right()
            right += [] if decided is None else decided.tolist()
            if task is not None and task.kind == "values":
                if task.answers.numel() == task.targets.numel():
                    values.append((task.answers.flatten(), task.targets.flatten()))
        if losses:
            exam.measured[f"losses_in_{name}"] = losses
            exam.measured[f"loss_in_{name}"] = sum(losses) / len(losses)
        if right:
            exam.measured[f"accuracy_in_{name}"] = sum(right) / len(right)
        if values:
            exam.measured[f"errors_in_{name}"] = errors(values)


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
    train, evaluated = known[0], known[-1]
    if evaluated - train > GAP and abs(number - train) < 0.1 and abs(number - evaluated) > GAP:
        exam.add(
            "train_eval_gap",
            "likely",
            f"the accuracy is {train:.0%} in train() mode and {evaluated:.0%} in eval(); the "
            f"screen shows {number:.0%}",
            f"a difference of {GAP:.0%}: an accuracy is taken in eval()",
        )
        return True
    return number >= evaluated - 0.3


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


def is_function(number: float, mean: float) -> bool:
    """Whether it is the root of the loss, its exponential (perplexity), or its negative."""
    forms = [mean**0.5 if mean > 0 else math.inf, math.exp(min(mean, 50.0)), -mean]
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
