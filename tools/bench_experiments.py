"""What the benchmark trains: the depth and the width sweep of two notebooks, without their loop.

The definitions are the notebooks' own, so the benchmark cannot drift away from the course.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from definitions import definitions
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
EARLY = 10  # steps: too few for rounding to grow, enough for another start or order to show


def defined(beginning: str, **changed: Any) -> dict[str, Any]:
    """What the notebook whose name begins so defines (imports, constants, functions, classes).

    Nothing else of it is run. `changed` replaces constants before anything uses them.
    """
    (path,) = (ROOT / "notebooks").glob(f"{beginning}*.ipynb")
    # No module of this name can be imported, so a worker gets the functions by value, as from a
    # notebook.
    namespace: dict[str, Any] = {"__name__": f"of_{path.stem}", **changed}
    for text in definitions(path):
        exec(compile(text, path.name, "exec"), namespace)
        namespace.update(changed)
    return namespace


@dataclass
class Problem:
    """One run, all but its loop.

    known, new : (inputs, targets) to train on and to test on; `new` is None where the experiment
        measures no errors
    criterion : ``criterion(outputs, targets)``, the data loss
    penalty : ``penalty(model)``, added to the data loss, or None
    batch, steps : examples in a step, and how many steps
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    known: tuple[Tensor, Tensor]
    new: tuple[Tensor, Tensor] | None
    criterion: Callable[[Tensor, Tensor], Tensor]
    penalty: Callable[[nn.Module], Tensor] | None
    batch: int
    steps: int
    seed: int

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """What is minimised, a scalar."""
        data = self.criterion(self.model(inputs), targets)
        return data if self.penalty is None else data + self.penalty(self.model)

    def order(self) -> Tensor:
        """Indices of the examples of all steps, (steps * batch,), as `datasets.batches` draws."""
        generator = torch.Generator().manual_seed(self.seed)
        examples = len(self.known[0])
        used = examples - examples % self.batch  # the rest of an epoch is dropped
        epochs = -(-self.steps * self.batch // used)
        drawn = [torch.randperm(examples, generator=generator)[:used] for _ in range(epochs)]
        return torch.cat(drawn)[: self.steps * self.batch]

    def errors(self) -> list[float]:
        """Training and test error at the end, %, where the experiment takes them."""
        if self.new is None:
            return []
        with torch.no_grad():
            return [wrong(self.model(x), y).item() for x, y in (self.known, self.new)]


def wrong(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of wrong answers, %, a scalar."""
    return 100 * (outputs.argmax(1) != targets).float().mean()


@dataclass
class Workload:
    """A sweep of the course.

    name : of its stored result
    last : steps at the end whose mean is the final loss
    loss : the variable that holds it
    experiment : the notebook's own function
    problem : ``problem(seed, <settings>)``, the same run without its loop
    """

    name: str
    grid: dict[str, list]
    last: int
    loss: str
    experiment: Callable[..., xr.Dataset]
    problem: Callable[..., Problem]

    def points(self) -> list[dict[str, Any]]:
        """Every combination of settings, in the order of the grid."""
        products = itertools.product(*self.grid.values())
        return [dict(zip(self.grid, values, strict=True)) for values in products]


def depths(**changed: Any) -> Workload:
    """Notebook 02: networks of 4 to 48 layers, plain and residual, on digits."""
    nb = defined("02", **changed)

    def problem(seed: int, depth: int, kind: str) -> Problem:
        model = nb["make_net"](depth=depth, skip={"plain": None, "residual": "identity"}[kind])
        optimizer = nb["make_optimizer"](model, "SGD", nb["RATE"])
        criterion = nn.functional.cross_entropy
        known, new = nb["digits_of"](seed)
        return Problem(
            model, optimizer, known, new, criterion, None, nb["BATCH"], nb["STEPS"], seed
        )

    grid = {"depth": nb["DEPTHS"], "kind": ["plain", "residual"]}
    return Workload("02_depths", grid, 30, "data_loss", nb["deeper"], problem)


def widths(**changed: Any) -> Workload:
    """Notebook 01: convolutions of 4 to 32 channels under an L2 penalty, on volumes."""
    nb = defined("01", **changed)

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.float())

    def penalty(model: nn.Module) -> Tensor:
        return nb["penalty"](model, nb["STRENGTH"], "in the loss")

    def problem(seed: int, width: int) -> Problem:
        model = nb["make_model"](width)
        optimizer = torch.optim.SGD(model.parameters(), nb["RATE"], momentum=0.9, fused=True)
        known = nb["volumes"](seed)[:2]
        return Problem(
            model, optimizer, known, None, criterion, penalty, nb["BATCH"], nb["STEPS"], seed
        )

    grid = {"width": nb["WIDTHS"]}
    return Workload("01_widths", grid, 20, "reported_loss", nb["experiment"], problem)


WORKLOADS = {"depths": depths, "widths": widths}


def make_workload(name: str, steps: int | None = None, values: int | None = None) -> Workload:
    """One of `WORKLOADS`; with other `steps`, or the first `values` of each setting only."""
    workload = WORKLOADS[name](**({"STEPS": steps} if steps else {}))
    workload.grid = {key: listed[:values] for key, listed in workload.grid.items()}
    return workload


def ends(losses: list[float], last: int) -> tuple[float, float]:
    """Mean loss of the first steps and of the last ones."""
    early, final = losses[:EARLY], losses[-last:]
    return sum(early) / len(early), sum(final) / len(final)


def ends_of_runs(runs: xr.Dataset, workload: Workload) -> list[tuple[float, float]]:
    """The same of each run of a sweep, or of a stored one, seeds in the innermost loop."""
    losses = runs[workload.loss].transpose(*workload.grid, "seed", "step")
    window = int(2 * losses["step"][0]) + 1  # steps in a value: 10 where means of 10 are stored
    early = losses.isel(step=slice(EARLY // window)).mean("step")
    final = losses.isel(step=slice(-(workload.last // window), None)).mean("step")
    pairs = zip(early.values.ravel(), final.values.ravel(), strict=True)
    return [(float(a), float(b)) for a, b in pairs]
