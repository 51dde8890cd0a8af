"""Copies that are trained: by the run's own step or by a new Adam, and how far they get."""

import math
from dataclasses import dataclass

import torch

from ._copies import seed_everything
from ._run import SEED

STEPS = 160  # for each learner: enough for Adam to learn 32 examples by heart
ASIDE = 300  # steps of the trial with batches kept aside
LEAST = 3 * STEPS + ASIDE  # steps of the trials that every run is put through
LEARNT = 0.35  # share of the way from the best constant answer to the lowest loss that may be left
AHEAD = 0.15  # share of that way that counts as progress
FEW = 8  # batches that "all batches" is judged by


@dataclass
class Path:
    """Shares of the way that are left at the start, half way and at the end; 1: a constant."""

    start: float
    middle: float
    end: float

    @property
    def best(self) -> float:
        """The lowest after the start."""
        return min(self.middle, self.end)

    @property
    def falls(self) -> bool:
        """Whether it gets ahead."""
        return self.end <= self.start - AHEAD


def follow(exam, batches, steps: int, *, own=True, fresh=False, change=None, draw=1, judged=None):
    """Trains a copy by its own step, or by the plain loop with Adam; the losses and the copy.

    `change(twin)` comes first and may return another `step(batch)`.
    """
    twin = exam.run.twin(fresh, draw)
    if own and exam.run.has_taken_steps:
        hold_rates(twin.optimizer)
    take = twin.own_step if own else plain_adam(twin)
    take = (change(twin) if change is not None else None) or take
    judged = batches[:FEW] if judged is None else judged
    losses = [twin.mean_loss(judged)]
    seed_everything(SEED)
    for done in range(1, steps + 1):
        twin.model.train()
        take(batches[done % len(batches)])
        if done in (steps // 2, steps):
            losses.append(twin.mean_loss(judged))
            if not math.isfinite(losses[-1]):
                break
    losses += [losses[-1]] * (3 - len(losses))
    return losses, twin


def hold_rates(optimizer) -> None:
    """No rate falls below what it is now.

    A schedule was written for the steps that the run has before it, not for those of the trials.
    """
    now, scheduled = [group["lr"] for group in optimizer.param_groups], []

    def before(optimizer, *_):
        scheduled[:] = [group["lr"] for group in optimizer.param_groups]
        for group, least in zip(optimizer.param_groups, now, strict=True):
            if 0 <= group["lr"] < least:
                group["lr"] = least

    def after(optimizer, *_):
        for group, rate in zip(optimizer.param_groups, scheduled, strict=True):
            group["lr"] = rate

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)


def plain_adam(twin, rate: float = 1e-3, parameters=None):
    """The plain loop with a new Adam on every weight that wants a gradient."""
    wanted = [p for p in twin.model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(wanted if parameters is None else parameters, lr=rate)
    return lambda batch: twin.plain_step(batch, optimizer)


def path(losses: list[float], reference: float, lowest: float) -> Path:
    """Losses as shares of the way between a constant answer and the lowest loss."""
    way = max(reference - lowest, 1e-9)
    return Path(*(((loss - lowest) / way if math.isfinite(loss) else math.inf) for loss in losses))
