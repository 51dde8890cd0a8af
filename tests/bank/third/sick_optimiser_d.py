"""Sick runs, one fault each: rate, optimiser, loop, evaluation."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.nn.utils import clip_grad_value_
from torch.optim import SGD, Adadelta, Adam, AdamW, RMSprop

from ..runs import stepping
from . import BANK
from . import tasks_d as tasks
from .nets_d import (
    Forecast,
    Net,
    PointNet,
    Reader,
    SetTransformer,
    classed,
    convs,
    segmenter,
    valued,
    yes_no,
)


@BANK.sick("loop", "too_few_steps")
def letters_after_one_epoch(seed, has):
    model = Reader(16, 24, 4, cell=nn.GRU)
    optimizer = Adam(model.parameters(), 1e-2)
    run = classed(tasks.names(), model, optimizer, goal=0.9, steps=0, size=64)
    return run.after(18 if "too_few_steps" in has else 360, "loss")


@BANK.sick("loop", "too_few_steps")
def break_within_the_loop(seed, has):
    """A `break`, left from a trial, ends the first epoch after eight batches."""
    model = segmenter()
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9)
    more = {"goal": 0.93, "size": 20, "keys": ("image", "map")}
    run = classed(tasks.scenes(), model, optimizer, steps=0, **more)
    return run.after(8 if "too_few_steps" in has else 300, "score")


@BANK.sick("optimiser", "rate_too_high")
def transformer_with_adam_at_three_tenths(seed, has):
    model = SetTransformer()
    optimizer = Adam(model.parameters(), 0.3 if "rate_too_high" in has else 3e-3)
    run = classed(tasks.clouds(), model, optimizer, goal=0.9, steps=250, step=stepping)
    return run.handed(80, "loss")


@BANK.sick("optimiser", "rate_too_high")
def regression_thrown_out_by_momentum(seed, has):
    model = Net(8, 64, 2, 1)
    rate = 2.0 if "rate_too_high" in has else 0.01
    optimizer = SGD(model.parameters(), rate, momentum=0.9, nesterov=True)
    run = valued(tasks.strength(), model, optimizer, goal=0.8, steps=500, size=50)
    return run.handed(0)


@BANK.sick("optimiser", "rate_too_high")
def rmsprop_with_a_rate_of_sgd(seed, has):
    model = convs(1, 16, 32, 32, classes=5)
    optimizer = RMSprop(model.parameters(), 0.1 if "rate_too_high" in has else 2e-3)
    run = classed(tasks.glyphs(), model, optimizer, goal=0.88, steps=400)
    return run.handed(400, "score")


@BANK.sick("optimiser", "rate_too_low")
def adadelta_with_the_rate_of_adam(seed, has):
    """Adadelta's rate is 1 by its authors; 0.001 is what another library calls the default."""
    model = PointNet()
    optimizer = Adadelta(model.parameters(), 1e-3 if "rate_too_low" in has else 1.0)
    run = classed(tasks.clouds(), model, optimizer, goal=0.85, steps=400)
    return run.handed(150, "loss")


@BANK.sick("optimiser", "rate_too_low")
def adam_at_a_millionth(seed, has):
    model = Reader(36, 24, 1, cell=nn.GRU)
    optimizer = Adam(model.parameters(), 1e-6 if "rate_too_low" in has else 5e-3)
    task, keys = tasks.reviews(), ("input_ids", "label")
    run = yes_no(task, model, optimizer, goal=0.85, steps=400, keys=keys)
    return run.handed(400, "loss")


