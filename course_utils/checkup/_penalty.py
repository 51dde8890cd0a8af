"""What is added to the error: a penalty so heavy that the error is not learnt."""

import math

import torch

from . import _learners
from ._copies import seed_everything
from ._run import SEED, one_number
from ._watch import Watch

WORTH = 0.02  # share of a fresh network's loss from which an addition is looked at
MOST, SEEN = 0.75, 0.2  # shares: of penalty in a loss, and of a constant answer's error
LESS = 0.5  # of the error that is left with the penalty, without it


def error_alone(twin):
    """The loss without what is added to it: the result of its one call of a torch loss."""
    whole = twin._loss

    def loss(model, batch):
        watch = Watch(model)
        try:
            with watch:
                whole(model, batch)
        finally:
            for hook in watch.hooks:
                hook.remove()
        return one_number([c for c in watch.seen.losses() if not c.in_model][0].result)

    return loss


def follows_the_data(exam, twin, added: float) -> bool:
    """Whether what is added changes with the answers or the batch: then it penalises no weights."""
    seen = exam.seen
    error = [call for call in seen.losses() if not call.in_model][0].result
    rest = seen.loss - error
    wanted = [answer for answer in seen.outputs if answer.requires_grad]
    if wanted and rest.requires_grad:
        pulls = torch.autograd.grad(rest, wanted, retain_graph=True, allow_unused=True)
        size = sum(float(pull.abs().sum()) for pull in pulls if pull is not None)
        own = torch.autograd.grad(seen.loss, wanted, retain_graph=True, allow_unused=True)
        if size > 0.01 * sum(float(pull.abs().sum()) for pull in own if pull is not None):
            return True
    if len(exam.run.batches) < 2:
        return False
    seed_everything(SEED)
    seen = exam.pass_of(twin, exam.run.batches[1])
    errors = [call for call in seen.losses() if not call.in_model]
    again = float(seen.loss) - float(errors[0].result)
    return abs(again - added) > 1e-3 * abs(added) + 1e-5 * abs(float(seen.loss))


def penalty(exam) -> None:
    """Trains with and without the addition, and compares the error alone."""
    losses = [call for call in exam.seen.losses() if not call.in_model]
    if len(losses) != 1 or losses[0].result.numel() != 1 or exam.seen.forwards != 1:
        return
    if exam.run.optimizer is None:
        return
    twin, batch = exam.run.twin(fresh=True), exam.run.batches[0]
    seed_everything(SEED)
    seen = exam.pass_of(twin, batch)
    whole = float(seen.loss)
    error = float([call for call in seen.losses() if not call.in_model][0].result)
    share = exam.measured["share_of_penalty"] = (whole - error) / max(abs(whole), 1e-12)
    if math.isfinite(share) and share > 0 and not follows_the_data(exam, twin, whole - error):
        most_of_what_is_shown(exam, float(losses[0].result))
        if share >= WORTH and not exam.found("penalty"):
            with_and_without(exam, share)


def most_of_what_is_shown(exam, error: float) -> None:
    """A run that has learnt, and whose loss is nearly all penalty."""
    whole = float(exam.seen.loss)
    constant = (exam.constant_of_all or 0.0) - (whole - error)
    share = exam.measured["share_of_penalty_now"] = (whole - error) / max(abs(whole), 1e-12)
    if share > MOST and whole > SEEN * constant > error:
        exam.add(
            "penalty",
            "likely",
            f"{share:.0%} of the loss is a penalty: of {whole:.3g} the error is {error:.3g} (a "
            f"constant answer's: {constant:.3g})",
            f"{MOST:.0%} of the loss, where the error itself is below {SEEN:.0%} of a constant's",
            share=share,
        )


def with_and_without(exam, share: float) -> None:
    """Whether the error is learnt only without the addition."""
    left = []
    for alone in (False, True):
        twin = exam.run.twin(fresh=True)
        only = error_alone(twin)
        if alone:
            twin._loss = only
        for step in range(_learners.STEPS):
            twin.model.train()
            if alone:
                twin.plain_step(exam.run.batches[step % len(exam.run.batches)], twin.optimizer)
            else:
                twin.own_step(exam.run.batches[step % len(exam.run.batches)])
        twin._loss = only
        left.append(twin.mean_loss(exam.run.batches[: _learners.FEW]))
    exam.measured["error_with_and_without_penalty"] = left
    if left[1] < LESS * left[0] and left[0] > 0.6 * (exam.constant_of_all or left[0]):
        exam.add(
            "penalty",
            "likely",
            f"after {_learners.STEPS} steps from new weights the error alone is {left[0]:.3g}; "
            f"without what is added to it ({share:.0%} of the first loss) {left[1]:.3g}",
            f"{LESS:.0%} of it, and 60 % of a constant answer's",
            share=share,
        )
