"""A guard beside the training loop: keeps what is needed to examine the step that broke it."""

import copy
import math
import time
import warnings
from collections import deque
from dataclasses import dataclass, field

import torch

from ._copies import random_state_kept
from ._exam import examined
from ._findings import Report
from ._run import Run, Unsupported

SHARE = 0.025  # of the loop's time that snapshots may take; looking at the losses takes as much
MOST = 200  # steps between two snapshots: the batches in between are kept in memory
REMEMBERED = 50  # losses that a jump is held against
JUMP = 5.0  # times the range of the remembered losses, above their lowest


class Broke(RuntimeError):
    """Raised when the run has met a number that is none; `report` says what was found."""

    def __init__(self, message: str, report: Report):
        super().__init__(f"{message}\n{report}")
        self.report = report


@dataclass
class Snapshot:
    """Model and optimiser as they were, and the batches that came after."""

    model: dict
    optimizer: dict
    random: torch.Tensor
    batches: list = field(default_factory=list)


@dataclass
class Guard:
    """Keeps the state of some steps ago; see `guard`."""

    model: torch.nn.Module
    run_loss: object
    optimizer: torch.optim.Optimizer
    step: object = None
    every: int = 1  # steps between two snapshots; set by their cost
    reports: list[Report] = field(default_factory=list)
    snapshots: deque = field(default_factory=lambda: deque(maxlen=2))
    losses: deque = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    steps: int = 0

    def __call__(self, loader):
        """The loader's batches, with a snapshot before some of them."""
        started, since = time.perf_counter(), 0
        for batch in loader:
            if not self.snapshots or len(self.snapshots[-1].batches) >= self.every:
                now = time.perf_counter()
                self.keep()
                cost = time.perf_counter() - now
                if since:
                    step = (now - started) / since
                    self.every = min(MOST, max(1, math.ceil(cost / (SHARE * step))))
                started, since = time.perf_counter(), 0
            self.snapshots[-1].batches.append(batch)
            self.steps += 1
            since += 1
            yield batch

    def keep(self) -> None:
        """One more snapshot; the last but one is dropped."""
        self.snapshots.append(
            Snapshot(
                {name: value.clone() for name, value in self.model.state_dict().items()},
                copy.deepcopy(self.optimizer.state_dict()),
                torch.get_rng_state(),
            )
        )

    def loss(self, value):
        """Hands the loss of this step on, after a look at it."""
        number = value.item() if isinstance(value, torch.Tensor) else float(value)
        if not math.isfinite(number):
            report = self.examine()
            raise Broke(f"step {self.steps}: the loss is {number}", report)
        if self.jumps(number):
            self.losses.clear()  # one report for one jump
            report = self.examine()
            warnings.warn(
                f"step {self.steps}: the loss jumped to {number:.4g}\n{report}", stacklevel=2
            )
        self.losses.append(number)
        return value

    def jumps(self, number: float) -> bool:
        """Whether a loss lies far above all that are remembered."""
        if len(self.losses) < REMEMBERED // 2:
            return False
        high = max(self.losses)
        if number <= 2 * abs(high):
            return False  # nearly always, and in a microsecond
        low = min(self.losses)
        return number - low > JUMP * (high - low)

    def examine(self) -> Report:
        """Replays the steps since the older snapshot on a copy, and examines where they break."""
        if not self.snapshots:
            raise Unsupported(
                "the guard has seen no batch yet. Loop over g(loader):\n"
                "    g = guard(model, loss, optimizer)\n"
                "    for batch in g(loader):\n"
                "        value = g.loss(loss(model, batch))"
            )
        batches = [batch for snapshot in self.snapshots for batch in snapshot.batches]
        with random_state_kept():  # after a jump the loop goes on, with its own random numbers
            run = Run(self.model, self.run_loss, batches[-1:], self.optimizer, self.step)
            before, number = self.replay(run, batches)
        batches = [batches[number], *batches[:number], *batches[number + 1 :]]
        report = examined(
            Run(before.model, self.run_loss, batches, before.optimizer, self.step), progress=False
        )
        report.notes.append(
            f"examined as it was before step {self.steps - len(batches) + 1 + number}, with that "
            "step's batch first"
        )
        self.reports.append(report)
        return report

    def replay(self, run: Run, batches: list):
        """A copy just before the first step after which something is not finite, and its number."""
        twin = run.twin()
        load(twin, self.snapshots[0])
        torch.set_rng_state(self.snapshots[0].random)
        for number, batch in enumerate(batches):
            before = copy.deepcopy((twin.model, twin.optimizer))
            twin.own_step(batch)
            if number == len(batches) - 1 or not finite(twin.model):
                break
        twin.model, twin.optimizer = before
        return twin, number


def load(twin, snapshot: Snapshot) -> None:
    """Puts a copy into a snapshot's state."""
    twin.model.load_state_dict(snapshot.model)
    twin.optimizer.load_state_dict(copy.deepcopy(snapshot.optimizer))


def finite(model) -> bool:
    """Whether all weights are numbers."""
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


def guard(model, loss, optimizer, step=None) -> Guard:
    """Watches a training loop for what leaves no trace: the step at which it broke.

    Every few steps it keeps a copy of model and optimiser (so many that these take under 5 % of
    the time), and the batches since. When a loss is not finite it replays these on a copy, runs
    `checkup` on the state before the step that broke, and raises `Broke` with the report; when a
    loss jumps (above five times the range of the last fifty) it warns with the report, and the
    loop goes on.

        g = guard(model, loss, optimizer)
        for batch in g(loader):
            optimizer.zero_grad()
            value = g.loss(loss(model, batch))
            value.backward()
            optimizer.step()

    `loss` and `step` are those of `checkup`; the step is needed where it is not the plain one.
    """
    if not hasattr(optimizer, "state_dict"):
        raise Unsupported(f"optimizer is a {type(optimizer).__name__}, not a torch.optim optimiser")
    return Guard(model, loss, optimizer, step)
