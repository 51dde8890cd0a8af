"""One training loop for every experiment: it returns labelled curves, and divergence is a result.

The loop adds next to nothing to a hand-written one: losses are kept as tensors and read once in a
while, so that no step waits for a number to be copied out (``.item()``), and there is no
DataLoader between data in memory and the model.
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

MOST_STEPS = 10_000_000  # their losses are kept in memory
CHECK_EVERY = 25  # steps between two looks at the losses: rare enough to cost nothing
KEPT_NAMES = ("reported_loss", "diverged_at", "steps_done", "step", "measured_step")
REDRAW_SECONDS = 0.3  # about three pictures a second: more would slow the training down

_watcher: ContextVar[Callable[[xr.Dataset], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watch(callback: Callable[[xr.Dataset], None]) -> Iterator[None]:
    """Let `callback` see the curves so far of every `train` in this block, as they grow.

    It is called about three times a second, and once when a run ends, be it by an interrupt.
    """
    _arguments.function("callback", callback, "a function of the curves so far")
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
    _arguments.instance("model", model, nn.Module, "a torch.nn.Module")
    _arguments.instance("batches", batches, Iterable, "a list, say, of (inputs, targets)")
    _check_arguments(loss, optimizer, steps, measure, every)
    if stop_when is not None:
        _arguments.function("stop_when", stop_when, "a function of the losses so far")
    record = _Record(steps, dict(measure or {}), every)
    callback, redrawn = _watcher.get(), time.monotonic()
    stream = _endless(batches)
    try:
        for step in range(steps):
            batch = _pair(next(stream))
            try:
                value = loss(model, *batch)
            except Exception as error:
                raise _noted(error, step, model, batch) from error.__cause__
            terms = _terms(value)
            total = sum(terms.values())
            if not total.requires_grad:
                raise ValueError("loss must depend on the model's parameters; its sum has no graph")
            optimizer.zero_grad()
            total.backward()
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
    measure: dict[str, Measure]
    every: int
    names: tuple[str, ...] = ()
    terms: list[tuple[Tensor, ...]] = field(default_factory=list)  # per step: each term, their sum
    measured: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(
        self, step: int, terms: Terms, total: Tensor, model: nn.Module, batch: tuple[Tensor, ...]
    ) -> None:
        """Keep the losses of `step`, and the measures if it is their turn."""
        names = (*terms, "reported_loss")
        if names != (self.names or names):
            raise ValueError(f"loss must return the same terms as before, {self.names}: {names}")
        self.names = names
        self.terms.append((*(term.detach() for term in terms.values()), total.detach()))
        if self.measure and step % self.every == 0:
            with torch.random.fork_rng():  # a measure that draws must not change a run
                for name, function in self.measure.items():
                    if name in names:
                        raise ValueError(f"measure {name!r} has the name of a loss: rename it")
                    value = _measured(name, function(model, *batch))
                    self.measured.setdefault(name, []).append(value)

    def reported(self) -> np.ndarray:
        """Reported losses so far, shape (steps so far,)."""
        return torch.stack([row[-1] for row in self.terms]).cpu().numpy()

    def finished(self, stop_when: Callable[[np.ndarray], bool] | None) -> bool:
        newest = torch.stack([row[-1] for row in self.terms[-CHECK_EVERY:]])
        if not bool(torch.isfinite(newest).all()):
            return True
        return stop_when is not None and bool(stop_when(self.reported()))

    def curves(self) -> xr.Dataset:
        """The labelled curves so far, NaN where there is no loss."""
        values = np.full((len(self.names), self.steps), np.nan, dtype=np.float32)
        done = torch.stack([torch.stack(row) for row in self.terms]).float().cpu().numpy().T
        broken = np.flatnonzero(~np.isfinite(done[-1]))
        diverged_at = int(broken[0]) if broken.size else -1
        steps_done = diverged_at if broken.size else done.shape[1]
        values[:, :steps_done] = done[:, :steps_done]
        variables = {name: ("step", row) for name, row in zip(self.names, values, strict=True)}
        variables |= {"diverged_at": diverged_at, "steps_done": steps_done}
        coordinates = {"step": np.arange(self.steps)}
        if self.measured:
            coordinates["measured_step"] = np.arange(0, self.steps, self.every)
        for name in self.measured:
            dimensions, column = self._column(name)
            variables[name] = (dimensions, column)
            if column.ndim > 1:  # labelled, so that runs of different length can be joined
                coordinates[dimensions[1]] = np.arange(column.shape[1])
        return xr.Dataset(variables, coordinates)

    def _column(self, name: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Dimensions and values of one measure, NaN where it was not taken."""
        rows = torch.stack(self.measured[name]).numpy()
        planned = len(range(0, self.steps, self.every))
        full = np.full((planned, *rows.shape[1:]), np.nan, dtype=np.float32)
        full[: len(rows)] = rows
        return ("measured_step", f"{name}_index")[: full.ndim], full


def _terms(value: Tensor | Terms) -> Terms:
    """What `loss` returned, as named scalars."""
    terms = {"data_loss": value} if isinstance(value, Tensor) else value
    if not isinstance(terms, dict) or not terms:
        raise TypeError(f"loss must return a scalar tensor or a dict of them, got {value!r}")
    for name, term in terms.items():
        if name in KEPT_NAMES:
            raise ValueError(f"loss term {name!r}: the result uses that name; choose another one")
        if not isinstance(term, Tensor) or term.ndim:
            shape = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise ValueError(f"loss term {name!r} must be a scalar tensor, got {shape}")
    return terms


def _measured(name: str, value: object) -> Tensor:
    """What a measure returned, as a float tensor on the CPU."""
    try:
        value = torch.as_tensor(value).detach().float().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"measure {name!r} must return a number or a 1-d tensor, got {value!r:.80}"
        ) from None
    if value.ndim > 1:
        raise ValueError(
            f"measure {name!r} must return a number or a 1-d tensor, got shape {tuple(value.shape)}"
        )
    return value


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    """What `batches` yielded, if that is two things."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"batches must yield pairs (inputs, targets), got {batch!r:.80}")
    return batch


def _noted(error: Exception, step: int, model: nn.Module, batch: tuple[Any, Any]) -> Exception:
    """The error of a loss, with a note that says where it came from."""
    inputs, targets = (
        f"{part.dtype} {tuple(part.shape)} on {part.device}"
        if isinstance(part, Tensor)
        else f"a {type(part).__name__}"
        for part in batch
    )
    devices = sorted({str(parameter.device) for parameter in model.parameters()})
    error.add_note(
        f"raised by loss(model, inputs, targets) at step {step}; inputs: {inputs}; "
        f"targets: {targets}; the model is on {', '.join(devices) or 'no device'}"
    )
    return error


def _endless(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches` over and over; an iterator that has ended cannot start again."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError("batches ended before the last step: give one for each step")


def _check_arguments(loss, optimizer, steps, measure, every) -> None:
    if not callable(loss):
        raise TypeError(f"loss must be a function of model, inputs and targets, got {loss!r}")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {optimizer!r}")
    _arguments.whole_number("steps", steps, 1, MOST_STEPS)
    _arguments.whole_number("every", every, 1)
    if not isinstance(measure or {}, Mapping):
        raise TypeError(f"measure must be a dict of names and functions, got {measure!r}")
    for name, function in (measure or {}).items():
        if not callable(function):
            raise TypeError(
                f"measure {name!r} must be a function of model, inputs and targets, "
                f"got {function!r}"
            )
        if name in KEPT_NAMES:
            raise ValueError(f"measure {name!r}: the result uses that name; choose another one")
