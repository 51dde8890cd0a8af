"""The answers as they arrive at the loss: already squashed, cut off, of the wrong shape."""

import math
from functools import partial

import torch

from ._batches import rebuilt
from ._data import entropy, gather_targets

SQUASHED = ("softmax", "sigmoid", "_softmax", "hardsigmoid", "softmax2d")
RANGES = {  # what an answer can be, by the function that gave it
    **dict.fromkeys(("relu", "relu_", "softplus", "abs", "square", "exp"), (0.0, math.inf)),
    **dict.fromkeys(("sigmoid", "sigmoid_", "hardsigmoid", "softmax"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "tanh_", "hardtanh", "softsign"), (-1.0, 1.0)),
    "relu6": (0.0, 6.0),
}
BEYOND = 0.05  # share of targets that may lie beyond what the answers reach: outliers are cut


def squashed(exam) -> None:
    """Probabilities handed to a loss that makes probabilities itself."""
    call, answers = exam.task.call, exam.task.answers
    if call is None or answers is None:
        twice_by_hand(exam)
        return
    maker = exam.seen.maker(call.argument(0, "input"))
    made_by = maker.name if maker is not None else ""
    exam.measured["answers_made_by"] = made_by
    if call.name == "cross_entropy" and answers.dim() > 1:
        of_classes(exam, made_by, answers)
    elif call.name == "binary_cross_entropy_with_logits":
        of_yes_and_no(exam, made_by)
    if made_by == "softmax" and maker.result.dim() > 1:
        axis = maker.argument(1, "dim", -1)
        if maker.result.shape[axis] == 1:
            one_channel(exam, "softmax over 1 channel")
        elif axis == 0 and maker.result.shape[0] > 1:
            exam.add(
                "mixed_examples",
                "certain",
                "softmax(dim=0) shares the probability out among the examples of a batch",
                "the axis of the classes, 1 or -1",
            )
    log_probabilities(exam, call, answers)


def of_classes(exam, made_by: str, answers: torch.Tensor) -> None:
    """What cross_entropy is given: one channel, probabilities, or logits that are cut off."""
    classes = answers.shape[1]
    if classes == 1:
        one_channel(exam, f"cross_entropy over {classes} channel")
    elif made_by in SQUASHED or is_distribution(answers, 1):
        floor = math.log(1 + (classes - 1) / math.e)
        exam.add(
            "softmax_twice",
            "certain",
            f"the answers are probabilities ({made_by or 'each row sums to 1'}); with "
            f"{classes} classes the loss cannot fall below {floor:.3f}",
            f"cross_entropy takes any number, and has the softmax within; ln(1 + "
            f"{classes - 1}/e) = {floor:.3f} is the loss of certain and right answers",
            floor=floor,
        )
    elif made_by in RANGES:
        cut_off(exam, made_by)


def of_yes_and_no(exam, made_by: str) -> None:
    """What binary_cross_entropy_with_logits is given."""
    if made_by in SQUASHED:
        exam.add(
            "softmax_twice",
            "certain",
            f"the answers come out of {made_by} already, from 0 to 1",
            "the loss takes any number, and has the sigmoid within",
        )
    elif made_by in RANGES:
        cut_off(exam, made_by)


def twice_by_hand(exam) -> None:
    """A softmax of a softmax, in a loss that is written by hand."""
    for call in exam.seen.calls:
        if call.name in ("softmax", "log_softmax") and not call.in_model:
            taken = call.argument(0, "input")
            maker = exam.seen.maker(taken) if isinstance(taken, torch.Tensor) else None
            if maker is not None and maker.name in SQUASHED:
                exam.add(
                    "softmax_twice",
                    "certain",
                    f"{call.name} of what comes out of {maker.name}",
                    "one of the two",
                )
                return


def one_channel(exam, where: str) -> None:
    """Cross-entropy or softmax over a single number: always 0, always 1."""
    exam.add(
        "one_channel",
        "certain",
        where + ": the probability is 1 whatever the model answers",
        "two channels, or a sigmoid and binary cross-entropy",
    )


