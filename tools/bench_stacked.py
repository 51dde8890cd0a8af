"""The depth sweep's limit: all seeds of a setting as one network, in batched matrix products.

It takes less time than the sweep (README has the figures), yet the course does not train so: the
last digits of a run would depend on the runs beside it, and a reader, who trains one seed, would
miss the store's.
"""

from typing import Any

import joblib
import torch
from bench_experiments import Problem, Workload, ends, wrong
from torch import Tensor, nn
from torch.nn import functional as F


def stacked(models: list[nn.Module]) -> nn.Module:
    """Notebook 02's stacks of several seeds as one: (seeds, batch, 64) to (seeds, batch, classes).

    Inside, activations are (seeds, width, batch): so the channels of all seeds stand side by side
    for the batch norm, as they lie in memory.
    """
    first = models[0]

    def together(of_one) -> nn.Parameter:
        return nn.Parameter(torch.stack([of_one(model).detach() for model in models], dim=-3))

    class Stacked(type(first)):
        def __init__(self):
            nn.Module.__init__(self)
            self.weights = together(lambda model: model.weights.mT)  # (depth, seeds, width, width)
            self.scales = together(lambda model: model.scales[:, None])
            self.shifts = together(lambda model: model.shifts[:, None])
            self.stems = together(lambda model: model.stem.weight)
            self.heads = together(lambda model: model.head.weight)
            self.biases = together(lambda model: model.head.bias[:, None])
            self.paths, self.slope, self.norm = first.paths, first.slope, first.norm

        def stem(self, x: Tensor) -> Tensor:
            return self.stems @ x.mT

        def block(self, h: Tensor, first, second, around: Tensor | float = 0.0) -> Tensor:
            (matrix_1, *norm_1), (matrix_2, *norm_2) = first, second
            z = self.rectified(self.normed(matrix_1 @ h, *norm_1))
            return self.rectified(self.normed(matrix_2 @ z, *norm_2) + around)

        def head(self, h: Tensor) -> Tensor:
            return torch.baddbmm(self.biases, self.heads, h).mT

        def normed(self, z: Tensor, scale: Tensor | None = None, shift: Tensor | None = None):
            side = z.view(1, -1, z.shape[-1])  # each channel is normalised alone, whosever it is
            affine = [part if part is None else part.flatten() for part in (scale, shift)]
            return F.batch_norm(side, None, None, *affine, training=True).view_as(z)

    return Stacked()


def loop(problems: list[Problem]) -> list[list[float]]:
    """Losses of all steps, for each of the runs that are trained together."""
    first, seeds = problems[0], len(problems)
    model = stacked([problem.model for problem in problems])
    optimizer = type(first.optimizer)(model.parameters(), **first.optimizer.defaults)
    orders = [problem.order().split(problem.batch) for problem in problems]
    losses = []
    for step, chosen in enumerate(zip(*orders, strict=True)):
        parts = zip(problems, chosen, strict=True)
        examples = [[part[rows] for part in problem.known] for problem, rows in parts]
        inputs, targets = (torch.stack(part) for part in zip(*examples, strict=True))
        outputs = model(inputs)
        each = first.criterion(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        each = each.view(seeds, -1).mean(1)
        optimizer.zero_grad()
        each.sum().backward()  # a sum: every run has the gradient that it has alone
        optimizer.step()
        losses.append(each.detach())
        if step % 10 == 0:
            _errors(outputs, targets)
    with torch.no_grad():
        for part in ("known", "new"):
            inputs, targets = map(
                torch.stack, zip(*(getattr(p, part) for p in problems), strict=True)
            )
            _errors(model(inputs), targets)
    return torch.stack(losses, 1).tolist()


def _errors(outputs: Tensor, targets: Tensor) -> list[float]:
    return [wrong(*one).item() for one in zip(outputs.detach(), targets, strict=True)]


def setting(workload: Workload, point: dict[str, Any], seeds: list[int]) -> list:
    """(early, final) of each seed of one setting, on one thread."""
    torch.set_num_threads(1)
    problems = []
    for seed in seeds:
        torch.manual_seed(seed)
        problems.append(workload.problem(seed, **point))
    return [ends(losses, workload.last) for losses in loop(problems)]


def sweep(workload: Workload, seeds: list[int]) -> list:
    """(early, final) of each run, seeds in the innermost loop; one process a core."""
    points = workload.points()
    jobs = [joblib.delayed(setting)(workload, point, seeds) for point in points]
    # The deepest first, so that no core waits for it at the end.
    found = joblib.Parallel(joblib.cpu_count())(jobs[::-1])[::-1]
    return [one for of_setting in found for one in of_setting]
