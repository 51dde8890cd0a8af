"""One contestant of the benchmark in a process of its own: how it trains, and how long it took.

    python tools/bench_contestants.py sweep depths --seeds 0-4 [--steps 20] [--values 1]

The last line printed is JSON. What is timed is everything from making the data to the last loss,
the start of worker processes and their imports included; this process's own imports and a run of
three steps before it are not.

What the rivals are spared: they keep the losses and the batch's error, which they take from the
outputs that they have anyway, and evaluate in one go; the probes of notebook 02, which no
tutorial has, are left out (`sweep` takes them); and all steps are one long epoch.
"""

import argparse
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from bench_experiments import WORKLOADS, Problem, Workload, ends, ends_of_runs, make_workload, wrong
from bench_measuring import cpu_seconds
from torch.utils.data import DataLoader, TensorDataset

from course_utils import _vision as vision  # noqa: F401  Lightning imports torchvision, which may need it
from course_utils._environment import parse_seeds
from course_utils.datasets import batches
from course_utils.sweeps import sweep
from course_utils.training import train

PEERS = {"lightning": "pytorch_lightning", "skorch": "skorch"}
WARM_UP = 3  # steps: what torch sets up at its first step is nobody's time


def loader(problem: Problem) -> DataLoader:
    """A DataLoader over all steps of a run, in the order that every contestant trains in."""
    order = problem.order().tolist()
    return DataLoader(TensorDataset(*problem.known), problem.batch, sampler=order)


def tutorial(problem: Problem) -> list[float]:
    """The loop of a hundred tutorials."""
    model, optimizer = problem.model, problem.optimizer
    losses, data_losses, errors = [], [], []
    for step, (inputs, targets) in enumerate(loader(problem)):
        optimizer.zero_grad()
        outputs = model(inputs)
        data = loss = problem.criterion(outputs, targets)
        if problem.penalty is not None:
            loss = data + problem.penalty(model)
            data_losses.append(data.item())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if problem.new is not None and step % 10 == 0:
            errors.append(wrong(outputs, targets).item())
    problem.errors()
    return losses


def bare(problem: Problem) -> list[float]:
    """The floor: nothing but the steps, and the losses left where they are."""
    (inputs, targets), optimizer, losses = problem.known, problem.optimizer, []
    for chosen in problem.order().split(problem.batch):
        loss = problem.loss(inputs[chosen], targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def course_loop(problem: Problem, **measuring) -> list[float]:
    """The course's `train`, alone."""

    def loss(model, inputs, targets):
        data = problem.criterion(model(inputs), targets)
        if problem.penalty is None:
            return data
        return {"data_loss": data, "penalty": problem.penalty(model)}

    drawn = batches(problem.known, problem.batch, problem.steps, problem.seed)
    curves = train(problem.model, drawn, loss, problem.optimizer, problem.steps, **measuring)
    return curves["reported_loss"].values.tolist()


def course_loop_measuring(problem: Problem) -> list[float]:
    """The same, with the measures that the experiment takes."""

    @torch.no_grad()
    def error(model, inputs, targets):
        return wrong(model(inputs), targets)

    measure = {} if problem.new is None else {"batch_error": error}
    losses = course_loop(problem, measure=measure, every=10)
    problem.errors()
    return losses


def peer(name: str) -> Callable[[Problem], list[float]]:
    """The loop of another library, imported now."""
    module = importlib.import_module(f"bench_{name}")
    return lambda problem: module.loop(problem, loader(problem))


# One run after the other, each with its loop and its threads (None: as many as torch takes).
LOOPS = {
    "tutorial": (lambda: tutorial, None),
    "tutorial_one_thread": (lambda: tutorial, 1),
    "lightning": (lambda: peer("lightning"), None),
    "skorch": (lambda: peer("skorch"), None),
    "bare": (lambda: bare, 1),
    "train": (lambda: course_loop, 1),
    "train_measuring": (lambda: course_loop_measuring, 1),
}
CONTESTANTS = ("tutorial", "tutorial_one_thread", "lightning", "skorch", "sweep", "bare", "train",
               "train_measuring")  # fmt: skip


def prepared(name: str, workload: Workload, seeds: list[int]) -> Callable[[], list]:
    """A function that trains everything, imports and warm-up done: (early, final) of each run."""
    make_loop, threads = LOOPS.get(name, LOOPS["train"])
    loop = make_loop()
    if threads:
        torch.set_num_threads(threads)
    points = workload.points()
    loop(replace(workload.problem(0, **points[0]), steps=WARM_UP))
    if name == "sweep":
        return lambda: ends_of_runs(sweep(workload.experiment, workload.grid, seeds), workload)

    def one_after_the_other() -> list:
        found = []
        for point, seed in itertools.product(points, seeds):
            torch.manual_seed(seed)
            found.append(ends(loop(workload.problem(seed, **point)), workload.last))
        return found

    return one_after_the_other


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--seeds", type=parse_seeds, required=True)
    parser.add_argument("--steps", type=int, help="instead of the notebook's")
    parser.add_argument("--values", type=int, help="of each setting, instead of all")
    options = parser.parse_args(arguments)
    workload = make_workload(options.workload, options.steps, options.values)
    run = prepared(options.contestant, workload, options.seeds)
    cpu, started = cpu_seconds(), time.perf_counter()
    found = run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds() - cpu, "ends": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
