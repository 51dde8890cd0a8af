"""The run under examination: what was handed over, and copies of it to try things on."""

import copy
import inspect
import types
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from . import _batches
from ._copies import (
    duplicate,
    duplicate_optimizer,
    random_state_kept,
    rebound,
    restore,
    same_bits,
    seed_everything,
)

SEED = 20  # of every copy: two copies meet the same dropout and the same new weights
NORMS = nn.modules.batchnorm._BatchNorm
RECIPE = (
    "Wrap it so that it gives one number that can be differentiated:\n"
    "    def loss(model, batch):\n"
    "        inputs, targets = batch\n"
    "        return criterion(model(inputs), targets)"
)


class Unsupported(TypeError):
    """What was handed over cannot be examined; the message says how to wrap it."""


def with_two_arguments(loss, batch):
    """The loss as `loss(model, batch)`, whatever it was written as."""
    if isinstance(loss, nn.modules.loss._Loss):
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            raise Unsupported(f"{type(loss).__name__} needs pairs of inputs and targets. {RECIPE}")
        return lambda model, pair: loss(model(pair[0]), pair[1])
    if not callable(loss):
        raise Unsupported(f"loss is a {type(loss).__name__}, not a function. {RECIPE}")
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        return loss
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    if len(needed) <= 2:
        return loss
    if isinstance(batch, Mapping) or len(batch) != len(needed) - 1:
        raise Unsupported(
            f"loss takes {len(needed)} arguments, model included, and a batch is a "
            f"{type(batch).__name__} of {len(batch)}. {RECIPE}"
        )
    return lambda model, parts: loss(model, *parts)


def one_number(value) -> torch.Tensor:
    """The loss out of what a loss function returned: a number, or the first of several."""
    if isinstance(value, list | tuple) and value:
        value = value[0]
    value = value["loss"] if isinstance(value, Mapping) and "loss" in value else value
    value = getattr(value, "loss", value)
    if not isinstance(value, torch.Tensor):
        raise Unsupported(f"loss returned a {type(value).__name__}, not a tensor. {RECIPE}")
    if value.numel() != 1:
        raise Unsupported(f"loss returned {tuple(value.shape)} numbers, not one. {RECIPE}")
    return value.reshape(())


@dataclass
class Twin:
    """A copy of the run: nothing that is done to it reaches the original."""

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    _loss: object
    _step: object

    def loss(self, batch) -> torch.Tensor:
        """The run's own loss of a batch, one number."""
        return one_number(self._loss(self.model, batch))

    def answer_with(self, output) -> None:
        """From now on the model gives this, whatever it is given."""
        self.model.forward = types.MethodType(lambda model, *args, **kwargs: output, self.model)

    def own_step(self, batch) -> None:
        """The run's own training step, or the plain one with its optimiser."""
        if self._step is not None:
            self._step(self.model, self.optimizer, batch)
        else:
            self.plain_step(batch, self.optimizer)

    def plain_step(self, batch, optimizer) -> None:
        """Clear, forward, backward, step: the loop that every tutorial shows."""
        optimizer.zero_grad()
        loss = self.loss(batch)
        if loss.requires_grad:
            loss.backward()
            optimizer.step()

    @contextmanager
    def settled(self, statistics: str = "batch"):
        """No dropout; BatchNorm by the batch's own statistics, or by its "running" ones."""
        modes = [(module, module.training) for module in self.model.modules()]
        norms = [module for module, _ in modes if isinstance(module, NORMS)]
        kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
        self.model.eval()
        for norm in norms if statistics == "batch" else ():
            norm.training, norm.momentum = True, 0.0
            norm.num_batches_tracked = copy.copy(norm.num_batches_tracked)
        try:
            with torch.no_grad():
                yield
        finally:
            for module, mode in modes:
                module.training = mode
            for norm, (momentum, tracked) in zip(norms, kept, strict=True):
                norm.momentum = momentum
                norm.num_batches_tracked = tracked

    def mean_loss(self, batches, statistics: str = "batch") -> float:
        """Mean loss of the batches, weighted by their examples, without dropout."""
        total = weight = 0.0
        for batch in batches:
            size = max(_batches.examples(batch), 1)
            total += size * self.one_loss(batch, statistics if size > 1 else "running")
            weight += size
        return total / weight

    def one_loss(self, batch, statistics: str) -> float:
        """One batch's loss as `settled` has it; in training mode where eval() gives an error."""
        seed_everything(SEED)
        try:
            with self.settled(statistics):
                return float(self.loss(batch))
        except Exception:
            with torch.no_grad():
                return float(self.loss(batch))