def is_distribution(answers: torch.Tensor, axis: int) -> bool:
    """Whether the numbers are shares that sum to one along the axis."""
    values = answers.float()
    sums = values.sum(axis)
    return bool((values >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def cut_off(exam, made_by: str) -> None:
    """Logits that have been through an activation."""
    low, high = RANGES[made_by]
    exam.add(
        "output_range",
        "likely",
        f"the answers come out of {made_by}: {low:g} to {high:g} and nothing else",
        "any number: the loss takes log-odds",
        low=low,
        high=high,
    )


def log_probabilities(exam, call, answers) -> None:
    """nll_loss and kl_div take logarithms of probabilities and check nothing."""
    if call.name not in ("nll_loss", "kl_div") or answers.dim() < 1:
        return
    shares = answers.float().exp()
    if call.name == "nll_loss":
        totals = [shares.sum(1 if answers.dim() > 1 else -1)]
    else:  # over any axis, or over a whole example: a map of places is one distribution
        totals = [shares.sum(axis) for axis in range(-1, -answers.dim(), -1)]
        totals += [shares.flatten(1).sum(1) if answers.dim() > 1 else shares.sum(-1)]
    total = min(totals, key=lambda sums: float((sums - 1).abs().max()))
    if not bool(((total - 1).abs() < 0.02).all()):
        exam.add(
            "loss_wrong",
            "certain",
            f"{call.name} is given numbers whose exponentials sum to {float(total.mean()):.3g}",
            "1: it takes logarithms of probabilities (log_softmax), and does not check",
        )


def reach(exam) -> None:
    """Whether the targets lie where the answers can go."""
    task = exam.task
    if task.kind != "values" or task.answers is None or not exam.seen.outputs:
        return
    answers = task.call.argument(0, "input") if task.call is not None else exam.seen.outputs[0]
    maker = exam.seen.maker(answers)
    if maker is None or maker.name not in RANGES:
        return
    low, high = RANGES[maker.name]
    targets = task.targets.float()
    beyond = float(((targets < low) | (targets > high)).float().mean())
    exam.measured["targets_beyond_reach"] = beyond
    if beyond > BEYOND and (task.call is not None or lowest_at_the_targets(exam)):
        exam.add(
            "output_range",
            "certain",
            f"{beyond:.0%} of the targets ({float(targets.min()):.3g} to "
            f"{float(targets.max()):.3g}) lie beyond what {maker.name} gives",
            f"{BEYOND:.0%}; {maker.name} gives {low:g} to {high:g}",
            beyond=beyond,
        )


def lowest_at_the_targets(exam) -> bool:
    """Whether a loss that is written by hand wants answers equal to the targets.

    It need not: an answer may be a spread, a rate, a margin.
    """
    answers = exam.seen.outputs[0]
    targets = exam.task.targets.reshape(answers.shape).to(answers.dtype)
    losses = []
    for moved in (0.0, 0.3, -0.3):
        twin, values = exam.run.twin(), targets + moved * targets.std()
        twin.answer_with(rebuilt(exam.seen.output, partial(instead, answers, values)))
        losses.append(float(twin.loss(exam.run.batches[0])))
    return all(map(math.isfinite, losses)) and losses[0] < min(losses[1:])


def instead(given: torch.Tensor, other: torch.Tensor, leaf):
    """The other in the place of what was given."""
    return other if leaf is given else leaf


def between_classes(exam) -> None:
    """Whether classes pull the answers in opposite directions: the cosine of their mean gradients.

    At the answers, where cross-entropy's gradient of an example is its probabilities less its
    label's one (notebook 04): near -1 of two classes, or -1/(K - 1) of K, on a plateau.
    """
    task = exam.task
    if task.call is None or task.call.name != "cross_entropy" or task.answers.dim() != 2:
        return
    if task.targets.is_floating_point() or int(task.targets.min()) < 0:
        return
    shares = task.answers.float().softmax(1)
    pulls = shares - torch.nn.functional.one_hot(task.targets, shares.shape[1])
    means = torch.stack([pulls[task.targets == one].mean(0) for one in task.targets.unique()])
    means = torch.nn.functional.normalize(means, dim=1)
    if len(means) > 1:
        pairs = torch.triu_indices(len(means), len(means), 1)
        cosines = (means @ means.T)[pairs[0], pairs[1]]
        exam.measured["cosine_between_classes"] = float(cosines.mean())


def shapes(exam) -> None:
    """(n, 1) against (n,): every answer is held against every target."""
    if exam.seen.loss is None:
        return
    for call in exam.seen.calls:
        if call.in_model:
            continue
        pair = [arg for arg in (*call.args, *call.kwargs.values()) if isinstance(arg, torch.Tensor)]
        if len(pair) < 2 or not crossed(pair[0].shape, pair[1].shape):
            continue
        if pair[0].requires_grad == pair[1].requires_grad:
            continue  # answers with answers, or labels with labels: pairs that are meant
        exam.add(
            "loss_shape",
            "certain",
            f"{call.name} of {tuple(pair[0].shape)} and {tuple(pair[1].shape)}: every answer is "
            "held against every target",
            "equal shapes",
        )
        return


def crossed(one: torch.Size, other: torch.Size) -> bool:
    """Whether two shapes broadcast n answers against n targets."""
    if len(one) < len(other):
        one, other = other, one
    return (
        len(one) == len(other) + 1
        and len(other) >= 1
        and one[-1] == 1
        and one[0] == other[0] > 1
        and one[:-1] == other
    )


def numbers_of_columns(targets: torch.Tensor) -> bool:
    """Whether each row repeats one whole number, of as many as there are columns."""
    if targets.dim() != 2 or targets.shape[1] < 3 or float(targets.std()) == 0:
        return False
    whole = torch.equal(targets, targets.round()) and bool((targets >= 0).all())
    return whole and bool(((targets == targets[:, :1]) & (targets < targets.shape[1])).all())


def class_numbers(exam) -> None:
    """A regression on the numbers of classes."""
    task = exam.task
    if task.kind != "values" or task.answers is None or task.answers.dim() > 2:
        return
    if numbers_of_columns(task.targets):
        exam.add(
            "loss_wrong",
            "certain",
            f"the {task.targets.shape[1]} answers of an example are all held against one number",
            "a target for each answer (one_hot), or cross_entropy",
        )
        return
    targets = torch.cat([part.flatten() for part in gather_targets(exam)]).double()
    if getattr(task.call, "name", "") == "poisson_nll_loss" and float(targets.min()) < 0:
        exam.add(
            "loss_wrong",
            "certain",
            f"poisson_nll_loss of targets down to {float(targets.min()):.3g}",
            "0: it takes counts as they were counted, not standardised",
        )
    if task.answers.numel() != task.targets.numel() or not torch.equal(targets, targets.round()):
        return
    kinds = targets.unique()
    named = len(kinds) == int(kinds.max()) + 1 and int(kinds.min()) == 0
    if not 3 <= len(kinds) <= 20 or not named or "poisson" in getattr(task.call, "name", ""):
        return
    if entropy(targets) / math.log(len(kinds)) > 0.95:  # as frequent as classes are
        exam.measured["numbers_of_classes"] = len(kinds)
