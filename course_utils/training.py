"""One training loop for every experiment: it returns labelled curves, and divergence is a result.

It adds next to nothing to a hand-written loop: losses are kept as tensors and read once in a while,
so that no step waits for a number (``.item()``), and data in memory need no DataLoader.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from course_utils import _arguments

Terms = dict[str, Tensor]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor | Terms]
Measure = Callable[[nn.Module, Tensor, Tensor], Tensor | float]

CHECK_EVERY = 25  # steps between two looks at the losses: rare enough to cost nothing
KEPT_NAMES = ("reported_loss", "diverged_at", "steps_done", "step", "measured_step")
REDRAW_SECONDS = 0.3  # about three pictures a second: more would slow the training down

_watcher: ContextVar[Callable[[xr.Dataset], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watch(callback: Callable[[xr.Dataset], None]) -> Iterator[None]:
    """Let `callback` see the curves so far of every `train` in this block, as they grow.

    It is called about three times a second, and once when a run ends, be it by an interrupt.
    """
    token = _watcher.set(callback)
    try:
        yield
    finally:
        _watcher.reset(token)


def train(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    measure: Mapping[str, Measure] | None = None,
    every: int = 10,
    stop_when: Callable[[np.ndarray], bool] | None = None,
) -> xr.Dataset:
    """Train `model` for `steps` steps and return its curves.

    Parameters
    ----------
    model
        Changed in place; its train/eval mode is left as it is.
    batches
        Yields (inputs, targets). A list or a DataLoader starts again when it ends.
    loss
        ``loss(model, inputs, targets)``: a scalar, called data_loss in the result, or a dict of
        named scalars, the same ones in every step. Their sum is minimised; a term that is only to
        be reported is detached.
    measure
        Named functions ``f(model, inputs, targets)`` of a number or a 1-d tensor, called every
        `every` steps between the backward pass and the optimiser's step. They must leave the model
        as they found it.
    stop_when
        Sees the reported losses so far, shape (steps so far,), every 25 steps; True ends the run.

    Returns
    -------
    Dataset with dimension `step`, a float32 variable for each term and `reported_loss`, their sum;
    for measures the dimension `measured_step`. The scalar `diverged_at` is the first step whose
    loss is NaN or infinite, or -1; there, or where `stop_when` said so, the run ends and what is
    missing is NaN. The scalar `steps_done` counts the steps that have a loss.
    """
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.instance("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
    record = _Record(steps, measure, every)
    callback, redrawn = _watcher.get(), time.monotonic()
    stream = _endless(batches)
    try:
        for step in range(steps):
            batch = next(stream)
            terms = _terms(loss, model, batch, step)
            total = sum(terms.values())
            optimizer.zero_grad()
            total.backward()
            if step == 0:
                _check_gradients(optimizer)
            record.add(step, terms, total, model, batch)
            optimizer.step()
            if (step + 1) % CHECK_EVERY == 0 and record.finished(stop_when):
                break
            if callback and time.monotonic() - redrawn > REDRAW_SECONDS:
                callback(record.curves())
                redrawn = time.monotonic()
    finally:
        if callback and record.terms:
            callback(record.curves())
    return record.curves()


class _Record:
    """What a run has produced so far, still as tensors."""

    def __init__(self, steps: int, measure: Mapping[str, Measure] | None, every: int):
        self.steps = _arguments.whole_number("steps", steps, 1)
        self.every = _arguments.whole_number("every", every, 1)
        self.measure = measure or {}
        self.names: list[str] = []
        self.terms: list[tuple[Tensor, ...]] = []  # per step: each term, their sum
        self.measured: dict[str, list[Tensor]] = {name: [] for name in self.measure}

    def add(self, step: int, terms: Terms, total: Tensor, model: nn.Module, batch: Any) -> None:
        """Keep the losses of `step`, and the measures if it is their turn."""
        names = [*terms, "reported_loss"]
        if not self.names:
            self.names = names
            both = [*terms, *self.measure, *KEPT_NAMES]
            if taken := {name for name in both if both.count(name) > 1}:
                raise ValueError(f"loss or measure {min(taken)!r}: choose a name that is free")
        if names != self.names:
            raise ValueError(f"loss must return the terms {self.names[:-1]} again, not {[*terms]}")
        if self.measure and step % self.every == 0:
            with torch.random.fork_rng():  # a measure that draws must not change a run
                for name, function in self.measure.items():
                    _keep(self.measured[name], function(model, *batch), f"measure {name!r}")
        # Copies: a term may be a parameter, which the next step changes.
        row = (term.detach().to(total.device, copy=True) for term in (*terms.values(), total))
        self.terms.append(tuple(row))

    def reported(self, newest: int = 0) -> np.ndarray:
        """The `newest` reported losses, 0 for all, in float32 as in the curves."""
        return torch.stack([row[-1] for row in self.terms[-newest:]]).float().cpu().numpy()

    def finished(self, stop_when: Callable[[np.ndarray], bool] | None) -> bool:
        diverged = not np.isfinite(self.reported(CHECK_EVERY)).all()
        return diverged or (stop_when is not None and bool(stop_when(self.reported())))

    def curves(self) -> xr.Dataset:
        """The labelled curves so far, NaN where there is no loss."""
        done = torch.stack([torch.stack(row) for row in self.terms]).float().cpu().numpy()
        finite = np.isfinite(done[:, -1])
        steps_done = len(done) if finite.all() else int(finite.argmin())
        rows = _padded(done[:steps_done], self.steps).T.copy()
        variables = {name: ("step", row) for name, row in zip(self.names, rows, strict=True)}
        diverged_at = -1 if finite.all() else steps_done
        variables |= {"diverged_at": diverged_at, "steps_done": steps_done}
        coordinates = {"step": np.arange(self.steps)}
        if self.measure:
            coordinates["measured_step"] = np.arange(0, self.steps, self.every)
        for name, values in self.measured.items():
            column = _padded(torch.stack(values).numpy(), len(coordinates["measured_step"]))
            dimensions = ("measured_step", f"{name}_index")[: column.ndim]
            variables[name] = (dimensions, column)
            if column.ndim > 1:  # labelled, so that runs of different length can be joined
                coordinates[dimensions[1]] = np.arange(column.shape[1])
        return xr.Dataset(variables, coordinates)


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    missing = np.full((length - len(rows), *rows.shape[1:]), np.nan, dtype=np.float32)
    return np.concatenate([rows, missing])


def _terms(loss: Loss, model: nn.Module, batch: tuple[Any, Any], step: int) -> Terms:
    """What `loss` returns, as named scalars; an error of its own gets a note of where it was."""
    try:
        value = loss(model, *batch)
    except Exception as error:
        shown = "; ".join(map(_shown, (*batch, next(model.parameters()))))
        error.add_note(f"from loss at step {step}; inputs, targets and first parameter: {shown}")
        raise
    terms = value if isinstance(value, dict) and value else {"data_loss": value}
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim or term.is_complex():
            raise TypeError(
                f"loss must return a real scalar tensor or a dict of them, got {_shown(term)} as "
                f"{name!r}"
            )
    if not any(term.requires_grad for term in terms.values()):
        raise ValueError("loss must depend on the model's parameters; it is detached from them")
    return terms


def _keep(before: list[Tensor], value: object, name: str) -> None:
    """Append what a measure returned to what it `before` returned, as a float tensor on the CPU."""
    try:
        found = torch.as_tensor(value).detach().cpu()
        wrong = found.ndim > 1 or found.is_complex()
    except (TypeError, ValueError, RuntimeError):
        wrong = True
    if wrong:
        raise TypeError(
            f"{name} must return a real number or a 1-d tensor of them, got {_shown(value)}"
        )
    if before and found.shape != before[0].shape:
        raise ValueError(
            f"{name} must return one shape in every step, got {tuple(before[0].shape)} before, "
            f"{tuple(found.shape)} now"
        )
    before.append(found.float().clone())


def _shown(value: object) -> str:
    """What `value` is in a few words: the numbers of a tensor would fill the screen."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}, {value.dtype}, on {value.device}"
    count = f" of {len(value)}" if isinstance(value, tuple | list | dict) else ""
    return f"a {type(value).__name__}{count}"


def _endless(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches` over and over; an iterator that has ended cannot start again."""
    while True:
        batch = None
        for batch in batches:
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise TypeError(
                    f"batches must yield pairs (inputs, targets), more parts within one of the "
                    f"two, got {_shown(batch)}"
                )
            yield batch
        if batch is None:
            raise ValueError("batches ended before the last step: give one for each step")


def _check_gradients(optimizer: torch.optim.Optimizer) -> None:
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if all(parameter.grad is None for parameter in held):
        raise ValueError(
            "optimizer must hold a parameter of this model that is not frozen, and that the loss "
            "depends on"
        )
