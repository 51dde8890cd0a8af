"""One training loop for every experiment: it returns labelled curves, and divergence is a result.

It adds next to nothing to a hand-written loop: losses are kept as tensors and read once in a while,
so that no step waits for a number (``.item()``), and data in memory need no DataLoader.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
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
    token = _watcher.set(_arguments.function("callback", callback))
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
        Named functions ``f(model, inputs, targets)`` that return a number or a 1-d tensor, called
        every `every` steps after the backward pass and before the optimiser's step. They must
        leave the model as they found it.
    stop_when
        Sees the reported losses so far, shape (steps so far,), every 25 steps; True ends the run.

    Returns
    -------
    Dataset with dimension `step`, a float32 variable for each term and `reported_loss`, their sum;
    for measures the dimension `measured_step`. The scalar `diverged_at` is the first step whose
    loss is NaN or infinite, or -1; there, or where `stop_when` said so, the run ends and what is
    missing is NaN. The scalar `steps_done` counts the steps that have a loss.
    """
    _arguments.instance("batches", batches, Iterable, "a list, say, of (inputs, targets)")
    _arguments.function("loss", loss, "a function of model, inputs and targets")
    if stop_when is not None:
        _arguments.function("stop_when", stop_when, "a function of the losses so far")
    held = _parameters_to_train(model, optimizer)
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
            if not step and all(parameter.grad is None for parameter in held):
                raise ValueError("loss must depend on a parameter that the optimizer holds")
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


@dataclass
class _Record:
    """What a run has produced so far, still as tensors."""

    steps: int
    measure: Mapping[str, Measure] | None
    every: int
    names: tuple[str, ...] = ()
    terms: list[tuple[Tensor, ...]] = field(default_factory=list)  # per step: each term, their sum
    measured: dict[str, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _arguments.whole_number("steps", self.steps, 1)
        _arguments.whole_number("every", self.every, 1)
        self.measure = _arguments.mapping("measure", self.measure, "a dict of names and functions")

    def add(self, step: int, terms: Terms, total: Tensor, model: nn.Module, batch: Any) -> None:
        """Keep the losses of `step`, and the measures if it is their turn."""
        if not self.names:
            self.names = (*terms, "reported_loss")
            names = [*terms, *self.measure, *KEPT_NAMES]
            if taken := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"loss or measure {min(taken)!r}: choose a name that is free")
        if self.names != (*terms, "reported_loss"):
            raise ValueError(f"loss must return the terms {self.names[:-1]} again, not {[*terms]}")
        # Copies: a term may be a parameter, which the next step changes.
        row = (term.detach().to(total.device, copy=True) for term in (*terms.values(), total))
        self.terms.append(tuple(row))
        if self.measure and step % self.every == 0:
            with torch.random.fork_rng():  # a measure that draws must not change a run
                for name, function in self.measure.items():
                    found = _measured(name, function(model, *batch), self.measured.get(name))
                    self.measured.setdefault(name, []).append(found)

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
        if self.measured:
            coordinates["measured_step"] = np.arange(0, self.steps, self.every)
        for name, values in self.measured.items():
            column = _padded(torch.stack(values).numpy(), coordinates["measured_step"].size)
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
            accepted = "a real scalar tensor or a dict of them"
            raise TypeError(f"loss must return {accepted}, got {_shown(term)} as {name!r}")
    if not any(term.requires_grad for term in terms.values()):
        raise ValueError("loss must depend on the model's parameters; it is detached from them")
    return terms


def _measured(name: str, value: object, before: list[Tensor] | None) -> Tensor:
    """What a measure returned, as a float tensor on the CPU."""
    try:
        found = torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.ndim > 1 or found.is_complex():
        accepted = "a real number or a 1-d tensor of them"
        raise TypeError(f"measure {name!r} must return {accepted}, got {_shown(value)}")
    if before and found.shape != before[0].shape:
        shapes = f"{tuple(before[0].shape)} before, {tuple(found.shape)} now"
        raise ValueError(f"measure {name!r} must return one shape in every step, got {shapes}")
    return found.float().clone()


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
                accepted = "pairs (inputs, targets), more parts within one of the two"
                raise TypeError(f"batches must yield {accepted}, got {_shown(batch)}")
            yield batch
        if batch is None:
            raise ValueError("batches ended before the last step: give one for each step")


def _parameters_to_train(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Those of the model's parameters that the optimiser holds and that are not frozen."""
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.instance("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if found := [one for one in model.parameters() if one.requires_grad and id(one) in held]:
        return found
    raise ValueError("optimizer must hold a parameter of this model that is not frozen")
