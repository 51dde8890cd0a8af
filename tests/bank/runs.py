"""What a run is, how it is trained, and when it counts as having learnt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

Batch = Any  # a pair, a triple or a dict: whatever the run's loss takes
Loss = Callable[[nn.Module, Batch], Tensor]
Step = Callable[[nn.Module, Optimizer, Batch], float]
Examiner = Callable[[nn.Module], float]  # higher is better


@dataclass(frozen=True)
class Run:
    """A training run as somebody has it, and its examination.

    It has learnt if `examine` gives at least `goal` after `steps` further steps. Where the fault
    only lies about the learning, `examine` is the number as the author prints it (a loss negated)
    and `honest` what a fair examination of the same model gives.
    """

    model: nn.Module
    loss: Loss
    batches: list[Batch]
    optimizer: Optimizer | None
    examine: Examiner
    goal: float
    steps: int
    step: Step | None = None
    shown: float | None = None
    honest: Examiner | None = None
    honest_goal: float = 0.0

    def train(self, steps: int) -> list[float]:
        """Train for `steps` steps, the batches in turn; the losses as the loop prints them."""
        step = self.step or stepping(self.loss)
        return [
            step(self.model, self.optimizer, self.batches[i % len(self.batches)])
            for i in range(steps)
        ]

    def score(self) -> float:
        """The examiner's number for the model as it is."""
        return self.examine(self.model)

    def handed(self, before: int, shown: str | None = None) -> "Run":
        """This run when `before` of its steps are done: so many fewer are to come."""
        later = self.after(before, shown if before else None)
        return replace(later, steps=self.steps - before)

    def after(self, steps: int, shown: str | None = None) -> "Run":
        """This run `steps` steps later; `shown` on its screen: "loss", "score" or nothing."""
        printed = self.train(steps)
        if shown == "loss":  # as most loops print it: the mean of an epoch, at most
            last = printed[-len(self.batches) :]
            return replace(self, shown=sum(last) / len(last))
        return replace(self, shown=self.score() if shown == "score" else None)


def stepping(
    loss: Loss,
    *,
    clip: float | None = None,
    schedule: Callable[[int], float] | None = None,
    zero: bool = True,
) -> Step:
    """A training step: `clip` is the largest norm, `schedule` the rate by the number of steps.

    The number of steps lies in the optimiser, as a scheduler's does: copies go on from there.
    """

    def step(model: nn.Module, optimizer: Optimizer, batch: Batch) -> float:
        if schedule:
            for group in optimizer.param_groups:
                group["done"] = group.get("done", 0) + 1
                group["lr"] = schedule(group["done"] - 1)
        if zero:
            optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        if clip is not None:
            clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return value.item()

    return step


def unpacked(batch: Batch) -> Sequence[Tensor]:
    """The tensors of a batch, whichever form it has."""
    return list(batch.values()) if isinstance(batch, dict) else batch


def supervised(criterion: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The loss of inputs and targets; whatever else is in the batch, an index say, is left."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = unpacked(batch)[:2]
        return criterion(model(inputs), targets)

    return loss


def batched(tensors: Sequence[Tensor], size: int, keys: Sequence[str] = ()) -> list[Batch]:
    """An epoch in random order: tuples, or with `keys` dicts; a rest below `size` is dropped."""
    order = torch.randperm(len(tensors[0]))
    chosen = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
    batches = [tuple(tensor[rows] for tensor in tensors) for rows in chosen]
    return [dict(zip(keys, batch, strict=True)) for batch in batches] if keys else batches


def examiner(number: Callable[[nn.Module], Tensor], training: bool = False) -> Examiner:
    """`number` without gradients and (unless `training`) in eval mode, modes restored after."""

    def examine(model: nn.Module) -> float:
        modes = [(module, module.training) for module in model.modules()]
        model.train(training)
        with torch.no_grad():
            value = float(number(model))
        for module, mode in modes:
            module.training = mode
        return value

    return examine


def accuracy(test: Sequence[Tensor], training: bool = False, ignore: int = -100) -> Examiner:
    """The share of right classes among all that are not `ignore`d."""
    inputs, targets = test[:2]

    def number(model: nn.Module) -> Tensor:
        right = model(inputs).argmax(1) == targets
        return right[targets != ignore].float().mean()

    return examiner(number, training)


def yes_or_no(test: Sequence[Tensor], threshold: float = 0.0) -> Examiner:
    """The mean of the two classes' recalls: 0.5 for a model that always says the same."""
    inputs, targets = test[:2]

    def number(model: nn.Module) -> Tensor:
        said = model(inputs).reshape(targets.shape) > threshold
        return ((said & (targets > 0.5)).sum() / (targets > 0.5).sum()) / 2 + (
            (~said & (targets < 0.5)).sum() / (targets < 0.5).sum()
        ) / 2

    return examiner(number)


def overlap(test: Sequence[Tensor], threshold: float = 0.0) -> Examiner:
    """Intersection over union of said and true positives, over all pixels."""
    inputs, targets = test[:2]

    def number(model: nn.Module) -> Tensor:
        said, true = model(inputs).reshape(targets.shape) > threshold, targets > 0.5
        return (said & true).sum() / (said | true).sum().clamp(min=1)

    return examiner(number)


def explained(test: Sequence[Tensor]) -> Examiner:
    """The share of the targets' variance that is explained, at best 1."""
    inputs, targets = test[:2]

    def number(model: nn.Module) -> Tensor:
        rest = (model(inputs).reshape(targets.shape) - targets).square().mean()
        return 1 - rest / targets.var(correction=0)

    return examiner(number)


def supervised_run(
    task: tuple[Sequence[Tensor], Sequence[Tensor]],
    model: nn.Module,
    optimizer: Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    judge: Callable[[Sequence[Tensor]], Examiner],
    *,
    goal: float,
    steps: int,
    size: int = 32,
    keys: Sequence[str] = (),
    step: Callable[[Loss], Step] | None = None,
    loss: Loss | None = None,
) -> Run:
    """The commonest form: batches of `task`'s first half, judged on its second."""
    train, test = task
    loss = loss or supervised(criterion)
    batches = batched(train, size, keys)
    made = step(loss) if step else None
    return Run(model, loss, batches, optimizer, judge(test), goal, steps, step=made)