class Run:
    """What was handed over, kept as it was, and the source of copies."""

    def __init__(self, model, loss, batches, optimizer=None, step=None, shown=None):
        if not isinstance(model, nn.Module):
            raise Unsupported(
                f"model is a {type(model).__name__}, not a torch.nn.Module. Wrap it:\n"
                "    class Model(torch.nn.Module):\n"
                "        def forward(self, inputs):\n"
                "            return ..."
            )
        if optimizer is not None and not hasattr(optimizer, "param_groups"):
            raise Unsupported(
                f"optimizer is a {type(optimizer).__name__} without param_groups; hand over the "
                "torch.optim optimiser, or none and only a step"
            )
        if isinstance(optimizer, torch.optim.LBFGS) and step is None:
            raise Unsupported(
                "LBFGS needs a closure, so checkup cannot take its step. Hand over yours:\n"
                "    def step(model, optimizer, batch):\n"
                "        optimizer.step(lambda: ...)\n"
                "    checkup(model, loss, batches, optimizer, step=step)"
            )
        if step is not None and not callable(step):
            raise Unsupported(
                f"step is a {type(step).__name__}, not a function step(model, optimizer, batch)"
            )
        self.shown = None if shown is None else float(shown)
        with random_state_kept():  # a loader that shuffles draws from it
            self.batches, self.note = _batches.gather(batches)
            listed = isinstance(batches, list | tuple)  # in memory: looked through, not learnt from
            self.beyond = list(batches[len(self.batches) :]) if listed else []
            self.look(model, loss, optimizer, step)

    def look(self, model, loss, optimizer, step) -> None:
        """Keeps what is needed to put the original back, should anything reach it."""
        self.loss = with_two_arguments(loss, self.batches[0])
        self.model, self.optimizer, self.step = model, optimizer, step
        self.gradients = [copy.copy(p.grad) for p in model.parameters()]
        self.gradients = [None if g is None else g.clone() for g in self.gradients]
        self.kept = self.twin()
        self.has_taken_steps = optimizer is not None and any(optimizer.state.values())

    def twin(self, fresh: bool = False, draw: int = 1) -> Twin:
        """A copy as the run stands; `fresh` draws trainable weights anew and forgets momenta."""
        memo = results_kept(self.model)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = copy.deepcopy(self.model, memo)
        except Exception as error:
            raise Unsupported(
                f"the model cannot be copied ({type(error).__name__}: {str(error)[:90]}). Build "
                "it anew and load its weights:\n    twin = Model(...)\n"
                "    twin.load_state_dict(model.state_dict())\n    checkup(twin, ...)"
            ) from error
        optimizer = duplicate_optimizer(self.optimizer, memo)
        twin = Twin(model, optimizer, rebound(self.loss, memo), duplicate(self.step, memo))
        if fresh:
            draw_anew(twin, draw)
        seed_everything(SEED)
        return twin

    def put_back(self) -> bool:
        """Restores the original, should a closure have reached it; whether it had to."""
        moved = restore(self.model, self.optimizer, self.kept.model, self.kept.optimizer)
        for parameter, gradient in zip(self.model.parameters(), self.gradients, strict=True):
            if (parameter.grad is None) != (gradient is None) or (
                gradient is not None and not same_bits(parameter.grad, gradient)
            ):
                moved, parameter.grad = True, gradient
        return moved


def results_kept(model) -> dict:
    """Results of a pass that modules keep as attributes, for deepcopy, which refuses them."""
    memo = {}
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return memo


def draw_anew(twin: Twin, draw: int) -> None:
    """New weights wherever a module knows how to draw them and is not frozen."""
    seed_everything(SEED + draw)
    for module in twin.model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            continue
        reset = getattr(module, "reset_parameters", None) or getattr(
            module, "_reset_parameters", None
        )
        if callable(reset):
            with torch.no_grad():
                reset()
    if twin.optimizer is not None:
        twin.optimizer.state.clear()
