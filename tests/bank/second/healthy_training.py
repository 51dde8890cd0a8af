"""Healthy runs: optimisers, schedules and loops that may look odd and are as meant."""

import math
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from ..runs import accuracy, stepping, supervised_run, unpacked
from . import BANK, tasks
from .nets import conv_net, mlp
from .settings import SETTINGS, usual


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "rate": 0.05, "before": 0},
    {"name": "digits_conv", "width": 12, "rate": 0.05, "before": 200, "shown": "loss"},
    {"name": "friedman", "width": 32, "rate": 0.02, "before": 450, "shown": "loss"},
    {"name": "wine", "width": 16, "rate": 0.02, "before": 60, "shown": "score", "nesterov": True},
)
def momentum(seed, name, width, rate, before, shown=None, nesterov=False):
    optimizer = partial(SGD, lr=rate, momentum=0.9, nesterov=nesterov)
    return usual(seed, name, width, optimizer).handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "width": 32, "rate": 2e-3, "before": 100, "shown": "score"},
    {"name": "ahead", "width": 16, "rate": 3e-3, "before": 0},
    {"name": "cancer", "width": 24, "rate": 1e-3, "before": 230, "shown": "loss"},
    {"name": "discs", "width": 8, "rate": 2e-3, "before": 60, "shown": "loss"},
)
def rmsprop(seed, name, width, rate, before, shown=None):
    return usual(seed, name, width, partial(RMSprop, lr=rate)).handed(before, shown)


@BANK.healthy(
    {"name": "topics", "width": 16, "decay": 0.05, "before": 0},
    {"name": "digits_conv", "width": 16, "decay": 0.1, "before": 150, "shown": "loss"},
    {"name": "waves", "width": 24, "decay": 0.01, "before": 280, "shown": "score"},
    {"name": "houses", "width": 48, "decay": 0.1, "before": 100, "shown": "loss"},
)
def adamw_with_decay(seed, name, width, decay, before, shown=None):
    optimizer = partial(AdamW, lr=4e-3, weight_decay=decay)
    return usual(seed, name, width, optimizer, step=stepping).handed(before, shown)


def warming(done: int, top: float, length: int) -> float:
    return top * min(1.0, (done + 1) / length)


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "top": 5e-3, "length": 100, "before": 0},
    {"name": "topics", "width": 16, "top": 5e-3, "length": 150, "before": 3, "shown": "loss"},
    {"name": "discs", "width": 8, "top": 5e-3, "length": 60, "before": 5, "shown": "loss"},
    {"name": "waves", "width": 16, "top": 1e-2, "length": 100, "before": 10, "shown": "score"},
)
def warm_up_just_begun(seed, name, width, top, length, before, shown=None):
    """The rate of these first steps is a hundredth of what it will be."""
    step = partial(stepping, schedule=partial(warming, top=top, length=length))
    return usual(seed, name, width, partial(Adam, lr=top), step=step).handed(before, shown)


def cosine(done: int, top: float, length: int) -> float:
    return top * 0.5 * (1 + math.cos(math.pi * min(1.0, done / length)))


@BANK.healthy(
    {"name": "digits_mlp", "width": 64, "left": 0, "shown": "loss"},
    {"name": "friedman", "width": 32, "left": 10, "shown": "loss"},
    {"name": "waves", "width": 24, "left": 5, "shown": "score"},
    {"name": "digits_conv", "width": 12, "left": 250, "shown": "score"},
)
def cosine_at_its_end(seed, name, width, left, shown):
    """Done as planned: the rate is at, or almost at, 0, and the goal is reached."""
    run = usual(seed, name, width, partial(Adam, lr=6e-3))
    step = stepping(run.loss, schedule=partial(cosine, top=6e-3, length=run.steps))
    run = replace(run, step=step)
    return run.handed(run.steps - left, shown)


@BANK.healthy(
    {"name": "ahead", "width": 16, "clip": 0.3, "before": 0},
    {"name": "topics", "width": 16, "clip": 1.0, "before": 100, "shown": "loss"},
    {"name": "waves", "width": 24, "clip": 0.5, "before": 290, "shown": "score"},
    {"name": "friedman", "width": 32, "clip": 2.0, "before": 50, "shown": "loss"},
)
def clipping_now_and_then(seed, name, width, clip, before, shown=None):
    step = partial(stepping, clip=clip)
    optimizer = partial(SGD, lr=0.1, momentum=0.9) if name == "ahead" else partial(Adam, lr=5e-3)
    return usual(seed, name, width, optimizer, step=step).handed(before, shown)