@BANK.sick("loop", "schedule_to_zero", also=("rate_too_low",))
def rate_halved_by_the_batch(seed, has):
    """Halved every second epoch, it was to be; the scheduler is called after each batch."""
    model = Net(2, 32, 1, 3)
    every = 2 if "schedule_to_zero" in has else 56
    optimizer = Adam(model.parameters(), 2e-2)
    step = partial(stepping, schedule=lambda done: 2e-2 * 0.5 ** (done // every))
    run = classed(tasks.spirals(), model, optimizer, goal=0.9, steps=400, step=step)
    return run.handed(60, "loss")


@BANK.sick("optimiser", "adam_epsilon", also=("rate_too_low",))
def epsilon_from_another_library(seed, has):
    """The mean over all pixels has small gradients: a tenth is far above them."""
    model = segmenter()
    optimizer = AdamW(model.parameters(), 1e-3, eps=0.1 if "adam_epsilon" in has else 1e-8)
    run = classed(tasks.scenes(), model, optimizer, goal=0.93, steps=300, size=20)
    return run.handed(100, "loss")


@BANK.sick("optimiser", "weight_decay")
def momentum_given_as_weight_decay(seed, has):
    """`SGD(parameters, 0.05, 0, 0, 0.9)`: the fifth is not momentum."""
    model = PointNet()
    faulty = "weight_decay" in has
    optimizer = SGD(model.parameters(), 0.05, 0 if faulty else 0.9, 0, 0.9 if faulty else 0)
    run = classed(tasks.clouds(), model, optimizer, goal=0.85, steps=400)
    return run.handed(150, "score")


@BANK.sick("optimiser", "weight_decay")
def adam_with_a_decay_of_a_half(seed, has):
    model = Forecast()
    decay = 0.5 if "weight_decay" in has else 0.0
    optimizer = Adam(model.parameters(), 1e-2, weight_decay=decay)
    run = valued(tasks.consumption(), model, optimizer, goal=0.85, steps=300)
    return run.handed(300, "loss")


def clipping_values(largest):
    """A step that clips every entry of the gradients."""

    def made(loss):
        def step(model, optimizer, batch):
            optimizer.zero_grad()
            value = loss(model, batch)
            value.backward()
            clip_grad_value_(model.parameters(), largest)
            optimizer.step()
            return value.item()

        return step

    return made


@BANK.sick("loop", "clipping_too_tight", also=("rate_too_low",))
def values_clipped_to_a_hundred_thousandth(seed, has):
    model = Forecast(cell=nn.LSTM)
    step = clipping_values(1e-5 if "clipping_too_tight" in has else 0.5)
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9)
    run = valued(tasks.consumption(), model, optimizer, goal=0.85, steps=400, step=step)
    return run.handed(100)


class Listed(nn.Module):
    """The hidden layers lie in a Python list, in which `parameters()` does not find them."""

    def __init__(self, faulty):
        super().__init__()
        hidden = [nn.Linear(8, 12), nn.Linear(12, 12), nn.Linear(12, 12)]
        self.hidden = hidden if faulty else nn.ModuleList(hidden)
        self.out = nn.Linear(12, 1)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x)


@BANK.sick("optimiser", "wrong_parameters")
def hidden_layers_in_a_plain_list(seed, has):
    model = Listed("wrong_parameters" in has)
    optimizer = Adam(model.parameters(), 1e-2)
    run = valued(tasks.strength(), model, optimizer, goal=0.8, steps=500)
    return run.handed(150, "loss")


@BANK.sick("loop", "missing_zero_grad")
def gradients_never_cleared_in_a_gru(seed, has):
    model = Forecast(24)
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9)
    step = partial(stepping, zero="missing_zero_grad" not in has)
    run = valued(tasks.consumption(), model, optimizer, goal=0.85, steps=400, step=step)
    return run.handed(12, "loss")


def right_by_batches(batches, training):
    """The share of right answers, batch by batch, of a copy (statistics stay as they are)."""

    def examine(model):
        model = deepcopy(model).train(training)
        with torch.no_grad():
            right = [(model(x).argmax(1) == label).float().mean() for x, label in batches]
        return torch.stack(right).mean().item()

    return examine


@BANK.sick("evaluation", "evaluated_in_train_mode", lies=True)
def batch_norm_sees_one_class_at_a_time(seed, has):
    """Test images come sorted, a folder for each class; `eval()` was never called."""
    train, (images, labels) = tasks.glyphs()
    model = convs(1, 16, 32, classes=5, norm=True)
    optimizer = Adam(model.parameters(), 5e-3)
    run = classed((train, (images, labels)), model, optimizer, goal=0.85, steps=300)
    order = labels.argsort()
    folders = list(zip(images[order].split(20), labels[order].split(20), strict=True))
    printed = right_by_batches(folders, "evaluated_in_train_mode" in has)
    run = replace(run.handed(300), batches=folders, examine=printed)
    run = replace(run, honest=right_by_batches(folders, False), honest_goal=0.85)
    return replace(run, shown=run.score())