def accumulating(loss, parts: int):
    """The gradients of `parts` smaller batches add up to one step; zeroed after it."""

    def step(model, optimizer, batch):
        values = 0.0
        for small in zip(*(t.chunk(parts) for t in unpacked(batch)), strict=True):
            value = loss(model, small) / parts
            value.backward()
            values += value.item()
        optimizer.step()
        optimizer.zero_grad()
        return values

    return step


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "parts": 4, "before": 0},
    {"name": "digits_conv", "width": 12, "parts": 2, "before": 250, "shown": "loss"},
    {"name": "houses", "width": 32, "parts": 8, "before": 380, "shown": "loss"},
    {"name": "waves", "width": 16, "parts": 4, "before": 50, "shown": "score"},
)
def accumulated_gradients(seed, name, width, parts, before, shown=None):
    step = partial(accumulating, parts=parts)
    return usual(seed, name, width, partial(Adam, lr=5e-3), step=step).handed(before, shown)


@BANK.healthy(
    {"name": "digits_mlp", "width": 32, "size": 4, "rate": 1e-3, "before": 0},
    {"name": "cancer", "width": 16, "size": 2, "rate": 1e-3, "before": 100, "shown": "loss"},
    {"name": "wine", "width": 16, "size": 1, "rate": 2e-3, "before": 190, "shown": "loss"},
    {"name": "friedman", "width": 32, "size": 4, "rate": 1e-3, "before": 200, "shown": "score"},
)
def tiny_batches(seed, name, width, size, rate, before, shown=None):
    """Noisy gradients and no batch statistics; three times the usual steps."""
    run = usual(seed, name, width, partial(Adam, lr=rate), size=size)
    run = replace(run, steps=3 * run.steps)
    return run.handed(before, shown)


def in_bfloat16(criterion):
    """The model under autocast, the loss in single precision."""

    def loss(model, batch):
        inputs, targets = unpacked(batch)[:2]
        with torch.autocast("cpu", torch.bfloat16):
            out = model(inputs)
        return criterion(out.float(), targets)

    return loss


@BANK.healthy(
    {"name": "digits_mlp", "width": 48, "before": 0},
    {"name": "digits_conv", "width": 12, "before": 200, "shown": "loss"},
    {"name": "houses", "width": 32, "before": 390, "shown": "loss"},
    {"name": "topics", "width": 16, "before": 60, "shown": "score"},
)
def half_precision(seed, name, width, before, shown=None):
    loss = in_bfloat16(SETTINGS[name].criterion)
    return usual(seed, name, width, partial(Adam, lr=4e-3), loss=loss).handed(before, shown)


@BANK.healthy(
    {"width": 16, "labels": 2, "before": 0},
    {"width": 24, "labels": 5, "before": 100, "shown": "loss"},
    {"width": 16, "labels": 5, "before": 280, "shown": "score"},
    {"width": 12, "labels": 2, "before": 30, "shown": "loss", "norm": "batch"},
)
def frozen_backbone(seed, width, labels, before, shown=None, norm=None):
    """Convolutions trained on ten classes and kept; a new head for the digit modulo `labels`."""
    model, (train, test) = conv_net(10, width, norm), tasks.digits(seed)
    optimizer = Adam(model.parameters(), 5e-3)
    first = supervised_run(
        (train, test), model, optimizer, F.cross_entropy, accuracy, goal=0, steps=250
    )
    first.train(first.steps)
    body = model[:-1].requires_grad_(False)
    model = nn.Sequential(body, mlp(8 * width, 32, labels))
    task = (train[0], train[1] % labels), (test[0], test[1] % labels)
    run = supervised_run(
        *(task, model, Adam(model[1].parameters(), 5e-3), F.cross_entropy, accuracy),
        goal=0.85,
        steps=300,
    )
    return run.handed(before, shown)


def mixing(loss, strength: float):
    """Mixup: convex mixtures of two examples and of their losses."""

    def step(model, optimizer, batch):
        inputs, targets = unpacked(batch)[:2]
        share = torch.distributions.Beta(strength, strength).sample().item()
        order = torch.randperm(len(inputs))
        mixed = share * inputs + (1 - share) * inputs[order]
        optimizer.zero_grad()
        value = share * loss(model, (mixed, targets))
        value = value + (1 - share) * loss(model, (mixed, targets[order]))
        value.backward()
        optimizer.step()
        return value.item()

    return step


@BANK.healthy(
    {"name": "digits_mlp", "width": 64, "strength": 0.4, "before": 0},
    {"name": "digits_conv", "width": 16, "strength": 0.2, "before": 250, "shown": "loss"},
    {"name": "wine", "width": 24, "strength": 0.4, "before": 60, "shown": "loss"},
    {"name": "digits_mlp", "width": 48, "strength": 1.0, "before": 480, "shown": "score"},
)
def mixup(seed, name, width, strength, before, shown=None):
    step = partial(mixing, strength=strength)
    return usual(seed, name, width, partial(Adam, lr=4e-3), step=step).handed(before, shown)
